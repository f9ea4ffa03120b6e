package access_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

var analyst = access.Principal{Role: access.Analyst, Tenant: "acme", Services: []string{"shop", "web-1"}}

func open(t testing.TB, path string) *access.Store {
	t.Helper()
	s, err := access.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t testing.TB, s *access.Store, p access.Principal, o access.Options) access.Credential {
	t.Helper()
	c, err := s.Create(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func request(header ...string) *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for _, h := range header {
		r.Header.Add("Authorization", h)
	}
	return r
}

func TestACredentialIsWhomItWasMadeFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	c := create(t, open(t, path), analyst, access.Options{})
	want := analyst
	want.ID, want.Purposes = c.ID(), []string{"usage statistics"}
	for name, s := range map[string]*access.Store{"reopened": open(t, path)} {
		for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
			got, err := s.Authenticate(request(scheme + c.Reveal()))
			if err != nil {
				t.Fatalf("%s, %q: %v", name, scheme, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: principal (-want +got):\n%s", name, diff)
			}
		}
	}
	if !strings.HasPrefix(c.Reveal(), "lethe_analyst_"+c.ID()+"_") || len(c.ID()) < 8 {
		t.Errorf("the credential %v is not lethe_<role>_<id>_<secret>", c)
	}
}

func TestTheFileHoldsNoSecretAndIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	c := create(t, open(t, path), analyst, access.Options{})
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret := c.Reveal()[strings.LastIndex(c.Reveal(), "_")+1:]
	if bytes.Contains(b, []byte(secret)) {
		t.Error("the file holds the secret")
	}
	if !bytes.Contains(b, []byte(c.ID())) {
		t.Error("the file does not hold the id") // the control: it would be found
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode().Perm())
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if len(left) != 0 {
		t.Errorf("temporary files stay behind: %v", left)
	}
}

func TestWhoeverIsNotLetInGetsTheSameAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	s := open(t, path)
	now := time.Now()
	good := create(t, s, analyst, access.Options{})
	other := create(t, s, analyst, access.Options{})
	revoked := create(t, s, analyst, access.Options{})
	if err := s.Revoke(t.Context(), revoked.ID()); err != nil {
		t.Fatal(err)
	}
	expired := create(t, s, analyst, access.Options{Expires: now.Add(time.Hour)})
	s.SetClock(func() time.Time { return now.Add(time.Hour) })

	text := good.Reveal()
	secret := text[strings.LastIndex(text, "_")+1:]
	cases := map[string]string{
		"unknown id":        "lethe_analyst_aaaaaaaaaa_" + secret,
		"another's secret":  other.Reveal()[:strings.LastIndex(other.Reveal(), "_")+1] + secret,
		"another role":      strings.Replace(text, "_analyst_", "_operator_", 1),
		"no role":           strings.Replace(text, "_analyst_", "__", 1),
		"cut short":         text[:len(text)-1],
		"longer":            text + "a",
		"upper case":        strings.ToUpper(text),
		"no secret":         text[:strings.LastIndex(text, "_")+1],
		"nothing":           "",
		"empty id":          "lethe_analyst__" + secret,
		"the id alone":      good.ID(),
		"revoked":           revoked.Reveal(),
		"expired":           expired.Reveal(),
		"very long":         strings.Repeat("a", 1<<16),
		"nobody's own hash": "lethe___",
	}
	want := httptest.NewRecorder()
	access.WriteUnauthorized(want, access.ErrBadCredential)
	for name, text := range cases {
		p, err := s.Authenticate(request("Bearer " + text))
		if !errors.Is(err, access.ErrBadCredential) || p.ID != "" || p.Tenant != "" {
			t.Errorf("%s: principal %v, error %v", name, p, err)
			continue
		}
		got := httptest.NewRecorder()
		access.WriteUnauthorized(got, err)
		if got.Code != 401 || got.Body.String() != want.Body.String() || !cmp.Equal(got.Header(), want.Header()) {
			t.Errorf("%s: the answer differs: %d %s", name, got.Code, got.Body)
		}
	}
	// The control: the same request with the credential itself.
	if _, err := s.Authenticate(request("Bearer " + text)); err != nil {
		t.Errorf("the good credential is refused: %v", err)
	}
}

