package access_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// some draws a limit over a few names; often there is none.
func some(t *rapid.T, label string, of ...string) []string {
	if rapid.Bool().Draw(t, label+" unlimited") {
		return nil
	}
	out := rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, len(of), rapid.ID).Draw(t, label)
	return out
}

var probes = []netip.Addr{
	netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.200"), netip.MustParseAddr("198.51.100.1"),
	netip.MustParseAddr("2001:db8::1"), {},
}

func principalOf(t *rapid.T, label string) access.Principal {
	p := access.Principal{
		Role: rapid.SampledFrom(access.Roles()).Draw(t, label+" role"), Tenant: "acme",
		Services: some(t, label+" services", "shop", "web", "mail"),
		Scope: access.Scope{
			Products: some(t, label+" products", "planner", "writer"),
			Routes:   some(t, label+" routes", "GET /a", "GET /b"),
			Masked:   some(t, label+" masked", "country", "path"),
			Purposes: some(t, label+" purposes", "audit", "billing"),
		},
	}
	for _, n := range some(t, label+" networks", "192.0.2.0/24", "192.0.2.0/25", "2001:db8::/32", "0.0.0.0/0") {
		p.Networks = append(p.Networks, netip.MustParsePrefix(n))
	}
	if rapid.Bool().Draw(t, label+" expires") {
		p.Expires = time.Unix(int64(rapid.IntRange(1, 3).Draw(t, label+" at")), 0)
	}
	return p
}

// able lists what a principal can do, by trying.
func able(p access.Principal) map[string]bool {
	can := map[string]bool{}
	for _, s := range []string{"shop", "web", "mail", "other"} {
		can["service "+s] = p.MayAsk(s) || p.MaySend(s)
	}
	for _, s := range []string{"planner", "writer", "other"} {
		can["product "+s] = p.CoversProduct(s)
	}
	for _, s := range []string{"country", "path", "other"} {
		can["see "+s] = !p.IsMasked(s)
	}
	for _, a := range probes {
		can["from "+a.String()] = p.CoversAddress(a)
	}
	for i := range int64(5) {
		can[fmt.Sprint("at ", i)] = p.Expires.IsZero() || time.Unix(i, 0).Before(p.Expires)
	}
	return can
}

// TestWhatACredentialHandsOutIsNeverWiderThanItself: P15. However limits are
// laid over each other, nothing opens that any of them shuts.
func TestWhatACredentialHandsOutIsNeverWiderThanItself(t *testing.T) {
	granted, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		p := principalOf(t, "first")
		for depth := range 3 {
			q := principalOf(t, fmt.Sprint("asked for ", depth))
			got, err := p.Grant(q)
			if err != nil {
				if !errors.Is(err, fault.Denied) {
					t.Fatalf("refused as %v", err)
				}
				refused++
				continue
			}
			granted++
			mine, theirs, asked := able(p), able(got), able(q)
			for what, can := range theirs {
				if can && !mine[what] {
					t.Fatalf("it can %q and what handed it out cannot", what)
				}
				if can && !asked[what] {
					t.Fatalf("it can %q and was not asked to", what)
				}
			}
			if got.Role == p.Role {
				for _, r := range []string{"GET /a", "GET /b", "GET /c"} {
					if got.CoversRoute(r) && !p.CoversRoute(r) {
						t.Fatal("it has a route of its role that what handed it out has not")
					}
				}
				for _, purpose := range got.Purposes {
					if len(p.Purposes) > 0 && !slices.Contains(p.Purposes, purpose) {
						t.Fatal("it has a purpose that what handed it out has not")
					}
				}
			}
			if !got.Within(p) {
				t.Fatal("it is not within what handed it out")
			}
			p = got
		}
	})
	if granted == 0 || refused == 0 {
		t.Errorf("%d granted and %d refused: the property says nothing", granted, refused)
	}
}

