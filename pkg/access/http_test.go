package access_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

// made is a credential that was made over HTTP.
func (s *site) made(as, body string) access.Issued {
	s.t.Helper()
	status, header, text := s.ask(as, "POST", "/v1/credentials", body)
	if status != http.StatusCreated || header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("status %d, Cache-Control %q", status, header.Get("Cache-Control"))
	}
	var i access.Issued
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		s.t.Fatal(err)
	}
	return i
}

func (s *site) listed(as string) (ids []string) {
	s.t.Helper()
	status, _, text := s.ask(as, "GET", "/v1/credentials", "")
	var l access.Listing
	if err := json.Unmarshal([]byte(text), &l); status != http.StatusOK || err != nil {
		s.t.Fatalf("status %d: %v", status, err)
	}
	if strings.Contains(text, "sha256") || strings.Contains(text, "secret") {
		s.t.Error("the list holds hashes or secrets")
	}
	for _, e := range l.Credentials {
		ids = append(ids, e.ID)
	}
	return ids
}

func id(credential string) string { return strings.Split(credential, "_")[2] }

func TestACredentialLivesFromCreateToRevoke(t *testing.T) {
	s := newSite(t)
	operator := s.credential(access.Operator, access.Scope{})
	s.clock.Pass(time.Second) // the list is by age
	got := s.made(operator, `{"role":"analyst","services":["shop"],"routes":["GET /v1/stats/{metric}"],"masked":["country"],
		"networks":["127.0.0.0/8"],"purposes":["billing"],"expires":"2026-12-01T00:00:00Z"}`)
	want := access.Entry{
		ID: id(got.Credential), Role: access.Analyst, Tenant: "acme", Services: []string{"shop"},
		Scope: access.Scope{
			Routes: []string{"GET /v1/stats/{metric}"}, Masked: []string{"country"},
			Networks: []netip.Prefix{loopback()}, Purposes: []string{"billing"},
		},
		Created: s.clock.Now(), Expires: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
	}
	if diff := cmp.Diff(want, got.Entry, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if status := s.status(got.Credential, "GET /v1/stats/visitors"); status != 200 {
		t.Errorf("at once: status %d", status)
	}
	if status := s.status(got.Credential, "GET /v1/ropa"); status != 403 {
		t.Errorf("another route: status %d", status)
	}
	status, _, text := s.ask(operator, "POST", "/v1/credentials/"+got.ID+"/rotate", `{"grace":"1h"}`)
	var rotated access.Issued
	if err := json.Unmarshal([]byte(text), &rotated); err != nil || status != 200 || rotated.ID != got.ID {
		t.Fatalf("rotating: status %d, %v", status, err)
	}
	for name, c := range map[string]string{"before": got.Credential, "after": rotated.Credential} {
		if status := s.status(c, "GET /v1/stats/visitors"); status != 200 {
			t.Errorf("rotated, the secret %s: status %d", name, status)
		}
	}
	s.clock.Pass(time.Hour)
	if status := s.status(got.Credential, "GET /v1/stats/visitors"); status != 401 {
		t.Errorf("after the grace: status %d", status)
	}
	if diff := cmp.Diff([]string{id(operator), got.ID}, s.listed(operator)); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if status := s.status(operator, "DELETE /v1/credentials/"+got.ID); status != 204 {
		t.Errorf("revoking: status %d", status)
	}
	if status := s.status(rotated.Credential, "GET /v1/stats/visitors"); status != 401 {
		t.Errorf("revoked: status %d", status)
	}
	s.noSecret(operator, got.Credential, rotated.Credential)
	_, decisions, _ := s.seen()
	named := map[string]int{}
	for _, d := range decisions {
		if d.Credential == got.ID {
			named[d.Route]++
		}
	}
	if diff := cmp.Diff(map[string]int{"POST /v1/credentials": 1, "POST /v1/credentials/{id}/rotate": 1, "DELETE /v1/credentials/{id}": 1}, named); diff != "" {
		t.Errorf("changes on record (-want +got):\n%s", diff)
	}
}

func TestARequestForACredentialThatCannotBeIsRefused(t *testing.T) {
	s := newSite(t)
	operator := s.credential(access.Operator, access.Scope{})
	for body, want := range map[string]int{
		``:                                     422,
		`{}`:                                   422,
		`null`:                                 422,
		`[]`:                                   422,
		`{"role":"root"}`:                      422,
		`{"role":"analyst"} {}`:                422,
		`{"role":"analyst","admin":true}`:      422,
		`{"role":"analyst","role":"operator"}`: 422,
		`{"role":"analyst","services":[]}`:     422,
		`{"role":"analyst","services":"shop"}`: 422,
		`{"role":"analyst","networks":["192.0.2.1"]}`:           422,
		`{"role":"analyst","networks":["everywhere"]}`:          422,
		`{"role":"analyst","tenant":"*"}`:                       422,
		`{"role":"analyst","expires":"2020-01-01T00:00:00Z"}`:   422,
		`{"role":"analyst","expires":"tomorrow"}`:               422,
		`{"role":"analyst","id":"aaaaaaaaaa"}`:                  422,
		`{"role":"` + strings.Repeat("a", 70<<10) + `"}`:        422,
		`{"role":"analyst","purposes":["for ada@example.org"]}`: 422,
		`{"role":"analyst"}`:                                    201, // the control
	} {
		status, _, text := s.ask(operator, "POST", "/v1/credentials", body)
		if status != want {
			t.Errorf("%.60s: status %d, want %d", body, status, want)
		}
		if strings.Contains(text, "ada") || strings.Contains(text, "root") {
			t.Errorf("%.60s: the answer repeats a value", body)
		}
	}
	if n := len(s.listed(operator)); n != 2 {
		t.Errorf("%d credentials are there, want 2", n)
	}
	live := s.made(operator, `{"role":"analyst"}`)
	for _, c := range []struct {
		route string
		want  int
	}{
		{"POST /v1/credentials/aaaaaaaaaa/rotate", 404},
		{"DELETE /v1/credentials/aaaaaaaaaa", 404},
		{"DELETE /v1/credentials/" + id(operator), 409}, // the last one
		{"POST /v1/credentials/" + live.ID + "/rotate", 200},
		{"DELETE /v1/credentials/" + live.ID, 204},
		{"POST /v1/credentials/" + live.ID + "/rotate", 409},
	} {
		if status := s.status(operator, c.route); status != c.want {
			t.Errorf("%s: status %d, want %d", c.route, status, c.want)
		}
	}
	for _, grace := range []string{`{"grace":"tomorrow"}`, `{"grace":"-1h"}`, `{"grace":"9000h"}`, `{"grace":1}`, `{`} {
		if status, _, _ := s.ask(operator, "POST", "/v1/credentials/"+id(operator)+"/rotate", grace); status != 422 {
			t.Errorf("%s: status %d", grace, status)
		}
	}
}

// TestATenantsOperatorSeesAndChangesOnlyItsOwn: P14.
func TestATenantsOperatorSeesAndChangesOnlyItsOwn(t *testing.T) {
	s := newSite(t)
	home := s.credential(access.Operator, access.Scope{})
	analyst := s.credential(access.Analyst, access.Scope{})
	theirs := s.made(home, `{"role":"operator","tenant":"other"}`).Credential
	if diff := cmp.Diff([]string{id(theirs)}, s.listed(theirs)); diff != "" {
		t.Errorf("another tenant's operator sees (-want +got):\n%s", diff)
	}
	if n := len(s.listed(home)); n != 3 {
		t.Errorf("the home operator sees %d of 3", n)
	}
	for route, want := range map[string]int{
		"POST /v1/credentials/" + id(analyst) + "/rotate": 404,
		"DELETE /v1/credentials/" + id(analyst):           404,
	} {
		if status := s.status(theirs, route); status != want {
			t.Errorf("%s: status %d, want %d", route, status, want)
		}
	}
	if status, _, _ := s.ask(theirs, "POST", "/v1/credentials", `{"role":"analyst","tenant":"acme"}`); status != 403 {
		t.Errorf("making one for another tenant: status %d", status)
	}
	if got := s.made(theirs, `{"role":"analyst"}`); got.Tenant != "other" {
		t.Errorf("one made without a tenant is of %q", got.Tenant)
	}
	if got := s.made(home, `{"role":"analyst","tenant":"third"}`); got.Tenant != "third" {
		t.Errorf("one that the home operator made is of %q", got.Tenant)
	}
}

// TestAnOperatorIsGivenNothingWiderThanItself, by making or by rotating: P15.
func TestAnOperatorIsGivenNothingWiderThanItself(t *testing.T) {
	s := newSite(t)
	full := s.credential(access.Operator, access.Scope{})
	all := s.credential(access.Analyst, access.Scope{})
	shop := s.credential(access.Analyst, access.Scope{}, "shop")
	limited := s.made(full, `{"role":"operator","services":["shop"],"expires":"2026-04-01T00:00:00Z"}`).Credential
	for body, want := range map[string]int{
		`{"role":"operator","services":["web"]}`:                                   403,
		`{"role":"analyst","services":["shop","web"]}`:                             403,
		`{"role":"analyst","services":["shop"],"expires":"2027-01-01T00:00:00Z"}`:  403,
		`{"role":"analyst","services":["shop"],"expires":"2026-03-15T00:00:00Z"}`:  201,
		`{"role":"operator","services":["shop"],"purposes":["operation"]}`:         201,
		`{"role":"operator","services":["shop"],"purposes":["something further"]}`: 201,
	} {
		if status, _, _ := s.ask(limited, "POST", "/v1/credentials", body); status != want {
			t.Errorf("%s: status %d, want %d", body, status, want)
		}
	}
	got := s.made(limited, `{"role":"publisher"}`)
	if diff := cmp.Diff([]string{"shop"}, got.Services); diff != "" || !got.Expires.Equal(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("one made without limits has not those of its maker: %v until %v", got.Services, got.Expires)
	}
	for route, want := range map[string]int{
		"POST /v1/credentials/" + id(full) + "/rotate": 404, // it does not even see it
		"POST /v1/credentials/" + id(all) + "/rotate":  404,
		"DELETE /v1/credentials/" + id(all):            404,
		"POST /v1/credentials/" + id(shop) + "/rotate": 403, // it has no end, and would be theirs
		"DELETE /v1/credentials/" + id(shop):           204, // ending it gives nothing
	} {
		if status := s.status(limited, route); status != want {
			t.Errorf("%s: status %d, want %d", route, status, want)
		}
	}
}

func TestAChangeThatIsNotOnRecordIsNotMadeOverHTTP(t *testing.T) {
	s := newSite(t)
	operator, victim := s.credential(access.Operator, access.Scope{}), s.credential(access.Analyst, access.Scope{})
	s.record(errors.New("the stream is full"))
	for _, route := range []string{"POST /v1/credentials", "POST /v1/credentials/" + id(victim) + "/rotate", "DELETE /v1/credentials/" + id(victim)} {
		method, path, _ := strings.Cut(route, " ")
		if status, _, _ := s.ask(operator, method, path, `{"role":"analyst"}`); status != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d", route, status)
		}
	}
	s.record(nil)
	if _, err := s.store.Identify(victim); err != nil || len(s.listed(operator)) != 2 {
		t.Errorf("something changed: %v", err)
	}
}

