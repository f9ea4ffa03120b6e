package event

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Clean is one row of one table: an event after treatment. It is pseudonymous,
// not anonymous, and prints as nothing but its type.
type Clean struct{ row func() *Row }

// Row is what a Clean carries, ready for the warehouse.
type Row struct {
	// Table is the table's name in the policy.
	Table string
	// ID is the event's ID, or in a lasting table one of its own.
	ID ID
	// OccurredAt is as precise as the table's rule allows.
	OccurredAt time.Time
	// ExpiresAt is the instant from which nobody may select the row.
	ExpiresAt time.Time
	// Epoch says which key epoch of which domain its tokens were made in.
	Epoch int64
	// Identified rows are recognized by ID when they come again.
	Identified bool
	// Values are in the order of the table's columns.
	Values []Value
}

// NewClean has one caller, treatment.Apply; pkg/structure_test.go says so.
func NewClean(r Row) Clean { return Clean{row: func() *Row { return &r }} }

// Row returns the row to store.
func (c Clean) Row() *Row { return c.row() }

// ExpiryDay is the UTC day at whose end the grace begins: the row's partition
// and the name of the key its frame is sealed under.
func (c Clean) ExpiryDay() Day { return DayOf(c.row().ExpiresAt) }

func (c Clean) String() string               { return "clean" }
func (c Clean) GoString() string             { return "clean" }
func (c Clean) LogValue() slog.Value         { return slog.StringValue("clean") }
func (c Clean) MarshalText() ([]byte, error) { return []byte("clean"), nil }
func (c Clean) Format(s fmt.State, _ rune)   { _, _ = io.WriteString(s, "clean") }
