package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Partition is what a table holds of one expiry day.
type Partition struct {
	// Database is [DefaultDatabase], or the one in which a rebuild makes the
	// tables anew.
	Database string
	Table    string
	Day      event.Day
	Rows     uint64
}

// Partitions lists every partition of every table of the warehouse and of a
// rebuild, by looking at the parts on disk and not at what the policy expects.
// Tables that are not partitioned by expiry day are left out, and are in an
// error of kind fault.Conflict that comes with the others' partitions.
func (w *Warehouse) Partitions(ctx context.Context) ([]Partition, error) {
	r, err := w.Rows(ctx, `
SELECT database, table, partition, sum(rows) FROM system.parts
WHERE database IN ({live:String}, {staging:String}) AND active AND table != '`+clockTable+`'
GROUP BY database, table, partition HAVING sum(rows) > 0 ORDER BY database, table, partition`,
		map[string]any{"live": w.database, "staging": w.staging()})
	if err != nil {
		return nil, err
	}
	var out []Partition
	var odd []error
	for _, row := range r.Rows {
		p := Partition{}
		p.Database, _ = row[0].(string)
		p.Table, _ = row[1].(string)
		name, _ := row[2].(string)
		p.Rows, _ = row[3].(uint64)
		if p.Day, err = event.ParseDay(name); err != nil {
			odd = append(odd, fault.Conflict.Errorf("table %s.%s is not partitioned by expiry day", p.Database, p.Table))
			continue
		}
		out = append(out, p)
	}
	return out, errors.Join(odd...)
}

// A Tally is what a table holds of one expiry day, counted against two
// sequences of the clean log: since, through which another count went, and
// floor, through which everything is loaded.
type Tally struct {
	Day event.Day
	// Rows have a sequence up to the floor, New of them one after since.
	Rows, New uint64
	// Ahead have a sequence after the floor: they are being loaded.
	Ahead uint64
	// Last is the highest sequence.
	Last uint64
}

// Days bounds expiry days, both included. An empty one is open.
type Days struct{ From, To event.Day }

// countedColumns are all that retention reads of a table: the last is the
// engine's own.
var countedColumns = []string{"expiry_day", "occurred_at", "log_seq", "_part"}

// Count counts what a table of the policy holds of each expiry day that has
// rows. It reads three columns, and none that treatment made.
func (w *Warehouse) Count(ctx context.Context, table string, days Days, since, floor uint64) ([]Tally, error) {
	return w.tally(ctx, table, "1", days, since, floor)
}

func (w *Warehouse) tally(ctx context.Context, table, which string, days Days, since, floor uint64) ([]Tally, error) {
	if !event.CheckSymbol(table) {
		return nil, fault.Invalid.Errorf("that is not a table's name")
	}
	where := []string{which}
	args := map[string]any{"since": since, "floor": floor}
	for _, bound := range []struct {
		day        event.Day
		name, sign string
	}{{days.From, "from", ">="}, {days.To, "to", "<="}} {
		if bound.day == "" {
			continue
		}
		if _, err := event.ParseDay(string(bound.day)); err != nil {
			return nil, err
		}
		where = append(where, "expiry_day "+bound.sign+" {"+bound.name+":Date}")
		args[bound.name] = string(bound.day)
	}
	r, err := w.Rows(ctx, "SELECT toString(expiry_day),"+
		" countIf(log_seq <= {floor:UInt64}), countIf(log_seq > {since:UInt64} AND log_seq <= {floor:UInt64}),"+
		" countIf(log_seq > {floor:UInt64}), max(log_seq)"+
		" FROM "+w.Table(table)+" WHERE "+strings.Join(where, " AND ")+" GROUP BY expiry_day ORDER BY expiry_day", args)
	if err != nil {
		return nil, fmt.Errorf("counting table %s: %w", table, err)
	}
	out := make([]Tally, 0, len(r.Rows))
	for _, row := range r.Rows {
		day, _ := row[0].(string)
		t := Tally{Day: event.Day(day)}
		for i, to := range []*uint64{&t.Rows, &t.New, &t.Ahead, &t.Last} {
			*to, _ = row[i+1].(uint64)
		}
		out = append(out, t)
	}
	return out, nil
}

// DropIn removes a partition of a table with its bytes. A partition that is
// not there is no error, and neither is a table of a rebuild that has ended.
func (w *Warehouse) DropIn(ctx context.Context, database, table string, day event.Day) error {
	if !event.CheckSymbol(table) || database != w.database && database != w.staging() {
		return fault.Invalid.Errorf("that is not a table's name")
	}
	if _, err := event.ParseDay(string(day)); err != nil {
		return err
	}
	err := w.exec(ctx, "dropping a partition",
		"ALTER TABLE "+w.in(database).Table(table)+" DROP PARTITION '"+string(day)+"'")
	if database != w.database && errors.Is(err, fault.NotFound) {
		return nil
	}
	return err
}
