package verify

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"sort"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Audit is the log of what went on record. [audit.Log] is one.
type Audit interface {
	// Check holds everything on disk to what was signed.
	Check(ctx context.Context) error
	Trees() []audit.Tree
	Sequence() uint64
	Last(kind audit.Kind) (audit.Entry, bool)
	Destroyed(key string) (time.Time, bool)
	Lost() (time.Time, audit.Began, bool)
	Entries(ctx context.Context, year int, from, to int64) iter.Seq2[[]byte, error]
}

const (
	// window is how far back what is on record is added up, and recent how
	// long what did not add up is a finding. After that it is a note: what
	// happened cannot be undone, and stays on record.
	window = 35 * 24 * time.Hour
	recent = 7 * 24 * time.Hour
	// sequenced is how long an entry may take from the stream into the tree.
	sequenced = 10 * time.Minute
)

// checkAudit reads every entry of every tree, and compares the trees with the
// stream before them.
func (l *look) checkAudit() error {
	const where = "audit log"
	switch err := l.c.Audit.Check(l.ctx); {
	case errors.Is(err, fault.Corrupt):
		// Its own words name a year and nothing else.
		l.broken(record, where, "somebody changed, cut short or removed files of it: %v. Evidence that was made before shows what it was", err)
		return nil
	case err != nil:
		return err
	}
	trees := l.c.Audit.Trees()
	r := Rule{Class: "audit", Cluster: "Lethe's own record", Promises: record}
	class := l.governing("audit", true)
	if class != nil {
		r = rule(class, where, "entries", l.now)
		r.Cutoff = time.Time{} // a tree goes whole
	}
	for _, t := range trees {
		r.Found += uint64(t.Size)
		if err := l.begun(t, &r); err != nil {
			return err
		}
		if class == nil {
			continue
		}
		if due := class.Period.After(time.Date(t.Year+1, 1, 1, 0, 0, 0, 0, time.UTC)); l.overdue(due) {
			r.Overdue += uint64(t.Size)
			l.broken(class.Promises, where, "the tree of %d should have been removed since %s", t.Year, event.DayOf(due))
		}
	}
	l.rules = append(l.rules, r)
	l.lookedAt(where, "every entry of every tree against what was signed, and the stream before them", int(r.Found))
	if len(trees) == 0 && l.wall.Sub(l.started) > startingUp {
		l.broken(record, where, "nothing at all is on record")
	}
	l.checkPolicy()
	l.checkLost(where)
	if e, ok := l.c.Audit.Last(audit.KindGap); ok {
		l.since(e.At, record, where, "entries were taken out of the audit stream before they were in a tree, and are missing since %s", instant(e.At))
	}
	if e, ok := l.c.Audit.Last(audit.KindRefused); ok {
		l.note(where, "a message that was no entry came on the audit stream, last on %s", instant(e.At))
	}
	for _, s := range l.sights {
		if s.Name == eventlog.AuditStream && s.Listed {
			l.behind(s)
		}
	}
	return nil
}

// begun is when the first entry of a tree was recorded.
func (l *look) begun(t audit.Tree, r *Rule) error {
	for b, err := range l.c.Audit.Entries(l.ctx, t.Year, 0, min(1, t.Size)) {
		if err != nil {
			return err
		}
		e, err := audit.ParseEntry(b)
		if err != nil {
			return err
		}
		if r.Oldest == nil || e.At.Before(*r.Oldest) {
			r.Oldest = &e.At
		}
	}
	return nil
}

// behind compares the trees with the stream.
func (l *look) behind(s eventlog.Sight) {
	const where = "audit log"
	at := l.c.Audit.Sequence()
	switch {
	case at > s.State.Last:
		l.broken(record, where, "the trees hold the audit stream through sequence %d, and the stream ends at %d: it was emptied or made anew", at, s.State.Last)
	case at < s.State.Last && l.wall.Sub(s.State.LastAt) > sequenced:
		l.broken(record, where, "has %s not in the tree yet, the last since %s", plural(s.State.Last-at, "entry"), instant(s.State.LastAt))
	}
}

// since is a finding while it is recent, and a note after.
func (l *look) since(at time.Time, promises []string, where, format string, args ...any) {
	if l.now.Sub(at) > recent {
		l.note(where, format, args...)
		return
	}
	l.broken(promises, where, format, args...)
}

