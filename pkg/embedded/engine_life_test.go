package embedded_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestTwoEnginesDoNotDisturbEachOther(t *testing.T) {
	one, two := lethetest.Engine(t, admin), lethetest.Engine(t, admin)
	do(t, one, "CREATE DATABASE only_one ENGINE = Atomic")
	if got := do(t, two, "EXISTS DATABASE only_one"); got != "0" {
		t.Error("the engines share their databases")
	}
	pid := two.PID()
	first := one.PID()
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	restarted(t, one, first)
	if two.PID() != pid {
		t.Error("the death of one engine restarted the other")
	}
	if got := do(t, one, "EXISTS DATABASE only_one"); got != "1" {
		t.Error("the engine came back without its database")
	}
}

// The text of a statement may reach the log, and may look like a death there.
func TestEngineIsKilledForSilenceAndNotForALineInItsLog(t *testing.T) {
	e := lethetest.Engine(t, admin)
	if e.Mute(t.Context()) {
		t.Error("an engine that answers is taken for dead")
	}
	pid := e.PID()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if !e.Mute(t.Context()) {
		t.Error("an engine that does not answer is taken for alive")
	}
	// It is dying: it says so, and is silent.
	log, err := os.OpenFile(e.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.WriteString("2026.11.21 23:03:16.086464 [ 1 ] {} <Fatal> ClientBase: so long\n"); err != nil {
		t.Fatal(err)
	}
	restarted(t, e, pid)
	do(t, e, "SELECT 1")
}

func TestLogIsReadLineByLineAndFromItsBeginningWhenItIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.log")
	saidFatal := embedded.SaidFatal(path)
	const fatal = "2026.11.21 23:03:16.086464 [ 32026 ] {a-b} <Fatal> ClientBase: Terminate called\n"
	if saidFatal() {
		t.Error("a log that is not there said something")
	}
	for _, step := range []struct {
		name, text string
		anew, want bool
	}{
		{"an error", "2026.11.21 23:03:16.086464 [ 1 ] {} <Error> executeQuery: <Fatal>\n", false, false},
		{"half a line", fatal[:40], false, false},
		{"the other half", fatal[40:], false, true},
		{"nothing", "", false, false},
		{"rotated", fatal, true, true},
		{"rotated and quiet", "a\n", true, false},
	} {
		flags := os.O_CREATE | os.O_APPEND | os.O_WRONLY
		if step.anew {
			flags |= os.O_TRUNC
		}
		f, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(step.text); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := saidFatal(); got != step.want {
			t.Errorf("%s: fatal = %t, want %t", step.name, got, step.want)
		}
	}
}

func TestServerThatAnswersInThePlaceOfOursIsFoundOut(t *testing.T) {
	e := lethetest.NewEngine(t, t.TempDir(), admin)
	for answer, ours := range map[string]bool{
		e.DataDir() + "/\n":   true,
		"/somewhere/else/\n":  false,
		"":                    false,
		e.DataDir() + "/x/\n": false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, answer)
		}))
		defer server.Close()
		err := e.Identify(t.Context(), server.Listener.Addr().(*net.TCPAddr).Port)
		if (err == nil) != ours {
			t.Errorf("an answer that is ours = %t: Identify = %v", ours, err)
		}
	}
}

// Somebody may take the port of an engine that died. Another must be found.
func TestPortTakenWhileTheEngineIsDownIsNotMistakenForIt(t *testing.T) {
	e := lethetest.Engine(t, admin)
	addr, pid := e.HTTPAddr(), e.PID()
	// Once the child is dead the port is free; take it before the next has it.
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var thief net.Listener
	for thief == nil && e.PID() == pid {
		thief, _ = net.Listen("tcp", addr)
	}
	if thief != nil {
		defer thief.Close()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, "/somewhere/else/")
		})}
		go func() { _ = server.Serve(thief) }()
		defer server.Close()
	}
	restarted(t, e, pid)
	do(t, e, "SELECT 1")
	if thief != nil && e.HTTPAddr() == addr {
		t.Errorf("the engine claims %s, where another listens", addr)
	}
}

func TestSecondEngineOnTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := lethetest.NewEngine(t, dir, admin)
	lethetest.Start(t, "engine", first)
	pid := first.PID()
	// It would try for longer, because a dying engine may hold the lock.
	defer embedded.SetFirstStart(100 * time.Millisecond)()
	if err := lethetest.NewEngine(t, dir, admin).Run(t.Context(), func() { t.Error("it was ready") }); err == nil {
		t.Error("Run = nil, want a refusal")
	}
	if first.PID() != pid {
		t.Error("the second engine disturbed the first")
	}
}

func TestLibraryThatIsNoneIsAnErrorAtOnce(t *testing.T) {
	junk := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	probe, prober := embedded.NewProbe()
	e, err := embedded.NewEngine(embedded.EngineConfig{
		Dir: t.TempDir(), Library: junk, Log: lethetest.Logger(t),
		Probe: probe, UsersXML: embedded.UsersXML([]embedded.EngineUser{prober}),
	})
	if err != nil {
		t.Fatal(err)
	}
	err = e.Run(t.Context(), func() { t.Error("it was ready") })
	if err == nil || !strings.Contains(err.Error(), "loading the library") {
		t.Errorf("Run = %v, want the reason", err)
	}
}

// The parent dies of SIGKILL and can do nothing; its engine must go all the
// same, and the directory be free for the next.
func TestDeathOfTheParentEndsTheEngine(t *testing.T) {
	dir := t.TempDir()
	lethetest.NewEngine(t, dir) // skips where there is no library
	cmd := exec.CommandContext(t.Context(), os.Args[0], "role")
	cmd.Env = append(os.Environ(), roleEnv+"=parent of an engine", "DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child struct{ PID int }
	if err := json.NewDecoder(out).Decode(&child); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child.PID, 0); err != nil {
		t.Fatalf("the engine is not there to begin with: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	// Starting on the same directory succeeds only once the orphan is gone.
	next := lethetest.NewEngine(t, dir, admin)
	lethetest.Start(t, "engine", next)
	do(t, next, "SELECT 1")
	for running(child.PID) { // it gave its directory up, and is on its way out
		select {
		case <-t.Context().Done():
			t.Fatal("the engine outlived its parent")
		case <-time.After(time.Millisecond):
		}
	}
}

// running says whether pid is more than a dead process nobody waited for.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// parentOfEngine starts an engine, says which process it is, and waits for
// its own death.
func parentOfEngine() int {
	probe, prober := embedded.NewProbe()
	e, err := embedded.NewEngine(embedded.EngineConfig{
		Dir: os.Getenv("DIR"), Log: slog.New(slog.DiscardHandler),
		Probe: probe, UsersXML: embedded.UsersXML([]embedded.EngineUser{prober}),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ready := make(chan struct{})
	go func() {
		<-ready
		fmt.Printf("{\"PID\": %d}\n", e.PID())
	}()
	if err := e.Run(context.Background(), func() { close(ready) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}
