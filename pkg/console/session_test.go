package console_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/console"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestNobodySeesAPageWithoutSigningIn(t *testing.T) {
	s := open(t)
	in := s.in(access.Officer)
	for _, path := range pages {
		if p := s.browser().get(path); !p.isOut() {
			t.Errorf("%s without a session: status %d", path, p.status)
		}
		forged := s.browser()
		forged.header.Set("Cookie", "lethe_console="+strings.Repeat("a", 43))
		if p := forged.get(path); !p.isOut() {
			t.Errorf("%s with a forged session: status %d", path, p.status)
		}
		if p := in.get(path); p.isOut() {
			t.Errorf("%s with a session is not shown", path)
		}
	}
}

// P15: what a credential cannot do, its session cannot from the next request on.
func TestASessionEndsWithItsCredential(t *testing.T) {
	s := open(t)
	for name, end := range map[string]func(id string) error{
		"revoked": func(id string) error { return s.store.Revoke(t.Context(), id) },
		"rotated": func(id string) error { _, err := s.store.Rotate(t.Context(), id, 0); return err },
	} {
		text, id := s.issue(access.Principal{Role: access.Officer})
		b, other := s.inWith(text), s.inWith(text)
		if p := b.get("/console/"); p.status != http.StatusOK {
			t.Fatalf("before it was %s: status %d", name, p.status)
		}
		if err := end(id); err != nil {
			t.Fatal(err)
		}
		for _, x := range []*browser{b, other} {
			if p := x.get("/console/"); !p.isOut() {
				t.Errorf("a session of a credential that was %s: status %d", name, p.status)
			}
		}
	}
	if n := s.console.Sessions(); n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

// P22.
func TestASessionEndsAfterThirtyIdleMinutesAndAfterThirtyDays(t *testing.T) {
	s := open(t)
	idle := s.in(access.Operator)
	s.pass(console.IdleMost - time.Second)
	if p := idle.get("/console/"); p.status != http.StatusOK {
		t.Errorf("before it was idle for long: status %d", p.status)
	}
	s.pass(console.IdleMost)
	if p := idle.get("/console/"); !p.isOut() {
		t.Errorf("after half an hour: status %d", p.status)
	}

	busy := s.in(access.Operator)
	for range int(console.LifeMost/console.IdleMost)*2 - 1 {
		s.pass(console.IdleMost / 2)
		if p := busy.get("/console/purpose"); p.status != http.StatusOK {
			t.Fatalf("while somebody is at it: status %d", p.status)
		}
	}
	s.pass(console.IdleMost / 2)
	if p := busy.get("/console/purpose"); !p.isOut() {
		t.Errorf("after thirty days: status %d", p.status)
	}

	// A page that is left open keeps no session alive.
	left := s.in(access.Operator)
	for range 3 {
		s.pass(console.IdleMost / 3)
		left.header.Set("Lethe-Live", "1")
		left.get("/console/flow.json")
		left.header.Del("Lethe-Live")
	}
	if p := left.get("/console/"); !p.isOut() {
		t.Errorf("a page that asks by itself: status %d", p.status)
	}
}

func TestSigningOutEndsTheSessionAtOnce(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	thief := s.browser()
	u, _ := url.Parse(s.server.URL + "/console/")
	for _, c := range b.client.Jar.Cookies(u) {
		thief.header.Add("Cookie", c.String())
	}
	if p := thief.get("/console/"); p.status != http.StatusOK {
		t.Fatalf("with the cookie: status %d", p.status)
	}
	if p := b.send("/console/signout", nil); p.status != http.StatusSeeOther {
		t.Fatalf("signing out: status %d", p.status)
	}
	if p := thief.get("/console/"); !p.isOut() {
		t.Errorf("with the cookie of a session that is over: status %d", p.status)
	}
}

// P22: wherever it was tried, a wrong secret counts.
func TestFailedSignInsLockLikeAnyOtherAttempt(t *testing.T) {
	s := open(t)
	text, _ := s.issue(access.Principal{Role: access.Officer})
	wrong := text[:len(text)-4] + "aaaa"
	b := s.browser()
	for i := range access.LockAfter - 1 {
		if i%2 == 0 {
			if p := b.signIn(wrong); p.status != http.StatusUnauthorized {
				t.Fatalf("attempt %d at the console: status %d", i, p.status)
			}
			continue
		}
		b.header.Set("Authorization", "Bearer "+wrong)
		if p := b.get("/v1/stats"); p.status != http.StatusUnauthorized {
			t.Fatalf("attempt %d at the API: status %d", i, p.status)
		}
		b.header.Del("Authorization")
	}
	if p := b.signIn(text); p.status != http.StatusSeeOther {
		t.Fatalf("the right one before the lock: status %d", p.status)
	}
	b.signIn(wrong)
	if p := s.browser().signIn(text); p.status != http.StatusTooManyRequests {
		t.Errorf("the right one while locked: status %d", p.status)
	}
	if p := b.get("/console/"); p.status != http.StatusTooManyRequests {
		t.Errorf("its session while locked: status %d", p.status)
	}
	s.pass(access.LockFor)
	if p := s.browser().signIn(text); p.status != http.StatusSeeOther {
		t.Errorf("the right one after the lock: status %d", p.status)
	}
}

func TestACredentialOpensFromItsOwnNetworksAlone(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	s := open(t, func(c *access.Config) { c.Proxies = []netip.Prefix{loopback} })
	text, _ := s.issue(access.Principal{Role: access.Analyst, Scope: access.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
	b := s.browser()
	if p := b.signIn(text); p.status != http.StatusForbidden {
		t.Errorf("from another network: status %d", p.status)
	}
	b.header.Set("X-Forwarded-For", "192.0.2.7")
	if p := b.signIn(text); p.status != http.StatusSeeOther {
		t.Fatalf("from its network: status %d", p.status)
	}
	// What the console asks for is judged by the browser's address too.
	if p := b.get("/console/usage?metric=activations"); !strings.Contains(p.body, "4,711") {
		t.Error("a page from its network shows no number")
	}
	b.header.Set("X-Forwarded-For", "198.51.100.7")
	if p := b.get("/console/usage"); !p.isOut() {
		t.Errorf("a session that moved to another network: status %d", p.status)
	}
}

func TestACookieIsOutOfReachOfScriptsAndOtherSites(t *testing.T) {
	s := open(t)
	text, _ := s.issue(access.Principal{Role: access.Analyst})
	cookies := func(server *httptest.Server, header http.Header) []*http.Cookie {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/console/signin", strings.NewReader(url.Values{"credential": {text}}.Encode()))
		r.Header = header
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := (&http.Client{Transport: server.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Cookies()
	}
	tls := httptest.NewTLSServer(s.server.Config.Handler)
	defer tls.Close()
	for name, c := range map[string][]*http.Cookie{
		"plain": cookies(s.server, http.Header{}), "TLS": cookies(tls, http.Header{}),
		"TLS before a proxy": cookies(s.server, http.Header{"X-Forwarded-Proto": {"https"}}),
	} {
		if len(c) != 1 {
			t.Fatalf("%s: %d cookies", name, len(c))
		}
		if !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode || c[0].Domain != "" || c[0].MaxAge != 0 {
			t.Errorf("%s: the cookie is not hardened", name)
		}
		secure := name != "plain"
		if c[0].Secure != secure || strings.HasPrefix(c[0].Name, "__Host-") != secure || (c[0].Path == "/") != secure {
			t.Errorf("%s: name %s, path %s, secure %v", name, c[0].Name, c[0].Path, c[0].Secure)
		}
		if strings.Contains(c[0].Value, "_"+strings.Split(text, "_")[3]) || len(c[0].Value) < 43 {
			t.Errorf("%s: the cookie is not 256 random bits", name)
		}
	}
}

func TestSessionsOfOneCredentialAreBounded(t *testing.T) {
	s := open(t)
	text, _ := s.issue(access.Principal{Role: access.Analyst})
	first := s.inWith(text)
	for range console.MaxOfOne {
		s.pass(time.Second)
		s.inWith(text)
	}
	if n := s.console.Sessions(); n != console.MaxOfOne {
		t.Errorf("%d sessions, want %d", n, console.MaxOfOne)
	}
	if p := first.get("/console/"); !p.isOut() {
		t.Errorf("the one that was not used for longest: status %d", p.status)
	}
}

// P10: what is on record has the purpose that was chosen.
func TestEveryReadHasThePurposeThatWasChosen(t *testing.T) {
	s := open(t)
	text, id := s.issue(access.Principal{Role: access.Analyst, Scope: access.Scope{Purposes: []string{"billing", "product planning"}}})
	b := s.inWith(text)
	if p := b.get("/console/usage"); p.status != http.StatusSeeOther || p.to != "/console/purpose?next=%2Fconsole%2Fusage" {
		t.Fatalf("before a purpose was chosen: status %d", p.status)
	}
	if len(s.onRecord()) > 0 {
		t.Error("something was asked for without a purpose")
	}
	if p := b.send("/console/purpose", url.Values{"purpose": {"curiosity"}}); p.status != http.StatusUnprocessableEntity {
		t.Errorf("a purpose that it does not have: status %d", p.status)
	}
	b.send("/console/purpose", url.Values{"purpose": {"product planning"}})
	if p := b.get("/console/usage?metric=activations"); p.status != http.StatusOK || !strings.Contains(p.body, "4,711") {
		t.Fatalf("with a purpose: status %d", p.status)
	}
	if len(s.onRecord()) != 2 {
		t.Errorf("%d decisions are on record, want 2", len(s.onRecord()))
	}
	for _, d := range s.onRecord() {
		if d.Purpose != "product planning" || d.Principal != id || !d.Allowed {
			t.Errorf("on record: %+v", d)
		}
	}
}

// TestAConsoleBesideOthersAsksThemForThePerson: the other process sees the
// person's credential, purpose and address.
func TestAConsoleBesideOthersAsksThemForThePerson(t *testing.T) {
	s := open(t)
	here, there := http.NewServeMux(), http.NewServeMux()
	var seen []*http.Request
	there.HandleFunc("GET /v1/stats", func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r)
		_, _ = w.Write([]byte(`{"metrics":[]}`))
	})
	analyst := httptest.NewServer(there)
	defer analyst.Close()
	api := console.Split("/v1/stats", console.Remote(analyst.URL+"/", analyst.Client()), console.InProcess(here))
	gate := access.NewGate(s.store, lethetest.Logger(t))
	console.New(console.Config{API: api, Gate: gate, Log: lethetest.Logger(t)}).Routes(here)
	s.server = httptest.NewServer(here)
	defer s.server.Close()
	text, _ := s.issue(access.Principal{Role: access.Analyst})
	b := s.inWith(text)
	if p := b.get("/console/usage"); p.status != http.StatusOK || len(seen) != 1 {
		t.Fatalf("status %d, and it was asked %d times", p.status, len(seen))
	}
	r := seen[0]
	if r.Header.Get("Authorization") != "Bearer "+text || r.Header.Get(access.PurposeHeader) != "usage statistics" || r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
		t.Error("the other process does not know who asks, for what, or from where")
	}
	if r.Header.Get("Cookie") != "" {
		t.Error("the other process is sent a cookie")
	}
	analyst.Close()
	if p := b.get("/console/usage"); !strings.Contains(p.body, "cannot be reached") {
		t.Error("the page does not say that the other process is not there")
	}
}
