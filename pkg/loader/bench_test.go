package loader_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// BenchmarkLoad loads rounds of 50,000 access events from the real clean log,
// in frames of 100 and of 500, named (net 3 looks at each) and not: into a
// warehouse that keeps nothing, which leaves reading, opening and sorting into
// batches, and into the real one. CPU is of the whole test process, the log
// server included, and of the engine.
func BenchmarkLoad(b *testing.B) {
	pol := lethetest.BuiltIn(b)
	b.Run("no-engine", func(b *testing.B) {
		load(b, pol, 500, true, func(c *loader.Config) { c.Warehouse = nowhere{c.Warehouse} })
	})
	for _, size := range []int{100, 500} {
		for _, named := range []bool{false, true} {
			b.Run(fmt.Sprintf("engine/frames-of-%d/named-%v", size, named), func(b *testing.B) { load(b, pol, size, named) })
		}
	}
}

func load(b *testing.B, pol *policy.Policy, size int, named bool, change ...func(*loader.Config)) {
	s := startWith(b, pol)
	cfg := s.config()
	cfg.MaxRows, cfg.MaxWait = 0, 0
	log := lethetest.NewGate(cfg.Clean.(*eventlog.Reader))
	cfg.Clean = log
	for _, c := range change {
		c(&cfg)
	}
	l, err := loader.New(cfg)
	s.must(err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, func() {}) }()
	m := lethetest.NewMeter(b, s.engine.PID())
	for range b.N {
		s.publishAccess(loader.DefaultMaxRows, size, named)
		info, err := s.frames.Info(b.Context(), eventlog.CleanStream)
		s.must(err)
		log.Through = info.Last
		m.Start()
		log.Unlock()
		<-log.Acked
		m.Stop()
	}
	rows := b.N * loader.DefaultMaxRows
	m.Report(rows)
	cancel()
	log.Unlock()
	s.must(<-done)
	if got := l.Numbers()["rows"]; got != float64(rows) {
		b.Fatalf("%.0f rows were loaded of %d", got, rows)
	}
}

// nowhere keeps no rows and knows no events.
type nowhere struct{ loader.Warehouse }

func (nowhere) Insert(context.Context, *warehouse.Batch, string) error { return nil }

func (nowhere) Known(context.Context, string, []event.ID) (map[event.ID]event.Day, error) {
	return nil, nil
}

// publishAccess fills the clean log with rows of the table http_access.
func (s *site) publishAccess(n, size int, named bool) {
	s.t.Helper()
	table := s.table("http_access")
	columns := table.ColumnNames()
	var msgs []eventlog.Message
	for from := 0; from < n; from += size {
		rows := make([]event.Clean, min(size, n-from))
		for i := range rows {
			k := from + i
			at := noon.Add(-time.Minute + time.Duration(k)*5*time.Microsecond)
			row := event.Row{
				ID: event.NewID(at, event.RandomPayload()), OccurredAt: at,
				ExpiresAt: table.Class.ExpiresAt(at), Epoch: 40, Identified: named,
			}
			for j, c := range table.Columns {
				row.Values = append(row.Values, accessValue(c, k, j))
			}
			rows[i] = event.NewClean(row)
		}
		h := event.CleanHeader{
			Tenant: "acme", Service: fmt.Sprintf("service-%d", from/size%8), Table: table.Name, Class: table.Class.Name,
			Day: rows[0].ExpiryDay(), Event: table.Event, Version: 1, Count: len(rows), RawSeq: uint64(from + 1),
		}
		header := event.Header(h)
		sealed, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), h.Tenant, h.Class, string(h.Day), header, event.CleanBody(columns, rows))
		s.must(err)
		msgs = append(msgs, eventlog.Message{
			Topic: event.CleanTopic(h.Tenant, h.Service, h.Table, h.Day, 0), Data: event.Pack(header, sealed),
		})
		if len(msgs) == 200 || from+size >= n {
			_, err := s.writer.AppendAtomic(s.t.Context(), msgs)
			s.must(err)
			msgs = msgs[:0]
		}
	}
}

func accessValue(c policy.Column, k, j int) event.Value {
	switch c.Kind {
	case event.Token:
		return event.TokenValue([20]byte{byte(k * 7), byte(k >> 3), byte(k >> 11), byte(j), 1})
	case event.Int:
		return event.IntValue(int64(200 + k%5))
	case event.Float:
		return event.FloatValue(float64(k%100) / 8)
	case event.Bool:
		return event.BoolValue(k%50 == 0)
	case event.Time:
		return event.TimeValue(noon)
	}
	if c.LowCardinality {
		return event.StringValue(fmt.Sprintf("%s-%d", c.Name, k%12))
	}
	return event.StringValue(fmt.Sprintf("/shop/%s/%d/item-%d", c.Name, k%40, k%3000))
}
