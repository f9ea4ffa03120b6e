package evidence

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	defaultListed = 100
	maxListed     = 1000
	// sinceAll asks for everything on record.
	sinceAll = "all"
)

// Listed are the latest entries of the log, newest first.
type Listed struct {
	Entries []ListedEntry `json:"entries"`
	// More says that there are older ones of the kind.
	More bool `json:"more"`
}

// ListedEntry is an entry and where it stands.
type ListedEntry struct {
	Place
	audit.Entry
}

// Head is the newest checkpoint: what to keep elsewhere, so that a later bundle
// can be compared with it.
type Head struct {
	// Checkpoint is a signed note; empty in a log that holds nothing.
	Checkpoint string `json:"checkpoint"`
	// Key is the verifier key, and Fingerprint its SHA-256 in hex.
	Key         string `json:"key"`
	Fingerprint string `json:"fingerprint"`
}

// Routes puts evidence and the audit log on a mux, behind the gate:
//
//	GET /v1/evidence           a bundle; ?since=YYYY-MM-DD|all, ?format=json|html
//	GET /v1/audit              the latest entries; ?kind=…&limit=…, and those
//	                           before one of them with ?before=YEAR/ENTRY
//	GET /v1/audit/checkpoint   the newest checkpoint as a signed note, and the
//	                           verifier key in the header Lethe-Verifier-Key;
//	                           ?format=json for both in one object
//
// Making a bundle is on record under the id of the credential that asked.
func (m *Maker) Routes(mux *http.ServeMux) {
	officers := []access.Role{access.Officer}
	overseers := []access.Role{access.Officer, access.Operator}
	m.c.Gate.Handle(mux, "GET /v1/evidence", overseers, m.serveEvidence, access.Installation)
	m.c.Gate.Handle(mux, "GET /v1/audit", officers, m.serveEntries, access.Installation)
	m.c.Gate.Handle(mux, "GET /v1/audit/checkpoint", overseers, m.serveCheckpoint, access.Installation)
}

func (m *Maker) serveEvidence(w http.ResponseWriter, r *http.Request, who access.Principal) {
	q, err := parameters(r, "since", "format")
	request := Request{By: who.ID}
	if err == nil {
		err = request.read(q.Get("since"), event.DayOf(m.c.Now()))
	}
	format := q.Get("format")
	if err == nil && format != "" && format != "json" && format != "html" {
		err = fault.Invalid.Errorf("format is json or html")
	}
	if err != nil {
		fault.WriteProblem(w, err)
		return
	}
	bundle, err := m.Bundle(r.Context(), request)
	if err != nil {
		m.fail(w, r, "evidence not made", err)
		return
	}
	m.c.Log.InfoContext(r.Context(), "evidence made", "bytes", len(bundle), "since", string(request.Since), "all", request.All, "principal", who)
	if format != "html" {
		answer(w, "application/json", "lethe-evidence.json", bundle)
		return
	}
	page, err := HTML(bundle, Options{})
	if err != nil {
		m.fail(w, r, "report not written", err)
		return
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	answer(w, "text/html; charset=utf-8", "", page)
}

// read takes the first day from a parameter.
func (r *Request) read(since string, today event.Day) error {
	switch since {
	case "":
		return nil
	case sinceAll:
		r.All = true
		return nil
	}
	day, err := event.ParseDay(since)
	if err != nil || day > today {
		return fault.Invalid.Errorf("since is a day that has begun, written YYYY-MM-DD, or %s", sinceAll)
	}
	r.Since = day
	return nil
}

func (m *Maker) serveEntries(w http.ResponseWriter, r *http.Request, _ access.Principal) {
	q, err := parameters(r, "kind", "limit", "before")
	limit := defaultListed
	if s := q.Get("limit"); err == nil && s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > maxListed {
			err = fault.Invalid.Errorf("limit is a number from 1 to %d", maxListed)
		}
	}
	kind := audit.Kind(q.Get("kind"))
	if err == nil && kind != "" && !slices.Contains(kinds, kind) {
		err = fault.Invalid.Errorf("kind is one of %s", joined(kinds))
	}
	var before *Place
	if s := q.Get("before"); err == nil && s != "" {
		before, err = parsePlace(s)
	}
	if err != nil {
		fault.WriteProblem(w, err)
		return
	}
	listed, err := m.latest(r.Context(), kind, limit, before)
	if err != nil {
		m.fail(w, r, "audit log not read", err)
		return
	}
	text, err := json.Marshal(listed)
	if err != nil {
		m.fail(w, r, "audit log not read", err)
		return
	}
	answer(w, "application/json", "", append(text, '\n'))
}

