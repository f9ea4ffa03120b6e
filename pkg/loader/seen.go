package loader

import (
	"bytes"
	"context"
	"encoding/binary"
	"maps"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// memory bounds what is remembered, in ids of about 12 bytes each.
type memory struct {
	loaded int // read from the warehouse for one table and day
	day    int // of one table and day
	all    int
	days   int // tables and days
}

var defaultMemory = memory{loaded: 200_000, day: 1_000_000, all: 2_000_000, days: 10_000}

// store is what is asked when memory does not rule out.
type store interface {
	Known(ctx context.Context, table string, ids []event.ID) (map[event.ID]event.Day, error)
	IDs(ctx context.Context, table string, from, to event.ID, limit int) ([]event.ID, event.ID, error)
}

// seen is net 3: it recognizes events that are in the warehouse already.
//
// The warehouse decides. What is remembered here only rules out: an id that
// cannot be stored needs no look-up, and in a healthy flow that is all of
// them. For each table and day of occurrence (ksuids of one moment sort
// together) it remembers a fingerprint of every stored id above a floor. So
// an id above the floor whose fingerprint is not there is not stored, and any
// other is looked up. A false alarm costs a look-up; there is no false
// silence, because a day is read from the warehouse before it is first used,
// and an id is remembered before it is inserted.
//
// It holds for one writer of the tables, which the loader is.
type seen struct {
	store store
	limit memory
	days  map[tableDay]*daySeen
	all   int   // fingerprints over all days
	used  int64 // counts uses, to find the day not used for longest

	latest    *daySeen // of days, or nil
	latestKey tableDay
}

type tableDay struct {
	table string
	day   int64 // days since 1970
}

type daySeen struct {
	floor event.ID // ids above it are remembered
	high  event.ID
	marks map[uint64]struct{}
	used  int64
}

func newSeen(s store, limit memory) *seen {
	return &seen{store: s, limit: limit, days: map[tableDay]*daySeen{}}
}

// forget empties the memory, after the tables have been exchanged.
func (s *seen) forget() { s.days, s.all, s.latest = map[tableDay]*daySeen{}, 0, nil }

// mark is the fingerprint of an id. Payloads are random or keyed hashes, so
// their first bytes are as good as any.
func mark(id *event.ID) uint64 { return binary.BigEndian.Uint64(id[4:12]) }

// drop takes the rows out of frames that are events which the warehouse, or an
// earlier frame, holds, and returns how many, and those that are held under
// another expiry day. Frames are in the order of the log, and the first wins.
// It may be called again after an error.
func (s *seen) drop(ctx context.Context, frames []frame) (int, repeats, error) {
	// By table, the expiry day of the row that was let through, if any.
	suspects := map[string]map[event.ID]event.Day{}
	for i := range frames {
		f := &frames[i]
		for j := range f.rows {
			row := &f.rows[j]
			if !row.Identified {
				continue
			}
			fresh, err := s.fresh(ctx, f.table.Name, &row.ID)
			if err != nil {
				return 0, nil, err
			}
			if !fresh {
				if suspects[f.table.Name] == nil {
					suspects[f.table.Name] = map[event.ID]event.Day{}
				}
				suspects[f.table.Name][row.ID] = ""
			}
		}
	}
	s.trim()
	if len(suspects) == 0 {
		return 0, nil, nil
	}
	for table, ids := range suspects {
		known, err := s.known(ctx, table, ids)
		if err != nil {
			return 0, nil, err
		}
		maps.Copy(ids, known)
	}
	dropped := 0
	repeated := repeats{}
	for i := range frames {
		f := &frames[i]
		ids := suspects[f.table.Name]
		if ids == nil {
			continue
		}
		keep := f.rows[:0]
		for j, row := range f.rows {
			if row.Identified {
				first, suspect := ids[row.ID]
				if first != "" {
					dropped++
					if first != f.header.Day {
						repeated[f.seq] = append(repeated[f.seq], j)
					}
					continue
				}
				if suspect {
					ids[row.ID] = f.header.Day
				}
			}
			keep = append(keep, row)
		}
		f.rows = keep
	}
	return dropped, repeated, nil
}

// fresh tells whether an id is certainly in no earlier row, and remembers it.
func (s *seen) fresh(ctx context.Context, table string, id *event.ID) (bool, error) {
	d, err := s.day(ctx, table, id)
	if err != nil {
		return false, err
	}
	// A suspect may pass in the end, so it counts for the highest too.
	if bytes.Compare(id[:], d.high[:]) > 0 {
		d.high = *id
	}
	if bytes.Compare(id[:], d.floor[:]) <= 0 {
		return false, nil
	}
	m := mark(id)
	if _, ok := d.marks[m]; ok {
		return false, nil
	}
	d.marks[m] = struct{}{}
	s.all++
	return true, nil
}

// known looks ids up.
func (s *seen) known(ctx context.Context, table string, ids map[event.ID]event.Day) (map[event.ID]event.Day, error) {
	list := make([]event.ID, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	return s.store.Known(ctx, table, list)
}

// day returns what is remembered of the day of an id, reading it from the
// warehouse when it is not.
func (s *seen) day(ctx context.Context, table string, id *event.ID) (*daySeen, error) {
	start := id.Time().UTC().Truncate(24 * time.Hour)
	k := tableDay{table, start.Unix() / 86400}
	if s.latest != nil && s.latestKey == k {
		return s.latest, nil // as a rule
	}
	s.used++
	if d := s.days[k]; d != nil {
		d.used, s.latest, s.latestKey = s.used, d, k
		return d, nil
	}
	from := event.NewID(start, [16]byte{})
	to := event.NewID(start.Add(24*time.Hour-time.Second), [16]byte(bytes.Repeat([]byte{0xff}, 16)))
	stored, highest, err := s.store.IDs(ctx, table, from, to, s.limit.loaded)
	if err != nil {
		return nil, err
	}
	// With no list, everything up to the highest is looked up.
	d := &daySeen{floor: highest, high: highest, marks: make(map[uint64]struct{}, len(stored)), used: s.used}
	for i := range stored {
		d.marks[mark(&stored[i])] = struct{}{}
		if bytes.Compare(stored[i][:], d.high[:]) > 0 {
			d.high = stored[i]
		}
	}
	s.all += len(d.marks)
	s.days[k], s.latest, s.latestKey = d, d, k
	return d, nil
}

// trim keeps the memory bounded. A day that is full starts over above its
// highest id, and days that nobody has used for long are forgotten: they are
// read again should they be needed.
func (s *seen) trim() {
	for _, d := range s.days {
		if len(d.marks) > s.limit.day {
			s.all -= len(d.marks)
			d.floor, d.marks = d.high, map[uint64]struct{}{}
		}
	}
	for s.all > s.limit.all || len(s.days) > s.limit.days {
		var oldest tableDay
		var d *daySeen
		for k, e := range s.days {
			if d == nil || e.used < d.used {
				oldest, d = k, e
			}
		}
		s.all -= len(d.marks)
		delete(s.days, oldest)
		s.latest = nil
	}
}
