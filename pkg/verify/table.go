package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// checkTables looks at what the warehouse has, at its definition, and at the
// dates of every row.
func (l *look) checkTables() error {
	all, err := l.c.Warehouse.Look(l.ctx, l.c.Policy)
	if err != nil {
		return err
	}
	l.lookedAt("tables of the warehouse", "every table, view and dictionary of every database but the engine's own", len(all))
	extra := map[string]bool{}
	var staged warehouse.Sight // all tables of a rebuild
	for _, s := range all {
		if s.Listed && s.Database == warehouse.RebuildDatabase {
			staged.Rows, staged.Bytes = staged.Rows+s.Rows, staged.Bytes+s.Bytes
			staged.Listed = true
			continue
		}
		if s.Listed {
			if len(s.Projections) > 0 {
				l.broken(append([]string{"P21"}, l.promisesOfTable(s.Database, s.Table)...), tablePlace(s.Database, s.Table), "has %s, which the policy does not ask for: a second copy of its rows", plural(uint64(len(s.Projections)), "projection"))
			}
			continue
		}
		extra[s.Table] = true
		if err := l.unlistedTable(s); err != nil {
			return err
		}
	}
	l.staged(staged)
	changes, err := l.c.Warehouse.Plan(l.ctx, l.c.Policy)
	if err != nil {
		return err
	}
	l.lookedAt("definitions of tables", "columns, partitions, order, TTL and settings of each against the policy", len(l.c.Policy.Tables()))
	for _, c := range changes {
		if c.Table == "" {
			l.broken(drifted, "warehouse", "%s", c.Sentence)
			continue
		}
		database, table, found := strings.Cut(c.Table, ".")
		if !found {
			database, table = warehouse.DefaultDatabase, c.Table
		}
		if extra[table] && c.SQL == "" && !c.Rebuild {
			continue // it has a finding of its own
		}
		l.broken(append([]string{"P21"}, l.promisesOfTable(database, table)...), tablePlace(database, table), "%s", withoutPlace(c.Sentence, c.Table))
	}
	for _, t := range l.c.Policy.Tables() {
		if err := l.checkRows(t); err != nil {
			l.unseen(l.promisesOfTable(warehouse.DefaultDatabase, t.Name), tablePlace(warehouse.DefaultDatabase, t.Name), err)
		}
	}
	return nil
}

// tablePlace is what a table is called: by its own name within Lethe's
// database, and by both elsewhere.
func tablePlace(database, table string) string {
	if database == warehouse.DefaultDatabase {
		return "table " + plain(table)
	}
	return "table " + plain(database) + "." + plain(table)
}

// withoutPlace takes the table's name off a sentence that begins with it.
func withoutPlace(sentence, table string) string {
	for _, prefix := range []string{"table " + table + ": ", "table " + table + " "} {
		if rest, ok := strings.CutPrefix(sentence, prefix); ok {
			return rest
		}
	}
	return sentence
}

// promisesOfTable are those of its class, and of a table without one those of
// what no rule covers.
func (l *look) promisesOfTable(database, table string) []string {
	if strings.HasPrefix(database, warehouse.DefaultDatabase) {
		if t, ok := l.c.Policy.Table(table); ok {
			return slices.Clone(t.Class.Promises)
		}
	}
	return slices.Clone(unlisted)
}

func (l *look) unlistedTable(s warehouse.Sight) error {
	what := "a table"
	switch {
	case s.Engine == "MaterializedView":
		what = "a view that keeps a copy of what it shows"
	case strings.HasSuffix(s.Engine, "View"):
		what = "a view, which may show what the read barrier hides"
	case s.Engine == "Dictionary":
		what = "a dictionary, which keeps a copy of what it was made of"
	}
	rows := plural(s.Rows, "row")
	if s.Uncounted {
		rows = "rows that the engine has not counted"
	}
	sentence := fmt.Sprintf("is not in the policy: %s of %s (%s) that no rule covers", what, rows, plural(s.Bytes, "byte"))
	days, ended, err := l.partitionDays(s)
	if err != nil {
		return err
	}
	if days > 0 {
		// One of an earlier policy, or a copy.
		sentence += fmt.Sprintf(". It is partitioned by expiry day, as Lethe's own tables are, and %s are past their day and the grace", plural(ended, "row"))
	}
	l.broken(unlisted, tablePlace(s.Database, s.Table), "%s. Drop it, or put it in the policy", sentence)
	return nil
}

// partitionDays counts the partitions of a table that are expiry days, and the
// rows of those that have ended with their grace. Nobody may read the rows.
func (l *look) partitionDays(s warehouse.Sight) (days int, ended uint64, err error) {
	parts, err := l.c.Warehouse.LookParts(l.ctx)
	if err != nil {
		return 0, 0, err
	}
	for _, p := range parts {
		day, err := event.ParseDay(p.Partition)
		if err != nil || p.Database != s.Database || p.Table != s.Table {
			continue
		}
		days++
		if day != event.Never && l.overdue(day.Start()) {
			ended += p.Rows
		}
	}
	return days, ended, nil
}

