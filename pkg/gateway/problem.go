package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// failure is a request that is refused as a whole, with the HTTP status that
// says so. Its sentence names no value.
type failure struct {
	status   int
	sentence string
}

func (f *failure) Error() string { return f.sentence }

func fail(status int, sentence string) error { return &failure{status, sentence} }

const openOutcome = "the events could not be stored for certain; the same request may be sent again, " +
	"and stores nothing twice if it has an Idempotency-Key or an id on every event"

// outside is what the world is told of an error.
func outside(err error) *failure {
	var f *failure
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, fault.Exhausted):
		return &failure{http.StatusInsufficientStorage, "there is no room for events"}
	case errors.Is(err, fault.Unavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &failure{http.StatusServiceUnavailable, openOutcome}
	}
	return &failure{http.StatusInternalServerError, "internal error"}
}
