package assembly

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/openapi"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
	"github.com/lethe-pipeline/lethe/schemas"
)

// A Site is where parts run: the settings, the policy, and the ways to the
// stores. What a part asks of it is what the part can do.
type Site struct {
	Config   config.Config
	Policy   *policy.Policy
	Log      *slog.Logger
	Registry *prometheus.Registry
	Health   *process.Health

	mux   *http.ServeMux
	store *access.Store
	gate  *access.Gate
	// decisions is where the gate's decisions go on record; nil where no part
	// of the process has a way to. See [Site.recordAccess].
	decisions atomic.Pointer[audit.Writer]
	secrets   map[string]string // fresh passwords of the embedded stores, by user

	// mu guards what parts leave behind for the parts after them, and what is
	// to be closed when the process ends.
	mu      sync.Mutex
	nats    *embedded.NATS
	engine  *embedded.Engine
	keys    *keyring.Keyring
	door    string
	keyAddr string
	sqlAddr string
	closers []func()
}

// NewSite reads the policy and the credentials. It connects to nothing.
func NewSite(c config.Config, log *slog.Logger) (*Site, error) {
	pol, err := sitePolicy(c)
	if err != nil {
		return nil, err
	}
	file := c.Access.File
	if file == "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return nil, err
		}
		file = filepath.Join(c.Data, "credentials.json")
	}
	store, err := access.Open(file)
	if err != nil {
		return nil, err
	}
	proxies, err := trustedProxies(c)
	if err != nil {
		return nil, err
	}
	if err := checkListener("nats.listen", c.NATS.Listen, false, c); err != nil {
		return nil, err
	}
	reads := access.OpenReads(readsFile(c), log)
	reg := process.NewRegistry()
	s := &Site{
		Config:   c,
		Policy:   pol,
		Log:      log,
		Registry: reg,
		Health:   process.NewHealth(reg),
		mux:      http.NewServeMux(),
		store:    store,
		secrets:  map[string]string{},
	}
	s.gate = access.New(access.Config{
		Who: store, Log: log, Record: s.recordDecision, Home: DefaultTenant,
		Proxies: proxies, Reads: reads, Metrics: reg,
	})
	s.onClose(reads.Close)
	s.Health.Routes(s.mux)
	openapi.Routes(s.mux, pol, s.gate)
	return s, nil
}

// trustedProxies reads the networks of proxies.
func trustedProxies(c config.Config) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fault.Invalid.Errorf("trusted_proxies holds networks in CIDR notation, such as 192.0.2.0/24")
		}
		out = append(out, p)
	}
	return out, nil
}

// readsFile is where reads are counted; empty is in memory.
func readsFile(c config.Config) string {
	if c.Access.Reads != "" || c.Access.File != "" {
		return c.Access.Reads
	}
	return filepath.Join(c.Data, "reads.json")
}

// sitePolicy is the policy of a process: the documents it is told of, or those
// that `lethe apply` gave a Lethe of its own, or the built-in ones.
func sitePolicy(c config.Config) (*policy.Policy, error) {
	next := nextPolicy(c)
	if next == "" {
		return LoadPolicy(c.Policy)
	}
	docs, err := next.Load()
	if errors.Is(err, fault.NotFound) {
		return LoadPolicy("")
	}
	if err != nil {
		return nil, err
	}
	return policy.Compile(docs)
}

// nextPolicy is where a Lethe that is told of no documents, and has its own
// stores, keeps those that were applied.
func nextPolicy(c config.Config) operation.PolicyFile {
	if c.Policy != "" || c.NATS.URL != "" || c.ClickHouse.Addr != "" {
		return ""
	}
	return operation.PolicyFile(filepath.Join(c.Data, "policy.json"))
}

// LoadPolicy compiles the built-in documents with those of dir, if any, laid
// over them.
func LoadPolicy(dir string) (*policy.Policy, error) {
	layers := []fs.FS{schemas.FS, pipelines.FS}
	if dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, fault.Invalid.Errorf("the policy directory is not there or not a directory")
		}
		layers = append(layers, os.DirFS(dir))
	}
	docs, err := policy.Load(layers...)
	if err != nil {
		return nil, err
	}
	return policy.Compile(docs)
}

// secret is the password of a user of an embedded store, made when first asked
// for and gone with the process.
func (s *Site) secret(user string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secrets[user] == "" {
		s.secrets[user] = rand.Text()
	}
	return s.secrets[user]
}

func (s *Site) onClose(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, f)
}

func (s *Site) close() {
	s.mu.Lock()
	closers := s.closers
	s.closers = nil
	s.mu.Unlock()
	for i := len(closers) - 1; i >= 0; i-- {
		closers[i]()
	}
}

func (s *Site) addresses() Addresses {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Addresses{HTTP: s.scheme() + "://" + s.door, Keyring: s.keyAddr, PID: os.Getpid()}
	if s.sqlAddr != "" {
		a.SQL = s.scheme() + "://" + s.sqlAddr
	}
	if s.nats != nil {
		a.NATS = s.nats.Addr()
	}
	if s.engine != nil {
		a.Engine = s.engine.PID()
	}
	return a
}

