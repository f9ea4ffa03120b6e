package hold

import (
	"context"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Header is the clear part of a frame on the hold stream: that of the clean
// frame whose rows it holds, those that the hold covers, and for which hold it
// was copied.
type Header struct {
	event.CleanHeader // Class and Day are the original's; Count is the copy's
	// Hold and Until name the key that the frame is sealed under.
	Hold  string    `json:"hold"`
	Until event.Day `json:"until"`
	// CleanSeq is the sequence of the original. A reader that finds two
	// copies of one original takes the first.
	CleanSeq uint64 `json:"clean_seq"`
}

// An Opener opens clean frames: a power over the keyring.
type Opener interface {
	OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error)
}

// Open opens a frame of the hold stream. When the hold has ended it is
// keyring.ErrDestroyed.
func Open(ctx context.Context, keys Opener, data []byte) (Header, []string, []event.Row, error) {
	var h Header
	header, sealed, err := event.Unpack(data)
	if err != nil {
		return h, nil, nil, err
	}
	if err := event.ParseHeader(header, &h); err != nil {
		return h, nil, nil, err
	}
	body, err := keys.OpenClean(ctx, h.Tenant, KeyName(h.Hold), string(h.Until), header, sealed)
	if err != nil {
		return h, nil, nil, err
	}
	columns, rows, err := event.ParseCleanBody(body)
	return h, columns, rows, err
}

// parseHeader reads the clear part of a message of the hold stream.
func parseHeader(data []byte) (Header, error) {
	var h Header
	header, _, err := event.Unpack(data)
	if err == nil {
		err = event.ParseHeader(header, &h)
	}
	return h, err
}

// coversTopic says whether frames on a clean topic may be covered.
func (h Hold) coversTopic(topic string) bool {
	parts := strings.Split(strings.TrimPrefix(topic, strings.TrimSuffix(event.CleanTopics, ">")), ".")
	return len(parts) == 5 && h.Covers(parts[2], parts[0], parts[1])
}

// coversDay says whether a frame may hold rows of the hold's stretch of time,
// so that no key is used for one that does not. Its expiry day is that of the
// period that stands in its key's name, from when its events occurred; times in
// the rows may be coarser, by less than a month.
func (h Hold) coversDay(class string, day event.Day) bool {
	_, period, lasting, err := policy.ParseKeyName(class)
	if err != nil || lasting {
		return true
	}
	return (h.From.IsZero() || day >= event.DayOf(period.After(h.From.UTC()))) &&
		(h.To.IsZero() || day <= event.DayOf(period.After(h.To.UTC().AddDate(0, 0, 31))))
}

// keeps is which rows of a table's frame a hold takes: those that it covers and
// that were inside their rule when it was added, whenever they are copied. A
// rule that became shorter since takes nothing away, and one that became longer
// covers what came under it.
func (h Hold) keeps(t *policy.Table) func(*event.Row) bool {
	then, known := h.ruleThen(t.Name)
	return func(r *event.Row) bool {
		return h.CoversTime(r.OccurredAt) && r.ExpiresAt.After(h.Added) &&
			(t.Class.ExpiresAt(r.OccurredAt).After(h.Added) || known && then.After(r.OccurredAt.UTC()).After(h.Added))
	}
}

// ruleThen is the period of a table when the hold was added, where it is known.
func (h Hold) ruleThen(table string) (policy.Period, bool) {
	_, period, lasting, err := policy.ParseKeyName(h.Rules[table])
	return period, err == nil && !lasting
}

// original reads the header of a clean frame.
func original(data []byte) (h event.CleanHeader, header, sealed []byte, err error) {
	header, sealed, err = event.Unpack(data)
	if err == nil {
		err = event.ParseHeader(header, &h)
	}
	if err == nil {
		_, err = event.ParseDay(string(h.Day))
	}
	if err != nil {
		err = fault.Corrupt.Errorf("a clean frame is not readable: %w", err)
	}
	return h, header, sealed, err
}
