package access

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The headers in which a request says more than whose it is.
const (
	// PurposeHeader is what the request is for: one of the credential's
	// purposes. A credential for one purpose needs no such header.
	PurposeHeader = "Lethe-Purpose"
	// TenantHeader is the tenant that the sender believes to be. It chooses
	// nothing: a request that names another tenant than its credential's is
	// refused, so that a credential taken for another does no harm.
	TenantHeader = "Lethe-Tenant"
)

// A Decision is what a gate decided about a request. It holds nothing of the
// request itself: no path, no parameter, no body, but a keyed hash where a
// route is [Stating].
type Decision struct {
	Route     string
	Principal string // the credential's id
	Role      Role
	Tenant    string
	// Purpose is one of the credential's; empty where the request named
	// another.
	Purpose string
	Allowed bool
	// Reason says by which rule it was denied: role, network, route, tenant,
	// installation, limit or purpose.
	Reason string
	// Credential is the id of the one that is about to be made, rotated or
	// revoked, where that is what the request does.
	Credential string
	// Statement is what an allowed request states, where its route is
	// [Stating].
	Statement Statement
}

// A Statement says which statement a request made, without its text, which may
// hold anything.
type Statement struct {
	Hash   string // keyed, so that nobody finds the text by trying
	Length int    // bytes
}

// recordWait bounds how long a request waits to be on record.
const recordWait = 5 * time.Second

// denial is a 403 and the rule that led to it.
type denial struct {
	reason string
	error
}

func (d *denial) Unwrap() error { return d.error }

func denied(reason, format string, args ...any) *denial {
	return &denial{reason, fault.Denied.Errorf(format, args...)}
}

// decide says whose request it is and whether it may go on. Deciding and
// recording are one act:
//
//  1. who it is, and that neither the credential nor the network is locked
//  2. whether the rule and the credential's scope allow it
//  3. that the decision is on record, with what the request states
//
// The caller serves the request after 3 or not at all.
func (g *Gate) decide(r *http.Request, route *rule) (Principal, error) {
	p, err := g.identify(r, route) // 1
	if err != nil {
		g.cfg.Log.InfoContext(r.Context(), "request not authenticated", "route", route.Pattern, "err", err)
		return Principal{}, err
	}
	d := Decision{Route: route.Pattern, Principal: p.ID, Role: p.Role, Tenant: p.Tenant}
	denial := g.judge(r, route, &p) // 2
	d.Purpose, d.Allowed = p.Purpose, denial == nil
	if denial != nil {
		d.Reason = denial.reason
	}
	// Where anything is recorded, so is whom it was refused to among those who
	// ask about people's data.
	onRecord := slices.Contains(route.Recorded, p.Role) ||
		denial != nil && len(route.Recorded) > 0 && (p.Role == Analyst || p.Role == Officer)
	if denial == nil && route.said != nil {
		if d.Statement, err = route.said(r); err != nil {
			return Principal{}, err
		}
	}
	if onRecord {
		err = g.record(r.Context(), d) // 3
	}
	switch {
	case denial != nil:
		g.met.failed(failedDenied)
		g.cfg.Log.InfoContext(r.Context(), "request denied", "route", route.Pattern, "principal", p, "reason", denial.reason)
		return Principal{}, denial
	case err != nil:
		return Principal{}, err
	}
	if onRecord && p.Role == Analyst {
		g.read(p)
	}
	return p, nil
}

// identify tells whose request it is, and counts attempts that fail. P22.
func (g *Gate) identify(r *http.Request, route *rule) (Principal, error) {
	who := g.cfg.Who
	if route.who != nil {
		who = route.who
	}
	p, err := who.Authenticate(r)
	now := g.cfg.Now()
	switch {
	case errors.Is(err, ErrBadCredential):
		var rejected *rejection
		id := ""
		if errors.As(err, &rejected) {
			id = rejected.id
		}
		g.met.failed(failedCredential)
		if locked := g.failed(r, id, now); locked != nil {
			return Principal{}, locked
		}
		return Principal{}, err
	case err != nil:
		if errors.Is(err, ErrNoCredential) {
			g.met.failed(failedMissing)
		}
		return Principal{}, err
	}
	if until := g.locks.credential(p.ID, now); !until.IsZero() {
		g.met.failed(failedLocked)
		return Principal{}, newLocked(until)
	}
	return p, nil
}

