package access_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// attempt asks without a network, so that a bubble's clock can advance.
type attempt struct {
	t     *testing.T
	store *access.Store
	mux   *http.ServeMux
	// alerts are those of locks.
	alerts []access.Alert
}

func newAttempt(t *testing.T) *attempt {
	t.Helper()
	a := &attempt{t: t, store: open(t, filepath.Join(t.TempDir(), "credentials.json")), mux: http.NewServeMux()}
	g := access.New(access.Config{
		Who: a.store, Log: slog.New(slog.DiscardHandler),
		Alert: func(alert access.Alert) { a.alerts = append(a.alerts, alert) },
	})
	g.Handle(a.mux, "GET /a", anyRole, func(http.ResponseWriter, *http.Request, access.Principal) {})
	return a
}

func (a *attempt) from(address, credential string) *httptest.ResponseRecorder {
	a.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), "GET", "/a", nil)
	r.RemoteAddr = address + ":1234"
	r.Header.Set("Authorization", "Bearer "+credential)
	w := httptest.NewRecorder()
	a.mux.ServeHTTP(w, r)
	return w
}

// wrong is a credential's text with another secret.
func wrong(credential string) string {
	return credential[:strings.LastIndex(credential, "_")+1] + strings.Repeat("a", 52)
}

// TestThirtyFailedAttemptsLockACredentialForAnHour: P22.
func TestThirtyFailedAttemptsLockACredentialForAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempt(t)
		c := create(t, a.store, analyst, access.Options{}).Reveal()
		other := create(t, a.store, analyst, access.Options{}).Reveal()
		for i := range access.LockAfter - 1 {
			// From networks that have nothing in common.
			if w := a.from(fmt.Sprintf("198.18.%d.1", i), wrong(c)); w.Code != http.StatusUnauthorized {
				t.Fatalf("attempt %d: status %d", i+1, w.Code)
			}
		}
		if w := a.from("192.0.2.1", c); w.Code != http.StatusOK {
			t.Fatalf("before the thirtieth, the right one: status %d", w.Code)
		}
		w := a.from("198.18.99.1", wrong(c))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "3600" || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("the thirtieth: status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		if len(a.alerts) != 1 || a.alerts[0].Kind != access.AlertLocked || a.alerts[0].Credential != strings.Split(c, "_")[2] {
			t.Errorf("alerts: %+v, want one", a.alerts)
		}
		time.Sleep(access.LockFor - time.Second)
		for name, text := range map[string]string{"right": c, "wrong": wrong(c)} {
			w := a.from("192.0.2.1", text)
			after, _ := strconv.Atoi(w.Header().Get("Retry-After"))
			if w.Code != http.StatusTooManyRequests || after != 1 {
				t.Errorf("locked, with the %s secret: status %d, Retry-After %d", name, w.Code, after)
			}
		}
		if w := a.from("192.0.2.1", other); w.Code != http.StatusOK {
			t.Errorf("another credential: status %d", w.Code)
		}
		time.Sleep(time.Second)
		if w := a.from("192.0.2.1", c); w.Code != http.StatusOK {
			t.Errorf("an hour later: status %d", w.Code)
		}
		if w := a.from("192.0.2.1", wrong(c)); w.Code != http.StatusUnauthorized {
			t.Errorf("a failure after the lock: status %d", w.Code) // counting begins anew
		}
	})
}

// TestFailuresOlderThanADayDoNotCount is the control of the window.
func TestFailuresOlderThanADayDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempt(t)
		c := create(t, a.store, analyst, access.Options{}).Reveal()
		fail := func(n int) (status int) {
			for range n {
				status = a.from("192.0.2.1", wrong(c)).Code
			}
			return status
		}
		fail(29)
		time.Sleep(access.LockWindow)
		if got := fail(29); got != http.StatusUnauthorized {
			t.Errorf("29 today and 29 yesterday: status %d", got)
		}
		time.Sleep(access.LockWindow - time.Second)
		if got := fail(1); got != http.StatusTooManyRequests {
			t.Errorf("30 within a day: status %d", got)
		}
	})
}

// TestGuessedIDsLockTheirNetwork, and nobody who has a right secret.
func TestGuessedIDsLockTheirNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAttempt(t)
		c := create(t, a.store, analyst, access.Options{}).Reveal()
		guess := func(from string, i int) *httptest.ResponseRecorder {
			return a.from(from, fmt.Sprintf("lethe_analyst_guess%05d_%s", i, strings.Repeat("a", 52)))
		}
		for i := range access.LockAfter {
			guess(fmt.Sprintf("192.0.2.%d", i+1), i)
		}
		if w := guess("192.0.2.200", 99); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "3600" {
			t.Errorf("the network: status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		// A known id fails there in the same way as one that is not.
		if w := a.from("192.0.2.200", wrong(c)); w.Code != http.StatusTooManyRequests {
			t.Errorf("a known id there: status %d", w.Code)
		}
		if w := guess("198.51.100.1", 99); w.Code != http.StatusUnauthorized {
			t.Errorf("another network: status %d", w.Code)
		}
		if w := a.from("192.0.2.200", c); w.Code != http.StatusOK {
			t.Errorf("the right secret from the locked network: status %d", w.Code)
		}
		for i := range access.LockAfter {
			guess(fmt.Sprintf("[2001:db8:1:%x::1]", i), i)
		}
		if w := guess("[2001:db8:1:ffff::1]", 99); w.Code != http.StatusTooManyRequests {
			t.Errorf("an IPv6 network: status %d", w.Code)
		}
		time.Sleep(access.LockFor)
		if w := guess("192.0.2.200", 99); w.Code != http.StatusUnauthorized {
			t.Errorf("an hour later: status %d", w.Code)
		}
	})
}

// TestAFloodFromEverywhereForgetsNoCredential: what is counted is bounded, and
// what a flood pushes out is only networks.
func TestAFloodFromEverywhereForgetsNoCredential(t *testing.T) {
	a := newAttempt(t)
	c := create(t, a.store, analyst, access.Options{}).Reveal()
	for range access.LockAfter - 1 {
		a.from("192.0.2.1", wrong(c))
	}
	for i := range 10_000 {
		a.from(fmt.Sprintf("10.%d.%d.1", i/256, i%256), "lethe_analyst_none_none")
	}
	if w := a.from("198.51.100.1", wrong(c)); w.Code != http.StatusTooManyRequests {
		t.Errorf("the thirtieth after a flood: status %d", w.Code)
	}
}

func TestFailuresAndLocksAreCounted(t *testing.T) {
	s := newSite(t)
	c := s.credential(access.Analyst, access.Scope{})
	s.status("", "GET /v1/ropa")
	s.status(c, "POST /v1/events")
	for range access.LockAfter {
		s.status(wrong(c), "GET /v1/ropa")
	}
	s.status(c, "GET /v1/ropa")
	for kind, want := range map[string]float64{"no_credential": 1, "denied": 1, "bad_credential": 30, "locked": 1} {
		if got := s.metric("lethe_access_failures_total", kind); got != want {
			t.Errorf("%v failures of kind %s, want %v", got, kind, want)
		}
	}
	for _, kind := range []string{"credential", "network"} {
		if got := s.metric("lethe_access_locked", kind); got != 1 {
			t.Errorf("%v locks of kind %s, want 1", got, kind)
		}
	}
	s.clock.Pass(access.LockFor)
	if got := s.metric("lethe_access_locked", "credential"); got != 0 {
		t.Errorf("%v locks hold after an hour", got)
	}
	if !strings.Contains(s.log.String(), "access locked") {
		t.Error("the log does not say so")
	}
	s.noSecret(c)
}
