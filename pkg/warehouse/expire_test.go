package warehouse_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// store puts one row for each sequence into an expiry day, all of which
// occurred at one instant. The days of the tests are ahead of the wall clock:
// the engine's own TTL disposes of others.
func (s *site) store(w *warehouse.Warehouse, day event.Day, occurred time.Time, seqs ...uint64) {
	s.t.Helper()
	b := warehouse.NewBatch(s.table("visit"), day)
	for i, seq := range seqs {
		row := s.visit(occurred, byte(i), true)
		row.ExpiresAt = day.Start().Add(12 * time.Hour)
		b.Append(warehouse.Source{Tenant: "acme", Service: "shop", Seq: seq, Columns: []string{"status"}}, []event.Row{row})
	}
	insert(s.t, w, b, "")
}

func TestRowsAreCountedAgainstSequences(t *testing.T) {
	s := start(t)
	admin, retention := s.applied(), s.as(warehouse.UserRetention)
	s.store(admin, "2038-05-01", noon, 3, 5, 9)
	s.store(admin, "2038-05-02", noon, 7)
	count := func(days warehouse.Days) []warehouse.Tally {
		t.Helper()
		got, err := retention.Count(t.Context(), "visit", days, 4, 7)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	first := warehouse.Tally{Day: "2038-05-01", Rows: 2, New: 1, Ahead: 1, Last: 9}
	second := warehouse.Tally{Day: "2038-05-02", Rows: 1, New: 1, Last: 7}
	for _, c := range []struct {
		days warehouse.Days
		want []warehouse.Tally
	}{
		{warehouse.Days{}, []warehouse.Tally{first, second}},
		{warehouse.Days{To: "2038-05-01"}, []warehouse.Tally{first}},
		{warehouse.Days{From: "2038-05-02"}, []warehouse.Tally{second}},
		{warehouse.Days{From: "2038-05-03"}, []warehouse.Tally{}},
	} {
		if diff := cmp.Diff(c.want, count(c.days)); diff != "" {
			t.Errorf("days %v (-want +got):\n%s", c.days, diff)
		}
	}
	if _, err := retention.Count(t.Context(), "visit; SELECT 1", warehouse.Days{}, 0, 1); !errors.Is(err, fault.Invalid) {
		t.Errorf("a table of that name: %v", err)
	}
}

func TestPartitionsOfARebuildAreFoundAndDropped(t *testing.T) {
	s := start(t)
	s.applied()
	staged, err := s.as(warehouse.UserRebuild).Stage(t.Context(), s.pol, 2)
	if err != nil {
		t.Fatal(err)
	}
	retention := s.as(warehouse.UserRetention)
	s.store(s.as(warehouse.UserLoader), "2038-05-01", noon, 1)
	s.store(staged, "2038-05-01", noon, 1, 2)
	list := func() []warehouse.Partition {
		t.Helper()
		parts, err := retention.Partitions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return parts
	}
	live := warehouse.Partition{Database: "lethe", Table: "visit", Day: "2038-05-01", Rows: 1}
	copied := warehouse.Partition{Database: "lethe_rebuild", Table: "visit", Day: "2038-05-01", Rows: 2}
	if diff := cmp.Diff([]warehouse.Partition{live, copied}, list()); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if err := retention.DropIn(t.Context(), "lethe_rebuild", "visit", "2038-05-01"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]warehouse.Partition{live}, list()); diff != "" {
		t.Errorf("after (-want +got):\n%s", diff)
	}
	if err := s.as(warehouse.UserRebuild).Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := retention.DropIn(t.Context(), "lethe_rebuild", "visit", "2038-05-01"); err != nil {
		t.Errorf("a rebuild that has ended: %v", err)
	}
	if err := retention.DropIn(t.Context(), "system", "visit", "2038-05-01"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a database of the engine: %v", err)
	}
}

func TestATableThatIsNotPartitionedByDayHidesNoOther(t *testing.T) {
	s := start(t)
	admin := s.applied()
	s.store(admin, "2038-05-01", noon, 1)
	for _, sql := range []string{
		"CREATE TABLE lethe.stray (a UInt8) ENGINE = MergeTree ORDER BY a", "INSERT INTO lethe.stray VALUES (1)",
	} {
		if err := exec(t.Context(), admin, sql); err != nil {
			t.Fatal(err)
		}
	}
	parts, err := s.as(warehouse.UserRetention).Partitions(t.Context())
	if !errors.Is(err, fault.Conflict) {
		t.Errorf("the stray table is not named: %v", err)
	}
	if len(parts) != 1 || parts[0].Table != "visit" {
		t.Errorf("it found %v", parts)
	}
}
