package access

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// A Route is one door and who it opens to.
type Route struct {
	// Pattern is as http.ServeMux takes it: "GET /v1/stats". It is also the
	// route's name in the scope of a credential.
	Pattern string `json:"route"`
	// Roles are those it opens to. A public route opens to anyone, without a
	// credential, and has none.
	Roles  []Role `json:"roles,omitempty"`
	Public bool   `json:"public,omitempty"`
	// Recorded are the roles whose requests go on record before they are
	// served.
	Recorded []Role `json:"recorded,omitempty"`
	// Honors are the limits that the route's answer keeps to. A principal
	// with another of these limits is refused.
	Honors []Limit `json:"honors,omitempty"`
	// Installation marks a route whose answer is about all tenants. It opens
	// to those of the home tenant alone.
	Installation bool `json:"installation,omitempty"`
}

// A Limit is one that only the handler of a route can keep to.
type Limit string

// The limits that a route honors or not.
const (
	LimitServices Limit = "services"
	LimitProducts Limit = "products"
	LimitMasked   Limit = "masked"
)

// rule is a route with what only the gate needs.
type rule struct {
	Route
	who  Authenticator // nil: the gate's
	body int64
	said func(*http.Request) (Statement, error) // nil: nothing
}

// A Mark says more about a route than who it opens to.
type Mark func(*rule)

// Recorded puts every request on record. Without it, those of analysts and
// officers are.
func Recorded(r *rule) { r.Recorded = slices.Clone(r.Roles) }

// Unrecorded puts no request on record: the answer shows nothing of what is
// kept, or is asked for all the time.
func Unrecorded(r *rule) { r.Recorded = nil }

// Installation marks an answer that is about all tenants, services and
// products.
func Installation(r *rule) { r.Installation, r.Honors = true, nil }

// Honors says which limits the handler keeps to. Without it that is
// [LimitServices]; a handler that does not is in need of Honors().
func Honors(limits ...Limit) Mark {
	return func(r *rule) { r.Honors = slices.Clone(limits) }
}

// MaxBody bounds the body of a request, in bytes. Without it, the bound is
// [DefaultBody].
func MaxBody(n int64) Mark { return func(r *rule) { r.body = n } }

// By lets another than the gate's own authenticator tell whose request it is:
// one that knows sessions, or another protocol's headers.
func By(who Authenticator) Mark { return func(r *rule) { r.who = who } }

// Stating puts on record, with the decision, what a request states, as f reads
// it out of the request; f puts the body back. When f cannot, the request is
// not served.
func Stating(f func(*http.Request) (Statement, error)) Mark { return func(r *rule) { r.said = f } }

// DefaultBody is the most bytes of a request's body on a route that says
// nothing else.
const DefaultBody = 16 << 20

// newRule panics when nobody is let in or a role is unknown: a route without a
// rule does not start.
func newRule(pattern string, roles []Role, marks []Mark) *rule {
	if len(roles) == 0 || !all(roles, func(r Role) bool { return slices.Contains(Roles(), r) }) {
		panic(fmt.Sprintf("access: the route %s does not say who it opens to", pattern))
	}
	r := &rule{Route: Route{Pattern: pattern, Honors: []Limit{LimitServices}}, body: DefaultBody}
	for _, role := range Roles() { // in one order
		if slices.Contains(roles, role) {
			r.Roles = append(r.Roles, role)
			if role == Analyst || role == Officer {
				r.Recorded = append(r.Recorded, role)
			}
		}
	}
	for _, mark := range marks {
		mark(r)
	}
	return r
}

// honors says whether the route's answer keeps to all limits of a principal.
func (r *rule) honors(p Principal) bool {
	for limit, has := range map[Limit]bool{
		LimitServices: len(p.Services) > 0,
		LimitProducts: len(p.Products) > 0,
		LimitMasked:   len(p.Masked) > 0,
	} {
		if has && !slices.Contains(r.Honors, limit) {
			return false
		}
	}
	return true
}

// Matrix renders who may use which route, as a table in Markdown.
func Matrix(routes []Route) string {
	var b strings.Builder
	b.WriteString("| route | publisher | analyst | officer | operator | of |\n|---|---|---|---|---|---|\n")
	for _, r := range routes {
		fmt.Fprintf(&b, "| `%s` |", r.Pattern)
		for _, role := range Roles() {
			cell := "–"
			switch {
			case r.Public:
				cell = "anyone"
			case slices.Contains(r.Roles, role) && slices.Contains(r.Recorded, role):
				cell = "recorded"
			case slices.Contains(r.Roles, role):
				cell = "yes"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		fmt.Fprintf(&b, " %s |\n", r.of())
	}
	return b.String()
}

// path is the pattern without its method.
func (r Route) path() string { return r.Pattern[max(0, strings.Index(r.Pattern, "/")):] }

// of says in one cell whose data the answer is about.
func (r Route) of() string {
	if r.Public {
		return ""
	}
	if r.Installation {
		return "the installation"
	}
	s := "its tenant"
	for _, l := range r.Honors {
		s += ", its " + strings.Replace(string(l), "masked", "masks", 1)
	}
	return s
}
