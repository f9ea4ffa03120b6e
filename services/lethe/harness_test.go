package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// The tests of this package run the built program as its users do: a process
// of its own on a data directory of its own, asked over its CLI and HTTP.

func TestMain(m *testing.M) {
	code := lethetest.Main(m)
	_ = os.RemoveAll(programDir)
	os.Exit(code)
}

// programDir holds the built program until the tests are over.
var programDir string

// program builds the program once, with crash points.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "lethe-test-bin-*")
	if err != nil {
		return "", err
	}
	programDir = dir
	bin := filepath.Join(dir, "lethe")
	cmd := exec.Command("go", "build", "-tags", "crashpoints", "-o", bin, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building lethe: %w\n%s", err, out)
	}
	return bin, nil
})

func binary(t testing.TB) string {
	t.Helper()
	requireEngine(t)
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// requireEngine skips a test that needs the engine where there is none, and
// fails it where the engine is required.
func requireEngine(t testing.TB) {
	t.Helper()
	if _, err := embedded.FindLibrary(""); err != nil {
		if strings.Contains(os.Getenv("LETHE_TEST_REQUIRE"), "clickhouse") {
			t.Fatal(err)
		}
		t.Skipf("not tested end to end: %v", err)
	}
}

// A running is a `lethe up` of a test.
type running struct {
	t      testing.TB
	Data   string
	Policy string   // overlay directory, may be empty
	Env    []string // further environment, LETHE_CRASH_AT for example
	Args   []string // further arguments of `lethe up`

	HTTP      string
	PID       int
	EnginePID int

	cmd  *exec.Cmd
	done chan error
	log  *lethetest.Buffer // standard error of every start, never reset
	out  *lethetest.Buffer
}

// up starts a Lethe on a fresh directory.
func up(t testing.TB, configure ...func(*running)) *running {
	t.Helper()
	r := &running{t: t, Data: filepath.Join(t.TempDir(), "data"), log: &lethetest.Buffer{}, out: &lethetest.Buffer{}}
	for _, f := range configure {
		f(r)
	}
	t.Cleanup(func() {
		r.EnginePID = 0 // nobody waits for it to end in order
		r.Kill()
		r.killEngine()
		if t.Failed() {
			t.Logf("log of lethe:\n%s", r.log.Tail(60))
		}
	})
	r.Start()
	return r
}

// Start starts the process and waits until it can serve. It fails the test
// when the process ends first.
func (r *running) Start() {
	r.t.Helper()
	if err := r.TryStart(); err != nil {
		r.t.Fatalf("starting lethe: %v\n%s", err, r.log.Tail(30))
	}
}

// TryStart is Start for a process that may end before it can serve.
func (r *running) TryStart() error {
	r.t.Helper()
	ready := filepath.Join(r.t.TempDir(), "ready.json")
	args := []string{"up", "--data", r.Data, "--listen", "127.0.0.1:0", "--ready-file", ready}
	if r.Policy != "" {
		args = append(args, "--policy", r.Policy)
	}
	args = append(args, r.Args...)
	r.cmd = exec.Command(binary(r.t), args...)
	r.cmd.Env = append(clean(os.Environ()), r.Env...)
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.log
	if err := r.cmd.Start(); err != nil {
		return err
	}
	r.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan error) { done <- cmd.Wait() }(r.cmd, r.done)
	deadline := time.Now().Add(60 * time.Second)
	for {
		if b, err := os.ReadFile(ready); err == nil && len(b) > 0 {
			var a struct {
				HTTP   string `json:"http"`
				PID    int    `json:"pid"`
				Engine int    `json:"engine_pid"`
			}
			if err := json.Unmarshal(b, &a); err != nil {
				return err
			}
			r.HTTP, r.PID, r.EnginePID = a.HTTP, a.PID, a.Engine
			return nil
		}
		select {
		case err := <-r.done:
			r.cmd = nil
			return fmt.Errorf("the process ended before it could serve: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after a minute")
		}
	}
}

// clean takes LETHE_ settings of the tests' own surroundings out, but for the
// engine's library.
func clean(env []string) []string {
	var out []string
	for _, kv := range env {
		if !strings.HasPrefix(kv, "LETHE_") || strings.HasPrefix(kv, "LETHE_ENGINE_LIB=") {
			out = append(out, kv)
		}
	}
	return out
}

// Kill ends the process as a crash would, the engine's included, and waits.
func (r *running) Kill() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Signal(syscall.SIGKILL)
	<-r.done
	r.cmd = nil
	r.engineGone()
}

