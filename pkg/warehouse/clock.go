package warehouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Clock returns the latest instant that Lethe's clock was advanced to, in UTC;
// 1970 when it never was. The time that decides about expiry is the later of
// this and the wall clock.
func (w *Warehouse) Clock(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := w.ask(ctx, "reading Lethe's clock", func(ctx context.Context) error {
		return w.conn.QueryRow(ctx, "SELECT max(at) FROM "+w.Table(clockTable)).Scan(&at)
	})
	return at.UTC(), err
}

// Advance moves Lethe's clock to an instant, to the millisecond, and returns
// where it stands. An instant behind the clock changes nothing: what was
// hidden once stays hidden.
func (w *Warehouse) Advance(ctx context.Context, at time.Time) (time.Time, error) {
	// The condition only spares a row. Rows of two callers that pass it at
	// once do no harm, because the clock is the largest of all rows.
	err := w.exec(ctx, "advancing Lethe's clock",
		"INSERT INTO "+w.Table(clockTable)+" (at) SELECT fromUnixTimestamp64Milli({at:Int64}, 'UTC') AS t"+
			" WHERE t > (SELECT max(at) FROM "+w.Table(clockTable)+")",
		clickhouse.Named("at", at.UnixMilli()))
	if err != nil {
		return time.Time{}, err
	}
	return w.Clock(ctx)
}
