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
	about   string         // in the words of docs/access.md
	scope   access.Request // beyond the role; what is zero is left out
	change  string         // what was done to the credential since: revoke, rotate, expire
	text    func(role access.Role) string
	headers []string
	// want is the status for a role that the route opens to, 0 for one that
	// is let through. A role that it does not open to gets 403 in place of 0.
	want func(access.Route) int
	// nats says what the situation is on NATS, and, where it cannot come up
	// there, why. What it says is tried by [natsMatrix].
	nats string
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
	{name: "none", about: "no credential", nats: "no connection: there is no user without a password",
		text: func(access.Role) string { return "" }, want: always(401)},
	{name: "malformed", about: "what is no credential", nats: "no connection: a wrong password",
		text: func(role access.Role) string { return "lethe_" + string(role) + "_x" }, want: always(401)},
	{name: "unknown", about: "an id that no credential has", nats: "no connection: a user that there is not",
		text: func(role access.Role) string {
			return "lethe_" + string(role) + "_aaaaaaaaaa_" + strings.Repeat("a", 52)
		}, want: always(401)},
	{name: "revoked", about: "one that was revoked", nats: "no connection from the next start on: the password is a setting, `nats.publisher_password`",
		change: "revoke", want: always(401)},
	{name: "expired", about: "one that has ended", nats: "cannot be: a password has no end",
		change: "expire", want: always(401)},
	{name: "rotated", about: "the secret before, without grace", nats: "no connection from the next start on, as where it is revoked",
		change: "rotate", want: always(401)},
	{name: "right", about: "the right one", nats: "its topics, and no other",
		want: always(0)},
	{name: "right, all said", about: "the right one, and says its tenant and purpose", nats: "the same: it has one tenant and one purpose, and need not say so",
		scope:   access.Request{Scope: access.Scope{Purposes: []string{"a purpose"}}},
		headers: []string{access.TenantHeader, "default", access.PurposeHeader, "a purpose"}, want: always(0)},
	{name: "another tenant", about: "one of another tenant than `default`", nats: "cannot be: the one user is of the tenant `default`",
		scope: access.Request{Tenant: "other"}, want: func(r access.Route) int {
			if r.Installation {
				return http.StatusForbidden
			}
			return 0
		}},
	{name: "wrong tenant", about: "the right one, and `Lethe-Tenant` names another tenant", nats: "refused: topics of another tenant",
		headers: []string{access.TenantHeader, "other"}, want: always(403)},
	{name: "wrong network", about: "one for other networks", nats: "cannot be: the user has no networks",
		scope:   access.Request{Scope: access.Scope{Networks: []netip.Prefix{elsewhere}}},
		headers: []string{"X-Forwarded-For", "192.0.2.1"}, want: always(403)},
	{name: "wrong purpose", about: "the right one, and `Lethe-Purpose` names no purpose of its own", nats: "cannot be said",
		headers: []string{access.PurposeHeader, "curiosity"}, want: always(403)},
	{name: "no purpose of two", about: "one with two purposes, and names neither", nats: "cannot be: the user has one",
		scope: access.Request{Scope: access.Scope{Purposes: []string{"billing", "audit"}}}, want: always(403)},
	{name: "out of scope", about: "one for other routes", nats: "refused: topics other than its own, the log and its API among them",
		scope: access.Request{Scope: access.Scope{Routes: []string{unused}}}, want: always(403)},
	{name: "one service", about: "one for a service", nats: "cannot be: the user is for every service of its tenant",
		scope: access.Request{Services: []string{"shop"}}, want: unless(access.LimitServices)},
	{name: "one product", about: "one for a product", nats: "cannot be: nothing is read",
		scope: access.Request{Scope: access.Scope{Products: []string{"planner"}}}, want: unless(access.LimitProducts)},
	{name: "masked", about: "one with a mask", nats: "cannot be: nothing is read",
		scope: access.Request{Scope: access.Scope{Masked: []string{"country"}}}, want: unless(access.LimitMasked)},
}

// TestTheGateLetsThroughWhatItsRulesSay, and nothing else, at every door: P14,
// P15.
func TestTheGateLetsThroughWhatItsRulesSay(t *testing.T) {
	t.Parallel()
	r, at := openDoors(t)
	routes := authorizationMatrix(t, r, at)
	topics := natsMatrix(t, r, at)
	if n := routes + topics; n < 1_000 || topics < 300 {
		t.Errorf("%d cases, %d of them on NATS, want 1000 and 300 or more", n, topics)
	}
}

// authorizationMatrix asks a running Lethe for every route as every role in
// every situation, and for those of SQL at each of its doors and in each way of
// showing a credential there. It returns how many cases that were: the routes,
// and what should become of each, are those that the gate says it has. P15.
func authorizationMatrix(t *testing.T, r *running, at doors) int {
	t.Helper()
	m := &matrix{t: t, r: r, routes: r.rules()}
	m.places = append(m.atTheDoor(), m.ofSQL(at)...)
	m.prepare()
	for _, p := range m.places {
		for _, problem := range m.all(p) {
			t.Error(problem)
		}
	}
	m.notThere(at)
	m.signIns()
	cases := m.cases
	m.control()
	return cases
}

