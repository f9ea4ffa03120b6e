package client

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Config says where a client publishes and how. Server and Log are required;
// the zero value of everything else is a good one.
type Config struct {
	// Server is the address of the gateway, such as https://lethe.example.org
	// or http://127.0.0.1:8080. It may have a path, and has no user in it.
	Server string
	// Credential is sent as a bearer token (RFC 6750). Without one, none is.
	Credential string
	// Service is the service of every event that names none.
	Service string
	// Purpose is what the requests are for (Lethe-Purpose). A credential for
	// one purpose needs none.
	Purpose string
	// HTTP makes the requests. By default that is a client which speaks TLS
	// 1.3, follows no redirect and keeps InFlight connections.
	HTTP *http.Client

	// BatchSize is the number of events after which a Publisher sends a
	// request; by default 500.
	BatchSize int
	// BatchBytes is the size in bytes, before compression, that a Publisher's
	// requests stay under unless a single event is larger; by default 1 MiB.
	BatchBytes int
	// Linger is how long a Publisher holds an event back for others to join;
	// by default 20 ms.
	Linger time.Duration

	// MaxRetry is how often a request is sent again; by default 8, which
	// takes about 12 s. Negative means never.
	MaxRetry int
	// Timeout limits one attempt; by default 30 s.
	Timeout time.Duration

	Log *slog.Logger
}

// A Client talks to one server with one credential.
type Client struct {
	config Config
	server *url.URL
	http   *http.Client
	zstd   *zstd.Encoder
	log    *slog.Logger
	// wait sleeps until a retry is due, or ctx ends. Tests replace it.
	wait func(ctx context.Context, d time.Duration) error
}

// New returns a client. It makes no connection. A Config that cannot work is
// a fault.Invalid.
func New(config Config) (*Client, error) {
	if config.Log == nil {
		return nil, fault.Invalid.Errorf("the client needs a logger")
	}
	if strings.ContainsFunc(config.Purpose, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, fault.Invalid.Errorf("the purpose holds a line break or a character that is not ASCII")
	}
	server, err := parseServer(config.Server)
	if err != nil {
		return nil, err
	}
	// A line break would end the header. The text stays out of the error.
	if strings.ContainsFunc(config.Credential, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fault.Invalid.Errorf("the credential holds a space, a line break or a character that is not ASCII")
	}
	defaultTo(&config.BatchSize, 500)
	defaultTo(&config.BatchBytes, 1<<20)
	defaultTo(&config.Linger, 20*time.Millisecond)
	defaultTo(&config.Timeout, 30*time.Second)
	if config.MaxRetry == 0 {
		config.MaxRetry = 8
	}
	if config.HTTP == nil {
		config.HTTP = newHTTP()
	}
	// Requests are small, so a small window costs nothing and lets the server
	// open them with little memory.
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(1<<20), zstd.WithEncoderConcurrency(defaultInFlight))
	if err != nil {
		return nil, fault.Invalid.Errorf("preparing compression: %w", err)
	}
	if server.Scheme == "http" && config.Credential != "" && !isLocal(server.Hostname()) {
		config.Log.Warn("credential sent without tls", "server", server.Host)
	}
	return &Client{config: config, server: server, http: config.HTTP, zstd: enc, log: config.Log, wait: sleep}, nil
}

func defaultTo[T int | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

func parseServer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, fault.Invalid.Errorf("the server address is not an http:// or https:// URL")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fault.Invalid.Errorf("the server address has a user, a query or a fragment")
	}
	return u, nil
}

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// newHTTP has no overall timeout: Publish limits each attempt, and other
// requests last as long as their context.
func newHTTP() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = defaultInFlight
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	return &http.Client{
		Transport: t,
		// A redirect would carry events to a place that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// request makes a request to a path of the server, which may be escaped.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Request, error) {
	u := c.server.JoinPath(path)
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bodyReader(body))
	if err != nil {
		return nil, fault.Invalid.Errorf("making a request: the method or the path is malformed")
	}
	if c.config.Credential != "" {
		r.Header.Set("Authorization", "Bearer "+c.config.Credential)
	}
	if c.config.Purpose != "" {
		r.Header.Set("Lethe-Purpose", c.config.Purpose)
	}
	r.Header.Set("User-Agent", "lethe-client")
	r.Header.Set("Accept", "application/json, application/problem+json;q=0.9, */*;q=0.1")
	return r, nil
}

// send makes one attempt. The caller closes the answer, which is a 2xx.
func (c *Client) send(r *http.Request) (*http.Response, *failure) {
	answer, err := c.http.Do(r)
	if err != nil {
		// url.Error repeats the whole URL; the host is enough.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		// A certificate does not become good by asking again.
		var cert *tls.CertificateVerificationError
		again := !errors.As(err, &cert)
		return nil, &failure{err: fault.Unavailable.Errorf("reaching %s: %w", c.server.Host, err), again: again}
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	return nil, failed(answer)
}
