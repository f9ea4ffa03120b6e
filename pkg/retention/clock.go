package retention

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// believed is for how long the wall clock must be ahead before a jump that
	// is too large is taken for the truth.
	believed = 24 * time.Hour
	// steady is by how much the wall clock may run otherwise than a clock that
	// nobody can set and still be the same clock.
	steady = time.Hour
	// clockName is the entry of the bucket that says how far retention has
	// moved Lethe's clock.
	clockName = "clock"
)

// A clock that stands before the first of these was never set, and one of a
// Lethe that begins is not believed after the second: a machine without a
// battery begins in 1970, and one with a broken one anywhere.
var (
	firstClock = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	lastFirst  = firstClock.AddDate(10, 0, 0)
)

// A jump is a wall clock that is too far ahead of Lethe's clock, and since when
// this process sees it so.
type jump struct {
	seen  bool
	at    time.Time     // the wall clock when it was first seen
	since time.Duration // the other clock then
}

// clockRecord is what retention remembers of Lethe's clock.
type clockRecord struct {
	At time.Time `json:"at"`
	// Table is where retention left the clock in the warehouse. It stands there
	// or further on, unless somebody took it back.
	Table time.Time `json:"table,omitzero"`
}

// clocks are the three clocks of a run.
type clocks struct {
	// table is what stands in the warehouse, which the read barrier goes by.
	table time.Time
	// own is how far retention moved it, which decides what is removed.
	own  time.Time
	wall time.Time
	// left is where retention left the table; zero where it does not know.
	left time.Time
	// empty says that nothing is stored yet, and no clock is set.
	empty bool
}

// foreign says whether somebody else has set Lethe's clock, ahead of the wall
// clock. What is not ahead of it removes nothing early.
func (c clocks) foreign() bool {
	return c.table.After(c.own) && c.table.After(c.wall.Add(steady))
}

// begins says whether Lethe's clock was never set.
func (c clocks) begins() bool { return c.own.Before(firstClock) }

// held says whether the wall clock is too far ahead to be believed at once.
func (c clocks) held(maxJump time.Duration) bool {
	if c.begins() {
		return c.wall.After(lastFirst)
	}
	return c.wall.Sub(c.own) > maxJump
}

