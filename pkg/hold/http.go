package hold

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// List is the answer to GET /v1/holds.
type List struct {
	Holds []Hold `json:"holds"`
}

// maxRequest bounds the body of a request, in bytes.
const maxRequest = 64 << 10

// Routes puts the routes on mux: officers add and release, operators may look.
// Holds are those of the credential's tenant (P14).
func (k *Keeper) Routes(mux *http.ServeMux) {
	officers := []access.Role{access.Officer}
	k.handle(mux, "GET /v1/holds", []access.Role{access.Officer, access.Operator}, http.StatusOK,
		func(r *http.Request, p access.Principal) (any, error) {
			holds, err := k.List(r.Context(), p)
			for i := range holds {
				holds[i] = holds[i].told()
			}
			return List{holds}, err
		})
	k.handle(mux, "POST /v1/holds", officers, http.StatusCreated, func(r *http.Request, p access.Principal) (any, error) {
		var q Request
		if err := read(r, &q); err != nil {
			return nil, err
		}
		h, err := k.Add(r.Context(), p, q)
		return h.told(), err
	})
	k.handle(mux, "POST /v1/holds/{id}/release", officers, http.StatusOK, func(r *http.Request, p access.Principal) (any, error) {
		h, err := k.Release(r.Context(), p, r.PathValue("id"))
		return h.told(), err
	})
}

// told is a hold without how far the log is, which other tenants move. P14.
func (h Hold) told() Hold {
	h.Floor, h.Upto, h.Began = 0, 0, time.Time{}
	return h
}

// read reads a request strictly. What is wrong in it is not repeated.
func read(r *http.Request, q *Request) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(q); err != nil {
		return fault.Invalid.Errorf("the body is not a request for a hold: name, reason, until (YYYY-MM-DD), tables, services, from, to (RFC 3339)")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fault.Invalid.Errorf("the body is more than one request for a hold")
	}
	return nil
}

func (k *Keeper) handle(mux *http.ServeMux, pattern string, roles []access.Role, status int, answer func(*http.Request, access.Principal) (any, error)) {
	k.c.Gate.Handle(mux, pattern, roles, func(w http.ResponseWriter, r *http.Request, p access.Principal) {
		v, err := answer(r, p)
		if err != nil {
			if kind := fault.KindOf(err); kind == "" || kind == fault.Corrupt || kind == fault.Unavailable {
				k.c.Logger.ErrorContext(r.Context(), "request failed", "route", pattern, "err", err)
			}
			fault.WriteProblem(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // the caller has gone; nobody to tell
	})
}
