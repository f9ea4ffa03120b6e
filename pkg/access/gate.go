package access

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An Authenticator tells whose request it is. [Store] is one.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// Config is what a Gate needs. The first two are required.
type Config struct {
	Who Authenticator
	Log *slog.Logger

	// Record puts a decision on record and returns when it is there. Nil
	// records nothing.
	Record func(context.Context, Decision) error
	// Alert is told what somebody should look at, beside log and metrics. It
	// must not block. Nil tells nobody.
	Alert func(Alert)
	// Home is the tenant of those who run the installation. Empty means that
	// every tenant does.
	Home string
	// Proxies are believed when they say for whom they ask.
	Proxies []netip.Prefix
	// Reads counts what analysts read. Nil counts nothing.
	Reads *Reads
	// Metrics takes the gate's metrics; nil keeps none.
	Metrics prometheus.Registerer
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Gate stands before routes: each opens to the roles it names and to nobody
// else. P15.
type Gate struct {
	cfg   Config
	locks *lockout
	met   metrics

	// mu guards rules, which only grows.
	mu    sync.Mutex
	rules map[string]*rule
}

// New makes a gate. It panics when a required field is missing, or the
// registry has a gate's metrics already.
func New(cfg Config) *Gate {
	if cfg.Who == nil || cfg.Log == nil {
		panic("access: an authenticator and a log are needed")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	g := &Gate{cfg: cfg, locks: newLockout(), rules: map[string]*rule{}}
	g.met = newMetrics(cfg.Metrics, func() (credentials, networks int) { return g.locks.count(cfg.Now()) })
	return g
}

// NewGate makes a gate that records nothing and has no metrics.
func NewGate(who Authenticator, log *slog.Logger) *Gate { return New(Config{Who: who, Log: log}) }

// Handle puts a guarded route on a mux. The handler runs only for a principal
// whose role is listed, whose scope covers the route, and who asks from where
// and for what the credential says; others get 401 without an accepted
// credential, 403 with one, and 429 while locked, as problem documents. Where
// the route is recorded, the decision is on record before the handler runs;
// when it cannot be, the answer is 503 and the handler does not run. P10.
//
// The handler must take the tenant from the principal and from nowhere else
// (P14), and must keep to the limits that the route honors (P15).
//
// A route without roles, or a second of the same pattern, is a mistake of the
// program, and Handle panics.
func (g *Gate) Handle(mux *http.ServeMux, pattern string, roles []Role, h func(http.ResponseWriter, *http.Request, Principal), marks ...Mark) {
	route := newRule(pattern, roles, marks)
	g.add(route)
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, route.body)
		p, err := g.decide(r, route)
		if err != nil {
			refuse(w, err, g.cfg.Now())
			return
		}
		h(w, r, p)
	})
}

// Public declares routes that anyone may use, without a credential. What is on
// a mux and neither public nor handled by the gate has no rule, and the door
// does not open it: see [Gate.Ruled].
func (g *Gate) Public(patterns ...string) {
	for _, p := range patterns {
		g.add(&rule{Route: Route{Pattern: p, Public: true}})
	}
}

func (g *Gate) add(r *rule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.rules[r.Pattern] != nil {
		panic("access: the route " + r.Pattern + " has two rules")
	}
	g.rules[r.Pattern] = r
}

// Ruled says whether a pattern has a rule.
func (g *Gate) Ruled(pattern string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rules[pattern] != nil
}

// Routes returns every route that has a rule, by path and method.
func (g *Gate) Routes() []Route {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []Route{}
	for _, r := range g.rules {
		out = append(out, r.Route)
	}
	slices.SortFunc(out, func(a, b Route) int {
		return cmp.Or(strings.Compare(a.path(), b.path()), strings.Compare(a.Pattern, b.Pattern))
	})
	return out
}

// Matrix renders who may use which route, as a table in Markdown.
func (g *Gate) Matrix() string { return Matrix(g.Routes()) }

// home says whether a principal is of those who run the installation.
func (g *Gate) home(p Principal) bool { return g.cfg.Home == "" || p.Tenant == g.cfg.Home }

// refuse answers a request that was not let through.
func refuse(w http.ResponseWriter, err error, now time.Time) {
	var locked *lockedError
	switch {
	case errors.As(err, &locked):
		fault.WriteProblem(locked.waiting(w, now), err)
	case errors.Is(err, ErrNoCredential), errors.Is(err, ErrBadCredential):
		WriteUnauthorized(w, err)
	default:
		fault.WriteProblem(w, err)
	}
}
