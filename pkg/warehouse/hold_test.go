package warehouse_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const holdID = "k5w2ordq4mzvcy3hnb7tjpae6x"

func (s *site) held(since, through uint64) warehouse.Held {
	return warehouse.Held{Hold: holdID, Until: event.DayOf(time.Now().AddDate(1, 0, 0)), Tenant: "acme", Since: since, Through: through}
}

// visits inserts n rows of one frame that occurred at an instant, and returns
// their ids.
func (s *site) visits(w *warehouse.Warehouse, tenant, service string, seq uint64, at time.Time, n int) {
	s.t.Helper()
	var rows []event.Row
	for i := range n {
		r := s.visit(at, byte(i), true)
		r.ID = event.NewID(at, [16]byte{byte(seq >> 8), byte(seq), byte(i >> 8), byte(i), tenant[0], service[0]})
		rows = append(rows, r)
	}
	b := warehouse.NewBatch(s.table("visit"), event.DayOf(rows[0].ExpiresAt))
	b.Append(warehouse.Source{Tenant: tenant, Service: service, Seq: seq, Columns: []string{"status"}}, rows)
	insert(s.t, w, b, "")
}

func (s *site) copy(w *warehouse.Warehouse, h warehouse.Held) uint64 {
	s.t.Helper()
	n, err := w.CopyHeld(s.t.Context(), s.table("visit"), h)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func TestHoldCopiesWhatItCoversAndNothingElse(t *testing.T) {
	s := start(t)
	s.applied()
	loader, w := s.as(warehouse.UserLoader), s.as(warehouse.UserHold)
	now := time.Now().UTC().Truncate(time.Millisecond)
	s.visits(loader, "acme", "shop", 1, now.Add(-time.Hour), 3)
	s.visits(loader, "acme", "shop", 2, now.AddDate(0, 0, -30), 5)    // past its rule, and not yet removed
	s.visits(loader, "acme", "blog", 3, now.Add(-time.Hour), 7)       // another service
	s.visits(loader, "other", "shop", 4, now.Add(-time.Hour), 11)     // another tenant
	s.visits(loader, "acme", "shop", 5, now.AddDate(0, 0, -2), 13)    // before From
	s.visits(loader, "acme", "shop", 6, now.Add(-30*time.Minute), 17) // at To
	s.visits(loader, "acme", "shop", 7, now.Add(-30*time.Minute-time.Millisecond), 19)
	s.visits(loader, "acme", "shop", 9, now.Add(-time.Hour), 23) // beyond the range
	h := s.held(0, 8)
	h.Services = []string{"shop", "no-such-service"}
	h.From, h.To = now.AddDate(0, 0, -1), now.Add(-30*time.Minute)
	for range 2 {
		if n := s.copy(w, h); n != 3+19 {
			t.Fatalf("%d rows are held, want %d", n, 3+19)
		}
	}
	got := rowsOf(t, w, "SELECT log_seq, count(), toString(min(hold_until)), min(hold), sum(status)"+
		" FROM lethe_hold.visit GROUP BY log_seq ORDER BY log_seq")
	until := string(h.Until)
	if diff := cmp.Diff([]string{
		fmt.Sprint([]any{uint64(1), uint64(3), until, holdID, int64(0 + 1 + 2)}),
		fmt.Sprint([]any{uint64(7), uint64(19), until, holdID, int64(18 * 19 / 2)}),
	}, got); diff != "" {
		t.Error(diff)
	}
	// The rest of the log, and all services at all times.
	open := s.held(8, 20)
	if n := s.copy(w, open); n != 23 {
		t.Errorf("of the next range %d rows are held, want 23", n)
	}
	if n, err := w.CountHeld(t.Context(), holdID); err != nil || n != 3+19+23 {
		t.Errorf("%d rows are held in all: %v", n, err)
	}
	// A hold of its own takes the same rows again.
	second := s.held(0, 8)
	second.Hold = "other"
	if n := s.copy(w, second); n != 3+7+13+17+19 {
		t.Errorf("the second hold keeps %d rows", n)
	}
}

func rowsOf(t *testing.T, w *warehouse.Warehouse, sql string) []string {
	t.Helper()
	r, err := w.Rows(t.Context(), sql, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, row := range r.Rows {
		out = append(out, fmt.Sprint(row))
	}
	return out
}

// TestHeldRowOutlivesItsOriginal: without the hold, the row is gone (control).
func TestHeldRowOutlivesItsOriginal(t *testing.T) {
	s := start(t)
	s.applied()
	loader, w, retention := s.as(warehouse.UserLoader), s.as(warehouse.UserHold), s.as(warehouse.UserRetention)
	now := time.Now()
	s.visits(loader, "acme", "shop", 1, now, 4)
	s.visits(loader, "acme", "blog", 2, now, 4)
	h := s.held(0, 2)
	h.Services = []string{"shop"}
	s.copy(w, h)
	if err := retention.DropIn(t.Context(), warehouse.DefaultDatabase, "visit", event.DayOf(s.table("visit").Class.ExpiresAt(now))); err != nil {
		t.Fatal(err)
	}
	verify := s.as(warehouse.UserVerify)
	if n := count(t, verify, "visit"); n != 0 {
		t.Errorf("%d originals are left", n)
	}
	if got := rowsOf(t, w, "SELECT service, count() FROM lethe_hold.visit GROUP BY service"); len(got) != 1 || got[0] != "[shop 4]" {
		t.Errorf("held: %v", got)
	}
	// A second look at the range takes nothing away.
	if n := s.copy(w, h); n != 4 {
		t.Errorf("%d rows are held", n)
	}

	for range 2 {
		if err := retention.DropHeld(t.Context(), holdID); err != nil {
			t.Fatal(err)
		}
	}
	if n := one[uint64](t, verify, "SELECT count() FROM lethe_hold.visit"); n != 0 {
		t.Errorf("%d rows are left of a hold that was dropped", n)
	}
}

func TestDroppingAHoldLeavesTheOthers(t *testing.T) {
	s := start(t)
	admin := s.applied()
	loader, w, retention := s.as(warehouse.UserLoader), s.as(warehouse.UserHold), s.as(warehouse.UserRetention)
	s.visits(loader, "acme", "shop", 1, time.Now(), 4)
	first, second := s.held(0, 1), s.held(0, 1)
	second.Hold = "x" + holdID[1:]
	s.copy(w, first)
	s.copy(w, second)
	if err := retention.DropHeld(t.Context(), holdID); err != nil {
		t.Fatal(err)
	}
	for hold, want := range map[string]uint64{first.Hold: 0, second.Hold: 4} {
		if n, err := retention.CountHeld(t.Context(), hold); err != nil || n != want {
			t.Errorf("%d rows are left, want %d: %v", n, want, err)
		}
	}
	// Rows of a table that left the policy go too.
	if err := exec(t.Context(), admin, "CREATE TABLE lethe_hold.former (hold LowCardinality(String), hold_until Date, log_seq UInt64)"+
		" ENGINE = MergeTree PARTITION BY (hold_until, hold) ORDER BY log_seq"); err != nil {
		t.Fatal(err)
	}
	if err := exec(t.Context(), w, "INSERT INTO lethe_hold.former VALUES ('"+second.Hold+"', '2030-01-01', 1)"); err != nil {
		t.Fatal(err)
	}
	if err := retention.DropHeld(t.Context(), second.Hold); err != nil {
		t.Fatal(err)
	}
	if n, err := retention.CountHeld(t.Context(), second.Hold); err != nil || n != 0 {
		t.Errorf("%d rows are left: %v", n, err)
	}
	for _, bad := range []string{"", "a'b", "A", "%"} {
		if err := retention.DropHeld(t.Context(), bad); !errors.Is(err, fault.Invalid) {
			t.Errorf("a hold that is none: %v", err)
		}
	}
}

func TestDriftOfHoldTablesIsFoundAndMended(t *testing.T) {
	s := start(t)
	admin := s.applied()
	s.visits(s.as(warehouse.UserLoader), "acme", "shop", 1, time.Now(), 4)
	for _, c := range []struct{ sql, sentence string }{
		{"ALTER TABLE lethe_hold.visit DROP COLUMN size", "table lethe_hold.visit: column size is missing"},
		{"ALTER TABLE lethe_hold.visit MODIFY TTL hold_until + toIntervalDay(300)",
			`table lethe_hold.visit: its TTL is "hold_until + toIntervalDay(300)" and should be "hold_until + toIntervalDay(3)"`},
		{"ALTER TABLE lethe_hold.visit REMOVE TTL", `table lethe_hold.visit: it has no TTL and should have "hold_until + toIntervalDay(3)"`},
		{"ALTER TABLE lethe_hold.visit MODIFY SETTING fsync_after_insert = 0",
			"table lethe_hold.visit: settings fsync_after_insert are not as they should be"},
		{"ALTER TABLE lethe_hold.visit COMMENT COLUMN path 'something else'", "table lethe_hold.visit: column path is described otherwise"},
		{"ALTER TABLE lethe_hold.visit MODIFY COMMENT 'mine'", "table lethe_hold.visit: it does not say what it is"},
		{"ALTER TABLE lethe_hold.visit MODIFY COLUMN path LowCardinality(String)",
			"table lethe_hold.visit: column path is LowCardinality(String) and should be String"},
		{"ALTER TABLE lethe_hold.visit ADD COLUMN stray String", "table lethe_hold.visit: column stray is not in the policy"},
	} {
		if err := exec(t.Context(), admin, c.sql); err != nil {
			t.Fatalf("%s: %v", c.sql, err)
		}
		if changes := plan(t, s, admin); len(changes) != 1 || changes[0].Sentence != c.sentence {
			t.Errorf("after %q: %+v", c.sql, changes)
		}
		s.applied()
		if left := plan(t, s, admin); len(left) != 0 {
			t.Errorf("apply left %+v", left)
		}
	}
	if changes := plan(t, s, s.as(warehouse.UserVerify)); len(changes) != 0 {
		t.Errorf("the verifier sees other tables: %+v", changes)
	}
	// What holds rows is not changed under them.
	s.copy(s.as(warehouse.UserHold), s.held(0, 1))
	if err := exec(t.Context(), admin, "ALTER TABLE lethe_hold.visit ADD COLUMN stray String"); err != nil {
		t.Fatal(err)
	}
	s.applied()
	if left := plan(t, s, admin); len(left) != 1 || left[0].Sentence != "table lethe_hold.visit: column stray is not in the policy" {
		t.Errorf("%+v", left)
	}
	// A table nobody knows is named.
	if err := exec(t.Context(), admin, "CREATE TABLE lethe_hold.former (a Int64) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	if left := plan(t, s, admin); len(left) != 2 ||
		left[1] != (warehouse.Change{Table: "lethe_hold.former", Sentence: "table lethe_hold.former is not in the policy; its rows stay until their holds end"}) {
		t.Errorf("%+v", left)
	}
}

func TestNobodyButThoseWhoMustTouchesWhatIsHeld(t *testing.T) {
	s := start(t)
	s.applied()
	s.visits(s.as(warehouse.UserLoader), "acme", "shop", 1, time.Now(), 4)
	s.copy(s.as(warehouse.UserHold), s.held(0, 1))
	for _, d := range []struct {
		sql string
		may []string
	}{
		{"SELECT count() FROM lethe_hold.visit WHERE visitor != ''", []string{"hold"}},
		{"SELECT event_id FROM lethe_hold.visit", []string{"hold"}},
		{"SELECT count(), max(hold_until) FROM lethe_hold.visit GROUP BY hold", []string{"hold", "verify"}},
		{"INSERT INTO lethe_hold.visit (tenant) SELECT 'x' WHERE 0", []string{"hold"}},
		{"INSERT INTO lethe.visit (tenant) SELECT 'x' WHERE 0", []string{"loader", "rebuild"}},
		{"ALTER TABLE lethe_hold.visit DELETE WHERE 0", []string{"retention"}},
		{"ALTER TABLE lethe_hold.visit DROP PARTITION ('2001-01-01', 'x')", []string{"retention"}},
		{"ALTER TABLE lethe_hold.visit UPDATE path = '' WHERE 0", nil},
		{"ALTER TABLE lethe_hold.visit MODIFY TTL hold_until + toIntervalDay(3)", []string{"admin"}},
		{"SELECT count() FROM lethe.visit WHERE visitor != ''", []string{"rebuild", "hold", "cells"}},
		{"SELECT count() FROM lethe.visit_lasting WHERE method != ''", []string{"rebuild"}},
		{"INSERT INTO lethe.clock SELECT now64(3) WHERE 0", []string{"retention"}},
		{"TRUNCATE TABLE lethe_hold.visit", nil},
		{"DROP TABLE lethe_hold.visit", nil},
		{"DROP DATABASE lethe_hold", nil},
		{"EXCHANGE TABLES lethe_hold.visit AND lethe.visit", nil},
	} {
		for _, user := range []string{"admin", "loader", "retention", "analyst", "verify", "rebuild", "hold", "cells"} {
			may := false
			for _, u := range d.may {
				may = may || u == user
			}
			err := exec(t.Context(), s.as(user), d.sql)
			switch {
			case may && err != nil:
				t.Errorf("%s may not: %s: %v", user, d.sql, err)
			case !may && !errors.Is(err, fault.Denied):
				t.Errorf("%s may: %s: %v", user, d.sql, err)
			}
		}
	}
}
