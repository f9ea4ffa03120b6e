package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// checked checks a file of evidence as an auditor does, and returns what the
// program says and with which exit code it ends.
func checked(t testing.TB, file string, args ...string) (string, int) {
	t.Helper()
	out, stderr, err := lethe(t, nil, append([]string{"audit", "verify", file}, args...)...)
	return out + stderr, status(t, err)
}

// P10: whoever removes the audit log cannot have Lethe make another unseen, and
// what the officer kept of the old one tells about both.
func TestAnAuditLogThatWasRemovedIsBegunAnewForAllToSee(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Publish(accessesAt(t, 20, time.Now().Add(-aDay))).check(t, 20, 20, 0, nil)
	r.Settle()
	r.healthy("before anything is done")
	dir := t.TempDir()
	kept := writeFile(t, dir, "kept.txt", r.Run("audit", "checkpoint"))
	old, anew := filepath.Join(dir, "old.json"), filepath.Join(dir, "anew.json")
	r.Run("audit", "export", old)
	if strings.Contains(r.log.String(), "audit log lost") {
		t.Error("the first start says that a log was lost")
	}

	r.Stop()
	if err := os.RemoveAll(filepath.Join(r.Data, "audit")); err != nil {
		t.Fatal(err)
	}
	r.Start()
	said := func() {
		t.Helper()
		r.until("the log says what it is", func() bool { return strings.Contains(r.Run("audit", "list", "--kind", "log"), "begun anew") })
		r.finds("P10", "audit log", "the log that was there is gone")
	}
	said()
	if log := r.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "audit log lost and begun anew") {
		t.Errorf("the log of Lethe does not say so:\n%s", r.log.Tail(20))
	}
	if _, text := r.Do("operator", "GET", "/metrics", "", nil); !strings.Contains(string(text), "\nlethe_audit_lost_timestamp_seconds 1") {
		t.Error("no metric says so")
	}

	if text, code := checked(t, old, "--key", "@"+kept, "--checkpoint", kept); code != 0 {
		t.Errorf("evidence of the old log ends with %d:\n%s", code, text)
	}
	r.Run("audit", "export", anew)
	text, code := checked(t, anew, "--checkpoint", kept)
	for _, want := range []string{"The log begins anew: on ", "kept elsewhere, under the key ", "and it shows "} {
		if code != 3 || !strings.Contains(text, want) {
			t.Errorf("evidence of the new log ends with %d, and does not say %q:\n%s", code, want, text)
		}
	}
	if text, code := checked(t, anew, "--key", "@"+kept); code != 3 || !strings.Contains(text, "names another signing key") {
		t.Errorf("with the old key evidence of the new log ends with %d:\n%s", code, text)
	}

	r.Stop()
	r.Start()
	said() // a restart does not make it unsaid
	if n := strings.Count(r.Run("audit", "list", "--kind", "log", "--limit", "1000"), "begun anew"); n != 1 {
		t.Errorf("it is on record %d times", n)
	}
}

// P10, P18: a stream that was lost stops Lethe, which says so; told that it is
// lost for good, the log goes on from what was kept of it.
func TestALostAuditStreamStopsLetheUntilSomebodySaysThatItIsLost(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Publish(accessesAt(t, 20, time.Now().Add(-aDay))).check(t, 20, 20, 0, nil)
	r.Settle()
	dir := t.TempDir()
	kept := writeFile(t, dir, "kept.txt", r.Run("audit", "checkpoint"))
	if _, stderr, err := r.Try("audit", "recover", "--stream-lost"); status(t, err) != 1 || !strings.Contains(stderr, "open in another process") {
		t.Errorf("beside a running Lethe it ends with %d and says %s", status(t, err), stderr)
	}
	r.Stop()
	r.logAlone(t, func(t *testing.T, js jetstream.JetStream) {
		if err := js.DeleteStream(t.Context(), eventlog.AuditStream); err != nil {
			t.Fatal(err)
		}
	})
	for range 2 { // the second time the stream that Lethe made is there
		if err := r.TryStart(); err == nil {
			t.Fatal("Lethe runs without the audit stream")
		}
		if !strings.Contains(r.log.String(), eventlog.AuditStream+" was lost and made anew") || !strings.Contains(r.log.String(), "lethe audit recover") {
			t.Errorf("it does not say why:\n%s", r.log.Tail(5))
		}
	}
	if out := r.Run("audit", "recover"); !strings.Contains(out, "Nothing was changed.") {
		t.Errorf("without the flag it says:\n%s", out)
	}
	if err := r.TryStart(); err == nil {
		t.Fatal("Lethe runs before anybody has said that the stream is lost")
	}
	r.Run("audit", "recover", "--stream-lost")
	r.Start()
	r.finds("P10", "audit log", "the audit stream was lost")
	file := filepath.Join(dir, "evidence.json")
	r.Run("audit", "export", file)
	text, code := checked(t, file, "--key", "@"+kept, "--checkpoint", kept)
	for _, want := range []string{
		"The audit stream, which fills the log, was on record as lost", "are the same as when the checkpoint was made that was kept elsewhere.",
	} {
		if code != 3 || !strings.Contains(text, want) {
			t.Errorf("evidence ends with %d, and does not say %q:\n%s", code, want, text)
		}
	}
	r.Stop()
	r.Start()
	r.finds("P10", "audit log", "the audit stream was lost")
	r.Rows("http_access", 20)
}

func TestAKeyThatIsMissingIsNotMadeAnewBesideItsTrees(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Run("audit", "export", filepath.Join(t.TempDir(), "evidence.json")) // something is in the log
	r.Stop()
	key := filepath.Join(r.Data, "audit", "key")
	if err := os.Rename(key, key+".away"); err != nil {
		t.Fatal(err)
	}
	if err := r.TryStart(); err == nil {
		t.Fatal("Lethe runs without the key of its audit log")
	}
	if !strings.Contains(r.log.String(), "the key that signs them is missing: put the key back") {
		t.Errorf("it does not say why:\n%s", r.log.Tail(5))
	}
	if err := os.Rename(key+".away", key); err != nil {
		t.Fatal(err)
	}
	r.Start()
	r.healthy("with the key in its place")
}
