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

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// get asks over HTTP as a role of a tenant.
func (l *lab) get(t *testing.T, tenant string, role access.Role, path string, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	if role == "" {
		return l.getAs(t, access.Principal{}, path, accept...)
	}
	return l.getAs(t, access.Principal{Role: role, Tenant: tenant}, path, accept...)
}

// getAs asks over HTTP with a credential of its own.
func (l *lab) getAs(t *testing.T, p access.Principal, path string, accept ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for _, a := range accept {
		r.Header.Add("Accept", a)
	}
	if p.Role != "" {
		name := fmt.Sprintf("%+v", p)
		if _, ok := l.logins[name]; !ok {
			var err error
			if l.logins[name], err = l.store.Create(t.Context(), p, access.Options{}); err != nil {
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
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-01", told: []string{"come", "200"}, value: 10},
		published{metric: "visits", first: "2026-03-02", told: []string{"come"}, value: 5},
		published{metric: "visits", first: "2026-03-02", told: []string{"go"}, value: 7},
		published{metric: "income", first: "2026-03-02", told: []string{"go"}, value: 14},
	)
	w := l.get(t, tenant, access.Analyst, "/v1/stats/visits?by=day,status&from=2026-03-01&to=2026-03-03T01:00:00%2B01:00&filter.action=come&filter.action=stay&explain=1")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("status %d, %v: %s", w.Code, w.Header(), w.Body)
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if notes, _ := got["notes"].([]any); len(notes) != 2 {
		t.Errorf("the notes are %v", got["notes"])
	}
	delete(got, "notes")
	want := map[string]any{
		"metric": "visits", "from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z", "by": []any{"day", "status"},
		"rows": []any{
			map[string]any{"by": map[string]any{"day": "2026-03-01", "status": 200.0}, "value": 10.0, "hidden": false},
			map[string]any{"by": map[string]any{"day": "2026-03-02", "status": nil}, "other": []any{"status"}, "value": 5.0, "hidden": false},
		},
		"total": map[string]any{"value": 15.0, "hidden": false},
		"k":     5.0, "zone": "UTC", "hidden_rows": 0.0, "as_of": "2026-03-20T12:00:00Z",
		"cells": []any{
			map[string]any{"metric": "visits", "service": "web", "bucket": "day", "first_day": "2026-03-02", "last_day": "2026-03-02", "value": 5.0,
				"told": map[string]any{"action": "come"}, "other": []any{"status", "product", "path", "secure", "hour"}, "cut_at": "2026-03-20T12:00:00Z", "subjects": "at least 5"},
			map[string]any{"metric": "visits", "service": "web", "bucket": "day", "first_day": "2026-03-01", "last_day": "2026-03-01", "value": 10.0,
				"told": map[string]any{"action": "come", "status": "200"}, "other": []any{"product", "path", "secure", "hour"}, "cut_at": "2026-03-20T12:00:00Z", "subjects": "at least 5"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	w = l.get(t, newTenant(), access.Officer, "/v1/stats/visits?by=day&explain=0")
	if want := `{"metric":"visits","from":null,"to":null,"by":["day"],"rows":[],"total":{"value":null,"hidden":true},"k":5,"zone":"UTC","hidden_rows":0,"as_of":"2026-03-20T12:00:00Z","notes":[`; !strings.HasPrefix(w.Body.String(), want) {
		t.Errorf("an answer about nothing is %s", w.Body)
	}
	w = l.get(t, tenant, access.Officer, "/v1/stats/spent_per_visit?by=action")
	if want := `"rows":[{"by":{"action":"come"},"value":null,"hidden":true},{"by":{"action":"go"},"value":2.0000,"hidden":false}],"total":{"value":0.6364,`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("a ratio is %s", w.Body)
	}
}

// TestWhatIsHiddenIsHiddenOnEveryWayOut: P19. A number that is not published is
// written alike wherever it might stand, and all forms show the same.
func TestWhatIsHiddenIsHiddenOnEveryWayOut(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "=cmd|' /C calc'!A0"}, value: 7},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "404", "\x1b[2J\ta"}, value: 6},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "404", ""}, value: 8},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "500"}, value: 9},
		published{metric: "income", first: "2026-03-02", told: []string{"come", "200", "=cmd|' /C calc'!A0"}, value: 14},
		published{metric: "income", first: "2026-03-02", told: []string{"come", "500"}, value: 0},
	)
	for _, c := range []struct {
		question string
		csv      [][]string
		table    []string
	}{
		{"/v1/stats/visits?by=status,product", [][]string{
			{"status", "product", "value", "hidden"},
			{"200", "'=cmd|' /C calc'!A0", "7", "false"},
			{"404", "", "8", "false"},
			{"404", "\x1b[2J\ta", "6", "false"},
			{"500", "(other)", "9", "false"},
			{"(total)", "(total)", "30", "false"},
		}, []string{"STATUS PRODUCT VISITS", "200 =cmd|' /C calc'!A0 7", "404 - 8", "404 ?[2J?a 6", "500 (other) 9", "(total) (total) 30"}},
		{"/v1/stats/spent_per_visit?by=status", [][]string{
			{"status", "value", "hidden"},
			{"200", "2.0000", "false"},
			{"404", "", "true"},
			{"500", "0.0000", "false"},
			{"(total)", "0.4667", "false"},
		}, []string{"STATUS SPENT_PER_VISIT", "200 2.0000", "404 hidden", "500 0.0000", "(total) 0.4667"}},
		{"/v1/stats/visitors?by=path", [][]string{{"path", "value", "hidden"}, {"(total)", "", "true"}}, []string{"PATH VISITORS", "(total) hidden"}},
		{"/v1/stats/visits?filter.status=200&explain=1", [][]string{
			{"metric", "service", "bucket", "first_day", "last_day", "action", "hour", "path", "product", "secure", "status", "value", "subjects", "cut_at"},
			{"visits", "web", "day", "2026-03-02", "2026-03-02", "come", "(other)", "(other)", "'=cmd|' /C calc'!A0", "(other)", "200", "7", "at least 5", "2026-03-20T12:00:00Z"},
		}, []string{"VISITS", "7", "",
			"metric service bucket first_day last_day action hour path product secure status value subjects cut_at",
			"visits web day 2026-03-02 2026-03-02 come (other) (other) =cmd|' /C calc'!A0 (other) 200 7 at least 5 2026-03-20T12:00:00Z"}},
		{"/v1/stats/visits?filter.status=1&explain=1", [][]string{
			{"metric", "service", "bucket", "first_day", "last_day", "value", "subjects", "cut_at"},
		}, []string{"VISITS", "hidden", "", "metric service bucket first_day last_day value subjects cut_at"}},
	} {
		var a stats.Answer
		if err := json.Unmarshal(l.get(t, tenant, access.Analyst, c.question).Body.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		text := l.get(t, tenant, access.Analyst, c.question, "text/csv")
		if kind := text.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") {
			t.Errorf("%s: the answer is %s", c.question, kind)
		}
		if again := l.get(t, tenant, access.Analyst, c.question+"&format=csv", "application/json"); again.Body.String() != text.Body.String() {
			t.Errorf("%s: format and Accept give different CSV", c.question)
		}
		var rendered strings.Builder
		if err := a.CSV(&rendered); err != nil {
			t.Fatal(err)
		}
		if rendered.String() != text.Body.String() {
			t.Errorf("%s: an answer that came through JSON renders differently", c.question)
		}
		records, err := csv.NewReader(strings.NewReader(text.Body.String())).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.csv, records); diff != "" {
			t.Errorf("%s: CSV (-want +got):\n%s", c.question, diff)
		}
		table := l.get(t, tenant, access.Analyst, c.question, "text/html", "text/plain;q=0.5").Body.String()
		var got []string
		for _, line := range strings.Split(table, "\n") {
			if !strings.HasPrefix(line, "#") {
				got = append(got, strings.Join(strings.Fields(line), " "))
			}
		}
		if diff := cmp.Diff(append(c.table, ""), got); diff != "" {
			t.Errorf("%s: table (-want +got):\n%s", c.question, diff)
		}
		if strings.Contains(table, "\x1b") {
			t.Errorf("%s: the table has what terminals obey", c.question)
		}
	}
}

