package warehouse_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// TestReadBarrierHidesARowTheInstantItExpires: P4.
func TestReadBarrierHidesARowTheInstantItExpires(t *testing.T) {
	s := start(t)
	overseer, cells, loader := s.applied(), s.as(warehouse.UserCells), s.as(warehouse.UserLoader)
	now := time.Now().UTC().Truncate(time.Millisecond)
	expired := s.visit(now.AddDate(0, 0, -30), 1, true)
	insert(t, loader, s.batch(expired), "")
	fresh := s.visit(now.AddDate(0, 0, -29), 2, true)
	insert(t, loader, s.batch(fresh), "")

	check := func(step string, seen uint64) {
		t.Helper()
		if n := count(t, cells, "visit"); n != seen {
			t.Errorf("%s: who cuts cells sees %d rows, want %d", step, n, seen)
		}
		// The control: the rows are there.
		if n := count(t, overseer, "visit"); n != 2 {
			t.Errorf("%s: %d rows are there, want 2", step, n)
		}
		if known, err := loader.Known(t.Context(), "visit", idsOf(expired, fresh)); err != nil || len(known) != 2 {
			t.Errorf("%s: the loader recognizes %d of 2: %v", step, len(known), err)
		}
	}
	check("with a clock that never ran", 1)

	retention := s.as(warehouse.UserRetention)
	advance := func(at time.Time) {
		t.Helper()
		if _, err := retention.Advance(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	advance(fresh.ExpiresAt.Add(-time.Millisecond))
	check("a millisecond before", 1)
	advance(fresh.ExpiresAt)
	check("at the instant", 0)
	advance(now.AddDate(-1, 0, 0))
	check("after someone tried to turn the clock back", 0)
}

func TestClockNeverGoesBack(t *testing.T) {
	s := start(t)
	s.applied()
	w := s.as(warehouse.UserRetention)
	at, err := w.Clock(t.Context())
	if err != nil || !at.Equal(time.Unix(0, 0)) {
		t.Fatalf("a clock that never ran stands at %v, %v", at, err)
	}
	// What the engine's own clock has passed moves it in strides.
	past, ahead := noon.AddDate(-20, 0, 0), noon.AddDate(20, 0, 0)
	for _, step := range []struct{ ask, want time.Time }{
		{past, past},
		{past.Add(39 * time.Minute), past},
		{past.Add(40 * time.Minute), past.Add(40 * time.Minute)},
		{ahead, ahead},
		{ahead.Add(-time.Hour), ahead},
		{ahead, ahead},
		{ahead.Add(time.Millisecond), ahead.Add(time.Millisecond)},
		{ahead.AddDate(2, 0, 0), ahead.AddDate(2, 0, 0)},
		{time.Unix(0, 0), ahead.AddDate(2, 0, 0)},
	} {
		got, err := w.Advance(t.Context(), step.ask)
		if err != nil || !got.Equal(step.want) {
			t.Errorf("advanced to %v it stands at %v, want %v (%v)", step.ask, got, step.want, err)
		}
	}
	kill(t, s)
	if at, err := w.Clock(t.Context()); err != nil || !at.Equal(ahead.AddDate(2, 0, 0)) {
		t.Errorf("after a restart it stands at %v, %v", at, err)
	}
}

// TestUsersMayDoTheirWorkAndNoMore: every user against every kind of deed.
func TestUsersMayDoTheirWorkAndNoMore(t *testing.T) {
	s := start(t)
	s.applied()
	insert(t, s.as(warehouse.UserLoader), s.batch(s.visit(time.Now(), 1, true)), "")
	deeds := []struct {
		sql string
		may []string
	}{
		{"SELECT count() FROM lethe.visit WHERE visitor != ''", []string{"rebuild", "cells"}},
		{"SELECT score FROM lethe.visit WHERE 0", []string{"rebuild"}}, // no metric asks for it
		{"SELECT sum(value) FROM lethe.cell", []string{"rebuild", "analyst", "cells"}},
		{"SELECT event_id FROM lethe.visit WHERE identified", []string{"loader", "rebuild"}},
		{"SELECT max(occurred_at), max(log_seq) FROM lethe.visit WHERE expiry_day > '2026-01-01'", []string{"loader", "rebuild", "retention", "verify"}},
		{"SELECT count() FROM lethe.visit WHERE occurred_at < expires_at", []string{"admin", "rebuild", "verify"}},
		{"SELECT max(at) FROM lethe.clock", []string{"admin", "loader", "rebuild", "retention", "verify", "cells"}},
		{"INSERT INTO lethe.visit (tenant) SELECT 'x' WHERE 0", []string{"loader", "rebuild"}},
		{"INSERT INTO lethe.cell (tenant) SELECT 'x' WHERE 0", []string{"loader", "rebuild"}},
		{"INSERT INTO lethe.clock SELECT now64(3) WHERE 0", []string{"retention"}},
		{"ALTER TABLE lethe.visit ADD COLUMN stray String", []string{"admin"}},
		{"ALTER TABLE lethe.visit DROP COLUMN stray", []string{"admin"}},
		{"ALTER TABLE lethe.visit DROP PARTITION '2001-01-01'", []string{"retention"}},
		{"ALTER TABLE lethe.visit DELETE WHERE 0", []string{"retention"}},
		{"ALTER TABLE lethe.visit UPDATE path = '' WHERE 0", nil},
		{"ALTER TABLE lethe.visit FREEZE", nil},
		{"CREATE TABLE IF NOT EXISTS lethe.visit (a String) ENGINE = MergeTree ORDER BY a", []string{"admin", "rebuild"}},
		{"CREATE DATABASE other ENGINE = Atomic", nil},
		{"DROP DATABASE lethe", nil},
		{"TRUNCATE TABLE lethe.visit", nil},
		{"SELECT count() FROM system.parts", []string{"admin", "retention", "verify"}},
		{"SELECT count() FROM system.processes", []string{"admin", "verify"}},
		{"SELECT * FROM file('/etc/hostname', 'RawBLOB')", nil},
		{"SELECT * FROM url('http://127.0.0.1:1/', 'RawBLOB')", nil},
		{"SYSTEM STOP MERGES lethe.visit", nil},
		{"CREATE USER x", nil},
		{"DROP TABLE lethe.clock", nil},
		{"DROP TABLE lethe.visit", []string{"rebuild"}},
	}
	users := []string{"admin", "loader", "retention", "analyst", "verify", "cells", "rebuild"} // who drops comes last
	for _, user := range users {
		w := s.as(user)
		for _, d := range deeds {
			may := false
			for _, u := range d.may {
				may = may || u == user
			}
			err := exec(t.Context(), w, d.sql)
			switch {
			case may && err != nil:
				t.Errorf("%s may not: %s: %v", user, d.sql, err)
			case !may && err == nil:
				t.Errorf("%s may: %s", user, d.sql)
			case !may && !errors.Is(err, fault.Denied):
				t.Errorf("%s: %s: denied with %v", user, d.sql, err)
			}
		}
	}
}

// P4 to P8: from the instant that a row expires nobody can select it. What some
// users see of it is listed at [warehouse.Users] and in docs/promises.md, and
// the hold user sees all of it. The control is that everybody sees as much of a
// row that has not expired as their grants name.
func TestAnExpiredRowIsSelectableByNobody(t *testing.T) {
	s := start(t)
	overseer := s.applied()
	at := time.Now().UTC().Truncate(time.Millisecond)
	row := s.visit(at.AddDate(0, 0, -1), 1, true)
	insert(t, s.as(warehouse.UserLoader), s.batch(row), "")
	staged, err := s.as(warehouse.UserRebuild).Stage(t.Context(), s.pol, 2)
	if err != nil {
		t.Fatal(err)
	}
	insert(t, staged, s.batch(row), "")

	const denied = -1
	sees := func(user, columns, table string) int {
		t.Helper()
		r, err := s.as(user).Rows(t.Context(), "SELECT "+columns+" FROM "+table, nil)
		switch {
		case errors.Is(err, fault.Denied):
			return denied
		case err != nil:
			t.Fatalf("%s: SELECT %s: %v", user, columns, err)
		}
		return len(r.Rows)
	}
	const all, id, dates, which = "*", "event_id", "occurred_at", "log_seq"
	cases := []struct {
		user, columns, table string
		before, after        int
	}{
		{warehouse.UserAnalyst, all, "lethe.visit", denied, denied},
		{warehouse.UserCells, "visitor", "lethe.visit", 1, 0},
		{warehouse.UserCells, dates, "lethe.visit", 1, 0},
		{warehouse.UserRebuild, all, "lethe.visit", 1, 0},
		{warehouse.UserRebuild, id, "lethe.visit", 1, 0},
		{warehouse.UserAdmin, all, "lethe.visit", denied, denied},
		{warehouse.UserAdmin, "visitor", "lethe.visit", denied, denied},
		{warehouse.UserAdmin, id, "lethe.visit", denied, denied},
		{warehouse.UserVerify, all, "lethe.visit", denied, denied},
		{warehouse.UserVerify, "visitor", "lethe.visit", denied, denied},
		{warehouse.UserVerify, id, "lethe.visit", denied, denied},
		{warehouse.UserRetention, "visitor", "lethe.visit", denied, denied},
		{warehouse.UserRetention, id, "lethe.visit", denied, denied},
		{warehouse.UserLoader, "visitor", "lethe.visit", denied, denied},
		{warehouse.UserLoader, "tenant", "lethe.visit", denied, denied},
		// What is listed: dates, which event it is, the copy of a rebuild, and
		// what a legal hold may cover.
		{warehouse.UserAdmin, dates, "lethe.visit", 1, 1},
		{warehouse.UserVerify, "expiry_day, occurred_at, expires_at, log_seq", "lethe.visit", 1, 1},
		{warehouse.UserRetention, "expiry_day, occurred_at, log_seq", "lethe.visit", 1, 1},
		{warehouse.UserLoader, "event_id, identified, expiry_day, occurred_at, log_seq", "lethe.visit", 1, 1},
		{warehouse.UserRebuild, id, "lethe_rebuild.visit", 1, 1},
		{warehouse.UserHold, all, "lethe.visit", 1, 1},
		// Nobody else sees a rebuild's copy.
		{warehouse.UserAnalyst, which, "lethe_rebuild.visit", denied, denied},
		{warehouse.UserCells, which, "lethe_rebuild.visit", denied, denied},
		{warehouse.UserVerify, which, "lethe_rebuild.visit", denied, denied},
		{warehouse.UserHold, which, "lethe_rebuild.visit", denied, denied},
	}
	for _, c := range cases {
		if n := sees(c.user, c.columns, c.table); n != c.before {
			t.Errorf("%s sees %d of %s of a row of %s that has not expired, want %d", c.user, n, c.columns, c.table, c.before)
		}
	}
	if _, err := s.as(warehouse.UserRetention).Advance(t.Context(), row.ExpiresAt); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if n := sees(c.user, c.columns, c.table); n != c.after {
			t.Errorf("%s sees %d of %s of a row of %s that has expired, want %d", c.user, n, c.columns, c.table, c.after)
		}
	}
	if n := count(t, overseer, "visit"); n != 1 {
		t.Errorf("%d rows are there, want 1", n)
	}
}

func TestAnalystCannotLiftTheLimits(t *testing.T) {
	s := start(t)
	s.applied()
	w := s.as(warehouse.UserAnalyst)
	for _, setting := range []string{
		"max_execution_time = 3600", "max_execution_time = 0", "max_memory_usage = 0", "max_result_rows = 0",
		"readonly = 0", "log_queries = 1",
	} {
		if err := exec(t.Context(), w, "SELECT 1 SETTINGS "+setting); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", setting, err)
		}
	}
	if err := exec(t.Context(), w, "SELECT 1 SETTINGS max_execution_time = 5"); err != nil {
		t.Errorf("lowering a limit: %v", err)
	}
}
