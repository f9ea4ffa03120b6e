package gateway_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// counting acknowledges frames and keeps none.
type counting struct{ last atomic.Uint64 }

func (c *counting) Append(_ context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	acks := make([]eventlog.Ack, len(msgs))
	for i := range acks {
		acks[i].Seq = c.last.Add(1)
	}
	return acks, nil
}

// BenchmarkAdmit takes requests of 500 access events, four at a time, from the
// body to the receipts: with a log that only counts, which leaves reading,
// the schema, names and the seal, and with the real one on disk.
func BenchmarkAdmit(b *testing.B) {
	b.Run("no-log", func(b *testing.B) {
		admit(b, setup(b, func(_ *site, c *gateway.Config) {
			c.Raw, c.Log = &counting{}, slog.New(slog.DiscardHandler)
		}))
	})
	b.Run("log", func(b *testing.B) {
		admit(b, setup(b, func(_ *site, c *gateway.Config) { c.Log = slog.New(slog.DiscardHandler) }))
	})
}

func admit(b *testing.B, s *site) {
	const events = 500
	mux := http.NewServeMux()
	s.gateway.Routes(mux)
	body := lethetest.AccessEvents(0, events, s.clock.Now())
	var keys atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(2) // for each of two processors
	m := lethetest.NewMeter(b)
	m.Start()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req := httptest.NewRequest(http.MethodPost, "/v1/events?service=shop", bytes.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+s.all)
			req.Header.Set("Content-Type", "application/json")
			// A request that the log has not seen.
			req.Header.Set("Idempotency-Key", strconv.FormatInt(keys.Add(1), 10))
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, req)
			if stored := bytes.Count(answer.Body.Bytes(), []byte(`"stored"`)); stored != events {
				b.Errorf("%d of %d events are stored, status %d", stored, events, answer.Code)
				return
			}
		}
	})
	m.Report(b.N * events)
}
