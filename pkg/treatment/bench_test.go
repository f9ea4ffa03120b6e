package treatment_test

import (
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

type noKeys struct{}

func (noKeys) Token(treatment.TokenKey, []string) (t [event.TokenSize]byte, err error) { return t, nil }

// BenchmarkApply treats frames of 100 events of each built-in kind. Tokens
// themselves are the keyring's.
func BenchmarkApply(b *testing.B) {
	pol := builtIn(b)
	tr := treatment.New(pol)
	for _, s := range pol.Schemas() {
		b.Run(s.Event, func(b *testing.B) {
			names := s.FieldNames()
			var raws []event.Raw
			for i := range 100 {
				values, _ := s.Decode(s.Examples[i%len(s.Examples)])
				raws = append(raws, event.NewRaw(event.Contents{
					ID: event.NewID(now, event.RandomPayload()), OccurredAt: now.Add(-time.Hour), Fields: names, Values: values,
				}))
			}
			h := header(s.Event)
			h.Version = s.Version
			b.ReportAllocs()
			m := lethetest.NewMeter(b)
			m.Start()
			for b.Loop() {
				if _, rejected, err := tr.Apply(h, raws, now, noKeys{}); err != nil || len(rejected) > 0 {
					b.Fatal(rejected, err)
				}
			}
			m.Report(b.N * len(raws))
		})
	}
}

func BenchmarkRedact(b *testing.B) {
	for name, s := range map[string]string{
		"ordinary text": "connection reset by peer while reading response header from upstream",
		"numbers":       "worker 3 took 35 ms for 12 items, retrying in 5 s (attempt 2 of 5)",
		"address":       "login failed for ada@example.org from 192.0.2.1 port 50051",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				treatment.RedactText(s)
			}
		})
	}
	for name, s := range map[string]string{
		"ordinary path": "/blog/tags/privacy/index.html",
		"query path":    "/search/results?q=forgetting&page=2&utm_source=example",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				treatment.RedactPath(s)
			}
		})
	}
}

func BenchmarkFamily(b *testing.B) {
	for b.Loop() {
		treatment.Family("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36")
	}
}