// Connection connects to the log as a service's own user. Its topics are those
// that eventlog.Users gives the user, and no other.
func (s *Site) Connection(user string) (*nats.Conn, error) {
	opts := append(eventlog.ConnectOptions(user), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		s.Log.Warn("log connection troubled", "service", user, "err", err)
	}))
	s.mu.Lock()
	in := s.nats
	s.mu.Unlock()
	var nc *nats.Conn
	var err error
	switch {
	case in != nil:
		nc, err = in.Connect(user, s.secret(user), opts...)
	case s.Config.NATS.URL == "":
		return nil, fault.Invalid.Errorf("nats.url is not set; only `lethe up` has a log of its own")
	default:
		password := s.Config.NATS.Password
		if user == "cells" {
			password = s.Config.NATS.CellsPassword
		}
		opts = append(opts, nats.UserInfo(user, password), nats.RetryOnFailedConnect(true))
		if s.Config.NATS.CA != "" {
			opts = append(opts, nats.RootCAs(s.Config.NATS.CA), nats.Secure(&tls.Config{MinVersion: tls.VersionTLS13}))
		}
		nc, err = nats.Connect(s.Config.NATS.URL, opts...)
	}
	if err != nil {
		return nil, fault.Unavailable.Errorf("connecting to the log as %s: %w", user, err)
	}
	s.onClose(nc.Close)
	return nc, nil
}

// Warehouse connects to ClickHouse as a user of its own. The grants are those
// that warehouse.Users gives the user.
func (s *Site) Warehouse(ctx context.Context, user string) (*warehouse.Warehouse, error) {
	c := warehouse.Config{User: user, Log: s.Log.With("user", user)}
	s.mu.Lock()
	in := s.engine
	s.mu.Unlock()
	switch {
	case in != nil:
		c.Addr, c.Password, c.Dial = []string{"engine"}, s.secret(engineUser(user)), in.Dial
	case s.Config.ClickHouse.Addr == "":
		return nil, fault.Invalid.Errorf("clickhouse.addr is not set; only `lethe up` has a warehouse of its own")
	default:
		c.Addr, c.Password = []string{s.Config.ClickHouse.Addr}, s.Config.ClickHouse.Password
		switch user {
		case warehouse.UserRebuild:
			c.Password = s.Config.ClickHouse.RebuildPassword
		case warehouse.UserHold:
			c.Password = s.Config.ClickHouse.HoldPassword
		case warehouse.UserCells:
			c.Password = s.Config.ClickHouse.CellsPassword
		}
		if s.Config.ClickHouse.CA != "" {
			dial, err := s.dialTLS()
			if err != nil {
				return nil, err
			}
			c.Dial = dial
		}
	}
	w, err := warehouse.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	s.onClose(func() { _ = w.Close() })
	return w, nil
}

// dialTLS connects to a ClickHouse server whose certificate leads to
// clickhouse.ca.
func (s *Site) dialTLS() (func(ctx context.Context, addr string) (net.Conn, error), error) {
	pem, err := os.ReadFile(s.Config.ClickHouse.CA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.Invalid.Errorf("clickhouse.ca holds no certificate")
	}
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}}
	return func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }, nil
}

// engineUser keeps the passwords of the two stores apart.
func engineUser(user string) string { return "engine/" + user }

// localKeys is the keyring of this process, where the keyring part runs.
func (s *Site) localKeys() *keyring.Keyring {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys
}

// power is one power over the keys: of the keyring in this process, or of the
// one in another, which grants no more than the service's certificate says.
func power[P any](s *Site, local func(*keyring.Keyring) P, remote func(*keyring.Remote) P) (P, error) {
	return powerAs(s, s.Config.Keyring.Certificates, local, remote)
}

// powerAs is power with a certificate of its own, where a process has more
// than one power.
func powerAs[P any](s *Site, certificates string, local func(*keyring.Keyring) P, remote func(*keyring.Remote) P) (P, error) {
	if k := s.localKeys(); k != nil {
		return local(k), nil
	}
	r, err := s.remoteKeys(certificates)
	if err != nil {
		var none P
		return none, err
	}
	return remote(r), nil
}

// remoteKeys reaches a keyring in another process. The certificate decides which
// of its verbs are granted.
func (s *Site) remoteKeys(certificates string) (*keyring.Remote, error) {
	if s.Config.Keyring.Addr == "" {
		return nil, fault.Invalid.Errorf("keyring.addr is not set, and no keyring runs in this process")
	}
	t, err := keyring.ClientTLS(certificates)
	if err != nil {
		return nil, err
	}
	r, err := keyring.Dial(keyring.RemoteConfig{Addr: s.Config.Keyring.Addr, TLS: t})
	if err != nil {
		return nil, err
	}
	s.onClose(func() { _ = r.Close() })
	return r, nil
}
