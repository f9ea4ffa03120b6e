package sqldoor_test

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A site is a door before a real engine with the built-in policy, and
// published cells of two tenants that are alike in all but their numbers.
type site struct {
	t      testing.TB
	engine *embedded.Engine
	store  *access.Store
	url    string
	pol    *policy.Policy
	door   *sqldoor.Door
	clock  *lethetest.Clock

	// mu guards what follows.
	mu        sync.Mutex
	decisions []access.Decision
	recording error // what recording ends with
}

// root may do everything: the control of what others may not.
var root = embedded.EngineUser{Name: "root", Password: "test-root", Grants: []string{"GRANT ALL ON *.* WITH GRANT OPTION"},
	Settings: map[string]string{"allow_get_client_http_header": "1"}}

func newSite(t testing.TB, configure ...func(*sqldoor.Config)) *site {
	t.Helper()
	pol := lethetest.BuiltIn(t)
	s := &site{t: t, pol: pol, clock: lethetest.NewClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
	s.engine = lethetest.Engine(t, append(lethetest.EngineUsers(pol), root)...)
	if err := warehouse.Apply(t.Context(), s.as(warehouse.UserAdmin), pol); err != nil {
		t.Fatal(err)
	}
	s.publish()
	var err error
	if s.store, err = access.Open(filepath.Join(t.TempDir(), "credentials.json")); err != nil {
		t.Fatal(err)
	}
	gate := access.New(access.Config{
		Who: s.store, Log: lethetest.Logger(t), Home: "home",
		Record: func(_ context.Context, d access.Decision) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.recording == nil {
				s.decisions = append(s.decisions, d)
			}
			return s.recording
		},
	})
	cfg := sqldoor.Config{
		Gate: gate, Who: s.store, Key: []byte("key of the test"), Log: lethetest.Logger(t), Now: s.clock.Now,
		Engine: sqldoor.Engine{
			URL: "http://engine", User: warehouse.UserSQL, Password: lethetest.Password(warehouse.UserSQL), Dial: s.engine.DialHTTP,
		},
	}
	for _, f := range configure {
		f(&cfg)
	}
	s.door = sqldoor.New(cfg)
	t.Cleanup(s.door.Close)
	mux := http.NewServeMux()
	s.door.Routes(mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// seen returns what went on record since it was last asked.
func (s *site) seen() []access.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.decisions
	s.decisions = nil
	return out
}

func (s *site) record(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording = err
}

// as connects to the engine as one of the users.
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

// The tenants and services of a site.
var (
	tenants  = []string{"acme", "umbra"}
	services = []string{"shop", "api"}
)

// cell is one published cell, by the columns of [policy.CellTable] that are
// not empty.
type cell map[string]any

// publish inserts the cells. What is umbra's says so where a person could read
// it, and its numbers are above 10,000.
func (s *site) publish() {
	s.t.Helper()
	table, ok := s.pol.Table(policy.CellTable)
	if !ok {
		s.t.Fatal("the built-in policy has no table of cells")
	}
	b, seq := warehouse.NewBatch(table, event.Never), uint64(0)
	for i, tenant := range tenants {
		for j, service := range services {
			n := int64(100*(j+1) + 10_000*i)
			mark := tenant + "-" + service
			for _, c := range []cell{
				{"metric": "requests", "bucket": "day", "first_day": "2026-03-01", "last_day": "2026-03-01",
					"cube": cubeOf(s.pol, "requests"), "level": int64(2), "d1": "200", "d2": "/" + mark, "value": n},
				{"metric": "requests", "bucket": "day", "first_day": "2026-03-01", "last_day": "2026-03-01",
					"cube": cubeOf(s.pol, "requests"), "level": int64(0), "value": n + 1},
				{"metric": "requests", "bucket": "day", "first_day": "2026-02-01", "last_day": "2026-02-03",
					"cube": "host,status", "level": int64(1), "d1": mark + ".example.org", "value": n + 2},
				{"metric": "visitors", "bucket": "day", "first_day": "2026-03-01", "last_day": "2026-03-01", "value": n + 3},
				{"metric": "visitors", "bucket": "day", "first_day": "2026-03-01", "last_day": "2026-03-01",
					"cube": "status", "level": int64(1), "d1": "200", "value": n + 4},
				{"metric": "active_machines", "bucket": "now", "first_day": "2026-03-01", "last_day": "2026-03-01", "value": n + 5},
			} {
				seq++
				b.Append(warehouse.Source{Tenant: tenant, Service: service, Seq: seq, Columns: table.ColumnNames()}, []event.Row{s.row(table, byte(seq), c)})
			}
		}
	}
	if err := s.as(warehouse.UserLoader).Insert(s.t.Context(), b, "cells"); err != nil {
		s.t.Fatal(err)
	}
}

func cubeOf(pol *policy.Policy, metric string) string {
	m, _ := pol.Metric(metric)
	return m.Cube()
}

func (s *site) row(table *policy.Table, n byte, c cell) event.Row {
	row := event.Row{
		Table: table.Name, ID: event.NewID(s.clock.Now(), [16]byte{n}), OccurredAt: s.clock.Now(), ExpiresAt: event.Never.Start(),
		Values: make([]event.Value, len(table.Columns)),
	}
	for i, column := range table.Columns {
		switch v := c[column.Name].(type) {
		case string:
			row.Values[i] = event.StringValue(v)
		case int64:
			row.Values[i] = event.IntValue(v)
		default:
			if column.Kind == event.Int {
				row.Values[i] = event.IntValue(0)
			} else {
				row.Values[i] = event.StringValue("")
			}
		}
	}
	return row
}

// credential makes one for an analyst.
func (s *site) credential(p access.Principal) string {
	s.t.Helper()
	if p.Role == "" {
		p.Role = access.Analyst
	}
	if p.Tenant == "" {
		p.Tenant = "acme"
	}
	c, err := s.store.Create(s.t.Context(), p, access.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Reveal()
}

// answer is what came back.
type answer struct {
	status int
	text   string
	header http.Header
	cut    bool // it ended before its end
}

// ask sends a statement in the body of a request, with parameters in the
// address.
func (s *site) ask(credential, statement string, parameters ...string) answer {
	s.t.Helper()
	return s.do(s.request(http.MethodPost, credential, statement, parameters...))
}

func (s *site) request(method, credential, body string, parameters ...string) *http.Request {
	s.t.Helper()
	q := url.Values{}
	for i := 0; i < len(parameters); i += 2 {
		q.Add(parameters[i], parameters[i+1])
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+sqldoor.Path+"?"+q.Encode(), strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if credential != "" {
		r.SetBasicAuth("lethe", credential)
	}
	return r
}

func (s *site) do(r *http.Request) answer {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text), resp.Header, err != nil}
}

// asRoot asks the engine itself, as one who may do everything.
func (s *site) asRoot(statement string) answer {
	s.t.Helper()
	return s.direct(root.Name, root.Password, statement)
}

// direct asks the engine itself, past the door, for the tenant acme.
func (s *site) direct(user, password, statement string) answer {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+s.engine.HTTPAddr()+"/?database=stats", strings.NewReader(statement))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("X-ClickHouse-User", user)
	r.Header.Set("X-ClickHouse-Key", password)
	r.Header.Set(warehouse.ScopeTenant, "acme")
	r.Header.Set(warehouse.ScopeServices, warehouse.AllServices)
	return s.do(r)
}

// noFileHolds looks for a mark in every file of the engine.
func (s *site) noFileHolds(mark string) {
	s.t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Dir(s.engine.DataDir()), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // the engine removes files as it likes
		}
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(mark)) {
			s.t.Errorf("%s holds the text of a statement", filepath.Base(path))
		}
		files++
		return nil
	})
	if err != nil || files < 10 {
		s.t.Fatalf("looked at %d files: %v", files, err)
	}
}
