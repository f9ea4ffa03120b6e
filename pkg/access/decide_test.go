package access_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// TestACredentialDoesOnlyWhatItWasScopedTo: P15. Each limit by itself, over a
// real listener.
func TestACredentialDoesOnlyWhatItWasScopedTo(t *testing.T) {
	s := newSite(t)
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	foreign := func(role access.Role) string {
		return create(t, s.store, access.Principal{Role: role, Tenant: "other"}, access.Options{}).Reveal()
	}
	analyst := func(scope access.Scope, services ...string) string {
		return s.credential(access.Analyst, scope, services...)
	}
	const stats, status, events = "GET /v1/stats/visitors", "GET /v1/status", "POST /v1/events"
	const unrecorded = "-" // publishers, and what is for them alone
	for name, c := range map[string]struct {
		credential string
		route      string
		headers    []string
		want       int
		reason     string
	}{
		"all of it":               {analyst(access.Scope{}), stats, nil, 200, ""},
		"another role":            {s.credential(access.Publisher, access.Scope{}), stats, nil, 403, unrecorded},
		"another role's":          {analyst(access.Scope{}), events, nil, 403, unrecorded},
		"a change":                {analyst(access.Scope{}), "POST /v1/credentials", nil, 403, "role"},
		"its route":               {analyst(access.Scope{Routes: []string{"GET /v1/stats/{metric}"}}), stats, nil, 200, ""},
		"another route":           {analyst(access.Scope{Routes: []string{"GET /v1/ropa"}}), stats, nil, 403, "route"},
		"its network":             {analyst(access.Scope{Networks: append(elsewhere, loopback())}), stats, nil, 200, ""},
		"another network":         {analyst(access.Scope{Networks: elsewhere}), stats, nil, 403, "network"},
		"another network, said":   {analyst(access.Scope{Networks: elsewhere}), stats, []string{"X-Forwarded-For", "192.0.2.1"}, 403, "network"},
		"the tenant it is of":     {analyst(access.Scope{}), stats, []string{"Lethe-Tenant", "acme"}, 200, ""},
		"another tenant":          {analyst(access.Scope{}), stats, []string{"Lethe-Tenant", "other"}, 403, "tenant"},
		"two tenants":             {analyst(access.Scope{}), stats, []string{"Lethe-Tenant", "acme", "Lethe-Tenant", "other"}, 403, "tenant"},
		"the purpose it has":      {analyst(access.Scope{}), stats, []string{"Lethe-Purpose", "usage statistics"}, 200, ""},
		"another purpose":         {analyst(access.Scope{}), stats, []string{"Lethe-Purpose", "billing"}, 403, "purpose"},
		"one of two purposes":     {analyst(access.Scope{Purposes: []string{"billing", "audit"}}), stats, []string{"Lethe-Purpose", "audit"}, 200, ""},
		"none of two purposes":    {analyst(access.Scope{Purposes: []string{"billing", "audit"}}), stats, nil, 403, "purpose"},
		"both purposes":           {analyst(access.Scope{Purposes: []string{"billing", "audit"}}), stats, []string{"Lethe-Purpose", "audit", "Lethe-Purpose", "billing"}, 403, "purpose"},
		"a limit that is honored": {analyst(access.Scope{Masked: []string{"country"}}, "shop"), stats, nil, 200, ""},
		"one that is not":         {analyst(access.Scope{Products: []string{"planner"}}), stats, nil, 403, "limit"},
		"the installation":        {analyst(access.Scope{}), status, nil, 200, ""},
		"of another tenant":       {foreign(access.Analyst), status, nil, 403, "installation"},
		"another tenant's own":    {foreign(access.Analyst), stats, nil, 200, ""},
		"limited, installation":   {analyst(access.Scope{}, "shop"), status, nil, 403, "limit"},
	} {
		s.seen()
		if got := s.status(c.credential, c.route, c.headers...); got != c.want {
			t.Errorf("%s: status %d, want %d", name, got, c.want)
		}
		ran, decisions, _ := s.seen()
		if (len(ran) == 1) != (c.want == 200) {
			t.Errorf("%s: the handler ran %d times", name, len(ran))
		}
		if c.reason == unrecorded {
			if len(decisions) > 0 {
				t.Errorf("%s: it is on record", name)
			}
			continue
		}
		if len(decisions) != 1 || decisions[0].Allowed != (c.want == 200) || decisions[0].Reason != c.reason {
			t.Errorf("%s: on record as %+v, want one for %q", name, decisions, c.reason)
		}
	}
}