// checkLedger adds up the manifests on record, and compares the last one with
// what the tables hold at this moment.
func (l *look) checkLedger() error {
	var ledger audit.Ledger
	manifests := 0
	early := removals{look: l}
	for e, err := range l.entries(l.now.Add(-window)) {
		if err != nil {
			return err
		}
		if e.Kind == audit.KindClock {
			l.clockDeed(e)
		}
		early.take(e)
		sum, err := ledger.Apply(e)
		if err != nil {
			return err
		}
		if sum == nil {
			continue
		}
		manifests++
		for _, w := range sum.Wrong {
			promises, where := record, "manifests"
			if w.Table != "" {
				promises, where = []string{"P18", "P10"}, tablePlace(warehouse.DefaultDatabase, w.Table)
			}
			if _, ours := l.c.Policy.Table(w.Table); w.Table != "" && !ours {
				// While such a table is there it is a finding itself.
				l.note(where, "The manifest of %s counted a table that is not in the policy. %s", instant(sum.At), w.Sentence)
				continue
			}
			l.since(sum.At, promises, where, "The manifest of %s does not add up. %s", instant(sum.At), w.Sentence)
		}
		if sum.Begins && manifests > 1 {
			l.since(sum.At, record, "manifests", "the manifest of %s continues none before it: the inventory that it should have continued was lost", instant(sum.At))
		}
	}
	early.judge(l.now, l.c.Policy.Digest())
	l.lookedAt("removals", "whether the rule of what was removed had ended, by the clock of the run", early.n)
	l.lookedAt("manifests", "those of the last 35 days, and the last one against a count of every table", manifests)
	last := ledger.Last()
	if last == nil || l.c.Warehouse == nil || l.c.Inventory == nil {
		return nil
	}
	inventory, err := l.c.Inventory(l.ctx, last.Inventory)
	if errors.Is(err, fault.NotFound) {
		l.note("manifests", "the inventory of the last manifest is not there; the next one begins a chain anew")
		return nil
	}
	if err != nil {
		return err
	}
	return l.compare(*last, inventory, &ledger)
}

// compare counts the rows up to the manifest's floor again. Partitions of
// which a removal was announced since then are left out.
func (l *look) compare(m audit.Manifest, inventory audit.Inventory, ledger *audit.Ledger) error {
	type place struct {
		table string
		day   event.Day
	}
	skip := map[place]bool{}
	for _, p := range ledger.Pending() {
		skip[place{p.Partition.Table, p.Partition.Day}] = true
	}
	for _, p := range ledger.Removed() {
		skip[place{p.Table, p.Day}] = true
	}
	for _, t := range l.c.Policy.Tables() {
		expected := map[event.Day]uint64{}
		for _, p := range inventory {
			if p.Table == t.Name {
				expected[p.Day] = p.Rows
			}
		}
		counted, err := l.c.Warehouse.Count(l.ctx, t.Name, warehouse.Days{}, 0, m.Floor)
		if err != nil {
			return err
		}
		found := map[event.Day]uint64{}
		for _, c := range counted {
			found[c.Day] = c.Rows
			l.unborn(t, c)
		}
		var more, less uint64
		var days []string
		for day := range union(expected, found) {
			if skip[place{t.Name, day}] || expected[day] == found[day] {
				continue
			}
			days = append(days, string(day))
			if found[day] > expected[day] {
				more += found[day] - expected[day]
			} else {
				less += expected[day] - found[day]
			}
		}
		sort.Strings(days)
		promises, where := append(t.Class.Promises[:len(t.Class.Promises):len(t.Class.Promises)], "P18"), tablePlace(warehouse.DefaultDatabase, t.Name)
		if more > 0 {
			l.broken(promises, where, "has %s of the days %s that the last manifest did not count and no frame after it brought: somebody put them there", plural(more, "row"), Some(days))
		}
		if less > 0 {
			l.broken(promises, where, "has lost %s of the days %s since the last manifest, and no removal is on record", plural(less, "row"), Some(days))
		}
	}
	return nil
}

// meanwhile is how many frames at most are loaded while verify looks.
const meanwhile = 100_000

// unborn finds rows of a sequence that the clean log has not reached: no frame
// brought them, and no manifest would count them.
func (l *look) unborn(t *policy.Table, c warehouse.Tally) {
	for _, s := range l.sights {
		if s.Name == eventlog.CleanStream && s.Listed && c.Last > s.State.Last+meanwhile {
			l.broken(append(t.Class.Promises[:len(t.Class.Promises):len(t.Class.Promises)], "P18"), tablePlace(warehouse.DefaultDatabase, t.Name),
				"has rows of expiry day %s with sequence %d of the clean log, which ends at %d: somebody put them there", c.Day, c.Last, s.State.Last)
		}
	}
}

func union(a, b map[event.Day]uint64) map[event.Day]bool {
	out := map[event.Day]bool{}
	for day := range a {
		out[day] = true
	}
	for day := range b {
		out[day] = true
	}
	return out
}

// entries are those on record since about an instant, in order.
func (l *look) entries(begin time.Time) iter.Seq2[audit.Entry, error] {
	return func(yield func(audit.Entry, error) bool) {
		for _, t := range l.c.Audit.Trees() {
			if t.Year < begin.Year() {
				continue
			}
			for b, err := range l.c.Audit.Entries(l.ctx, t.Year, l.from(t, begin), t.Size) {
				var e audit.Entry
				if err == nil {
					e, err = audit.ParseEntry(b)
				}
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// from is the index of the first entry of about an instant: entries of several
// recorders are nearly in the order of their times.
func (l *look) from(t audit.Tree, begin time.Time) int64 {
	n := sort.Search(int(t.Size), func(i int) bool {
		for b, err := range l.c.Audit.Entries(l.ctx, t.Year, int64(i), int64(i)+1) {
			var e struct {
				At time.Time `json:"at"`
			}
			return err != nil || json.Unmarshal(b, &e) != nil || !e.At.Before(begin)
		}
		return true
	})
	return int64(n)
}
