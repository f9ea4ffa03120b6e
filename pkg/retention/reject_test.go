package retention_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// rejectSteps are those of RejectClock.
var rejectSteps = []string{"reject_recorded", "reject_remembered", "reject_done"}

// bounded is a retention that takes a jump of seven days at most.
func (w *world) bounded() *retention.Retention {
	c := w.config()
	c.MaxJump = 0 // the default
	return retention.New(c)
}

// dies runs something that is to die at a step, and says whether it did.
func dies(r *retention.Retention, step string, do func()) (died bool) {
	r.SetStep(func(at string) {
		if at == step {
			panic(step)
		}
	})
	defer func() {
		r.SetStep(func(string) {})
		if what := recover(); what != nil && what != step {
			panic(what)
		} else if what != nil {
			died = true
		}
	}()
	do()
	return died
}

// TestAnOperatorRejectsAClockSetByHand: P4, P10. It is on record before it is
// done, and refused where nobody set anything.
func TestAnOperatorRejectsAClockSetByHand(t *testing.T) {
	w, r, _ := clocks(t)
	if err := r.RejectClock(t.Context()); !errors.Is(err, fault.Conflict) {
		t.Errorf("with nothing set by hand: %v", err)
	}
	ahead := w.now.AddDate(1, 0, 0)
	w.hand(ahead)
	w.now = w.now.Add(time.Hour)
	must(t, r.Once(t.Context()))
	own := w.now

	w.now = w.now.Add(5 * time.Minute)
	w.fail = func(deed string) error {
		if deed == "record" {
			return fault.Unavailable.Errorf("the stream is away")
		}
		return nil
	}
	if err := r.RejectClock(t.Context()); !errors.Is(err, fault.Unavailable) || !w.clock.Equal(ahead) {
		t.Errorf("what is not on record moved the clock to %v: %v", w.clock, err)
	}
	w.fail = func(string) error { return nil }
	must(t, r.RejectClock(t.Context()))
	if n := r.Numbers(); n["clock_by_hand"] != 0 || !w.clock.Equal(w.now) || len(w.rows) != 1 {
		t.Errorf("after that the clock stands at %v, %d rows are left, and it says %v", w.clock, len(w.rows), n)
	}
	said := w.said(t)
	if diff := cmp.Diff(audit.Clock{From: ahead, To: w.now, ByHand: true, Rejected: true}, said[len(said)-1]); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	if w.clock.Before(own) {
		t.Error("it went back behind a run")
	}
	if err := r.RejectClock(t.Context()); !errors.Is(err, fault.Conflict) {
		t.Errorf("a second time: %v", err)
	}
	must(t, r.Once(t.Context()))
	if n := len(w.said(t)); n != len(said) {
		t.Errorf("%d entries are on record, want %d", n, len(said))
	}
	// A jump of the wall clock is no hand's, and is not rejected.
	w.now = w.now.AddDate(0, 0, 60)
	if err := r.RejectClock(t.Context()); !errors.Is(err, fault.Conflict) {
		t.Errorf("a jump that is held back: %v", err)
	}
}

// P4, P10, P18: it dies at every step. The clock is the one set by hand, and
// found again, or Lethe's own, and never before what a run went by.
func TestARejectionThatDiesIsDoneAgain(t *testing.T) {
	for _, step := range rejectSteps {
		w, r, _ := clocks(t)
		ahead := w.now.AddDate(1, 0, 0)
		w.hand(ahead)
		w.now = w.now.Add(time.Hour)
		must(t, r.Once(t.Context()))
		own := w.now
		if !dies(r, step, func() { _ = r.RejectClock(t.Context()) }) {
			t.Fatalf("it does not come to %s", step)
		}
		w.now = w.now.Add(time.Minute)
		r = w.bounded()
		must(t, r.Once(t.Context()))
		done := step == rejectSteps[2]
		if by := r.Numbers()["clock_by_hand"]; done != (by == 0) || done != w.clock.Before(ahead) || w.clock.Before(own) || len(w.rows) != 1 {
			t.Errorf("%s: the clock stands at %v, set by hand is %v, %d rows are left", step, w.clock, by, len(w.rows))
		}
		if err := r.RejectClock(t.Context()); done != errors.Is(err, fault.Conflict) {
			t.Errorf("%s: rejected again: %v", step, err)
		}
		must(t, r.Once(t.Context()))
		if n := r.Numbers(); n["clock_by_hand"] != 0 || w.clock.Before(own) || w.clock.After(w.now) || len(w.rows) != 1 {
			t.Errorf("%s: in the end the clock stands at %v, and it says %v", step, w.clock, n)
		}
	}
}

