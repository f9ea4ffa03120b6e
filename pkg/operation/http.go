package operation

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// MaxListed is how many things one list holds; its counts are of all.
const MaxListed = 2000

// QuarantineList is what waits in quarantine, oldest first.
type QuarantineList struct {
	Frames int              `json:"frames"`
	Events int              `json:"events"`
	Items  []QuarantineItem `json:"items"`
}

// QuarantineItem is one frame of events that could not be treated.
type QuarantineItem struct {
	Seq     uint64    `json:"seq"`
	At      time.Time `json:"at"`
	Tenant  string    `json:"tenant"`
	Service string    `json:"service"`
	Event   string    `json:"event"`
	Reason  string    `json:"reason"` // names a field, never a value
	Count   int       `json:"count"`  // events
}

// RedriveAnswer is what became of waiting events.
type RedriveAnswer struct {
	Read    int `json:"read"`
	Stored  int `json:"stored"`
	Waiting int `json:"waiting"`
	Expired int `json:"expired"`
}

// RebuildState is how far the latest rebuild is: requested, loading, swapping,
// done, failed, or none where there never was one.
type RebuildState struct {
	Phase  string `json:"phase"`
	Loaded uint64 `json:"loaded"` // of Target: sequences of the clean log
	Target uint64 `json:"target"`
	Rows   int    `json:"rows"`
}

// KeyList is the keyring's inventory, live keys first.
type KeyList struct {
	Live      int       `json:"live"`
	Destroyed int       `json:"destroyed"`
	Keys      []KeyInfo `json:"keys"`
}

// KeyInfo describes a key and holds none.
type KeyInfo struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // live, destroyed
	At    time.Time `json:"at"`    // since when
}

// Commands that are passed on.
const (
	CommandQuarantine = "quarantine"
	CommandRedrive    = "redrive"
	CommandRebuild    = "rebuild"
	CommandKeys       = "keys"
	CommandClock      = "clock"
	CommandReject     = "clock-reject"
	CommandRetain     = "retain"
)

// ToldParameter of POST /v1/apply, when it is true, says that people have been
// told of what they must be told of.
const ToldParameter = "told"

// RebuildRequest asks the loader for a rebuild, or only for how far one is.
type RebuildRequest struct {
	Start bool `json:"start"`
}

// Routes puts the operator's and the officer's routes on mux.
func (o *Operation) Routes(mux *http.ServeMux) {
	operators := []access.Role{access.Operator}
	overseers := []access.Role{access.Operator, access.Officer}
	all := []access.Role{access.Operator, access.Officer, access.Analyst}
	// The policy holds nothing of anybody's.
	everyLimit := access.Honors(access.LimitServices, access.LimitProducts, access.LimitMasked)

	get(o, mux, "GET /v1/status", overseers, func(ctx context.Context) (Status, error) { return o.Status(ctx) }, access.Installation, access.Unrecorded) // counts, and asked for all the time
	get(o, mux, "GET /v1/plan", overseers, func(ctx context.Context) (Plan, error) { return o.Plan(ctx) }, access.Installation)
	posted(o, mux, "POST /v1/plan", overseers, func(r *http.Request, _ access.Principal, pol *policy.Policy) (Plan, error) {
		return o.PlanFor(r.Context(), pol)
	}, access.Installation)
	posted(o, mux, "POST /v1/apply", operators, func(r *http.Request, who access.Principal, pol *policy.Policy) (Plan, error) {
		return o.Apply(r.Context(), pol, who.ID, r.URL.Query().Get(ToldParameter) == "true")
	}, access.Installation, access.Recorded)
	get(o, mux, "GET /v1/catalog", all, func(context.Context) (catalog.Catalog, error) { return catalog.New(o.c.Policy), nil }, access.Unrecorded, everyLimit)
	get(o, mux, "GET /v1/quarantine", overseers, passed[QuarantineList](o, CommandQuarantine, nil), access.Installation)
	get(o, mux, "POST /v1/quarantine/redrive", operators, passed[RedriveAnswer](o, CommandRedrive, nil), access.Installation, access.Recorded)
	get(o, mux, "GET /v1/keys", overseers, passed[KeyList](o, CommandKeys, nil), access.Installation)
	get(o, mux, "POST /v1/clock/confirm", operators, passed[any](o, CommandClock, nil), access.Installation, access.Recorded)
	get(o, mux, "POST /v1/clock/reject", operators, passed[any](o, CommandReject, nil), access.Installation, access.Recorded)
	get(o, mux, "POST /v1/retention/run", overseers, passed[any](o, CommandRetain, nil), access.Installation, access.Recorded)
	get(o, mux, "GET /v1/rebuild", overseers, passed[RebuildState](o, CommandRebuild, RebuildRequest{}), access.Installation)
	get(o, mux, "POST /v1/rebuild", operators, passed[RebuildState](o, CommandRebuild, RebuildRequest{Start: true}), access.Installation, access.Recorded)
	o.c.Gate.Handle(mux, "GET /v1/ropa", all, o.serveRecord, access.Unrecorded, everyLimit)
}

