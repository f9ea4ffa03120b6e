package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// verifyRun runs `lethe verify` against a server that answers with these
// bodies, and returns what it printed.
func verifyRun(t *testing.T, answers map[string]any, args ...string) (string, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if !ok || r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	t.Setenv("LETHE_CREDENTIAL", "officer-of-the-test")
	cmd := verifyCommand(&globals{server: server.URL, data: t.TempDir()})
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// reported is a report in which everything holds, or P4 and P5 do not.
func reported(broken bool) verify.Report {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	r := verify.Report{Holds: !broken, At: at, Clock: at, Policy: "0123456789abcdef", Promises: verify.Promises(), Rules: []verify.Rule{
		{Class: "access", Where: "table http_access", Period: "30 days", Oldest: &at, Unit: "rows", Found: 12, Hidden: 3, Overdue: 3, Holds: []string{"case-7"}},
	}, Notes: []verify.Finding{{Where: "engine", Sentence: "something worth knowing"}}, Looked: []verify.Look{{Where: "files of the engine", Not: "no directory"}}}
	for i := range r.Promises {
		p := &r.Promises[i]
		p.Holds = p.Enforced
		if broken && (p.ID == "P4" || p.ID == "P5") {
			p.Holds, p.Findings = false, []verify.Finding{{Where: "table http_access", Sentence: "has 3 rows that should be gone."}}
		}
	}
	return r
}

func TestVerifySaysWhichPromisesHold(t *testing.T) {
	out, err := verifyRun(t, map[string]any{"/v1/verify": reported(false)})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"holds         P4       HTTP access events", "not enforced  P9       An account", "access  table http_access  30 days  2026-11-22  12 rows  3          3        case-7",
		"Note: engine: something worth knowing.", "Not looked at: files of the engine; no directory.",
		"\nEvery enforced promise holds, at 2026-11-22T10:00:00Z, policy 0123456789ab\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
}

// P4: a promise that does not hold is exit code 3, and each finding is said
// once.
func TestVerifyFailsWhenAPromiseDoesNotHold(t *testing.T) {
	out, err := verifyRun(t, map[string]any{"/v1/verify": reported(true)})
	if !errors.Is(err, errBroken) {
		t.Errorf("it ends with %v", err)
	}
	for _, want := range []string{
		"BROKEN        P4", "\nP4\n  table http_access: has 3 rows that should be gone.\n", "\nP5\n  (as under P4)\n", "\nP4, P5 do not hold, at ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if strings.Count(out, "should be gone") != 1 {
		t.Errorf("a finding is said more than once:\n%s", out)
	}

	out, err = verifyRun(t, map[string]any{"/v1/verify": reported(true)}, "-o", "json")
	var r verify.Report
	if e := json.Unmarshal([]byte(out), &r); e != nil || r.Holds || !errors.Is(err, errBroken) {
		t.Errorf("as JSON: %v, %v, %t", err, e, r.Holds)
	}
}

// P10: the report that is shown is the one in the evidence.
func TestVerifyWritesTheEvidenceThatItShows(t *testing.T) {
	bundle, err := os.ReadFile(keptEvidence)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, page := filepath.Join(dir, "evidence.json"), filepath.Join(dir, "report.html")
	out, err := verifyRun(t, map[string]any{"/v1/evidence": json.RawMessage(bundle)}, "--evidence", file, "--report", page)
	if err != nil && !errors.Is(err, errBroken) {
		t.Fatalf("%v\n%s", err, out)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.TrimSpace(written), bytes.TrimSpace(compact(t, bundle))) {
		t.Error("the file is not the evidence that came")
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("<html")) {
		t.Errorf("the report is no page: %v", err)
	}
	if out, err := verifyRun(t, map[string]any{"/v1/evidence": "nothing"}, "--evidence", file); err == nil || errors.Is(err, errBroken) {
		t.Errorf("what is no evidence was taken: %v\n%s", err, out)
	}
}

func compact(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
