package stats_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// get asks over HTTP as a role of a tenant.
func (l *lab) get(t *testing.T, tenant string, role access.Role, path string, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for _, a := range accept {
		r.Header.Add("Accept", a)
	}
	if role != "" {
		name := tenant + "/" + string(role)
		if _, ok := l.logins[name]; !ok {
			var err error
			if l.logins[name], err = l.store.Create(t.Context(), access.Principal{Role: role, Tenant: tenant}, access.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		r.Header.Set("Authorization", "Bearer "+l.logins[name].Reveal())
	}
	w := httptest.NewRecorder()
	l.mux.ServeHTTP(w, r)
	return w
}

func TestTheAnswerHasTheShapeThatScriptsRead(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	v := slices.Concat(visits("web", 1, 6, edge, edge.Add(time.Second)), visits("web", 1, 5, edge.AddDate(0, 0, 1)), visits("web", 1, 1, edge.AddDate(0, 0, 2)))
	for i := range v {
		if v[i].person == 6 {
			v[i].status = 404
		}
	}
	l.put(t, tenant, v)
	w := l.get(t, tenant, access.Analyst, "/v1/stats/visits?by=day,status&from=2026-03-01&to=2026-03-03T12:00:00%2B01:00&filter.action=come&filter.action=go")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, %v: %s", w.Code, w.Header(), w.Body)
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, added := range []string{"k", "as_of", "notes", "hidden_rows"} {
		if _, ok := got[added]; !ok {
			t.Errorf("%s is missing", added)
		}
		delete(got, added)
	}
	want := map[string]any{
		"metric": "visits", "from": "2026-03-01T00:00:00Z", "to": "2026-03-03T11:00:00Z", "by": []any{"day", "status"},
		"rows": []any{
			map[string]any{"by": map[string]any{"day": "2026-03-01", "status": 200.0}, "value": 10.0, "hidden": false},
			map[string]any{"by": map[string]any{"day": "2026-03-01", "status": 404.0}, "value": nil, "hidden": true},
			map[string]any{"by": map[string]any{"day": "2026-03-02", "status": 200.0}, "value": 5.0, "hidden": false},
		},
		"total": map[string]any{"value": nil, "hidden": true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	w = l.get(t, newTenant(), access.Officer, "/v1/stats/visits?by=day")
	if !strings.Contains(w.Body.String(), `"from":null,"to":null,"by":["day"],"rows":[],"total":{"value":0,"hidden":false}`) {
		t.Errorf("an answer about nothing is %s", w.Body)
	}
}

// TestWhatIsHiddenIsHiddenOnEveryWayOut: P19.
func TestWhatIsHiddenIsHiddenOnEveryWayOut(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	v := slices.Concat(visits("web", 1, 7, edge), visits("web", 1, 3, edge), visits("web", 3, 4, edge))
	for i := range v {
		v[i].path = "=cmd|' /C calc'!A0"
		if i >= 7 {
			v[i].path, v[i].status = "/secret\x1b[2J", 404
		}
		if i >= 10 {
			v[i].status = 500
		}
	}
	l.put(t, tenant, v)
	const question = "/v1/stats/visits?by=status,path"
	var a stats.Answer
	if err := json.Unmarshal(l.get(t, tenant, access.Analyst, question).Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if a.HiddenRows != 2 || len(a.Rows) != 3 || !a.Total.Hidden {
		t.Fatalf("%d rows, %d hidden, total %s", len(a.Rows), a.HiddenRows, show(a.Total))
	}

	text := l.get(t, tenant, access.Analyst, question, "text/csv")
	if kind := text.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") {
		t.Errorf("the answer is %s", kind)
	}
	if again := l.get(t, tenant, access.Analyst, question+"&format=csv", "application/json"); again.Body.String() != text.Body.String() {
		t.Error("format and Accept give different CSV")
	}
	var rendered strings.Builder
	if err := a.CSV(&rendered); err != nil {
		t.Fatal(err)
	}
	if rendered.String() != text.Body.String() {
		t.Error("an answer that came through JSON renders differently")
	}
	r := csv.NewReader(strings.NewReader(text.Body.String()))
	records, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"status", "path", "value", "hidden"},
		{"200", "'=cmd|' /C calc'!A0", "7", "false"},
		{"404", "", "", "true"},
		{"500", "", "", "true"},
		{"(total)", "(total)", "", "true"},
	}
	if diff := cmp.Diff(want, records); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}

	table := l.get(t, tenant, access.Analyst, question, "text/html", "text/plain;q=0.5").Body.String()
	lines := strings.Split(table, "\n")
	for i, want := range []string{"STATUS PATH VISITS", "200 =cmd|' /C calc'!A0 7", "404 - hidden", "500 - hidden", "(total) (total) hidden"} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("table: %q, want %q", got, want)
		}
	}
	for _, out := range []string{text.Body.String(), table} {
		if strings.Contains(out, "secret") || strings.Contains(out, "\x1b") {
			t.Error("a hidden path is shown")
		}
	}
}

