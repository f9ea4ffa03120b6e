package assembly

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// Door is the process's HTTP listener. It opens last, when every part has put
// its routes on it, and shuts first.
var Door = Part{"door", func(_ context.Context, site *Site) (process.Service, error) {
	l, err := net.Listen("tcp", site.Config.Listen)
	if err != nil {
		return nil, err
	}
	site.mu.Lock()
	site.door = l.Addr().String()
	site.mu.Unlock()
	server := &http.Server{
		Handler:           withFallback(site.mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      120 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    32 << 10,
		// net/http logs addresses of callers; nothing here does.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	return process.Func(func(ctx context.Context, ready func()) error {
		served := make(chan error, 1)
		go func() { served <- server.Serve(l) }()
		if site.nats != nil {
			// A local CLI finds this Lethe by its data directory.
			file := filepath.Join(site.Config.Data, AddressesFile)
			if err := writeJSON(file, site.addresses()); err != nil {
				site.Log.Warn("addresses not written", "err", err)
			}
			defer os.Remove(file)
		}
		site.Log.Info("door opened", "address", l.Addr().String())
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
	}), nil
}}

// withFallback answers what no route takes with a problem document. The mux
// would send whoever asks for a path that is not clean to the one that is, and
// so repeat it. An address may hold anything, and no answer repeats it (P1).
func withFallback(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, pattern := mux.Handler(r)
		switch {
		case !isClean(r.URL.EscapedPath()):
			fault.WriteStatus(w, http.StatusNotFound, "there is nothing at this path")
		case pattern == "":
			// The mux tells 405 from 404 and sets Allow; its text is not ours.
			rec := &statusOnly{header: http.Header{}}
			mux.ServeHTTP(rec, r)
			if rec.status == http.StatusMethodNotAllowed {
				w.Header().Set("Allow", rec.header.Get("Allow"))
				fault.WriteStatus(w, rec.status, "this path does not take that method")
				return
			}
			fault.WriteStatus(w, http.StatusNotFound, "there is nothing at this path")
		default:
			mux.ServeHTTP(w, r)
		}
	})
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
