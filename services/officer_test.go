package services_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// officer runs the CLI against the compliance service as an officer.
func (s *site) officer(args ...string) string {
	s.t.Helper()
	out, stderr, err := s.tryAs("officer", "compliance", args...)
	if err != nil {
		s.t.Fatalf("lethe %s: %v\n%s%s", args[0], err, stderr, out)
	}
	return out
}

// healthy fails the test unless every promise holds.
func (s *site) healthy(when string) {
	s.t.Helper()
	if out, stderr, err := s.tryAs("officer", "compliance", "verify"); err != nil || !strings.Contains(out, "\nEvery enforced promise holds, at ") {
		s.t.Fatalf("%s: lethe verify: %v\n%s%s", when, err, stderr, out)
	}
}

// finds fails the test unless `lethe verify` says so and ends with 3.
func (s *site) finds(where, words string) {
	s.t.Helper()
	out, stderr, err := s.tryAs("officer", "compliance", "verify")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		s.t.Errorf("lethe verify: %v, want exit code 3\n%s", err, stderr)
	}
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, "  "+where+": "); ok && strings.Contains(rest, words) {
			return
		}
	}
	s.t.Errorf("lethe verify does not say %q of %s, but:\n%s", words, where, out)
}

// until waits for what comes by itself.
func (s *site) until(what string, is func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("after a minute it is not so that %s", what)
		}
	}
}

// volume is a place in a volume of the compose file.
func (s *site) volume(parts ...string) string {
	return filepath.Join(append([]string{s.dir, "volumes"}, parts...)...)
}

// old makes a file that was made so many days ago, and returns what removes it.
func (s *site) old(days int, parts ...string) (remove func()) {
	s.t.Helper()
	file := s.volume(parts...)
	at := time.Now().AddDate(0, 0, -days)
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("content"), 0o600), os.Chtimes(file, at, at))
	if err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
	}
}

// as runs statements as a user of the warehouse.
func (s *site) as(user string, statements ...string) {
	s.t.Helper()
	given := warehouseUsers[user]
	do := s.statement(user, s.setting(given.service, given.variable))
	for _, sql := range statements {
		if err := do(sql); err != nil {
			s.t.Fatalf("%s: %v", sql, err)
		}
	}
}

type heldCase struct {
	ID, State string
	Rows      uint64
}

// onlyHold returns the one hold there is: an ended one has no name any more.
func (s *site) onlyHold() heldCase {
	s.t.Helper()
	var l struct{ Holds []heldCase }
	s.decode(s.officer("hold", "list", "-o", "json"), &l)
	if len(l.Holds) != 1 {
		s.t.Fatalf("%d holds are listed", len(l.Holds))
	}
	return l.Holds[0]
}

// The services apart keep what `lethe up` keeps: the promises hold and are
// looked at, a hold is copied and ended, evidence is made and checked.
func TestServicesApartAnswerTheOfficer(t *testing.T) {
	const events = 200
	s := withEvents(t, events)
	s.healthy("with events")
	text := s.officer("verify")
	for _, want := range []string{"table http_access", "stream LETHE_CLEAN", "keys of clean frames", "folder reports", "Not looked at: files of the engine"} {
		if !strings.Contains(text, want) {
			t.Errorf("verify does not tell of %s:\n%s", want, text)
		}
	}
	if out := s.must("compliance", "status"); !strings.Contains(out, "UPKEEP") || !strings.Contains(out, "\nretention  ") || !strings.Contains(out, "\naudit ") {
		t.Errorf("the status does not show the upkeep:\n%s", out)
	}
	if _, stderr, err := s.try("compliance", "clock", "confirm"); err == nil || !strings.Contains(stderr, "no jump of the clock is held back") {
		t.Errorf("a clock that did not jump is confirmed: %v, %s", err, stderr)
	}

	dir := t.TempDir()
	kept, file := filepath.Join(dir, "kept.txt"), filepath.Join(dir, "evidence.json")
	if err := os.WriteFile(kept, []byte(s.officer("audit", "checkpoint")), 0o600); err != nil {
		t.Fatal(err)
	}
	until := time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)
	s.officer("hold", "add", "case-4", "--reason", "An inquiry, file 4", "--until", until)
	s.until("the hold is copied", func() bool { return s.onlyHold().Rows == events })
	if out := s.must("compliance", "status"); !strings.Contains(out, "case-4") {
		t.Errorf("the status does not show the hold:\n%s", out)
	}
	keys := s.volume("keys", "ring")
	before := filepath.Join(dir, "keys")
	if err := os.CopyFS(before, os.DirFS(keys)); err != nil {
		t.Fatal(err)
	}
	s.officer("hold", "release", "case-4")
	s.processes["retention"].stop()
	s.start("retention")
	s.until("the hold has ended", func() bool { return s.onlyHold().State == "ended" })
	s.healthy("when a hold has ended")
	s.officer("verify", "--evidence", file, "--report", filepath.Join(dir, "report.html"))
	if out, stderr, err := s.try("", "audit", "verify", file, "--key", "@"+kept, "--checkpoint", kept); err != nil {
		t.Errorf("%v\n%s%s", err, stderr, out)
	}

	t.Run("a destroyed key is put back", func(t *testing.T) {
		// While retention does not run, which would destroy it again.
		s.processes["retention"].stop()
		s.finds("retention", "retention does not run")
		s.processes["pseudonymizer"].stop()
		if err := errors.Join(os.RemoveAll(keys), os.CopyFS(keys, os.DirFS(before))); err != nil {
			t.Fatal(err)
		}
		s.start("pseudonymizer")
		s.until("the key is there", func() bool { return len(heldKeys(t, keys)) == 1 })
		s.finds("key clean/hold-"+s.onlyHold().ID+"/"+until, "as is on record, and is there again: somebody put it back from a copy")
		s.start("retention")
		s.until("the key is destroyed again", func() bool { return len(heldKeys(t, keys)) == 0 })
		s.healthy("when the key is destroyed again")
	})
}

func heldKeys(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "keys", "clean.hold-*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
