package access

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Scope is what a credential is limited to beside its role, tenant and
// services. An empty Products, Routes or Networks limits nothing; an empty
// Masked masks nothing. P15.
type Scope struct {
	// Products limits it to events of some products.
	Products []string `json:"products,omitempty"`
	// Routes limits it to some of the routes that are open to its role, by
	// their patterns: "GET /v1/stats/{metric}". docs/access.md lists them.
	Routes []string `json:"routes,omitempty"`
	// Masked are the fields and dimensions that come back without their
	// values ("feature lock").
	Masked []string `json:"masked,omitempty"`
	// Networks are those that it may be used from.
	Networks []netip.Prefix `json:"networks,omitempty"`
	// Purposes are what it may be used for. Empty is what its role is for:
	// see [Role.Purpose].
	Purposes []string `json:"purposes,omitempty"`
}

// CoversProduct says whether the principal may see events of a product.
func (s Scope) CoversProduct(product string) bool { return covers(s.Products, product) }

// CoversRoute says whether the principal may use a route of its role.
func (s Scope) CoversRoute(pattern string) bool { return covers(s.Routes, pattern) }

// IsMasked says whether a field or dimension has to come back without its
// values.
func (s Scope) IsMasked(field string) bool { return slices.Contains(s.Masked, field) }

// CoversAddress says whether the principal may ask from an address. An address
// that is not known is in no network.
func (s Scope) CoversAddress(a netip.Addr) bool {
	return len(s.Networks) == 0 || slices.ContainsFunc(s.Networks, func(n netip.Prefix) bool { return n.Contains(a) })
}

// clone returns a copy that shares nothing.
func (s Scope) clone() Scope {
	return Scope{
		Products: slices.Clone(s.Products), Routes: slices.Clone(s.Routes), Masked: slices.Clone(s.Masked),
		Networks: slices.Clone(s.Networks), Purposes: slices.Clone(s.Purposes),
	}
}

// Within says whether a principal can do nothing that another cannot, but for
// what their roles and tenants say: no other service, product, network or
// time, nothing unmasked, and, of the same role, no other route or purpose.
// What its role is for anyway limits nobody's purposes.
func (p Principal) Within(outer Principal) bool {
	ok := p.seesWithin(outer) && p.networksWithin(outer) &&
		(outer.Expires.IsZero() || !p.Expires.IsZero() && !p.Expires.After(outer.Expires))
	if p.Role == outer.Role {
		ok = ok && subset(p.Routes, outer.Routes) && subset(p.purposes(), outer.given())
	}
	return ok
}

// seesWithin says whether a principal sees nothing that another does not.
func (p Principal) seesWithin(outer Principal) bool {
	return subset(p.Services, outer.Services) && subset(p.Products, outer.Products) && all(outer.Masked, p.IsMasked)
}

func (p Principal) networksWithin(outer Principal) bool {
	if len(outer.Networks) == 0 {
		return true
	}
	return len(p.Networks) > 0 && all(p.Networks, func(n netip.Prefix) bool {
		return slices.ContainsFunc(outer.Networks, func(o netip.Prefix) bool {
			return o.Bits() <= n.Bits() && o.Contains(n.Addr())
		})
	})
}

// subset says whether a limit lets nothing through that another stops.
func subset(limit, outer []string) bool {
	return len(outer) == 0 || len(limit) > 0 && all(limit, func(s string) bool { return slices.Contains(outer, s) })
}

// Grant returns the principal that p hands out when it is asked for q: where q
// says nothing, the limits of p hold. What would not be [Principal.Within] p is
// [fault.Denied]. Tenant and role are the caller's to judge.
func (p Principal) Grant(q Principal) (Principal, error) {
	q.Services, q.Scope = slices.Clone(q.Services), q.clone()
	inherit(&q.Services, p.Services)
	inherit(&q.Products, p.Products)
	inherit(&q.Networks, p.Networks)
	for _, m := range p.Masked {
		if !q.IsMasked(m) {
			q.Masked = append(q.Masked, m)
		}
	}
	if q.Role == p.Role {
		inherit(&q.Routes, p.Routes)
		inherit(&q.Purposes, p.given())
	}
	if q.Expires.IsZero() {
		q.Expires = p.Expires
	}
	if !q.Within(p) {
		return Principal{}, fault.Denied.Errorf("a credential cannot make one that may do more than itself")
	}
	return q, nil
}

