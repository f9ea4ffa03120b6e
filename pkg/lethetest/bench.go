package lethetest

import (
	"os"
	"strconv"
	"testing"
)

// BenchEvents is how many events a benchmark is of: as many as
// LETHE_BENCH_EVENTS says, or so many unless it is set.
func BenchEvents(b *testing.B, unless int) int {
	b.Helper()
	text := os.Getenv("LETHE_BENCH_EVENTS")
	if text == "" {
		return unless
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatal("LETHE_BENCH_EVENTS is a number of events")
	}
	return n
}