// TestTheDecisionIsOnRecordBeforeTheAnswer, or there is none: P10.
func TestTheDecisionIsOnRecordBeforeTheAnswer(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Officer, access.Scope{})
	if got := s.status(credential, "GET /v1/stats/visitors"); got != http.StatusOK { // the control
		t.Fatalf("status %d", got)
	}
	ran, decisions, _ := s.seen()
	want := []access.Decision{{
		Route: "GET /v1/stats/{metric}", Principal: strings.Split(credential, "_")[2], Role: access.Officer,
		Tenant: "acme", Purpose: "compliance", Allowed: true,
	}}
	if diff := cmp.Diff(want, decisions); diff != "" || len(ran) != 1 || ran[0].Purpose != "compliance" {
		t.Errorf("on record (-want +got):\n%s\nthe handler ran with %+v", diff, ran)
	}
	s.record(errors.New("the stream is full"))
	status, header, text := s.ask(credential, "GET", "/v1/stats/visitors", "")
	if ran, _, _ := s.seen(); status != http.StatusServiceUnavailable || len(ran) != 0 {
		t.Errorf("not on record: status %d, and the handler ran %d times", status, len(ran))
	}
	if strings.Contains(text, "stream") || header.Get("Retry-After") == "" {
		t.Errorf("the answer says why, or not when to come again: %s", text)
	}
	if s.metric("lethe_access_failures_total", "unrecorded") != 1 {
		t.Error("it is not counted")
	}
	// What shows nothing of what is kept, and publishers, go on.
	if got := s.status(credential, "GET /v1/ropa"); got != http.StatusOK {
		t.Errorf("an unrecorded route: status %d", got)
	}
	if got := s.status(s.credential(access.Publisher, access.Scope{}), "POST /v1/events"); got != http.StatusOK {
		t.Errorf("a publisher: status %d", got)
	}
	// A denial stays one.
	if got := s.status(s.credential(access.Analyst, access.Scope{}), "POST /v1/events"); got != http.StatusForbidden {
		t.Errorf("a denial that is not on record: status %d", got)
	}
}

// TestNothingOfARequestGoesOnRecord: P1. Headers and paths may hold anything.
func TestNothingOfARequestGoesOnRecord(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Analyst, access.Scope{})
	mark := "ada@example.org"
	s.status(credential, "GET /v1/stats/"+mark+"?filter.user="+mark, "Lethe-Purpose", mark)
	s.status(credential, "GET /v1/stats/"+mark, "Lethe-Tenant", mark)
	s.status(credential, "GET /v1/stats/"+mark, "X-Forwarded-For", mark)
	s.status("lethe_analyst_"+mark+"_"+mark, "GET /v1/stats/"+mark)
	_, decisions, alerts := s.seen()
	if len(decisions) != 3 {
		t.Fatalf("%d decisions are on record", len(decisions))
	}
	for _, where := range []string{cmp.Diff(nil, decisions), cmp.Diff(nil, alerts), s.log.String()} {
		if strings.Contains(where, "ada") {
			t.Error("a value of the request is on record or in the log")
		}
	}
	if !strings.Contains(s.log.String(), strings.Split(credential, "_")[2]) {
		t.Error("the log does not hold the credential's id either") // the control
	}
	s.noSecret(credential)
}

