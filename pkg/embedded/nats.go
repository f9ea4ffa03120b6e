package embedded

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

const (
	// natsMaxPayload bounds one message. A frame is about 64 KiB; the rest is
	// room for a single large event and its headers.
	natsMaxPayload = 1 << 20

	// natsMaxMemory bounds streams in memory. Lethe has none: this is room for
	// the state of consumers.
	natsMaxMemory = 256 << 20

	natsHealthEvery = time.Second
	// natsSick is how many health checks in a row must fail before the server
	// counts as broken. A stream that is being made or removed looks
	// unrecovered for an instant.
	natsSick = 3
)

// NATSConfig describes an embedded NATS server.
type NATSConfig struct {
	// Dir holds the streams. It is made, with mode 0700, when missing. One
	// server at a time may use it.
	Dir string
	// Listen is the host:port for clients outside the process; port 0 means
	// any. Empty means that there is no port at all.
	Listen string
	// TLS secures Listen, with TLS 1.3 and nothing older. It may be nil only
	// while Listen is a loopback address.
	TLS *tls.Config
	// Users are all who may connect. There must be one at least: a server
	// without users lets everybody in.
	Users []NATSUser
	// MaxStore bounds the streams on disk, in bytes. 0 means three quarters of
	// the free space.
	MaxStore int64
	Log      *slog.Logger
}

// A NATSUser may publish to and subscribe to the topics that match its lists,
// and no other; nil allows nothing. On top of these every user may subscribe
// below its own [InboxPrefix], which is where answers to it arrive.
type NATSUser struct {
	Name, Password     string
	Publish, Subscribe []string
	// AllowResponses lets the user answer each request it receives once,
	// wherever the answer is wanted.
	AllowResponses bool
}

// InboxPrefix is the topic prefix below which answers to a user arrive. No
// other user may listen there. [NATS.Connect] sets it.
func InboxPrefix(user string) string { return "_INBOX." + user }

// NATS is an embedded NATS server.
type NATS struct {
	cfg NATSConfig
	log *natsLog

	// mu guards srv, which is nil before ready and after Run.
	mu  sync.Mutex
	srv *server.Server
}

var userName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// NewNATS checks cfg. It starts nothing and touches no file.
func NewNATS(cfg NATSConfig) (*NATS, error) {
	if cfg.Dir == "" || cfg.Log == nil {
		return nil, errors.New("embedded NATS needs a directory and a logger")
	}
	if len(cfg.Users) == 0 {
		return nil, errors.New("embedded NATS needs a user: without one it would let everybody in")
	}
	names := make(map[string]bool)
	for _, u := range cfg.Users {
		switch {
		case !userName.MatchString(u.Name):
			return nil, fmt.Errorf("NATS user %q: a name is letters, digits, - and _", u.Name)
		case names[u.Name]:
			return nil, fmt.Errorf("NATS user %q is there twice", u.Name)
		case u.Password == "":
			return nil, fmt.Errorf("NATS user %q has no password", u.Name)
		}
		names[u.Name] = true
		// The server skips a topic that it cannot read, with a line in its log.
		for _, topic := range slices.Concat(u.Publish, u.Subscribe) {
			if !server.IsValidSubject(topic) {
				return nil, fmt.Errorf("NATS user %q: %q is not a topic", u.Name, topic)
			}
		}
	}
	n := &NATS{cfg: cfg, log: newNATSLog(cfg.Log, cfg.Users)}
	if _, err := n.options(); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *NATS) options() (*server.Options, error) {
	opts := &server.Options{
		ServerName: "lethe",
		NoSigs:     true,
		DontListen: true,
		MaxPayload: natsMaxPayload,

		JetStream:          true,
		StoreDir:           n.cfg.Dir,
		JetStreamMaxMemory: natsMaxMemory,
		JetStreamMaxStore:  n.cfg.MaxStore,
		// P18: acknowledged means on disk.
		SyncAlways: true,
	}
	for _, u := range n.cfg.Users {
		opts.Users = append(opts.Users, serverUser(u))
	}
	if n.cfg.Listen == "" {
		return opts, nil
	}
	host, port, err := net.SplitHostPort(n.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("reading the address NATS listens on: %w", err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, errors.New("reading the address NATS listens on: the port is not a number up to 65535")
	}
	// P16: what leaves the machine is encrypted.
	if ip := net.ParseIP(host); n.cfg.TLS == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("NATS may listen without TLS on a loopback address only")
	}
	opts.DontListen = false
	opts.Host, opts.Port = host, int(number)
	if number == 0 {
		opts.Port = server.RANDOM_PORT
	}
	if n.cfg.TLS != nil {
		opts.TLSConfig = n.cfg.TLS.Clone()
		opts.TLSConfig.MinVersion = tls.VersionTLS13
		opts.TLSTimeout = 5
	}
	return opts, nil
}

