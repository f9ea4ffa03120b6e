package retention

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// batch is how many partitions one removal announces.
	batch = 200
	// thinBatch is how many it announces where single rows go: all that a table
	// can have, because the engine is asked once for all of them.
	thinBatch = 4000
	// patience is how many looks at a removal in a row may find it no further.
	patience = 12
)

// errUnderWay says that the engine is still at the removal of single rows, so
// that what it is at cannot be counted.
var errUnderWay = fault.Unavailable.Errorf("the engine is still removing rows past a shorter rule")

// target is one partition to remove, or the rows of it that occurred before an
// instant.
type target struct {
	database, table string
	day             event.Day
	// before is zero where the expiry day has ended, and the partition is
	// dropped. Where a rule became shorter it stays, even when all that it
	// holds are past the rule: rows of the present rule may be on their way
	// into the same partition. So parts of it are dropped, and where a part
	// holds rows of both rules single rows are removed.
	before time.Time
	// The rows were counted against these sequences.
	since, floor uint64
	tally        warehouse.Tally
}

func (t target) reason() string {
	switch {
	case t.database != warehouse.DefaultDatabase:
		return audit.ReasonCopy
	case !t.before.IsZero():
		return audit.ReasonShortened
	}
	return audit.ReasonExpired
}

func (t target) partition() audit.Partition {
	return audit.Partition{Table: t.table, Day: t.day, Rows: t.tally.Rows, New: t.tally.New}
}

// expireRows is step 3. P4, P5, P6, P7, P8.
func (u *run) expireRows(ctx context.Context) error {
	if u.journal.blind != nil || u.noFloor != nil || u.noHolds != nil {
		// Said already. Whoever cannot see what is on hold, how far the
		// loader is, or what is on record, removes no rows.
		u.leftUnseen(ctx)
		return nil
	}
	targets, err := u.targets(ctx)
	errs := []error{err}
	var ready []target
	for _, t := range targets {
		if u.ready(t) {
			ready = append(ready, t)
		}
	}
	// The oldest first; what has one reason, one cut-off and, where single rows
	// go, one table goes together.
	alike := func(a, b target) int {
		by := cmp.Or(strings.Compare(a.reason(), b.reason()), a.before.Compare(b.before))
		if by == 0 && !a.before.IsZero() {
			by = strings.Compare(a.table, b.table)
		}
		return by
	}
	slices.SortStableFunc(ready, func(a, b target) int { return cmp.Or(alike(a, b), cmp.Compare(a.day, b.day)) })
	for len(ready) > 0 {
		n, most := 1, batch
		if !ready[0].before.IsZero() {
			most = thinBatch
		}
		for n < len(ready) && n < most && alike(ready[n], ready[0]) == 0 {
			n++
		}
		err := u.remove(ctx, ready[:n])
		errs = append(errs, err)
		if u.journal.blind != nil || errors.Is(err, errLost) || ctx.Err() != nil {
			break
		}
		ready = ready[n:]
	}
	return errors.Join(errs...)
}

// leftUnseen notes what is due where nothing may be removed.
func (u *run) leftUnseen(ctx context.Context) {
	parts, _ := u.c.Warehouse.Partitions(ctx)
	for _, p := range parts {
		if ended(p.Day, u.now) {
			u.left(p.Day.End())
		}
	}
}

// targets looks for what is due. What it finds comes with the error of what it
// could not look at.
func (u *run) targets(ctx context.Context) ([]target, error) {
	parts, err := u.c.Warehouse.Partitions(ctx)
	errs := []error{err}
	var out []target
	over := map[string]bool{}
	for _, p := range parts {
		if !ended(p.Day, u.now) {
			continue
		}
		t := target{database: p.Database, table: p.Table, day: p.Day, since: u.journal.since(), floor: u.floor}
		_, known := u.c.Policy.Table(p.Table)
		if p.Database == warehouse.DefaultDatabase && known {
			over[p.Table] = true // counted below
			continue
		}
		// Nothing more is loaded into a table that is not in the policy.
		t.tally = warehouse.Tally{Day: p.Day, Rows: p.Rows}
		out = append(out, t)
	}
	for _, table := range u.c.Policy.Tables() {
		t := target{database: warehouse.DefaultDatabase, table: table.Name, since: u.journal.since(), floor: u.floor}
		add := func(all []warehouse.Tally, err error) {
			errs = append(errs, err)
			for _, n := range all {
				t.day, t.tally = n.Day, n
				out = append(out, t)
			}
		}
		if over[table.Name] {
			add(u.c.Warehouse.Count(ctx, table.Name, warehouse.Days{To: lastEnded(u.now)}, t.since, t.floor))
		}
		if table.Class.Lasting || !slices.ContainsFunc(parts, func(p warehouse.Partition) bool {
			return p.Database == warehouse.DefaultDatabase && p.Table == table.Name
		}) {
			continue
		}
		t.before = table.Class.Period.Cutoff(u.now)
		add(u.c.Warehouse.Early(ctx, table.Name, t.before, warehouse.Days{From: event.DayOf(u.now)}, t.since, t.floor))
	}
	return out, errors.Join(errs...)
}

// ready says whether a target can be removed. It is not while a hold is not
// copied, nor while the loader is at it, unless the grace is nearly over: rows
// that are removed before their round is confirmed may be loaded again, and are
// removed again with the next run.
func (u *run) ready(t target) bool {
	if t.database != warehouse.DefaultDatabase {
		return true
	}
	since := t.day.End()
	if !t.before.IsZero() {
		since = u.now // a rule that became shorter made it due, and nobody knows when
	}
	if u.underWay(t) && !late(t.day, time.Time{}, u.now) {
		u.left(since)
		return false
	}
	if u.uncopied(t.tally.Last, t.table) {
		u.wait(since, true)
		u.c.Logger.Warn("partition kept for a hold", "table", t.table, "expiry_day", string(t.day), "rows", t.tally.Rows)
		return false
	}
	if t.before.IsZero() && t.tally.Ahead > 0 && !late(t.day, time.Time{}, u.now) {
		u.wait(since, false)
		return false
	}
	// Of rows that are early only those are removed that are loaded.
	return t.before.IsZero() || t.tally.Rows > 0
}

