package retention_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// shortened is a world in which a rule has just become shorter: rows of
// http_access that came under it lie in days to come, each with one of the
// present rule. Another table has a day that has ended.
type shortened struct {
	*world
	t *testing.T
	r *retention.Retention
}

func shorten(t *testing.T, days int) *shortened {
	t.Helper()
	now := time.Date(2028, 3, 31, 12, 0, 0, 0, time.UTC)
	s := &shortened{world: newWorld(changed(t, "access", "period: 30 days", "period: 10 days"), now), t: t}
	add := func(table string, day event.Day, occurred time.Time) {
		of, _ := s.pol.Table(table)
		seq, _ := s.seal(of, day)
		s.bring(row{warehouse.DefaultDatabase, table, day, occurred, seq})
	}
	add("app_log", event.DayOf(now.AddDate(0, 0, -1)), now.AddDate(0, 0, -91))
	for d := 1; d <= days; d++ {
		day := event.DayOf(now.AddDate(0, 0, d))
		add("http_access", day, now.AddDate(0, 0, -30)) // shares a part, see memoryWarehouse
		add("http_access", day, now.AddDate(0, 0, -29)) // has one to itself
		add("http_access", day, now.AddDate(0, 0, -1))
	}
	s.r = retention.New(s.config())
	return s
}

// left counts rows of the longer rule, of the shorter one, and of other tables.
func (s *shortened) left() (old, young, other int) {
	for _, r := range s.rows {
		switch {
		case r.table != "http_access":
			other++
		case r.occurred.Before(s.now.AddDate(0, 0, -10)):
			old++
		default:
			young++
		}
	}
	return old, young, other
}

func (s *shortened) addsUp() {
	s.t.Helper()
	sums, err := s.sums()
	must(s.t, err)
	for _, sum := range sums {
		for _, w := range sum.Wrong {
			s.t.Error(w.Sentence)
		}
	}
}

func (s *shortened) wait() { s.now = s.now.Add(15 * time.Minute) }

// However many days a longer rule reached ahead, they are one announcement, and
// one removal by the engine.
func TestAShorterRuleIsOneRemovalByTheEngineForEachTable(t *testing.T) {
	s := shorten(t, 700)
	must(t, s.r.Once(t.Context()))
	if old, young, other := s.left(); old != 0 || young != 700 || other != 0 {
		t.Errorf("%d rows of the longer rule, %d of the shorter one and %d that have expired are left", old, young, other)
	}
	if len(s.removals) != 1 {
		t.Errorf("the engine was asked %d times", len(s.removals))
	}
	var said, gone int
	for _, e := range s.recorded(audit.KindRemoval) {
		var r audit.Removal
		must(t, json.Unmarshal(e.Detail, &r))
		if r.Reason == audit.ReasonShortened {
			said++
		}
		if r.Reason == audit.ReasonShortened && len(r.Partitions) != 700 {
			t.Errorf("%d partitions were announced", len(r.Partitions))
		}
	}
	for _, e := range s.recorded(audit.KindRemoved) {
		var r audit.Removed
		must(t, json.Unmarshal(e.Detail, &r))
		gone += len(r.Partitions)
	}
	if said != 1 || gone != 701 {
		t.Errorf("%d announcements of a shorter rule are on record, and %d partitions were confirmed", said, gone)
	}
	s.addsUp()
}

func TestAnEngineThatStallsIsWaitedForAskedOnceAndKeepsNothingElse(t *testing.T) {
	s := shorten(t, 3)
	s.stalls = true
	for i := range 2 {
		if err := s.r.Once(t.Context()); !errors.Is(err, fault.Unavailable) {
			t.Errorf("run %d ended with %v", i, err)
		}
		if old, young, other := s.left(); old != 3 || young != 3 || other != 0 {
			t.Errorf("run %d left %d rows of the longer rule, %d of the shorter one and %d that have expired", i, old, young, other)
		}
		if n := len(s.recorded(audit.KindManifest)); n != 0 {
			t.Errorf("after run %d %d manifests count what the engine is at", i, n)
		}
		s.wait()
	}
	due := event.DayOf(s.now) // a day of the table that ends meanwhile
	of, _ := s.pol.Table("http_access")
	seq, _ := s.seal(of, due)
	s.bring(row{warehouse.DefaultDatabase, "http_access", due, s.now.AddDate(0, 0, -9), seq})
	s.now = due.End().Add(time.Minute)
	if err := s.r.Once(t.Context()); err == nil {
		t.Error("a run that left something says that all is well")
	}
	if _, young, _ := s.left(); young != 3 {
		t.Errorf("%d rows of the shorter rule are left: a day that has ended waits for another one", young)
	}
	s.stalls = false
	s.r = retention.New(s.config()) // another process finds it under way
	must(t, s.r.Once(t.Context()))
	if old, young, _ := s.left(); old != 0 || young != 3 || len(s.removals) != 1 || s.givenUp != 0 {
		t.Errorf("%d and %d rows are left, the engine was asked %d times, %d were given up", old, young, len(s.removals), s.givenUp)
	}
	s.addsUp()
}