// TestALimitThatIsWiderIsRefusedAndOneLeftOutIsInherited: each limit by itself.
func TestALimitThatIsWiderIsRefusedAndOneLeftOutIsInherited(t *testing.T) {
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	prefix := netip.MustParsePrefix
	for name, c := range map[string]struct {
		mine, asked access.Principal
		refused     bool
	}{
		"nothing limited":        {access.Principal{}, access.Principal{}, false},
		"one of two services":    {access.Principal{Services: []string{"a", "b"}}, access.Principal{Services: []string{"b"}}, false},
		"another service":        {access.Principal{Services: []string{"a"}}, access.Principal{Services: []string{"a", "b"}}, true},
		"service left out":       {access.Principal{Services: []string{"a"}}, access.Principal{}, false},
		"another product":        {access.Principal{Scope: access.Scope{Products: []string{"a"}}}, access.Principal{Scope: access.Scope{Products: []string{"b"}}}, true},
		"another field masked":   {access.Principal{Scope: access.Scope{Masked: []string{"a"}}}, access.Principal{Scope: access.Scope{Masked: []string{"b"}}}, false},
		"a smaller network":      {access.Principal{Scope: access.Scope{Networks: []netip.Prefix{prefix("192.0.2.0/24")}}}, access.Principal{Scope: access.Scope{Networks: []netip.Prefix{prefix("192.0.2.128/25")}}}, false},
		"a larger network":       {access.Principal{Scope: access.Scope{Networks: []netip.Prefix{prefix("192.0.2.0/24")}}}, access.Principal{Scope: access.Scope{Networks: []netip.Prefix{prefix("192.0.0.0/16")}}}, true},
		"all of IPv6":            {access.Principal{Scope: access.Scope{Networks: []netip.Prefix{prefix("0.0.0.0/0")}}}, access.Principal{Scope: access.Scope{Networks: []netip.Prefix{prefix("::/0")}}}, true},
		"sooner":                 {access.Principal{Expires: at}, access.Principal{Expires: at.Add(-time.Hour)}, false},
		"later":                  {access.Principal{Expires: at}, access.Principal{Expires: at.Add(time.Hour)}, true},
		"another route, my role": {access.Principal{Role: access.Operator, Scope: access.Scope{Routes: []string{"GET /a"}}}, access.Principal{Role: access.Operator, Scope: access.Scope{Routes: []string{"GET /b"}}}, true},
		"another route of others": {access.Principal{Role: access.Operator, Scope: access.Scope{Routes: []string{"GET /a"}}},
			access.Principal{Role: access.Officer, Scope: access.Scope{Routes: []string{"GET /b"}}}, false},
		"a purpose, of no limit": {access.Principal{Role: access.Operator}, access.Principal{Role: access.Operator, Scope: access.Scope{Purposes: []string{"audit"}}}, false},
		"another purpose, my role": {access.Principal{Role: access.Operator, Scope: access.Scope{Purposes: []string{"audit"}}},
			access.Principal{Role: access.Operator, Scope: access.Scope{Purposes: []string{"billing"}}}, true},
	} {
		got, err := c.mine.Grant(c.asked)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && name == "service left out" && !slices.Equal(got.Services, c.mine.Services) {
			t.Errorf("%s: services %v", name, got.Services)
		}
		if err == nil && name == "another field masked" && (!got.IsMasked("a") || !got.IsMasked("b")) {
			t.Errorf("%s: a field is unmasked", name)
		}
	}
}

func TestAScopeThatCannotBeIsRefused(t *testing.T) {
	s := open(t, t.TempDir()+"/credentials.json")
	prefix := netip.MustParsePrefix
	many := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprint("s", i))
		}
		return out
	}
	for name, scope := range map[string]access.Scope{
		"an empty list":             {Products: []string{}},
		"an empty list of networks": {Networks: []netip.Prefix{}},
		"twice the same":            {Masked: []string{"a", "a"}},
		"too many":                  {Products: many(65)},
		"a field in upper case":     {Masked: []string{"Country"}},
		"a route without a path":    {Routes: []string{"GET"}},
		"an unknown method":         {Routes: []string{"FETCH /v1/stats"}},
		"a route with a query":      {Routes: []string{"GET /v1/stats?by=day"}},
		"bits behind the prefix":    {Networks: []netip.Prefix{prefix("192.0.2.1/24")}},
		"no network":                {Networks: []netip.Prefix{{}}},
		"IPv4 in IPv6":              {Networks: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("::ffff:192.0.2.0"), 120)}},
		"a purpose with an address": {Purposes: []string{"for ada@example.org"}},
		"a purpose that is long":    {Purposes: []string{"a purpose that goes on and on until nobody reads it"}},
		"a purpose of two spaces":   {Purposes: []string{"usage  statistics"}},
		"a product with a slash":    {Products: []string{"a/b"}},
	} {
		if _, err := s.Create(t.Context(), access.Principal{Role: access.Analyst, Tenant: "acme", Scope: scope}, access.Options{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := create(t, s, access.Principal{Role: access.Analyst, Tenant: "acme", Scope: access.Scope{
		Products: many(64), Routes: []string{"GET /v1/stats/{metric}", "/sql"}, Masked: []string{"country"},
		Networks: []netip.Prefix{prefix("192.0.2.0/24"), prefix("2001:db8::/32")}, Purposes: []string{"billing 2027", "usage statistics"},
	}}, access.Options{})
	if _, err := s.Identify(c.Reveal()); err != nil {
		t.Errorf("one that can be: %v", err) // the control
	}
}
