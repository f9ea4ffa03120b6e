package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// callTimeout bounds a call whose context has no deadline.
const callTimeout = 10 * time.Second

// refusal is the server saying no. Nothing was stored.
type refusal struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// The refusals that somebody acts on (nats-server, server/errors.json).
const (
	codeNoResources        = 10023 // insufficient resources
	codeAccountLimit       = 10002 // resource limits exceeded for account
	codeStoreFailed        = 10077 // maximum bytes exceeded, and others
	codeNoStorage          = 10047 // insufficient storage resources available
	codeMessageTooLarge    = 10054
	codeHeaderTooLarge     = 10097
	codeConsumerNotFound   = 10014
	codeMessageNotFound    = 10037
	codeDeleteFailed       = 10057
	codeStreamNotFound     = 10059
	codeWrongLastSequence  = 10071
	codeWrongLastSequence2 = 10164 // the same, without the number
	codeBatchDuplicate     = 10201 // atomic batch contains a duplicate message id
)

// kind is what a refusal means to callers.
func (r *refusal) kind() fault.Kind {
	switch r.ErrCode {
	case codeNoResources, codeAccountLimit, codeNoStorage:
		return fault.Exhausted
	case codeStoreFailed:
		if r.Description == "maximum bytes exceeded" || r.Description == "maximum messages exceeded" {
			return fault.Exhausted
		}
	case codeMessageTooLarge, codeHeaderTooLarge:
		return fault.Invalid
	case codeConsumerNotFound, codeMessageNotFound, codeStreamNotFound:
		return fault.NotFound
	case codeWrongLastSequence, codeWrongLastSequence2, codeBatchDuplicate:
		return fault.Conflict
	}
	return fault.Unavailable
}

func (r *refusal) err() error {
	return r.kind().Errorf("the log refused: %s (%d)", r.Description, r.ErrCode)
}

// managed gives the errors of the jetstream package their kind.
func managed(err error) error {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		r := refusal{Code: api.Code, ErrCode: int(api.ErrorCode), Description: api.Description}
		if k := r.kind(); k != fault.Unavailable {
			return r.err()
		}
		if api.Code >= 400 && api.Code < 500 {
			return fault.Conflict.Errorf("the log refused: %s (%d)", r.Description, r.ErrCode)
		}
	}
	return unreachable(err)
}

// unreachable is an exchange that did not come about, or whose answer did not
// come back. The texts of nats.go name no values.
func unreachable(err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return fault.Unavailable.Errorf("the log does not answer: no stream takes this topic")
	}
	return fault.Unavailable.Errorf("the log does not answer: %w", err)
}

// call makes a request of the server's API and reads its answer into answer.
// Either may be nil.
func call(ctx context.Context, nc *nats.Conn, topic string, request, answer any) error {
	var body []byte
	if request != nil {
		var err error
		if body, err = json.Marshal(request); err != nil {
			panic("eventlog: a request must marshal: " + err.Error())
		}
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, topic, body)
	if err != nil {
		return unreachable(err)
	}
	return parse(msg.Data, answer)
}

// parse reads an answer of the server's API.
func parse(data []byte, answer any) error {
	var failed struct {
		Error *refusal `json:"error"`
	}
	if err := json.Unmarshal(data, &failed); err != nil {
		return fault.Unavailable.Errorf("the log gave an answer that is not readable")
	}
	if failed.Error != nil {
		return failed.Error.err()
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fault.Unavailable.Errorf("the log gave an answer that is not readable")
	}
	return nil
}

func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, callTimeout)
}