func TestAFilterValueIsAValueAndNothingElse(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	nasty := []string{
		"') OR 1=1 --", "' OR ''='", `\`, `\'`, "\x00", "{p0:String}", "'; DROP TABLE lethe.visit; --", "%", "\t\n\r",
		"unhex('41')", `"`, "`", "日本", "\xff\xfe", strings.Repeat("a", 10_000), "/*", "?", "$1", "@p0",
	}
	v := visits("web", 1, 6, edge)
	for _, path := range nasty {
		for _, w := range visits("web", 1, 5, edge) {
			w.path = path
			v = append(v, w)
		}
	}
	l.put(t, tenant, v)
	for _, value := range nasty {
		q := stats.Question{Metric: "visits", Filters: map[string][]string{"path": {value}}}
		a, err := l.stats.Ask(t.Context(), principal(tenant), q)
		if err != nil {
			t.Errorf("%.20q: %v", value, err)
			continue
		}
		if got := show(a.Total); got != "5" {
			t.Errorf("%.20q: %s visits, want 5", value, got)
		}
		sql, _, err := l.stats.SQL(q, principal(tenant))
		if err != nil || len(value) > 4 && value != "{p0:String}" && strings.Contains(sql, value) {
			t.Errorf("%.20q: the statement holds the value (%v)", value, err)
		}
		w := l.get(t, tenant, access.Operator, "/v1/stats/visits?"+url.Values{"filter.path": {value}}.Encode())
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"total":{"value":5,`) {
			t.Errorf("%.20q over HTTP: %d %s", value, w.Code, w.Body)
		}
	}
	a, err := l.stats.Ask(t.Context(), principal(tenant), stats.Question{Metric: "visits", Filters: map[string][]string{"path": nasty}})
	if err != nil {
		t.Fatal(err)
	}
	expectTotal(t, a, fmt.Sprint(5*len(nasty)))
}

func TestWhatCannotBeAskedIsRefusedWithoutRepeatingIt(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	const secret = "ada@example.org"
	many := "by=day&" + strings.Repeat("filter.path=x&", stats.MaxValues+1)
	for query, want := range map[string]int{
		"/v1/stats/nothing":                                              404,
		"/v1/stats/" + secret:                                            404,
		"/v1/stats/visits?by=visitor":                                    422,
		"/v1/stats/visits?by=tenant":                                     422,
		"/v1/stats/visits?by=event_id":                                   422,
		"/v1/stats/visits?by=" + secret:                                  422,
		"/v1/stats/visits?by=day,day":                                    422,
		"/v1/stats/visits?by=hour,day,week,month,status":                 422,
		"/v1/stats/visits?from=yesterday":                                422,
		"/v1/stats/visits?from=" + secret:                                422,
		"/v1/stats/visits?from=2026-03-02&to=2026-03-02":                 422,
		"/v1/stats/visits?from=2026-03-02&from=2026-03-03":               422,
		"/v1/stats/visits?from=0001-01-02":                               422,
		"/v1/stats/visits?to=9999-01-01":                                 422,
		"/v1/stats/visits?filter.visitor=00":                             422,
		"/v1/stats/visits?filter.status=" + secret:                       422,
		"/v1/stats/visits?filter.secure=1":                               422,
		"/v1/stats/visits?filter.day=2026-3-1":                           422,
		"/v1/stats/visits?filter.week=2026-W54":                          422,
		"/v1/stats/visits?filter.hour=2026-03-01T12:30:00Z":              422,
		"/v1/stats/visits?filter." + url.QueryEscape(secret) + "=":       422,
		"/v1/stats/visits?" + many:                                       422,
		"/v1/stats/visits?format=xml":                                    422,
		"/v1/stats/visits?filters.status=200":                            422,
		"/v1/stats/visits?" + url.QueryEscape(secret) + "=1":             422,
		"/v1/stats/visits?by=%zz":                                        422,
		"/v1/stats?by=day":                                               422,
		"/v1/stats/load?by=path":                                         422,
		"/v1/stats/visits?by=day&filter.week=2026-W09":                   200,
		"/v1/stats/visits?filter.code=&filter.hour=2026-03-01T12:00:00Z": 200,
	} {
		w := l.get(t, tenant, access.Analyst, query)
		if w.Code != want {
			t.Errorf("%s: status %d, want %d: %s", query, w.Code, want, w.Body)
		}
		if strings.Contains(w.Body.String(), secret) || strings.Contains(w.Body.String(), "ada@") {
			t.Errorf("%s: the problem repeats the value", query)
		}
		if want != 200 && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: the answer is %s", query, w.Header().Get("Content-Type"))
		}
	}
}

func TestOnlyThoseWhoMayAskAreAnswered(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	for role, want := range map[access.Role]int{
		"": http.StatusUnauthorized, access.Publisher: http.StatusForbidden,
		access.Analyst: http.StatusOK, access.Officer: http.StatusOK, access.Operator: http.StatusOK,
	} {
		for _, path := range []string{"/v1/stats", "/v1/stats/visits"} {
			if w := l.get(t, tenant, role, path); w.Code != want {
				t.Errorf("%s as %q: status %d, want %d", path, role, w.Code, want)
			}
		}
	}
	for _, r := range l.gate.Routes() {
		if slices.Contains(r.Roles, access.Publisher) || len(r.Roles) == 0 {
			t.Errorf("%s opens to %v", r.Pattern, r.Roles)
		}
	}
}

func TestTheListSaysWhatCanBeAsked(t *testing.T) {
	l := newLab(t)
	w := l.get(t, newTenant(), access.Analyst, "/v1/stats")
	var list struct{ Metrics []stats.Listed }
	b, _ := io.ReadAll(w.Body)
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list.Metrics {
		names = append(names, fmt.Sprintf("%s %s %d", m.Name, m.Value, m.K))
		if m.Title == "" || m.Description == "" {
			t.Errorf("%s is not described", m.Name)
		}
	}
	want := []string{"arrivals count 5", "load count 0", "present current 5", "visitors distinct 5", "visits count 5"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	dims := []stats.ListedDimension{
		{Name: "day", Type: "day"}, {Name: "service", Type: "string", Description: "The service that sent the events."},
		{Name: "status", Type: "integer", Description: "How it went."},
	}
	if diff := cmp.Diff(dims, list.Metrics[1].Dimensions); diff != "" {
		t.Errorf("dimensions (-want +got):\n%s", diff)
	}
}
