package retention_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func (s *site) in(days int) event.Day { return event.DayOf(s.now.AddDate(0, 0, days)) }

// P4: an expired day is gone from the table, from the log, and for whoever
// kept a copy of the frame.
func TestAnExpiredDayIsGoneFromTableAndLogAndNoCopyOpens(t *testing.T) {
	s := start(t)
	past, today, future := s.in(-1), s.in(0), s.in(5)
	old, current, young := s.store(past, 3), s.store(today, 4), s.store(future, 5)

	// The control: before the run everything is there.
	if s.there(past) != 3 || !s.opens(old) || s.frames(past) != 1 {
		t.Fatal("the expired day was not there to begin with")
	}
	for range 2 { // a run can be done again
		s.run()
		if s.there(past) != 0 || s.opens(old) || s.frames(past) != 0 {
			t.Errorf("the expired day left %d rows, %d topics, frame opens: %v", s.there(past), s.frames(past), s.opens(old))
		}
		if s.there(today) != 4 || !s.opens(current) || s.there(future) != 5 || !s.opens(young) || s.frames(future) != 1 {
			t.Error("a day that has not ended was touched")
		}
	}
	s.addsUp()
}

func TestWhatIsRemovedIsOnRecordBeforeAndAfter(t *testing.T) {
	s := start(t)
	s.store(s.in(-1), 3)
	s.run()
	var said audit.Removal
	var gone audit.Removed
	var ran audit.Run
	for i, into := range []any{&said, &gone, &audit.Manifest{}, &ran} {
		entries := s.recorded(audit.KindRemoval, audit.KindRemoved, audit.KindManifest, audit.KindRun)
		if len(entries) != 4 {
			t.Fatalf("%d entries are on record", len(entries))
		}
		must(t, json.Unmarshal(entries[i].Detail, into))
	}
	want := audit.Partition{Table: s.table.Name, Day: s.in(-1), Rows: 3, New: 3}
	if said.Reason != audit.ReasonExpired || !said.Cutoff.Equal(s.in(0).Start()) || said.Floor != 1 ||
		len(said.Partitions) != 1 || said.Partitions[0] != want {
		t.Errorf("announced: %+v", said)
	}
	if gone.Removal != said.ID || len(gone.Partitions) != 1 || gone.Partitions[0] != want {
		t.Errorf("confirmed: %+v", gone)
	}
	if ran.Partitions != 1 || ran.Keys != 1 || ran.Frames != 1 || ran.Failures != 0 || ran.Policy != s.pol.Digest() || ran.Floor != 1 {
		t.Errorf("the run: %+v", ran)
	}
}

func TestARunThatComesAYearLateCatchesUp(t *testing.T) {
	s := start(t)
	var all []sealed
	for d := range 10 {
		all = append(all, s.store(s.in(d), 1))
	}
	s.now = s.now.AddDate(1, 0, 0)
	s.run()
	for _, f := range all {
		if s.there(f.day) != 0 || s.opens(f) {
			t.Errorf("expiry day %s outlived its rule", f.day)
		}
	}
	s.addsUp()
}

// broken fails to drop one table's partitions, as a table that is locked would.
type broken struct{ *warehouse.Warehouse }

func (broken) DropIn(context.Context, string, string, event.Day) error { return errors.New("locked") }

func TestWhatCannotBeDroppedKeepsNothingElseAlive(t *testing.T) {
	s := start(t)
	f := s.store(s.in(-1), 1)
	s.config.Warehouse = broken{s.own}
	r := s.retention()
	if err := r.Once(t.Context()); err == nil {
		t.Error("a run that left something says that all is well")
	}
	if s.opens(f) || s.frames(f.day) != 0 {
		t.Error("a partition that could not be dropped kept the key and the frames of its day")
	}
	if n := r.Numbers(); n["runs"] != 0 || n["last_run"] == 0 || n["last_ok"] != 0 {
		t.Errorf("it counts itself as a run that did all it had to: %v", n)
	}
	s.config.Warehouse = s.own
	s.run()
	if s.there(f.day) != 0 {
		t.Error("the next run did not drop it")
	}
	s.addsUp()
}

func TestALoaderThatWasSetBackIsNotCounted(t *testing.T) {
	s := start(t)
	s.store(s.in(9), 5)
	s.run()
	s.config.Log = behind{s.log}
	err := s.retention().Once(t.Context())
	if !errors.Is(err, fault.Conflict) {
		t.Errorf("the run ended with %v", err)
	}
	if n := len(s.recorded(audit.KindManifest)); n != 1 {
		t.Errorf("%d manifests are on record", n)
	}
}

// behind is a log whose loader has confirmed nothing.
type behind struct{ *eventlog.Log }

func (behind) Consumer(context.Context, string, string) (eventlog.ConsumerState, error) {
	return eventlog.ConsumerState{}, nil
}

func TestNothingRunsAheadOfTheLoader(t *testing.T) {
	s := start(t)
	day := s.in(-1)
	f := s.frame(day, 3)
	s.rows(day, s.table.Class.Period.Latest(day).Start(), f.seq, 3) // inserted, and not confirmed
	r := s.retention()
	s.now = s.in(0).Start().Add(time.Hour)
	must(t, r.Once(t.Context()))
	if s.there(day) != 3 || !s.opens(f) || s.frames(day) != 1 {
		t.Errorf("a round that is not confirmed lost rows (%d left), its key or its frames", s.there(day))
	}
	if n := r.Numbers()["held_back"]; n != 2 {
		t.Errorf("%v things wait, want the partition and the key", n)
	}
	s.load()
	must(t, r.Once(t.Context()))
	if s.there(day) != 0 || s.opens(f) || s.frames(day) != 0 {
		t.Error("after the loader confirmed it, it is still there")
	}
	s.addsUp()
}

