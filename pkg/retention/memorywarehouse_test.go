package retention_test

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// removal is one of single rows that the engine was asked for.
type removal struct {
	table string
	which func(row) bool
	gone  bool
}

type memoryWarehouse struct{ *world }

func (w memoryWarehouse) Clock(context.Context) (time.Time, error) {
	defer w.enter()()
	return w.clock, w.fail("clock")
}

func (w memoryWarehouse) Advance(_ context.Context, at time.Time) (time.Time, error) {
	defer w.enter()()
	if err := w.fail("advance"); err != nil {
		return time.Time{}, err
	}
	if at.After(w.clock) {
		w.clock = at
	}
	return w.clock, nil
}

func (w memoryWarehouse) TakeBack(_ context.Context, to time.Time) (time.Time, error) {
	defer w.enter()()
	if err := w.fail("take back"); err != nil {
		return time.Time{}, err
	}
	w.clock = to
	return to, w.fail("take back answered")
}

func (w memoryWarehouse) Partitions(context.Context) ([]warehouse.Partition, error) {
	defer w.enter()()
	if err := w.fail("partitions"); err != nil {
		return nil, err
	}
	all := map[warehouse.Partition]uint64{}
	for _, r := range w.rows {
		all[warehouse.Partition{Database: r.database, Table: r.table, Day: r.day}]++
	}
	var out []warehouse.Partition
	for p, n := range all {
		p.Rows = n
		out = append(out, p)
	}
	return out, nil
}

func (w memoryWarehouse) Count(_ context.Context, table string, days warehouse.Days, since, floor uint64) ([]warehouse.Tally, error) {
	return w.tally(table, days, since, floor, func(row) bool { return true })
}

func (w memoryWarehouse) Early(_ context.Context, table string, before time.Time, days warehouse.Days, since, floor uint64) ([]warehouse.Tally, error) {
	return w.tally(table, days, since, floor, func(r row) bool { return r.occurred.Before(before) })
}

func (w memoryWarehouse) tally(table string, days warehouse.Days, since, floor uint64, which func(row) bool) ([]warehouse.Tally, error) {
	defer w.enter()()
	if err := w.fail("count"); err != nil {
		return nil, err
	}
	all := map[event.Day]*warehouse.Tally{}
	for _, r := range w.rows {
		if r.database != warehouse.DefaultDatabase || r.table != table || !which(r) ||
			days.From != "" && r.day < days.From || days.To != "" && r.day > days.To {
			continue
		}
		t := all[r.day]
		if t == nil {
			t = &warehouse.Tally{Day: r.day}
			all[r.day] = t
		}
		t.Last = max(t.Last, r.seq)
		switch {
		case r.seq > floor:
			t.Ahead++
		case r.seq > since:
			t.New++
			fallthrough
		default:
			t.Rows++
		}
	}
	var out []warehouse.Tally
	for _, day := range slices.Sorted(maps.Keys(all)) {
		out = append(out, *all[day])
	}
	return out, nil
}

func (w memoryWarehouse) DropIn(_ context.Context, database, table string, day event.Day) error {
	return w.delete("drop", func(r row) bool { return r.database == database && r.table == table && r.day == day })
}

// DropEarly drops what has a part to itself here: frames of even sequences.
func (w memoryWarehouse) DropEarly(_ context.Context, table string, day event.Day, before time.Time, floor uint64) error {
	return w.delete("drop early", func(r row) bool {
		return r.database == warehouse.DefaultDatabase && r.table == table && r.day == day && r.occurred.Before(before) && r.seq <= floor && r.seq%2 == 0
	})
}

// RemoveEarly only asks: what is asked for comes about while somebody waits.
func (w memoryWarehouse) RemoveEarly(_ context.Context, table string, days []event.Day, before time.Time, floor uint64) error {
	defer w.enter()()
	if err := w.fail("early"); err != nil {
		return err
	}
	w.removals = append(w.removals, removal{table: table, which: func(r row) bool {
		return r.database == warehouse.DefaultDatabase && r.table == table && slices.Contains(days, r.day) && r.occurred.Before(before) && r.seq <= floor
	}})
	return w.fail("early answered")
}

func (w memoryWarehouse) Removing(_ context.Context, table string) (warehouse.Removal, error) {
	defer w.enter()()
	var left warehouse.Removal
	if err := w.fail("removing"); err != nil {
		return left, err
	}
	for i := range w.removals {
		r := &w.removals[i]
		if r.table != table || r.gone {
			continue
		}
		if w.stalls {
			left.Parts++
			left.Failing = left.Failing || w.failing
			continue
		}
		w.rows, r.gone = slices.DeleteFunc(w.rows, r.which), true
	}
	return left, nil
}

func (w memoryWarehouse) GiveUp(_ context.Context, table string) error {
	defer w.enter()()
	if err := w.fail("give up"); err != nil {
		return err
	}
	w.removals = slices.DeleteFunc(w.removals, func(r removal) bool { return r.table == table })
	w.givenUp++
	return nil
}

func (w memoryWarehouse) DropHeld(_ context.Context, hold string) error {
	return w.delete("held", func(r row) bool { return r.database == warehouse.HoldDatabase && r.table == hold })
}

func (w memoryWarehouse) delete(deed string, which func(row) bool) error {
	defer w.enter()()
	if err := w.fail(deed); err != nil {
		return err
	}
	w.rows = slices.DeleteFunc(w.rows, which)
	return w.fail(deed + " answered")
}
