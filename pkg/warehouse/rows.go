package warehouse

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A Result is the answer to a question: the columns' names, and a value per
// column in every row. Values are Go's own: string (also for a fixed string),
// the sized integers and floats, bool, time.Time, slices of these, or nil.
type Result struct {
	Columns []string
	Rows    [][]any
}

// Rows asks the engine. Table names in the SQL come from [Warehouse.Table];
// values go as parameters, written {name:Type} in the SQL, never in its text.
// A parameter is a string, []byte, bool, an integer, a float, a time.Time, or
// a slice of one of these. The deadline of ctx bounds the engine's work too.
//
// A question may be asked twice when a connection breaks. So a statement that
// changes something is refused by the engine, with fault.Denied, whoever asks.
// One that costs more than its user may spend is fault.Exhausted.
func (w *Warehouse) Rows(ctx context.Context, sql string, params map[string]any) (*Result, error) {
	args := make([]any, 0, len(params))
	for _, name := range slices.Sorted(maps.Keys(params)) {
		args = append(args, clickhouse.Named(name, params[name]))
	}
	var out *Result
	err := w.ask(ctx, "asking the warehouse", func(ctx context.Context) error {
		rows, err := w.conn.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		out = &Result{Columns: rows.Columns()}
		types := rows.ColumnTypes()
		for rows.Next() {
			cells := make([]any, len(types))
			for i, t := range types {
				cells[i] = reflect.New(t.ScanType()).Interface()
			}
			if err := rows.Scan(cells...); err != nil {
				return err
			}
			for i := range cells {
				cells[i] = plain(reflect.ValueOf(cells[i]).Elem())
			}
			out.Rows = append(out.Rows, cells)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// plain takes a scanned value out of the pointers that a null needs.
func plain(v reflect.Value) any {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	return v.Interface()
}
