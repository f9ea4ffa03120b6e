package main_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Look starts the engine alone on the warehouse of a Lethe that does not run,
// and lets f read all of it: what is behind the read barrier too, and with no
// part of Lethe between.
func (r *running) Look(f func(ctx context.Context, w *warehouse.Warehouse)) {
	r.t.Helper()
	reader := embedded.EngineUser{Name: "reader", Password: "reads everything", Grants: []string{"GRANT SELECT ON *.*"}, ReadOnly: 2}
	r.engineAlone(reader, func(ctx context.Context, e *embedded.Engine) {
		w, err := warehouse.Open(ctx, warehouse.Config{
			Addr: []string{"engine"}, Dial: e.Dial, User: reader.Name, Password: reader.Password, Log: lethetest.Logger(r.t),
		})
		if err != nil {
			r.t.Fatal(err)
		}
		defer w.Close()
		f(ctx, w)
	})
}

// Rows holds the number of rows of a table to what it should be: all of them,
// those too that are too few to be published. Lethe is stopped for it, and
// started again.
func (r *running) Rows(table string, want int, where ...string) {
	r.t.Helper()
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		sql := "SELECT count() FROM " + w.Table(table)
		if len(where) > 0 {
			sql += " WHERE " + strings.Join(where, " AND ")
		}
		if n := one(r.t, ctx, w, sql); n != want {
			r.t.Errorf("table %s has %d rows, want %d", table, n, want)
		}
	})
	r.Start()
}

// engineAlone runs the engine without Lethe, for one user, while f does what it
// does.
func (r *running) engineAlone(user embedded.EngineUser, f func(ctx context.Context, e *embedded.Engine)) {
	r.t.Helper()
	if r.cmd != nil {
		r.t.Fatal("the engine is to run alone while Lethe runs on it")
	}
	e := lethetest.NewEngine(r.t, filepath.Join(r.Data, "clickhouse"), user)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.t.Context()), 2*time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- e.Run(running, func() { close(ready) }) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("running the engine alone: %v", err)
		}
	}()
	select {
	case <-ready:
	case <-ctx.Done():
		r.t.Fatal("the engine alone did not become ready")
	}
	f(ctx, e)
}

// rows asks a question of the warehouse and fails the test when there is no
// answer.
func rows(t testing.TB, ctx context.Context, w *warehouse.Warehouse, sql string) [][]any {
	t.Helper()
	got, err := w.Rows(ctx, sql, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return got.Rows
}

// one is the single number that a question is answered with.
func one(t testing.TB, ctx context.Context, w *warehouse.Warehouse, sql string) int {
	t.Helper()
	got := rows(t, ctx, w, sql)
	if len(got) != 1 || len(got[0]) != 1 {
		t.Fatalf("%d rows are no single number\n%s", len(got), sql)
	}
	n, ok := got[0][0].(uint64)
	if !ok {
		t.Fatalf("%T is no count\n%s", got[0][0], sql)
	}
	return int(n)
}

// policyOf compiles the built-in policy with an overlay, as `lethe up` does.
func policyOf(t testing.TB, overlay string) *policy.Policy {
	t.Helper()
	pol, err := assembly.LoadPolicy(overlay)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// writeFile writes a file of a test and returns its path.
func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// builtIn is the text of a document of the repository, to be laid over itself
// with a change.
func builtIn(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// change replaces what must be there once at least.
func change(t testing.TB, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("the text to change does not hold %q", old)
	}
	return strings.Replace(text, old, new, 1)
}

// long says whether tests run at their full size.
func long() bool { return os.Getenv("LETHE_TEST_LONG") == "1" }

// testData is the folder with real input beside the repository.
func testData(t testing.TB, path string) string {
	t.Helper()
	dir := os.Getenv("LETHE_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	file := filepath.Join(dir, filepath.FromSlash(path))
	if _, err := os.Stat(file); err != nil {
		t.Skipf("not tested on real input: %s is not there (set LETHE_TEST_DATA)", path)
	}
	return file
}
