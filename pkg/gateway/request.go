package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// answer answers a NATS request on lethe.publish.<tenant>.<service>.<event>
// with receipts or a problem document. Who may send there is for the server's
// permissions to say, so the topic is the credential. The body is an event's
// data, an event, a CloudEvent, or an array of these.
func (g *Gateway) answer(ctx context.Context, r eventlog.Request) []byte {
	var out any
	receipts, err := g.answerRequest(ctx, r)
	if err == nil {
		g.met.answered(http.StatusOK)
		out = Answer{receipts}
	} else {
		f := g.told(err)
		g.met.answered(f.status)
		out = fault.Problem{Type: "about:blank", Title: http.StatusText(f.status), Status: f.status, Detail: f.sentence}
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic("gateway: an answer must marshal: " + err.Error())
	}
	return b
}

func (g *Gateway) answerRequest(ctx context.Context, r eventlog.Request) ([]Receipt, error) {
	leave, err := g.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := g.space.check(); err != nil {
		return nil, err
	}
	tenant, service, name, err := event.ParsePublishTopic(r.Topic)
	if err != nil {
		return nil, fail(http.StatusBadRequest, err.Error())
	}
	key := r.Get("Idempotency-Key")
	if key == "" {
		key = r.Get("Nats-Msg-Id") // what a NATS publisher calls it
	}
	if len(key) > maxKey {
		return nil, fail(http.StatusBadRequest, "Idempotency-Key is longer than 255 bytes")
	}
	g.met.bytes.Add(float64(len(r.Data)))
	in := reader{defaults: submission{service: service, event: name}, interpret: interpretNATS}
	subs, err := in.parse(formJSON, r.Data)
	if err != nil {
		return nil, err
	}
	for i := range subs {
		if s := &subs[i]; s.problem == "" && s.event != name {
			*s = refused("event is not the event of the topic")
		}
	}
	digest := sha256.Sum256(r.Data)
	crashpoint.Reach("gateway.received")
	return g.admit(ctx, sender{
		tenant: tenant,
		// No credential has a dot in its id.
		credential: "nats." + service,
		maySend:    func(s string) bool { return s == service },
		key:        key,
		digest:     digest[:],
	}, subs)
}

// interpretNATS reads an object as an event when it has the data of one, and as
// the data itself otherwise. No field of a schema is an object.
func interpretNATS(e envelope, whole []byte, defaults submission) submission {
	switch {
	case e.specversion != nil:
		return e.structured(defaults)
	case e.data.Kind() == '{':
		return e.native(defaults)
	}
	s := defaults
	s.data = jsontext.Value(whole)
	return s
}