func TestTheGraceIsKeptWhateverTheLoaderDoes(t *testing.T) {
	s := start(t)
	day := s.in(-1)
	f := s.frame(day, 3)
	s.frame(s.in(3), 1) // of a day that has not ended
	s.rows(day, s.table.Class.Period.Latest(day).Start(), f.seq, 3)
	s.now = day.End().Add(23*time.Hour - time.Second)
	s.run()
	if s.there(day) != 3 || !s.opens(f) {
		t.Fatal("it did not wait for the loader")
	}
	s.now = day.End().Add(23 * time.Hour)
	s.run()
	if s.there(day) != 0 || s.opens(f) || s.frames(day) != 0 {
		t.Error("it waits for the loader beyond the grace")
	}
	if n := s.lost(); n != 1 {
		t.Errorf("%d frames are on record as lost, want the one that was not loaded", n)
	}
	s.load()
	s.now = s.now.AddDate(0, 0, 1)
	s.run()
	s.addsUp()
}

// lost is how many frames are on record as lost.
func (s *site) lost() (n uint64) {
	s.t.Helper()
	for _, e := range s.recorded(audit.KindRun) {
		var r audit.Run
		must(s.t, json.Unmarshal(e.Detail, &r))
		n += r.LostFrames
	}
	return n
}

func TestTheCopyOfARebuildExpiresToo(t *testing.T) {
	s := start(t)
	past, future := s.in(-1), s.in(9)
	staged, err := s.as(warehouse.UserRebuild).Stage(t.Context(), s.pol, 2)
	must(t, err)
	s.rowsInto(staged, past, s.now.AddDate(0, 0, -31), 1, 2)
	s.rowsInto(staged, future, s.now, 1, 2)
	s.store(past, 2)
	s.run()
	parts, err := s.own.Partitions(t.Context())
	must(t, err)
	for _, p := range parts {
		if p.Day == past {
			t.Errorf("%s.%s still holds the expired day", p.Database, p.Table)
		}
	}
	if len(parts) != 1 || parts[0].Database != "lethe_rebuild" || parts[0].Rows != 2 {
		t.Errorf("what is left: %v", parts)
	}
	s.addsUp()
}

// P4: a period that became shorter acts on what is there, and on nothing else.
func TestAShorterPeriodRemovesWhatIsPastItAndNothingYounger(t *testing.T) {
	s := start(t)
	day := s.in(9)
	old := s.store(day, 3) // occurred 21 days ago
	s.run()
	if s.there(day) != 3 || !s.opens(old) {
		t.Fatal("rows went that are within their rule")
	}
	s.pol = changed(t, "access", "period: 30 days", "period: 10 days")
	s.table, _ = s.pol.Table("http_access")
	young := s.store(day, 4) // occurred yesterday, and is in the same partition
	s.crash("announced")
	s.run()
	if n := s.there(day); n != 4 {
		t.Errorf("%d rows are there, want the 4 that the shorter rule keeps", n)
	}
	if s.opens(old) {
		t.Error("the frames of what went still open")
	}
	if !s.opens(young) || s.frames(day) != 1 {
		t.Error("the frames of what stays are gone")
	}
	var said audit.Removal
	entries := s.recorded(audit.KindRemoval)
	must(t, json.Unmarshal(entries[len(entries)-1].Detail, &said))
	if said.Reason != audit.ReasonShortened || !said.Cutoff.Equal(s.in(-10).Start()) {
		t.Errorf("announced: %+v", said)
	}
	s.addsUp()

	// A longer period gives nothing its life back, and takes none.
	s.pol = changed(t, "access", "period: 30 days", "period: 60 days")
	s.run()
	if s.there(day) != 4 || !s.opens(young) {
		t.Error("a longer period removed something")
	}
	s.now = day.End()
	s.run()
	if s.there(day) != 0 || s.opens(young) {
		t.Error("a longer period kept what came under a shorter one")
	}
	s.addsUp()
}

func TestTheClockNeverGoesBack(t *testing.T) {
	s := start(t)
	at := s.now
	s.now = at.AddDate(0, 0, 3)
	s.run()
	s.now = at.AddDate(0, 0, -30)
	f := s.store(event.DayOf(at.AddDate(0, 0, 1)), 1) // expired by Lethe's clock, not by the wall's
	s.run()
	if s.there(f.day) != 0 || s.opens(f) {
		t.Error("a clock that was set back gave an expired row its life back")
	}
}

func TestASecondProcessDoesNotRunBesideTheFirst(t *testing.T) {
	s := start(t)
	f := s.store(s.in(-1), 1)
	s.config.Owner = "dead"
	s.crash("looked")
	s.config.Owner = "other"
	r := s.retention()
	for _, at := range []time.Duration{0, time.Minute, retention.LeaseFor - time.Second} {
		s.elapsed = at
		if err := r.Once(t.Context()); !errors.Is(err, retention.ErrElsewhere) {
			t.Fatalf("after %v a second process ran beside the first: %v", at, err)
		}
	}
	if s.there(f.day) != 1 {
		t.Error("a run that was not allowed removed rows")
	}
	s.elapsed = retention.LeaseFor
	must(t, r.Once(t.Context()))
	if s.there(f.day) != 0 {
		t.Error("what a dead process left was not taken over")
	}
	s.config.Owner = "third" // a lease that was given back keeps nobody
	s.run()
}