func TestARemovalThatFailsOrNeverEndsIsGivenUpAndAskedForAnew(t *testing.T) {
	for _, failing := range []bool{true, false} {
		s := shorten(t, 3)
		s.stalls, s.failing = true, failing
		runs := 0
		for ; s.givenUp == 0 && runs < 20; runs++ {
			if err := s.r.Once(t.Context()); !errors.Is(err, fault.Unavailable) {
				t.Errorf("a run ended with %v", err)
			}
			s.wait()
		}
		if want := map[bool]int{true: 1, false: 4}[failing]; runs != want {
			t.Errorf("failing %v: it was given up after %d runs, want %d", failing, runs, want)
		}
		s.stalls = false
		must(t, s.r.Once(t.Context()))
		if old, young, _ := s.left(); old != 0 || young != 3 {
			t.Errorf("%d rows of the longer rule and %d of the shorter one are left", old, young)
		}
		s.addsUp()
	}
}

// asking counts how often the engine is asked to remove single rows.
type asking struct {
	*warehouse.Warehouse
	times int
}

func (a *asking) RemoveEarly(ctx context.Context, table string, days []event.Day, before time.Time, floor uint64) error {
	a.times++
	return a.Warehouse.RemoveEarly(ctx, table, days, before, floor)
}

// On the real engine: P4, P10.
func TestARunThatDiesWhileTheEngineRemovesRowsIsMadeWholeByTheNext(t *testing.T) {
	s := start(t)
	day := s.in(9)
	f := s.store(day, 1)
	b := warehouse.NewBatch(s.table, day) // rows of both rules in one part
	var rows []event.Row
	for _, ago := range []int{21, 21, 1} {
		at := s.now.AddDate(0, 0, -ago)
		rows = append(rows, event.Row{
			Table: s.table.Name, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at,
			ExpiresAt: day.Start().Add(time.Hour), Values: make([]event.Value, len(s.table.Columns)),
		})
	}
	b.Append(warehouse.Source{Tenant: "acme", Service: "web", Seq: f.seq, Columns: s.table.ColumnNames()}, rows)
	must(t, s.admin.Insert(t.Context(), b, ""))
	s.run()
	if s.there(day) != 4 {
		t.Fatal("rows went that are within their rule")
	}
	s.pol = changed(t, "access", "period: 30 days", "period: 10 days")
	s.now = s.now.Add(time.Hour)
	asked := &asking{Warehouse: s.own}
	s.config.Warehouse = asked
	s.crash("asked")
	s.run()
	if n := s.there(day); n != 1 {
		t.Errorf("%d rows are there, want the one that the shorter rule keeps", n)
	}
	if asked.times != 1 {
		t.Errorf("the engine was asked %d times", asked.times)
	}
	s.addsUp()
}

func TestShorteningARuleWritesNothingAnewWhereRowsOfOneRuleShareAPart(t *testing.T) {
	s := start(t)
	for d := range 20 {
		s.store(s.in(d+5), 2)
	}
	s.pol = changed(t, "access", "period: 30 days", "period: 10 days")
	want := s.parts()
	s.run()
	for d := range 20 {
		if d+5 < 20 { // occurred more than 10 days ago
			delete(want, s.table.Name+" "+string(s.in(d+5)))
		}
	}
	got := s.parts()
	if len(got) != len(want) || len(got) == 20 || len(got) == 0 {
		t.Fatalf("%d partitions are left, want %d", len(got), len(want))
	}
	for name, part := range want {
		if got[name] != part {
			t.Errorf("%s was written anew", name)
		}
	}
	if n := s.mutations(); n != 0 {
		t.Errorf("%d mutations were sent", n)
	}
	s.addsUp()
}
