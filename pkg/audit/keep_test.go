package audit_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// dated is a stream whose messages through a sequence are old.
type dated struct {
	*eventlog.Log
	old    uint64
	purged chan struct{}
}

func (d dated) Next(ctx context.Context, stream string, seq uint64) (eventlog.Received, error) {
	r, err := d.Log.Next(ctx, stream, seq)
	if r.Seq <= d.old {
		r.At = r.At.AddDate(-2, 0, 0)
	}
	return r, err
}

func (d dated) Info(ctx context.Context, stream string) (eventlog.StreamState, error) {
	s, err := d.Log.Info(ctx, stream)
	if s.First <= d.old {
		s.FirstAt = s.FirstAt.AddDate(-2, 0, 0)
	}
	return s, err
}

func (d dated) Purge(ctx context.Context, stream, filter string, below uint64) (uint64, error) {
	n, err := d.Log.Purge(ctx, stream, filter, below)
	if n > 0 {
		close(d.purged)
	}
	return n, err
}

func TestStreamKeepsWhatIsYoungAndTheLastEntry(t *testing.T) {
	for _, c := range []struct{ old, first uint64 }{{1, 2}, {12, 13}, {37, 38}, {39, 40}, {40, 40}} {
		s := served(t)
		l := open(t, created(t))
		rec := s.recorder(func() time.Time { return today })
		last := record(t, rec, 40)
		cfg := s.config(l)
		stream := dated{cfg.Stream.(*eventlog.Log), c.old, make(chan struct{})}
		cfg.Stream = stream
		if err := run(t, cfg, last); err != nil {
			t.Fatal(err)
		}
		sq, err := audit.NewSequencer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = runUntil(t, sq, func(ctx context.Context) error {
			select {
			case <-stream.purged:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		state, err := stream.Log.Info(t.Context(), eventlog.AuditStream)
		if err != nil || state.First != c.first || state.Last != 40 {
			t.Errorf("with %d old messages the stream begins at %d (want %d) and ends at %d: %v", c.old, state.First, c.first, state.Last, err)
		}
		if err := run(t, s.config(l), record(t, rec, 1)); err != nil {
			t.Errorf("after the purge: %v", err)
		}
	}
}

// P10: a tree is kept for as long as its rule says, and no longer.
func TestTreePastItsRuleIsRemovedWholeAfterItsEndIsOnRecord(t *testing.T) {
	for _, crash := range []bool{false, true} {
		s := served(t)
		cfg := created(t)
		var now atomic.Pointer[time.Time]
		set := func(year int) {
			at := time.Date(year, 2, 1, 0, 0, 0, 0, time.UTC)
			now.Store(&at)
		}
		cfg.Now = func() time.Time { return *now.Load() }
		cfg.Kept = func(year int, now time.Time) bool { return now.Year() <= year+6 }
		rec := s.recorder(cfg.Now)
		removed := make(chan struct{})
		l, err := audit.OpenWithSteps(t.Context(), cfg, func(step string) error {
			switch {
			case step == "tree_renamed" && crash:
				defer close(removed)
				return errDied
			case step == "tree_removed":
				close(removed)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		sequence := func(until func(context.Context) error) {
			t.Helper()
			sc := s.config(l)
			sc.Recorder = rec.As("sequencer")
			sq, err := audit.NewSequencer(sc)
			if err != nil {
				t.Fatal(err)
			}
			if err := runUntil(t, sq, until); err != nil {
				t.Fatal(err)
			}
		}
		wait := func(seq uint64) func(context.Context) error {
			return func(ctx context.Context) error { return l.Wait(ctx, seq) }
		}
		for year := 2020; year <= 2022; year++ {
			set(year)
			sequence(wait(record(t, rec, 3)))
		}
		set(2026)
		sequence(wait(record(t, rec, 1)))
		if n := len(l.Trees()); n != 4 {
			t.Errorf("control: %d trees in the year 2026", n)
		}
		last := l.Trees()[0].Checkpoint
		wantKind(t, l.Remove(t.Context(), 2020), fault.Conflict, "to be kept")
		set(2027)
		wantKind(t, l.Remove(t.Context(), 2020), fault.Conflict, "not on record")
		wantKind(t, l.Remove(t.Context(), 2021), fault.Conflict, "to be kept")
		sequence(func(ctx context.Context) error {
			select {
			case <-removed:
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		shut(t, l)
		l = open(t, cfg)
		left, err := filepath.Glob(filepath.Join(cfg.Dir, "*2020"))
		hidden, _ := filepath.Glob(filepath.Join(cfg.Dir, ".removed-*")) // the pattern is good
		if err != nil || len(left)+len(hidden) > 0 {
			t.Errorf("crash %t: %d directories of the removed tree are left", crash, len(left)+len(hidden))
		}
		trees := l.Trees()
		if len(trees) != 4 || trees[0].Year != 2021 || trees[3].Year != 2027 {
			t.Fatalf("crash %t: %d trees, the first of %d", crash, len(trees), trees[0].Year)
		}
		e, _ := l.Last(audit.KindTree)
		if d := detail[audit.Tree](t, e); !d.Ended || d.Year != 2020 || d.Size != 5 || d.Checkpoint != last {
			t.Errorf("crash %t: the end on record is that of %d", crash, d.Year)
		}
		if _, err := os.Stat(filepath.Join(cfg.Dir, "2021")); err != nil {
			t.Error(err)
		}
	}
}

func TestSequencerThatMayRemoveMustRecord(t *testing.T) {
	cfg := created(t)
	cfg.Kept = func(int, time.Time) bool { return false }
	_, err := audit.NewSequencer(served(t).config(open(t, cfg)))
	wantKind(t, err, fault.Invalid, "missing")
}
