package eventlog_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// BenchmarkCommit measures from how many messages on one atomic batch takes
// less time than as many single publishes: what batchFrom is set by.
func BenchmarkCommit(b *testing.B) {
	s := open(b, eventlog.Limits{})
	nc := s.connect("gateway")
	for _, size := range []int{300, 5000, 40000} {
		for _, n := range []int{1, 2, 5, 10, 20, 50, 100, 200} {
			msgs := rawMessages("", n, size)
			b.Run(fmt.Sprintf("size=%d/n=%d/batch", size, n), func(b *testing.B) {
				for b.Loop() {
					if _, err := eventlog.CommitBatch(b.Context(), nc, eventlog.RawStream, msgs); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("size=%d/n=%d/single", size, n), func(b *testing.B) {
				for b.Loop() {
					if err := eventlog.CommitSingly(b.Context(), nc, eventlog.RawStream, msgs, func(_ int, _ eventlog.Ack, err error) {
						if err != nil {
							b.Fatal(err)
						}
					}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkGroupCommit measures callers that each append one message at a
// time.
func BenchmarkGroupCommit(b *testing.B) {
	for _, linger := range []time.Duration{-1, 500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond} {
		for _, callers := range []int{1, 8, 64, 256} {
			b.Run(fmt.Sprintf("linger=%s/callers=%d", linger, callers), func(b *testing.B) {
				s := open(b, eventlog.Limits{})
				w := eventlog.NewWriter(s.connect("gateway"), eventlog.WriterConfig{Stream: eventlog.RawStream, Log: quiet, Linger: linger})
				msgs := rawMessages("", 1, 5000)
				var left atomic.Int64
				left.Store(int64(b.N))
				var wg sync.WaitGroup
				b.ResetTimer()
				for range callers {
					wg.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := w.Append(b.Context(), msgs); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			})
		}
	}
}
