package stats_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// lab is a warehouse of published cells with an analyst before it.
type lab struct {
	t       testing.TB
	pol     *policy.Policy
	cells   *policy.Table
	engine  *embedded.Engine
	admin   *warehouse.Warehouse
	analyst *warehouse.Warehouse
	store   *access.Store
	gate    *access.Gate
	stats   *stats.Stats
	mux     *http.ServeMux
	logins  map[string]access.Credential // by tenant and role
	// asOf is how far the publisher is: [cutAt] unless said.
	asOf func(context.Context) (time.Time, error)
}

var tenants atomic.Int64

func newLab(t testing.TB) *lab {
	t.Helper()
	return newLabOf(t, compiled(t, documents))
}

func compiled(t testing.TB, documents fstest.MapFS) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(documents)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// newLabOf makes a lab with another policy.
func newLabOf(t testing.TB, pol *policy.Policy) *lab {
	t.Helper()
	l := &lab{t: t, pol: pol, mux: http.NewServeMux(), logins: map[string]access.Credential{},
		asOf: func(context.Context) (time.Time, error) { return cutAt, nil }}
	var ok bool
	if l.cells, ok = pol.Table(policy.CellTable); !ok {
		t.Fatal("the policy has no table of cells")
	}
	l.engine = lethetest.Engine(t, lethetest.EngineUsers(pol)...)
	l.admin, l.analyst = l.open(lethetest.Overseer), l.open(warehouse.UserAnalyst)
	if err := warehouse.Apply(t.Context(), l.admin, pol); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.store, err = access.Open(filepath.Join(t.TempDir(), "credentials.json")); err != nil {
		t.Fatal(err)
	}
	l.gate = access.NewGate(l.store, lethetest.Logger(t))
	l.stats = l.newStats(pol)
	l.stats.Routes(l.mux)
	return l
}

func (l *lab) open(user string) *warehouse.Warehouse {
	l.t.Helper()
	w, err := warehouse.Open(l.t.Context(), warehouse.Config{
		Addr: []string{"engine"}, Dial: l.engine.Dial, User: user, Password: lethetest.Password(user), Log: lethetest.Logger(l.t),
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = w.Close() })
	return w
}

func (l *lab) newStats(pol *policy.Policy) *stats.Stats {
	l.t.Helper()
	s, err := stats.New(stats.Config{
		Policy: pol, Warehouse: l.analyst, Gate: l.gate, Log: lethetest.Logger(l.t),
		Metrics: prometheus.NewRegistry(), Now: time.Now,
		AsOf: func(ctx context.Context) (time.Time, error) { return l.asOf(ctx) },
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// newTenant names a tenant that no other test has.
func newTenant() string { return fmt.Sprintf("t%d", tenants.Add(1)) }

func principal(tenant string, services ...string) access.Principal {
	return access.Principal{ID: "test", Role: access.Analyst, Tenant: tenant, Services: services}
}

// A published is one cell, as the publisher writes it. What is left out is what
// most cells of a test have: service "web", bucket "day", one day, the cube of
// its metric, and as many told dimensions as it has values.
type published struct {
	metric, service, bucket string
	first, last             string
	cube                    string
	told                    []string
	value                   int64
	k                       int // under which it was cut; 0 is that of the metric, less is public
	cut                     time.Time
}

// cutAt is when cells of tests are cut unless they say otherwise.
var cutAt = time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)

// put stores cells.
func (l *lab) put(t testing.TB, tenant string, cells ...published) {
	t.Helper()
	if err := l.admin.Insert(t.Context(), l.batch(tenant, cells), ""); err != nil {
		t.Fatal(err)
	}
}

func (l *lab) batch(tenant string, cells []published) *warehouse.Batch {
	b := warehouse.NewBatch(l.cells, event.Never)
	for i, c := range cells {
		m, ok := l.pol.Metric(c.metric)
		if !ok {
			l.t.Fatalf("there is no metric %s", c.metric)
		}
		cube := c.cube
		if cube == "" && m.Value.Additive() {
			cube = m.Cube()
		}
		values := map[string]event.Value{
			policy.ColumnMetric: event.StringValue(c.metric), policy.ColumnBucket: event.StringValue(cmp.Or(c.bucket, "day")),
			policy.ColumnFirst: event.StringValue(c.first), policy.ColumnLast: event.StringValue(cmp.Or(c.last, c.first)),
			policy.ColumnCube: event.StringValue(cube), policy.ColumnLevel: event.IntValue(int64(len(c.told))),
			policy.ColumnValue: event.IntValue(c.value), policy.ColumnThrough: event.IntValue(int64(i)),
		}
		values[policy.ColumnK] = event.IntValue(int64(max(0, cmp.Or(c.k, m.K))))
		for i, v := range c.told {
			values[policy.ColumnTold(i)] = event.StringValue(v)
		}
		at := c.cut
		if at.IsZero() {
			at = cutAt
		}
		r := event.Row{Table: l.cells.Name, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, ExpiresAt: event.Never.Start()}
		for _, column := range l.cells.Columns {
			v, ok := values[column.Name]
			if !ok {
				v = event.StringValue("")
			}
			delete(values, column.Name)
			r.Values = append(r.Values, v)
		}
		if len(values) > 0 {
			l.t.Fatalf("the table of cells has no columns %v", slices.Sorted(maps.Keys(values)))
		}
		b.Append(warehouse.Source{Tenant: tenant, Service: cmp.Or(c.service, "web"), Seq: uint64(i + 1), Columns: l.cells.ColumnNames()}, []event.Row{r})
	}
	return b
}

// ask answers a question and fails the test where there is no answer.
func (l *lab) ask(t testing.TB, who access.Principal, q stats.Question) stats.Answer {
	t.Helper()
	a, err := l.stats.Ask(t.Context(), who, q)
	if err != nil {
		t.Fatalf("%+v: %v", q, err)
	}
	return a
}

// show writes a number.
func show(n stats.Number) string {
	if n.Hidden != (n.Value == nil) {
		return "hidden with a value"
	}
	if n.Hidden {
		return "hidden"
	}
	return string(*n.Value)
}

// lines writes an answer: a line of each row, and one of the total.
func lines(a stats.Answer) (out []string) {
	for _, r := range a.Rows {
		line := ""
		for _, name := range a.By {
			v := fmt.Sprint(r.By[name])
			if slices.Contains(r.Other, name) {
				v = "(other)"
			}
			line += v + " "
		}
		out = append(out, line+show(r.Number))
	}
	return append(out, "= "+show(a.Total))
}

// day is when a day of UTC begins.
func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}
