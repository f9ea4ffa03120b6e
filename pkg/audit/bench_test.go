package audit_test

import (
	"fmt"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/audit"
)

// BenchmarkAppend measures how many entries a second reach a checkpoint that
// is on disk.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			l := open(b, created(b))
			next := uint64(1)
			for b.Loop() {
				b.StopTimer()
				batch := made(next, next+uint64(size)-1, today)
				next += uint64(size)
				b.StartTimer()
				appended(b, l, batch)
			}
			b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkOpen measures how long it takes to hold a year's tree to its
// checkpoint.
func BenchmarkOpen(b *testing.B) {
	const size = 100_000
	cfg := created(b)
	l := open(b, cfg)
	for next := uint64(1); next < size; next += 1000 {
		appended(b, l, made(next, next+999, today.AddDate(0, -6, 0)))
	}
	shut(b, l)
	for b.Loop() {
		l, err := audit.Open(b.Context(), cfg)
		if err != nil {
			b.Fatal(err)
		}
		shut(b, l)
	}
	b.ReportMetric(size*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
