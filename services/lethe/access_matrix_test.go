package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// A situation is how somebody asks, and what becomes of it on a route that is
// open to the role.
type situation struct {
	name    string
	scope   access.Request // beyond the role; what is zero is left out
	change  string         // what was done to the credential since: revoke, rotate, expire
	text    func(role access.Role) string
	headers []string
	// want is the status for a role that the route opens to, 0 for one that
	// is let through. A role that it does not open to gets 403 in place of 0.
	want func(access.Route) int
}

func always(status int) func(access.Route) int { return func(access.Route) int { return status } }

// unless is 403 where a route does not honor a limit.
func unless(limit access.Limit) func(access.Route) int {
	return func(r access.Route) int {
		if slices.Contains(r.Honors, limit) {
			return 0
		}
		return http.StatusForbidden
	}
}

// elsewhere is a network that no test asks from, and unused a route that no
// Lethe has.
var elsewhere = netip.MustParsePrefix("192.0.2.0/24")

const unused = "GET /v1/nothing"

var situations = []situation{
	{name: "none", text: func(access.Role) string { return "" }, want: always(401)},
	{name: "malformed", text: func(role access.Role) string { return "lethe_" + string(role) + "_x" }, want: always(401)},
	{name: "unknown", text: func(role access.Role) string {
		return "lethe_" + string(role) + "_aaaaaaaaaa_" + strings.Repeat("a", 52)
	}, want: always(401)},
	{name: "revoked", change: "revoke", want: always(401)},
	{name: "expired", change: "expire", want: always(401)},
	{name: "rotated", change: "rotate", want: always(401)},
	{name: "right", want: always(0)},
	{name: "right, all said", scope: access.Request{Scope: access.Scope{Purposes: []string{"a purpose"}}},
		headers: []string{access.TenantHeader, "default", access.PurposeHeader, "a purpose"}, want: always(0)},
	{name: "another tenant", scope: access.Request{Tenant: "other"}, want: func(r access.Route) int {
		if r.Installation {
			return http.StatusForbidden
		}
		return 0
	}},
	{name: "wrong tenant", headers: []string{access.TenantHeader, "other"}, want: always(403)},
	{name: "wrong network", scope: access.Request{Scope: access.Scope{Networks: []netip.Prefix{elsewhere}}},
		headers: []string{"X-Forwarded-For", "192.0.2.1"}, want: always(403)},
	{name: "wrong purpose", headers: []string{access.PurposeHeader, "curiosity"}, want: always(403)},
	{name: "no purpose of two", scope: access.Request{Scope: access.Scope{Purposes: []string{"billing", "audit"}}}, want: always(403)},
	{name: "out of scope", scope: access.Request{Scope: access.Scope{Routes: []string{unused}}}, want: always(403)},
	{name: "one service", scope: access.Request{Services: []string{"shop"}}, want: unless(access.LimitServices)},
	{name: "one product", scope: access.Request{Scope: access.Scope{Products: []string{"planner"}}}, want: unless(access.LimitProducts)},
	{name: "masked", scope: access.Request{Scope: access.Scope{Masked: []string{"country"}}}, want: unless(access.LimitMasked)},
}

// authorizationMatrix asks a running Lethe for every route as every role in
// every situation, and returns how many cases that were: the routes, and what
// should become of each, are those that the gate says it has. P15.
func authorizationMatrix(t *testing.T, r *running) int {
	t.Helper()
	m := &matrix{t: t, r: r, routes: r.rules()}
	m.prepare()
	cases := 0
	for _, route := range m.routes {
		problems := m.all(route)
		for _, p := range problems {
			t.Error(p)
		}
		cases += len(access.Roles()) * len(situations)
	}
	m.control()
	return cases
}

// all tries a route in every way and returns what is not as its rule says.
func (m *matrix) all(route access.Route) (problems []string) {
	m.t.Helper()
	for _, role := range access.Roles() {
		for i := range situations {
			if p := m.try(route, role, &situations[i]); p != "" {
				problems = append(problems, p)
			}
		}
	}
	return problems
}

