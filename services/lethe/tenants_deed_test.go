package main_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// writes lets tenants try to do something to another, each to the next and the
// first to some more. What is another's gets the answer that what is nobody's
// gets, and afterwards everybody has what they had.
func (h *tenants) writes() {
	h.t.Helper()
	before := map[*tenant]string{}
	for _, tn := range h.all {
		before[tn] = h.belongings(tn)
	}
	others := h.all[:len(h.all)-1] // those who run the installation manage every tenant's credentials
	h.together(func(tn *tenant) {
		i := slices.Index(others, tn)
		h.trespass(tn, h.all[i+1])
		if i > 0 {
			return
		}
		for victim := 5; victim < len(h.all); victim += 5 { // the last are those who run the installation
			h.trespass(tn, h.all[victim])
		}
		h.writesWithoutRight(tn, h.all[1])
	}, others...)
	for _, tn := range h.all {
		h.try(h.belongings(tn) != before[tn], "something of %s was changed", tn.name)
	}
}

// belongings are what a tenant's officer sees of its credentials and holds, but
// for what is copied into holds meanwhile.
func (h *tenants) belongings(tn *tenant) string {
	h.t.Helper()
	var all struct {
		Credentials []access.Entry
		Holds       []heldCase
	}
	for _, path := range []string{"/v1/credentials", "/v1/holds"} {
		status, body, err := tn.ear.try(tn.call(access.Officer, http.MethodGet, path))
		if err != nil || status != http.StatusOK {
			h.t.Fatalf("%s of %s: status %d, %v", path, tn.name, status, err)
		}
		decode(h.t, string(body), &all)
	}
	all.Credentials = slices.DeleteFunc(all.Credentials, func(e access.Entry) bool { return e.Tenant != tn.name })
	if len(all.Credentials) != len(access.Roles()) || len(all.Holds) != 1 {
		h.t.Errorf("%s has %d credentials and %d holds", tn.name, len(all.Credentials), len(all.Holds))
	}
	for i := range all.Holds {
		all.Holds[i].Rows, all.Holds[i].Frames = 0, 0
	}
	return string(encode(h.t, all))
}

// A trespass is a call about something of another: of is put in for %s, or,
// of what nobody has, nobodys.
type trespass struct {
	role         access.Role
	method, path string
	body         string
	of, nobodys  string
}

// trespasses are all that a tenant tries to do to another.
func trespasses(victim *tenant) []trespass {
	out := []trespass{
		{access.Officer, "POST", "/v1/holds/%s/release", "", victim.hold, strings.Repeat("a", len(victim.hold))},
		{access.Operator, "POST", "/v1/credentials", `{"role":"analyst","tenant":"%s"}`, victim.name, "nowhere"},
		{access.Officer, "POST", "/v1/holds", `{"name":"case-2","reason":"An inquiry, file 4","until":"` + soon() + `","services":["%s"]}`, victim.own, "only-nowhere"},
		{access.Analyst, "GET", "/v1/stats/requests?by=path&filter.service=%s", "", victim.own, "only-nowhere"},
		{access.Analyst, "GET", "/v1/stats/requests?by=service&filter.path=/%s", "", victim.own, "only-nowhere"},
		{access.Analyst, "GET", "/v1/sql?query=SELECT+throwIf(service='%s')+FROM+cells", "", victim.own, "only-nowhere"},
		{access.Analyst, "GET", "/v1/sql?query=SELECT+count()+FROM+requests+WHERE+path='/%s'", "", victim.own, "only-nowhere"},
	}
	for _, role := range access.Roles() {
		id := victim.ids[role]
		nobodys := strings.Repeat("a", len(id))
		out = append(out,
			trespass{access.Operator, "DELETE", "/v1/credentials/%s", "", id, nobodys},
			trespass{access.Operator, "POST", "/v1/credentials/%s/rotate", "", id, nobodys},
			trespass{access.Operator, "POST", "/v1/credentials/%s/rotate", `{"grace":"1h"}`, id, nobodys},
		)
	}
	return out
}

