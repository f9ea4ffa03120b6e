package access

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	routeCreate = "POST /v1/credentials"
	routeList   = "GET /v1/credentials"
	routeRotate = "POST /v1/credentials/{id}/rotate"
	routeRevoke = "DELETE /v1/credentials/{id}"
	routeAccess = "GET /v1/access"

	// maxRequest is far more than the longest scope there can be.
	maxRequest = 64 << 10
)

// A Request describes a credential that is to be made. What is left out is
// what the asker's own credential says, and means "no limit" where that has
// none.
type Request struct {
	Role     Role     `json:"role"`
	Tenant   string   `json:"tenant,omitempty"`
	Services []string `json:"services,omitempty"`
	Scope
	Expires time.Time `json:"expires,omitzero"`
}

// A Rotation says how long the secret before lives on.
type Rotation struct {
	// Grace is a duration such as "24h"; empty is none.
	Grace string `json:"grace,omitempty"`
}

// Issued is a credential with its text, which is shown this once.
type Issued struct {
	Entry
	Credential string `json:"credential"`
}

// Listing is the credentials that there are and were, oldest first.
type Listing struct {
	Credentials []Entry `json:"credentials"`
}

// Rules is who may use which route, by its pattern.
type Rules struct {
	Routes []Route `json:"routes"`
}

// Routes puts the credentials on a mux, behind a gate:
//
//	POST   /v1/credentials              [Request] → 201 [Issued]
//	GET    /v1/credentials              → [Listing]
//	POST   /v1/credentials/{id}/rotate  [Rotation], may be left out → [Issued]
//	DELETE /v1/credentials/{id}         → 204
//	GET    /v1/access                   → [Rules]
//
// A principal sees and revokes the credentials of its tenant that see no more
// than its own, and is given none that may do more; those of the home tenant
// manage every tenant's. A change is on record before it is made.
func (s *Store) Routes(g *Gate, mux *http.ServeMux) {
	c := &desk{s, g}
	operators, overseers := []Role{Operator}, []Role{Operator, Officer}
	all := Honors(LimitServices, LimitProducts, LimitMasked) // nothing beyond one's own scope is shown or made
	g.Handle(mux, routeCreate, operators, c.create, Recorded, all, MaxBody(maxRequest))
	g.Handle(mux, routeList, overseers, c.list, all)
	g.Handle(mux, routeRotate, operators, c.rotate, Recorded, all, MaxBody(maxRequest))
	g.Handle(mux, routeRevoke, operators, c.revoke, Recorded, all, MaxBody(maxRequest))
	g.Handle(mux, routeAccess, overseers, c.rules, Unrecorded, all)
}

// desk is where credentials are managed.
type desk struct {
	store *Store
	gate  *Gate
}

func (d *desk) create(w http.ResponseWriter, r *http.Request, p Principal) {
	var q Request
	if err := read(r, &q, true); err != nil {
		fault.WriteProblem(w, err)
		return
	}
	want := Principal{Role: q.Role, Tenant: q.Tenant, Services: q.Services, Scope: q.Scope, Expires: q.Expires}
	if want.Tenant == "" {
		want.Tenant = p.Tenant
	}
	// Before anything is filled in: an empty list is not one that was left out.
	err := want.check()
	if err == nil && want.Tenant != p.Tenant && !d.gate.home(p) {
		err = fault.Denied.Errorf("this credential makes none for another tenant")
	}
	if err == nil {
		want, err = p.Grant(want)
	}
	if err != nil {
		fault.WriteProblem(w, err)
		return
	}
	c, e, err := d.store.create(r.Context(), want, Options{Before: d.before(r.Context(), routeCreate, p)})
	if err != nil {
		d.fail(w, err)
		return
	}
	d.gate.cfg.Log.InfoContext(r.Context(), "credential created", "credential", e.ID, "by", p.ID)
	answer(w, http.StatusCreated, Issued{e, c.Reveal()})
}

