package retention_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
)

// These tests hold the reasons why forgetting is cheap; BenchmarkExpireDay
// measures how cheap.

// parts are the engine's parts: their names and when they were written, by
// table and day. A part that is written anew has another name.
func (s *site) parts() map[string]string {
	s.t.Helper()
	r, err := s.admin.Rows(s.t.Context(), `
SELECT concat(table, ' ', partition), arrayStringConcat(arraySort(groupArray(concat(name, ' ', toString(modification_time), ' ', hash_of_all_files))), ', ')
FROM system.parts WHERE active AND database = 'lethe' AND table != 'clock' GROUP BY table, partition`, nil)
	must(s.t, err)
	out := map[string]string{}
	for _, row := range r.Rows {
		out[row[0].(string)] = row[1].(string)
	}
	return out
}

// mutations are the deletions of rows that the engine knows of: each writes
// parts anew.
func (s *site) mutations() uint64 {
	s.t.Helper()
	r, err := s.admin.Rows(s.t.Context(), "SELECT count() FROM system.mutations WHERE database = 'lethe'", nil)
	must(s.t, err)
	return r.Rows[0][0].(uint64)
}

// asked is how many queries and statements the engine was ever sent.
func (s *site) asked() uint64 { return s.counted("Query") }

// counted is how often something has happened since the engine started.
func (s *site) counted(event string) uint64 {
	s.t.Helper()
	r, err := s.admin.Rows(s.t.Context(), "SELECT sum(value) FROM system.events WHERE event = {event:String}", map[string]any{"event": event})
	must(s.t, err)
	return r.Rows[0][0].(uint64)
}

func TestExpiringADayWritesNoOtherPartitionAnew(t *testing.T) {
	s := start(t)
	for d := range 20 {
		s.store(s.in(d), 2)
	}
	first := s.table.Name + " " + string(s.in(0))
	want := s.parts()
	if len(want) != 20 || want[first] == "" {
		t.Fatalf("there are %d partitions", len(want))
	}
	s.now = s.now.AddDate(0, 0, 1)
	s.run()
	delete(want, first)
	if diff := cmp.Diff(want, s.parts()); diff != "" {
		t.Errorf("a partition was dropped, and of the others changed (-before +after):\n%s", diff)
	}
	if n := s.mutations(); n != 0 {
		t.Errorf("%d mutations were sent", n)
	}

	// The control: a row that is removed by itself has its part written anew.
	day := s.in(3)
	s.rows(day, s.now, 1, 1)
	before := s.parts()
	s.removeByHand(day)
	if after := s.parts(); cmp.Equal(before, after) || s.mutations() != 1 {
		t.Error("a mutation is not seen")
	}
}

func TestRunsWithNothingDueChangeNothingAndAreOnRecordOnceADay(t *testing.T) {
	s := start(t)
	for d := range 5 {
		s.store(s.in(d+5), 2)
	}
	s.now = event.DayOf(s.now).Start().Add(time.Hour)
	r := s.retention()
	parts := s.parts()
	for day := 1; day <= 3; day++ {
		for range 8 {
			must(t, r.Once(t.Context()))
			s.now = s.now.Add(15 * time.Minute)
		}
		runs, all := s.recorded(audit.KindRun), s.recorded(audit.KindRun, audit.KindManifest, audit.KindRemoval, audit.KindRemoved, audit.KindKey)
		if len(runs) != day || len(all) != 2*day {
			t.Errorf("on %d days %d runs are on record, and %d entries in all", day, len(runs), len(all))
		}
		s.now = s.now.AddDate(0, 0, 1)
	}
	if diff := cmp.Diff(parts, s.parts()); diff != "" {
		t.Errorf("parts changed (-before +after):\n%s", diff)
	}
	if n := s.mutations(); n != 0 {
		t.Errorf("%d mutations were sent", n)
	}
}

// What came before a run is looked at by that run and by no later one.
func TestARunWithNothingToDoOpensNoPartASecondTime(t *testing.T) {
	s := start(t)
	r := s.retention()
	parts := func() uint64 {
		t.Helper()
		before := s.counted("SelectedParts") // that of the clock, which stands still, is one
		must(t, r.Once(t.Context()))
		return s.counted("SelectedParts") - before
	}
	s.store(s.in(1), 1)
	parts() // the first manifest
	few := parts()
	for d := range 24 {
		s.store(s.in(d+2), 1)
	}
	if control := parts(); control < 24 {
		t.Fatalf("the run after 24 parts came opened %d", control)
	}
	if many := parts(); many > few {
		t.Errorf("a run with nothing to do opens %d parts for one partition and %d for 25", few, many)
	}
}

func TestARunAsksTheEngineNoMoreOftenForMorePartitions(t *testing.T) {
	s := start(t)
	r := s.retention()
	queries := func() uint64 {
		t.Helper()
		before := s.asked()
		must(t, r.Once(t.Context()))
		return s.asked() - before
	}
	s.store(s.in(1), 1)
	queries() // the first manifest
	s.now = s.now.Add(15 * time.Minute)
	few := queries()
	for d := range 24 {
		s.store(s.in(d+2), 1)
	}
	s.now = s.now.Add(15 * time.Minute)
	queries() // it looks at what came
	s.now = s.now.Add(15 * time.Minute)
	if many := queries(); many != few || few == 0 {
		t.Errorf("a run with nothing to do sends %d queries for one partition and %d for 25", few, many)
	}

	// A day that expires costs as much whatever else is there. The control: it
	// costs more than none.
	s.now = s.now.AddDate(0, 0, 2)
	dropOfMany := queries()
	for d := 2; d < 24; d++ {
		must(t, s.own.DropIn(t.Context(), "lethe", s.table.Name, s.in(d)))
	}
	s.now = s.now.AddDate(0, 0, 1)
	if dropOfFew := queries(); dropOfFew != dropOfMany || dropOfFew <= few {
		t.Errorf("expiring one of two days sends %d queries, one of 25 sends %d, none %d", dropOfFew, dropOfMany, few)
	}
}
