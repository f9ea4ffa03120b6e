package verify

import (
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

func (l *look) readHolds() error {
	all, err := l.c.Holds.List(l.ctx)
	for i := range all {
		all[i].Name = all[i].Called() // one that has ended has no name
	}
	l.holds = all
	return err
}

// holdNamed is the name of a hold by its id; empty where there is none.
func (l *look) holdNamed(id string) string {
	for _, h := range l.holds {
		if h.ID == id {
			return h.Name
		}
	}
	return ""
}

// covering are the names of the holds that cover some of a table.
func (l *look) covering(table string) []string {
	var out []string
	for _, h := range l.holds {
		if !h.Over(l.now) && (len(h.Tables) == 0 || slices.Contains(h.Tables, table)) {
			out = append(out, h.Name)
		}
	}
	return out
}

// coveringClass are the names of the holds that cover some table of a class.
func (l *look) coveringClass(c *policy.Class) []string {
	var out []string
	for _, t := range l.c.Policy.Tables() {
		if t.Class == c {
			out = append(out, l.covering(t.Name)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// copies is what the hold tables and the hold stream have for one hold.
type copies struct {
	rows  uint64
	until event.Day // the latest
}

// checkHeld compares the copies of rows with the record of the holds.
func (l *look) checkHeld() error {
	all, err := l.c.Warehouse.LookHeld(l.ctx, l.c.Policy)
	if err != nil {
		return err
	}
	found := map[string]*copies{}
	var rows uint64
	for _, h := range all {
		c := found[h.Hold]
		if c == nil {
			c = &copies{}
			found[h.Hold] = c
		}
		rows += h.Rows
		c.rows += h.Rows
		c.until = max(c.until, h.Until)
	}
	l.lookedAt("copies of rows for legal holds", "every row by its hold and deadline", int(rows))
	for _, h := range l.holds {
		c := found[h.ID]
		delete(found, h.ID)
		if c == nil {
			c = &copies{}
		}
		l.heldRule(h, "tables of "+warehouseHolds, "rows", c.rows)
		if h.State == hold.Active && c.rows < h.Rows {
			l.broken(flow, "legal hold "+h.Name, "has lost %s of %d that were copied for it", plural(h.Rows-c.rows, "row"), h.Rows)
		}
		if c.rows > 0 && c.until > h.Deadline {
			l.broken(unlisted, "legal hold "+h.Name, "holds rows until %s, and its deadline is %s", c.until, h.Deadline)
		}
	}
	for _, id := range sorted(found) {
		l.broken(unlisted, "tables of "+warehouseHolds, "has %s for the hold %s, of which there is no record", plural(found[id].rows, "row"), plain(id))
	}
	return nil
}

const warehouseHolds = "lethe_hold"

// checkHeldFrames does the same for the copies of frames.
func (l *look) checkHeldFrames() error {
	where := "stream " + eventlog.HoldStream
	topics, err := l.c.Topics(l.ctx, eventlog.HoldStream, event.HoldTopics)
	if err != nil {
		return err
	}
	found := map[string]uint64{}
	for topic, n := range topics {
		parts := strings.Split(topic, ".")
		found[parts[min(2, len(parts)-1)]] += n
	}
	for _, h := range l.holds {
		l.heldRule(h, where, "frames", found[h.ID])
		if h.State == hold.Active && found[h.ID] < h.Frames {
			l.broken(flow, "legal hold "+h.Name, "has lost %s of %d that were copied for it", plural(h.Frames-found[h.ID], "frame"), h.Frames)
		}
		delete(found, h.ID)
	}
	for _, id := range sorted(found) {
		l.broken(unlisted, where, "has %s for the hold %s, of which there is no record", plural(found[id], "frame"), plain(id))
	}
	return nil
}

// holdClass begins the class of a hold's rule.
const holdClass = "hold "

// heldRule is the rule of one hold at one place. The copies of a hold go with
// the end of its last day, or when it is released.
func (l *look) heldRule(h hold.Hold, where, unit string, found uint64) {
	if h.State == hold.Ended && found == 0 {
		return
	}
	r := Rule{
		Class: holdClass + h.Name, Cluster: "Copies under the legal hold " + h.Name, Period: "until " + string(h.Deadline),
		Starts: "added " + string(event.DayOf(h.Added)), Promises: unlisted, Where: where, Unit: unit, Found: found, Holds: []string{h.Name},
	}
	if h.Over(l.now) {
		r.Hidden = found
	}
	if found > 0 {
		r.past(h.Deadline.End(), l.now)
	}
	if found > 0 && (h.State == hold.Ended || l.overdue(h.Deadline.Start())) {
		r.Overdue = found
		l.broken(unlisted, where, "still has %s of the legal hold %s, which ended on %s", plural(found, strings.TrimSuffix(unit, "s")), h.Name, h.Deadline)
	}
	l.rules = append(l.rules, r)
}
