package assembly

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// certificates are the door's, read again when their files change. What cannot
// be read leaves in place what was read before, so that a renewal that goes
// wrong closes nothing.
type certificates struct {
	files config.TLS
	log   *slog.Logger
	now   func() time.Time

	// mu guards what follows.
	mu     sync.Mutex
	looked time.Time
	seen   []os.FileInfo // of the files when they were last read, or tried
	loaded *tls.Config
}

// lookEvery is how often the files are looked at, at most.
const lookEvery = time.Second

// newCertificates reads the files. Without any it returns nil, and the door
// speaks plain HTTP.
func newCertificates(files config.TLS, log *slog.Logger) (*certificates, error) {
	switch {
	case files == config.TLS{}:
		return nil, nil
	case files.Cert == "" || files.Key == "":
		return nil, fault.Invalid.Errorf("tls.cert and tls.key are set together, or neither is and tls.client_ca is not")
	}
	c := &certificates{files: files, log: log, now: time.Now}
	c.looked, c.seen = c.now(), c.look()
	var err error
	c.loaded, err = c.load()
	return c, err
}

// config is the TLS configuration of a server: TLS 1.3 and nothing older.
func (c *certificates) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{"h2", "http/1.1"},
		// For a certificate and a client CA alike, this is asked for every
		// connection.
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current(), nil },
	}
}

// current is the configuration of a connection that begins.
func (c *certificates) current() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if d := now.Sub(c.looked); d >= 0 && d < lookEvery {
		return c.loaded
	}
	c.looked = now
	seen := c.look()
	if unchanged(c.seen, seen) {
		return c.loaded
	}
	c.seen = seen // a file that is bad is tried again when it changes again
	loaded, err := c.load()
	if err != nil {
		c.log.Warn("certificate not reloaded", "err", err)
		return c.loaded
	}
	c.loaded = loaded
	c.log.Info("certificate reloaded")
	return c.loaded
}

// load reads the files. They are looked at before: what changes in between is
// seen the next time.
func (c *certificates) load() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key)
	if err != nil {
		return nil, fault.Invalid.Errorf("reading tls.cert and tls.key: %w", err)
	}
	t := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{cert},
	}
	if c.files.ClientCA != "" {
		pem, err := os.ReadFile(c.files.ClientCA)
		if err != nil {
			return nil, fault.Invalid.Errorf("reading tls.client_ca: %w", err)
		}
		t.ClientCAs = x509.NewCertPool()
		if !t.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fault.Invalid.Errorf("tls.client_ca holds no certificate")
		}
		t.ClientAuth = tls.RequireAndVerifyClientCert
		// A ticket would let a client in whose CA has been taken out since.
		t.SessionTicketsDisabled = true
	}
	return t, nil
}

// look says how the files are; nil is one that is not there.
func (c *certificates) look() []os.FileInfo {
	var out []os.FileInfo
	for _, f := range []string{c.files.Cert, c.files.Key, c.files.ClientCA} {
		info, err := os.Stat(f)
		if err != nil {
			info = nil
		}
		out = append(out, info)
	}
	return out
}

func unchanged(before, after []os.FileInfo) bool {
	for i, b := range before {
		a := after[i]
		switch {
		case a == nil && b == nil:
		case a == nil || b == nil, !os.SameFile(a, b), a.Size() != b.Size(), !a.ModTime().Equal(b.ModTime()):
			return false
		}
	}
	return true
}