// engineGone waits until the engine's process has followed: it sees its parent
// go by a pipe that closes.
func (r *running) engineGone() {
	for deadline := time.Now().Add(30 * time.Second); r.EnginePID != 0 && time.Now().Before(deadline); {
		if syscall.Kill(r.EnginePID, 0) != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Died waits for a process that ends by itself, at a crash point.
func (r *running) Died() {
	r.t.Helper()
	select {
	case <-r.done:
		r.cmd = nil
		r.engineGone()
	case <-time.After(60 * time.Second):
		r.t.Fatal("the process did not reach its crash point")
	}
}

// Stop ends the process in order and fails the test when that is not clean.
func (r *running) Stop() {
	r.t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-r.done:
		r.cmd = nil
		if err != nil {
			r.t.Fatalf("stopping lethe: %v\n%s", err, r.log.Tail(30))
		}
	case <-time.After(10 * time.Second):
		r.t.Fatalf("lethe did not stop within 10 seconds\n%s", r.log.Tail(30))
	}
}

// Run runs a command of the CLI against this Lethe and returns its standard
// output. The test fails when the command does.
func (r *running) Run(args ...string) string {
	r.t.Helper()
	out, stderr, err := r.Try(args...)
	if err != nil {
		r.t.Fatalf("lethe %s: %v\n%s", args[0], err, stderr)
	}
	return out
}

// Try is Run for a command that may fail.
func (r *running) Try(args ...string) (stdout, stderr string, err error) {
	r.t.Helper()
	cmd := exec.Command(binary(r.t), append(args, "--data", r.Data)...)
	cmd.Env = clean(os.Environ())
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// answer is what `ask -o json` prints.
type answer struct {
	Rows []struct {
		By     map[string]any `json:"by"`
		Other  []string       `json:"other"`
		Value  *float64       `json:"value"`
		Hidden bool           `json:"hidden"`
	} `json:"rows"`
	Total struct {
		Value  *float64 `json:"value"`
		Hidden bool     `json:"hidden"`
	} `json:"total"`
}

// Ask asks for a metric: for what is published of it by then.
func (r *running) Ask(metric string, args ...string) answer {
	r.t.Helper()
	var a answer
	decode(r.t, r.Run(append([]string{"ask", metric, "-o", "json"}, args...)...), &a)
	return a
}

// Total is the shown total of a metric, -1 when it is hidden.
func (r *running) Total(metric string) int {
	r.t.Helper()
	a := r.Ask(metric)
	if a.Total.Value == nil {
		return -1
	}
	return int(*a.Total.Value)
}

// Shows waits until the total of a metric is n: what came becomes cells when
// it has been quiet for a while. What is too little for a cell never does.
func (r *running) Shows(n int, metric string, args ...string) {
	r.t.Helper()
	r.until(fmt.Sprintf("%s are %d", metric, n), func() bool { return r.Ask(metric, args...).total() == n })
}

// account is what `import` and `publish` print with -o json.
type account struct {
	Read, Stored, Duplicate, Expired int
	Refused                          map[string]int
}

// Import imports a log and returns the account.
func (r *running) Import(args ...string) account {
	r.t.Helper()
	var a account
	decode(r.t, r.Run(append([]string{"import", "-o", "json"}, args...)...), &a)
	return a
}

func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("output is not the JSON that was expected: %v", err)
	}
}

// Credential is the one that `lethe up` wrote for a role.
func (r *running) Credential(role string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.Data, "credentials", role))
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// Do makes an HTTP request with a role's credential and returns status and
// body. A failing connection is status 0.
func (r *running) Do(role, method, path, contentType string, body io.Reader, headers ...string) (int, []byte) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, r.HTTP+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if role != "" {
		req.Header.Set("Authorization", "Bearer "+r.Credential(role))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, b
}

// Settle waits until nothing is on its way: both readers have confirmed all
// that their log holds, and all of it was looked at to be published.
func (r *running) Settle() {
	r.t.Helper()
	r.settle("pseudonymizer", "loader", "cells")
}

// settle waits until nothing is on its way to some stages.
func (r *running) settle(stages ...string) {
	r.t.Helper()
	var last string
	still := 0 // looks in a row that found nothing waiting
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, stderr, err := r.Try("status", "-o", "json")
		if err != nil {
			last = stderr
			continue
		}
		var s struct {
			Stages []struct {
				Stage string `json:"stage"`
				Lag   uint64 `json:"lag"`
			} `json:"stages"`
		}
		decode(r.t, out, &s)
		seen, waiting := 0, false
		for _, st := range s.Stages {
			if slices.Contains(stages, st.Stage) {
				seen++
				waiting = waiting || st.Lag > 0
			}
		}
		// One look reads the two logs one after the other; a frame may pass
		// between.
		if seen < len(stages) || waiting {
			still = 0
		} else if still++; still == 2 {
			return
		}
		last = out
	}
	r.t.Fatalf("the flow did not settle: %s", last)
}
