package access_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestARouteOpensToTheRolesItNamesAndToNobodyElse(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	credentials := map[access.Role]access.Credential{}
	for _, role := range access.Roles() {
		credentials[role] = create(t, s, access.Principal{Role: role, Tenant: "acme"}, access.Options{})
	}
	var log bytes.Buffer
	gate := access.NewGate(s, slog.New(slog.NewJSONHandler(&log, nil)))
	mux := http.NewServeMux()
	routes := []access.Route{
		{Pattern: "GET /all", Roles: access.Roles(), Recorded: []access.Role{access.Analyst, access.Officer}},
		{Pattern: "GET /officers", Roles: []access.Role{access.Officer}, Recorded: []access.Role{access.Officer}},
		{Pattern: "GET /stats/{metric}", Roles: []access.Role{access.Analyst, access.Officer}, Recorded: []access.Role{access.Analyst, access.Officer}},
	}
	for i := range routes {
		routes[i].Honors = []access.Limit{access.LimitServices}
	}
	var ran access.Principal
	for _, i := range []int{2, 0, 1} {
		gate.Handle(mux, routes[i].Pattern, routes[i].Roles, func(w http.ResponseWriter, r *http.Request, p access.Principal) {
			ran = p
		})
	}
	if diff := cmp.Diff(routes, gate.Routes()); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	for _, route := range routes {
		path := strings.NewReplacer("GET ", "", "{metric}", "visitors").Replace(route.Pattern)
		for _, role := range append(access.Roles(), "") {
			r := httptest.NewRequest("GET", path, nil)
			want := http.StatusUnauthorized
			if role != "" {
				r.Header.Set("Authorization", "Bearer "+credentials[role].Reveal())
				want = http.StatusForbidden
			}
			if slices.Contains(route.Roles, role) {
				want = http.StatusOK
			}
			ran = access.Principal{}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s as %q: status %d, want %d", path, role, w.Code, want)
			}
			if (ran.ID != "") != (want == http.StatusOK) {
				t.Errorf("%s as %q: the handler ran for %q", path, role, ran.ID)
			}
			if want != http.StatusOK {
				var problem struct{ Status int }
				if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Status != want ||
					w.Header().Get("Content-Type") != "application/problem+json" {
					t.Errorf("%s as %q: the answer is no problem document: %s", path, role, w.Body)
				}
			}
		}
	}
	for role, c := range credentials {
		if strings.Contains(log.String(), c.Reveal()[strings.LastIndex(c.Reveal(), "_")+1:]) {
			t.Errorf("the log holds the %s's secret", role)
		}
	}
}

func TestAPrincipalSendsAndAsksOnlyForItsServices(t *testing.T) {
	for _, c := range []struct {
		p         access.Principal
		service   string
		send, ask bool
	}{
		{access.Principal{Role: access.Publisher}, "shop", true, false},
		{access.Principal{Role: access.Publisher, Services: []string{"shop"}}, "shop", true, false},
		{access.Principal{Role: access.Publisher, Services: []string{"shop"}}, "web", false, false},
		{access.Principal{Role: access.Analyst}, "shop", false, true},
		{access.Principal{Role: access.Officer, Services: []string{"web"}}, "shop", false, false},
		{access.Principal{Role: access.Operator, Services: []string{"web"}}, "web", false, true},
		{access.Principal{}, "shop", false, false},
	} {
		if c.p.MaySend(c.service) != c.send || c.p.MayAsk(c.service) != c.ask {
			t.Errorf("%v about %s: send %v, ask %v", c.p, c.service, c.p.MaySend(c.service), c.p.MayAsk(c.service))
		}
	}
}

func BenchmarkIdentify(b *testing.B) {
	s := open(b, filepath.Join(b.TempDir(), "credentials.json"))
	text := create(b, s, analyst, access.Options{}).Reveal()
	for b.Loop() {
		if _, err := s.Identify(text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestWhatARequestStatesIsOnRecordWithTheDecision, in one act: P10. What
// cannot be read is not served, and nobody else's body is read at all.
func TestWhatARequestStatesIsOnRecordWithTheDecision(t *testing.T) {
	s := newSite(t)
	mux, read := http.NewServeMux(), 0
	s.gate.Handle(mux, "POST /v1/sql", overseers, s.handler, access.Recorded, access.MaxBody(8),
		access.Stating(func(r *http.Request) (access.Statement, error) {
			read++
			b, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(b))
			if err != nil {
				return access.Statement{}, fault.Invalid.Errorf("too long")
			}
			return access.Statement{Hash: "h", Length: len(b)}, nil
		}))
	ask := func(role access.Role, body string) int {
		t.Helper()
		c, err := s.store.Create(t.Context(), access.Principal{Role: role, Tenant: "acme"}, access.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/v1/sql", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+c.Reveal())
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask(access.Analyst, "SELECT 1"); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	ran, decisions, _ := s.seen()
	if len(ran) != 1 || len(decisions) != 1 || decisions[0].Statement != (access.Statement{Hash: "h", Length: 8}) {
		t.Errorf("it ran %d times, and on record is %+v", len(ran), decisions)
	}
	if got := ask(access.Analyst, "SELECT 12"); got == http.StatusOK {
		t.Errorf("what cannot be read: status %d", got)
	}
	if got := ask(access.Publisher, "SELECT 1"); got != http.StatusForbidden || read != 2 {
		t.Errorf("of one who may not, the statement was read: status %d, %d times", got, read)
	}
	s.record(errors.New("full"))
	if got := ask(access.Analyst, "SELECT 1"); got != http.StatusServiceUnavailable {
		t.Errorf("unrecorded: status %d", got)
	}
	if ran, _, _ := s.seen(); len(ran) != 0 {
		t.Errorf("%d of them were served", len(ran))
	}
}
