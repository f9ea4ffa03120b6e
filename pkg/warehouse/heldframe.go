package warehouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// HeldIDs returns those of some events of which a hold keeps a row in a table.
func (w *Warehouse) HeldIDs(ctx context.Context, t *policy.Table, hold string, ids []event.ID) (map[event.ID]bool, error) {
	there := map[event.ID]bool{}
	if err := checkHold(hold); err != nil || len(ids) == 0 {
		return there, err
	}
	err := w.ask(ctx, "looking up held rows of table "+t.Name, func(ctx context.Context) error {
		ctx, err := wanted(ctx, ids)
		if err != nil {
			return err
		}
		clear(there)
		return w.eachID(ctx, "SELECT DISTINCT event_id FROM "+w.in(w.database+holdSuffix).Table(t.Name)+
			" WHERE hold = {hold:String} AND event_id IN (SELECT id FROM wanted)",
			[]any{clickhouse.Named("hold", hold)}, func(id event.ID) { there[id] = true })
	})
	if err != nil {
		return nil, err
	}
	return there, nil
}

// InsertHeld stores a batch, as [Warehouse.Insert] does, in the hold table: rows
// of frames that a hold covers and that the table itself does not have any more.
func (w *Warehouse) InsertHeld(ctx context.Context, b *Batch, hold string, until event.Day, token string) error {
	if err := checkHold(hold); err != nil {
		return err
	}
	if _, err := event.ParseDay(string(until)); err != nil {
		return err
	}
	if token == "" {
		return fault.Invalid.Errorf("inserting rows for a hold: a token is missing")
	}
	names := columnNames(b.table)
	for _, c := range holdColumns {
		names = append(names, c.name)
	}
	columns := append(b.columns(), slices.Repeat([]string{hold}, b.rows), slices.Repeat([]time.Time{until.Start()}, b.rows))
	return w.insert(ctx, b, w.in(w.database+holdSuffix).Table(b.table.Name), names, columns,
		fmt.Sprintf("lethe/hold/v1 %s %s %s", hold, b.table.Name, token))
}
