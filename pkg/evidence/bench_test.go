package evidence_test

import (
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// BenchmarkEvidence makes and checks evidence from a record of 25 months: of
// all of it, and of the last 35 days.
func BenchmarkEvidence(b *testing.B) {
	w := newWorld(b, b.TempDir(), "2024-12-10").days(766)
	for _, span := range []struct {
		name string
		evidence.Request
	}{{"25-months", evidence.Request{All: true}}, {"35-days", evidence.Request{}}} {
		var bundle []byte
		b.Run("make/"+span.name, func(b *testing.B) {
			for b.Loop() {
				bundle = w.bundle(span.Request)
			}
			b.ReportMetric(float64(len(bundle))/(1<<20), "MiB")
			b.ReportMetric(milliseconds(b), "ms")
		})
		b.Run("check/"+span.name, func(b *testing.B) {
			if bundle == nil {
				bundle = w.bundle(span.Request) // only this half was asked for
			}
			var r evidence.Result
			for b.Loop() {
				var err error
				if r, err = evidence.Check(bundle, evidence.Options{Key: w.log.VerifierKey()}); err != nil || !r.OK {
					b.Fatal("the evidence is not good", err, r.Problems)
				}
			}
			b.ReportMetric(float64(r.Entries), "entries")
			b.ReportMetric(milliseconds(b), "ms")
		})
	}
}

func milliseconds(b *testing.B) float64 {
	return float64(b.Elapsed().Microseconds()) / 1000 / float64(b.N)
}
