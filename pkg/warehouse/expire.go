package warehouse

import (
	"context"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Partition is what a table holds of one expiry day.
type Partition struct {
	Table string
	Day   event.Day
	Rows  uint64
}

// Partitions lists every partition of every table of the database, by looking
// at the parts on disk and not at what the policy expects.
func (w *Warehouse) Partitions(ctx context.Context) ([]Partition, error) {
	r, err := w.Rows(ctx, `
SELECT table, partition, sum(rows) AS rows FROM system.parts
WHERE database = {database:String} AND active AND table != '`+clockTable+`'
GROUP BY table, partition ORDER BY table, partition`, map[string]any{"database": w.database})
	if err != nil {
		return nil, err
	}
	var out []Partition
	for _, row := range r.Rows {
		table, _ := row[0].(string)
		name, _ := row[1].(string)
		rows, _ := row[2].(uint64)
		day, err := event.ParseDay(name)
		if err != nil {
			return nil, fault.Conflict.Errorf("table %s is not partitioned by expiry day", table)
		}
		out = append(out, Partition{table, day, rows})
	}
	return out, nil
}

// Drop removes a partition with its bytes. A partition that is not there is no
// error.
func (w *Warehouse) Drop(ctx context.Context, table string, day event.Day) error {
	if !event.CheckSymbol(table) {
		return fault.Invalid.Errorf("that is not a table's name")
	}
	if _, err := event.ParseDay(string(day)); err != nil {
		return err
	}
	return w.exec(ctx, "dropping a partition",
		"ALTER TABLE "+w.Table(table)+" DROP PARTITION '"+string(day)+"'")
}
