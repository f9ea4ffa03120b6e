package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/fault"
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

// takeBackPatience is for how long TakeBack begins anew because parts are merged
// under its hands.
const takeBackPatience = 30 * time.Second

// TakeBack removes from the table of Lethe's clock whatever is later than an
// instant, to the millisecond, and leaves the instant there. It is for what
// somebody put there who may not say what time it is; what an instant that Lethe
// went by is, the caller knows.
//
// At no moment does the clock stand before the instant: it is put there first,
// in a part of its own, and then the parts are dropped that hold a later one. A
// merge may take the instant into such a part, which then has another name, so
// that dropping it fails and all begins anew.
func (w *Warehouse) TakeBack(ctx context.Context, to time.Time) (time.Time, error) {
	table := w.Table(clockTable)
	for end := time.Now().Add(takeBackPatience); time.Now().Before(end); {
		r, err := w.Rows(ctx, "SELECT _part, toUnixTimestamp64Milli(max(at)) FROM "+table+" GROUP BY _part", nil)
		if err != nil {
			return time.Time{}, fmt.Errorf("looking at Lethe's clock: %w", err)
		}
		var drops []string
		stands := false
		for _, row := range r.Rows {
			switch at, _ := row[1].(int64); {
			case at > to.UnixMilli():
				drops = append(drops, "DROP PART "+literal(text(row[0])))
			case at == to.UnixMilli():
				stands = true
			}
		}
		switch {
		case len(drops) == 0:
			return w.Clock(ctx)
		case !stands:
			err = w.exec(ctx, "setting Lethe's clock", "INSERT INTO "+table+" (at) SELECT fromUnixTimestamp64Milli({at:Int64}, 'UTC')",
				clickhouse.Named("at", to.UnixMilli()))
		default:
			err = w.exec(ctx, "taking Lethe's clock back", "ALTER TABLE "+table+" "+strings.Join(drops, ", "))
		}
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return time.Time{}, err
		}
	}
	return time.Time{}, fault.Unavailable.Errorf("taking Lethe's clock back: its parts are merged again and again")
}
