package loader

import (
	"context"
	"errors"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// removed says what of the log retention took out of the live tables while its
// key may still be there: a rebuild that put it back would undo what is on
// record.
type removed struct {
	clock event.Day // days before it have ended
	// present are the partitions that there are, and early those with rows
	// past the current rule.
	present, early map[partition]bool
	// repeated are rows that were never in the tables, because they repeated
	// others that may have expired since.
	repeated repeats
}

// lookRemoved compares what the rules end with what is there.
func (l *Loader) lookRemoved(ctx context.Context) (*removed, error) {
	if err := l.readClock(ctx); err != nil {
		return nil, err
	}
	out := &removed{clock: event.DayOf(l.clock), present: map[partition]bool{}, early: map[partition]bool{}}
	var err error
	if out.repeated, err = l.recall(ctx); err != nil {
		return nil, err
	}
	for _, t := range l.cfg.Policy.Tables() {
		days, err := l.cfg.Warehouse.Days(ctx, t, l.clock)
		if errors.Is(err, fault.NotFound) {
			continue // a table that is not there has nothing left of what ended
		}
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			out.present[partition{t.Name, d.Day}] = true
			out.early[partition{t.Name, d.Day}] = d.Early
		}
	}
	return out, nil
}

// sift leaves rows out of a frame: all where the day has ended and its
// partition was dropped, those past the current rule where none like them are
// left, and those that repeated others when they came. It may leave none.
func (r *removed) sift(f *frame) {
	if r == nil {
		return
	}
	r.repeated.sift(f)
	if f.table.Class.Lasting {
		return
	}
	at := partition{f.table.Name, f.header.Day}
	if f.header.Day < r.clock && !r.present[at] {
		f.rows = nil
		return
	}
	if !r.early[at] {
		f.rows = slices.DeleteFunc(f.rows, func(row event.Row) bool {
			return event.DayOf(f.table.Class.ExpiresAt(row.OccurredAt)) < r.clock
		})
	}
}
