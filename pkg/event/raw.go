package event

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Raw is an event as its publisher sent it. It may hold personal data, so it
// prints, logs and marshals as its ID and nothing else.
//
// The contents hide behind a function: methods alone are skipped by fmt for
// values in unexported fields, and fmt follows pointers on a verb it does not
// expect.
type Raw struct{ open func() *Contents }

// Contents is what a Raw hides. Only treatment reads it.
type Contents struct {
	ID         ID
	OccurredAt time.Time // millisecond resolution, UTC
	ReceivedAt time.Time
	// Identified says that the publisher named the event and dated it, so
	// that the same event may be recognized when it comes again.
	Identified bool
	// Fields are names in the order of Values. Shared by a whole frame.
	Fields []string
	Values []Value
}

// NewRaw wraps contents. The caller gives them up.
func NewRaw(c Contents) Raw {
	c.OccurredAt = c.OccurredAt.UTC().Truncate(time.Millisecond)
	c.ReceivedAt = c.ReceivedAt.UTC().Truncate(time.Millisecond)
	return Raw{open: func() *Contents { return &c }}
}

// Open returns what a Raw hides. Its callers are listed in
// pkg/structure_test.go: the frame codec and treatment.
func Open(r Raw) *Contents { return r.open() }

// ID is the one thing about a Raw that may be shown.
func (r Raw) ID() ID {
	if r.open == nil {
		return ID{}
	}
	return r.open().ID
}

// OccurredAt decides retention and key epoch.
func (r Raw) OccurredAt() time.Time { return r.open().OccurredAt }

func (r Raw) String() string               { return "raw(" + r.ID().String() + ")" }
func (r Raw) GoString() string             { return r.String() }
func (r Raw) LogValue() slog.Value         { return slog.StringValue(r.String()) }
func (r Raw) MarshalText() ([]byte, error) { return []byte(r.String()), nil }
func (r Raw) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, r.String()) }
