package keyring_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

var noon = time.Date(2026, 11, 21, 12, 30, 0, 0, time.UTC)

const (
	tenant = "acme"
	class  = "access-30d"
	day    = "2026-12-21"
)

var (
	aad   = []byte("header")
	plain = []byte("ada@example.org at 192.0.2.1")
)

func config(t testing.TB, dir string) keyring.Config {
	return keyring.Config{
		Dir:     filepath.Join(dir, "keyring"),
		KEKFile: filepath.Join(dir, "kek", "kek.txt"),
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:     func() time.Time { return noon },
	}
}

// setup makes a keyring and opens it.
func setup(t testing.TB) (*keyring.Keyring, keyring.Config) {
	t.Helper()
	c := config(t, t.TempDir())
	if err := keyring.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return reopen(t, c), c
}

func reopen(t testing.TB, c keyring.Config) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

// callers gives each power to a caller of its name.
func callers() map[string]keyring.Power {
	m := map[string]keyring.Power{}
	for _, p := range keyring.Powers() {
		m["the-"+string(p)] = p
	}
	return m
}

// A site is a keyring with a server before it and a certificate for every
// power.
type site struct {
	keyring      *keyring.Keyring
	config       keyring.Config
	certificates string
	addr         string
	stop         func() // stops the server
}

func setupSite(t testing.TB) *site {
	t.Helper()
	k, c := setup(t)
	s := &site{keyring: k, config: c, certificates: filepath.Join(t.TempDir(), "certificates")}
	names := []string{"the-stranger"}
	for name := range callers() {
		names = append(names, name)
	}
	if err := keyring.WriteCertificates(s.certificates, names, []string{"127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
	s.serve(t, "127.0.0.1:0")
	return s
}

// serve starts a server and returns when it is ready.
func (s *site) serve(t testing.TB, listen string) {
	t.Helper()
	tlsConfig, err := keyring.ServerTLS(filepath.Join(s.certificates, keyring.ServerName))
	if err != nil {
		t.Fatal(err)
	}
	// What a careless caller might pass: the server must demand more.
	tlsConfig.MinVersion, tlsConfig.ClientAuth = tls.VersionTLS10, tls.NoClientCert
	server, err := keyring.NewServer(keyring.ServerConfig{
		Keyring: s.keyring, Listen: listen, TLS: tlsConfig, Callers: callers(), Log: s.config.Log,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.addr = server.Addr()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- server.Run(ctx, func() { close(ready) }) }()
	<-ready
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Cleanup(s.stop)
}

// dial calls with the certificate of a caller.
func (s *site) dial(t testing.TB, caller string) *keyring.Remote {
	t.Helper()
	tlsConfig, err := keyring.ClientTLS(filepath.Join(s.certificates, caller))
	if err != nil {
		t.Fatal(err)
	}
	r, err := keyring.Dial(keyring.RemoteConfig{Addr: s.addr, TLS: tlsConfig})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// powers are one keyring's, however they are reached.
type powers struct {
	gateway       keyring.Gateway
	pseudonymizer keyring.Pseudonymizer // always in the keyring's process
	loader        keyring.Loader
	retention     keyring.Retention
	rights        keyring.Rights
}

// eachWay runs a test in process and over TLS.
func eachWay(t *testing.T, test func(t *testing.T, p powers)) {
	t.Run("local", func(t *testing.T) {
		k, _ := setup(t)
		test(t, powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()})
	})
	t.Run("remote", func(t *testing.T) {
		s := setupSite(t)
		test(t, powers{
			gateway:       s.dial(t, "the-gateway").Gateway(),
			pseudonymizer: s.keyring.Pseudonymizer(),
			loader:        s.dial(t, "the-loader").Loader(),
			retention:     s.dial(t, "the-retention").Retention(),
			rights:        s.dial(t, "the-rights").Rights(),
		})
	})
}