// A place is where a route is asked for: at which address, and in which way a
// credential is shown there.
type place struct {
	name        string
	route       access.Route // whose rule it has
	method, url string
	show        func(r *http.Request, credential string)
	// untaken says that the way is none: what is shown in it does not count.
	untaken bool
	// purposeInAddress says where a request says what it is for.
	purposeInAddress bool
}

var parameter = regexp.MustCompile(`\{[^}]*\}`)

// atTheDoor are all routes at the process's own listener. What is let through
// finds nothing under this name, or a body that is not one, and changes
// nothing.
func (m *matrix) atTheDoor() []place {
	var out []place
	for _, route := range m.routes {
		method, path, found := strings.Cut(route.Pattern, " ")
		if !found {
			method, path = http.MethodGet, route.Pattern
		}
		out = append(out, place{
			name: route.Pattern, route: route, show: bearer,
			method: method, url: m.r.HTTP + parameter.ReplaceAllString(path, "none"),
		})
	}
	return out
}

func bearer(r *http.Request, credential string) { r.Header.Set("Authorization", "Bearer "+credential) }

// all tries a place in every way and returns what is not as its rule says.
func (m *matrix) all(p place) (problems []string) {
	m.t.Helper()
	for _, role := range access.Roles() {
		for i := range situations {
			m.cases++
			if problem := m.try(p, role, &situations[i]); problem != "" {
				problems = append(problems, problem)
			}
		}
	}
	return problems
}

// control takes rules for others than they are: each is found out.
func (m *matrix) control() {
	m.t.Helper()
	tried := 0
	wrong := func(name string, p place) {
		tried++
		if len(m.all(p)) == 0 {
			m.t.Errorf("a rule that says %s is not found out", name)
		}
	}
	keys := slices.IndexFunc(m.places, func(p place) bool { return p.route.Pattern == "GET /v1/keys" })
	untaken := slices.IndexFunc(m.places, func(p place) bool { return p.untaken })
	if keys < 0 || untaken < 0 {
		m.t.Fatal("the control has no place")
	}
	for name, change := range map[string]func(*access.Route){
		"fewer roles":  func(r *access.Route) { r.Roles = []access.Role{access.Officer} },
		"more roles":   func(r *access.Route) { r.Roles = access.Roles() },
		"every tenant": func(r *access.Route) { r.Installation = false },
		"every limit":  func(r *access.Route) { r.Honors = []access.Limit{access.LimitServices} },
		"public":       func(r *access.Route) { r.Public = true },
	} {
		p := m.places[keys]
		change(&p.route)
		wrong(name, p)
	}
	taken := m.places[untaken]
	taken.untaken = false
	wrong("a way of showing a credential that is none", taken)
	if tried != controls {
		m.t.Errorf("%d controls, and credentials for %d", tried, controls)
	}
}

// controls is how many rules the control tries.
const controls = 6

type matrix struct {
	t      *testing.T
	r      *running
	routes []access.Route
	places []place
	cases  int
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
	var expiry time.Time // the last
	for _, s := range situations {
		if s.text != nil {
			continue
		}
		for _, role := range access.Roles() {
			n := 1
			if s.change != "" {
				n += (len(m.places) + controls + 1) / 20 // and the console's sign-in
			}
			for range n {
				q := s.scope
				q.Role = role
				if s.change == "expire" {
					expiry = time.Now().Add(3 * time.Second).UTC().Truncate(time.Second)
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

// try is one case. It returns what is wrong with it.
func (m *matrix) try(p place, role access.Role, s *situation) string {
	m.t.Helper()
	want := s.want(p.route)
	switch {
	case p.route.Public:
		want = 0
	case p.untaken:
		want = http.StatusUnauthorized
	case want == 0 && !slices.Contains(p.route.Roles, role):
		want = http.StatusForbidden
	}
	got := m.ask(p, m.text(s, role), s.headers)
	switch {
	case want != 0 && got != want:
		return fmt.Sprintf("%s as %s, %s: status %d, want %d", p.name, role, s.name, got, want)
	case want == 0 && (got == 0 || got == 401 || got == 403 || got == 429):
		return fmt.Sprintf("%s as %s, %s: status %d, and it should be let through", p.name, role, s.name, got)
	}
	return ""
}

// text is what somebody shows in a situation.
func (m *matrix) text(s *situation, role access.Role) string {
	if s.text != nil {
		return s.text(role)
	}
	key := s.name + " " + string(role)
	m.asked[key]++
	return m.texts[key][m.asked[key]%len(m.texts[key])]
}

// ask asks from a network of its own, so that none is locked for what others
// tried.
func (m *matrix) ask(p place, credential string, headers []string) int {
	m.t.Helper()
	m.network++
	from := fmt.Sprintf("127.%d.%d.1", 1+m.network/250, 1+m.network%250)
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	client := &http.Client{
		Transport:     &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true},
		CheckRedirect: direct.CheckRedirect,
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	var body io.Reader
	if p.method == http.MethodPost {
		body = strings.NewReader("-")
	}
	req, err := http.NewRequestWithContext(ctx, p.method, p.url, body)
	if err != nil {
		m.t.Fatal(err)
	}
	if credential != "" {
		p.show(req, credential)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == access.PurposeHeader && p.purposeInAddress {
			q := req.URL.Query()
			q.Set("lethe_purpose", headers[i+1])
			req.URL.RawQuery = q.Encode()
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		m.t.Errorf("%s: %v", p.name, err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}
