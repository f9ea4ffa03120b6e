package event

import (
	"crypto/rand"
	"time"

	"github.com/segmentio/ksuid"
)

// ID names an event. Its time part is when the event occurred, to the second.
type ID = ksuid.KSUID

// The range of times that an ID can carry (ksuid counts seconds in 32 bits
// from May 2014).
var (
	MinTime = time.Unix(1400000000, 0).UTC()
	MaxTime = time.Unix(1400000000+1<<32-1, 0).UTC()
)

// NewID makes the ID of an event that occurred at the given time. The payload
// is a keyed hash of (tenant, service, the publisher's own id) where the
// publisher sent one, so that the same event gets the same ID, and
// [RandomPayload] otherwise. A time outside [MinTime, MaxTime] is clamped.
func NewID(at time.Time, payload [16]byte) ID {
	if at.Before(MinTime) {
		at = MinTime
	}
	if at.After(MaxTime) {
		at = MaxTime
	}
	id, err := ksuid.FromParts(at, payload[:])
	if err != nil {
		panic("event: ksuid refused a 16-byte payload: " + err.Error())
	}
	return id
}

// RandomPayload returns a payload for an event its publisher did not name.
func RandomPayload() (p [16]byte) {
	_, _ = rand.Read(p[:]) // never fails (crypto/rand, Go 1.24)
	return p
}
