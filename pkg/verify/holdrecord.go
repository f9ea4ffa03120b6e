package verify

import (
	"encoding/json"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/hold"
)

// recordedHold is what is on record of a legal hold.
type recordedHold struct {
	added           time.Time
	name            string
	deadline        event.Day
	released, ended bool
	rows, frames    uint64 // the most that was copied
}

// heldRecord is what is on record of all legal holds. A hold may be years old,
// so everything is read, and what was read is not read again.
type heldRecord struct {
	read  map[int]int64 // entries, by year
	holds map[string]*recordedHold
	since time.Time // the first entry
}

// update reads what came on record since the last time.
func (r *heldRecord) update(l *look) error {
	if r.holds == nil {
		r.read, r.holds = map[int]int64{}, map[string]*recordedHold{}
	}
	for _, t := range l.c.Audit.Trees() {
		if r.read[t.Year] > t.Size { // another log
			*r = heldRecord{}
			return r.update(l)
		}
		for b, err := range l.c.Audit.Entries(l.ctx, t.Year, r.read[t.Year], t.Size) {
			if err != nil {
				return err
			}
			e, err := audit.ParseEntry(b)
			if err != nil {
				return err
			}
			r.take(e)
			r.read[t.Year]++
		}
	}
	return nil
}

func (r *heldRecord) take(e audit.Entry) {
	if r.since.IsZero() || e.At.Before(r.since) {
		r.since = e.At
	}
	var h audit.Hold
	if e.Kind != audit.KindHold || json.Unmarshal(e.Detail, &h) != nil {
		return
	}
	on := r.holds[h.ID]
	if on == nil {
		if h.Verb != "add" {
			return // of a log before this one
		}
		on = &recordedHold{added: e.At, name: h.Name, deadline: h.Deadline}
		r.holds[h.ID] = on
	}
	switch h.Verb {
	case "release":
		on.released = true
	case "ended":
		on.ended = true
	}
	on.rows, on.frames = max(on.rows, h.Rows), max(on.frames, h.Frames)
}

// checkHoldRecord holds the legal holds that there are to those on record: who
// changes or removes one past the officer makes retention destroy what it kept,
// and who adds one makes it keep what has expired. P10, P18.
func (l *look) checkHoldRecord() error {
	if err := l.record.update(l); err != nil {
		return err
	}
	l.lookedAt("legal holds", "each against what is on record of it", len(l.holds))
	if l.again && l.c.Audit.Sequence() < l.through {
		return nil // what is on record is not in the tree yet, and that has a finding of its own
	}
	there := map[string]hold.Hold{}
	for _, h := range l.holds {
		there[h.ID] = h
	}
	for _, id := range sorted(l.record.holds) {
		h, is := there[id]
		l.heldAsRecorded(h, is, *l.record.holds[id])
	}
	_, _, lost := l.c.Audit.Lost()
	for _, h := range l.holds {
		if l.record.holds[h.ID] == nil && !lost && h.Added.After(l.record.since) && l.wall.Sub(h.Added) > sequenced {
			l.broken(unlisted, "legal hold "+h.Name, "is not on record: no officer added it, and retention keeps what it covers past its rule. Find out who did, and release it")
		}
	}
	return nil
}

// heldAsRecorded holds one to its record.
func (l *look) heldAsRecorded(h hold.Hold, is bool, on recordedHold) {
	promises := append([]string{"P10"}, flow...)
	where := "legal hold " + on.name
	over := !l.now.Before(on.deadline.End())
	switch {
	case over || on.released:
	case !is:
		l.broken(promises, where, "was added on %s until %s, nothing on record released it, and it is gone from the list: retention removes what it covers", instant(on.added), on.deadline)
	case on.ended:
		l.broken(promises, where, "was ended before its deadline, %s, and nothing on record released it: what it kept is gone", on.deadline)
	case h.State != hold.Active:
		l.broken(promises, where, "is %s in the list, and nothing on record released it: somebody changed it, and what it kept is removed", h.State)
	case h.Rows < on.rows || h.Frames < on.frames:
		l.broken(promises, where, "counts %s and %s in the list, and %s and %s are on record as copied: somebody changed it",
			plural(h.Rows, "row"), plural(h.Frames, "frame"), plural(on.rows, "row"), plural(on.frames, "frame"))
	}
	if is && h.State != hold.Ended && h.Deadline != on.deadline {
		l.broken(promises, where, "has the deadline %s in the list, and %s is on record: somebody changed it", h.Deadline, on.deadline)
	}
}
