package retention_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// clocks is a world whose clock is bounded, and a row that expires in 40 days.
func clocks(t *testing.T) (*world, *retention.Retention, event.Day) {
	t.Helper()
	w := newWorld(lethetest.BuiltIn(t), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	c := w.config()
	c.MaxJump = 0 // the default
	r := retention.New(c)
	day := event.DayOf(w.now.AddDate(0, 0, 40))
	w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", day, w.now, 1})
	w.floors[eventlog.CleanConsumer] = 1
	must(t, r.Once(t.Context()))
	return w, r, day
}

// said are the jumps on record.
func (w *world) said(t *testing.T) (out []audit.Clock) {
	t.Helper()
	for _, e := range w.recorded(audit.KindClock) {
		var c audit.Clock
		must(t, json.Unmarshal(e.Detail, &c))
		out = append(out, c)
	}
	return out
}

func TestTheClockIsSetByTheFirstRun(t *testing.T) {
	w, _, _ := clocks(t)
	if !w.clock.Equal(w.now) || len(w.said(t)) != 0 {
		t.Errorf("the clock stands at %v, and %v is on record", w.clock, w.said(t))
	}
}

func TestAJumpOfTheWallClockRemovesNothing(t *testing.T) {
	w, r, _ := clocks(t)
	begin := w.clock
	w.now = w.now.AddDate(5, 0, 0) // a clock that was set wrong
	jumped := w.now
	for range 3 {
		must(t, r.Once(t.Context()))
	}
	if len(w.rows) != 1 || !w.clock.Equal(begin) {
		t.Fatalf("it removed rows, or moved the clock to %v", w.clock)
	}
	if diff := cmp.Diff([]audit.Clock{{From: begin, To: jumped}}, w.said(t)); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
	if n := r.Numbers(); n["clock_held"] != 1 || n["clock_lag"] != w.now.Sub(begin).Seconds() {
		t.Errorf("it says %v", n)
	}
	// The wall clock is set right, and nothing has happened.
	w.now = begin.Add(time.Hour)
	must(t, r.Once(t.Context()))
	if len(w.rows) != 1 || !w.clock.Equal(w.now) || r.Numbers()["clock_held"] != 0 {
		t.Errorf("after that, the clock stands at %v", w.clock)
	}
}

func TestADayOfTheSameWallClockIsBelieved(t *testing.T) {
	w, r, _ := clocks(t)
	w.now = w.now.AddDate(0, 0, 60) // downtime
	for w.elapsed < retention.Believed {
		must(t, r.Once(t.Context()))
		if len(w.rows) != 1 {
			t.Fatalf("after %v it removed rows", w.elapsed)
		}
		w.elapsed += 6 * time.Hour
		w.now = w.now.Add(6 * time.Hour)
	}
	must(t, r.Once(t.Context()))
	if len(w.rows) != 0 || !w.clock.Equal(w.now) {
		t.Errorf("after a day %d rows are there, and the clock stands at %v", len(w.rows), w.clock)
	}
	if said := w.said(t); len(said) != 2 || said[0].Accepted || !said[1].Accepted {
		t.Errorf("on record: %+v", said)
	}
}

func TestAWallClockThatKeepsJumpingIsNotBelieved(t *testing.T) {
	w, r, _ := clocks(t)
	w.now = w.now.AddDate(0, 0, 60)
	for range 10 {
		must(t, r.Once(t.Context()))
		w.elapsed += 20 * time.Hour
		w.now = w.now.AddDate(0, 0, 30)
	}
	if len(w.rows) != 1 {
		t.Error("it removed rows")
	}
}

// TestAnOperatorConfirmsAJump: P10.
func TestAnOperatorConfirmsAJump(t *testing.T) {
	w, r, _ := clocks(t)
	if err := r.ConfirmClock(t.Context()); !errors.Is(err, fault.Conflict) {
		t.Errorf("with no jump: %v", err)
	}
	begin := w.clock
	w.now = w.now.AddDate(0, 0, 60)
	w.fail = func(deed string) error {
		if deed == "record" {
			return fault.Unavailable.Errorf("the stream is away")
		}
		return nil
	}
	if err := r.ConfirmClock(t.Context()); !errors.Is(err, fault.Unavailable) || !w.clock.Equal(begin) {
		t.Errorf("what is not on record moved the clock to %v: %v", w.clock, err)
	}
	w.fail = func(string) error { return nil }
	must(t, r.ConfirmClock(t.Context()))
	must(t, r.Once(t.Context()))
	if len(w.rows) != 0 {
		t.Error("after it was confirmed, the row is there")
	}
	if diff := cmp.Diff([]audit.Clock{{From: begin, To: w.now, Accepted: true}}, w.said(t)); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}

// TestTheClockMovesByAsMuchAsItMayAndNeverBack draws wall clocks.
func TestTheClockMovesByAsMuchAsItMayAndNeverBack(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(pol, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
		w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", event.Never, w.now, 1})
		c := w.config()
		c.MaxJump = 7 * 24 * time.Hour
		r := retention.New(c)
		if err := r.Once(rt.Context()); err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 20).Draw(rt, "runs") {
			before, since := w.clock, w.elapsed
			w.now = w.now.Add(time.Duration(rapid.Int64Range(-20*24, 20*24).Draw(rt, "hours")) * time.Hour)
			w.elapsed += time.Duration(rapid.IntRange(0, 10).Draw(rt, "minutes")) * time.Minute
			if err := r.Once(rt.Context()); err != nil {
				rt.Fatal(err)
			}
			moved := w.clock.Sub(before)
			if moved < 0 || moved > c.MaxJump || w.clock.After(before) && !w.clock.Equal(w.now) {
				rt.Fatalf("the clock moved by %v in %v", moved, w.elapsed-since)
			}
		}
	})
}

