package access_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// accepted says which of the texts open, one letter each.
func accepted(t *testing.T, s *access.Store, credentials ...access.Credential) string {
	t.Helper()
	out := ""
	for _, c := range credentials {
		switch _, err := s.Identify(c.Reveal()); {
		case err == nil:
			out += "y"
		case errors.Is(err, access.ErrBadCredential):
			out += "n"
		default:
			t.Fatal(err)
		}
	}
	return out
}

func rotate(t *testing.T, s *access.Store, id string, grace time.Duration) access.Credential {
	t.Helper()
	c, err := s.Rotate(t.Context(), id, grace)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestASecretThatWasReplacedLivesAsLongAsItsGrace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	s, server := open(t, path), open(t, path)
	now := time.Now()
	for _, store := range []*access.Store{s, server} {
		store.SetClock(func() time.Time { return now })
	}
	first := create(t, s, analyst, access.Options{})
	second := rotate(t, s, first.ID(), 0)
	if second.ID() != first.ID() {
		t.Error("the id changed")
	}
	if got := accepted(t, server, first, second); got != "ny" {
		t.Errorf("without grace: %s, want ny", got)
	}
	third := rotate(t, s, first.ID(), time.Hour)
	if got := accepted(t, server, first, second, third); got != "nyy" {
		t.Errorf("with an hour's grace: %s, want nyy", got)
	}
	now = now.Add(time.Hour - time.Second)
	if got := accepted(t, server, first, second, third); got != "nyy" {
		t.Errorf("within it: %s, want nyy", got)
	}
	now = now.Add(time.Second)
	if got := accepted(t, server, first, second, third); got != "nny" {
		t.Errorf("after it: %s, want nny", got)
	}
	// Rotating within the grace ends the secret before the last.
	fourth := rotate(t, s, first.ID(), time.Hour)
	fifth := rotate(t, s, first.ID(), time.Hour)
	if got := accepted(t, server, third, fourth, fifth); got != "nyy" {
		t.Errorf("twice in an hour: %s, want nyy", got)
	}
	if err := s.Revoke(t.Context(), first.ID()); err != nil {
		t.Fatal(err)
	}
	if got := accepted(t, server, fourth, fifth); got != "nn" {
		t.Errorf("revoked: %s, want nn", got)
	}
}

func TestOnlyWhatLivesIsRotated(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	now := time.Now()
	s.SetClock(func() time.Time { return now })
	live := create(t, s, analyst, access.Options{})
	revoked := create(t, s, analyst, access.Options{})
	if err := s.Revoke(t.Context(), revoked.ID()); err != nil {
		t.Fatal(err)
	}
	expired := create(t, s, analyst, access.Options{Expires: now.Add(time.Minute)})
	now = now.Add(time.Minute)
	for name, c := range map[string]struct {
		id    string
		grace time.Duration
		kind  error
	}{
		"revoked":        {revoked.ID(), 0, fault.Conflict},
		"expired":        {expired.ID(), 0, fault.Conflict},
		"unknown":        {"aaaaaaaaaa", 0, fault.NotFound},
		"negative grace": {live.ID(), -time.Second, fault.Invalid},
		"endless grace":  {live.ID(), access.MaxGrace + 1, fault.Invalid},
	} {
		if _, err := s.Rotate(t.Context(), c.id, c.grace); !errors.Is(err, c.kind) {
			t.Errorf("%s: %v, want %v", name, err, c.kind)
		}
	}
	if got := accepted(t, s, live); got != "y" {
		t.Error("a rotation that was refused changed the secret")
	}
}

// TestTheLastOperatorIsNotRevoked, or nobody could let anybody in.
func TestTheLastOperatorIsNotRevoked(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	now := time.Now()
	s.SetClock(func() time.Time { return now })
	operator := func(tenant string, o access.Options, routes ...string) access.Credential {
		return create(t, s, access.Principal{Role: access.Operator, Tenant: tenant, Scope: access.Scope{Routes: routes}}, o)
	}
	first := operator("acme", access.Options{})
	operator("other", access.Options{})                       // another tenant's
	operator("acme", access.Options{}, "GET /v1/status")      // makes no others
	operator("acme", access.Options{Expires: now.Add(1_000)}) // will have expired
	now = now.Add(time.Hour)
	if err := s.Revoke(t.Context(), first.ID()); !errors.Is(err, fault.Conflict) {
		t.Errorf("the last one: %v", err)
	}
	if accepted(t, s, first) != "y" {
		t.Error("it is revoked all the same")
	}
	second := operator("acme", access.Options{}, "POST /v1/credentials") // the control
	if err := s.Revoke(t.Context(), first.ID()); err != nil {
		t.Errorf("with another one: %v", err)
	}
	if err := s.Revoke(t.Context(), second.ID()); !errors.Is(err, fault.Conflict) {
		t.Errorf("then that one: %v", err)
	}
}

// TestAChangeThatCannotBeRecordedIsNotMade: P10.
func TestAChangeThatCannotBeRecordedIsNotMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	s := open(t, path)
	refused := errors.New("not on record")
	var seen access.Entry
	_, err := s.Create(t.Context(), analyst, access.Options{Before: func(e access.Entry) error {
		seen = e
		return refused
	}})
	if !errors.Is(err, refused) || seen.ID == "" {
		t.Errorf("error %v, and it was asked about %q", err, seen.ID)
	}
	if entries, _ := open(t, path).List(); len(entries) != 0 {
		t.Errorf("%d credentials are there", len(entries))
	}
}
