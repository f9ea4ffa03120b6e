package retention

import (
	"context"
	"errors"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// partition is one day of one table.
type partition struct {
	table string
	day   event.Day
}

// arrivals are the loader's books: how many rows it stored, whatever became of
// them. Without them a manifest would have to believe the tables, and rows that
// went, or came, before they were first counted would explain themselves.
type arrivals struct {
	there bool   // the loader keeps books
	since uint64 // the sequence behind which it began to count
	rows  map[partition]uint64
	// known says that what the books said at the last manifest is known: opening.
	known   bool
	opening map[partition]uint64
	// lost says that it should be known and is not.
	lost bool
}

// readArrivals takes the loader's books, and its floor from them: through it
// everything is loaded and counted.
func (u *run) readArrivals(ctx context.Context) error {
	if u.c.Arrived == nil {
		return nil
	}
	// A server that was killed may have forgotten what the loader confirmed,
	// which a manifest has not.
	books, err := u.c.Arrived(ctx, max(u.floor, u.journal.since()))
	if errors.Is(err, fault.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	u.floor = books.Through
	u.arrivals = arrivals{there: true, since: books.Since, rows: byPartition(books.Rows), opening: map[partition]uint64{}}
	a, last := &u.arrivals, u.journal.Last()
	switch {
	case last == nil:
		a.known = a.since == 0
		return nil
	case last.Arrived == "":
		// The loader began to count where the last manifest ended.
		a.known = a.since == last.Floor
		return nil
	case last.ArrivedSince != a.since:
		a.lost = true
		return nil
	}
	v, err := audit.LoadInventory(ctx, u.c.Bucket, last.Arrived)
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Corrupt) {
		a.lost = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, p := range v {
		a.opening[partition{p.Table, p.Day}] = p.Rows
	}
	a.known = true
	return nil
}

func byPartition(parts []warehouse.Partition) map[partition]uint64 {
	out := make(map[partition]uint64, len(parts))
	for _, p := range parts {
		out[partition{p.Table, p.Day}] = p.Rows
	}
	return out
}

// fromTheBeginning says whether the first manifest of all can account for every
// row there ever was.
func (a *arrivals) fromTheBeginning(last *audit.Manifest) bool { return last == nil && a.known }

// inventory is the books in the form that a manifest names; nil where there are
// none.
func (a *arrivals) inventory() audit.Inventory {
	if !a.there {
		return nil
	}
	parts := make([]audit.Partition, 0, len(a.rows))
	for at, n := range a.rows {
		parts = append(parts, audit.Partition{Table: at.table, Day: at.day, Rows: n})
	}
	return audit.NewInventory(parts)
}

// came is how many rows came into a partition since the last manifest and are in
// no removal since: the loader's word where there is one, and otherwise how many
// were counted in the table.
//
// Of a day that has been dropped, and of one that had ended at the last
// manifest, the table is asked. Rows on their way into it while it was dropped
// went with it, and nobody counted them: they were past their rule.
func (u *run) came(table string, day event.Day, counted uint64) uint64 {
	a, at := &u.arrivals, partition{table, day}
	if !a.known || u.journal.Dropped(table, day) || u.closed(day) {
		return counted
	}
	return a.rows[at] - min(a.opening[at], a.rows[at])
}

// closed says whether an expiry day had ended at the last manifest, or so long
// ago that the loader may not remember it.
func (u *run) closed(day event.Day) bool {
	last := u.journal.Last()
	return last != nil && !last.Clock.IsZero() && ended(day, last.Clock) ||
		ended(day, u.now.Add(-loader.Remembered-policy.Grace))
}

// cameWith is what came in as the announcement of a removal says. Where a rule
// became shorter the partition stays, and its next count says it.
func (u *run) cameWith(t target) uint64 {
	switch {
	case t.database != warehouse.DefaultDatabase:
		return t.tally.New
	case !t.before.IsZero() && u.arrivals.known && !u.closed(t.day):
		return 0
	}
	return u.came(t.table, t.day, t.tally.New)
}