// control takes rules for others than they are: each is found out.
func (m *matrix) control() {
	m.t.Helper()
	for _, route := range m.routes {
		if route.Pattern != "GET /v1/keys" {
			continue
		}
		for name, change := range map[string]func(*access.Route){
			"fewer roles":  func(r *access.Route) { r.Roles = []access.Role{access.Officer} },
			"more roles":   func(r *access.Route) { r.Roles = access.Roles() },
			"every tenant": func(r *access.Route) { r.Installation = false },
			"every limit":  func(r *access.Route) { r.Honors = []access.Limit{access.LimitServices} },
			"public":       func(r *access.Route) { r.Public = true },
		} {
			wrong := route
			change(&wrong)
			if len(m.all(wrong)) == 0 {
				m.t.Errorf("a rule that says %s is not found out", name)
			}
		}
		return
	}
	m.t.Error("the control has no route")
}

// controls is how many rules the control tries.
const controls = 5

type matrix struct {
	t      *testing.T
	r      *running
	routes []access.Route
	// texts are credentials by situation and role. Of those that are refused
	// there are several, as 30 attempts would lock one.
	texts   map[string][]string
	asked   map[string]int
	network int
}

// rules are those of the gate of a running Lethe.
func (r *running) rules() []access.Route {
	r.t.Helper()
	status, body := r.Do("operator", "GET", "/v1/access", "", nil)
	if status != http.StatusOK {
		r.t.Fatalf("the rules: status %d", status)
	}
	var rules access.Rules
	decode(r.t, string(body), &rules)
	return rules.Routes
}

// issue makes a credential with the operator's.
func (r *running) issue(q string) access.Issued {
	r.t.Helper()
	status, body := r.Do("operator", "POST", "/v1/credentials", "application/json", strings.NewReader(q))
	if status != http.StatusCreated {
		r.t.Fatalf("making a credential: status %d", status)
	}
	var made access.Issued
	decode(r.t, string(body), &made)
	return made
}

func (m *matrix) prepare() {
	m.t.Helper()
	m.texts, m.asked = map[string][]string{}, map[string]int{}
	expiry := time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
	for _, s := range situations {
		if s.text != nil {
			continue
		}
		for _, role := range access.Roles() {
			n := 1
			if s.change != "" {
				n += (len(m.routes) + controls) / 20
			}
			for range n {
				q := s.scope
				q.Role = role
				if s.change == "expire" {
					q.Expires = expiry
				}
				made := m.r.issue(string(encode(m.t, q)))
				status := 0
				switch s.change {
				case "revoke":
					status, _ = m.r.Do("operator", "DELETE", "/v1/credentials/"+made.ID, "", nil)
				case "rotate":
					status, _ = m.r.Do("operator", "POST", "/v1/credentials/"+made.ID+"/rotate", "", nil)
				}
				if status >= 300 {
					m.t.Fatalf("%s: status %d", s.change, status)
				}
				key := s.name + " " + string(role)
				m.texts[key] = append(m.texts[key], made.Credential)
			}
		}
	}
	time.Sleep(time.Until(expiry)) // it has no other clock than the wall's
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// try is one case. It returns what is wrong with it.
func (m *matrix) try(route access.Route, role access.Role, s *situation) string {
	m.t.Helper()
	want := s.want(route)
	switch {
	case route.Public:
		want = 0
	case want == 0 && !slices.Contains(route.Roles, role):
		want = http.StatusForbidden
	}
	text := ""
	if s.text != nil {
		text = s.text(role)
	} else {
		key := s.name + " " + string(role)
		text = m.texts[key][m.asked[key]%len(m.texts[key])]
		m.asked[key]++
	}
	method, path, found := strings.Cut(route.Pattern, " ")
	if !found {
		method, path = http.MethodGet, route.Pattern
	}
	// What is let through finds nothing under this name, or a body that is not
	// one, and changes nothing.
	got := m.ask(method, parameter.ReplaceAllString(path, "none"), text, s.headers)
	switch {
	case want != 0 && got != want:
		return fmt.Sprintf("%s as %s, %s: status %d, want %d", route.Pattern, role, s.name, got, want)
	case want == 0 && (got == 0 || got == 401 || got == 403 || got == 429):
		return fmt.Sprintf("%s as %s, %s: status %d, and it should be let through", route.Pattern, role, s.name, got)
	}
	return ""
}

// ask asks from a network of its own, so that none is locked for what others
// tried.
func (m *matrix) ask(method, path, credential string, headers []string) int {
	m.t.Helper()
	m.network++
	from := fmt.Sprintf("127.%d.%d.1", 1+m.network/250, 1+m.network%250)
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("-")
	}
	req, err := http.NewRequestWithContext(ctx, method, m.r.HTTP+path, body)
	if err != nil {
		m.t.Fatal(err)
	}
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		m.t.Errorf("%s %s: %v", method, path, err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}
