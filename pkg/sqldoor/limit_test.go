package sqldoor_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func TestLimitsOfACredential(t *testing.T) {
	s := newSite(t, func(c *sqldoor.Config) { c.Limits = sqldoor.Limits{Statements: 3} })
	credential, other := s.credential(access.Principal{}), s.credential(access.Principal{})
	for range 3 {
		if a := s.ask(credential, "SELECT 1"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.text)
		}
	}
	a := s.ask(credential, "SELECT 1")
	if a.status != fault.Status(fault.Exhausted) || !strings.Contains(a.text, "QUOTA_EXCEEDED") {
		t.Errorf("the fourth: %d %s", a.status, a.text)
	}
	if a := s.ask(other, "SELECT 1"); a.status != http.StatusOK {
		t.Errorf("somebody else: %d %s", a.status, a.text)
	}
	s.clock.Pass(time.Hour)
	if a := s.ask(credential, "SELECT 1"); a.status != http.StatusOK {
		t.Errorf("an hour later: %d %s", a.status, a.text)
	}
	// The engine's own.
	for _, q := range []string{
		"SELECT number FROM numbers(2000000)",
		"SELECT groupArray(number) FROM numbers(1000000000)",
		"SELECT count() FROM numbers(1000000) AS a CROSS JOIN numbers(1000000) AS b SETTINGS max_execution_time = 1",
	} {
		if a := s.ask(other, q); a.status == http.StatusOK && !a.cut {
			t.Errorf("%s: %d, %d bytes", q, a.status, len(a.text))
		}
		s.clock.Pass(time.Hour)
	}
}

// TestAStatementEndsWhenItsClientLeaves: what nobody waits for takes nothing
// from others, and a credential runs only so many at once.
func TestAStatementEndsWhenItsClientLeaves(t *testing.T) {
	s := newSite(t, func(c *sqldoor.Config) { c.Limits = sqldoor.Limits{Concurrency: 1} })
	credential := s.credential(access.Principal{})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	r := s.request(http.MethodPost, credential, "SELECT count() FROM numbers(10000000000) WHERE sipHash64(number) = 1").WithContext(ctx)
	go func() {
		defer close(left)
		if resp, err := http.DefaultClient.Do(r); err == nil {
			resp.Body.Close()
		}
	}()
	running := func(want string) {
		t.Helper()
		for s.asRoot("SELECT count() FROM system.processes WHERE user = 'sql'").text != want+"\n" {
			if t.Context().Err() != nil {
				t.Fatal("it never came to " + want)
			}
		}
	}
	running("1")
	if a := s.ask(credential, "SELECT 1"); a.status != fault.Status(fault.Exhausted) {
		t.Errorf("a second at once: %d %s", a.status, a.text)
	}
	if a := s.ask(s.credential(access.Principal{}), "SELECT 1"); a.status != http.StatusOK {
		t.Errorf("of another credential: %d %s", a.status, a.text)
	}
	leave()
	<-left
	running("0")
	for s.ask(credential, "SELECT 1").status != http.StatusOK {
		if t.Context().Err() != nil {
			t.Fatal("its place was never free")
		}
	}
}

// TestOneTenantCannotShutTheDoorForOthers: P14. A tenant that asks for more than
// there is gets its part; another is answered all the while.
func TestOneTenantCannotShutTheDoorForOthers(t *testing.T) {
	s := newSite(t)
	ctx, leave := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range warehouse.SQLConcurrent / sqldoor.DefaultLimits.Concurrency {
		credential := s.credential(access.Principal{Tenant: "acme"})
		for range sqldoor.DefaultLimits.Concurrency {
			r := s.request(http.MethodPost, credential, "SELECT count() FROM numbers(10000000000) WHERE sipHash64(number) = 1 SETTINGS max_threads = 1").WithContext(ctx)
			asking.Go(func() {
				if resp, err := http.DefaultClient.Do(r); err == nil {
					resp.Body.Close()
				}
			})
		}
	}
	defer asking.Wait()
	defer leave()
	running := func() string {
		return strings.TrimSpace(s.asRoot("SELECT count() FROM system.processes WHERE user = 'sql'").text)
	}
	want := strconv.Itoa(sqldoor.TenantPlaces)
	for running() != want {
		if t.Context().Err() != nil {
			t.Fatalf("%s of a tenant's statements run, want %s", running(), want)
		}
	}
	// The engine alone would take all of them, and then nobody else's.
	if sqldoor.TenantPlaces >= warehouse.SQLConcurrent {
		t.Errorf("one tenant has %d of %d places", sqldoor.TenantPlaces, warehouse.SQLConcurrent)
	}
	for range 3 {
		if a := s.ask(s.credential(access.Principal{Tenant: "umbra"}), "SELECT 1"); a.status != http.StatusOK || a.text != "1\n" {
			t.Errorf("another tenant: %d %s", a.status, a.text)
		}
	}
	if got := running(); got != want {
		t.Errorf("%s of a tenant's statements run, want %s", got, want)
	}
}
