package main_test

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
)

// doors are the addresses of a running Lethe besides its own listener.
type doors struct {
	SQL, NATS string
}

// natsPassword is what publishers log in with in these tests.
const natsPassword = "publishers' own"

// openDoors starts a Lethe with every door that there is.
func openDoors(t testing.TB) (*running, doors) {
	t.Helper()
	r := up(t, func(r *running) {
		r.Args = []string{"--nats-listen", "127.0.0.1:0"}
		r.Env = []string{"LETHE_NATS_PUBLISHER_PASSWORD=" + natsPassword, "LETHE_SQL_LISTEN=127.0.0.1:0"}
	})
	return r, r.doors()
}

// doors reads where a running Lethe says that it listens.
func (r *running) doors() doors {
	r.t.Helper()
	var at doors
	b, err := os.ReadFile(filepath.Join(r.Data, "run.json"))
	if err != nil {
		r.t.Fatal(err)
	}
	decode(r.t, string(b), &at)
	if at.SQL == "" || at.NATS == "" {
		r.t.Fatalf("the addresses do not name every door: %s", b)
	}
	return at
}

// carriers are the ways in which ClickHouse's clients show a password, and some
// that the door does not take.
var carriers = []place{
	{name: "Bearer", show: bearer},
	{name: "Basic", show: func(r *http.Request, c string) { r.SetBasicAuth("default", c) }},
	{name: "Basic, its purpose in the address", show: func(r *http.Request, c string) { r.SetBasicAuth("lethe", c) }, purposeInAddress: true},
	{name: "X-ClickHouse-Key", show: func(r *http.Request, c string) {
		r.Header.Set("X-ClickHouse-User", "default")
		r.Header.Set("X-ClickHouse-Key", c)
	}},
	{name: "twice the same", show: func(r *http.Request, c string) {
		r.SetBasicAuth("default", c)
		r.Header.Set("X-ClickHouse-Key", c)
	}},
	{name: "two that differ", untaken: true, show: func(r *http.Request, c string) {
		bearer(r, c)
		r.Header.Set("X-ClickHouse-Key", c+"a")
	}},
	{name: "in the address", untaken: true, show: func(r *http.Request, c string) {
		q := r.URL.Query()
		q.Set("user", "default")
		q.Set("password", c)
		r.URL.RawQuery = q.Encode()
	}},
}

// ofSQL are the routes of SQL in every way, at the process's own listener and at
// the one of SQL.
func (m *matrix) ofSQL(at doors) []place {
	m.t.Helper()
	var out []place
	for _, inner := range slices.Sorted(maps.Keys(sqldoor.ListenerPaths())) {
		path := sqldoor.ListenerPaths()[inner]
		found := 0
		for _, route := range m.routes {
			method, pattern, _ := strings.Cut(route.Pattern, " ")
			if pattern != path {
				continue
			}
			found++
			for name, address := range map[string]string{route.Pattern: m.r.HTTP + path, method + " " + inner + " at sql.listen": at.SQL + inner} {
				for _, p := range carriers {
					p.name, p.route, p.method, p.url = name+", "+p.name, route, method, address
					out = append(out, p)
				}
			}
		}
		if found == 0 {
			m.t.Errorf("no route is behind %s", inner)
		}
	}
	return out
}

// notThere asks the listener of SQL for everything else that the process has:
// for none of it is there a path, and its own paths take no other method.
func (m *matrix) notThere(at doors) {
	m.t.Helper()
	try := func(method, path string, want int) {
		for _, role := range access.Roles() {
			m.cases++
			p := place{name: method + " " + path + " at sql.listen", method: method, url: at.SQL + path, show: bearer}
			if got := m.ask(p, m.r.Credential(string(role)), nil); got != want {
				m.t.Errorf("%s as %s: status %d, want %d", p.name, role, got, want)
			}
		}
	}
	own := sqldoor.ListenerPaths()
	for _, route := range m.routes {
		method, path, found := strings.Cut(route.Pattern, " ")
		if !found {
			method, path = http.MethodGet, route.Pattern
		}
		if path = parameter.ReplaceAllString(path, "none"); own[path] == "" {
			try(method, path, http.StatusNotFound)
		}
	}
	for path := range own {
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			try(method, path, http.StatusMethodNotAllowed)
		}
	}
}

// signIns tries every credential at the sign-in of the console, which knows of a
// credential whether it is one, and its networks; what it opens is for the
// routes that pages ask.
func (m *matrix) signIns() {
	m.t.Helper()
	p := place{name: "signing in", method: http.MethodPost, url: m.r.HTTP + "/console/signin", show: func(r *http.Request, c string) {
		form := url.Values{"credential": {c}}.Encode()
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(form)), int64(len(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}}
	for _, role := range access.Roles() {
		for i := range situations {
			s := &situations[i]
			m.cases++
			text, want := m.text(s, role), http.StatusSeeOther
			switch {
			case text == "":
				want = http.StatusUnprocessableEntity
			case s.want(access.Route{}) == http.StatusUnauthorized:
				want = http.StatusUnauthorized
			case len(s.scope.Networks) > 0:
				want = http.StatusForbidden
			}
			if got := m.ask(p, text, s.headers); got != want {
				m.t.Errorf("%s as %s, %s: status %d, want %d", p.name, role, s.name, got, want)
			}
		}
	}
}
