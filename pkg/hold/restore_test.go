package hold_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// backstop removes the rows of an expiry day as the engine's own TTL does:
// without asking anybody. pkg/assembly shows that it does.
func (s *site) backstop(day event.Day) {
	s.t.Helper()
	s.must(s.retention.DropIn(s.t.Context(), warehouse.DefaultDatabase, "visit", day))
}

// inTable counts the rows of the table itself, whatever their day.
func (s *site) inTable() (n uint64) {
	s.t.Helper()
	all, err := s.retention.Count(s.t.Context(), "visit", warehouse.Days{}, 0, 1<<62)
	s.must(err)
	for _, d := range all {
		n += d.Rows
	}
	return n
}

// TestABackstopTakesNoRowFromAHold: nothing was copied for days, and the engine
// removed the rows of it meanwhile. They are held all the same. The controls are
// that the table has none of them, and that what is made of it alone is nothing.
func TestABackstopTakesNoRowFromAHold(t *testing.T) {
	s := start(t)
	oldest := s.now.AddDate(0, 0, -30)
	s.publish("shop", oldest.Add(-time.Minute), 3) // past its rule already
	whole := s.publish("shop", oldest.Add(time.Minute), 5)
	partly := s.publish("shop", oldest.Add(-10*time.Millisecond), 13) // the last two are inside it
	s.publish("blog", oldest.Add(time.Minute), 7)
	s.publishAs("other", "shop", oldest.Add(time.Minute), 11, "")
	s.load()
	of := func(h *hold.Hold) { h.Services = []string{"shop"} }
	h := s.add(of)

	day := event.DayOf(oldest.AddDate(0, 0, 30))
	s.pass(5 * 24 * time.Hour)
	s.backstop(day)
	s.backstop(event.DayOf(oldest.Add(time.Minute).AddDate(0, 0, 30))) // another one about midnight
	young := s.publish("shop", s.now.Add(-time.Hour), 17)
	s.load()
	if n := s.inTable(); n != 17 {
		t.Fatalf("the table has %d rows: what follows shows nothing", n)
	}
	table, _ := s.pol.Table("visit")
	n, err := s.rows.CopyHeld(t.Context(), table, warehouse.Held{
		Hold: hold.NewID(), Until: h.Deadline, Tenant: h.Tenant, At: h.Added, Through: young - 1,
	})
	if s.must(err); n != 0 {
		t.Fatalf("%d rows can be had of the table: what follows shows nothing", n)
	}

	s.copy()
	want := map[uint64]int{whole: 5, partly: 2, young: 17}
	s.CheckWorld(h, want)
	s.copy()
	s.CheckWorld(h, want)
	// One that is added when the rule is over brings nothing back.
	late := s.add(of)
	s.copy()
	s.CheckWorld(late, map[uint64]int{young: 17})
}

// TestALateLoaderTakesNoRowFromAHold: the loader was away for longer than the
// grace, and loads no row of what ended meanwhile.
func TestALateLoaderTakesNoRowFromAHold(t *testing.T) {
	s := start(t)
	seq := s.publish("shop", s.now.AddDate(0, 0, -30).Add(time.Minute), 5)
	h := s.add(nil)
	s.pass(3 * 24 * time.Hour)
	s.load()
	if n := s.inTable(); n != 0 {
		t.Fatalf("the loader loaded %d rows", n)
	}
	s.copy()
	s.CheckWorld(h, map[uint64]int{seq: 5})
}

// An event that came twice, and of which the table had one row, is held once.
func TestARestoredEventThatCameTwiceIsHeldOnce(t *testing.T) {
	s := start(t)
	at := s.now.AddDate(0, 0, -30).Add(time.Minute)
	n := s.n
	first := s.publish("shop", at, 5)
	s.n = n
	s.publish("shop", at, 5)
	h := s.add(nil)
	s.pass(3 * 24 * time.Hour)
	s.load()
	s.copy()
	rows := s.heldRows(h)
	if len(rows) != 5 || slices.ContainsFunc(rows, func(r string) bool { return !strings.HasPrefix(r, fmt.Sprint(first, " ")) }) {
		t.Errorf("%d rows are held: %v", len(rows), rows)
	}
}

// TestNoCrashLosesOrDoublesARestoredRow: as for copies.
func TestNoCrashLosesOrDoublesARestoredRow(t *testing.T) {
	s := start(t)
	added, want := s.now, map[uint64]int{}
	for i := range 3 {
		want[s.publish("shop", added.AddDate(0, 0, -30).Add(time.Minute), i+1)] = i + 1
	}
	s.pass(3 * 24 * time.Hour)
	s.load()
	s.withEachFault(17, added, want)
}

// Where the frames are gone too, nothing can be restored, and nothing is kept
// waiting for it: retention destroys no key of theirs before they are copied.
func TestAFrameThatIsGoneKeepsNobodyWaiting(t *testing.T) {
	s := start(t)
	at := s.now.AddDate(0, 0, -30).Add(time.Minute)
	seq := s.publish("shop", at, 5)
	s.load()
	h := s.add(nil)
	day := event.DayOf(at.AddDate(0, 0, 30))
	s.pass(3 * 24 * time.Hour)
	s.backstop(day)
	table, _ := s.pol.Table("visit")
	s.must(s.keys.Retention().DestroyClean(t.Context(), table.Class.KeyName(), string(day)))
	s.copy()
	s.CheckWorld(h, map[uint64]int{})
	if got := s.get(h); got.Floor != seq {
		t.Errorf("the floor is %d, want %d", got.Floor, seq)
	}
}
