package keyring

import (
	"fmt"
	"io"
	"log/slog"
)

// redacted is all that any value holding a key ever prints.
const redacted = "[key]"

// hidden holds a value that must never print. The value sits behind an
// unexported function, because fmt calls no methods on a value in an
// unexported field, and follows pointers on a verb it does not expect; it does
// not follow functions. The methods cover the places where they are called:
// fmt, log/slog and the encoders.
//
// Every type of this package that holds a key is a hidden, or embeds one.
type hidden[T any] struct{ open func() T }

func hide[T any](v T) hidden[T] { return hidden[T]{func() T { return v }} }

// String returns a constant. No part of the value ever prints.
func (hidden[T]) String() string { return redacted }

// GoString returns a constant.
func (hidden[T]) GoString() string { return redacted }

// Format writes a constant for every verb.
func (hidden[T]) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue logs a constant.
func (hidden[T]) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText marshals to a constant.
func (hidden[T]) MarshalText() ([]byte, error) { return []byte(redacted), nil }