func (d *desk) list(w http.ResponseWriter, _ *http.Request, p Principal) {
	entries, err := d.store.List()
	if err != nil {
		d.fail(w, err)
		return
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return !d.sees(p, e) })
	answer(w, http.StatusOK, Listing{entries})
}

func (d *desk) rotate(w http.ResponseWriter, r *http.Request, p Principal) {
	var q Rotation
	err := read(r, &q, false)
	var grace time.Duration
	if err == nil && q.Grace != "" {
		if grace, err = time.ParseDuration(q.Grace); err != nil {
			err = fault.Invalid.Errorf("grace must be a duration, such as 24h")
		}
	}
	if err == nil {
		err = d.may(p, r.PathValue("id"), true)
	}
	if err != nil {
		d.fail(w, err)
		return
	}
	c, e, err := d.store.rotate(r.Context(), r.PathValue("id"), grace, d.before(r.Context(), routeRotate, p))
	if err != nil {
		d.fail(w, err)
		return
	}
	d.gate.cfg.Log.InfoContext(r.Context(), "credential rotated", "credential", e.ID, "by", p.ID)
	answer(w, http.StatusOK, Issued{e, c.Reveal()})
}

func (d *desk) revoke(w http.ResponseWriter, r *http.Request, p Principal) {
	id := r.PathValue("id")
	err := d.may(p, id, false)
	if err == nil {
		err = d.store.revoke(r.Context(), id, d.before(r.Context(), routeRevoke, p))
	}
	if err != nil {
		d.fail(w, err)
		return
	}
	d.gate.cfg.Log.InfoContext(r.Context(), "credential revoked", "credential", id, "by", p.ID)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
}

func (d *desk) rules(w http.ResponseWriter, _ *http.Request, _ Principal) {
	answer(w, http.StatusOK, Rules{d.gate.Routes()})
}

// sees says whether a principal may see a credential, and revoke it.
func (d *desk) sees(p Principal, e Entry) bool {
	return (e.Tenant == p.Tenant || d.gate.home(p)) && e.Principal().seesWithin(p)
}

// may says whether a principal may change a credential; what it may not see is
// not there. Who is given a credential's secret can do what it can, and so must
// be able to already. The limits of a credential never change, so what was so
// stays so.
func (d *desk) may(p Principal, id string, have bool) error {
	entries, err := d.store.List()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.ID == id && d.sees(p, e) })
	switch {
	case i < 0:
		return errNoSuchID
	case have && !entries[i].Principal().Within(p):
		return fault.Denied.Errorf("this credential cannot have one that may do more than itself")
	}
	return nil
}

// before puts a change on record.
func (d *desk) before(ctx context.Context, route string, p Principal) func(Entry) error {
	return func(e Entry) error {
		return d.gate.record(ctx, Decision{
			Route: route, Principal: p.ID, Role: p.Role, Tenant: p.Tenant, Purpose: p.Purpose,
			Allowed: true, Credential: e.ID,
		})
	}
}

// fail answers with an error. One without a kind is the file system's, which
// names files of this machine.
func (d *desk) fail(w http.ResponseWriter, err error) {
	if fault.KindOf(err) == "" {
		d.gate.cfg.Log.Error("credentials not written", "err", err)
		err = fault.Unavailable.Errorf("this process cannot write the credentials")
	}
	fault.WriteProblem(w, err)
}

// read reads a body of strict JSON. Its errors repeat nothing of it.
func read(r *http.Request, into any, required bool) error {
	b, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return fault.Invalid.Errorf("the body is larger than %d bytes", large.Limit)
	case err != nil:
		return fault.Invalid.Errorf("the body did not arrive whole")
	case len(b) == 0 && !required:
		return nil
	}
	if err := jsonv2.Unmarshal(b, into, jsonv2.RejectUnknownMembers(true)); err != nil {
		return fault.Invalid.Errorf("the body is not the JSON that this route takes: a field is unknown, twice there, or not of its type")
	}
	return nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller has gone; nobody to tell
}
