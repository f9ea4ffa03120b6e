package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// P10: what is on record is in a tree, once. It dies at every step, with
// a few entries each time.
func TestRecordedIsSequencedOnceWhereverTheSequencerDied(t *testing.T) {
	s := served(t)
	cfg := created(t)
	rec := s.recorder(func() time.Time { return today })
	places := map[string]bool{}
	for n := 1; ; n++ {
		last := record(t, rec, 3)
		die, where := dies(n)
		l, err := audit.OpenWithSteps(t.Context(), cfg, die)
		if err != nil {
			t.Fatal(err)
		}
		sc := s.config(l)
		r := &confirming{Reader: sc.Reader.(*eventlog.Reader), through: last, done: make(chan struct{})}
		sc.Reader = r
		sq, err := audit.NewSequencer(sc)
		if err != nil {
			t.Fatal(err)
		}
		err = runUntil(t, sq, func(ctx context.Context) error {
			select {
			case <-r.done:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		if *where == "" {
			if err != nil {
				t.Fatal(err)
			}
			checkWorld(t, l, s.held())
			shut(t, l)
			break
		}
		if !errors.Is(err, errDied) {
			t.Fatalf("Run = %v after dying at %s", err, *where)
		}
		places[*where] = true
		shut(t, l)
	}
	for _, place := range []string{"bundle_written", "tiles_synced", "checkpoint_written", "checkpoint_renamed", "committed", "sequenced", "acknowledged"} {
		if !places[place] {
			t.Errorf("the sequencer never died at %s", place)
		}
	}
	l := open(t, cfg)
	if err := run(t, s.config(l), record(t, rec, 1)); err != nil {
		t.Fatal(err)
	}
	checkWorld(t, l, s.held())
}

// confirming is a reader that says when everything through a sequence was
// confirmed and the sequencer goes on.
type confirming struct {
	*eventlog.Reader
	through   uint64
	confirmed bool
	done      chan struct{}
}

func (c *confirming) AckThrough(ctx context.Context, seq uint64) error {
	err := c.Reader.AckThrough(ctx, seq)
	c.confirmed = err == nil && seq >= c.through
	return err
}

func (c *confirming) Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]eventlog.Received, error) {
	if c.confirmed {
		c.confirmed = false
		close(c.done)
	}
	return c.Reader.Fetch(ctx, maxMessages, maxBytes, wait)
}

// TestEntriesThatComeAgainAreThereOnce: nothing is ever confirmed, and every
// reading begins at the beginning.
func TestEntriesThatComeAgainAreThereOnce(t *testing.T) {
	s := served(t)
	l := open(t, created(t))
	rec := s.recorder(func() time.Time { return today })
	last := record(t, rec, 30)
	cfg := s.config(l)
	r := &forgetful{Reader: cfg.Reader.(*eventlog.Reader), again: make(chan struct{})}
	cfg.Reader = r
	sq, err := audit.NewSequencer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = runUntil(t, sq, func(ctx context.Context) error {
		<-r.again
		return l.Wait(ctx, last)
	})
	if err != nil {
		t.Fatal(err)
	}
	checkWorld(t, l, s.held())
}

// forgetful is a reader whose consumer never moves.
type forgetful struct {
	*eventlog.Reader
	fetched int
	again   chan struct{} // closed at the fifth reading
}

func (f *forgetful) Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]eventlog.Received, error) {
	if f.fetched++; f.fetched == 5 {
		close(f.again)
	}
	if err := f.Restart(ctx); err != nil {
		return nil, err
	}
	return f.Reader.Fetch(ctx, 7*f.fetched, maxBytes, wait)
}

func (*forgetful) AckThrough(context.Context, uint64) error {
	return fault.Unavailable.Errorf("not confirmed")
}
