package assembly_test

import (
	"fmt"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// world is what must be in the warehouse: how many rows of which table,
// service, expiry day and moment. It knows the deletion rules as sentences of
// the calendar and nothing of how they are kept.
type world struct {
	pol    *policy.Policy
	groups map[groupName]*group
	ids    map[string]bool

	// today are the rows that were added last, by table and service.
	today map[cell]uint64
	// shortened are the classes whose rule became shorter on the way.
	shortened map[string]bool

	rows, late, lasting int
	expired             map[string]int // by table: rows that were seen to be past their rule
	ran, tried          time.Time      // the last run that ended well, and the last that began
	followed            time.Time      // when the rules last changed
}

// cell is what the checks count by.
type cell struct {
	table, service string
	day            event.Day // of expiry
}

type groupName struct {
	cell
	period policy.Period // of the rule that the rows came under
}

// group is rows that share a partition and a rule.
type group struct {
	groupName
	class    string
	lasting  bool
	occurred []int64 // Unix milliseconds
	// ends are the instants from which the rows may not be selected by the
	// rule in force, sorted; made anew when the rule changes.
	ends []int64
	past int // how many were seen to be past their rule
}

func newWorld(pol *policy.Policy) *world {
	return &world{pol: pol, groups: map[groupName]*group{}, ids: map[string]bool{}, expired: map[string]int{}, shortened: map[string]bool{}}
}

// receipt is what the receipt of a sample must say, and what the sample becomes
// in the tables.
func (w *world) receipt(x sample, now time.Time) (string, []groupName) {
	switch {
	case x.Occurred.After(now.Add(gateway.MaxAhead)):
		return gateway.Refused + ": occurred_at lies more than 5 minutes in the future", nil
	case x.bad:
		return gateway.Stored, nil
	case w.ids[x.ID]:
		return gateway.Stored, nil // in another frame, and recognized later
	}
	var out []groupName
	living := false
	for _, t := range w.pol.TablesOf(x.Event) {
		n := groupName{cell: cell{t.Name, x.Service, event.Never}, period: t.Class.Period}
		if !t.Class.Lasting {
			ends := t.Class.Period.After(x.Occurred)
			if !now.Before(ends) {
				continue
			}
			living = true
			n.day = event.DayOf(ends)
		}
		out = append(out, n)
	}
	if !living {
		return gateway.Expired, nil
	}
	return gateway.Stored, out
}

// add notes samples that were sent at an instant, and says whose receipt was
// not what it must be.
func (w *world) add(samples []sample, receipts []string, now time.Time) error {
	w.today = map[cell]uint64{}
	for i, x := range samples {
		want, names := w.receipt(x, now)
		if receipts[i] != want {
			return fmt.Errorf("a %s of %v, sent at %v, was %s and should have been %s", x.Event, x.Occurred, now, receipts[i], want)
		}
		if x.ID != "" && want == gateway.Stored {
			w.ids[x.ID] = true
		}
		for _, n := range names {
			g := w.groups[n]
			if g == nil {
				t, _ := w.pol.Table(n.table)
				g = &group{groupName: n, class: t.Class.Name, lasting: t.Class.Lasting}
				w.groups[n] = g
			}
			g.occurred = append(g.occurred, x.Occurred.UnixMilli())
			g.ends = nil
			w.rows++
			w.today[cell{table: n.table, service: n.service}]++
			if g.lasting {
				w.lasting++
			}
			if now.Sub(x.Occurred) > 24*time.Hour {
				w.late++
			}
		}
	}
	return nil
}

// follow is a change of the rules. A longer one is for what comes; a shorter
// one is for all.
func (w *world) follow(pol *policy.Policy, at time.Time) {
	w.followed = at
	for _, c := range pol.Classes() {
		if before, ok := w.pol.Class(c.Name); ok && c.Period.Longest() < before.Period.Longest() {
			w.shortened[c.Name] = true
		}
	}
	w.pol = pol
	for _, g := range w.groups {
		g.ends = nil
	}
}

// end is the instant from which a row may not be selected.
func (w *world) end(g *group, occurred int64) time.Time {
	at := time.UnixMilli(occurred).UTC()
	ends := g.period.After(at)
	if c, ok := w.pol.Class(g.class); ok {
		if now := c.Period.After(at); now.Before(ends) {
			return now
		}
	}
	return ends
}

func (w *world) endsOf(g *group) []int64 {
	if g.ends == nil {
		for _, o := range g.occurred {
			g.ends = append(g.ends, w.end(g, o).UnixMilli())
		}
		slices.Sort(g.ends)
	}
	return g.ends
}

// selectable is how many rows of each cell may be selected at an instant. Rows
// that it finds past their rule are counted, so that a test can tell that
// there were any.
func (w *world) selectable(at time.Time) map[cell]uint64 {
	out := map[cell]uint64{}
	for _, g := range w.groups {
		if g.lasting {
			out[g.cell] += uint64(len(g.occurred))
			continue
		}
		ends := w.endsOf(g)
		i, _ := slices.BinarySearch(ends, at.UnixMilli()+1)
		if i < len(ends) {
			out[g.cell] += uint64(len(ends) - i)
		}
		if i > g.past {
			w.expired[g.table] += i - g.past
			g.past = i
		}
	}
	return out
}

// over says whether the last whole run had to remove what ended at an instant.
// Early is what ended by a rule that became shorter: no run under the rule
// before could know.
func (w *world) over(end time.Time, early bool) bool {
	return !end.IsZero() && !end.After(w.ran) && (!early || w.ran.After(w.followed))
}

// stored is between how many rows of each partition the tables may hold. What
// was past its rule on a UTC day that had ended when the last whole run began
// is gone. What a later run that did not end may have removed can be gone, and
// so can a row that a shorter rule ended, from the instant of its end.
func (w *world) stored() (least, most map[cell]uint64) {
	least, most = map[cell]uint64{}, map[cell]uint64{}
	for _, g := range w.groups {
		c := cell{table: g.table, day: g.day}
		if g.lasting {
			least[c] += uint64(len(g.occurred))
			most[c] += uint64(len(g.occurred))
			continue
		}
		if !w.shortened[g.class] {
			if !w.over(g.day.End(), false) {
				most[c] += uint64(len(g.occurred))
			}
			if g.day.End().After(w.tried) {
				least[c] += uint64(len(g.occurred))
			}
			continue
		}
		for _, end := range w.endsOf(g) {
			day := event.DayOf(time.UnixMilli(end))
			if w.over(day.End(), day != g.day) || w.over(g.day.End(), false) {
				continue
			}
			most[c]++
			if day.End().After(w.tried) && (day == g.day || end > w.tried.UnixMilli()) {
				least[c]++
			}
		}
	}
	return least, most
}

// forget drops groups that are gone from everywhere, so that a day costs the
// same on the last day as on the first.
func (w *world) forget() {
	for n, g := range w.groups {
		if !g.lasting && g.past == len(g.occurred) && !g.day.End().After(w.ran) {
			delete(w.groups, n)
		}
	}
}