func TestRunsComeEveryQuarterOfAnHour(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(pol, time.Now())
		c := w.config()
		c.Now, c.Elapsed = time.Now, nil
		r := retention.New(c)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, func() {}) }()
		synctest.Wait()
		for i := range 5 {
			n := r.Numbers()
			if n["runs"] != float64(i+1) || n["next_run"] != float64(time.Now().Add(retention.Every).Unix()) || n["last_ok"] != float64(time.Now().Unix()) {
				t.Fatalf("after %d quarters: %v", i, n)
			}
			time.Sleep(retention.Every)
			synctest.Wait()
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestALeaseOfADeadProcessEndsAndThatOfALivingOneDoesNot(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(pol, time.Now())
		process := func(owner string) *retention.Retention {
			c := w.config()
			c.Now, c.Elapsed, c.Owner = time.Now, nil, owner
			return retention.New(c)
		}
		w.floors[eventlog.CleanConsumer] = 1
		// One that works for an hour, minute by minute.
		done := make(chan error)
		begin := time.Now()
		c := w.config()
		c.Now, c.Elapsed, c.Owner, c.Pause = time.Now, nil, "long", 50*time.Second
		long := retention.New(c)
		for d := range 60 {
			w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", event.DayOf(begin.AddDate(0, 0, -2-d)), begin, 1})
		}
		go func() { done <- long.Once(t.Context()) }()
		synctest.Wait()
		second := process("second")
		for time.Since(begin) < 45*time.Minute {
			if err := second.Once(t.Context()); !errors.Is(err, retention.ErrElsewhere) {
				t.Fatalf("after %v a second process ran beside a living one: %v", time.Since(begin), err)
			}
			time.Sleep(retention.RenewEvery)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		must(t, second.Once(t.Context()))
		if sums, err := w.sums(); err != nil || len(sums) != 2 || len(sums[0].Wrong)+len(sums[1].Wrong) > 0 {
			t.Errorf("what they did does not add up: %v, %v", sums, err)
		}

		// One that dies.
		dead := process("dead")
		dead.SetStep(func(string) { panic("dead") })
		func() {
			defer func() { _ = recover() }()
			_ = dead.Once(t.Context())
		}()
		died := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		third := process("third")
		go func() { done <- third.Run(ctx, func() {}) }()
		time.Sleep(retention.LeaseFor - time.Second)
		synctest.Wait()
		if n := third.Numbers()["runs"]; n != 0 {
			t.Errorf("the lease of a dead process was not respected for %v", time.Since(died))
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := third.Numbers()["runs"]; n != 1 {
			t.Errorf("%v after a process died its lease still stands", time.Since(died))
		}
		cancel()
		must(t, <-done)
	})
}

// A process that was suspended in the middle of a run finds its lease gone,
// and does nothing more.
func TestAProcessThatLostItsLeaseStopsAtOnce(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	w := newWorld(pol, time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	for d := range 3 {
		w.rows = append(w.rows, row{warehouse.DefaultDatabase, "app_log", event.DayOf(w.now.AddDate(0, 0, -2-d)), w.now, 1})
	}
	w.floors[eventlog.CleanConsumer] = 1
	slow, quick := w.config(), w.config()
	slow.Owner, quick.Owner = "slow", "quick"
	r, other := retention.New(slow), retention.New(quick)
	removed := 0
	r.SetStep(func(at string) {
		if at != "removed" {
			return
		}
		if removed++; removed > 1 {
			return
		}
		// Suspended here, while the other takes over.
		if err := other.Once(t.Context()); !errors.Is(err, retention.ErrElsewhere) {
			t.Errorf("the other did not wait: %v", err)
		}
		w.elapsed += retention.LeaseFor
		must(t, other.Once(t.Context()))
	})
	if err := r.Once(t.Context()); err == nil {
		t.Error("the run says that all is well")
	}
	if removed != 1 {
		t.Errorf("it removed %d partitions after it lost the lease", removed-1)
	}
	if len(w.rows) != 0 {
		t.Errorf("the other left %d rows", len(w.rows))
	}
	sums, err := w.sums()
	must(t, err)
	for _, s := range sums {
		for _, wrong := range s.Wrong {
			t.Error(wrong.Sentence)
		}
	}
}

func TestCutoffs(t *testing.T) {
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339, s)
		must(t, err)
		return v
	}
	for _, c := range []struct {
		name   string
		period policy.Period
		now    string
		want   string // what occurred before it is to be gone
	}{
		{"days", policy.Period{Days: 30}, "2026-05-31T00:00:00Z", "2026-05-01T00:00:00Z"},
		{"a second before midnight", policy.Period{Days: 30}, "2026-05-30T23:59:59Z", "2026-04-30T00:00:00Z"},
		{"over a leap day", policy.Period{Days: 30}, "2028-03-15T10:00:00Z", "2028-02-14T00:00:00Z"},
		{"a leap day and a year", policy.Period{Months: 12}, "2029-03-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"the day before that", policy.Period{Months: 12}, "2029-02-28T23:00:00Z", "2028-02-28T00:00:00Z"},
		{"the last of January and a month", policy.Period{Months: 1}, "2027-03-01T00:00:00Z", "2027-02-01T00:00:00Z"},
		{"the day before that", policy.Period{Months: 1}, "2027-02-28T12:00:00Z", "2027-01-28T00:00:00Z"},
		{"the last of February and a month", policy.Period{Months: 1}, "2027-03-29T00:00:00Z", "2027-03-01T00:00:00Z"},
		{"24 months", policy.Period{Months: 24}, "2028-06-01T00:00:00Z", "2026-06-01T00:00:00Z"},
		{"6 years", policy.Period{Months: 72}, "2032-02-29T00:00:00Z", "2026-03-01T00:00:00Z"},
		{"1970", policy.Period{Days: 30}, "1970-01-10T00:00:00Z", "1969-12-11T00:00:00Z"},
		{"2106", policy.Period{Months: 24}, "2106-02-08T00:00:00Z", "2104-02-08T00:00:00Z"},
		{"beyond the last day that a Date holds", policy.Period{Days: 30}, "2199-01-31T00:00:00Z", "2199-01-01T00:00:00Z"},
		// A class is in UTC: the zone that the clock is written in, and its
		// summer time, change nothing.
		{"clocks go forward", policy.Period{Days: 1}, "2026-03-29T03:30:00+02:00", "2026-03-28T00:00:00Z"},
		{"midnight elsewhere", policy.Period{Days: 1}, "2026-03-29T23:30:00-10:00", "2026-03-29T00:00:00Z"},
	} {
		if got := retention.Cutoff(c.period, at(c.now)); !got.Equal(at(c.want)) {
			t.Errorf("%s: at %s the cut-off of %v is %v, want %s", c.name, c.now, c.period, got, c.want)
		}
	}
	zone := time.FixedZone("tenant", 13*3600)
	rapid.Check(t, func(rt *rapid.T) {
		p := rapid.SampledFrom([]policy.Period{{Days: 1}, {Days: 30}, {Days: 90}, {Months: 1}, {Months: 12}, {Months: 24}, {Months: 72}}).Draw(rt, "period")
		now := time.Unix(rapid.Int64Range(0, 7e9).Draw(rt, "now"), 0).UTC()
		cut := retention.Cutoff(p, now)
		if !retention.Cutoff(p, now.In(zone)).Equal(cut) {
			rt.Fatal("the zone of the clock moves the cut-off")
		}
		occurred := cut.Add(time.Duration(rapid.Int64Range(-40*24*3600, 40*24*3600).Draw(rt, "seconds")) * time.Second)
		if gone := retention.Ended(event.DayOf(p.After(occurred)), now); gone != occurred.Before(cut) {
			rt.Fatalf("what occurred at %v is gone: %v; the cut-off is %v", occurred, gone, cut)
		}
	})
}

func TestTheGraceEndsADayAfterTheExpiryDay(t *testing.T) {
	day := event.Day("2028-02-29")
	for now, want := range map[string][2]bool{ // ended, late
		"2028-02-29T23:59:59Z": {false, false}, "2028-03-01T00:00:00Z": {true, false},
		"2028-03-01T22:59:59Z": {true, false}, "2028-03-01T23:00:00Z": {true, true}, "2028-03-02T00:00:00Z": {true, true},
	} {
		at, err := time.Parse(time.RFC3339, now)
		must(t, err)
		if got := [2]bool{retention.Ended(day, at), retention.Late(day, time.Time{}, at)}; got != want {
			t.Errorf("%s: ended and late are %v, want %v", now, got, want)
		}
	}
	if retention.Ended(event.Never, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Error("a lasting row has expired")
	}
}