// tell is step 1: it moves Lethe's clock as far as the wall clock can be
// believed, and returns where it stands.
//
// A wall clock that runs ahead would remove what is not due, and Lethe's clock
// never goes back. So a jump of more than MaxJump is held back, until somebody
// confirms it or it has lasted for a day. Nothing is selectable for longer
// because of that: the read barrier goes by the later of both clocks.
//
// Neither does a row decide that somebody put into the table of the clock by
// hand. What retention set it remembers itself.
func (r *Retention) tell(ctx context.Context) (time.Time, error) {
	c, err := r.clocks(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if err := r.sight(ctx, c); err != nil {
		return time.Time{}, err
	}
	if !c.wall.After(c.own) {
		r.calm()
		return r.move(ctx, c, c.own)
	}
	if !c.held(r.c.MaxJump) {
		r.calm()
		return r.move(ctx, c, c.wall)
	}
	elapsed := r.c.Elapsed()
	drift := c.wall.Sub(r.jump.at) - (elapsed - r.jump.since)
	if !r.jump.seen || drift.Abs() > steady {
		if err := r.c.Recorder.Record(ctx, audit.KindClock, audit.Clock{From: c.own, To: c.wall}); err != nil {
			return time.Time{}, err
		}
		r.jump = jump{true, c.wall, elapsed}
		r.c.Logger.Error("clock jump held back", "clock", c.own, "wall", c.wall, "max_jump", r.c.MaxJump)
	}
	if elapsed-r.jump.since < believed {
		r.meter.clock(true, c.wall.Sub(c.own))
		return r.move(ctx, c, c.own)
	}
	return r.accept(ctx, c, c.wall)
}

// clocks reads them.
func (r *Retention) clocks(ctx context.Context) (c clocks, err error) {
	c.wall = r.c.Now().UTC().Round(0).Truncate(time.Millisecond) // as the warehouse keeps it
	if c.table, err = r.c.Warehouse.Clock(ctx); err != nil {
		return c, err
	}
	if err = r.remember(ctx, &c); err != nil {
		return c, err
	}
	if c.table.Before(firstClock) {
		if c.empty, err = r.empty(ctx); err != nil {
			return c, err
		}
		if c.empty && c.wall.Before(c.own) {
			c.own = c.wall // there is nothing yet that it could have decided about
		}
	}
	if c.table.After(c.own) && !c.foreign() {
		c.own = c.table
	}
	return c, nil
}

// Clock reads how far retention has moved Lethe's clock, from its bucket, for
// whoever else removes something for good: what stands in the table of the clock
// may have been put there by anybody. It is 1970 where retention never ran.
func Clock(bucket audit.InventoryBucket) func(context.Context) (time.Time, error) {
	return func(ctx context.Context) (time.Time, error) {
		rec, err := readClock(ctx, bucket)
		return rec.At, err
	}
}

// readClock reads what retention remembers; what is not readable is nothing.
func readClock(ctx context.Context, bucket audit.InventoryBucket) (clockRecord, error) {
	none := clockRecord{At: time.Unix(0, 0).UTC()}
	e, err := bucket.Get(ctx, clockName)
	var rec clockRecord
	if errors.Is(err, fault.NotFound) || err == nil && json.Unmarshal(e.Value, &rec) != nil {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	return clockRecord{rec.At.UTC(), rec.Table.UTC()}, nil
}

// remember reads how far retention moved Lethe's clock. Before it remembered
// that, it put on record by which clock it ran, and which it accepted. The record
// also decides where what it remembers is further ahead of the wall clock than
// it could have moved it: whoever can write its bucket must not move it for it.
func (r *Retention) remember(ctx context.Context, c *clocks) error {
	rec, err := readClock(ctx, r.c.Bucket)
	if err != nil {
		return err
	}
	c.own, c.left = rec.At, rec.Table
	unread := c.own.Unix() <= 0
	if !unread && !c.own.After(c.wall.Add(r.c.MaxJump)) {
		return nil
	}
	until := c.own
	if unread {
		until = c.table
	}
	recorded, err := r.recorded(ctx, until)
	switch {
	case err != nil:
		return err
	case unread:
		c.own = recorded
	case c.own.After(recorded.Add(r.c.MaxJump)):
		r.c.Logger.Error("clock remembered not believed", "remembered", c.own, "recorded", recorded, "wall", c.wall)
		c.own = recorded
	}
	return nil
}

// recorded is the latest instant up to another that Lethe's clock stood at by
// what is on record; 1970 where nothing is.
func (r *Retention) recorded(ctx context.Context, until time.Time) (time.Time, error) {
	latest := time.Unix(0, 0).UTC()
	for _, kind := range []audit.Kind{audit.KindRun, audit.KindClock} {
		at, err := r.recordedClock(ctx, kind)
		if err != nil {
			return latest, err
		}
		if at.After(latest) && !at.After(until) {
			latest = at
		}
	}
	return latest, nil
}

// recordedClock is where the last entry of a kind says that Lethe's clock stood.
func (r *Retention) recordedClock(ctx context.Context, kind audit.Kind) (time.Time, error) {
	m, err := r.c.Log.Last(ctx, eventlog.AuditStream, eventlog.AuditTopic(string(kind)))
	if errors.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	e, err := audit.ParseEntry(m.Data)
	if err != nil {
		return time.Time{}, nil // the sequencer puts on record that it was refused
	}
	var run audit.Run
	var clock audit.Clock
	switch {
	case kind == audit.KindRun && json.Unmarshal(e.Detail, &run) == nil:
		return run.Clock, nil
	case kind == audit.KindClock && json.Unmarshal(e.Detail, &clock) == nil && (clock.Accepted || clock.Rejected):
		return clock.To, nil
	}
	return time.Time{}, nil
}

// empty says whether nothing was ever stored.
func (r *Retention) empty(ctx context.Context) (bool, error) {
	parts, err := r.c.Warehouse.Partitions(ctx)
	if err != nil || len(parts) > 0 {
		return false, err
	}
	for _, stream := range []string{eventlog.RawStream, eventlog.CleanStream} {
		info, err := r.c.Log.Info(ctx, stream)
		if err != nil || info.Last > 0 {
			return false, err
		}
	}
	return true, nil
}

// calm says that no jump is held back.
func (r *Retention) calm() {
	r.jump = jump{}
	r.meter.clock(false, 0)
}

// sight puts on record that somebody set Lethe's clock by hand, once for each
// instant that it is set to, and that somebody took it back.
func (r *Retention) sight(ctx context.Context, c clocks) error {
	if c.left.After(c.table) {
		err := r.c.Recorder.Record(ctx, audit.KindClock, audit.Clock{From: c.left, To: c.table, ByHand: true, Back: true})
		if err != nil {
			return err
		}
		r.c.Logger.Error("clock taken back by hand", "clock", c.own, "left", c.left, "table", c.table)
	}
	r.meter.foreign(c.foreign())
	if !c.foreign() {
		r.foreign = time.Time{}
		return nil
	}
	if r.foreign.Equal(c.table) {
		return nil
	}
	err := r.c.Recorder.Record(ctx, audit.KindClock, audit.Clock{From: c.own, To: c.table, ByHand: true})
	if err != nil {
		return err
	}
	r.foreign = c.table
	r.c.Logger.Error("clock set by hand", "clock", c.own, "table", c.table, "wall", c.wall)
	return nil
}

// move moves Lethe's clock to an instant and returns where it stands: first what
// retention remembers, so that a crash in between leaves nothing in the table
// that looks like somebody else's. While nothing is stored the table stays
// unset, because it could not go back.
func (r *Retention) move(ctx context.Context, c clocks, to time.Time) (time.Time, error) {
	left := c.left
	if left.After(c.table) {
		left = c.table // somebody took it back, and that is on record
	}
	if err := r.putClock(ctx, clockRecord{to, left}); err != nil {
		return time.Time{}, err
	}
	if to.After(c.table) && !c.empty {
		at, err := r.c.Warehouse.Advance(ctx, to)
		if err != nil {
			return time.Time{}, err
		}
		if at.After(left) && !at.After(to) {
			if err := r.putClock(ctx, clockRecord{to, at}); err != nil {
				return time.Time{}, err
			}
		}
	}
	r.meter.stands(to)
	return to, nil
}

func (r *Retention) putClock(ctx context.Context, rec clockRecord) error {
	value, err := json.Marshal(rec)
	if err == nil {
		_, err = r.c.Bucket.Put(ctx, clockName, value)
	}
	return err
}
