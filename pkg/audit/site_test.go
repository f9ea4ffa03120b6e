package audit_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// site is a real server with the users of Lethe.
type site struct {
	testing.TB
	nats *embedded.NATS
	last *nats.Conn // of the last sequencer
}

func served(t testing.TB) *site {
	t.Helper()
	s := &site{TB: t, nats: lethetest.NATS(t, lethetest.NATSUsers()...)}
	s.apply()
	return s
}

func (s *site) connect(user string) *nats.Conn {
	s.Helper()
	nc, err := s.nats.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(nc.Close)
	return nc
}

func (s *site) operator() jetstream.JetStream {
	s.Helper()
	js, err := jetstream.New(s.connect("operator"))
	if err != nil {
		s.Fatal(err)
	}
	return js
}

func (s *site) apply() {
	s.Helper()
	for _, stream := range eventlog.Streams(nil, eventlog.Limits{}) {
		if stream.Name == eventlog.AuditStream {
			if err := eventlog.Apply(s.Context(), s.operator(), []jetstream.StreamConfig{stream}); err != nil {
				s.Fatal(err)
			}
		}
	}
}

// recorder records as the retention service, which may record everything.
func (s *site) recorder(now func() time.Time) *audit.Writer {
	s.Helper()
	w := eventlog.NewWriter(s.connect("retention"), eventlog.WriterConfig{Stream: eventlog.AuditStream, Log: lethetest.Logger(s)})
	s.Cleanup(func() { _ = w.Close(context.Background()) })
	return audit.NewRecorder(w, "retention", now)
}

func record(t testing.TB, r *audit.Writer, n int) (last uint64) {
	t.Helper()
	for range n {
		seq, err := r.RecordSeq(t.Context(), audit.KindClock, audit.Clock{Accepted: true})
		if err != nil {
			t.Fatal(err)
		}
		last = seq
	}
	return last
}

// held is what the stream holds.
func (s *site) held() (all []audit.Sequenced) {
	s.Helper()
	stream := eventlog.NewLog(s.connect("operator"))
	state, err := stream.Info(s.Context(), eventlog.AuditStream)
	if err != nil {
		s.Fatal(err)
	}
	for r, err := range stream.Range(s.Context(), eventlog.AuditStream, 1, state.Last) {
		if err != nil {
			s.Fatal(err)
		}
		all = append(all, audit.Sequenced{Seq: r.Seq, Data: r.Data})
	}
	return all
}

// config is that of a process that follows another, whose connection ended.
func (s *site) config(l *audit.Log) audit.SequencerConfig {
	s.Helper()
	if s.last != nil {
		s.last.Close()
	}
	nc := s.connect("compliance")
	s.last = nc
	r, err := eventlog.OpenReader(s.Context(), nc, eventlog.ReaderConfig{
		Stream: eventlog.AuditStream, Durable: eventlog.AuditConsumer, Log: lethetest.Logger(s),
	})
	if err != nil {
		s.Fatal(err)
	}
	return audit.SequencerConfig{Reader: r, Log: l, Stream: eventlog.NewLog(nc), Logger: lethetest.Logger(s)}
}

// run sequences until everything through seq is in a tree, and returns the
// failure that came before, if one did.
func run(t testing.TB, cfg audit.SequencerConfig, seq uint64) error {
	t.Helper()
	s, err := audit.NewSequencer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return runUntil(t, s, func(ctx context.Context) error { return cfg.Log.Wait(ctx, seq) })
}

func runUntil(t testing.TB, s *audit.Sequencer, done func(context.Context) error) error {
	t.Helper()
	return runReady(t, s, func() {}, done)
}

func runReady(t testing.TB, s *audit.Sequencer, ready func(), done func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithCancel(soon(t))
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ready) }()
	enough := make(chan error, 1)
	go func() { enough <- done(ctx) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Fatal("the sequencer ended before what was waited for")
		}
		return err
	case err := <-enough:
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		return <-ended
	}
}
