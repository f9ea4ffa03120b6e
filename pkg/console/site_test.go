package console_test

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/console"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// site is a console on a real gate, a real store and a real HTTP server. Its
// API is a few routes behind the same gate, which say little.
type site struct {
	t       testing.TB
	store   *access.Store
	gate    *access.Gate
	console *console.Console
	server  *httptest.Server

	mu        sync.Mutex // guards what follows
	at        time.Time
	decisions []access.Decision
	questions []string     // what the API was asked about metrics
	answer    stats.Answer // to all of them
}

// listed are the metrics of the site: one of each kind.
var listed = func() []stats.Listed {
	list := func(name, value string, k int, dimensions ...string) stats.Listed {
		l := stats.Listed{Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Value: value, K: k, Public: k == 0, Zone: "UTC"}
		for _, d := range append([]string{"service"}, dimensions...) {
			name, kind, _ := strings.Cut(d, ":")
			l.Dimensions = append(l.Dimensions, stats.ListedDimension{Name: name, Type: cmp.Or(kind, "string"), Masked: kind == "masked"})
		}
		return l
	}
	ratio := list("requests_per_visitor", "ratio", 11, "day:bucket", "week:bucket", "month:bucket", "path", "status:int")
	ratio.Of = []string{"requests", "visitors"}
	return []stats.Listed{
		list("activations", "count", 11, "day:bucket", "week:bucket", "month:bucket", "product", "version", "country:masked"),
		list("active_machines", "current", 11, "product", "version"),
		list("log_lines", "count", 0, "day:bucket", "week:bucket", "month:bucket", "level", "logger", "hour:hour"),
		list("requests", "count", 11, "day:bucket", "week:bucket", "month:bucket", "path", "status:int"),
		ratio,
		list("visitors", "distinct", 11, "day:bucket", "week:bucket", "trailing_7:bucket", "trailing_30:bucket", "path", "status:int"),
	}
}()

// number is one that is shown.
func number(n string) stats.Number {
	v := json.Number(n)
	return stats.Number{Value: &v}
}

var hidden = stats.Number{Hidden: true}

// says has the API give an answer from then on.
func (s *site) says(a stats.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer, s.questions = a, nil
}

// asked is what the API was asked since.
func (s *site) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.questions)
}

func open(t testing.TB, options ...func(*access.Config)) *site {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials.json")
	store, err := access.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, store: store, at: time.Now(), answer: stats.Answer{
		By: []string{"day"}, Total: hidden, K: 11, Rows: []stats.Row{{By: map[string]any{"day": "2026-01-01"}, Number: number("4711")}},
	}}
	c := access.Config{
		Who: store, Log: lethetest.Logger(t), Home: "default", Now: s.now,
		Record: func(_ context.Context, d access.Decision) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.decisions = append(s.decisions, d)
			return nil
		},
	}
	for _, o := range options {
		o(&c)
	}
	s.gate = access.New(c)
	mux := http.NewServeMux()
	askers := []access.Role{access.Analyst, access.Officer, access.Operator}
	overseers := []access.Role{access.Officer, access.Operator}
	answers := func(pattern string, roles []access.Role, v any, marks ...access.Mark) {
		s.gate.Handle(mux, pattern, roles, func(w http.ResponseWriter, _ *http.Request, _ access.Principal) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		}, marks...)
	}
	type object = map[string]any
	answers("GET /v1/stats", askers, object{"metrics": listed})
	s.gate.Handle(mux, "GET /v1/stats/{metric}", askers, func(w http.ResponseWriter, r *http.Request, _ access.Principal) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.questions = append(s.questions, r.PathValue("metric")+"?"+r.URL.RawQuery)
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.answer)
	})
	answers("GET /v1/status", overseers, object{}, access.Installation)
	answers("GET /v1/verify/history", overseers, object{}, access.Installation, access.Unrecorded)
	answers("GET /v1/verify", overseers, object{}, access.Installation)
	answers("GET /v1/catalog", askers, object{}, access.Unrecorded)
	answers("GET /v1/audit", []access.Role{access.Officer}, object{}, access.Installation)
	answers("POST /v1/retention/run", overseers, object{}, access.Installation, access.Recorded)

	s.console = console.New(console.Config{API: console.InProcess(mux), Gate: s.gate, Log: lethetest.Logger(t), Now: s.now})
	s.console.Routes(mux)
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// pass lets time go by.
func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.at.Add(d)
}

// issue makes a credential.
func (s *site) issue(p access.Principal) (text, id string) {
	s.t.Helper()
	if p.Tenant == "" {
		p.Tenant = "default"
	}
	c, err := s.store.Create(s.t.Context(), p, access.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Reveal(), c.ID()
}

// browser is somebody's. It follows no redirect and keeps cookies.
type browser struct {
	*site
	client *http.Client
	header http.Header
	proof  string
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := s.server.Client()
	return &browser{s, &http.Client{
		Transport: c.Transport, Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, http.Header{}, ""}
}

// onRecord are the decisions that were put on record.
func (s *site) onRecord() []access.Decision {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.decisions)
}

// page is an answer.
type page struct {
	status   int
	header   http.Header
	body, to string
}

func (b *browser) do(method, path string, form url.Values) page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	for name, v := range b.header {
		r.Header[name] = v
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, string(text), resp.Header.Get("Location")}
}

func (b *browser) get(path string) page { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// send sends a form that was served to this browser.
func (b *browser) send(path string, form url.Values) page {
	b.t.Helper()
	if b.proof == "" {
		m := regexp.MustCompile(`name="proof" value="([^"]+)"`).FindStringSubmatch(b.get("/console/purpose").body)
		if m == nil {
			b.t.Fatal("no page has a form")
		}
		b.proof = m[1]
	}
	if form == nil {
		form = url.Values{}
	}
	form.Set("proof", b.proof)
	return b.do(http.MethodPost, path, form)
}

func (b *browser) signIn(credential string) page {
	b.t.Helper()
	return b.do(http.MethodPost, "/console/signin", url.Values{"credential": {credential}})
}

// in is a browser that is signed in with a credential of a role.
func (s *site) in(role access.Role) *browser {
	s.t.Helper()
	text, _ := s.issue(access.Principal{Role: role})
	return s.inWith(text)
}

func (s *site) inWith(credential string) *browser {
	s.t.Helper()
	b := s.browser()
	if p := b.signIn(credential); p.status != http.StatusSeeOther || p.to != "/console/" {
		s.t.Fatalf("signing in: status %d", p.status)
	}
	return b
}

// isOut says whether an answer sends to the page for signing in.
func (p page) isOut() bool {
	return p.status == http.StatusSeeOther && (strings.HasPrefix(p.to, "/console/signin") || strings.HasPrefix(p.to, "/console/over"))
}

var pages = []string{
	"/console/", "/console/usage", "/console/usage.csv?metric=activations", "/console/retention", "/console/evidence", "/console/catalog",
	"/console/record", "/console/flow", "/console/flow.json", "/console/audit", "/console/purpose",
}
