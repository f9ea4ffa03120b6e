package retention_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// hand puts a row into the table of Lethe's clock, as whoever may write there.
func (w *world) hand(at time.Time) { w.clock = at }

// TestAClockSetByHandRemovesNothing: P4, P10. It is on record once, named, and
// gone when its row is. The control is that a clock that is accepted removes.
func TestAClockSetByHandRemovesNothing(t *testing.T) {
	w, r, _ := clocks(t)
	own := w.clock
	ahead := w.now.AddDate(1, 0, 0)
	w.hand(ahead)
	for range 3 {
		w.now = w.now.Add(time.Hour)
		must(t, r.Once(t.Context()))
	}
	if len(w.rows) != 1 {
		t.Fatal("it removed a row that is not due")
	}
	if diff := cmp.Diff([]audit.Clock{{From: own, To: ahead, ByHand: true}}, w.said(t)); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	if n := r.Numbers(); n["clock_by_hand"] != 1 || n["clock"] != float64(w.now.Unix()) {
		t.Errorf("it says %v", n)
	}
	// Another process says so too, and goes by the same clock.
	r = retention.New(w.config())
	must(t, r.Once(t.Context()))
	if len(w.rows) != 1 || r.Numbers()["clock_by_hand"] != 1 {
		t.Errorf("another process leaves %d rows and says %v", len(w.rows), r.Numbers())
	}
	if at, err := retention.Clock(memoryBucket{w})(t.Context()); err != nil || !at.Equal(w.now) {
		t.Errorf("others are told %v, %v", at, err)
	}
	// The row is deleted.
	w.hand(own)
	must(t, r.Once(t.Context()))
	if n := r.Numbers(); n["clock_by_hand"] != 0 || !w.clock.Equal(w.now) || len(w.rows) != 1 {
		t.Errorf("after that, it says %v, and the clock stands at %v", n, w.clock)
	}
	// It comes again, and an operator says that it is right.
	w.hand(ahead)
	must(t, r.Once(t.Context()))
	must(t, r.ConfirmClock(t.Context()))
	must(t, r.Once(t.Context()))
	if said := w.said(t); !said[len(said)-1].Accepted || !said[len(said)-1].ByHand || len(w.rows) != 0 || r.Numbers()["clock_by_hand"] != 0 {
		t.Errorf("after it was accepted %d rows are left: %+v", len(w.rows), said)
	}
	// It is retention's own from then on, in whatever process.
	must(t, retention.New(w.config()).Once(t.Context()))
	if n := len(w.said(t)); n != 4 {
		t.Errorf("%d entries are on record", n)
	}
}

// A clock that somebody set by hand a little, or that the wall clock has reached,
// removes nothing before its time and is nobody's finding.
func TestAClockSetByHandWithinAnHourIsTheClock(t *testing.T) {
	w, r, _ := clocks(t)
	w.hand(w.now.Add(59 * time.Minute))
	must(t, r.Once(t.Context()))
	if len(w.said(t)) != 0 || r.Numbers()["clock_by_hand"] != 0 {
		t.Errorf("on record: %+v", w.said(t))
	}
}

// What is on record of retention stands in for what it did not remember before
// it did.
func TestAClockOfTheVersionBeforeIsRetentionsOwn(t *testing.T) {
	for _, recorded := range []bool{true, false} {
		w, r, _ := clocks(t)
		must(t, r.Once(t.Context()))
		delete(w.entries, "clock")
		w.now = w.now.AddDate(0, 0, -2) // set back
		if !recorded {
			delete(w.streams, eventlog.AuditStream)
		}
		r = retention.New(w.config())
		must(t, r.Once(t.Context()))
		if by := r.Numbers()["clock_by_hand"]; by != map[bool]float64{true: 0, false: 1}[recorded] {
			t.Errorf("on record %t: set by hand is %v", recorded, by)
		}
	}
}

// A Lethe that begins on a machine whose clock is far ahead does not take it for
// its own, and one in which nothing is stored follows a clock that is set right.
func TestTheFirstClockIsNotBelievedBlindly(t *testing.T) {
	w := newWorld(lethetest.BuiltIn(t), time.Date(2099, 3, 1, 0, 0, 0, 0, time.UTC))
	w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", "2026-06-01", w.now, 1})
	w.floors[eventlog.CleanConsumer] = 1
	r := retention.New(w.config())
	must(t, r.Once(t.Context()))
	if w.clock.Unix() > 0 || len(w.rows) != 1 || r.Numbers()["clock_held"] != 1 || len(w.said(t)) != 1 {
		t.Errorf("in 2099 the clock stands at %v, %d rows are left, on record %v", w.clock, len(w.rows), w.said(t))
	}
	w.now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	must(t, r.Once(t.Context()))
	if !w.clock.Equal(w.now) || len(w.rows) != 1 || r.Numbers()["clock_held"] != 0 {
		t.Errorf("when it is set right the clock stands at %v", w.clock)
	}

	// Wrong by less, and found out before anything came.
	w = newWorld(lethetest.BuiltIn(t), time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	r = retention.New(w.config())
	must(t, r.Once(t.Context()))
	if w.clock.Unix() > 0 {
		t.Errorf("with nothing stored the clock is set to %v for good", w.clock)
	}
	w.now = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	must(t, r.Once(t.Context()))
	w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", "2026-06-01", w.now, 1})
	must(t, r.Once(t.Context()))
	if !w.clock.Equal(w.now) || len(w.rows) != 1 {
		t.Errorf("the clock stands at %v, and %d rows are left", w.clock, len(w.rows))
	}
	// The control: with something stored it never goes back.
	before := w.clock
	w.now = w.now.AddDate(0, 0, -3)
	must(t, retention.New(w.config()).Once(t.Context()))
	if !w.clock.Equal(before) {
		t.Errorf("the clock went back to %v", w.clock)
	}
}