// remove removes targets of one reason and one cut-off.
//
//  1. they are announced, on record
//  2. one by one they are removed, and looked for
//  3. those that are gone are confirmed, on record
//  4. of those that are not, because their parts hold other rows too, single
//     rows are removed, and 3 is done for them
//
// A crash between 2 and 3 is settled by the next run.
func (u *run) remove(ctx context.Context, targets []target) error {
	if err := u.guard(ctx); err != nil {
		return err
	}
	announced := audit.Removal{
		ID: rand.Text(), Since: u.journal.since(), Floor: u.floor,
		Reason: targets[0].reason(), Cutoff: targets[0].before,
	}
	if announced.Cutoff.IsZero() {
		announced.Cutoff = event.DayOf(u.now).Start()
	}
	for i := range targets {
		t := &targets[i]
		t.tally.New = u.cameWith(*t)
		announced.Partitions = append(announced.Partitions, t.partition())
	}
	if err := u.record(ctx, audit.KindRemoval, announced); err != nil { // 1
		return err
	}
	u.reach("announced")
	var gone, mixed []target
	var errs []error
	for i, t := range targets {
		if i > 0 {
			u.pause(ctx)
		}
		left, err := u.removeOne(ctx, t) // 2
		switch {
		case errors.Is(err, errLost) || ctx.Err() != nil:
			return errors.Join(append(errs, err)...) // the next run settles it
		case err != nil:
			errs = append(errs, err)
			u.failed(t)
			continue
		case left.Rows > 0 && !t.before.IsZero():
			mixed = append(mixed, t)
			continue
		case left.Rows > 0:
			errs = append(errs, stillThere(t, left))
			u.failed(t)
			continue
		}
		gone = append(gone, t)
		u.reach("removed")
	}
	errs = append(errs, u.confirm(ctx, announced.ID, gone)) // 3
	if len(mixed) == 0 || u.journal.blind != nil || ctx.Err() != nil {
		return errors.Join(errs...)
	}
	gone, err := u.thin(ctx, mixed) // 4
	errs = append(errs, err)
	if errors.Is(err, errLost) || ctx.Err() != nil {
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, u.confirm(ctx, announced.ID, gone))...)
}

// failed notes a target whose removal failed.
func (u *run) failed(t target) {
	u.unsure = true
	u.left(t.day.End())
}

func stillThere(t target, left warehouse.Tally) error {
	return fault.Unavailable.Errorf("table %s: %d rows of expiry day %s are still there after their removal", t.table, left.Rows, t.day)
}

// confirm puts on record that targets of one removal are gone.
func (u *run) confirm(ctx context.Context, removal string, targets []target) error {
	if len(targets) == 0 {
		return nil
	}
	gone := audit.Removed{Removal: removal}
	for _, t := range targets {
		gone.Partitions = append(gone.Partitions, t.partition())
		u.meter.partitions.Inc()
		u.c.Logger.Info("partition removed", "database", t.database, "table", t.table, "expiry_day", string(t.day),
			"rows", t.tally.Rows, "reason", t.reason())
	}
	u.entry.Partitions += len(targets)
	if err := u.guard(ctx); err != nil {
		return err
	}
	err := u.record(ctx, audit.KindRemoved, gone)
	u.reach("confirmed")
	return err
}

// removeOne drops a target, or of one that stays the parts that are past the
// shorter rule as a whole, and counts what is left of it.
func (u *run) removeOne(ctx context.Context, t target) (left warehouse.Tally, err error) {
	if err := u.guard(ctx); err != nil {
		return left, err
	}
	if t.before.IsZero() {
		err = u.c.Warehouse.DropIn(ctx, t.database, t.table, t.day)
	} else {
		err = u.c.Warehouse.DropEarly(ctx, t.table, t.day, t.before, t.floor)
	}
	if err != nil || t.database != warehouse.DefaultDatabase {
		return left, err // a rebuild may be filling its copy at this moment
	}
	return u.remaining(ctx, t)
}

// remaining counts what is left of a target.
func (u *run) remaining(ctx context.Context, t target) (warehouse.Tally, error) {
	days := warehouse.Days{From: t.day, To: t.day}
	var all []warehouse.Tally
	var err error
	switch _, known := u.c.Policy.Table(t.table); {
	case t.database != warehouse.DefaultDatabase || !known:
		var parts []warehouse.Partition
		parts, err = u.c.Warehouse.Partitions(ctx)
		for _, p := range parts {
			if p.Database == t.database && p.Table == t.table && p.Day == t.day {
				return warehouse.Tally{Day: t.day, Rows: p.Rows}, nil
			}
		}
		if errors.Is(err, fault.Conflict) {
			err = nil // of another table
		}
	case t.before.IsZero():
		all, err = u.c.Warehouse.Count(ctx, t.table, days, t.since, t.floor)
	default:
		all, err = u.c.Warehouse.Early(ctx, t.table, t.before, days, t.since, t.floor)
	}
	if err != nil || len(all) == 0 {
		return warehouse.Tally{}, err
	}
	return all[0], nil
}

// pause spares the engine and the disk.
func (u *run) pause(ctx context.Context) {
	if u.c.Pause <= 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(u.c.Pause):
	}
}
