package client

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"time"
	"unicode/utf8"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An Event is something that happened, on its way to the server.
type Event struct {
	// Event is its name, such as http_access.
	Event string
	// ID is the publisher's own id for it. An event that has one, and an
	// OccurredAt, is recognized when it is published again at any time. Use
	// something that means nothing elsewhere: no order number, no address.
	ID string
	// Service is where it happened; empty stands for Config.Service.
	Service string
	// OccurredAt is when it happened. The zero time stands for the moment in
	// which the server receives it.
	OccurredAt time.Time
	// Data is the event's data: anything that marshals to a JSON object. A
	// []byte or json.RawMessage is JSON already and is sent as it is.
	Data any
}

// An encoded event is ready to send.
type encoded struct {
	json []byte
	// identity is what the event is recognized by, or nil without an id.
	identity []byte
}

// encode writes an event as the server reads it. Its errors do not wrap those
// of encoding/json, which repeat values.
func (ev Event) encode() (encoded, error) {
	wire := struct {
		Event      string `json:"event"`
		ID         string `json:"id,omitempty"`
		OccurredAt string `json:"occurred_at,omitempty"`
		Service    string `json:"service,omitempty"`
		Data       any    `json:"data"`
	}{Event: ev.Event, ID: ev.ID, Service: ev.Service, Data: ev.Data}
	if ev.Event == "" {
		return encoded{}, fault.Invalid.Errorf("field event is missing")
	}
	if at := ev.OccurredAt.UTC(); !at.IsZero() {
		if at.Year() < 1 || at.Year() > 9999 {
			return encoded{}, fault.Invalid.Errorf("field occurred_at is outside the years 1 to 9999")
		}
		wire.OccurredAt = at.Format(time.RFC3339Nano)
	}
	switch data := ev.Data.(type) {
	case nil:
		return encoded{}, fault.Invalid.Errorf("field data is missing")
	case []byte:
		wire.Data = json.RawMessage(data)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	// encoding/json passes on RawMessage bytes that are not UTF-8, and one
	// such event would spoil the request for all others in it.
	if enc.Encode(wire) != nil || !utf8.Valid(b.Bytes()) {
		return encoded{}, fault.Invalid.Errorf("field data cannot be written as JSON")
	}
	e := encoded{json: bytes.TrimSuffix(b.Bytes(), []byte("\n"))}
	if ev.ID != "" {
		for _, s := range []string{wire.Service, wire.Event, wire.ID, wire.OccurredAt} {
			e.identity = binary.BigEndian.AppendUint32(e.identity, uint32(len(s)))
			e.identity = append(e.identity, s...)
		}
	}
	return e, nil
}

// A batch is the events of one request.
type batch []encoded

// body returns the batch as a JSON array.
func (b batch) body() []byte {
	size := 2
	for _, e := range b {
		size += len(e.json) + 1
	}
	out := append(make([]byte, 0, size), '[')
	for i, e := range b {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, e.json...)
	}
	return append(out, ']')
}

// idempotencyKey returns the key for all attempts to send the batch. When
// every event has an id it follows from those, and another process that sends
// the same batch has the same key. It is not made of the events' data: a hash
// of somebody's data in a header would be data about them.
func (b batch) idempotencyKey() string {
	h := sha256.New()
	for _, e := range b {
		if e.identity == nil {
			return rand.Text()
		}
		h.Write(e.identity)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