// TestNoRejectionGoesBehindARun draws wall clocks, hands, crashes and what
// retention remembers being lost, and holds Lethe's clock to every instant that
// a run went by. Rows that are not due by those stay.
func TestNoRejectionGoesBehindARun(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(pol, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
		w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", event.Never, w.now, 1})
		r := w.bounded()
		var reached time.Time // by a run
		run := func() {
			if err := r.Once(rt.Context()); err != nil {
				rt.Fatal(err)
			}
			at, err := retention.Clock(memoryBucket{w})(rt.Context())
			if err != nil || at.Before(reached) {
				rt.Fatalf("a run went by %v, and one before it by %v: %v", at, reached, err)
			}
			reached = at
		}
		run()
		for range rapid.IntRange(1, 12).Draw(rt, "deeds") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 3*24*60).Draw(rt, "minutes")) * time.Minute)
			switch rapid.SampledFrom([]string{"run", "hand", "reject", "crash", "forget", "back"}).Draw(rt, "deed") {
			case "hand":
				w.hand(w.now.Add(time.Duration(rapid.IntRange(2, 24*400).Draw(rt, "hours")) * time.Hour))
			case "reject":
				before := w.clock
				if err := r.RejectClock(rt.Context()); err != nil && !errors.Is(err, fault.Conflict) {
					rt.Fatal(err)
				} else if err == nil && (w.clock.Before(reached) || !w.clock.Before(before)) {
					rt.Fatalf("rejected, the clock went from %v to %v; a run went by %v", before, w.clock, reached)
				}
			case "crash":
				dies(r, rapid.SampledFrom(rejectSteps).Draw(rt, "step"), func() { _ = r.RejectClock(rt.Context()) })
				r = w.bounded()
			case "forget":
				// Put back from a copy of hours ago; the wall clock goes on.
				if !w.clock.After(w.now) {
					delete(w.entries, "clock")
				}
			case "back":
				if w.clock.Before(w.now) {
					w.hand(time.Unix(0, 0).UTC())
				}
			}
			run()
			if w.clock.Before(reached) {
				rt.Fatalf("the clock stands at %v, and a run went by %v", w.clock, reached)
			}
		}
	})
}

// P4, P10: whoever takes Lethe's clock back is on record once, and it is moved
// to where it stood. The control is a run that dies before the table followed.
func TestAClockTakenBackIsOnRecordAndSetRight(t *testing.T) {
	w, r, _ := clocks(t)
	stood := w.clock
	w.now = w.now.Add(2 * time.Hour)
	w.fail = func(deed string) error {
		if deed == "advance" {
			return fault.Unavailable.Errorf("the engine is away")
		}
		return nil
	}
	_ = r.Once(t.Context())
	w.fail = func(string) error { return nil }
	must(t, w.bounded().Once(t.Context()))
	if said := w.said(t); len(said) != 0 {
		t.Fatalf("a run that died is taken for a hand: %+v", said)
	}
	for _, to := range []time.Time{time.Unix(0, 0).UTC(), stood} {
		before := w.clock
		w.hand(to)
		must(t, r.Once(t.Context()))
		must(t, r.Once(t.Context()))
		said := w.said(t)
		if diff := cmp.Diff(audit.Clock{From: before, To: to, ByHand: true, Back: true}, said[len(said)-1]); diff != "" {
			t.Errorf("on record (-want +got):\n%s", diff)
		}
		if !w.clock.Equal(w.now) {
			t.Errorf("the clock stands at %v", w.clock)
		}
	}
	if n := len(w.said(t)); n != 2 {
		t.Errorf("%d entries are on record, want 2", n)
	}
}

