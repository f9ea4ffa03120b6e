package main_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
)

var update = flag.Bool("update", false, "write what the documentation shows of the running system anew")

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestACredentialIsMadeUsedRotatedAndRevoked, all over the command line: P15.
func TestACredentialIsMadeUsedRotatedAndRevoked(t *testing.T) {
	t.Parallel()
	r := up(t)
	var made, rotated access.Issued
	decode(t, r.Run("credentials", "create", "--role", "analyst", "--route", "GET /v1/stats/{metric}", "--network", "127.0.0.0/8",
		"--mask", "country", "--purpose", "billing", "--expires", "90d", "-o", "json"), &made)
	if len(made.Routes) != 1 || len(made.Networks) != 1 || made.Expires.IsZero() || made.Tenant != "default" {
		t.Errorf("made: %+v", made.Entry)
	}
	ask := func(credential, path string, headers ...string) int {
		t.Helper()
		status, _ := r.Do("", http.MethodGet, path, "", nil, append(headers, "Authorization", "Bearer "+credential)...)
		return status
	}
	if got := ask(made.Credential, "/v1/stats"); got != http.StatusForbidden {
		t.Errorf("another route: status %d", got)
	}
	if got := ask(made.Credential, "/v1/stats/requests", access.PurposeHeader, "curiosity"); got != http.StatusForbidden {
		t.Errorf("another purpose: status %d", got)
	}
	decode(t, r.Run("credentials", "rotate", made.ID, "--grace", "1h", "-o", "json"), &rotated)
	if rotated.ID != made.ID || rotated.Credential == made.Credential || rotated.PreviousUntil.IsZero() {
		t.Errorf("rotated: %+v", rotated.Entry)
	}
	list := r.Run("credentials", "list")
	for _, want := range []string{made.ID, "rotating", "from 127.0.0.0/8", "masked country", "for billing"} {
		if !strings.Contains(list, want) {
			t.Errorf("the list does not say %q", want)
		}
	}
	if out := r.Run("credentials", "revoke", made.ID); !strings.Contains(out, "revoked") {
		t.Errorf("revoke says %q", out)
	}
	for name, c := range map[string]string{"first": made.Credential, "second": rotated.Credential} {
		if got := ask(c, "/v1/stats/requests"); got != http.StatusUnauthorized {
			t.Errorf("revoked, with the %s secret: status %d", name, got)
		}
	}
	table := r.Run("credentials", "create", "--role", "publisher", "--service", "shop")
	if !strings.Contains(table, "lethe_publisher_") || !strings.Contains(table, "services shop") {
		t.Error("the table does not show the credential, or not its limits")
	}

	// The operator's own: the file that the command line uses follows.
	before := r.Credential("operator")
	id := strings.Split(before, "_")[2]
	if _, stderr, err := r.Try("credentials", "revoke", id); status(t, err) != 1 || !strings.Contains(stderr, "last") {
		t.Errorf("revoking the last operator: %q", stderr)
	}
	own := r.Run("credentials", "rotate", id)
	after := r.Credential("operator")
	if after == before || !strings.Contains(own, after) {
		t.Error("the file does not hold the rotated credential")
	}
	if got := ask(before, "/v1/status"); got != http.StatusUnauthorized {
		t.Errorf("the operator's old secret: status %d", got)
	}
	r.Run("status")

	for _, args := range [][]string{
		{"credentials"}, {"credentials", "create"}, {"credentials", "rotate"}, {"credentials", "revoke", "a", "b"},
		{"credentials", "create", "--role", "analyst", "--network", "here"},
		{"credentials", "create", "--role", "analyst", "--expires", "soon"},
		{"credentials", "create", "--role", "analyst", "--expires", "-1h"},
	} {
		if _, _, err := r.Try(args...); status(t, err) != 2 {
			t.Errorf("lethe %s: %v, want bad usage", strings.Join(args, " "), err)
		}
	}
	if _, _, err := r.Try("credentials", "create", "--role", "root"); status(t, err) != 1 {
		t.Errorf("an unknown role: %v", err)
	}
	file, err := os.ReadFile(filepath.Join(r.Data, "credentials.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{before, after, made.Credential, rotated.Credential} {
		secret := []byte(c[strings.LastIndex(c, "_")+1:])
		if bytes.Contains(file, secret) || strings.Contains(r.log.String(), string(secret)) {
			t.Error("a secret is in the store or in the log")
		}
	}
}

// TestWhoAskedForWhatIsOnRecord: P10. What an analyst asked is in the audit
// log, with the purpose and without the question.
func TestWhoAskedForWhatIsOnRecord(t *testing.T) {
	t.Parallel()
	r := up(t)
	for _, path := range []string{"/v1/stats/requests?by=day", "/v1/keys"} { // the second is denied
		r.Do("analyst", http.MethodGet, path, "", nil)
	}
	analyst := strings.Split(r.Credential("analyst"), "_")[2]
	seen := map[string]bool{}
	var listed string
	// An entry is in the tree a moment after it is on record.
	for deadline := time.Now().Add(time.Minute); len(seen) < 2 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var log struct {
			Entries []struct {
				By     string
				Detail struct {
					Route, Purpose, Reason string
					Allowed                bool
				}
			}
		}
		listed = r.Run("audit", "list", "--kind", "access", "-o", "json")
		decode(t, listed, &log)
		for _, e := range log.Entries {
			if e.By == analyst {
				seen[e.Detail.Route+" "+e.Detail.Purpose+" "+e.Detail.Reason] = e.Detail.Allowed
			}
		}
	}
	if !seen["GET /v1/stats/{metric} usage statistics "] {
		t.Error("the question is not on record")
	}
	if allowed, there := seen["GET /v1/keys usage statistics role"]; !there || allowed {
		t.Error("the denial is not on record")
	}
	if strings.Contains(listed, "by=day") || strings.Contains(listed, "requests") {
		t.Error("the question itself is on record")
	}
}

// TestWithCertificatesEverythingSpeaksTLS: P16. The addresses say so, and the
// command line follows them.
func TestWithCertificatesEverythingSpeaksTLS(t *testing.T) {
	t.Parallel()
	secrets := filepath.Join(t.TempDir(), "secrets")
	if _, stderr, err := lethe(t, nil, "secrets", "--out", secrets, "--host", "127.0.0.1"); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	dir := filepath.Join(secrets, "keyring") // a certificate for this address, and its authority
	r := up(t, func(r *running) {
		r.Env = []string{"LETHE_TLS_CERT=" + filepath.Join(dir, "cert.pem"), "LETHE_TLS_KEY=" + filepath.Join(dir, "key.pem")}
	})
	if !strings.HasPrefix(r.HTTP, "https://") {
		t.Errorf("the ready file says %s", r.HTTP)
	}
	trust := []string{"SSL_CERT_FILE=" + filepath.Join(dir, "ca.pem")}
	if _, stderr, err := lethe(t, trust, "status", "--data", r.Data); err != nil {
		t.Errorf("over TLS: %v\n%s", err, stderr)
	}
	if _, _, err := lethe(t, nil, "status", "--data", r.Data); status(t, err) != 1 {
		t.Errorf("without knowing the authority: %v", err)
	}
	if _, _, err := lethe(t, trust, "status", "--data", r.Data, "--server", strings.Replace(r.HTTP, "https", "http", 1)); status(t, err) != 1 {
		t.Errorf("in plain text: %v", err)
	}
	r.Stop()
}
