package warehouse_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// thinned is a table in which a rule became shorter.
type thinned struct {
	*site
	admin, retention *warehouse.Warehouse
	before           time.Time
}

func thin(t *testing.T) *thinned {
	t.Helper()
	s := start(t)
	return &thinned{site: s, admin: s.applied(), retention: s.as(warehouse.UserRetention), before: noon.Truncate(24 * time.Hour)}
}

// early counts what is past the shorter rule, against the sequences 0 and 5.
func (s *thinned) early(days warehouse.Days) []warehouse.Tally {
	s.t.Helper()
	got, err := s.retention.Early(s.t.Context(), "visit", s.before, days, 0, 5)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// mixed stores rows of both rules in one part: the second and the third row are
// past the shorter one.
func (s *thinned) mixed(day event.Day, seq uint64) {
	s.t.Helper()
	b := warehouse.NewBatch(s.table("visit"), day)
	for i, occurred := range []time.Time{noon, noon.AddDate(0, 0, -60), noon.AddDate(0, 0, -61)} {
		row := s.visit(occurred, byte(i), true)
		row.ExpiresAt = day.Start().Add(12 * time.Hour)
		b.Append(warehouse.Source{Tenant: "acme", Service: "shop", Seq: seq, Columns: []string{"status"}}, []event.Row{row})
	}
	insert(s.t, s.admin, b, "")
}

func (s *thinned) remove(days ...event.Day) {
	s.t.Helper()
	if err := s.retention.RemoveEarly(s.t.Context(), "visit", days, s.before, 5); err != nil {
		s.t.Fatal(err)
	}
}

// await waits until nothing is under way.
func (s *thinned) await() {
	s.t.Helper()
	for range 60 {
		left, err := s.retention.Removing(s.t.Context(), "visit")
		if err != nil {
			s.t.Fatal(err)
		}
		if left.Parts == 0 {
			return
		}
	}
	s.t.Fatal("the engine does not come to an end")
}

func (s *thinned) statement(sql string) {
	s.t.Helper()
	if err := exec(s.t.Context(), s.as(lethetest.Overseer), sql); err != nil {
		s.t.Fatal(err)
	}
}

// parts are the names of the parts of a day.
func (s *thinned) parts(day event.Day) string {
	s.t.Helper()
	return one[string](s.t, s.retention, "SELECT arrayStringConcat(arraySort(groupArray(name)), ' ') FROM system.parts"+
		" WHERE database = 'lethe' AND table = 'visit' AND active AND rows > 0 AND partition = '"+string(day)+"'")
}

// TestRowsPastAShorterRuleGoAndTheOthersOfTheirDayStay: P4.
func TestRowsPastAShorterRuleGoAndTheOthersOfTheirDayStay(t *testing.T) {
	s := thin(t)
	const day, other = event.Day("2038-07-01"), event.Day("2038-07-02")
	days := warehouse.Days{From: day, To: day}
	s.mixed(day, 1)
	s.store(s.admin, day, noon.AddDate(0, 0, -60), 9) // being loaded
	s.store(s.admin, other, noon.AddDate(0, 0, -60), 4)
	if diff := cmp.Diff([]warehouse.Tally{{Day: day, Rows: 2, New: 2, Ahead: 1, Last: 9}}, s.early(days)); diff != "" {
		t.Fatalf("before (-want +got):\n%s", diff)
	}
	for range 2 { // it can be done again
		s.remove(day)
		s.await()
		if diff := cmp.Diff([]warehouse.Tally{{Day: day, Ahead: 1, Last: 9}}, s.early(days)); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}
		if n := count(t, s.admin, "visit"); n != 3 {
			t.Errorf("%d rows are left: want the one of the present rule, the one that is being loaded, and the one of another day", n)
		}
	}
	if err := s.retention.RemoveEarly(t.Context(), "visit", nil, s.before, 5); !errors.Is(err, fault.Invalid) {
		t.Errorf("a removal of no day: %v", err)
	}
}

func TestPartsThatAreWhollyPastAShorterRuleGoAndNoOtherIsWrittenAnew(t *testing.T) {
	s := thin(t)
	const day, next = event.Day("2038-07-01"), event.Day("2038-07-02")
	s.statement("SYSTEM STOP MERGES lethe.visit")
	s.store(s.admin, day, noon.AddDate(0, 0, -60), 1, 2, 3)
	s.store(s.admin, day, noon.AddDate(0, 0, -60), 4, 9) // one is being loaded
	s.mixed(day, 5)
	s.store(s.admin, day, noon, 5)
	s.store(s.admin, next, noon.AddDate(0, 0, -60), 5)
	before, others := s.parts(day), s.parts(next)
	for range 2 { // it can be done again
		if err := s.retention.DropEarly(t.Context(), "visit", day, s.before, 5); err != nil {
			t.Fatal(err)
		}
		if n := count(t, s.admin, "visit"); n != 7 {
			t.Errorf("%d rows are left, want all but the three that have a part to themselves", n)
		}
	}
	if after := s.parts(day); len(before) <= len(after) || before[len(before)-len(after):] != after {
		t.Errorf("of the parts %s there are %s, want all but the first", before, after)
	}
	if after := s.parts(next); after != others {
		t.Errorf("the part of another day was %s and is %s", others, after)
	}
	if n := one[uint64](t, s.admin, "SELECT count() FROM system.mutations"); n != 0 {
		t.Errorf("%d mutations were asked for", n)
	}
	if err := s.retention.DropEarly(t.Context(), "nothing", day, s.before, 5); !errors.Is(err, fault.NotFound) {
		t.Errorf("a table that is not there: %v", err)
	}
}