// P4, P10: what retention remembers is not believed where it cannot have moved
// the clock so far, and nothing is removed by it. The controls are a jump that
// was accepted, and a wall clock that was set back.
func TestWhatSomebodyMakesRetentionRememberRemovesNothing(t *testing.T) {
	forge := func(w *world, at time.Time) {
		_, err := memoryBucket{w}.Put(t.Context(), "clock", fmt.Appendf(nil, `{"at":%q}`, at.Format(time.RFC3339Nano)))
		must(t, err)
	}
	w, r, _ := clocks(t)
	ahead := w.now.AddDate(1, 0, 0)
	forge(w, ahead)
	must(t, r.Once(t.Context()))
	if len(w.rows) != 1 || !w.clock.Equal(w.now) {
		t.Errorf("the clock stands at %v, and %d rows are left", w.clock, len(w.rows))
	}
	// With the table set too, it is a clock set by hand, and can be rejected.
	forge(w, ahead)
	w.hand(ahead)
	must(t, r.Once(t.Context()))
	if len(w.rows) != 1 || r.Numbers()["clock_by_hand"] != 1 {
		t.Errorf("%d rows are left, and it says %v", len(w.rows), r.Numbers())
	}
	must(t, r.RejectClock(t.Context()))
	if !w.clock.Equal(w.now) {
		t.Errorf("rejected, the clock stands at %v", w.clock)
	}

	w, r, _ = clocks(t)
	w.hand(ahead)
	must(t, r.Once(t.Context()))
	must(t, r.ConfirmClock(t.Context()))
	must(t, w.bounded().Once(t.Context()))
	if len(w.rows) != 0 {
		t.Error("a clock that was accepted is not believed")
	}
	w, r, _ = clocks(t)
	stood := w.clock
	w.now = w.now.AddDate(0, 0, -60)
	must(t, w.bounded().Once(t.Context()))
	must(t, r.Once(t.Context()))
	if !w.clock.Equal(stood) || len(w.said(t)) != 0 {
		t.Errorf("a wall clock that was set back moves the clock to %v: %+v", w.clock, w.said(t))
	}
}

// P4, P10: on the real engine, as retention's own user. pkg/verify does the same
// while parts are merged.
func TestTheEnginesClockIsTakenBack(t *testing.T) {
	s := start(t)
	day := event.DayOf(s.now.AddDate(0, 0, 20))
	s.store(day, 3)
	s.run()
	own, err := s.own.Clock(t.Context())
	must(t, err)
	for i, step := range append(slices.Clone(rejectSteps), "") {
		for range 2 {
			_, err := s.admin.Advance(t.Context(), s.now.AddDate(0, 0, 100+i))
			must(t, err)
		}
		r := s.retention()
		if step != "" && !dies(r, step, func() { _ = r.RejectClock(t.Context()) }) {
			t.Fatalf("it does not come to %s", step)
		}
		if err := s.retention().RejectClock(t.Context()); err != nil && (step != "reject_done" || !errors.Is(err, fault.Conflict)) {
			t.Errorf("%s: %v", step, err)
		}
		at, err := s.own.Clock(t.Context())
		must(t, err)
		if at.Before(own) || at.After(s.now) {
			t.Fatalf("%s: the clock stands at %v; it stood at %v, and it is %v", step, at, own, s.now)
		}
		own = at
		s.now = s.now.Add(time.Minute)
	}
	s.run()
	if s.there(day) != 3 {
		t.Error("rows that are not due were removed")
	}
	if n := len(s.recorded(audit.KindClock)); n != 6 { // those that died before the end were said twice
		t.Errorf("%d entries are on record, want 6", n)
	}
}
