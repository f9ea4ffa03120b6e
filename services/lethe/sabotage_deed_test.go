package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const aDay = 24 * time.Hour

// verified runs `lethe verify` and returns what it prints.
func (r *running) verified() (text string, code int) {
	r.t.Helper()
	text, stderr, err := r.Try("verify")
	if code = status(r.t, err); code != 0 && code != 3 {
		r.t.Fatalf("lethe verify ends with %d\n%s", code, stderr)
	}
	return text, code
}

// healthy fails the test unless every promise holds.
func (r *running) healthy(when string) {
	r.t.Helper()
	if text, code := r.verified(); code != 0 || !strings.Contains(text, "\nEvery enforced promise holds, at ") {
		r.t.Fatalf("%s: lethe verify ends with %d:\n%s", when, code, text)
	}
}

// finds fails the test unless `lethe verify` says so, and that the promise does
// not hold.
func (r *running) finds(promise, where, words string) {
	r.t.Helper()
	text, code := r.verified()
	if code != 3 {
		r.t.Errorf("lethe verify ends with %d, want 3", code)
	}
	said := false
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, "  "+where+": ")
		said = said || ok && strings.Contains(rest, words)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	verdict, _, _ := strings.Cut(lines[len(lines)-1], " not hold, at ")
	if !said || !strings.Contains(", "+strings.NewReplacer(" do", ",", " does", ",").Replace(verdict), ", "+promise+",") {
		r.t.Errorf("lethe verify does not say %q of %s against %s, but:\n%s", words, where, promise, text)
	}
}

// put makes a file of an age below the data directory, and dates the folder it
// is in with it where that is below top.
func (r *running) put(top string, age time.Duration, name string) {
	r.t.Helper()
	file := writeFile(r.t, filepath.Join(r.Data, top), name, "content")
	at := time.Now().Add(-age)
	for ; file != filepath.Join(r.Data, top); file = filepath.Dir(file) {
		if err := os.Chtimes(file, at, at); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *running) remove(parts ...string) {
	r.t.Helper()
	if err := os.RemoveAll(filepath.Join(append([]string{r.Data}, parts...)...)); err != nil {
		r.t.Fatal(err)
	}
}

// file is the one that a pattern below the data directory matches.
func (r *running) file(pattern string) string {
	r.t.Helper()
	found, err := filepath.Glob(filepath.Join(r.Data, pattern))
	if err != nil || len(found) == 0 {
		r.t.Fatalf("there is no file %s: %v", pattern, err)
	}
	return found[0]
}

// within changes a file while f runs.
func within(t testing.TB, file string, change func([]byte) []byte, f func()) {
	t.Helper()
	was, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, change(bytes.Clone(was)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	f()
	if err := os.WriteFile(file, was, 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace puts a copy of a directory, without its locks, in the place of one.
func replace(t testing.TB, dir, by string) {
	t.Helper()
	if err := errors.Join(os.RemoveAll(dir), copyTree(dir, by)); err != nil {
		t.Fatal(err)
	}
}

// copyTree copies a directory with its links.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch info, err := d.Info(); {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case !d.Type().IsRegular():
			return nil // a socket
		default:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(target, b, info.Mode().Perm()), os.Chtimes(target, info.ModTime(), info.ModTime()))
		}
	})
}

// sql runs statements on the engine of a Lethe that does not run, as somebody
// who may do everything.
func (r *running) sql(statements ...string) {
	r.t.Helper()
	saboteur := embedded.EngineUser{Name: "saboteur", Password: "may do everything", Grants: []string{"GRANT ALL ON *.*"}}
	r.engineAlone(saboteur, func(ctx context.Context, e *embedded.Engine) {
		client := &http.Client{Transport: &http.Transport{DialContext: e.DialHTTP, DisableKeepAlives: true}}
		for _, statement := range statements {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://engine/", strings.NewReader(statement))
			if err != nil {
				r.t.Fatal(err)
			}
			req.SetBasicAuth(saboteur.Name, saboteur.Password)
			answer, err := client.Do(req)
			if err != nil {
				r.t.Fatal(err)
			}
			text, err := io.ReadAll(answer.Body)
			if err = errors.Join(err, answer.Body.Close()); err != nil || answer.StatusCode != http.StatusOK {
				r.t.Fatalf("%s: %v\n%s", statement, err, text)
			}
		}
	})
}

// pass lets time pass for a Lethe that does not run: in the warehouse, and in
// what retention remembers of having set it.
func (r *running) pass(d time.Duration) {
	r.t.Helper()
	var at time.Time
	r.sql(fmt.Sprintf("INSERT INTO lethe.clock (at) SELECT greatest(max(at), now64(3)) + toIntervalSecond(%d) FROM lethe.clock", int(d.Seconds())))
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		at = time.UnixMilli(int64(one(r.t, ctx, w, "SELECT toUInt64(toUnixTimestamp64Milli(max(at))) FROM lethe.clock")))
	})
	t, ok := r.t.(*testing.T)
	if !ok {
		r.t.Fatal("time passes in tests alone")
	}
	r.logAlone(t, func(t *testing.T, js jetstream.JetStream) {
		bucket, err := js.KeyValue(t.Context(), eventlog.RetentionBucket)
		if err == nil {
			_, err = bucket.Put(t.Context(), "clock", fmt.Appendf(nil, `{"at":%q}`, at.UTC().Format(time.RFC3339Nano)))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
}

// accessesAt are web accesses that happened at an instant, of ten visitors: too
// few for cells to be cut of them, so that rows are all there is to count.
func accessesAt(t testing.TB, n int, at time.Time) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		b.Write(canaryBody(t, "shop", "http_access", "", at.UTC().Format(time.RFC3339Nano), map[string]any{
			"client_ip": fmt.Sprintf("192.0.2.%d", i%10), "status": 200, "bytes": i, "path": "/articles",
		}))
		b.WriteByte('\n')
	}
	return b.String()
}

// hold adds a legal hold on everything and waits until it keeps so many rows.
func (r *running) hold(name string, rows uint64) heldCase {
	r.t.Helper()
	until := time.Now().UTC().AddDate(0, 1, 0).Format(time.DateOnly)
	var h heldCase
	decode(r.t, r.Run("hold", "add", name, "--reason", "An inquiry, file 3", "--until", until, "-o", "json"), &h)
	r.until("the hold is copied", func() bool { return r.heldCase(h.ID).Rows == rows })
	return h
}

func (r *running) heldCase(id string) heldCase {
	r.t.Helper()
	var l holdsOf
	decode(r.t, r.Run("hold", "list", "-o", "json"), &l)
	for _, h := range l.Holds {
		if h.ID == id {
			return h
		}
	}
	r.t.Fatal("the hold is not listed")
	return heldCase{}
}

// ended waits until retention has ended a hold.
func (r *running) ended(id string) {
	r.t.Helper()
	r.until("the hold has ended", func() bool { return r.heldCase(id).State == "ended" })
}

// until waits for what comes by itself.
func (r *running) until(what string, is func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("after a minute it is not so that %s", what)
		}
	}
}
