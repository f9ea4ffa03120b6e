package embedded_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func connect(t *testing.T, n *embedded.NATS, user, password string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := n.Connect(user, password, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func stream(t *testing.T, nc *nats.Conn) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "LOG", Subjects: []string{"log.>"}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sockets counts the TCP sockets that this process listens on.
func sockets(t *testing.T) int {
	t.Helper()
	listening := make(map[string]bool)
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			t.Skipf("not tested that no port is open: %v", err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) > 9 && f[3] == "0A" {
				listening["socket:["+f[9]+"]"] = true
			}
		}
	}
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && listening[to] {
			n++
		}
	}
	return n
}

func TestServerWithoutAPortTakesConnectionsInsideTheProcessOnly(t *testing.T) {
	before := sockets(t)
	n := lethetest.NATS(t)
	if got := n.Addr(); got != "" {
		t.Errorf("Addr = %q, want none", got)
	}
	if after := sockets(t); after != before {
		t.Errorf("%d ports were opened, want none", after-before)
	}
	nc := connect(t, n, "test", "test")
	if err := nc.FlushTimeout(5 * time.Second); err != nil {
		t.Error(err)
	}
	if err := n.Check(t.Context()); err != nil {
		t.Errorf("Check = %v", err)
	}

	// The control: with a port, one more is open.
	open, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: t.TempDir(), Listen: "127.0.0.1:0",
		Users: []embedded.NATSUser{lethetest.AnyNATSUser()}, Log: lethetest.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "nats", open)
	if after := sockets(t); after != before+1 {
		t.Errorf("%d ports were opened, want one", after-before)
	}
	out, err := nats.Connect(open.Addr(), nats.UserInfo("test", "test"))
	if err != nil {
		t.Fatalf("connecting to the port: %v", err)
	}
	out.Close()
	if nc, err := nats.Connect(open.Addr()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connecting without a password = %v, %v, want a refusal", nc, err)
	}
}

func TestWrongPasswordIsRefused(t *testing.T) {
	n := lethetest.NATS(t)
	if _, err := n.Connect("test", "guess"); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("Connect = %v, want a refusal", err)
	}
	if _, err := n.Connect("nobody", "test"); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("Connect = %v, want a refusal", err)
	}
}

// violations collects what the server refused a connection.
func violations() (nats.Option, <-chan error) {
	refused := make(chan error, 8)
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }), refused
}

func TestUserReachesItsOwnTopicsAndNoOthers(t *testing.T) {
	n := lethetest.NATS(t,
		embedded.NATSUser{Name: "writer", Password: "w", Publish: []string{"log.raw.>"}},
		embedded.NATSUser{Name: "reader", Password: "r", Subscribe: []string{"log.clean.>"}},
		lethetest.AnyNATSUser(),
	)
	all := connect(t, n, "test", "test")
	seen, err := all.SubscribeSync("log.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := all.Flush(); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		user, password string
		do             func(*nats.Conn) error
		allowed        bool
	}{
		{"writer", "w", func(nc *nats.Conn) error { return nc.Publish("log.raw.a", nil) }, true},
		{"writer", "w", func(nc *nats.Conn) error { return nc.Publish("log.clean.a", nil) }, false},
		{"writer", "w", func(nc *nats.Conn) error { return nc.Publish("$JS.API.STREAM.DELETE.LOG", nil) }, false},
		{"writer", "w", func(nc *nats.Conn) error { _, err := nc.SubscribeSync("log.raw.>"); return err }, false},
		{"writer", "w", func(nc *nats.Conn) error { _, err := nc.SubscribeSync("_INBOX.reader.>"); return err }, false},
		{"writer", "w", func(nc *nats.Conn) error { _, err := nc.SubscribeSync(nc.NewInbox()); return err }, true},
		{"reader", "r", func(nc *nats.Conn) error { _, err := nc.SubscribeSync("log.clean.>"); return err }, true},
		{"reader", "r", func(nc *nats.Conn) error { _, err := nc.SubscribeSync(">"); return err }, false},
		{"reader", "r", func(nc *nats.Conn) error { return nc.Publish("log.clean.a", nil) }, false},
		{"reader", "r", func(nc *nats.Conn) error { return nc.Publish("_INBOX.writer.a", nil) }, false},
	} {
		nc := connect(t, n, c.user, c.password)
		if err := c.do(nc); err != nil {
			t.Fatal(err)
		}
		// The refusal comes before the answer to what was sent later.
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		switch err := nc.LastError(); {
		case c.allowed && err != nil:
			t.Errorf("%s was refused what it may do: %v", c.user, err)
		case !c.allowed && !errors.Is(err, nats.ErrPermissionViolation):
			t.Errorf("%s may do what it must not: %v", c.user, err)
		}
	}
	if m, err := seen.NextMsg(5 * time.Second); err != nil || m.Subject != "log.raw.a" {
		t.Errorf("the one allowed message = %v, %v", m, err)
	}
	if m, err := seen.NextMsg(10 * time.Millisecond); err == nil {
		t.Errorf("a message came through on %s", m.Subject)
	}
}

