package warehouse_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func plan(t *testing.T, s *site, w *warehouse.Warehouse) []warehouse.Change {
	t.Helper()
	changes, err := w.Plan(t.Context(), s.pol)
	if err != nil {
		t.Fatal(err)
	}
	return changes
}

func TestApplyLeavesNothingToDo(t *testing.T) {
	s := start(t)
	w := s.as(warehouse.UserAdmin)
	if len(plan(t, s, w)) == 0 {
		t.Fatal("an empty engine has no drift")
	}
	for range 2 {
		s.applied()
		if changes := plan(t, s, w); len(changes) != 0 {
			t.Fatalf("after apply there is something to do: %+v", changes)
		}
	}
}

func TestSettingsThatPromisesLeanOnAreInForce(t *testing.T) {
	s := start(t)
	w := s.applied()
	setting := regexp.MustCompile(`(\w+) = (\d+)`)
	for _, table := range []string{"visit", "visit_lasting"} {
		full := one[string](t, w, "SELECT engine_full FROM system.tables WHERE database = 'lethe' AND name = '"+table+"'")
		got := map[string]string{}
		for _, m := range setting.FindAllStringSubmatch(full, -1) {
			got[m[1]] = m[2]
		}
		delete(got, "index_granularity")
		if diff := cmp.Diff(warehouse.TableSettings(), got); diff != "" {
			t.Errorf("table %s (-want +got):\n%s", table, diff)
		}
		if lasting := table == "visit_lasting"; strings.Contains(full, "TTL") == lasting {
			t.Errorf("table %s: %s", table, full)
		}
	}
	if got := one[string](t, w, "SELECT value FROM system.settings WHERE name = 'async_insert'"); got != "0" {
		t.Errorf("async_insert is %s: an insert would be answered before it is on disk", got)
	}
}

func TestDriftIsFoundAndMended(t *testing.T) {
	s := start(t)
	w := s.applied()
	for _, c := range []struct{ sql, sentence string }{
		{"ALTER TABLE lethe.visit DROP COLUMN size", "table visit: column size is missing"},
		{"ALTER TABLE lethe.visit MODIFY SETTING fsync_after_insert = 0, non_replicated_deduplication_window = 5",
			"table visit: settings fsync_after_insert, non_replicated_deduplication_window are not as they should be"},
		{"ALTER TABLE lethe.visit REMOVE TTL", `table visit: it has no TTL and should have "expiry_day + toIntervalDay(3)"`},
		{"ALTER TABLE lethe.visit MODIFY TTL expiry_day + toIntervalDay(30)",
			`table visit: its TTL is "expiry_day + toIntervalDay(30)" and should be "expiry_day + toIntervalDay(3)"`},
		{"ALTER TABLE lethe.visit_lasting MODIFY TTL expiry_day + toIntervalDay(30)",
			`table visit_lasting: it has the TTL "expiry_day + toIntervalDay(30)" and should have none`},
		{"ALTER TABLE lethe.visit COMMENT COLUMN path 'something else'", "table visit: column path is described otherwise"},
		{"ALTER TABLE lethe.visit MODIFY COMMENT 'mine'", "table visit: it does not say what it is"},
	} {
		if err := exec(t.Context(), w, c.sql); err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
		changes := plan(t, s, w)
		if len(changes) != 1 || changes[0].Sentence != c.sentence {
			t.Errorf("after %q: %+v", c.sql, changes)
		}
		s.applied()
		if left := plan(t, s, w); len(left) != 0 {
			t.Errorf("apply left %+v", left)
		}
	}
}

func TestColumnOfAnotherTypeTakesARebuild(t *testing.T) {
	s := start(t)
	w := s.applied()
	for _, sql := range []string{
		"ALTER TABLE lethe.visit MODIFY COLUMN status String",
		"ALTER TABLE lethe.visit ADD COLUMN stray String",
	} {
		if err := exec(t.Context(), w, sql); err != nil {
			t.Fatal(err)
		}
	}
	err := warehouse.Apply(t.Context(), w, s.pol)
	if !errors.Is(err, fault.Conflict) {
		t.Fatalf("apply says %v", err)
	}
	rebuild := s.as(warehouse.UserRebuild)
	if _, err := rebuild.Stage(t.Context(), s.pol, 2); err != nil {
		t.Fatal(err)
	}
	if err := rebuild.Swap(t.Context(), s.pol, 2); err != nil {
		t.Fatal(err)
	}
	if left := plan(t, s, w); len(left) != 0 {
		t.Errorf("after the rebuild: %+v", left)
	}
}

func TestTableThatLeftThePolicyIsNamedAndKept(t *testing.T) {
	s := start(t)
	w := s.applied()
	if err := exec(t.Context(), w, "CREATE TABLE lethe.former (a Int64) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	want := []warehouse.Change{{Table: "former", Sentence: "table former is not in the policy; its rows stay until they expire"}}
	if diff := cmp.Diff(want, plan(t, s, w)); diff != "" {
		t.Error(diff)
	}
	s.applied() // no error, and no change
	if diff := cmp.Diff(want, plan(t, s, w)); diff != "" {
		t.Error(diff)
	}
}
