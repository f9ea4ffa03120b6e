package pseudonymizer_test

import (
	"context"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
)

// memoryLog hands out one group again and again and keeps nothing, so that the
// benchmark shows what opening, treating and sealing cost.
type memoryLog struct {
	group []eventlog.Received
	seq   uint64
	left  func() bool
	stop  func()
}

func (m *memoryLog) Fetch(context.Context, int, int, time.Duration) ([]eventlog.Received, error) {
	if !m.left() {
		m.stop()
		return nil, nil
	}
	for i := range m.group {
		m.seq++
		m.group[i].Seq = m.seq
	}
	return m.group, nil
}

func (m *memoryLog) AckThrough(context.Context, uint64) error { return nil }

func (m *memoryLog) AppendAtomic(context.Context, []eventlog.Message) ([]eventlog.Ack, error) {
	return nil, nil
}

// BenchmarkGroup moves groups of 64 raw frames of 100 events each.
func BenchmarkGroup(b *testing.B) {
	s := start(b)
	s.publish(s.visits(100))
	frame, err := s.all.Get(b.Context(), eventlog.RawStream, s.last)
	s.must(err)
	log := &memoryLog{left: b.Loop}
	for range 64 {
		log.group = append(log.group, frame)
	}
	cfg := s.config()
	cfg.Raw, cfg.Clean = log, log
	p, err := pseudonymizer.New(cfg)
	s.must(err)
	ctx, cancel := context.WithCancel(b.Context())
	log.stop = cancel
	s.must(p.Run(ctx, func() {}))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*64*100), "ns/event")
}