func TestResponderAnswersWhoAskedAndNobodyElse(t *testing.T) {
	n := lethetest.NATS(t,
		embedded.NATSUser{Name: "asker", Password: "a", Publish: []string{"ask"}},
		embedded.NATSUser{Name: "server", Password: "s", Subscribe: []string{"ask"}, AllowResponses: true},
	)
	opt, refused := violations()
	server := connect(t, n, "server", "s", opt)
	_, err := server.Subscribe("ask", func(m *nats.Msg) {
		_ = server.Publish("_INBOX.asker.other", nil)
		_ = m.Respond([]byte("answer"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Flush(); err != nil {
		t.Fatal(err)
	}
	m, err := connect(t, n, "asker", "a").Request("ask", nil, 5*time.Second)
	if err != nil || string(m.Data) != "answer" {
		t.Errorf("Request = %v, %v", m, err)
	}
	if err := <-refused; !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("publishing to an inbox unasked = %v, want a refusal", err)
	}
}

func TestRestartKeepsMessages(t *testing.T) {
	cfg := embedded.NATSConfig{
		Dir: t.TempDir(), Log: lethetest.Logger(t),
		Users: []embedded.NATSUser{lethetest.AnyNATSUser()},
	}
	for round := range uint64(3) {
		n, err := embedded.NewNATS(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			lethetest.Start(t, "nats", n)
			nc := connect(t, n, "test", "test")
			s := stream(t, nc)
			info, err := s.Info(t.Context())
			if err != nil || info.State.Msgs != 10*round {
				t.Errorf("messages = %d, %v, want %d", info.State.Msgs, err, 10*round)
			}
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			for range 10 {
				if _, err := js.Publish(t.Context(), "log.a", []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
		})
		if _, err := n.Connect("test", "test"); err == nil {
			t.Error("a server that was stopped takes connections")
		}
	}
}

func TestRunningServerWritesBeforeItAcknowledges(t *testing.T) {
	n := lethetest.NATS(t)
	if js := n.JetStreamConfig(); !js.SyncAlways || !js.Strict {
		t.Errorf("JetStream runs with %+v, want SyncAlways and Strict", js)
	}
	nc := connect(t, n, "test", "test")
	if got := nc.MaxPayload(); got != 1<<20 {
		t.Errorf("MaxPayload = %d, want 1 MiB", got)
	}
}

func TestSecondServerOnTheSameDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	cfg := embedded.NATSConfig{Dir: dir, Log: lethetest.Logger(t), Users: []embedded.NATSUser{lethetest.AnyNATSUser()}}
	first, err := embedded.NewNATS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "nats", first)
	second, err := embedded.NewNATS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context(), func() { t.Error("it was ready") }); err == nil {
		t.Error("Run = nil, want a refusal")
	}
}

func TestPortThatIsTakenIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n, err := embedded.NewNATS(embedded.NATSConfig{
		Dir: t.TempDir(), Listen: l.Addr().String(), Log: lethetest.Logger(t),
		Users: []embedded.NATSUser{lethetest.AnyNATSUser()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Run(t.Context(), func() { t.Error("it was ready") }); err == nil {
		t.Error("Run = nil, want an error")
	}
}
