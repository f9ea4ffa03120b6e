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
}

// clocks are the three clocks of a run.
type clocks struct {
	// table is what stands in the warehouse, which the read barrier goes by.
	table time.Time
	// own is how far retention moved it, which decides what is removed.
	own  time.Time
	wall time.Time
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
	if c.own, err = r.remembered(ctx, c.table); err != nil {
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
		e, err := bucket.Get(ctx, clockName)
		var rec clockRecord
		if errors.Is(err, fault.NotFound) || err == nil && json.Unmarshal(e.Value, &rec) != nil {
			return time.Unix(0, 0).UTC(), nil
		}
		return rec.At.UTC(), err
	}
}

// remembered is how far retention moved Lethe's clock. Before it remembered
// that, it put on record by which clock it ran, and which it accepted.
func (r *Retention) remembered(ctx context.Context, table time.Time) (time.Time, error) {
	own, err := Clock(r.c.Bucket)(ctx)
	if err != nil || own.Unix() > 0 {
		return own, err
	}
	for _, kind := range []audit.Kind{audit.KindRun, audit.KindClock} {
		at, err := r.recordedClock(ctx, kind)
		if err != nil {
			return time.Time{}, err
		}
		if at.After(own) && !at.After(table) {
			own = at
		}
	}
	return own, nil
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
	case kind == audit.KindClock && json.Unmarshal(e.Detail, &clock) == nil && clock.Accepted:
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
// instant that it is set to.
func (r *Retention) sight(ctx context.Context, c clocks) error {
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
	value, err := json.Marshal(clockRecord{to})
	if err != nil {
		return time.Time{}, err
	}
	if _, err := r.c.Bucket.Put(ctx, clockName, value); err != nil {
		return time.Time{}, err
	}
	if to.After(c.table) && !c.empty {
		if _, err := r.c.Warehouse.Advance(ctx, to); err != nil {
			return time.Time{}, err
		}
	}
	r.meter.stands(to)
	return to, nil
}

// ConfirmClock moves Lethe's clock to the wall clock, however far that is, or,
// where the wall clock is not ahead and somebody set Lethe's by hand, takes it
// for what was meant. It is an operator's act, and goes on record first. Where
// nothing is held back, it is [fault.Conflict].
func (r *Retention) ConfirmClock(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.clocks(ctx)
	if err != nil {
		return err
	}
	switch {
	case c.held(r.c.MaxJump):
		_, err = r.accept(ctx, c, c.wall)
	case c.foreign():
		_, err = r.accept(ctx, c, c.table)
	default:
		return fault.Conflict.Errorf("no jump of the clock is held back")
	}
	return err
}

func (r *Retention) accept(ctx context.Context, c clocks, to time.Time) (time.Time, error) {
	entry := audit.Clock{From: c.own, To: to, Accepted: true, ByHand: c.foreign() && to.Equal(c.table)}
	if err := r.c.Recorder.Record(ctx, audit.KindClock, entry); err != nil {
		return time.Time{}, err
	}
	now, err := r.move(ctx, c, to)
	if err != nil {
		return time.Time{}, err
	}
	r.calm()
	if entry.ByHand {
		r.foreign = time.Time{}
		r.meter.foreign(false)
	}
	r.c.Logger.Warn("clock jump accepted", "from", c.own, "to", now)
	return now, nil
}