// What is remembered of parts must not hide one that came or changed.
func TestEarlyOpensEachPartOnceAndMissesNone(t *testing.T) {
	s := thin(t)
	const day = event.Day("2038-07-01")
	days := warehouse.Days{From: day}
	opened := func() uint64 {
		t.Helper()
		// The engine counts what has happened since it started.
		return one[uint64](t, s.admin, "SELECT sum(value) FROM system.events WHERE event = 'SelectedParts'")
	}
	rows := func() (n uint64) {
		t.Helper()
		for _, d := range s.early(days) {
			n += d.Rows
		}
		return n
	}
	for i := range 20 {
		s.store(s.admin, event.DayOf(day.Start().AddDate(0, 0, i)), noon, 1)
	}
	begin := opened()
	if n := rows(); n != 0 {
		t.Fatalf("%d rows are early", n)
	}
	first := opened() - begin
	if n := rows(); n != 0 || first < 20 {
		t.Fatalf("%d rows are early, and %d parts were opened", n, first)
	}
	if again := opened() - begin - first; again != 0 {
		t.Errorf("%d parts were opened again", again)
	}
	s.store(s.admin, day, noon.AddDate(0, 0, -60), 1, 2)
	if n := rows(); n != 2 {
		t.Errorf("of 2 rows in a part that came %d are found", n)
	}
	s.statement("OPTIMIZE TABLE lethe.visit PARTITION '" + string(day) + "' FINAL")
	if n := rows(); n != 2 {
		t.Errorf("of 2 rows in a part that was merged %d are found", n)
	}
	s.remove(day)
	s.await()
	if n := rows(); n != 0 {
		t.Errorf("%d rows are found that were removed", n)
	}
	// An instant that moves on finds what it did not find before.
	s.before = noon.AddDate(0, 0, 1)
	if n := rows(); n != 20 {
		t.Errorf("of 20 rows that an instant has passed %d are found", n)
	}
	s.statement("ALTER TABLE lethe.visit DROP PARTITION '" + string(day) + "'")
	if n := rows(); n != 19 {
		t.Errorf("of 19 rows that are left %d are found", n)
	}
}

func TestARemovalIsWaitedForByWhoeverComesNext(t *testing.T) {
	s := thin(t)
	defer warehouse.SetRemovingWait(time.Nanosecond)()
	const day = event.Day("2038-07-01")
	s.mixed(day, 1)
	s.statement("SYSTEM STOP MERGES lethe.visit")
	s.remove(day)
	for range 2 {
		left, err := s.as(warehouse.UserRetention).Removing(t.Context(), "visit")
		if err != nil || left.Parts == 0 || left.Failing {
			t.Fatalf("what the engine has not come to yet: %+v, %v", left, err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.retention.Removing(canceled, "visit"); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever waits and has to end: %v", err)
	}
	s.statement("SYSTEM START MERGES lethe.visit")
	restore := warehouse.SetRemovingWait(time.Second)
	defer restore()
	s.await()
	if n := count(t, s.admin, "visit"); n != 1 {
		t.Errorf("%d rows are left, want 1", n)
	}
}

func TestARemovalThatFailsIsGivenUpAndWhatOthersAskedForIsNot(t *testing.T) {
	s := thin(t)
	defer warehouse.SetRemovingWait(time.Nanosecond)()
	const day = event.Day("2038-07-01")
	s.mixed(day, 1)
	under := func() uint64 {
		t.Helper()
		return one[uint64](t, s.admin, "SELECT count() FROM system.mutations WHERE NOT is_done")
	}
	failing := "ALTER TABLE lethe.visit DELETE WHERE expiry_day IN ('2038-07-01') AND occurred_at < fromUnixTimestamp64Milli(toInt64(2114380800000), 'UTC')" +
		" AND log_seq <= 5 AND throwIf(status >= 0) = 0 SETTINGS mutations_sync = 0"
	if err := exec(t.Context(), s.as(lethetest.Overseer), failing); err != nil {
		t.Fatal(err)
	}
	for left := (warehouse.Removal{}); !left.Failing; {
		var err error
		if left, err = s.retention.Removing(t.Context(), "visit"); err != nil || left.Parts == 0 {
			t.Fatalf("a removal that fails: %+v, %v", left, err)
		}
	}
	if err := s.retention.GiveUp(t.Context(), "visit"); err != nil || under() != 0 {
		t.Errorf("given up, and %d are under way: %v", under(), err)
	}
	// The control: what retention did not ask for is not its to end.
	s.statement("SYSTEM STOP MERGES lethe.visit")
	if err := exec(t.Context(), s.retention, "ALTER TABLE lethe.visit DELETE WHERE log_seq = 77 SETTINGS mutations_sync = 0"); err != nil {
		t.Fatal(err)
	}
	s.remove(day)
	if n := under(); n != 2 {
		t.Fatalf("%d removals are under way, want 2", n)
	}
	if err := s.retention.GiveUp(t.Context(), "visit"); err != nil || under() != 1 {
		t.Errorf("%d removals are under way, want that of somebody else: %v", under(), err)
	}
}