// parsePlace reads where an entry stands, "2026/17".
func parsePlace(s string) (*Place, error) {
	year, entry, _ := strings.Cut(s, "/")
	y, err := strconv.Atoi(year)
	n, err2 := strconv.ParseInt(entry, 10, 64)
	if err != nil || err2 != nil || y < 0 || n < 0 {
		return nil, fault.Invalid.Errorf("before is the year and the number of an entry, such as 2026/17")
	}
	return &Place{y, n}, nil
}

// Kinds are those that a list can be narrowed to.
func Kinds() []audit.Kind { return slices.Clone(kinds) }

// kinds are those that a list can be narrowed to.
var kinds = []audit.Kind{
	audit.KindKey, audit.KindRemoval, audit.KindRemoved, audit.KindManifest, audit.KindRun, audit.KindClock,
	audit.KindHold, audit.KindPolicy, audit.KindVerify, audit.KindTree, audit.KindGap, audit.KindRefused,
	audit.KindAccess, audit.KindLog,
}

func joined(kinds []audit.Kind) string {
	out := ""
	for i, k := range kinds {
		if i > 0 {
			out += ", "
		}
		out += string(k)
	}
	return out
}

// stretch is how many entries are read at a time, from the end backwards.
const stretch = 512

// latest lists the newest entries of a kind, or of all: those before one, or
// the newest there are.
func (m *Maker) latest(ctx context.Context, kind audit.Kind, limit int, before *Place) (Listed, error) {
	out := Listed{Entries: []ListedEntry{}}
	for _, t := range slices.Backward(m.c.Audit.Trees()) {
		end := t.Size
		switch {
		case before == nil || t.Year < before.Year:
		case t.Year > before.Year:
			continue
		default:
			end = min(end, before.Entry)
		}
		for to := end; to > 0; to = max(0, to-stretch) {
			from := max(0, to-stretch)
			var part []ListedEntry
			n := from
			for data, err := range m.c.Audit.Entries(ctx, t.Year, from, to) {
				if err != nil {
					return out, err
				}
				e, err := audit.ParseEntry(data)
				if err != nil {
					return out, fault.Corrupt.Errorf("an entry of %d in the audit log is not readable", t.Year)
				}
				if kind == "" || e.Kind == kind {
					part = append(part, ListedEntry{Place{t.Year, n}, e})
				}
				n++
			}
			for _, e := range slices.Backward(part) {
				if len(out.Entries) == limit {
					out.More = true
					return out, nil
				}
				out.Entries = append(out.Entries, e)
			}
		}
	}
	return out, nil
}

func (m *Maker) serveCheckpoint(w http.ResponseWriter, r *http.Request, _ access.Principal) {
	q, err := parameters(r, "format")
	format := q.Get("format")
	if err == nil && format != "" && format != "text" && format != "json" {
		err = fault.Invalid.Errorf("format is text or json")
	}
	if err != nil {
		fault.WriteProblem(w, err)
		return
	}
	head := m.Head()
	w.Header().Set("Lethe-Verifier-Key", head.Key)
	switch {
	case format == "json":
		text, err := json.Marshal(head)
		if err != nil {
			m.fail(w, r, "checkpoint not read", err)
			return
		}
		answer(w, "application/json", "", append(text, '\n'))
	case head.Checkpoint == "":
		fault.WriteProblem(w, fault.NotFound.Errorf("nothing is on record yet"))
	default:
		answer(w, "text/plain; charset=utf-8", "", []byte(head.Checkpoint))
	}
}

// Head is the newest checkpoint and the key that it can be checked with.
func (m *Maker) Head() Head {
	h := Head{Key: m.c.Audit.VerifierKey()}
	h.Fingerprint = fingerprint(h.Key)
	if trees := m.c.Audit.Trees(); len(trees) > 0 {
		h.Checkpoint = trees[len(trees)-1].Checkpoint
	}
	return h
}

// parameters returns the query of a request that has no others than these,
// each at most once.
func parameters(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return url.Values{}, fault.Invalid.Errorf("the query is not readable")
	}
	for name, values := range q {
		if !slices.Contains(known, name) {
			return url.Values{}, fault.Invalid.Errorf("there is a parameter that this does not take")
		}
		if len(values) > 1 {
			return url.Values{}, fault.Invalid.Errorf("%s is given more than once", name)
		}
	}
	return q, nil
}

func (m *Maker) fail(w http.ResponseWriter, r *http.Request, message string, err error) {
	if r.Context().Err() == nil {
		if k := fault.KindOf(err); k == "" || k == fault.Corrupt || k == fault.Unavailable {
			m.c.Log.ErrorContext(r.Context(), message, "err", err)
		}
	}
	fault.WriteProblem(w, err)
}

func answer(w http.ResponseWriter, kind, file string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if file != "" {
		w.Header().Set("Content-Disposition", `attachment; filename="`+file+`"`)
	}
	_, _ = w.Write(body) // the caller has gone; nobody to tell
}
