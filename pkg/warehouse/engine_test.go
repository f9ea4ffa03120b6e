package warehouse_test

import (
	"context"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// site is an engine with the users of a policy.
type site struct {
	t      *testing.T
	engine *embedded.Engine
	pol    *policy.Policy
}

func start(t *testing.T) *site {
	t.Helper()
	pol := testPolicy(t)
	return &site{t: t, engine: lethetest.Engine(t, lethetest.EngineUsers(pol)...), pol: pol}
}

// as connects as one of the users.
func (s *site) as(user string) *warehouse.Warehouse {
	s.t.Helper()
	w, err := warehouse.Open(s.t.Context(), warehouse.Config{
		Addr: []string{"engine"}, Dial: s.engine.Dial,
		User: user, Password: lethetest.Password(user), Log: lethetest.Logger(s.t),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = w.Close() })
	return w
}

// applied is the overseer's connection to a warehouse whose tables the admin
// made.
func (s *site) applied() *warehouse.Warehouse {
	s.t.Helper()
	if err := warehouse.Apply(s.t.Context(), s.as(warehouse.UserAdmin), s.pol); err != nil {
		s.t.Fatal(err)
	}
	return s.as(lethetest.Overseer)
}

func (s *site) table(name string) *policy.Table {
	s.t.Helper()
	table, ok := s.pol.Table(name)
	if !ok {
		s.t.Fatalf("the test policy has no table %s", name)
	}
	return table
}

// visit is a row of the table of the same name with nothing in it but a
// status, which expires 30 days after it occurred.
func (s *site) visit(at time.Time, n byte, identified bool) event.Row {
	return event.Row{
		Table: "visit", ID: event.NewID(at, [16]byte{n}), OccurredAt: at,
		ExpiresAt: s.table("visit").Class.ExpiresAt(at), Identified: identified,
		Values: []event.Value{event.IntValue(int64(n))},
	}
}

func (s *site) batch(rows ...event.Row) *warehouse.Batch {
	s.t.Helper()
	b := warehouse.NewBatch(s.table("visit"), event.DayOf(rows[0].ExpiresAt))
	b.Append(warehouse.Source{Tenant: "acme", Service: "shop", Seq: 7, Columns: []string{"status"}}, rows)
	return b
}

func count(t *testing.T, w *warehouse.Warehouse, table string) uint64 {
	t.Helper()
	return one[uint64](t, w, "SELECT count() FROM "+w.Table(table))
}

// one asks a question that has one answer.
func one[T any](t *testing.T, w *warehouse.Warehouse, sql string) T {
	t.Helper()
	r, err := w.Rows(t.Context(), sql, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 1 || len(r.Rows[0]) != 1 {
		t.Fatalf("%d rows of %v where one value was expected", len(r.Rows), r.Columns)
	}
	v, ok := r.Rows[0][0].(T)
	if !ok {
		t.Fatalf("a %T where a %T was expected", r.Rows[0][0], v)
	}
	return v
}

func insert(t *testing.T, w *warehouse.Warehouse, b *warehouse.Batch, token string) {
	t.Helper()
	if err := w.Insert(t.Context(), b, token); err != nil {
		t.Fatal(err)
	}
}

func exec(ctx context.Context, w *warehouse.Warehouse, sql string) error {
	return warehouse.Exec(ctx, w, sql)
}
