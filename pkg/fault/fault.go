// Package fault names the ways in which work fails, so that a caller can act
// on the kind and never has to read the text.
//
// A [Kind] is itself an error and a constructor:
//
//	return fault.Invalid.Errorf("field %s is not an IP address", name)
//
// and errors.Is(err, fault.Invalid) holds through any wrapping. Use a kind
// only where some caller acts on it; everywhere else wrap with fmt.Errorf.
//
// What a stage of the flow does depends on the kind alone: unavailable is
// tried again, invalid is quarantined, corrupt ends the process. What an HTTP
// caller sees depends on the kind alone too: [Status] is the only table.
//
// An error never contains a value from an event. Field names, yes; values, no.
package fault

import (
	"errors"
	"fmt"
	"net/http"
)

// A Kind says what sort of failure an error is.
type Kind string

const (
	// Invalid is input that can never be accepted as it is.
	Invalid Kind = "invalid"
	// Denied is a principal asking for what was not granted.
	Denied Kind = "denied"
	// NotFound is a name that nothing answers to.
	NotFound Kind = "not found"
	// Conflict is a request that disagrees with the present state.
	Conflict Kind = "conflict"
	// Exhausted is a limit reached: size, rate, space.
	Exhausted Kind = "exhausted"
	// Unavailable is a failure that trying again later may mend.
	Unavailable Kind = "unavailable"
	// Corrupt is data that is not what was written. Going on would spread it.
	Corrupt Kind = "corrupt"
)

func (k Kind) Error() string { return string(k) }

// Errorf makes an error of this kind. The text follows fmt.Errorf, %w
// included.
func (k Kind) Errorf(format string, args ...any) error {
	return &kinded{kind: k, err: fmt.Errorf(format, args...)}
}

type kinded struct {
	kind Kind
	err  error
}

func (f *kinded) Error() string   { return f.err.Error() }
func (f *kinded) Unwrap() []error { return []error{f.kind, f.err} }

// KindOf returns the outermost kind of err, or "" when it has none.
func KindOf(err error) Kind {
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return ""
}

// Status is the HTTP status that stands for a kind. An error without a kind is
// 500, and its text is not for the outside.
func Status(k Kind) int {
	switch k {
	case Invalid:
		return http.StatusUnprocessableEntity
	case Denied:
		return http.StatusForbidden
	case NotFound:
		return http.StatusNotFound
	case Conflict:
		return http.StatusConflict
	case Exhausted:
		return http.StatusTooManyRequests
	case Unavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}
