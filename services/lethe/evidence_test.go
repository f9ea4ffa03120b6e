package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

var (
	keptEvidence  = filepath.Join("..", "..", "pkg", "evidence", "testdata", "kept.json")
	keptElsewhere = filepath.Join("..", "..", "pkg", "evidence", "testdata", "kept.txt")
)

// auditRun runs a subcommand of audit and returns what it printed.
func auditRun(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := auditCommand(&globals{data: t.TempDir()}) // where nothing runs
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestEvidenceIsCheckedWithoutAServer(t *testing.T) {
	out, err := auditRun(t, "verify", keptEvidence, "--key", "@"+keptElsewhere, "--checkpoint", keptElsewhere)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"This evidence is intact, and it shows that the deletion rules were kept: ", "\nProved:\n", "\nNot proved:\n", "\nlethe.example.org/audit/2027\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
	if strings.Contains(out, "Wrong:") {
		t.Errorf("something is wrong:\n%s", out)
	}
	var r evidence.Result
	out, err = auditRun(t, "verify", keptEvidence, "-o", "json")
	if err != nil || json.Unmarshal([]byte(out), &r) != nil || !r.OK || len(r.Problems) != 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestEvidenceThatDoesNotHoldIsToldFromWhatCannotBeRead(t *testing.T) {
	text, err := os.ReadFile(keptEvidence)
	if err != nil {
		t.Fatal(err)
	}
	edited := filepath.Join(t.TempDir(), "edited.json")
	if err := os.WriteFile(edited, bytes.Replace(text, []byte(`\"verb\":\"destroy\"`), []byte(`\"verb\":\"created\"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := auditRun(t, "verify", edited)
	if !errors.Is(err, errEvidence) || !strings.Contains(out, "Wrong:") || strings.Contains(out, "\nProved:") {
		t.Errorf("edited evidence: %v\n%s", err, out)
	}
	if err := os.WriteFile(edited, text[:len(text)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := auditRun(t, "verify", edited); errors.Is(err, errEvidence) || !errors.Is(err, fault.Invalid) {
		t.Errorf("half a file: %v", err)
	}
	if _, err := auditRun(t, "verify", filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := auditRun(t, "verify", keptEvidence, "--checkpoint", keptEvidence); !errors.Is(err, fault.Invalid) {
		t.Errorf("a checkpoint that is none: %v", err)
	}
}

// An auditor who was given another key than the one that signed is told so, and
// one who gave none learns how to.
func TestAnotherKeyIsToldFromNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wrong.pub")
	for name, content := range map[string]string{file: otherKey(t), filepath.Join(filepath.Dir(file), "empty"): "no key at all\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	usage := new(usageError)
	for _, c := range []struct {
		name, key string
		is        func(error) bool
	}{
		{"control", "@" + keptElsewhere, func(err error) bool { return err == nil }},
		{"another key", "@" + file, func(err error) bool { return errors.Is(err, errEvidence) }},
		{"another key on the line", strings.TrimSpace(otherKey(t)), func(err error) bool { return errors.Is(err, errEvidence) }},
		{"a file without its sign", file, func(err error) bool { return errors.As(err, &usage) && strings.Contains(err.Error(), "@FILE") }},
		{"a word", "wrong", func(err error) bool { return errors.As(err, &usage) }},
		{"a file without a key", "@" + filepath.Join(filepath.Dir(file), "empty"), func(err error) bool { return errors.Is(err, fault.Invalid) && !errors.As(err, &usage) }},
	} {
		if out, err := auditRun(t, "verify", keptEvidence, "--key", c.key); !c.is(err) {
			t.Errorf("%s: %v\n%s", c.name, err, out)
		}
	}
}

// otherKey is a verifier key that signed nothing here.
func otherKey(t *testing.T) string {
	t.Helper()
	c := audit.Config{Dir: t.TempDir(), Origin: "lethe.example.org/audit", Log: slog.New(slog.DiscardHandler)}
	if err := audit.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.VerifierKey() + "\n"
}

func TestAReportIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	report := filepath.Join(dir, "report.html")
	if out, err := auditRun(t, "verify", keptEvidence, "--report", report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	page, err := os.ReadFile(report)
	if err != nil || !bytes.HasPrefix(page, []byte("<!doctype html>")) || !bytes.HasSuffix(bytes.TrimSpace(page), []byte("</html>")) {
		t.Errorf("%v, %d bytes", err, len(page))
	}
	if _, err := auditRun(t, "export", filepath.Join(dir, "evidence.json")); err == nil {
		t.Error("evidence was exported with no server")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %d files are left", err, len(left))
	}
}