// TestTheRulesAreShownToWhoOversees, and are those of the gate.
func TestTheRulesAreShownToWhoOversees(t *testing.T) {
	s := newSite(t)
	status, _, text := s.ask(s.credential(access.Officer, access.Scope{}), "GET", "/v1/access", "")
	var rules access.Rules
	if err := json.Unmarshal([]byte(text), &rules); err != nil || status != 200 {
		t.Fatalf("status %d: %v", status, err)
	}
	if diff := cmp.Diff(s.gate.Routes(), rules.Routes); diff != "" {
		t.Errorf("rules (-gate +shown):\n%s", diff)
	}
	s.gate.Public("GET /healthz")
	for _, row := range []string{
		"| `GET /healthz` | anyone | anyone | anyone | anyone |  |\n",
		"| `GET /v1/stats/{metric}` | – | recorded | recorded | yes | its tenant, its services, its masks |\n",
		"| `GET /v1/status` | – | recorded | recorded | yes | the installation |\n",
		"| `GET /v1/ropa` | yes | yes | yes | yes | its tenant, its services |\n",
		"| `POST /v1/events` | yes | – | – | – | its tenant, its services |\n",
		"| `POST /v1/credentials` | – | – | – | recorded | its tenant, its services, its products, its masks |\n",
	} {
		if !strings.Contains(s.gate.Matrix(), row) {
			t.Errorf("the table has no row %s", row)
		}
	}
}
