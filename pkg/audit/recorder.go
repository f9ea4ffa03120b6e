package audit

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An Appender is what a Writer writes with: [eventlog.Writer] of
// [eventlog.AuditStream].
type Appender interface {
	Append(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error)
}

// A Writer is the [Recorder] over the audit stream. It is safe for concurrent
// use.
type Writer struct {
	stream Appender
	by     string
	now    func() time.Time
}

// NewRecorder makes a recorder of what by does: a service, or the id of a
// credential. now is the clock that entries bear; nil is time.Now.
func NewRecorder(w Appender, by string, now func() time.Time) *Writer {
	if now == nil {
		now = time.Now
	}
	return &Writer{w, by, now}
}

// As returns a recorder of what somebody else does.
func (w *Writer) As(by string) *Writer { return &Writer{w.stream, by, w.now} }

// Record puts an entry on record and returns when it is on disk. detail is of
// the type that [Kind] names for kind. Errors, each meaning that what was to
// be done must not be:
//
//   - [fault.Unavailable]: the entry may be on record, and may not. What was
//     recorded and not done is no harm.
//   - [fault.Exhausted]: the stream has no room
//   - [fault.Invalid]: the detail is not of the kind, or too large
func (w *Writer) Record(ctx context.Context, kind Kind, detail any) error {
	_, err := w.RecordSeq(ctx, kind, detail)
	return err
}

// RecordSeq is [Writer.Record] and returns the entry's sequence in the audit
// stream, for which [Log.Wait] waits.
func (w *Writer) RecordSeq(ctx context.Context, kind Kind, detail any) (uint64, error) {
	if _, known := details[kind]; !known {
		return 0, fault.Invalid.Errorf("there is no kind %q of entries", kind)
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return 0, fault.Invalid.Errorf("the detail of an entry of kind %s is not JSON", kind) // err may hold a value
	}
	e := Entry{ID: rand.Text(), At: w.now().UTC(), Kind: kind, By: w.by, Detail: text}
	data, err := json.Marshal(e)
	if err != nil {
		return 0, fault.Invalid.Errorf("an entry of kind %s is not JSON", kind)
	}
	// What the sequencer would refuse is refused here, where somebody can
	// still act on it.
	if _, err := ParseEntry(data); err != nil {
		return 0, fmt.Errorf("recording an entry of kind %s: %w", kind, err)
	}
	// P10: on disk before the deed.
	acks, err := w.stream.Append(ctx, []eventlog.Message{{Topic: eventlog.AuditTopic(string(kind)), ID: e.ID, Data: data}})
	if err != nil {
		return 0, fmt.Errorf("recording an entry of kind %s: %w", kind, err)
	}
	if len(acks) != 1 || acks[0].Seq == 0 {
		return 0, fault.Unavailable.Errorf("recording an entry of kind %s: the stream did not confirm it", kind)
	}
	return acks[0].Seq, nil
}
