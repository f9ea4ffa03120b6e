package assembly_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// TestTheBackstopRemovesWhatRetentionForgot: where nobody drops the partitions,
// the table's own TTL does so three days late, by the wall clock and when the
// engine merges. It is no promise, and a table without it keeps everything.
func TestTheBackstopRemovesWhatRetentionForgot(t *testing.T) {
	pol := compile(t)
	table, _ := pol.Table("http_access")
	users := append(lethetest.EngineUsers(pol), embedded.EngineUser{
		Name: "test", Password: "test", Grants: []string{"GRANT SELECT, OPTIMIZE, ALTER TTL ON " + warehouse.DefaultDatabase + ".*"},
	})
	engine := lethetest.Engine(t, users...)
	open := func(user, password string) *warehouse.Warehouse {
		w, err := warehouse.Open(t.Context(), warehouse.Config{
			Addr: []string{"engine"}, Dial: engine.Dial, User: user, Password: password, Log: lethetest.Logger(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	admin := open(lethetest.Overseer, lethetest.Password(lethetest.Overseer))
	if err := warehouse.Apply(t.Context(), admin, pol); err != nil {
		t.Fatal(err)
	}
	test := open("test", "test")
	client := http.Client{Transport: &http.Transport{DialContext: engine.DialHTTP, DisableKeepAlives: true}}
	do := func(sql string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://engine/", strings.NewReader(sql))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth("test", "test")
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, code %s", sql, answer.StatusCode, answer.Header.Get("X-ClickHouse-Exception-Code"))
		}
	}
	now := time.Now().UTC()
	store := func(day event.Day) {
		t.Helper()
		at := day.Start().Add(time.Hour).AddDate(0, 0, -30)
		b := warehouse.NewBatch(table, day)
		b.Append(warehouse.Source{Tenant: tenant, Service: "shop", Seq: 1, Columns: table.ColumnNames()}, []event.Row{{
			Table: table.Name, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at,
			ExpiresAt: day.Start().Add(time.Hour), Values: make([]event.Value, len(table.Columns)),
		}})
		if err := admin.Insert(t.Context(), b, string(day)+now.String()); err != nil {
			t.Fatal(err)
		}
	}
	has := func(day event.Day) bool {
		t.Helper()
		r, err := test.Rows(t.Context(), "SELECT count() FROM "+test.Table(table.Name)+" WHERE expiry_day = {day:Date}", map[string]any{"day": string(day)})
		if err != nil {
			t.Fatal(err)
		}
		return r.Rows[0][0].(uint64) > 0
	}
	// The TTL counts three days from the beginning of the expiry day.
	forgotten, waiting := event.DayOf(now.AddDate(0, 0, -5)), event.DayOf(now.AddDate(0, 0, -2))
	name := test.Table(table.Name)

	// The control: without the TTL no merge removes anything.
	do("ALTER TABLE " + name + " REMOVE TTL")
	store(forgotten)
	store(forgotten)
	do("OPTIMIZE TABLE " + name + " FINAL")
	if !has(forgotten) {
		t.Fatal("a table without a TTL lost rows: what follows shows nothing")
	}
	// Applying the policy puts it back.
	if err := warehouse.Apply(t.Context(), admin, pol); err != nil {
		t.Fatal(err)
	}
	store(forgotten)
	store(waiting)
	for deadline := time.Now().Add(30 * time.Second); has(forgotten); time.Sleep(20 * time.Millisecond) {
		do("OPTIMIZE TABLE " + name + " FINAL")
		if time.Now().After(deadline) {
			t.Fatal("the back-stop leaves what expired five days ago")
		}
	}
	if !has(waiting) {
		t.Error("the back-stop removed what retention has another day for")
	}
}