// serveRecord writes the record of processing: ?format=markdown|csv, and with
// ?form=controller|processor one of its two forms. A table is of one form, the
// controller's where none is named.
func (o *Operation) serveRecord(w http.ResponseWriter, r *http.Request, _ access.Principal) {
	form := catalog.Form(r.URL.Query().Get("form"))
	if form != "" && form != catalog.Controller && form != catalog.Processor {
		fault.WriteProblem(w, fault.Invalid.Errorf("form is controller or processor"))
		return
	}
	var kind string
	var text []byte
	switch c := catalog.New(o.c.Policy); r.URL.Query().Get("format") {
	case "", "markdown":
		kind, text = "text/markdown; charset=utf-8", c.Markdown(form)
	case "csv":
		kind, text = "text/csv; charset=utf-8; header=present", c.CSV(form)
	default:
		fault.WriteProblem(w, fault.Invalid.Errorf("format is markdown or csv"))
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(text) // the caller has gone; nobody to tell
}

func passed[T any](o *Operation, command string, request any) func(context.Context) (T, error) {
	return func(ctx context.Context) (answer T, err error) {
		err = o.ask(ctx, command, request, &answer)
		return answer, err
	}
}

func get[T any](o *Operation, mux *http.ServeMux, pattern string, roles []access.Role, answer func(context.Context) (T, error), marks ...access.Mark) {
	o.c.Gate.Handle(mux, pattern, roles, func(w http.ResponseWriter, r *http.Request, _ access.Principal) {
		v, err := answer(r.Context())
		o.write(w, pattern, v, err)
	}, marks...)
}

// posted is a route that takes a policy's documents, [policy.Documents.Archive].
func posted[T any](o *Operation, mux *http.ServeMux, pattern string, roles []access.Role, answer func(*http.Request, access.Principal, *policy.Policy) (T, error), marks ...access.Mark) {
	o.c.Gate.Handle(mux, pattern, roles, func(w http.ResponseWriter, r *http.Request, who access.Principal) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, policy.MaxArchive))
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			fault.WriteStatus(w, http.StatusRequestEntityTooLarge, "the policy's documents are too large")
			return
		} else if err != nil {
			return // the caller has gone; nobody to tell
		}
		var v T
		docs, err := policy.ParseArchive(text)
		var pol *policy.Policy
		if err == nil {
			pol, err = policy.Compile(docs)
		}
		if err == nil {
			v, err = answer(r, who, pol)
		}
		o.write(w, pattern, v, err)
	}, marks...)
}

// write answers with a value, or with what went wrong.
func (o *Operation) write(w http.ResponseWriter, pattern string, v any, err error) {
	if err != nil {
		if k := fault.KindOf(err); k == "" || k == fault.Corrupt || k == fault.Unavailable {
			o.c.Log.Error("request failed", "route", pattern, "err", err)
		}
		fault.WriteProblem(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the caller has gone; nobody to tell
}
