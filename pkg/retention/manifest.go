package retention

import (
	"context"
	"errors"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// maxLines is how many lines one manifest holds: more than the built-in policy
// has partitions, and less than an entry may measure.
const maxLines = 8000

// putOffFor is for how many runs a removal that failed puts the manifest off:
// an hour of them. What the engine has not done by then it will not do.
const putOffFor = 4

// manifest is step 9: once a day and after every removal, what is in the tables
// is counted and held to what was there, came in and was removed.
//
//  1. the inventory of what is there is stored, and that of what had come
//  2. the manifest that names them is on record
//  3. older inventories are deleted
//
// So the last manifest on record always has its inventories.
func (u *run) manifest(ctx context.Context) error {
	if ready, err := u.quiet(ctx); !ready {
		return err
	}
	day := event.DayOf(u.now)
	if u.manifestDay == day && len(u.journal.Removed()) == 0 {
		return nil
	}
	last, err := u.before(ctx)
	if err != nil {
		return err
	}
	m := audit.Manifest{Floor: u.floor, Clock: u.now}
	if last != nil {
		m.Since, m.Before = u.journal.since(), last.Digest()
	}
	found, err := u.count(ctx, m.Since)
	if err != nil {
		return err
	}
	if last != nil || u.arrivals.fromTheBeginning(u.journal.Last()) {
		m.Lines = u.journal.Next(last, found)
	} else {
		m.Lines = (&audit.Ledger{}).Next(nil, found)
	}
	if len(m.Lines) > maxLines {
		// The chain begins anew, with what is there as it is.
		u.c.Logger.Error("manifest begins a chain anew", "reason", "too many partitions changed at once", "partitions", len(m.Lines))
		m.Since, m.Before, m.Lines = 0, "", nil
	}
	unexplained := u.explain(m.Lines)
	v := audit.NewInventory(found)
	m.Partitions, m.Rows, m.Inventory = len(v), v.Rows(), v.Digest()
	if err := u.guard(ctx); err != nil {
		return err
	}
	if err := u.keep(ctx, v); err != nil { // 1
		return err
	}
	if a := u.arrivals.inventory(); a != nil {
		m.Arrived, m.ArrivedSince = a.Digest(), u.arrivals.since
		if err := u.keep(ctx, a); err != nil { // 1
			return err
		}
	}
	u.reach("inventory")
	if err := u.record(ctx, audit.KindManifest, m); err != nil { // 2
		return err
	}
	u.manifestDay = day
	u.meter.rows(unexplained)
	u.reach("manifest_recorded")
	return u.forget(ctx, m.Inventory, m.Arrived) // 3
}

// keep stores an inventory under its digest.
func (u *run) keep(ctx context.Context, v audit.Inventory) error {
	value, err := v.Encode()
	if err != nil {
		return err
	}
	_, err = u.c.Bucket.Put(ctx, audit.InventoryName(v.Digest()), value)
	return err
}

// quiet says whether what is there can be counted. A removal that failed may
// have come about all the same, or may yet: it is settled first, and what is
// left of it puts the manifest off for some runs, and not for good.
func (u *run) quiet(ctx context.Context) (bool, error) {
	if len(u.journal.Pending()) > 0 {
		if err := u.settle(ctx); err != nil {
			return false, err
		}
	}
	if u.journal.blind != nil || u.noFloor != nil {
		return false, nil // said already
	}
	if u.unsure && len(u.journal.Pending()) > 0 && u.putOff < putOffFor {
		u.putOff++
		return false, nil
	}
	u.putOff = 0
	return true, nil
}

// before is the inventory of the last manifest; nil where a chain begins.
func (u *run) before(ctx context.Context) (audit.Inventory, error) {
	last := u.journal.Last()
	if last == nil {
		return nil, nil
	}
	if u.floor < last.Floor {
		return nil, fault.Conflict.Errorf("the loader's floor is %d, and the last manifest counted through %d", u.floor, last.Floor)
	}
	v, err := audit.LoadInventory(ctx, u.c.Bucket, last.Inventory)
	if err == nil && u.arrivals.lost {
		err = fault.NotFound.Errorf("what had come by the last manifest is not known")
	}
	if errors.Is(err, fault.NotFound) || errors.Is(err, fault.Corrupt) {
		u.c.Logger.Error("manifest begins a chain anew", "reason", "the inventory of the last manifest is lost", "err", err)
		u.arrivals.known = false
		return nil, nil
	}
	return v, err
}

// count counts every partition of every table.
func (u *run) count(ctx context.Context, since uint64) ([]audit.Partition, error) {
	parts, err := u.c.Warehouse.Partitions(ctx)
	if err != nil && !errors.Is(err, fault.Conflict) {
		return nil, err
	}
	var out []audit.Partition
	counted := map[partition]bool{}
	add := func(table string, n warehouse.Tally) {
		counted[partition{table, n.Day}] = true
		out = append(out, audit.Partition{Table: table, Day: n.Day, Rows: n.Rows, New: u.came(table, n.Day, n.New)})
	}
	there := map[string]bool{}
	for _, p := range parts {
		if p.Database != warehouse.DefaultDatabase {
			continue
		}
		there[p.Table] = true
		if _, known := u.c.Policy.Table(p.Table); !known {
			add(p.Table, warehouse.Tally{Day: p.Day, Rows: p.Rows})
		}
	}
	for _, t := range u.c.Policy.Tables() {
		if !there[t.Name] {
			continue
		}
		all, err := u.c.Warehouse.Count(ctx, t.Name, warehouse.Days{}, since, u.floor)
		if err != nil {
			return nil, err
		}
		for _, n := range all {
			add(t.Name, n)
		}
	}
	// What came and is not there.
	for at := range u.arrivals.rows {
		if !counted[at] {
			add(at.table, warehouse.Tally{Day: at.day})
		}
	}
	return out, nil
}

// explain counts the rows of lines that do not add up, and says where they are.
func (u *run) explain(lines []audit.Line) uint64 {
	var total uint64
	for _, l := range lines {
		if l.AddsUp() {
			continue
		}
		expected := int64(l.Opening + l.In - l.Removed)
		missing := expected - int64(l.Found)
		total += uint64(max(missing, -missing))
		u.c.Logger.Error("rows unexplained", "table", l.Table, "expiry_day", string(l.Day),
			"opening", l.Opening, "in", l.In, "removed", l.Removed, "found", l.Found)
	}
	return total
}

// forget deletes every inventory but some.
func (u *run) forget(ctx context.Context, keep ...string) error {
	names, err := u.c.Bucket.Names(ctx)
	errs := []error{err}
	for _, name := range names {
		if digest, ok := audit.InventoryDigest(name); ok && !slices.Contains(keep, digest) {
			errs = append(errs, u.c.Bucket.Delete(ctx, name))
		}
	}
	return errors.Join(errs...)
}
