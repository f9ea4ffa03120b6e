package assembly

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// openRoutes are those that need no credential: they show how the process is,
// and no data. The last one tells a publisher of the right method.
var openRoutes = []string{"GET /healthz", "GET /readyz", "GET /metrics", "GET /openapi.json", "GET /v1/sql/ping", "/v1/events"}

// Door is the process's HTTP listener. It opens last, when every part has put
// its routes on it, and shuts first. What can be reached from other machines
// speaks TLS 1.3, unless the settings say that plain HTTP is meant. P16.
var Door = Part{"door", func(_ context.Context, site *Site) (process.Service, error) {
	if err := checkListener("listen", site.Config.Listen, site.secured(), site.Config); err != nil {
		return nil, err
	}
	certificates, err := newCertificates(site.Config.TLS, site.Log)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", site.Config.Listen)
	if err != nil {
		return nil, err
	}
	site.mu.Lock()
	site.door = l.Addr().String()
	site.mu.Unlock()
	site.gate.Public(onMux(site.mux, openRoutes)...)
	server := site.server(newEntrance(site.mux, site.gate, site.Config.Door.Concurrency, site.Log), certificates)
	return process.Func(func(ctx context.Context, ready func()) error {
		if site.nats != nil {
			// A local CLI finds this Lethe by its data directory.
			file := filepath.Join(site.Config.Data, AddressesFile)
			if err := writeJSON(file, site.addresses()); err != nil {
				site.Log.Warn("addresses not written", "err", err)
			}
			defer os.Remove(file)
		}
		return site.serve(ctx, server, l, func() {
			site.Log.Info("door opened", "address", l.Addr().String(), "tls", site.secured())
			ready()
		})
	}), nil
}}

// server is what takes requests on a listener of this process.
func (s *Site) server(h http.Handler, certificates *certificates) *http.Server {
	return &http.Server{
		Handler:           h,
		TLSConfig:         certificates.config(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      120 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    32 << 10,
		// net/http logs addresses of callers; nothing here does.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
}

// serve takes requests until ctx ends, and lets those that are being served
// end.
func (s *Site) serve(ctx context.Context, server *http.Server, l net.Listener, ready func()) error {
	served := make(chan error, 1)
	go func() {
		if s.secured() {
			served <- server.ServeTLS(l, "", "")
			return
		}
		served <- server.Serve(l)
	}()
	ready()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// secured says whether the door speaks TLS.
func (s *Site) secured() bool { return s.Config.TLS.Cert != "" }

// scheme is that of the door's address.
func (s *Site) scheme() string {
	if s.secured() {
		return "https"
	}
	return "http"
}

// checkListener refuses a listener that other machines can reach in plain
// text, unless the settings say that this is meant. An empty address is no
// listener, and one that does not resolve is left to whoever listens on it. P16.
func checkListener(setting, listen string, secured bool, c config.Config) error {
	if listen == "" {
		return nil
	}
	a, err := net.ResolveTCPAddr("tcp", listen)
	if err != nil || secured || c.Plaintext || a.IP.IsLoopback() {
		return nil
	}
	return fault.Invalid.Errorf("%s can be reached from other machines and has no TLS: set tls.cert and tls.key, or, where the network is this machine's own, plaintext: true", setting)
}

// onMux returns those of the patterns that a mux has.
func onMux(mux *http.ServeMux, patterns []string) []string {
	return slices.DeleteFunc(slices.Clone(patterns), func(pattern string) bool {
		path := pattern[strings.Index(pattern, "/"):]
		_, found := mux.Handler(&http.Request{Method: http.MethodGet, Host: "localhost", URL: &url.URL{Path: path}})
		return found != pattern
	})
}

// An entrance takes every request of the door. It answers what no route takes
// with a problem document. The mux would send whoever asks for a path that is
// not clean to the one that is, and so repeat it. An address may hold anything,
// and no answer repeats it (P1).
//
// A route that the gate has no rule for is not there: unknown means no.
type entrance struct {
	mux  *http.ServeMux
	gate *access.Gate
	log  *slog.Logger
	// slots holds one token for each request being served, but for those of
	// openRoutes: whoever watches the process learns that it is busy.
	slots chan struct{}
}

func newEntrance(mux *http.ServeMux, gate *access.Gate, concurrency int, log *slog.Logger) *entrance {
	return &entrance{mux, gate, log, make(chan struct{}, max(concurrency, 1))}
}

func (e *entrance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, pattern := e.mux.Handler(r)
	switch {
	case !isClean(r.URL.EscapedPath()):
		fault.WriteStatus(w, http.StatusNotFound, "there is nothing at this path")
	case pattern == "":
		// The mux tells 405 from 404 and sets Allow; its text is not ours.
		rec := &statusOnly{header: http.Header{}}
		e.mux.ServeHTTP(rec, r)
		if rec.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", rec.header.Get("Allow"))
			fault.WriteStatus(w, rec.status, "this path does not take that method")
			return
		}
		fault.WriteStatus(w, http.StatusNotFound, "there is nothing at this path")
	case !e.gate.Ruled(pattern):
		e.log.Error("route without a rule", "route", pattern)
		fault.WriteStatus(w, http.StatusNotFound, "there is nothing at this path")
	case slices.Contains(openRoutes, pattern):
		e.mux.ServeHTTP(w, r)
	default:
		select {
		case e.slots <- struct{}{}:
			defer func() { <-e.slots }()
			e.mux.ServeHTTP(w, r)
		default:
			fault.WriteStatus(w, http.StatusServiceUnavailable, "too many requests are being served")
		}
	}
}

// isClean says whether a path has no empty segments and none of dots.
func isClean(p string) bool {
	c := path.Clean(p)
	return c == p || c+"/" == p
}

// statusOnly keeps the status and the headers of an answer and drops its body.
type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header         { return s.header }
func (s *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (s *statusOnly) WriteHeader(status int)      { s.status = status }
