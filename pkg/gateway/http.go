package gateway

import (
	"crypto/sha256"
	"encoding/json"
	"mime"
	"net/http"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The statuses of receipts.
const (
	Stored    = "stored"
	Duplicate = "duplicate"
	Expired   = "expired"
	Refused   = "refused"
)

// Receipt says what became of one event of a request.
type Receipt struct {
	// Index counts the events of the request from 0.
	Index int `json:"index"`
	// ID is Lethe's name of the event. It is empty when the event was not
	// stored, and for a duplicate whose first receipt had an ID that cannot
	// be made again.
	ID     string `json:"id"`
	Status string `json:"status"`
	// Problem says why an event was refused. It names fields, never values.
	Problem string `json:"problem"`
}

// Answer is the body of an answer.
type Answer struct {
	Receipts []Receipt `json:"receipts"`
}

// maxKey is the most bytes of an Idempotency-Key.
const maxKey = 255

// serve is POST /v1/events. The gate has done step 1 but for services.
func (g *Gateway) serve(w http.ResponseWriter, r *http.Request, p access.Principal) {
	receipts, err := g.serveRequest(w, r, p)
	if err != nil {
		f := g.told(err)
		g.met.answered(f.status)
		fault.WriteStatus(w, f.status, f.sentence)
		return
	}
	g.met.answered(http.StatusOK)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(Answer{receipts}) // 8; the publisher may have gone
}

func (g *Gateway) serveRequest(w http.ResponseWriter, r *http.Request, p access.Principal) ([]Receipt, error) {
	leave, err := g.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := g.space.check(); err != nil {
		return nil, err
	}
	from := sender{tenant: p.Tenant, credential: p.ID, maySend: p.MaySend, key: r.Header.Get("Idempotency-Key")}
	defaults, err := from.defaults(r, p)
	if err != nil {
		return nil, err
	}
	as, err := formOf(r.Header)
	if err != nil {
		return nil, err
	}
	body, release, err := g.readBody(w, r)
	if err != nil {
		return nil, err
	}
	defer release()
	var subs []submission
	digest := sha256.New()
	if as == formBinary {
		a, name, err := binaryMode(r.Header)
		if err != nil {
			return nil, err
		}
		if tooDeep(body) {
			return nil, fail(http.StatusBadRequest, "the JSON text is nested too deeply")
		}
		digest.Write(name)
		subs = []submission{a.submission(body, defaults)}
	} else {
		in := reader{defaults: defaults, interpret: interpretHTTP(as)}
		if subs, err = in.parse(as, body); err != nil {
			return nil, err
		}
	}
	digest.Write(body)
	from.digest = digest.Sum(nil)
	crashpoint.Reach("gateway.received")
	return g.admit(r.Context(), from, subs)
}

// defaults reads what the request says for all its events.
func (s sender) defaults(r *http.Request, p access.Principal) (submission, error) {
	var d submission
	switch {
	case len(s.key) > maxKey:
		return d, fail(http.StatusBadRequest, "Idempotency-Key is longer than 255 bytes")
	case len(r.Header.Values("Idempotency-Key")) > 1:
		return d, fail(http.StatusBadRequest, "Idempotency-Key is there twice")
	}
	query := r.URL.Query()
	switch d.service = query.Get("service"); {
	case query.Has("service") && !event.CheckName(d.service):
		return d, fail(http.StatusBadRequest, "service is not a name: "+nameRule)
	case d.service != "" && !p.MaySend(d.service):
		return d, fail(http.StatusForbidden, "this credential may not send for that service")
	}
	if len(p.Services) == 1 {
		d.sole = p.Services[0]
	}
	return d, nil
}

const nameRule = "lower-case letters, digits, _ and -, at most 48 of them"

// interpretHTTP is how an envelope of a request is read: as a CloudEvent where
// the media type says so, and otherwise as whichever of the two it is.
func interpretHTTP(as form) func(envelope, []byte, submission) submission {
	return func(e envelope, _ []byte, defaults submission) submission {
		if as == formCloud || as == formBatch || e.specversion != nil {
			return e.structured(defaults)
		}
		return e.native(defaults)
	}
}

var errMedia = fail(http.StatusUnsupportedMediaType,
	"Content-Type is not application/json, application/x-ndjson, application/cloudevents+json or application/cloudevents-batch+json")

// formOf says how a request's body holds its events.
func formOf(h http.Header) (form, error) {
	contentType := h.Get("Content-Type")
	if contentType == "" && !isBinary(h) {
		return formSniff, nil
	}
	media, params, err := "", map[string]string(nil), error(nil)
	if contentType != "" {
		if media, params, err = mime.ParseMediaType(contentType); err != nil || !isUTF8(params) {
			return 0, errMedia
		}
	}
	switch media {
	case "application/cloudevents+json":
		return formCloud, nil
	case "application/cloudevents-batch+json":
		return formBatch, nil
	}
	switch {
	case strings.HasPrefix(media, "application/cloudevents"):
		return 0, errMedia
	case isBinary(h):
		if !isJSON(contentType) {
			return 0, errMedia
		}
		return formBinary, nil
	}
	switch media {
	case "application/json", "text/json":
		return formJSON, nil
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonl", "application/x-jsonlines":
		return formLines, nil
	}
	return 0, errMedia
}

// told is what the publisher is told of an error, and the log of those that
// are ours.
func (g *Gateway) told(err error) *failure {
	f := outside(err)
	switch {
	case f.status == http.StatusInternalServerError:
		g.cfg.Log.Error("request failed", "err", err)
	case f.sentence == openOutcome:
		g.cfg.Log.Warn("events not stored for certain", "err", err)
	}
	return f
}
