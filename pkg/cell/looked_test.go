package cell_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// asOf is what an analyst reads at some time.
func (s *site) asOf(now time.Time) time.Time {
	s.t.Helper()
	at, err := cell.AsOf(s.t.Context(), eventlog.OpenBucket(s.connect("analyst"), eventlog.CellBucket), now)
	s.must(err)
	return at
}

// TestAsOfMovesWithTimeAndNotWithWhatComes: P19. Somebody's row, which waits for
// quiet, changes nothing that an analyst reads. Only a publisher that is late
// shows, and so says what is true.
func TestAsOfMovesWithTimeAndNotWithWhatComes(t *testing.T) {
	s := start(t)
	now := noon // of the publisher
	if at := s.asOf(now); !at.IsZero() {
		t.Fatalf("before anything was looked at: as of %s", at)
	}
	c := s.config()
	c.Now = func() time.Time { return now }
	c.Settle = time.Hour // as long as rows come
	s.p = publisher(t, c)
	s.must2(s.p.Look(t.Context()))
	entry := func() time.Time { return s.asOf(now.AddDate(1, 0, 0)) } // nothing but what the publisher says
	if at := entry(); !at.Equal(now) {
		t.Fatalf("nothing waits: as of %s at %s", at, now)
	}
	began := now
	for range 6 {
		now = now.Add(10 * time.Second)
		s.publish(visit{at: noon, person: 1})
		s.loaded()
		s.must2(s.p.Look(t.Context()))
		if at, want := s.asOf(now.Add(3*time.Second)), now.Add(-time.Minute); !at.Equal(want) {
			t.Errorf("at %s: as of %s", now, at)
		}
	}
	if at := entry(); !at.Equal(began) {
		t.Errorf("a row waits to be looked at: as of %s; the test shows nothing", at)
	}
	now = now.Add(10 * time.Second)
	s.must2(s.p.Look(t.Context()))
	if at := s.asOf(now); !at.Equal(began) {
		t.Errorf("what came was not looked at for over a minute: as of %s", at)
	}
	c.Settle = time.Nanosecond
	s.p = publisher(t, c)
	s.cut()
	if at := s.asOf(now); !at.Equal(now.Add(-time.Minute)) {
		t.Errorf("all was looked at: as of %s at %s", at, now)
	}
	// Another process whose clock is behind takes nothing back.
	c.Now = func() time.Time { return began }
	s.must2(publisher(t, c).Look(t.Context()))
	if at := entry(); !at.Equal(now) {
		t.Errorf("what was looked at is not: as of %s", at)
	}
}

// A late log says that the loader is no further than some frame.
type lateLog struct {
	cell.Log
	floor uint64
}

func (l *lateLog) Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error) {
	state, err := l.Log.Consumer(ctx, stream, durable)
	if l.floor > 0 {
		state.Floor = min(state.Floor, l.floor)
	}
	return state, err
}

// TestAsOfWaitsForTheCells: what was looked at is of use when an answer has it.
func TestAsOfWaitsForTheCells(t *testing.T) {
	s := start(t)
	c := s.config()
	log := &lateLog{Log: c.Log}
	c.Log = log
	now := noon
	c.Now = func() time.Time { return now }
	s.p = publisher(t, c)
	log.floor = s.publish(people(1, 9, visit{at: noon.AddDate(0, 0, -1)})...)[0]
	s.loaded()
	if n, err := s.p.Look(t.Context()); err != nil || n == 0 {
		t.Fatalf("%d cells, %v", n, err)
	}
	now = now.Add(10 * time.Second)
	s.must2(s.p.Look(t.Context()))
	if at := s.asOf(now); !at.IsZero() {
		t.Errorf("the cells are not loaded: as of %s", at)
	}
	log.floor = 0
	s.cut()
	if at := s.asOf(now); !at.Equal(now.Add(-time.Minute)) {
		t.Errorf("the cells are loaded: as of %s at %s", at, now)
	}
}

// TestTimeAloneMovesAsOf: a publisher that runs looks where nothing comes.
func TestTimeAloneMovesAsOf(t *testing.T) {
	s := start(t)
	c := s.config()
	var now atomic.Int64
	now.Store(noon.Unix())
	c.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	lethetest.Start(t, "cells", publisher(t, c))
	for range 3 {
		now.Add(10)
		deadline := time.Now().Add(time.Minute)
		for want := time.Unix(now.Load(), 0); ; time.Sleep(time.Millisecond) {
			if at := s.asOf(noon.AddDate(1, 0, 0)); at.Equal(want) {
				break
			} else if at.After(want) || time.Now().After(deadline) {
				t.Fatalf("as of %s at %s", at, want)
			}
		}
	}
}

func TestAnEntryThatCannotBeReadIsNoTime(t *testing.T) {
	b := lethetest.NewBucket()
	b.Entries["looked"] = eventlog.Entry{Value: []byte("{")}
	if at, err := cell.AsOf(t.Context(), b, noon); !errors.Is(err, fault.Corrupt) || !at.IsZero() {
		t.Errorf("as of %s, %v", at, err)
	}
}