// staged judges the tables that a rebuild fills: nothing but a rebuild has any.
func (l *look) staged(s warehouse.Sight) {
	if !s.Listed || l.stage("loader")["rebuilding"] > 0 {
		return
	}
	l.broken(unlisted, "database "+warehouse.RebuildDatabase, "holds a copy of tables, with %s (%s), and the loader tells of no rebuild: no answer comes from it, and nothing but the next rebuild drops it. Find out who made it, and drop it", plural(s.Rows, "row"), plural(s.Bytes, "byte"))
}

// checkRows reads the dates of every row of a table. P4, P5, P6, P7, P8.
func (l *look) checkRows(t *policy.Table) error {
	where := tablePlace(warehouse.DefaultDatabase, t.Name)
	days, err := l.c.Warehouse.LookRows(l.ctx, warehouse.DefaultDatabase, t.Name, warehouse.Rule{
		Lasting: t.Class.Lasting, Period: t.Class.Period, Longest: l.longest(t.Class), Since: l.shortenedAt(t),
		Now: l.now, Removed: l.removed(), Ahead: l.now.Add(doorAhead + patience),
	})
	if err != nil {
		return err
	}
	r := rule(t.Class, where, "rows", l.now)
	r.Holds = l.covering(t.Name)
	var misplaced, late, future, seq uint64
	var due time.Time
	l.rows[t.Name] = map[event.Day]uint64{}
	for _, d := range days {
		if d.Day.End().After(l.now) {
			l.rows[t.Name][d.Day] = d.Rows
		}
		r.Found += d.Rows
		r.Hidden += d.Hidden
		r.Overdue += d.Overdue
		misplaced += d.Misplaced
		late += d.Late
		future += d.Future
		seq = max(seq, d.Seq)
		if r.Oldest == nil || d.First.Before(*r.Oldest) {
			r.Oldest = &d.First
		}
		if due.IsZero() || d.Due.Before(due) {
			due = d.Due
		}
	}
	r.past(due, l.now)
	l.rules = append(l.rules, r)
	l.lookedAt(where, "when every row happened and expires", int(r.Found))
	if r.Overdue > 0 {
		l.broken(t.Class.Promises, where, "has %s that should be gone: the rule of %s ended for the first on %s, and a day of grace later nothing of it may be on disk. The oldest happened on %s",
			plural(r.Overdue, "row"), t.Class.Period, event.DayOf(due), instant(*r.Oldest))
		l.heldBack(t, days)
	}
	switch {
	case misplaced > 0 && t.Class.Lasting:
		l.broken(t.Class.Promises, where, "has %s with an expiry day, and its rows have none", plural(misplaced, "row"))
	case misplaced > 0:
		l.broken(t.Class.Promises, where, "has %s in the partition of another day than that of their own deadline: somebody moved or altered them, and they would outlive their rule", plural(misplaced, "row"))
	}
	if late > 0 {
		l.broken(t.Class.Promises, where, "has %s that expire later than any rule they can have come under (%s after they happened): somebody moved them to a later partition", plural(late, "row"), l.longest(t.Class))
	}
	if future > 0 {
		l.broken(t.Class.Promises, where, "has %s that happened in the future: no publisher can send what is more than 5 minutes ahead, so somebody put them there, and they would outlive their rule", plural(future, "row"))
	}
	return l.unlogged(t, seq)
}

// doorAhead is how far in the future an event may have occurred that the door
// lets in (pkg/gateway).
const doorAhead = 5 * time.Minute

// unlogged looks for rows that came in no frame of the clean log. The log is
// read after the rows: what is loaded meanwhile is on it.
func (l *look) unlogged(t *policy.Table, seq uint64) error {
	if l.c.Streams == nil {
		return nil
	}
	last, known := cleanEnd(l.sights)
	if !known || seq <= last {
		return nil
	}
	sights, err := l.c.Streams(l.ctx)
	if err != nil {
		return err
	}
	if last, known = cleanEnd(sights); !known || seq <= last {
		return nil
	}
	all, err := l.c.Warehouse.Count(l.ctx, t.Name, warehouse.Days{}, 0, last)
	if err != nil {
		return err
	}
	var rows uint64
	for _, d := range all {
		rows += d.Ahead
	}
	if rows > 0 {
		l.broken(append(slices.Clone(t.Class.Promises), "P18"), tablePlace(warehouse.DefaultDatabase, t.Name),
			"has %s of frames up to sequence %d, and the clean log ends at %d: somebody put them there, or the log was made anew", plural(rows, "row"), seq, last)
	}
	return nil
}

// cleanEnd is the last sequence of the clean log.
func cleanEnd(sights []eventlog.Sight) (last uint64, known bool) {
	for _, s := range sights {
		if s.Name == eventlog.CleanStream && s.Listed {
			return s.State.Last, true
		}
	}
	return 0, false
}

