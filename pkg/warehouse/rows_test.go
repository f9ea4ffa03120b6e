package warehouse_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func idsOf(rows ...event.Row) []event.ID {
	var ids []event.ID
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestParametersArriveAsTheyAre(t *testing.T) {
	s := start(t)
	s.applied()
	w := s.as(warehouse.UserAnalyst)
	hostile := []string{
		"", "plain", "'", `\`, `\'`, `\\`, "' OR 1=1 --", "a\tb\nc\rd", "\x00", "{a:String}", "NULL", `\N`, "ä€😀",
		"\xff\xfe", "`", `"`, "[1]", "%s", "\u202e",
	}
	for _, h := range hostile {
		r, err := w.Rows(t.Context(), "SELECT {a:String}, {list:Array(String)}, {token:FixedString(20)} = {token:FixedString(20)}", map[string]any{
			"a": h, "list": []string{h, "x", h}, "token": make([]byte, 20),
		})
		if err != nil {
			t.Fatalf("%q: %v", h, err)
		}
		if diff := cmp.Diff([]any{h, []string{h, "x", h}, uint8(1)}, r.Rows[0]); diff != "" {
			t.Errorf("%q (-want +got):\n%s", h, diff)
		}
	}
	at := time.Date(2026, 5, 4, 3, 2, 1, 7e6, time.UTC)
	r, err := w.Rows(t.Context(), "SELECT {at:DateTime64(3, 'UTC')}, {n:Int64}, {f:Float64}, {b:Bool}, {ns:Array(Int64)}, {none:Nullable(String)}", map[string]any{
		"at": at, "n": int64(-5), "f": 0.5, "b": true, "ns": []int64{1, -2}, "none": nil,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{at, int64(-5), 0.5, true, []int64{1, -2}, nil}, r.Rows[0]); diff != "" {
		t.Error(diff)
	}
}

// TestErrorsHoldNoValues: P1. The engine quotes what it cannot read.
func TestErrorsHoldNoValues(t *testing.T) {
	s := start(t)
	s.applied()
	w := s.as(warehouse.UserAnalyst)
	const canary = "canary@example.org"
	for _, q := range []struct {
		sql    string
		params map[string]any
	}{
		{"SELECT {n:Int64}", map[string]any{"n": canary}},
		{"SELECT toInt64({a:String})", map[string]any{"a": canary}},
		{"SELECT throwIf(1, '" + canary + "')", nil},
		{"SELECT `" + canary + "`", nil},
		{"SELECT * FROM lethe.`" + canary + "`", nil},
		{"not sql " + canary, nil},
		{"SELECT {missing:String}", map[string]any{"a": canary}},
	} {
		_, err := w.Rows(t.Context(), q.sql, q.params)
		if err == nil {
			t.Errorf("%s: no error", q.sql)
		} else if strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "example") {
			t.Errorf("an error quotes a value")
		}
	}
}

func TestErrorsHaveAKind(t *testing.T) {
	s := start(t)
	s.applied()
	w := s.as(warehouse.UserAnalyst)
	for _, q := range []struct {
		sql  string
		kind fault.Kind
	}{
		{"SELECT * FROM lethe.nothing", fault.NotFound},
		{"SELECT * FROM system.processes", fault.Denied},
		{"SELECT count() FROM numbers(10) SETTINGS max_rows_to_read = 5", fault.Exhausted},
		{"SELECT groupArray(number) FROM numbers(100000000) SETTINGS max_memory_usage = 1000000", fault.Exhausted},
		{"SELECT sleep(3), sleep(3) SETTINGS max_execution_time = 1, function_sleep_max_microseconds_per_block = 9000000", fault.Exhausted},
		{"SELECT throwIf(1)", ""},
	} {
		_, err := w.Rows(t.Context(), q.sql, nil)
		if err == nil || fault.KindOf(err) != q.kind {
			t.Errorf("%s: kind %q, want %q: %v", q.sql, fault.KindOf(err), q.kind, err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Rows(canceled, "SELECT 1", nil); !errors.Is(err, context.Canceled) || fault.KindOf(err) != "" {
		t.Errorf("a canceled caller: %v", err)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := w.Rows(late, "SELECT 1", nil); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a late caller: %v", err)
	}
	dated, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if _, err := w.Rows(dated, "SELECT 1", nil); err != nil {
		t.Errorf("a caller with more time than the analyst may take: %v", err)
	}
}

func TestFingerprintIsOfTheRowsAndNotOfTheirOrder(t *testing.T) {
	s := start(t)
	overseer, loader := s.applied(), s.as(warehouse.UserLoader)
	rows := []event.Row{s.visit(noon, 1, true), s.visit(noon, 2, true), s.visit(noon, 3, false)}
	fill := func(batches ...[]event.Row) []warehouse.Fingerprint {
		t.Helper()
		for _, b := range batches {
			insert(t, loader, s.batch(b...), "")
		}
		f, err := overseer.Fingerprint(t.Context(), s.pol)
		if err != nil {
			t.Fatal(err)
		}
		if err := exec(t.Context(), overseer, "ALTER TABLE lethe.visit DROP PARTITION '2026-12-21'"); err != nil {
			t.Fatal(err)
		}
		return f
	}
	want := fill(rows)
	if len(want) != 1 || want[0].Rows != 3 || want[0].Day != "2026-12-21" || want[0].Table != "visit" {
		t.Fatalf("%+v", want)
	}
	backwards := slices.Clone(rows)
	slices.Reverse(backwards)
	if got := fill(backwards[:1], backwards[1:]); !cmp.Equal(want, got) {
		t.Error("another order and other parts change the fingerprint")
	}
	changed := slices.Clone(rows)
	changed[1].Values = []event.Value{event.IntValue(200)}
	if got := fill(changed); got[0].Hash == want[0].Hash {
		t.Error("a changed value does not change the fingerprint")
	}
	if once, thrice := fill(rows[:1]), fill(rows[:1], rows[:1], rows[:1]); once[0].Hash == thrice[0].Hash {
		t.Error("equal rows cancel out")
	}
	null, zero := slices.Clone(rows[:1]), slices.Clone(rows[:1])
	b := func(v event.Value) []warehouse.Fingerprint {
		batch := warehouse.NewBatch(s.table("visit"), "2026-12-21")
		batch.Append(warehouse.Source{Columns: []string{"size"}}, []event.Row{{ID: null[0].ID, ExpiresAt: zero[0].ExpiresAt, Values: []event.Value{v}}})
		insert(t, loader, batch, "")
		return fill()
	}
	if b(event.Value{})[0].Hash == b(event.IntValue(0))[0].Hash {
		t.Error("null and zero have one fingerprint")
	}
}

func TestExchangeHappensOnce(t *testing.T) {
	s := start(t)
	admin := s.applied()
	insert(t, s.as(warehouse.UserLoader), s.batch(s.visit(noon, 1, true)), "")
	rebuild := s.as(warehouse.UserRebuild)
	staged, err := rebuild.Stage(t.Context(), s.pol, 2)
	if err != nil {
		t.Fatal(err)
	}
	insert(t, staged, s.batch(s.visit(noon, 1, true), s.visit(noon, 2, true)), "")
	if n := count(t, admin, "visit"); n != 1 {
		t.Fatalf("what is staged shows: %d rows", n)
	}
	for range 3 {
		if err := rebuild.Swap(t.Context(), s.pol, 2); err != nil {
			t.Fatal(err)
		}
		if n := count(t, admin, "visit"); n != 2 {
			t.Fatalf("%d rows", n)
		}
	}
	for range 2 {
		if err := rebuild.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := one[uint64](t, rebuild, "SELECT count() FROM system.databases WHERE name = 'lethe_rebuild'"); n != 0 {
		t.Error("what was exchanged is still there")
	}
	if n := count(t, admin, "visit"); n != 2 {
		t.Fatalf("%d rows", n)
	}
	// Staging starts from nothing whatever an earlier attempt left.
	for range 2 {
		if staged, err = rebuild.Stage(t.Context(), s.pol, 3); err != nil {
			t.Fatal(err)
		}
		insert(t, staged, s.batch(s.visit(noon, 1, true)), "t")
		if n := count(t, staged, "visit"); n != 1 {
			t.Fatalf("staged anew it holds %d rows", n)
		}
	}
	// A table that the live database lacks is moved there.
	if err := exec(t.Context(), rebuild, "DROP TABLE lethe.visit_lasting SYNC"); err != nil {
		t.Fatal(err)
	}
	if err := rebuild.Swap(t.Context(), s.pol, 3); err != nil {
		t.Fatal(err)
	}
	if left := plan(t, s, admin); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

// A question may be asked twice, so nothing else may be asked.
func TestAStatementThatChangesSomethingIsNoQuestion(t *testing.T) {
	s := start(t)
	admin := s.applied()
	before := count(t, admin, "clock")
	for user, sql := range map[string]string{
		warehouse.UserRetention: "INSERT INTO lethe.clock SELECT now64(3)",
		warehouse.UserRebuild:   "DROP TABLE lethe.visit",
		warehouse.UserAdmin:     "ALTER TABLE lethe.visit MODIFY COMMENT 'x'",
	} {
		w := s.as(user)
		if _, err := w.Rows(t.Context(), sql, nil); !errors.Is(err, fault.Denied) {
			t.Errorf("%s asks %q: %v", user, sql, err)
		}
	}
	if after := count(t, admin, "clock"); after != before {
		t.Errorf("the clock had %d rows and has %d", before, after)
	}
	// The control: it may do so otherwise.
	if err := exec(t.Context(), s.as(warehouse.UserRetention), "INSERT INTO lethe.clock SELECT now64(3)"); err != nil || count(t, admin, "clock") != before+1 {
		t.Errorf("what is no question: %v", err)
	}
}