// failed counts a failed attempt and says whether whoever made it is locked.
func (g *Gate) failed(r *http.Request, id string, now time.Time) error {
	until, begun := g.locks.fail(id, network(g.source(r)), now)
	if begun {
		g.cfg.Log.WarnContext(r.Context(), "access locked", "credential", id, "until", until)
		g.alert(Alert{Kind: AlertLocked, Credential: id, Until: until})
	}
	if until.IsZero() {
		return nil
	}
	return newLocked(until)
}

// judge holds a request to its route's rule and its principal's scope, and
// sets the principal's purpose.
func (g *Gate) judge(r *http.Request, route *rule, p *Principal) *denial {
	purpose, err := purposeOf(r, *p)
	p.Purpose = purpose
	tenants := r.Header.Values(TenantHeader)
	switch {
	case !slices.Contains(route.Roles, p.Role):
		return denied("role", "this is not for the role %s", p.Role)
	case !p.CoversAddress(g.source(r)):
		return g.misplaced(r, *p)
	case !p.CoversRoute(route.Pattern):
		return denied("route", "this credential is not for this route")
	case len(tenants) > 1 || len(tenants) == 1 && tenants[0] != p.Tenant:
		return denied("tenant", "this credential is not of the tenant that %s names", TenantHeader)
	case route.Installation && !g.home(*p):
		return denied("installation", "this is for those who run the installation")
	case !route.honors(*p):
		return denied("limit", "this cannot keep to what this credential is limited to")
	}
	return err
}

// misplaced is the refusal of a credential that is not for the network it is
// used from. Who has the secret and is in the wrong place may be a thief.
func (g *Gate) misplaced(r *http.Request, p Principal) *denial {
	if g.locks.tell(p.ID, g.cfg.Now()) {
		g.cfg.Log.WarnContext(r.Context(), "credential used from a wrong network", "principal", p)
		g.alert(Alert{Kind: AlertNetwork, Credential: p.ID})
	}
	return denied("network", "this credential is not for this network")
}

// purposeOf is what a request is for.
func purposeOf(r *http.Request, p Principal) (string, *denial) {
	has, said := p.purposes(), r.Header.Values(PurposeHeader)
	switch {
	case len(said) == 0 && len(has) == 1:
		return has[0], nil
	case len(said) == 0:
		return "", denied("purpose", "%s must name one of the purposes of this credential", PurposeHeader)
	case len(said) > 1 || !slices.Contains(has, said[0]):
		return "", denied("purpose", "%s does not name a purpose of this credential", PurposeHeader)
	}
	return said[0], nil
}

// record puts a decision on record.
func (g *Gate) record(ctx context.Context, d Decision) error {
	if g.cfg.Record == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recordWait)
	defer cancel()
	if err := g.cfg.Record(ctx, d); err != nil {
		g.met.failed(failedUnrecorded)
		g.cfg.Log.ErrorContext(ctx, "decision not recorded", "route", d.Route, "credential", d.Principal, "err", err)
		return fault.Unavailable.Errorf("the request cannot be put on record, and was not served")
	}
	return nil
}

// read counts what an analyst reads, and says so when it is unusually much.
// P22.
func (g *Gate) read(p Principal) {
	if g.cfg.Reads == nil {
		return
	}
	reads, median, unusual := g.cfg.Reads.Count(p.ID, g.cfg.Now())
	if !unusual {
		return
	}
	g.met.unusual.Inc()
	g.cfg.Log.Warn("reads unusual", "credential", p.ID, "reads", reads, "median", median)
	g.alert(Alert{Kind: AlertReads, Credential: p.ID, Reads: reads, Median: median})
}

// An Alert is something that somebody should look at. It names no person.
type Alert struct {
	Kind AlertKind
	// Credential is the id of the one concerned; empty when attempts were
	// made with ids that no credential has.
	Credential string
	Until      time.Time // of a lock
	Reads      int       // of today
	Median     float64   // of the days before
}

// AlertKind says what happened.
type AlertKind string

// The kinds of alerts.
const (
	AlertLocked  AlertKind = "locked"  // too many attempts failed
	AlertNetwork AlertKind = "network" // a secret was used from a wrong network
	AlertReads   AlertKind = "reads"   // an analyst reads unusually much
)

func (g *Gate) alert(a Alert) {
	if g.cfg.Alert != nil {
		g.cfg.Alert(a)
	}
}