func TestARequestWithoutACredentialIsAskedForOne(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	for _, headers := range [][]string{nil, {""}, {"Basic YTpi"}, {"lethe_analyst_a_b"}} {
		_, err := s.Authenticate(request(headers...))
		if !errors.Is(err, access.ErrNoCredential) {
			t.Errorf("%q: %v", headers, err)
		}
		w := httptest.NewRecorder()
		access.WriteUnauthorized(w, err)
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Bearer realm="lethe"` ||
			w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%q: %d %v", headers, w.Code, w.Header())
		}
	}
	c := create(t, s, analyst, access.Options{})
	if _, err := s.Authenticate(request("Bearer "+c.Reveal(), "Bearer "+c.Reveal())); !errors.Is(err, access.ErrBadCredential) {
		t.Errorf("two credentials in one request: %v", err)
	}
}

// TestAChangeHoldsAtOnceInAnotherProcess opens the file twice: two stores
// share nothing but it.
func TestAChangeHoldsAtOnceInAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	cli, server := open(t, path), open(t, path)
	for range 50 {
		c := create(t, cli, analyst, access.Options{})
		if _, err := server.Identify(c.Reveal()); err != nil {
			t.Fatalf("created, but refused: %v", err)
		}
		if err := cli.Revoke(t.Context(), c.ID()); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Identify(c.Reveal()); !errors.Is(err, access.ErrBadCredential) {
			t.Fatalf("revoked, but: %v", err)
		}
	}
}

func TestWritersTakeTurns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "credentials.json")
	var wg sync.WaitGroup
	for range 4 {
		s := open(t, path)
		wg.Go(func() {
			for range 5 {
				c, err := s.Create(t.Context(), analyst, access.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Revoke(t.Context(), c.ID()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	entries, err := open(t, path).List()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Revoked.IsZero() {
			t.Errorf("the revocation of %s is lost", e.ID)
		}
	}
	if len(entries) != 20 {
		t.Errorf("%d of 20 credentials are left", len(entries))
	}
}

func TestRevokingTwiceIsOnceAndAnUnknownIDIsNotFound(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	c := create(t, s, analyst, access.Options{})
	now := time.Now()
	var first []access.Entry
	for i := range 2 {
		s.SetClock(func() time.Time { return now.Add(time.Duration(i) * time.Hour) })
		if err := s.Revoke(t.Context(), c.ID()); err != nil {
			t.Fatal(err)
		}
		entries, err := s.List()
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = entries
		} else if diff := cmp.Diff(first, entries); diff != "" {
			t.Errorf("the second revocation changed the first:\n%s", diff)
		}
	}
	if err := s.Revoke(t.Context(), "aaaaaaaaaa"); !errors.Is(err, fault.NotFound) {
		t.Errorf("unknown id: %v", err)
	}
}

func TestAStoreThatCannotBeReadLetsNobodyIn(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"removed":            os.Remove,
		"cut short":          func(p string) error { return os.Truncate(p, 20) },
		"emptied":            func(p string) error { return os.Truncate(p, 0) },
		"writable by others": func(p string) error { return os.Chmod(p, 0o622) },
		"unknown limit": func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			return os.WriteFile(p, bytes.Replace(b, []byte(`"role"`), []byte(`"hours": [], "role"`), 1), 0o600)
		},
		"emptied limit": func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			return os.WriteFile(p, bytes.Replace(b, []byte(`"role"`), []byte(`"networks": [], "role"`), 1), 0o600)
		},
		"a later version": func(p string) error {
			return os.WriteFile(p, []byte(`{"version":2,"credentials":[]}`), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "credentials.json")
			s := open(t, path)
			c := create(t, s, analyst, access.Options{})
			if _, err := s.Identify(c.Reveal()); err != nil {
				t.Fatal(err) // the control
			}
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			_, err := s.Identify(c.Reveal())
			if err == nil {
				t.Fatal("the credential is accepted")
			}
			w := httptest.NewRecorder()
			access.WriteUnauthorized(w, err)
			want := http.StatusServiceUnavailable
			if name == "removed" {
				want = http.StatusUnauthorized
			}
			if w.Code != want {
				t.Errorf("status %d, want %d (%v)", w.Code, want, err)
			}
		})
	}
}

func TestAPrincipalThatCannotBeIsRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	for name, p := range map[string]access.Principal{
		"no role":      {Tenant: "acme"},
		"unknown role": {Role: "root", Tenant: "acme"},
		"no tenant":    {Role: access.Analyst},
		"dotted":       {Role: access.Analyst, Tenant: "ac.me"},
		"wildcard":     {Role: access.Analyst, Tenant: "*"},
		"upper case":   {Role: access.Analyst, Tenant: "Acme"},
		"too long":     {Role: access.Analyst, Tenant: strings.Repeat("a", 49)},
		"bad service":  {Role: access.Publisher, Tenant: "acme", Services: []string{"shop", ""}},
		"chosen id":    {ID: "aaaaaaaaaa", Role: access.Analyst, Tenant: "acme"},
	} {
		if _, err := s.Create(t.Context(), p, access.Options{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Create(t.Context(), analyst, access.Options{Expires: time.Now().Add(-time.Second)}); !errors.Is(err, fault.Invalid) {
		t.Errorf("expired from the start: %v", err)
	}
	if entries, _ := s.List(); len(entries) != 0 {
		t.Errorf("%d credentials came of it", len(entries))
	}
}

func TestNoNeighborOfACredentialOpensAnything(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	text := create(t, s, analyst, access.Options{}).Reveal()
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(text)
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		if _, err := s.Identify(string(b)); (err == nil) != (string(b) == text) {
			t.Fatalf("changed: %v, error: %v", string(b) != text, err)
		}
	})
}

func TestACredentialShowsItsIDAndNothingElse(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "credentials.json"))
	c := create(t, s, analyst, access.Options{})
	secret := c.Reveal()[strings.LastIndex(c.Reveal(), "_")+1:]
	type hidden struct{ c access.Credential }
	type shown struct{ C access.Credential }
	for name, v := range map[string]any{
		"value": c, "pointer": &c, "hidden": hidden{c}, "shown": shown{c}, "pointer to hidden": &hidden{c},
		"slice": []access.Credential{c}, "map": map[string]access.Credential{"c": c},
		"nested": []any{shown{c}, &hidden{c}}, "error": fmt.Errorf("with %v", c),
	} {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		if b, err := json.Marshal(v); err == nil {
			out.Write(b)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		text := out.String()
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("%s: the secret is shown", name)
		}
	}
	if got := fmt.Sprint(c); got != "credential("+c.ID()+")" {
		t.Errorf("it prints as %q", got)
	}
	if (access.Credential{}).Reveal() != "" || fmt.Sprint(access.Credential{}) == "" {
		t.Error("the zero credential is not empty")
	}
}
