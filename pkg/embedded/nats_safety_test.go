package embedded_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestUnsafeConfigurationIsRefused(t *testing.T) {
	user := lethetest.AnyNATSUser()
	for name, change := range map[string]func(*embedded.NATSConfig){
		"no users":          func(c *embedded.NATSConfig) { c.Users = nil },
		"no password":       func(c *embedded.NATSConfig) { c.Users = []embedded.NATSUser{{Name: "a"}} },
		"user twice":        func(c *embedded.NATSConfig) { c.Users = []embedded.NATSUser{user, user} },
		"name of two parts": func(c *embedded.NATSConfig) { c.Users = []embedded.NATSUser{{Name: "a.b", Password: "x"}} },
		"name of wildcard":  func(c *embedded.NATSConfig) { c.Users = []embedded.NATSUser{{Name: "*", Password: "x"}} },
		"no topic": func(c *embedded.NATSConfig) {
			c.Users = []embedded.NATSUser{{Name: "a", Password: "x", Publish: []string{"a..b"}}}
		},
		"everywhere without TLS": func(c *embedded.NATSConfig) { c.Listen = ":4222" },
		"outside without TLS":    func(c *embedded.NATSConfig) { c.Listen = "192.0.2.1:4222" },
		"no port":                func(c *embedded.NATSConfig) { c.Listen = "127.0.0.1" },
		"no directory":           func(c *embedded.NATSConfig) { c.Dir = "" },
	} {
		cfg := embedded.NATSConfig{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler), Users: []embedded.NATSUser{user}}
		change(&cfg)
		if _, err := embedded.NewNATS(cfg); err == nil {
			t.Errorf("%s: NewNATS = nil, want a refusal", name)
		}
	}
}

// safeBuffer is a bytes.Buffer that several goroutines may write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// P1: what a client sends by mistake is in no log.
func TestLogNamesNoClientAndNothingItSent(t *testing.T) {
	var log safeBuffer
	n, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: slog.New(slog.NewTextHandler(&log, nil)),
		Users: []embedded.NATSUser{{Name: "writer", Password: "w"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "nats", n)
	for _, user := range []string{"ada@example.org", `a"da@example.org`} {
		if _, err := nats.Connect(n.Addr(), nats.UserInfo(user, "x"), nats.Name("ada@example.org")); err == nil {
			t.Error("a stranger was let in")
		}
	}
	opt, refused := violations()
	nc, err := nats.Connect(n.Addr(), nats.UserInfo("writer", "w"), opt, nats.Name("ada@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Publish("person.ada@example~org", nil); err != nil {
		t.Fatal(err)
	}
	<-refused

	inside := connect(t, n, "writer", "w")
	if err := inside.Publish("person.ada@example~org", nil); err != nil {
		t.Fatal(err)
	}
	for inside.LastError() == nil {
		if err := inside.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	inside.Close()

	got := log.String()
	for _, secret := range []string{"ada", "127.0.0.1"} {
		if strings.Contains(got, secret) {
			t.Errorf("the log holds what a client sent, or where it is (%d bytes of log)", len(got))
		}
	}
	if !strings.Contains(got, "authentication error") || !strings.Contains(got, "Publish Violation") ||
		!strings.Contains(got, `$G/user:writer`) {
		t.Errorf("the log does not say what happened:\n%s", got)
	}
}

func TestStoreThatCannotBeWrittenEndsTheServer(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "role")
	cmd.Env = append(os.Environ(), roleEnv+"=full disk", "DIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("the server on a full disk: %v\n%s", err, out)
	}
}

// natsOnFullDisk fills a store whose files may not grow over 4 MiB, which to
// the server is a disk without space, and succeeds when Run ends with an error.
func natsOnFullDisk() int {
	fail := func(what string, err error) int {
		fmt.Fprintln(os.Stderr, what, err)
		return 1
	}
	signal.Ignore(syscall.SIGXFSZ)
	n, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: os.Getenv("DIR"), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Users: []embedded.NATSUser{lethetest.AnyNATSUser()},
	})
	if err != nil {
		return fail("making", err)
	}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- n.Run(context.Background(), func() { close(ready) }) }()
	<-ready
	nc, err := n.Connect("test", "test")
	if err != nil {
		return fail("connecting", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return fail("connecting", err)
	}
	if _, err := js.CreateStream(context.Background(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log.>"}}); err != nil {
		return fail("making a stream", err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4 << 20, Max: 4 << 20}); err != nil {
		return fail("limiting files", err)
	}
	payload, stored := make([]byte, 512<<10), 0
	for err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if _, err = js.Publish(ctx, "log.a", payload); err == nil {
			stored++
		}
		cancel()
	}
	if stored == 0 || stored > 8 {
		return fail("the limit did not bite", fmt.Errorf("%d messages stored", stored))
	}
	if err := <-done; err == nil {
		return fail("Run returned", err)
	}
	return 0
}

func TestPortOutsideSpeaksTLS13AndThePipeNeedsNone(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	n, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: web.TLS, Log: lethetest.Logger(t),
		Users: []embedded.NATSUser{lethetest.AnyNATSUser()},
	})
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "nats", n)
	if err := connect(t, n, "test", "test").Flush(); err != nil {
		t.Errorf("the pipe: %v", err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	for _, c := range []struct {
		max uint16
		ok  bool
	}{{tls.VersionTLS13, true}, {tls.VersionTLS12, false}} {
		nc, err := nats.Connect(n.Addr(), nats.UserInfo("test", "test"), nats.MaxReconnects(0),
			nats.Secure(&tls.Config{RootCAs: roots, MaxVersion: c.max}))
		if err == nil {
			nc.Close()
		}
		if (err == nil) != c.ok {
			t.Errorf("connecting with %s = %v", tls.VersionName(c.max), err)
		}
	}
}