func serverUser(u NATSUser) *server.User {
	perms := &server.Permissions{
		// An allow list that is there and empty allows nothing.
		Publish:   &server.SubjectPermission{Allow: append([]string{}, u.Publish...)},
		Subscribe: &server.SubjectPermission{Allow: append([]string{InboxPrefix(u.Name) + ".>"}, u.Subscribe...)},
	}
	if u.AllowResponses {
		perms.Response = &server.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	}
	return &server.User{Username: u.Name, Password: u.Password, Permissions: perms}
}

// Run serves until ctx ends. It returns an error when the server cannot start,
// when it dies, and when its store cannot be written any more: a stream that
// met a full disk stays closed until the server is started again.
func (n *NATS) Run(ctx context.Context, ready func()) error {
	if err := os.MkdirAll(n.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making the directory of NATS: %w", err)
	}
	unlock, err := lockFile(filepath.Join(n.cfg.Dir, "lock"))
	if err != nil {
		return fmt.Errorf("locking the directory of NATS, which another process may be using: %w", err)
	}
	defer unlock()

	opts, err := n.options()
	if err != nil {
		return err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("making the NATS server: %w", err)
	}
	srv.SetLoggerV2(n.log, false, false, false)
	defer func() {
		n.set(nil)
		srv.Shutdown()
		srv.WaitForShutdown()
	}()
	if err := n.start(ctx, srv); err != nil || ctx.Err() != nil {
		return err
	}
	n.set(srv)
	ready()
	return n.watch(ctx, srv)
}

func (n *NATS) start(ctx context.Context, srv *server.Server) error {
	started := make(chan struct{})
	go func() {
		srv.Start() // returns once it is up, or has reported a fatal error
		close(started)
	}()
	select {
	case <-started:
	case err := <-n.log.fatal:
		return fmt.Errorf("starting NATS: %w", err)
	case <-ctx.Done():
		<-started // a server cannot be stopped halfway
		return nil
	}
	select {
	case err := <-n.log.fatal:
		return fmt.Errorf("starting NATS: %w", err)
	default:
	}
	if !srv.ReadyForConnections(5 * time.Second) {
		return errors.New("starting NATS: it does not take connections")
	}
	// P18 leans on these two; look, rather than trust what was asked for.
	if js := srv.JetStreamConfig(); js == nil || !js.SyncAlways {
		return errors.New("starting NATS: it would acknowledge before it writes")
	}
	return nil
}

// watch returns nil when ctx ends, and an error when the server is broken.
func (n *NATS) watch(ctx context.Context, srv *server.Server) error {
	down := make(chan struct{})
	go func() {
		srv.WaitForShutdown()
		close(down)
	}()
	tick := time.NewTicker(natsHealthEvery)
	defer tick.Stop()
	for sick := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case err := <-n.log.fatal:
			return fmt.Errorf("running NATS: %w", err)
		case <-down:
			return errors.New("running NATS: it shut itself down")
		case <-tick.C:
		}
		err := health(srv)
		if err == nil {
			sick = 0
			continue
		}
		if sick++; sick >= natsSick {
			return fmt.Errorf("running NATS: %w", err)
		}
	}
}

func health(srv *server.Server) error {
	if h := srv.Healthz(nil); h.Error != "" {
		return errors.New(h.Error)
	}
	return nil
}

// Check says whether the server and every stream in it can be used. It fits
// process.Health.
func (n *NATS) Check(context.Context) error {
	srv, err := n.get()
	if err != nil {
		return err
	}
	return health(srv)
}

// Connect makes a connection as a user, through a pipe inside the process. It
// is for after ready. Options given here win over those Connect sets: a name,
// the user's inbox, and a handler that logs what goes wrong later on.
func (n *NATS) Connect(user, password string, opts ...nats.Option) (*nats.Conn, error) {
	srv, err := n.get()
	if err != nil {
		return nil, err
	}
	if !n.knows(user, password) {
		return nil, fmt.Errorf("connecting to NATS as %s: %w", user, nats.ErrAuthorization)
	}
	nc, err := nats.Connect("", append([]nats.Option{
		nats.InProcessServer(srv),
		nats.UserInfo(user, password),
		nats.Name(user),
		nats.CustomInboxPrefix(InboxPrefix(user)),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			n.cfg.Log.Warn("nats connection refused something", "user", user, "err", n.log.redact(err.Error()))
		}),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS as %s: %w", user, err)
	}
	return nc, nil
}

// knows says whether the server would let the user in. Asked, it would say so
// only after ten seconds: its refusal and the rest of the client's greeting
// block each other in a pipe that holds nothing.
func (n *NATS) knows(user, password string) bool {
	for _, u := range n.cfg.Users {
		if u.Name == user {
			return subtle.ConstantTimeCompare([]byte(u.Password), []byte(password)) == 1
		}
	}
	return false
}

// Addr is the host:port for clients outside the process, with the port really
// bound; "" when there is none.
func (n *NATS) Addr() string {
	srv, err := n.get()
	if err != nil || n.cfg.Listen == "" {
		return ""
	}
	return srv.Addr().String()
}

func (n *NATS) set(srv *server.Server) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.srv = srv
}

func (n *NATS) get() (*server.Server, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.srv == nil {
		return nil, errors.New("NATS is not running")
	}
	return n.srv, nil
}
