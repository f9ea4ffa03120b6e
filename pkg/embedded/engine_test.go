package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// admin may do everything that these tests need.
var admin = embedded.EngineUser{
	Name: "admin", Password: "admin-password",
	Grants: []string{"GRANT ALL ON *.*"},
}

// ask sends a statement over HTTP, and returns the answer or, as an error, the
// code of ClickHouse's refusal.
func ask(ctx context.Context, e *embedded.Engine, user, password, query string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://engine/", strings.NewReader(query))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-ClickHouse-User", user)
	req.Header.Set("X-ClickHouse-Key", password)
	client := http.Client{Transport: &http.Transport{DialContext: e.DialHTTP, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if code := resp.Header.Get("X-ClickHouse-Exception-Code"); code != "" {
		return "", fmt.Errorf("code %s: %s", code, body)
	}
	return strings.TrimSpace(string(body)), nil
}

// do is ask as admin, for statements that must work.
func do(t *testing.T, e *embedded.Engine, query string) string {
	t.Helper()
	got, err := ask(t.Context(), e, admin.Name, admin.Password, query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return got
}

// open makes a connection pool of the driver to the native port.
func open(t *testing.T, e *embedded.Engine, user embedded.EngineUser) clickhouse.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr:        []string{"engine"},
		DialContext: e.Dial,
		Auth:        clickhouse.Auth{Username: user.Name, Password: user.Password, Database: "system"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// restarted waits until the engine that had pid is gone and another serves.
func restarted(t *testing.T, e *embedded.Engine, pid int) {
	t.Helper()
	for e.PID() == pid || e.PID() == 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("the engine did not come back")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestEngineServesBothDoors(t *testing.T) {
	e := lethetest.Engine(t, admin)
	var version, zone string
	if err := open(t, e, admin).QueryRow(t.Context(), "SELECT version(), serverTimezone()").Scan(&version, &zone); err != nil {
		t.Fatal(err)
	}
	if zone != "UTC" {
		t.Errorf("time zone = %q, want UTC", zone)
	}
	if got := do(t, e, "SELECT version()"); got != version {
		t.Errorf("HTTP says version %q, the native port %q", got, version)
	}
	if err := e.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}
	if host, _, err := net.SplitHostPort(e.HTTPAddr()); err != nil || host != "127.0.0.1" {
		t.Errorf("HTTPAddr = %q, want a loopback address", e.HTTPAddr())
	}
}

func TestKilledEngineComesBackWithWhatItHad(t *testing.T) {
	e := lethetest.Engine(t, admin)
	do(t, e, "CREATE DATABASE d ENGINE = Atomic")
	do(t, e, "CREATE TABLE d.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	conn, addr := open(t, e, admin), e.HTTPAddr()
	for round := range 3 {
		batch, err := conn.PrepareBatch(t.Context(), "INSERT INTO d.t")
		if err != nil {
			t.Fatal(err)
		}
		if err := batch.Append(uint64(round)); err != nil {
			t.Fatal(err)
		}
		if err := batch.Send(); err != nil {
			t.Fatal(err)
		}
		pid := e.PID()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		restarted(t, e, pid)
		if got, want := do(t, e, "SELECT count() FROM d.t"), fmt.Sprint(round+1); got != want {
			t.Errorf("rows = %s, want %s", got, want)
		}
	}
	if e.HTTPAddr() != addr {
		t.Errorf("the address changed from %s to %s with nothing in the way", addr, e.HTTPAddr())
	}
}

func TestStrayBytesAndFailedLoginsCostARestartAndNoMore(t *testing.T) {
	e := lethetest.Engine(t, admin)
	crash := map[string]func(){
		"garbage on the native port": func() {
			c, err := e.Dial(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = c.Write([]byte(strings.Repeat("\xff\x17garbage", 100)))
			_, _ = io.ReadAll(c)
		},
		"a failed login on the native port": func() {
			stranger := admin
			stranger.Password = "guess"
			if err := open(t, e, stranger).Ping(t.Context()); err == nil {
				t.Error("a stranger was let in")
			}
		},
	}
	for what, cause := range crash {
		pid := e.PID()
		cause()
		restarted(t, e, pid)
		var one uint8
		if err := open(t, e, admin).QueryRow(t.Context(), "SELECT toUInt8(1)").Scan(&one); err != nil || one != 1 {
			t.Errorf("after %s: SELECT 1 = %d, %v", what, one, err)
		}
	}

	// The HTTP port is for strangers: nothing happens.
	pid := e.PID()
	if _, err := ask(t.Context(), e, admin.Name, "guess", "SELECT 1"); err == nil || !strings.Contains(err.Error(), "code 516") {
		t.Errorf("a stranger over HTTP: %v, want code 516", err)
	}
	c, err := e.DialHTTP(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = c.Write([]byte(strings.Repeat("\xff\x17garbage\n", 100) + "\r\n\r\n"))
	_, _ = io.ReadAll(c)
	_ = c.Close()
	do(t, e, "SELECT 1")
	if e.PID() != pid {
		t.Error("garbage over HTTP ended the engine")
	}
}

func TestDialWaitsForTheEngineAndHeedsItsContext(t *testing.T) {
	e := lethetest.NewEngine(t, t.TempDir(), admin)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := e.Dial(ctx, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial before the start = %v, want the end of its context", err)
	}
	waited := make(chan error)
	go func() {
		c, err := e.Dial(t.Context(), "")
		if err == nil {
			err = c.Close()
		}
		waited <- err
	}()
	t.Run("running", func(t *testing.T) {
		lethetest.Start(t, "engine", e)
		if err := <-waited; err != nil {
			t.Errorf("Dial while starting = %v", err)
		}
	})
	if _, err := e.Dial(t.Context(), ""); err == nil {
		t.Error("Dial after the stop = nil, want an error")
	}
	if e.PID() != 0 {
		t.Errorf("PID = %d after the stop", e.PID())
	}
}

func TestOpenConnectionsDoNotHoldUpTheStop(t *testing.T) {
	e := lethetest.NewEngine(t, t.TempDir(), admin)
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error)
	go func() { done <- e.Run(ctx, func() { close(ready) }) }()
	<-ready
	if err := open(t, e, admin).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	pid := e.PID()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the child is still there: %v", err)
	}
}

func TestDirectoryMayHaveAnyNameAndBeALink(t *testing.T) {
	real := filepath.Join(t.TempDir(), "a <dir> & \"more\" ü")
	if err := os.Mkdir(real, 0o700); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{real, link} {
		t.Run("", func(t *testing.T) {
			e := lethetest.NewEngine(t, dir, admin)
			lethetest.Start(t, "engine", e)
			do(t, e, "CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic")
		})
	}
}

func TestSetUsersTakesEffectWithoutACrash(t *testing.T) {
	var log safeBuffer
	probe, prober := embedded.NewProbe()
	guest := embedded.EngineUser{Name: "guest", Password: "guest-password"}
	lethetest.NewEngine(t, t.TempDir()) // skips where there is no library
	e, err := embedded.NewEngine(embedded.EngineConfig{
		Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(&log, nil)),
		Probe: probe, UsersXML: embedded.UsersXML([]embedded.EngineUser{prober, admin}),
	})
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "engine", e)
	do(t, e, "CREATE DATABASE d ENGINE = Atomic")
	if _, err := ask(t.Context(), e, guest.Name, guest.Password, "SELECT 1"); err == nil {
		t.Error("the guest was let in before there was one")
	}
	if err := e.SetUsers(t.Context(), embedded.UsersXML([]embedded.EngineUser{prober, admin, guest})); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), e, guest.Name, guest.Password, "SELECT 1"); err != nil {
		t.Errorf("the guest: %v", err)
	}
	if got := do(t, e, "EXISTS DATABASE d"); got != "1" {
		t.Error("the database is gone")
	}
	if err := e.SetUsers(t.Context(), embedded.UsersXML([]embedded.EngineUser{prober, admin})); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(t.Context(), e, guest.Name, guest.Password, "SELECT 1"); err == nil {
		t.Error("the guest was let in after it was taken out")
	}
	if strings.Contains(log.String(), "ERROR") {
		t.Errorf("an orderly restart was reported as a crash:\n%s", log.String())
	}
}
