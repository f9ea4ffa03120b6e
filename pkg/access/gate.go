package access

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An Authenticator tells whose request it is. [Store] is one.
type Authenticator interface {
	Authenticate(r *http.Request) (Principal, error)
}

// A Gate stands before routes: each opens to the roles it names and to nobody
// else. P15.
type Gate struct {
	who Authenticator
	log *slog.Logger

	// mu guards routes, which only grows.
	mu     sync.Mutex
	routes []Route
}

// A Route is one door and who it opens to.
type Route struct {
	// Pattern is as http.ServeMux takes it: "GET /v1/stats".
	Pattern string
	Roles   []Role
}

// NewGate makes a gate.
func NewGate(who Authenticator, log *slog.Logger) *Gate {
	return &Gate{who: who, log: log}
}

// Handle puts a guarded route on a mux. The handler runs only for a principal
// whose role is listed; without roles it never runs. Others get 401 without an
// accepted credential and 403 with one, as problem documents.
//
// The handler must take the tenant from the principal and from nowhere else
// (P14).
func (g *Gate) Handle(mux *http.ServeMux, pattern string, roles []Role, h func(http.ResponseWriter, *http.Request, Principal)) {
	route := Route{Pattern: pattern, Roles: slices.Clone(roles)}
	g.mu.Lock()
	g.routes = append(g.routes, route)
	g.mu.Unlock()
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		p, err := g.who.Authenticate(r)
		if err != nil {
			g.log.InfoContext(r.Context(), "request not authenticated", "route", pattern, "err", err)
			WriteUnauthorized(w, err)
			return
		}
		if !slices.Contains(route.Roles, p.Role) {
			g.log.InfoContext(r.Context(), "request denied", "route", pattern, "principal", p)
			fault.WriteProblem(w, fault.Denied.Errorf("this is not for the role %s", p.Role))
			return
		}
		h(w, r, p)
	})
}

// Routes returns every guarded route and who it opens to, by pattern, for
// tests and for the record of who may do what.
func (g *Gate) Routes() []Route {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := slices.Clone(g.routes)
	slices.SortFunc(out, func(a, b Route) int { return strings.Compare(a.Pattern, b.Pattern) })
	return out
}
