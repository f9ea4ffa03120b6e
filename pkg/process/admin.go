package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/singleflight"
)

// CheckTimeout bounds one readiness check.
const CheckTimeout = 2 * time.Second

// NewRegistry makes a registry of metrics that holds those of the Go runtime
// and of the process. Lethe has no global registry: every part registers with
// the one it was given.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return reg
}

// Health knows which parts of the process are ready. It is safe for
// concurrent use.
type Health struct {
	reg *prometheus.Registry

	// mu guards parts, which only grows.
	mu    sync.Mutex
	parts []*watched
}

// NewHealth makes a Health that serves the metrics of reg.
func NewHealth(reg *prometheus.Registry) *Health { return &Health{reg: reg} }

// A Report says how the parts are. In Parts stands "ok", or a sentence saying
// why a part is not ready, by the part's name.
type Report struct {
	Ready bool              `json:"ready"`
	Parts map[string]string `json:"parts"`
}

// Watch adds a service to those that must be ready, and returns it in the form
// that [Run] must be given. From the moment the service calls ready, check is
// asked too, unless nil; its error is shown to the outside as it is, and so
// must be a sentence that names no value and no person.
func (h *Health) Watch(n Named, check func(context.Context) error) Named {
	w := &watched{name: n.Name, service: n.Service, check: check, state: "it has not been started"}
	h.mu.Lock()
	h.parts = append(h.parts, w)
	h.mu.Unlock()
	return Named{Name: n.Name, Service: w}
}

// Report asks every part how it is. It takes no longer than [CheckTimeout]. A
// process without parts is not ready.
func (h *Health) Report(ctx context.Context) Report {
	h.mu.Lock()
	parts := h.parts[:len(h.parts):len(h.parts)]
	h.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	answers := make([]string, len(parts))
	var wg sync.WaitGroup
	for i, w := range parts {
		wg.Go(func() { answers[i] = w.answer(ctx) })
	}
	wg.Wait()

	rep := Report{Ready: len(parts) > 0, Parts: make(map[string]string, len(parts))}
	for i, w := range parts {
		rep.Parts[w.name] = answers[i]
		rep.Ready = rep.Ready && answers[i] == "ok"
	}
	return rep
}

// Routes serves the state of the process on mux:
//
//	GET /healthz  200 while the process can answer at all
//	GET /readyz   the Report as JSON; 200 when ready, 503 when not
//	GET /metrics  the registry in the Prometheus text format
func (h *Health) Routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		rep := h.Report(r.Context())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !rep.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(rep) // the client has gone; nobody to tell
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(h.reg, promhttp.HandlerOpts{Registry: h.reg}))
}

// watched is a service that Health can ask.
type watched struct {
	name    string
	service Service
	check   func(context.Context) error

	// asking lets all requests share one running check, so that a check that
	// hangs holds up one goroutine and not one for every request.
	asking singleflight.Group

	// mu guards state: "ok" from ready until Run returns, and otherwise the
	// sentence that says why not.
	mu    sync.Mutex
	state string
}

func (w *watched) Run(ctx context.Context, ready func()) error {
	w.set("it is starting")
	defer w.set("it has stopped")
	return w.service.Run(ctx, func() {
		w.set("ok")
		ready()
	})
}

func (w *watched) StopTimeout() time.Duration {
	if s, ok := w.service.(Stopper); ok {
		return s.StopTimeout()
	}
	return StopTimeout
}

func (w *watched) set(state string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state = state
}

func (w *watched) get() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *watched) answer(ctx context.Context) string {
	state := w.get()
	if state != "ok" || w.check == nil {
		return state
	}
	answer := w.asking.DoChan("", func() (any, error) {
		// The check outlives the request that began it: others may wait for it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), CheckTimeout)
		defer cancel()
		return nil, w.check(ctx)
	})
	select {
	case a := <-answer:
		if a.Err == nil {
			return "ok"
		}
		if !errors.Is(a.Err, context.DeadlineExceeded) {
			return a.Err.Error()
		}
	case <-ctx.Done():
	}
	return fmt.Sprintf("its check did not answer within %s", CheckTimeout)
}
