package verify

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
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
		if !h.Over(l.now) && h.CoversTable(table) {
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

// copying is for how long after the end of its expiry day a row may wait to be
// copied: a copier looks every minute.
const copying = time.Hour

// checkCopied looks for rows that only a legal hold keeps from their removal. P18:
// they are copied within a minute of being loaded as a rule, and the engine's
// own back-stop does not wait for it.
func (l *look) checkCopied() error {
	ended := event.DayOf(l.now.AddDate(0, 0, -1))
	looked := 0
	for _, h := range l.holds {
		if h.Over(l.now) {
			continue
		}
		looked++
		var late Uncopied // the first of all
		for _, t := range warehouse.HoldTables(l.c.Policy) {
			if !h.CoversTable(t.Name) {
				continue
			}
			days, err := l.c.Warehouse.Count(l.ctx, t.Name, warehouse.Days{To: ended}, h.Floor, math.MaxUint64)
			if err != nil {
				return err
			}
			for _, d := range days {
				if d.New == 0 || !d.Day.End().After(h.Added) {
					continue // what had ended before is not covered
				}
				u := Uncopied{Hold: h.ID, Table: t.Name, Day: d.Day, Rows: d.New, Removed: warehouse.Backstop(d.Day)}
				l.uncopied = append(l.uncopied, u)
				if late.Hold == "" || u.Day < late.Day {
					late = Uncopied{Hold: u.Hold, Table: u.Table, Day: u.Day, Rows: late.Rows, Removed: u.Removed}
				}
				late.Rows += u.Rows
			}
		}
		if late.Hold == "" || l.now.Sub(late.Day.End()) < copying || l.now.Sub(h.Added) < copying {
			continue
		}
		when := "from " + instant(late.Removed) + " on the engine's own back-stop removes them, and then they can be had of their frames only"
		if !l.now.Before(late.Removed) {
			when = "since " + instant(late.Removed) + " the engine's own back-stop removes them, and what is gone can be had of its frames only"
		}
		l.broken(flow, "legal hold "+h.Name, "has not copied %s whose expiry day has ended, the first of table %s on %s: retention keeps them for it, and %s. The log of the process that copies says why, as the service hold",
			plural(late.Rows, "row"), late.Table, late.Day, when)
	}
	l.lookedAt("what legal holds cover", "rows of expiry days that have ended, by how far each hold is copied", looked)
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
