package audit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// sips is a reader that takes a few messages at a time.
type sips struct {
	*eventlog.Reader
	empty int
	idle  chan struct{} // closed when the sequencer knows that nothing waits
}

func (s *sips) Fetch(ctx context.Context, _, maxBytes int, _ time.Duration) ([]eventlog.Received, error) {
	if s.empty == 1 {
		close(s.idle)
	}
	got, err := s.Reader.Fetch(ctx, 5, maxBytes, 50*time.Millisecond)
	if len(got) == 0 && err == nil {
		s.empty++
	}
	return got, err
}

// ahead is a stream whose newest message is an hour younger than it is.
type ahead struct{ *eventlog.Log }

func (a ahead) Info(ctx context.Context, stream string) (eventlog.StreamState, error) {
	s, err := a.Log.Info(ctx, stream)
	s.LastAt = s.LastAt.Add(time.Hour)
	return s, err
}

// TestSequencerSaysHowFarBehindItIs and goes on after a disk that fails.
func TestSequencerSaysHowFarBehindItIs(t *testing.T) {
	s := served(t)
	rec := s.recorder(func() time.Time { return today })
	record(t, rec, 20)
	failures := 3
	var lags []bool
	var sq *audit.Sequencer
	l, err := audit.OpenWithSteps(t.Context(), created(t), func(step string) error {
		switch {
		case step == "tile_written" && failures > 0:
			failures--
			return fault.Unavailable.Errorf("the disk fails")
		case step == "acknowledged":
			lags = append(lags, sq.Numbers()["lag_seconds"] >= 3600)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	cfg := s.config(l)
	reader := &sips{Reader: cfg.Reader.(*eventlog.Reader), idle: make(chan struct{})}
	cfg.Reader, cfg.Stream = reader, ahead{cfg.Stream.(*eventlog.Log)}
	reg := prometheus.NewPedanticRegistry()
	cfg.Metrics = reg
	if sq, err = audit.NewSequencer(cfg); err != nil {
		t.Fatal(err)
	}
	err = runUntil(t, sq, func(ctx context.Context) error {
		select {
		case <-reader.idle:
		case <-ctx.Done():
		}
		return ctx.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	checkWorld(t, l, s.held())
	if fmt.Sprint(lags) != "[false true true true]" {
		t.Errorf("the lag before each confirmation was an hour: %v", lags)
	}
	n := sq.Numbers()
	if n["lag_seconds"] != 0 || n["retries"] != 3 || n["entries"] != 20 || n["last_seq"] != 20 || n["last_checkpoint"] != float64(today.Unix()) {
		t.Errorf("numbers %v", n)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 8 {
		t.Errorf("%d metrics: %v", len(families), err)
	}
}
