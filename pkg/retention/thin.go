package retention

import (
	"context"
	"errors"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// thin removes single rows of targets that are of one table and one cut-off,
// and returns those of which it has removed all. The engine gives every part
// of the table another name for it, and takes its time. So it is asked once for
// all of them, and never while it is still at what it was asked for before.
func (u *run) thin(ctx context.Context, targets []target) (gone []target, err error) {
	table := targets[0].table
	if err := u.await(ctx, table); err != nil {
		return nil, u.unthinned(targets, err)
	}
	days := make([]event.Day, 0, len(targets))
	for _, t := range targets {
		days = append(days, t.day)
	}
	if err := u.c.Warehouse.RemoveEarly(ctx, table, days, targets[0].before, targets[0].floor); err != nil {
		return nil, u.unthinned(targets, err)
	}
	u.reach("asked")
	if err := u.await(ctx, table); err != nil {
		return nil, u.unthinned(targets, err)
	}
	var errs []error
	for _, t := range targets {
		left, err := u.remaining(ctx, t)
		if err == nil && left.Rows > 0 {
			err = stillThere(t, left)
		}
		if err != nil {
			u.failed(t)
			errs = append(errs, err)
			continue
		}
		gone = append(gone, t)
		u.reach("removed")
	}
	return gone, errors.Join(errs...)
}

func (u *run) unthinned(targets []target, err error) error {
	for _, t := range targets {
		u.failed(t)
	}
	return err
}

// A stall is a removal of single rows that gets no further.
type stall struct {
	parts uint64 // that are left
	runs  int    // that have waited for it
}

// await waits until the engine is at no removal of single rows of a table, so
// that its rows can be counted: as long as it gets on, and a while longer. One
// that fails is given up, and so is one that is no further after putOffFor
// runs; otherwise the error is errUnderWay, and the next run waits for it.
func (u *run) await(ctx context.Context, table string) error {
	if u.atWork[table] {
		return errUnderWay // this run has waited
	}
	var left warehouse.Removal
	stalled := u.stalled[table]
	for looks := 0; looks < patience; looks++ {
		if err := u.guard(ctx); err != nil {
			return err
		}
		var err error
		if left, err = u.c.Warehouse.Removing(ctx, table); err != nil {
			return err
		}
		if left.Parts == 0 {
			delete(u.stalled, table)
			return nil
		}
		if left.Parts < stalled.parts || stalled.parts == 0 {
			stalled, looks = stall{parts: left.Parts}, 0
		}
	}
	stalled.runs++
	if left.Failing || stalled.runs >= putOffFor {
		delete(u.stalled, table)
		u.c.Logger.Error("removal given up", "table", table, "parts", left.Parts, "failing", left.Failing)
		return u.c.Warehouse.GiveUp(ctx, table)
	}
	u.stalled[table], u.atWork[table], u.unsure = stalled, true, true
	return errUnderWay
}

// underWay says whether the engine is at rows of a target: at any of the table
// where single rows are to go, and otherwise at some of its day.
func (u *run) underWay(t target) bool {
	if t.database != warehouse.DefaultDatabase || !u.atWork[t.table] {
		return false
	}
	if !t.before.IsZero() {
		return true
	}
	for _, p := range u.journal.Pending() {
		if p.Partition.Table == t.table && p.Partition.Day == t.day {
			return true
		}
	}
	return false
}
