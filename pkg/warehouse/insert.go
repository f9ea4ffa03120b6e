package warehouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Insert stores a batch in its partition, all of it or nothing, and returns
// when it is on disk.
//
// An error means that it is unknown whether the batch was stored. Insert the
// same batch again with the same token until there is none: the engine drops
// a batch whose token it has seen on this table, also after a restart. A token
// must therefore name one content only; with "" every insert is stored.
func (w *Warehouse) Insert(ctx context.Context, b *Batch, token string) error {
	return w.insert(ctx, b, w.Table(b.table.Name), columnNames(b.table), b.columns(), token)
}

// insert stores columns of a batch in a table of its shape.
func (w *Warehouse) insert(ctx context.Context, b *Batch, table string, names []string, columns []any, token string) error {
	if b.rows == 0 {
		return nil
	}
	if b.day == "" {
		return fault.Invalid.Errorf("inserting into table %s: the batch has no expiry day", b.table.Name)
	}
	doing := fmt.Sprintf("inserting %d rows into table %s", b.rows, b.table.Name)
	if token == "" {
		// Without a token the engine takes equal contents for a repetition.
		token = rand.Text()
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token}))
	batch, err := w.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+strings.Join(quoteAll(names), ", ")+")")
	if err != nil {
		return fmt.Errorf("%s: %w", doing, clean(err))
	}
	for i, data := range columns {
		if err := batch.Column(i).Append(data); err != nil {
			_ = batch.Abort() // it was never sent
			return fmt.Errorf("%s: %w", doing, clean(err))
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("%s: %w", doing, clean(err))
	}
	return nil
}

// Landed says whether a table holds anything of an expiry day that came in the
// frames first to last. After [Warehouse.Insert] of such rows it must: the
// engine writes down a token before the part is in its place, and flushes
// neither with the other, so a kill in between leaves a token of rows that are
// not there.
func (w *Warehouse) Landed(ctx context.Context, table string, day event.Day, first, last uint64) (bool, error) {
	if !event.CheckSymbol(table) {
		return false, fault.Invalid.Errorf("that is not a table's name")
	}
	r, err := w.Rows(ctx, "SELECT count() FROM "+w.Table(table)+
		" WHERE expiry_day = {day:Date} AND log_seq >= {first:UInt64} AND log_seq <= {last:UInt64}",
		map[string]any{"day": string(day), "first": first, "last": last})
	if err != nil {
		return false, fmt.Errorf("looking for rows of table %s: %w", table, err)
	}
	n, _ := r.Rows[0][0].(uint64)
	return n > 0, nil
}

// knownColumns is all that Known, IDs, Landed and Days read.
var knownColumns = []string{"event_id", "identified", "expiry_day", "occurred_at", "log_seq"}

// Known returns those of ids that a table holds as identified events, in
// whatever partition, and the expiry day of it: an event that comes again under
// a changed deletion rule is still the same event. Neither order nor number of
// ids matters, but it is quick when they are of one stretch of time.
func (w *Warehouse) Known(ctx context.Context, table string, ids []event.ID) (map[event.ID]event.Day, error) {
	known := map[event.ID]event.Day{}
	if len(ids) == 0 {
		return known, nil
	}
	// The bounds repeat what the IN says, in words that narrow the read to a
	// stretch of each part.
	sql := "SELECT event_id, toString(min(expiry_day)) FROM " + w.Table(table) + " WHERE identified" +
		" AND event_id >= (SELECT min(id) FROM wanted) AND event_id <= (SELECT max(id) FROM wanted)" +
		" AND event_id IN (SELECT id FROM wanted) GROUP BY event_id"
	err := w.ask(ctx, "looking up events of table "+table, func(ctx context.Context) error {
		ctx, err := wanted(ctx, ids)
		if err != nil {
			return err
		}
		clear(known)
		rows, err := w.conn.Query(ctx, sql)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id [20]byte
			var day string
			if err := rows.Scan(&id, &day); err != nil {
				return err
			}
			known[event.ID(id)] = event.Day(day)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return known, nil
}

// wanted has ids travel with a query, as a table of their own: wanted(id).
func wanted(ctx context.Context, ids []event.ID) (context.Context, error) {
	var column fixed
	for i := range ids {
		column.add(ids[i][:])
	}
	table, err := ext.NewTable("wanted", ext.Column("id", "FixedString(20)"))
	if err != nil {
		return ctx, err
	}
	if _, err := table.Block().Columns[0].Append(column.data()); err != nil {
		return ctx, err
	}
	return clickhouse.Context(ctx, clickhouse.WithExternalTable(table)), nil
}

// IDs returns the identified events that a table holds with ids in [from, to],
// when there are at most limit of them, and otherwise none and the highest.
func (w *Warehouse) IDs(ctx context.Context, table string, from, to event.ID, limit int) (ids []event.ID, highest event.ID, err error) {
	where := " FROM " + w.Table(table) + " WHERE identified" +
		" AND event_id >= toFixedString(unhex({from:String}), 20) AND event_id <= toFixedString(unhex({to:String}), 20)"
	args := []any{
		clickhouse.Named("from", fmt.Sprintf("%x", from[:])),
		clickhouse.Named("to", fmt.Sprintf("%x", to[:])),
	}
	err = w.ask(ctx, "reading the event ids of table "+table, func(ctx context.Context) error {
		ids, highest = nil, event.ID{}
		var n uint64
		if err := w.conn.QueryRow(ctx, "SELECT count()"+where, args...).Scan(&n); err != nil || n == 0 {
			return err
		}
		if n > uint64(limit) {
			return w.eachID(ctx, "SELECT max(event_id)"+where, args, func(id event.ID) { highest = id })
		}
		return w.eachID(ctx, "SELECT event_id"+where, args, func(id event.ID) { ids = append(ids, id) })
	})
	return ids, highest, err
}

func (w *Warehouse) eachID(ctx context.Context, sql string, args []any, each func(event.ID)) error {
	rows, err := w.conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id [20]byte
		if err := rows.Scan(&id); err != nil {
			return err
		}
		each(event.ID(id))
	}
	return rows.Err()
}
