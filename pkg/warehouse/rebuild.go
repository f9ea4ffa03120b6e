package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// rebuildSuffix follows the name of the database whose tables are made anew.
const rebuildSuffix = "_rebuild"

// RebuildDatabase is where the tables are made anew.
const RebuildDatabase = DefaultDatabase + rebuildSuffix

func (w *Warehouse) staging() string { return w.database + rebuildSuffix }

// Stage makes an empty copy of every table in a database of its own, in place
// of any that is there, and returns the warehouse to fill. Its tables carry
// the given epoch.
func (w *Warehouse) Stage(ctx context.Context, pol *policy.Policy, epoch int64) (*Warehouse, error) {
	if err := w.Discard(ctx); err != nil {
		return nil, err
	}
	l := single(w.staging(), epoch)
	if err := w.exec(ctx, "making the rebuild database", l.createDatabase()); err != nil {
		return nil, err
	}
	for _, t := range pol.Tables() {
		if err := w.exec(ctx, "making table "+t.Name+" anew", l.createTable(t)); err != nil {
			return nil, err
		}
	}
	return w.in(w.staging()), nil
}

// A TableDay is one partition of a live table.
type TableDay struct {
	Day event.Day
	// Early says that it has rows which the rule in force ended on an earlier
	// day than the one they were given.
	Early bool
}

// Days lists the partitions of a live table that have rows, as they are at an
// instant.
func (w *Warehouse) Days(ctx context.Context, t *policy.Table, now time.Time) ([]TableDay, error) {
	which := "0"
	if !t.Class.Lasting {
		which = early(t.Class.Period.Cutoff(now))
	}
	r, err := w.Rows(ctx, "SELECT toString(expiry_day), max("+which+") FROM "+w.Table(t.Name)+" GROUP BY expiry_day", nil)
	if err != nil {
		return nil, fmt.Errorf("listing the days of table %s: %w", t.Name, err)
	}
	out := make([]TableDay, 0, len(r.Rows))
	for _, row := range r.Rows {
		day, _ := row[0].(string)
		any, _ := row[1].(uint8)
		out = append(out, TableDay{event.Day(day), any != 0})
	}
	return out, nil
}

// Swap exchanges every staged table for the live one, each at one instant. A
// live table that carries the epoch already is left alone, so an interrupted
// Swap may be repeated, and the same table is never swapped back.
func (w *Warehouse) Swap(ctx context.Context, pol *policy.Policy, epoch int64) error {
	live, err := w.epochs(ctx)
	if err != nil {
		return err
	}
	staged := w.in(w.staging())
	for _, t := range pol.Tables() {
		have, exists := live[t.Name]
		sql := "EXCHANGE TABLES " + w.Table(t.Name) + " AND " + staged.Table(t.Name)
		switch {
		case exists && have == epoch:
			continue
		case !exists:
			sql = "RENAME TABLE " + staged.Table(t.Name) + " TO " + w.Table(t.Name)
		}
		if err := w.exec(ctx, "exchanging table "+t.Name, sql); err != nil {
			return err
		}
		w.log.Info("table exchanged", "table", t.Name, "epoch", epoch)
	}
	return nil
}

// Discard drops the staged tables with what they hold, on disk, at once.
func (w *Warehouse) Discard(ctx context.Context) error {
	return w.exec(ctx, "dropping the rebuild database", "DROP DATABASE IF EXISTS "+quote(w.staging())+" SYNC")
}

// epochs returns the warehouse epoch of each live table.
func (w *Warehouse) epochs(ctx context.Context) (map[string]int64, error) {
	var out map[string]int64
	err := w.ask(ctx, "reading the tables' epochs", func(ctx context.Context) error {
		out = map[string]int64{}
		rows, err := w.conn.Query(ctx, "SELECT name, comment FROM system.tables WHERE database = {database:String}",
			clickhouse.Named("database", w.database))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name, comment string
			if err := rows.Scan(&name, &comment); err != nil {
				return err
			}
			out[name] = epochOf(comment)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("rebuilding: %w", err)
	}
	return out, nil
}