func inherit[T any](limit *[]T, from []T) {
	if len(*limit) == 0 {
		*limit = slices.Clone(from)
	}
}

// purposes are those the principal may ask for.
func (p Principal) purposes() []string {
	if len(p.Purposes) == 0 {
		return []string{p.Role.Purpose()}
	}
	return p.Purposes
}

// given are the purposes the principal was limited to, if it was.
func (p Principal) given() []string {
	if slices.Equal(p.Purposes, []string{p.Role.Purpose()}) {
		return nil
	}
	return p.Purposes
}

const (
	// maxLimit is the most entries of one limit: a credential is read by
	// people.
	maxLimit = 64
	// maxExpiry is the last instant that JSON can write.
	maxExpiry = "9999-12-31T00:00:00Z"
)

var (
	namePattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,47}$`) // the rule of event.CheckName, which this package may not import
	fieldPattern   = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	productPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	purposePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9 _-]{0,46}[a-z0-9]$`)
	routePattern   = regexp.MustCompile(`^((GET|POST|PUT|PATCH|DELETE) )?/[A-Za-z0-9_./{}$-]{0,126}$`)
)

func nameOK(s string) bool { return namePattern.MatchString(s) }

// check says what about a principal cannot be. A list that is there and empty
// is refused: who wrote it meant "nothing", and it would mean "everything".
func (p Principal) check() error {
	last, _ := time.Parse(time.RFC3339, maxExpiry)
	switch {
	case !slices.Contains(Roles(), p.Role):
		return fault.Invalid.Errorf("role must be one of %v", Roles())
	case !nameOK(p.Tenant):
		return fault.Invalid.Errorf("tenant must be lower-case letters, digits, _ and -, at most 48")
	case !listOK(p.Services, nameOK):
		return badList("services", "names: lower-case letters, digits, _ and -, at most 48")
	case !listOK(p.Products, productPattern.MatchString):
		return badList("products", "names: letters, digits, dots, _ and -, at most 64")
	case !listOK(p.Routes, routePattern.MatchString):
		return badList("routes", "a method and a pattern each, as docs/access.md lists them")
	case !listOK(p.Masked, fieldPattern.MatchString):
		return badList("masked", "names of fields: lower-case letters, digits and _, at most 48")
	case !listOK(p.Networks, netip.Prefix.IsValid) || !all(p.Networks, func(n netip.Prefix) bool { return n == n.Masked() && !n.Addr().Is4In6() }):
		return badList("networks", "networks in CIDR notation without bits behind the prefix, such as 192.0.2.0/24")
	case !listOK(p.Purposes, purposePattern.MatchString) || slices.ContainsFunc(p.Purposes, func(s string) bool { return strings.Contains(s, "  ") }):
		return badList("purposes", "a few lower-case words each, at most 48 characters")
	case p.Expires.After(last):
		return fault.Invalid.Errorf("expires is too far away")
	}
	return nil
}

func badList(name, rule string) error {
	return fault.Invalid.Errorf("%s must be left out or hold between 1 and %d different ones; they are %s", name, maxLimit, rule)
}

func listOK[T comparable](list []T, ok func(T) bool) bool {
	if list == nil {
		return true
	}
	for i, item := range list {
		if !ok(item) || slices.Contains(list[:i], item) {
			return false
		}
	}
	return len(list) > 0 && len(list) <= maxLimit
}

func all[T any](items []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(items, func(t T) bool { return !ok(t) })
}