func TestAFilterValueIsAValueAndNothingElse(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	nasty := []string{
		"') OR 1=1 --", "' OR ''='", `\`, `\'`, "\x00", "{p0:String}", "'; DROP TABLE lethe.cell; --", "%", "\t\n\r",
		"unhex('41')", `"`, "`", "日本", "\xff\xfe", strings.Repeat("a", 10_000), "/*", "?", "$1", "@p0", "(other)", "masked",
	}
	cells := []published{{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "plain"}, value: 1}}
	for _, v := range nasty {
		cells = append(cells, published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", v}, value: 5})
	}
	l.put(t, tenant, cells...)
	for _, value := range nasty {
		a := l.ask(t, principal(tenant), stats.Question{Metric: "visits", Filters: filters("product", value)})
		if got := show(a.Total); got != "5" {
			t.Errorf("%.20q: %s visits, want 5", value, got)
		}
		w := l.get(t, tenant, access.Operator, "/v1/stats/visits?"+url.Values{"filter.product": {value}}.Encode())
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"total":{"value":5,`) {
			t.Errorf("%.20q over HTTP: %d %s", value, w.Code, w.Body)
		}
	}
	a := l.ask(t, principal(tenant), stats.Question{Metric: "visits", Filters: map[string][]string{"product": nasty}})
	if got := show(a.Total); got != fmt.Sprint(5*len(nasty)) {
		t.Errorf("all of them: %s", got)
	}
	// A tenant or a service whose name is SQL is a name that nobody has.
	for _, who := range []access.Principal{principal("x' OR 1=1 --"), principal(tenant, "web') OR ('1'='1")} {
		if got := show(l.ask(t, who, stats.Question{Metric: "visits"}).Total); got != "hidden" {
			t.Errorf("as %s: %s visits", who.Tenant, got)
		}
	}
}

func TestWhatCannotBeAskedIsRefusedWithoutRepeatingIt(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	const secret = "ada@example.org"
	many := "by=day&" + strings.Repeat("filter.path=x&", stats.MaxValues+1)
	for query, want := range map[string]int{
		"/v1/stats/nothing":                                               404,
		"/v1/stats/" + secret:                                             404,
		"/v1/stats/visits?by=visitor":                                     422,
		"/v1/stats/visits?by=tenant":                                      422,
		"/v1/stats/visits?by=event_id":                                    422,
		"/v1/stats/visits?by=d1":                                          422,
		"/v1/stats/visits?by=" + secret:                                   422,
		"/v1/stats/visits?by=day,day":                                     422,
		"/v1/stats/visits?by=day,week":                                    422,
		"/v1/stats/visits?by=trailing_7":                                  422,
		"/v1/stats/visits?by=hour,day,path,action,status":                 422,
		"/v1/stats/visits?from=yesterday":                                 422,
		"/v1/stats/visits?from=" + secret:                                 422,
		"/v1/stats/visits?from=2026-03-02T12:00:00Z":                      422,
		"/v1/stats/visits?from=2026-03-02T00:00:00.001Z":                  422,
		"/v1/stats/visits?from=2026-03-02&to=2026-03-02":                  422,
		"/v1/stats/visits?from=2026-03-02&from=2026-03-03":                422,
		"/v1/stats/visits?from=2026-02-30":                                422,
		"/v1/stats/visits?from=0001-01-02":                                422,
		"/v1/stats/visits?to=9999-01-01":                                  422,
		"/v1/stats/visits?filter.visitor=00":                              422,
		"/v1/stats/visits?filter.tenant=other":                            422,
		"/v1/stats/visits?filter.status=" + secret:                        422,
		"/v1/stats/visits?filter.secure=1":                                422,
		"/v1/stats/visits?filter.day=2026-3-1":                            422,
		"/v1/stats/visits?filter.day=":                                    422,
		"/v1/stats/visits?filter.week=2026-W54":                           422,
		"/v1/stats/visits?filter.hour=2026-03-01T12:30:00Z":               422,
		"/v1/stats/visits?filter." + url.QueryEscape(secret) + "=":        422,
		"/v1/stats/visits?" + many:                                        422,
		"/v1/stats/visits?format=xml":                                     422,
		"/v1/stats/visits?filters.status=200":                             422,
		"/v1/stats/visits?" + url.QueryEscape(secret) + "=1":              422,
		"/v1/stats/visits?by=%zz":                                         422,
		"/v1/stats/visits?top=5":                                          422,
		"/v1/stats/visits?top=0&by=path":                                  422,
		"/v1/stats/visits?top=1e3&by=path":                                422,
		"/v1/stats/visits?top=99999999999999999999&by=path":               422,
		"/v1/stats/visits?explain=yes":                                    422,
		"/v1/stats?by=day":                                                422,
		"/v1/stats/beats?by=path":                                         422,
		"/v1/stats/visits_per_visitor?by=secure":                          422,
		"/v1/stats/visits?by=day&filter.week=2026-W09":                    200,
		"/v1/stats/visits?by=&from=&to=":                                  200,
		"/v1/stats/visits?filter.spent=1":                                 422,
		"/v1/stats/visits?filter.path=&filter.hour=2026-03-01T12:00:00Z":  200,
		"/v1/stats/nights?from=2026-04-24&to=2026-04-25T00:00:00%2B03:00": 200,
		"/v1/stats/nights?from=2026-04-24T01:00:00%2B03:00":               200,
		"/v1/stats/nights?from=2026-04-24T00:00:00%2B03:00":               422,
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
		names = append(names, fmt.Sprintf("%s %s %d %s", m.Name, m.Value, m.K, m.Zone))
		if m.Title == "" || m.Description == "" {
			t.Errorf("%s is not described", m.Name)
		}
	}
	want := []string{"beats count 0 UTC", "income sum 5 UTC", "nights count 5 Africa/Cairo", "present current 5 UTC", "regular_share ratio 6 UTC",
		"regulars distinct 6 UTC", "spent_per_visit ratio 5 UTC", "visitors distinct 5 UTC", "visits count 5 UTC", "visits_per_visitor ratio 5 UTC"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
	for i, want := range map[int]string{
		0: "service service, day bucket, week bucket, month bucket, room string",
		1: "service service, day bucket, week bucket, month bucket, action string, status integer, product string, path string, secure boolean, hour hour",
		3: "service service, status integer, product string",
		5: "service service, day bucket, month bucket, status integer, path string",
		9: "service service, day bucket, week bucket, month bucket, action string, status integer, product string, path string",
	} {
		var got []string
		for _, d := range list.Metrics[i].Dimensions {
			got = append(got, d.Name+" "+d.Type)
			if d.Description == "" {
				t.Errorf("%s of %s is not described", d.Name, names[i])
			}
		}
		if got := strings.Join(got, ", "); got != want {
			t.Errorf("%s has %s, want %s", names[i], got, want)
		}
	}
}
