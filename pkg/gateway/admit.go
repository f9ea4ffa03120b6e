package gateway

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/event"
)

// sender is whose request it is, and by what the request is known when it comes
// again.
type sender struct {
	tenant     string
	credential string // safe to log
	maySend    func(service string) bool
	key        string // Idempotency-Key, may be empty
	digest     []byte // of all that tells this request's events apart
}

// place names an event of a request with an Idempotency-Key. No publisher's id
// begins like it by accident, and the keyring hashes it like any other.
func (s sender) place(index int) string {
	return "\x00" + s.credential + "\x00" + s.key + "\x00" + string(s.digest) + "\x00" + strconv.Itoa(index)
}

// admitted is what steps 2 to 4 make of a submission.
type admitted struct {
	values  []event.Value
	at      time.Time
	dated   bool // by its publisher
	named   bool // by its publisher, or by its place in a request with a key
	id      event.ID
	expired bool
	// first is the index of the event in this request that this one is the
	// same as, and its own index when there is none.
	first int
}

// maxID is the most bytes of a publisher's own id; that of a CloudEvent is its
// source and its id.
const maxID = 256

// admit takes the events of one request through steps 1 to 7 and returns a
// receipt for each, in order. An error is a failure of the whole request.
func (g *Gateway) admit(ctx context.Context, from sender, subs []submission) ([]Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.StoreTimeout)
	defer cancel()
	now := g.cfg.Now().UTC().Truncate(time.Millisecond)

	events := make([]admitted, len(subs))
	for i := range subs {
		g.authorize(&subs[i], from) // 1
		g.decode(&subs[i], &events[i])
		g.date(&subs[i], &events[i], now)
	}
	if len(subs) > 0 && everyDenied(subs) {
		return nil, fail(http.StatusForbidden, "this credential may not send for that service")
	}
	if err := g.name(ctx, from, subs, events); err != nil {
		return nil, err
	}
	frames, err := g.seal(ctx, from, subs, events, now) // 5 and 6
	if err != nil {
		return nil, err
	}
	crashpoint.Reach("gateway.sealed")
	if err := g.append(ctx, frames); err != nil {
		return nil, err
	}
	crashpoint.Reach("gateway.appended")
	receipts := receipts(subs, events, frames)
	g.met.receipted(subs, receipts)
	return receipts, nil
}

// authorize settles for which service an event is, and whether its sender may
// send for it.
func (g *Gateway) authorize(s *submission, from sender) {
	if s.problem != "" {
		return
	}
	if s.service == "" {
		s.service = s.sole
	}
	switch {
	case s.service == "":
		s.problem = "service is missing"
	case !event.CheckName(s.service):
		s.problem = "service is not a name: " + nameRule
	case !from.maySend(s.service):
		s.problem = "service is one that this credential may not send for"
		s.denied = true
	}
}

func everyDenied(subs []submission) bool {
	for _, s := range subs {
		if !s.denied {
			return false
		}
	}
	return true
}

// decode holds an event to its schema. 2.
func (g *Gateway) decode(s *submission, e *admitted) {
	if s.problem != "" {
		return
	}
	known := false
	if s.version == 0 {
		s.schema, known = g.cfg.Policy.Latest(s.event)
	} else {
		s.schema, known = g.cfg.Policy.Schema(s.event, s.version)
	}
	switch {
	case !known && s.version == 0:
		s.problem = "event names no schema"
	case !known:
		s.problem = "event names no schema of that version"
	case len(s.data) > MaxEvent:
		s.problem = tooLarge
	case len(s.id) > maxID:
		s.problem = "id is longer than 256 bytes"
	}
	if s.problem != "" {
		s.schema = nil
		return
	}
	values, problems := s.schema.Decode(s.data)
	if len(problems) > 0 {
		sentences := make([]string, len(problems))
		for i, p := range problems {
			sentences[i] = p.String()
		}
		s.problem = strings.Join(sentences, "; ")
		return
	}
	e.values = values
	e.named = s.id != ""
}

// date settles when an event occurred. 4.
func (g *Gateway) date(s *submission, e *admitted, now time.Time) {
	e.at = now
	if s.problem != "" {
		return
	}
	if s.occurred != "" {
		at, err := time.Parse(time.RFC3339Nano, s.occurred)
		switch {
		case err != nil:
			s.problem = s.dated + " is not a date and time as in RFC 3339"
			return
		case at.After(now.Add(MaxAhead)):
			s.problem = s.dated + " lies more than 5 minutes in the future"
			return
		}
		e.at, e.dated = at.UTC().Truncate(time.Millisecond), true
	}
	e.expired = g.cfg.Policy.Expired(s.event, e.at, now)
}

// name gives each event its ID, and finds those that stand in the request
// twice. 3.
func (g *Gateway) name(ctx context.Context, from sender, subs []submission, events []admitted) error {
	byService := map[string][]int{}
	for i := range events {
		e := &events[i]
		e.first = i
		switch {
		case subs[i].problem != "" || e.expired:
		case e.named:
			byService[subs[i].service] = append(byService[subs[i].service], i)
		case e.dated && from.key != "":
			// Its place in this request names it as well as an id would.
			e.named = true
			subs[i].id = from.place(i)
			byService[subs[i].service] = append(byService[subs[i].service], i)
		default:
			e.id = event.NewID(e.at, event.RandomPayload())
		}
	}
	type name struct{ event, id string }
	for service, indexes := range byService {
		ids := make([]string, len(indexes))
		for j, i := range indexes {
			ids[j] = subs[i].id
		}
		payloads, err := g.cfg.Keys.EventIDs(ctx, from.tenant, service, ids)
		if err != nil {
			return err
		}
		seen := make(map[name]int, len(indexes))
		for j, i := range indexes {
			e := &events[i]
			e.id = event.NewID(e.at, payloads[j])
			n := name{subs[i].event, subs[i].id}
			if first, ok := seen[n]; ok {
				e.first, e.id = first, events[first].id
			} else {
				seen[n] = i
			}
		}
	}
	return nil
}