// TestAStrangersWordForWhomItAsksCountsForNothing: X-Forwarded-For is read
// from the right, as far as trusted proxies wrote it.
func TestAStrangersWordForWhomItAsksCountsForNothing(t *testing.T) {
	trusting := newSite(t, func(c *access.Config) {
		c.Proxies = []netip.Prefix{loopback(), netip.MustParsePrefix("198.51.100.0/24")}
	})
	inside := access.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
	credential := trusting.credential(access.Analyst, inside)
	for said, want := range map[string]int{
		"192.0.2.1":                            200,
		"2001:db8::1":                          200,
		"[2001:db8::1]:1234":                   200,
		"192.0.2.1:1234":                       200,
		"::ffff:192.0.2.1":                     200,
		"192.0.2.1, 198.51.100.7":              200,
		"203.0.113.5, 192.0.2.1":               200,
		"192.0.2.1, 203.0.113.5":               403,
		"192.0.2.1, 203.0.113.5, 198.51.100.7": 403,
		"198.51.100.7":                         403,
		"192.0.2.1, unknown":                   403,
		"":                                     403,
	} {
		if got := trusting.status(credential, "GET /v1/stats/visitors", "X-Forwarded-For", said); got != want {
			t.Errorf("%q: status %d, want %d", said, got, want)
		}
	}
	// Two headers are one list.
	if got := trusting.status(credential, "GET /v1/stats/visitors", "X-Forwarded-For", "192.0.2.1", "X-Forwarded-For", "203.0.113.5"); got != 403 {
		t.Errorf("two headers: status %d", got)
	}
	// From another address of this machine, which is no proxy.
	distrusting := newSite(t, func(c *access.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	credential = distrusting.credential(access.Analyst, inside)
	for from, want := range map[string]int{"127.0.0.1": 200, "127.0.0.2": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", distrusting.url+"/v1/stats/visitors", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+credential)
		r.Header.Set("X-Forwarded-For", "192.0.2.1")
		resp, err := dialFrom(from).Do(r)
		if err != nil {
			t.Skipf("not tested: this machine has no second loopback address: %v", err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("a connection from %s that says it is for another: status %d, want %d", from, resp.StatusCode, want)
		}
	}
}

// TestASecretUsedFromAWrongNetworkIsReported, but not at every request.
func TestASecretUsedFromAWrongNetworkIsReported(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Analyst, access.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for range 5 {
		s.status(credential, "GET /v1/stats/visitors")
	}
	s.clock.Pass(access.LockFor)
	s.status(credential, "GET /v1/stats/visitors")
	_, decisions, alerts := s.seen()
	if len(alerts) != 2 || alerts[0].Kind != access.AlertNetwork || alerts[0].Credential == "" {
		t.Errorf("alerts: %+v, want two", alerts)
	}
	if len(decisions) != 6 {
		t.Errorf("%d of 6 denials are on record", len(decisions))
	}
}

func TestABodyIsBoundedBeforeTheHandlerReadsIt(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Analyst, access.Scope{})
	for n, want := range map[int]int{10: 200, 11: 413} {
		if got, _, _ := s.ask(credential, "GET", "/v1/ropa", strings.Repeat("a", n)); got != want {
			t.Errorf("%d bytes: status %d, want %d", n, got, want)
		}
	}
}

// TestAnAnalystWhoReadsUnusuallyMuchIsReported: P22.
func TestAnAnalystWhoReadsUnusuallyMuchIsReported(t *testing.T) {
	reads := access.OpenReads("", lethetest.Logger(t))
	s := newSite(t, func(c *access.Config) { c.Reads = reads })
	credential := s.credential(access.Analyst, access.Scope{})
	for range 6 {
		for range 2 {
			s.status(credential, "GET /v1/stats/visitors")
		}
		s.clock.Pass(24 * 3600 * 1e9)
	}
	if _, _, alerts := s.seen(); len(alerts) != 0 {
		t.Fatalf("usual days: %+v", alerts)
	}
	for range 12 {
		s.status(credential, "GET /v1/stats/visitors")
		s.status(credential, "GET /v1/ropa") // shows nothing that is kept
	}
	_, _, alerts := s.seen()
	want := []access.Alert{{Kind: access.AlertReads, Credential: strings.Split(credential, "_")[2], Reads: 11, Median: 2}}
	if diff := cmp.Diff(want, alerts); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	if s.metric("lethe_access_unusual_reads_total", "") != 1 || !strings.Contains(s.log.String(), "reads unusual") {
		t.Error("it is not counted, or not in the log")
	}
}

// TestARouteWithoutARuleDoesNotStart: deny by default.
func TestARouteWithoutARuleDoesNotStart(t *testing.T) {
	h := func(http.ResponseWriter, *http.Request, access.Principal) {}
	for name, register := range map[string]func(*access.Gate, *http.ServeMux){
		"no roles":        func(g *access.Gate, m *http.ServeMux) { g.Handle(m, "GET /a", nil, h) },
		"an unknown role": func(g *access.Gate, m *http.ServeMux) { g.Handle(m, "GET /a", []access.Role{"root"}, h) },
		"two rules":       func(g *access.Gate, m *http.ServeMux) { g.Public("GET /a"); g.Handle(m, "GET /a", anyRole, h) },
		"the same one more": func(g *access.Gate, m *http.ServeMux) {
			g.Handle(m, "GET /a", anyRole, h)
			g.Handle(m, "GET /a", anyRole, h)
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it starts")
				}
			}()
			register(newSite(t).gate, http.NewServeMux())
		})
	}
}