func (h *tenants) trespass(tn, victim *tenant) {
	for _, d := range trespasses(victim) {
		theirs, err := d.answer(tn, d.of)
		nobodys, err2 := d.answer(tn, d.nobodys)
		if err != nil || err2 != nil {
			h.t.Errorf("%s %s: %v, %v", d.method, d.path, err, err2)
		}
		h.try(theirs != nobodys, "%s learns from %s %s that another has it", tn.name, d.method, d.path)
		if done := strings.HasPrefix(theirs, "HTTP/1.1 2"); d.method != http.MethodGet {
			h.try(done, "%s did %s %s to another", tn.name, d.method, d.path)
		}
	}
}

// answer is what a tenant is told of something, with headers, and with the name
// of the thing left out.
func (d trespass) answer(tn *tenant, of string) (string, error) {
	c := tn.call(d.role, d.method, strings.ReplaceAll(d.path, "%s", of))
	c.body = []byte(strings.ReplaceAll(d.body, "%s", of))
	if len(c.body) > 0 {
		c.contentType = "application/json"
	}
	e := &ear{r: tn.ear.r} // what it repeats of a question is not what it tells
	if _, _, err := e.try(c); err != nil {
		return "", err
	}
	return nameless(steady(e.said[0].what), of), nil
}

// nameless leaves a name out of an answer, and what follows from how long it is
// or that a statement has it.
func nameless(what, name string) string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(what, name, "")) {
		if !strings.HasPrefix(line, "Content-Length: ") && !strings.HasPrefix(line, "Lethe-Statement: ") {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// writesWithoutRight tries every route that changes something for another
// tenant, and those of the installation for oneself.
func (h *tenants) writesWithoutRight(tn, victim *tenant) {
	for _, route := range h.rules {
		method, path, found := strings.Cut(route.Pattern, " ")
		if !found || route.Public || method == http.MethodGet {
			continue
		}
		for _, role := range access.Roles() {
			for _, tenant := range []string{victim.name, "nowhere", ""} {
				if tenant == "" && !route.Installation {
					continue
				}
				c := tn.call(role, method, parameter.ReplaceAllString(path, "none"))
				c.contentType, c.body = "application/json", []byte(`{}`)
				if tenant != "" {
					c.headers = append(c.headers, access.TenantHeader, tenant)
				}
				status, _, err := tn.ear.try(c)
				if err != nil {
					h.t.Errorf("%s as %s: %v", route.Pattern, role, err)
				}
				h.try(status != http.StatusForbidden, "%s as %s of %s: status %d", route.Pattern, role, tn.name, status)
			}
		}
	}
}

// controls has what must be noticed noticed: what two tenants are told is not
// the same, and an answer that says something of another is found.
func (h *tenants) controls(heard, others *ear) {
	h.t.Helper()
	one, other := h.all[0], h.all[1]
	if len(differences(others, heard)) < 10 {
		h.t.Error("what one tenant is told is taken for what another is")
	}
	stray := []string{other.name, other.own, other.hold, other.ids[access.Analyst]}
	for id := range other.events {
		stray = append(stray, id)
		break
	}
	control := &tenants{t: h.t, r: h.r, all: h.all, sought: h.sought}
	for _, s := range stray {
		heard.hear("an answer that strayed", fmt.Appendf(nil, `{"of":%q}`, s))
	}
	control.holdsNothingOfOthers(one, heard)
	if len(control.crossed) < len(stray) {
		h.t.Errorf("of %d things of another tenant, %d were noticed", len(stray), len(control.crossed))
	}
	for _, d := range trespasses(one) { // what is one's own is told from what is nobody's
		if d.method != http.MethodGet {
			continue
		}
		own, err := d.answer(one, d.of)
		nobodys, err2 := d.answer(one, d.nobodys)
		if err != nil || err2 != nil || own == nobodys {
			h.t.Errorf("%s says of one's own what it says of nobody's: %v, %v", d.path, err, err2)
		}
	}
}

// rows looks at the warehouse, with no part of Lethe between: everybody's rows
// are there once, and no token or id stands in two tenants' rows, or in those of
// two services of one.
func (h *tenants) rows(quiet []*tenant) {
	t := h.t
	t.Helper()
	pol := policyOf(t, "")
	h.r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		var tokens []string
		for _, table := range pol.Tables() {
			if table.Name == policy.CellTable {
				continue
			}
			h.counted(ctx, w, table, quiet)
			h.apart(ctx, w, "ids of "+table.Name, "SELECT tenant, service, hex(event_id) AS held FROM "+w.Table(table.Name))
			for _, c := range table.Columns {
				if c.Kind != event.Token {
					continue
				}
				of := fmt.Sprintf("SELECT tenant, service, hex(%s) AS held FROM %s WHERE %[1]s != toFixedString('', %[3]d)", c.Name, w.Table(table.Name), event.TokenSize)
				tokens = append(tokens, of)
				if n := one(t, ctx, w, "SELECT count() FROM ("+of+")"); n == 0 && c.Bridges == "" {
					t.Errorf("%s.%s has no token", table.Name, c.Name)
				}
			}
		}
		all := strings.Join(tokens, " UNION ALL ")
		h.apart(ctx, w, "tokens", all)
		// As many people everywhere: nobody lacks what another has.
		if n := one(t, ctx, w, "SELECT uniqExact(tokens) FROM (SELECT tenant, service, uniqExact(held) AS tokens FROM ("+all+") WHERE service = 'shop' AND tenant IN ('"+
			quiet[0].name+"', '"+quiet[1].name+"') GROUP BY tenant, service)"); n != 1 {
			t.Errorf("equal people have tokens in %d different numbers", n)
		}
		// The control: what is kept as it came stands in everybody's rows.
		if n := one(t, ctx, w, crossing("SELECT tenant, service, path AS held FROM "+w.Table("page_view"))); n == 0 {
			t.Error("what tenants have in common is not found")
		}
	})
}

