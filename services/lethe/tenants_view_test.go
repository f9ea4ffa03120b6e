package main_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// tenantStatements are what a tenant asks in SQL.
var tenantStatements = []string{
	"SELECT * FROM cells ORDER BY ALL FORMAT JSON",
	"SELECT * FROM requests ORDER BY ALL FORMAT CSVWithNames",
	"SELECT service, count(), sum(value) FROM cells GROUP BY service ORDER BY service",
	"SELECT throwIf(count() > 0, 'there is something') FROM cells",
	"SELECT accurateCast(service, 'UInt8') FROM cells ORDER BY service",
	"SELECT * FROM system.tables",
	"SELECT nothing FROM cells",
}

// tenantCommands are what a tenant's people ask on the command line.
var tenantCommands = map[access.Role][]string{
	access.Publisher: {"status"},
	access.Analyst: {
		"ask", "ask requests --by service,path --explain -o json", "ask requests --by day,service -o csv", "ask visitors --by service",
		"ask active_machines --explain", "ask gossip", "ropa", "status",
	},
	access.Officer: {
		"hold list -o json", "credentials list -o json", "audit list", "audit checkpoint", "verify", "quarantine list", "keys list", "plan", "status",
	},
	access.Operator: {"credentials list", "hold list", "quarantine list", "keys list", "plan", "status", "ask requests"},
}

// questions are what a tenant's people ask of every route that reads and opens
// to a role, as the gate has it: a route that is added is asked too.
func (h *tenants) questions() map[access.Role][]string {
	h.t.Helper()
	out := map[access.Role][]string{}
	for _, route := range h.rules {
		path, reads := strings.CutPrefix(route.Pattern, "GET ")
		if !reads || route.Public {
			continue
		}
		all, every := []string{parameter.ReplaceAllString(path, "none"), path + "?nothing=1"}, []string(nil)
		switch route.Pattern {
		case "GET /v1/sql":
			for _, s := range tenantStatements {
				every = append(every, path+"?"+url.Values{"query": {s}}.Encode())
			}
		case "GET /v1/stats/{metric}":
			for _, m := range policyOf(h.t, "").Metrics() {
				at := strings.Replace(path, "{metric}", m.Name, 1)
				every = append(every, at, at+"?by=service&explain=1", at+"?by=service&format=csv", at+"?format=table&by=service,"+m.Dimensions[0].Name, at+"?by=nothing")
			}
		}
		for _, role := range access.Roles() {
			out[role] = append(out[role], all...)
			if role == access.Analyst {
				out[role] = append(out[role], every...)
			}
		}
	}
	return out
}

// look hears everything that a tenant is told over HTTP, with headers, and,
// where it is to look all over, on the command line and in the console.
func (h *tenants) look(tn *tenant, allOver bool) *ear {
	e := &ear{r: h.r}
	for role, paths := range h.questions() {
		for _, path := range paths {
			status, _, err := e.try(tn.call(role, http.MethodGet, path))
			if err != nil || status >= 500 && !strings.Contains(path, "throwIf") { // which ClickHouse answers so
				h.t.Errorf("%s as %s: status %d, %v", path, role, status, err)
			}
		}
	}
	if !allOver {
		return e
	}
	for role, commands := range tenantCommands {
		env := []string{"LETHE_SERVER=" + h.r.HTTP, "LETHE_CREDENTIAL=" + tn.texts[role]}
		for _, command := range commands {
			stdout, stderr, err := lethe(h.t, env, strings.Fields(command)...)
			e.hear(fmt.Sprintf("lethe %s as %s", command, role), fmt.Appendf(nil, "%s\n%s\n%v", stdout, stderr, err))
		}
	}
	for _, role := range access.Roles() {
		b := h.r.consoleWith(tn.texts[role])
		for _, path := range append(slices.Concat(slices.Collect(maps.Values(consolePages))...),
			"/console/usage?metric=requests&by=service", "/console/usage.csv?metric=requests&by=service,path", "/console/record", "/console/flow.json",
			"/console/evidence?since=all") {
			status, text := b.get(path)
			e.hear(fmt.Sprintf("%s as %s", path, role), fmt.Appendf(nil, "%d\n%s", status, text))
		}
	}
	return e
}

// volatile is what differs between two answers that say the same: when they
// were given, and what is drawn at random for each.
var volatile = []*regexp.Regexp{
	regexp.MustCompile(`(?m)^Date: .*$`),
	regexp.MustCompile(`(?m)^X-Clickhouse-(Query-Id|Exception-Tag): .*$`),
	regexp.MustCompile(`name="proof" value="[^"]*"`),
	regexp.MustCompile(`"as_of": ?"[^"]*"`),
	regexp.MustCompile(`As of .* UTC`),
}

func steady(what []byte) string {
	for _, v := range volatile {
		what = v.ReplaceAll(what, nil)
	}
	return string(what)
}

// differences are the answers that are not what they were.
func differences(before, after *ear) (where []string) {
	is := map[string]string{}
	for _, s := range after.said {
		is[s.where] = steady(s.what)
	}
	for _, s := range before.said {
		if is[s.where] != steady(s.what) {
			where = append(where, s.where)
		}
	}
	return where
}

// unchanged holds what a tenant is told to what it was told before others
// published more.
func (h *tenants) unchanged(tn *tenant, before, after *ear) {
	h.t.Helper()
	if len(before.said) != len(after.said) || len(before.said) < 100 {
		h.t.Errorf("%s was told %d things and then %d", tn.name, len(before.said), len(after.said))
	}
	other := map[string]bool{}
	for _, where := range differences(before, after) {
		other[where] = true
	}
	for _, s := range before.said {
		h.try(other[s.where], "%s is told something else since others published more: %s", tn.name, s.where)
	}
	h.holdsNothingOfOthers(tn, before)
	h.holdsNothingOfOthers(tn, after)
}

// holdsNothingOfOthers looks in all that a tenant is told for what only another
// may be told. Those who run the installation may be told of every tenant.
func (h *tenants) holdsNothingOfOthers(tn *tenant, told *ear) {
	if tn == h.home() {
		return
	}
	s := lethetest.NewScanner(h.sought())
	told.scan(s)
	tn.ear.scan(s)
	h.mu.Lock()
	h.tried += len(told.said)
	h.mu.Unlock()
	own := map[string]bool{}
	for _, f := range s.Findings() {
		whose, what, _ := strings.Cut(f.Label, ": ")
		own[what] = own[what] || whose == tn.name
		h.try(whose != tn.name, "%s is told of another: %s", tn.name, f)
	}
	// The control: its own is found.
	for _, what := range []string{"name", "service", "hold", "event", string(access.Analyst)} {
		if !own[what] {
			h.t.Errorf("%s is not told of its own %s", tn.name, what)
		}
	}
}
