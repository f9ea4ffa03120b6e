package keyring

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Handler answers remote callers. A caller is the common name of its verified
// certificate; callers says which power each has. Anyone and anything else is
// refused with 403: a certificate without a power, a verb outside the power, a
// verb that does not exist.
//
// Handler trusts the TLS in front of it to have verified the certificate, as
// [Server] does. Without a verified certificate it refuses.
func (k *Keyring) Handler(callers map[string]Power) http.Handler {
	callers = maps.Clone(callers)
	log := k.open().log
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		caller := certificateName(req.TLS)
		power, known := callers[caller]
		v, exists := findVerb(strings.TrimPrefix(req.URL.Path, wirePath))
		if caller == "" || !known || !exists || !v.grantedTo(power) {
			name := ""
			if exists {
				name = v.name
			}
			log.Warn("keyring caller refused", "caller", caller, "power", string(power), "verb", name)
			writeFault(w, fault.Denied.Errorf("the certificate does not grant this"))
			return
		}
		if req.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			fault.WriteStatus(w, http.StatusMethodNotAllowed, "verbs are called with POST")
			return
		}
		body, err := readMessage(req.Body, req.ContentLength)
		if err != nil {
			if !errors.Is(err, fault.Exhausted) {
				err = fault.Invalid.Errorf("the message is cut short")
			}
			writeFault(w, err)
			return
		}
		out, err := v.do(withCaller(req.Context(), caller), k, power, &fields{b: body})
		if err != nil {
			if kind := fault.KindOf(err); kind == "" || kind == fault.Corrupt || kind == fault.Unavailable {
				log.Error("keyring verb failed", "caller", caller, "verb", v.name, "err", err)
			}
			writeFault(w, err)
			return
		}
		w.Header().Set("Content-Type", wireType)
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Length", strconv.Itoa(len(out)))
		_, _ = w.Write(out) // a caller that went away asks again
	})
}

// certificateName is the common name of the verified certificate of a
// connection, or empty.
func certificateName(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// ServerConfig says where a keyring listens and for whom.
type ServerConfig struct {
	Keyring *Keyring
	// Listen is a TCP address. Port 0 takes a free one.
	Listen string
	// TLS holds the keyring's certificate and, in ClientCAs, the authority of
	// its callers. See [ServerTLS]. TLS 1.3 and a verified caller's
	// certificate are demanded whatever it says.
	TLS *tls.Config
	// Callers says which power each common name has.
	Callers map[string]Power
	// Log is required.
	Log *slog.Logger
}

// A Server offers a keyring to other processes.
type Server struct {
	hidden[*http.Server]
	listener net.Listener
	log      *slog.Logger
}

// stopTimeout bounds how long a stopping server waits for the verbs in hand. It
// is well below what a service has to stop: a connection that a caller opened
// and never used keeps Shutdown waiting for five seconds.
const stopTimeout = 2 * time.Second

// NewServer takes the address. Nothing is answered before [Server.Run].
func NewServer(c ServerConfig) (*Server, error) {
	switch {
	case c.Keyring == nil || c.TLS == nil || c.Log == nil:
		return nil, fault.Invalid.Errorf("keyring server: Keyring, TLS and Log are needed")
	case c.TLS.ClientCAs == nil:
		return nil, fault.Invalid.Errorf("keyring server: TLS.ClientCAs is not set")
	}
	for name, p := range c.Callers {
		if name == "" || !slices.Contains(Powers(), p) {
			return nil, fault.Invalid.Errorf("keyring server: caller %q has the unknown power %q", name, p)
		}
	}
	// P16: nothing older than TLS 1.3 and nobody without a certificate.
	t := c.TLS.Clone()
	t.MinVersion = tls.VersionTLS13
	t.ClientAuth = tls.RequireAndVerifyClientCert
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fault.Unavailable.Errorf("listening for keyring callers: %w", err)
	}
	return &Server{
		hidden: hide(&http.Server{
			Handler:           c.Keyring.Handler(c.Callers),
			TLSConfig:         t,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       time.Minute,
			IdleTimeout:       2 * time.Minute,
			// net/http would log the addresses of those it turns away.
			ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		}),
		listener: l,
		log:      c.Log,
	}, nil
}

// Addr is the address that was taken.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run answers callers until ctx ends, finishes the verbs in hand, and returns
// nil. It calls ready once, when it can answer.
func (s *Server) Run(ctx context.Context, ready func()) error {
	h := s.open()
	served := make(chan error, 1)
	go func() { served <- h.ServeTLS(s.listener, "", "") }()
	s.log.Info("keyring listening", "addr", s.Addr())
	ready()
	select {
	case err := <-served:
		return fault.Unavailable.Errorf("serving keyring callers: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := h.Shutdown(stop); err != nil {
		_ = h.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fault.Unavailable.Errorf("serving keyring callers: %w", err)
	}
	s.log.Info("keyring stopped listening")
	return nil
}