// crossing counts what stands in the rows of more than one tenant or service.
func crossing(of string) string {
	return "SELECT count() FROM (SELECT held FROM (" + of + ") GROUP BY held HAVING uniqExact(tenant, service) > 1)"
}

func (h *tenants) apart(ctx context.Context, w *warehouse.Warehouse, what, of string) {
	h.t.Helper()
	tried, crossed := one(h.t, ctx, w, "SELECT uniqExact(held) FROM ("+of+")"), one(h.t, ctx, w, crossing(of))
	if tried == 0 {
		h.t.Errorf("there are no %s", what)
	}
	h.tried += tried
	for range crossed {
		h.try(true, "%s: one stands in the rows of two tenants, or of two services", what)
	}
}

// counted holds how many rows each tenant has in a table to what it published.
func (h *tenants) counted(ctx context.Context, w *warehouse.Warehouse, table *policy.Table, quiet []*tenant) {
	h.t.Helper()
	got := map[string]uint64{}
	for _, row := range rows(h.t, ctx, w, "SELECT tenant, service, count() FROM "+w.Table(table.Name)+" GROUP BY tenant, service") {
		got[row[0].(string)+" "+row[1].(string)], _ = row[2].(uint64)
	}
	for _, tn := range h.all {
		for _, service := range tenantServices {
			want := uint64(tenantPeople)
			if table.Event == "http_access" && service == "shop" && !slices.Contains(quiet, tn) {
				want += tenantPeople
			}
			if n := got[tn.name+" "+service]; n != want {
				h.t.Errorf("%s has %d rows of %s in %s, want %d", tn.name, n, service, table.Name, want)
			}
		}
	}
}
