package warehouse

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Exec runs a statement that is not in the package.
func Exec(ctx context.Context, w *Warehouse, sql string) error {
	return w.exec(ctx, "executing", sql)
}

// TableSettings are the settings that promises lean on.
func TableSettings() map[string]string {
	out := map[string]string{}
	for _, s := range tableSettings {
		out[s.name] = s.value
	}
	return out
}

// Columns are what a batch hands to the driver.
func (b *Batch) Columns() []any { return b.columns() }

// InsertHeld inserts what CopyHeld does, and leaves out nothing that is there:
// as an insert that began before the other ended.
func InsertHeld(ctx context.Context, w *Warehouse, t *policy.Table, h Held, done uint64) error {
	c := w.heldCopy(t, h)
	where, _ := h.where(t)
	c.from = " FROM " + w.Table(t.Name) + " WHERE " + where
	return c.insert(ctx, done, 0)
}

// SetMaxHeldRows bounds the rows of one insert until the returned function is
// called.
func SetMaxHeldRows(n int) func() {
	before := maxHeldRows
	maxHeldRows = n
	return func() { maxHeldRows = before }
}

// SetRemovingWait bounds one call of Removing until the returned function is
// called.
func SetRemovingWait(d time.Duration) (restore func()) {
	before := removingWait
	removingWait = d
	return func() { removingWait = before }
}
