package pseudonymizer_test

import (
	"context"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
)

const (
	benchFrames = 64  // of a group
	benchEvents = 200 // of a frame, about 64 KiB as they were sent
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

// access are access events as the gateway makes them.
func (s *site) access(n int) []event.Raw {
	s.t.Helper()
	schema, ok := s.pol.Latest("http_access")
	if !ok {
		s.t.Fatal("the policy has no http_access")
	}
	var out []event.Raw
	for i := range n {
		values, problems := schema.Decode(lethetest.AccessData(i))
		if len(problems) > 0 {
			s.t.Fatal(problems)
		}
		at := s.now.Add(-time.Duration(i) * time.Millisecond)
		out = append(out, event.NewRaw(event.Contents{
			ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, ReceivedAt: s.now, Identified: true,
			Fields: schema.FieldNames(), Values: values,
		}))
	}
	return out
}

// BenchmarkTreat moves groups of 64 raw frames of 200 access events each: with
// logs that keep nothing, which leaves opening, treating and sealing, and
// from the real raw log to the real clean log.
func BenchmarkTreat(b *testing.B) {
	b.Run("no-log", func(b *testing.B) {
		s := start(b)
		s.publish(s.access(benchEvents))
		frame, err := s.all.Get(b.Context(), eventlog.RawStream, s.last)
		s.must(err)
		log := &memoryLog{left: b.Loop}
		for range benchFrames {
			log.group = append(log.group, frame)
		}
		cfg := s.config()
		cfg.Raw, cfg.Clean = log, log
		p, err := pseudonymizer.New(cfg)
		s.must(err)
		ctx, cancel := context.WithCancel(b.Context())
		log.stop = cancel
		b.ReportAllocs()
		m := lethetest.NewMeter(b)
		m.Start()
		s.must(p.Run(ctx, func() {}))
		m.Report(b.N * benchFrames * benchEvents)
	})
	b.Run("log", func(b *testing.B) {
		s := start(b)
		raws := s.access(benchEvents)
		cfg := s.config()
		log := lethetest.NewGate(cfg.Raw.(*eventlog.Reader))
		cfg.Raw = log
		p, err := pseudonymizer.New(cfg)
		s.must(err)
		ctx, cancel := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx, func() {}) }()
		b.ReportAllocs()
		m := lethetest.NewMeter(b)
		for range b.N {
			acks, err := s.raw.Append(b.Context(), s.group(raws))
			s.must(err)
			log.Through = acks[len(acks)-1].Seq
			m.Start()
			log.Unlock()
			<-log.Acked
			m.Stop()
		}
		m.Report(b.N * benchFrames * benchEvents)
		cancel()
		log.Unlock()
		s.must(<-done)
	})
}

// group seals a group of frames as the gateway does.
func (s *site) group(raws []event.Raw) (msgs []eventlog.Message) {
	s.t.Helper()
	h := event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Policy: s.pol.Digest(), Count: len(raws)}
	header, body := event.Header(h), event.RawBody(raws)
	for range benchFrames {
		sealed, err := s.keys.Gateway().SealRaw(s.t.Context(), h.Tenant, s.now, header, body)
		s.must(err)
		msgs = append(msgs, eventlog.Message{Topic: event.RawTopic(h.Tenant, h.Service, h.Event, 0), Data: event.Pack(header, sealed)})
	}
	return msgs
}
