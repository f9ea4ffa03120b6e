package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnalystsToolsAskInSQL: P10, P15. At the process's own listener and at
// one of its own, and on record without the text.
func TestAnalystsToolsAskInSQL(t *testing.T) {
	t.Parallel()
	r := up(t, func(r *running) { r.Env = append(r.Env, "LETHE_SQL_LISTEN=127.0.0.1:0") })
	var at struct{ SQL string }
	b, err := os.ReadFile(filepath.Join(r.Data, "run.json"))
	if err != nil || json.Unmarshal(b, &at) != nil || at.SQL == "" {
		t.Fatalf("the addresses do not name the SQL door's listener: %s", b)
	}
	const mark = "ada@example.org"
	statement := "SELECT count() > 10, '" + mark + "' FROM system.tables"
	ask := func(url, credential string) (int, http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(statement))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("lethe", credential)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header
	}
	hashes := map[string]bool{}
	for _, url := range []string{r.HTTP + "/v1/sql", at.SQL, at.SQL + "/"} {
		status, header := ask(url, r.Credential("analyst"))
		if status != http.StatusOK {
			t.Errorf("%s: status %d", url, status)
		}
		hashes[header.Get("Lethe-Statement")] = true
		if status, _ := ask(url, r.Credential("publisher")); status != http.StatusForbidden {
			t.Errorf("%s as a publisher: status %d", url, status)
		}
	}
	if len(hashes) != 1 || hashes[""] {
		t.Errorf("one statement has the hashes %v", hashes)
	}
	// Nothing else is behind the listener.
	for _, path := range []string{"/healthz", "/metrics", "/v1/stats", "/v1/sql", "//", "/ping/"} {
		if status, _ := ask(at.SQL+path, r.Credential("analyst")); status != http.StatusNotFound {
			t.Errorf("%s: status %d", path, status)
		}
	}
	var listed string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		// An entry is in the tree a moment after it is on record.
		if listed = r.Run("audit", "list", "--kind", "access", "-o", "json"); strings.Count(listed, `"statement"`) == 3 {
			break
		}
	}
	for hash := range hashes {
		if strings.Count(listed, hash) != 3 || strings.Contains(listed, mark) {
			t.Errorf("on record, the statement is there %d times by its hash, or by its text", strings.Count(listed, hash))
		}
	}
	r.Stop()
	r.Start()
	if _, header := ask(r.HTTP+"/v1/sql", r.Credential("analyst")); !hashes[header.Get("Lethe-Statement")] {
		t.Error("after a restart, the same statement has another hash")
	}
}