// heldBack names the holds that rows which are overdue wait for.
func (l *look) heldBack(t *policy.Table, days []warehouse.Day) {
	for _, h := range l.holds {
		if h.Over(l.now) || !h.CoversTable(t.Name) {
			continue
		}
		for _, d := range days {
			if d.Overdue > 0 && h.Floor < d.Seq {
				l.note(tablePlace(warehouse.DefaultDatabase, t.Name), "rows of %s wait to be copied for the legal hold %s before they are removed", d.Day, h.Name)
				break
			}
		}
	}
}

// longest is the longest period that rows of a class may have come under: the
// present one, and those in the names of its keys, destroyed ones included.
func (l *look) longest(c *policy.Class) policy.Period {
	longest := c.Period
	for _, k := range l.keys {
		name, p, lasting, err := policy.ParseKeyName(k.Class)
		if err == nil && !lasting && name == c.Name && p.Longest() > longest.Longest() {
			longest = p
		}
	}
	return longest
}

// stale is how long work of the engine may take before it counts as stuck.
const stale = time.Hour

// checkParts looks at what rows do not show: parts that were replaced, and
// parts with a copy.
func (l *look) checkParts() error {
	all, err := l.c.Warehouse.LookParts(l.ctx)
	if err != nil {
		return err
	}
	var parts uint64
	type counted struct {
		frozen, inactive, rows, masked uint64
		first, ended                   string
	}
	tables := map[[2]string]*counted{}
	for _, p := range all {
		parts += p.Active + p.Inactive
		id := [2]string{p.Database, p.Table}
		c := tables[id]
		if c == nil {
			c = &counted{}
			tables[id] = c
		}
		if p.Frozen > 0 {
			c.frozen += p.Frozen
			if c.first == "" {
				c.first = p.Partition
			}
		}
		c.masked += p.Masked
		if p.InactiveFor > stale {
			c.inactive += p.Inactive
			c.rows += p.InactiveRows
		}
		// Of the tables of a rebuild only the parts can be looked at.
		day, err := event.ParseDay(p.Partition)
		if err == nil && day != event.Never && p.Active > 0 && p.Database == warehouse.RebuildDatabase && l.overdue(day.Start()) {
			c.ended = p.Partition
		}
	}
	l.lookedAt("parts of tables", "every part, active or not, of every table but the engine's own", int(parts))
	for id, c := range tables {
		promises, where := l.promisesOfTable(id[0], id[1]), tablePlace(id[0], id[1])
		if c.frozen > 0 {
			l.frozen(promises, where, c.frozen, c.first)
		}
		if c.inactive > 0 {
			l.broken(promises, where, "still has %s with %s on disk that a merge replaced, or somebody dropped, more than an hour ago", plural(c.inactive, "part"), plural(c.rows, "row"))
		}
		if c.masked > 0 {
			l.broken(promises, where, "has %s with rows that somebody hid and did not remove (DELETE FROM): they are in no answer and no count, and still on disk. The next run of retention removes a partition whose day has ended; for others, ALTER TABLE … APPLY DELETED MASK", plural(c.masked, "part"))
		}
		if c.ended != "" {
			l.broken(promises, where, "a rebuild left partition %s, whose day has ended", c.ended)
		}
	}
	return nil
}

// frozen says that FREEZE made a copy of parts. The engine does not tell when
// the copy is gone, so where its files can be looked at they decide.
func (l *look) frozen(promises []string, where string, parts uint64, first string) {
	if files.has(l.c) {
		l.note(where, "FREEZE made a copy of %s since the engine started (first partition %s); shadow/ shows whether it is still there", plural(parts, "part"), partition(first))
		return
	}
	l.broken(promises, where, "FREEZE made a copy of %s (first partition %s) under shadow/, where no partition that is dropped takes it along. UNFREEZE the table; the engine says so until it starts again", plural(parts, "part"), partition(first))
}

// partition is the name of one, if it is an expiry day.
func partition(name string) string {
	if _, err := event.ParseDay(name); err != nil {
		return plain(name)
	}
	return name
}

// checkUsers looks at who may do what in the warehouse. P15, and the read
// barrier.
func (l *look) checkUsers() error {
	all, err := l.c.Warehouse.LookUsers(l.ctx, l.c.Policy, l.c.KnownUsers...)
	if err != nil {
		return err
	}
	l.lookedAt("users of the warehouse", "every user, grant, role and row filter against the policy", len(warehouse.Users(l.c.Policy)))
	for _, d := range all {
		promises := slices.Clone(scope)
		if slices.Contains([]string{warehouse.UserAnalyst, warehouse.UserSQL, warehouse.UserView}, d.User) { // see cells alone
			promises = append(promises, "P19")
		}
		if d.Table != "" {
			promises = append(promises, l.promisesOfTable(warehouse.DefaultDatabase, d.Table)...)
		}
		l.broken(promises, "user "+plain(d.User), "%s", d.Sentence)
	}
	return nil
}
