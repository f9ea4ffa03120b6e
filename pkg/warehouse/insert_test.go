package warehouse_test

import (
	"fmt"
	"math"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 123e6, time.UTC)

func TestRowsComeBackAsTheyWereInserted(t *testing.T) {
	s := start(t)
	admin, loader := s.applied(), s.as(warehouse.UserLoader)
	table := s.table("visit")
	until := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)
	expires := time.Date(2100, 2, 28, 23, 59, 59, 999e6, time.UTC)
	full := event.Row{
		ID: event.NewID(noon, [16]byte{1, 0xff}), OccurredAt: noon, ExpiresAt: expires, Epoch: -3, Identified: true,
		Values: []event.Value{
			event.TokenValue([20]byte{1, 2, 0, 255}), event.TokenValue([20]byte{19: 7}),
			event.StringValue("/ä?q='\\\t\n\x00"), event.StringValue("GET"), event.IntValue(math.MinInt64),
			event.IntValue(math.MaxInt64), event.FloatValue(-0.25), event.BoolValue(true), event.TimeValue(until),
		},
	}
	names := table.ColumnNames()
	b := warehouse.NewBatch(table, event.DayOf(expires))
	b.Append(warehouse.Source{Tenant: "acme", Service: "shop", Seq: math.MaxUint64, Columns: names}, []event.Row{full})
	// A frame of another policy: columns in another order, one unknown, most
	// missing, and one of another kind.
	b.Append(warehouse.Source{Tenant: "zeta", Service: "shop", Seq: 1, Columns: []string{"former", "status", "method", "score", "size"}},
		[]event.Row{{
			ID: event.NewID(noon.Add(time.Second), [16]byte{2}), OccurredAt: noon, ExpiresAt: expires,
			Values: []event.Value{event.StringValue("x"), event.IntValue(404), event.BoolValue(true), event.IntValue(3), {}},
		}})
	insert(t, loader, b, "t")

	r, err := admin.Rows(t.Context(), "SELECT * FROM "+admin.Table("visit")+" ORDER BY tenant", nil)
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2100, 2, 28, 0, 0, 0, 0, time.UTC)
	id := func(e event.ID) string { return string(e[:]) }
	zeros := string(make([]byte, 20))
	want := [][]any{
		{
			"acme", "shop", id(full.ID), noon, expires, day, int64(-3), uint64(math.MaxUint64), true,
			"\x01\x02\x00\xff" + string(make([]byte, 16)), string(make([]byte, 19)) + "\x07",
			"/ä?q='\\\t\n\x00", "GET", int64(math.MinInt64), int64(math.MaxInt64), -0.25, true, until,
		},
		{
			"zeta", "shop", id(event.NewID(noon.Add(time.Second), [16]byte{2})), noon, expires, day, int64(0), uint64(1), false,
			zeros, zeros, "", "", int64(404), nil, 3.0, nil, nil,
		},
	}
	if diff := cmp.Diff(want, r.Rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEmptyBatchHoldsNothing(t *testing.T) {
	b := warehouse.NewBatch(testPolicy(t).Tables()[0], "2026-12-21")
	if b.Len() != 0 {
		t.Fatal("an empty batch has rows")
	}
	b.Append(warehouse.Source{}, nil)
	for i, column := range b.Columns() {
		if fmt.Sprint(column) != "[]" {
			t.Errorf("column %d of an empty batch holds %v", i, column)
		}
	}
}

func TestResetBatchHoldsNothingOfTheOneBefore(t *testing.T) {
	s := start(t)
	admin, loader := s.applied(), s.as(warehouse.UserLoader)
	b := s.batch(s.visit(noon, 1, false), s.visit(noon, 2, false))
	insert(t, loader, b, "")
	later := noon.AddDate(0, 0, 1)
	row := s.visit(later, 3, false)
	b.Reset(event.DayOf(row.ExpiresAt))
	b.Append(warehouse.Source{Tenant: "acme", Service: "shop", Seq: 8, Columns: []string{"status"}}, []event.Row{row})
	insert(t, loader, b, "")
	r, err := admin.Rows(t.Context(), "SELECT toString(expiry_day), count(), sum(status) FROM "+admin.Table("visit")+" GROUP BY expiry_day ORDER BY expiry_day", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]any{{"2026-12-21", uint64(2), int64(3)}, {"2026-12-22", uint64(1), int64(3)}}
	if diff := cmp.Diff(want, r.Rows); diff != "" {
		t.Error(diff)
	}
}

// TestBatchIsStoredOnceByItsToken: P18.
func TestBatchIsStoredOnceByItsToken(t *testing.T) {
	s := start(t)
	admin, loader := s.applied(), s.as(warehouse.UserLoader)
	b := s.batch(s.visit(noon, 1, false), s.visit(noon, 2, false))
	for range 3 {
		insert(t, loader, b, "token")
	}
	if n := count(t, admin, "visit"); n != 2 {
		t.Fatalf("a batch of 2 rows inserted three times with its token left %d", n)
	}
	kill(t, s)
	insert(t, loader2(t, s), b, "token")
	if n := count(t, s.as(lethetest.Overseer), "visit"); n != 2 {
		t.Fatalf("after a restart of the engine the same batch left %d rows", n)
	}
	// The control: it is the token that protects.
	insert(t, loader2(t, s), b, "another")
	if n := count(t, s.as(lethetest.Overseer), "visit"); n != 4 {
		t.Fatalf("with another token there are %d rows; the test shows nothing", n)
	}
}

func loader2(t *testing.T, s *site) *warehouse.Warehouse {
	t.Helper()
	return s.as(warehouse.UserLoader)
}

// kill ends the engine's process at once. Its supervisor starts another.
func kill(t *testing.T, s *site) {
	t.Helper()
	pid := s.engine.PID()
	if pid <= 0 {
		t.Fatal("there is no engine to kill")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestQuestionsOutliveARestartOfTheEngine(t *testing.T) {
	s := start(t)
	admin := s.applied()
	insert(t, s.as(warehouse.UserLoader), s.batch(s.visit(noon, 1, false)), "")
	for range 2 {
		kill(t, s)
		if n := count(t, admin, "visit"); n != 1 {
			t.Fatalf("%d rows", n)
		}
	}
}

func TestKnownFindsIdentifiedEventsInEveryPartition(t *testing.T) {
	s := start(t)
	s.applied()
	loader := s.as(warehouse.UserLoader)
	later := noon.AddDate(0, 0, 40)
	insert(t, loader, s.batch(s.visit(noon, 1, true), s.visit(noon, 2, false)), "")
	insert(t, loader, s.batch(s.visit(later, 3, true)), "")

	id := func(at time.Time, n byte) event.ID { return event.NewID(at, [16]byte{n}) }
	got, err := loader.Known(t.Context(), "visit", []event.ID{
		id(noon, 1), id(noon, 2), id(noon, 9), id(later, 3), id(noon, 3), {},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[event.ID]event.Day{id(noon, 1): event.DayOf(s.visit(noon, 1, true).ExpiresAt), id(later, 3): event.DayOf(s.visit(later, 3, true).ExpiresAt)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := loader.Known(t.Context(), "visit", nil); err != nil || len(got) != 0 {
		t.Errorf("no ids: %v, %v", got, err)
	}
}

func TestIDsAreListedUpToALimit(t *testing.T) {
	s := start(t)
	s.applied()
	loader := s.as(warehouse.UserLoader)
	var rows []event.Row
	for n := range 5 {
		rows = append(rows, s.visit(noon.Add(time.Duration(n)*time.Second), byte(n), n != 4))
	}
	insert(t, loader, s.batch(rows...), "")
	from, to := event.NewID(noon, [16]byte{}), rows[4].ID
	ids, highest, err := loader.IDs(t.Context(), "visit", from, to, 4)
	if err != nil || len(ids) != 4 || highest != (event.ID{}) {
		t.Errorf("4 of 4: %d ids, highest set %v, %v", len(ids), highest != event.ID{}, err)
	}
	ids, highest, err = loader.IDs(t.Context(), "visit", from, to, 3)
	if err != nil || len(ids) != 0 || highest != rows[3].ID {
		t.Errorf("4 of 3: %d ids, highest right %v, %v", len(ids), highest == rows[3].ID, err)
	}
	ids, highest, err = loader.IDs(t.Context(), "visit", event.NewID(noon.Add(time.Hour), [16]byte{}), event.NewID(noon.Add(2*time.Hour), [16]byte{}), 3)
	if err != nil || len(ids) != 0 || highest != (event.ID{}) {
		t.Errorf("none: %d ids, %v", len(ids), err)
	}
}
