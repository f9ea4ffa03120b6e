package warehouse

import "context"

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
