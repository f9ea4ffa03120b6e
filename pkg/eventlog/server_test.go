package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// site is a real server with real files and the users of Lethe. The server can
// be stopped and started again on the same files; connections find it.
type site struct {
	t     testing.TB
	dir   string
	users []eventlog.User

	mu     sync.Mutex // guards server
	server *natsserver.Server
}

// open starts a server and applies the streams.
func open(t testing.TB, limits eventlog.Limits, users ...eventlog.User) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), users: append(eventlog.Users(), users...)}
	s.start()
	t.Cleanup(s.stop)
	if err := eventlog.Apply(t.Context(), s.js("operator"), eventlog.Streams(nil, limits)); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) start() {
	s.t.Helper()
	opts := &natsserver.Options{
		ServerName: "test", DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.dir, SyncAlways: true, MaxPayload: eventlog.MaxMessage,
	}
	for _, u := range s.users {
		p := &natsserver.Permissions{
			Publish:   &natsserver.SubjectPermission{Allow: u.Publish},
			Subscribe: &natsserver.SubjectPermission{Allow: u.Subscribe},
		}
		if len(u.Publish) == 0 {
			p.Publish = &natsserver.SubjectPermission{Deny: []string{">"}}
		}
		if u.AllowResponses {
			p.Response = &natsserver.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
		}
		opts.Users = append(opts.Users, &natsserver.User{Username: u.Name, Password: u.Name, Permissions: p})
	}
	server, err := natsserver.NewServer(opts)
	if err != nil {
		s.t.Fatal(err)
	}
	go server.Start()
	if !server.ReadyForConnections(20 * time.Second) {
		s.t.Fatal("the server is not ready")
	}
	s.mu.Lock()
	s.server = server
	s.mu.Unlock()
}

func (s *site) stop() {
	s.mu.Lock()
	server := s.server
	s.server = nil
	s.mu.Unlock()
	if server != nil {
		server.Shutdown()
		server.WaitForShutdown()
	}
}

// InProcessConn connects to the server that runs at the time.
func (s *site) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil, errors.New("there is no server")
	}
	return s.server.InProcessConn()
}

func (s *site) connect(user string, more ...nats.Option) *nats.Conn {
	s.t.Helper()
	opts := append(eventlog.ConnectOptions(user), nats.UserInfo(user, user), nats.InProcessServer(s),
		nats.ReconnectWait(5*time.Millisecond), nats.ReconnectJitter(0, 0))
	nc, err := nats.Connect("", append(opts, more...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *site) js(user string) jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.connect(user))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// log is the operator's, who may look at everything.
func (s *site) log() *eventlog.Log { return eventlog.NewLog(s.connect("operator")) }

func (s *site) writer(user, stream string, more ...nats.Option) *eventlog.Writer {
	s.t.Helper()
	w := eventlog.NewWriter(s.connect(user, more...), eventlog.WriterConfig{Stream: stream, Log: quiet})
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = w.Close(ctx) // a test that cares closes it itself
	})
	return w
}

func (s *site) reader(user, stream, durable string) *eventlog.Reader {
	s.t.Helper()
	r, err := eventlog.OpenReader(s.t.Context(), s.connect(user), eventlog.ReaderConfig{Stream: stream, Durable: durable, Log: quiet})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = r.Close() })
	return r
}

// stored returns how often the data of each message stands in a stream.
func (s *site) stored(stream string) map[string]int {
	s.t.Helper()
	l := s.log()
	info, err := l.Info(s.t.Context(), stream)
	if err != nil {
		s.t.Fatal(err)
	}
	found := map[string]int{}
	for r, err := range l.Range(s.t.Context(), stream, 1, info.Last) {
		if err != nil {
			s.t.Fatal(err)
		}
		found[name(r.Data)]++
	}
	return found
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

const rawTopic = "lethe.raw.acme.web.http_access.0"

// rawMessage is a message known by its name, with an ID unless id is empty.
func rawMessage(name, id string) eventlog.Message {
	return eventlog.Message{Topic: rawTopic, ID: id, Data: []byte(name + "\n")}
}

func rawMessages(prefix string, n, size int) []eventlog.Message {
	msgs := make([]eventlog.Message, n)
	for i := range msgs {
		msgs[i] = eventlog.Message{Topic: rawTopic, Data: make([]byte, max(size, 32))}
		copy(msgs[i].Data, fmt.Sprintf("%s-%d\n", prefix, i))
	}
	return msgs
}

func name(data []byte) string {
	for i, c := range data {
		if c == '\n' {
			return string(data[:i])
		}
	}
	return string(data)
}
