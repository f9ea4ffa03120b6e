package warehouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Clock returns the latest instant that Lethe's clock was advanced to, in UTC;
// 1970 when it never was. The time that decides about what may be selected is the
// later of this and the wall clock. What is removed pkg/retention decides by what
// it remembers, because a row may be anybody's.
func (w *Warehouse) Clock(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := w.ask(ctx, "reading Lethe's clock", func(ctx context.Context) error {
		return w.conn.QueryRow(ctx, "SELECT max(at) FROM "+w.Table(clockTable)).Scan(&at)
	})
	return at.UTC(), err
}

// clockLag is by how much the clock may stand behind an instant that the
// engine's own clock has passed.
const clockLag = 40 * time.Minute

// Advance moves Lethe's clock to an instant, to the millisecond, and returns
// where it stands. An instant behind the clock changes nothing: what was
// hidden once stays hidden.
//
// Every move is a part on disk. So an instant that the engine's own clock has
// passed, by which everything is hidden already, moves it only when it is left
// behind by more than clockLag. Should the engine's clock go back, the next
// call moves it.
func (w *Warehouse) Advance(ctx context.Context, at time.Time) (time.Time, error) {
	// The condition only spares a row. Rows of two callers that pass it at
	// once do no harm, because the clock is the largest of all rows.
	err := w.exec(ctx, "advancing Lethe's clock",
		"INSERT INTO "+w.Table(clockTable)+" (at) SELECT fromUnixTimestamp64Milli({at:Int64}, 'UTC') AS t"+
			" WHERE t > (SELECT max(at) FROM "+w.Table(clockTable)+") AND"+
			" (t > now64(3) OR t >= (SELECT max(at) FROM "+w.Table(clockTable)+") + toIntervalMillisecond({lag:Int64}))",
		clickhouse.Named("at", at.UnixMilli()), clickhouse.Named("lag", clockLag.Milliseconds()))
	if err != nil {
		return time.Time{}, err
	}
	return w.Clock(ctx)
}
