package retention

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// believed is for how long the wall clock must be ahead before a jump that is
// too large is taken for the truth.
const believed = 24 * time.Hour

// steady is by how much the wall clock may run otherwise than a clock that
// nobody can set and still be the same clock.
const steady = time.Hour

// A jump is a wall clock that is too far ahead of Lethe's clock, and since when
// this process sees it so.
type jump struct {
	seen  bool
	at    time.Time     // the wall clock when it was first seen
	since time.Duration // the other clock then
}

// tell is step 1: it moves Lethe's clock as far as the wall clock can be
// believed, and returns where it stands.
//
// A wall clock that runs ahead would remove what is not due, and Lethe's clock
// never goes back. So a jump of more than MaxJump is held back, until somebody
// confirms it or it has lasted for a day. Nothing is selectable for longer
// because of that: the read barrier goes by the later of both clocks.
func (r *Retention) tell(ctx context.Context) (time.Time, error) {
	stands, err := r.c.Warehouse.Clock(ctx)
	if err != nil {
		return time.Time{}, err
	}
	wall := r.c.Now().UTC().Round(0)
	ahead := wall.Sub(stands)
	switch {
	case ahead <= 0:
		r.jump = jump{}
		r.meter.clock(false, 0)
		return stands, nil
	case ahead <= r.c.MaxJump || stands.Unix() <= 0: // a clock that was never set
		r.jump = jump{}
		r.meter.clock(false, 0)
		return r.c.Warehouse.Advance(ctx, wall)
	}
	elapsed := r.c.Elapsed()
	drift := wall.Sub(r.jump.at) - (elapsed - r.jump.since)
	if !r.jump.seen || drift.Abs() > steady {
		if err := r.c.Recorder.Record(ctx, audit.KindClock, audit.Clock{From: stands, To: wall}); err != nil {
			return time.Time{}, err
		}
		r.jump = jump{true, wall, elapsed}
		r.c.Logger.Error("clock jump held back", "clock", stands, "wall", wall, "max_jump", r.c.MaxJump)
	}
	if elapsed-r.jump.since < believed {
		r.meter.clock(true, ahead)
		return stands, nil
	}
	return r.accept(ctx, stands, wall)
}

// ConfirmClock moves Lethe's clock to the wall clock, however far that is. It
// is an operator's act, for a jump that is held back, and goes on record first.
// Where none is, it is [fault.Conflict].
func (r *Retention) ConfirmClock(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	stands, err := r.c.Warehouse.Clock(ctx)
	if err != nil {
		return err
	}
	wall := r.c.Now().UTC().Round(0)
	if wall.Sub(stands) <= r.c.MaxJump || stands.Unix() <= 0 {
		return fault.Conflict.Errorf("no jump of the clock is held back")
	}
	_, err = r.accept(ctx, stands, wall)
	return err
}

func (r *Retention) accept(ctx context.Context, stands, wall time.Time) (time.Time, error) {
	if err := r.c.Recorder.Record(ctx, audit.KindClock, audit.Clock{From: stands, To: wall, Accepted: true}); err != nil {
		return time.Time{}, err
	}
	now, err := r.c.Warehouse.Advance(ctx, wall)
	if err != nil {
		return time.Time{}, err
	}
	r.jump = jump{}
	r.meter.clock(false, 0)
	r.c.Logger.Warn("clock jump accepted", "from", stands, "to", now)
	return now, nil
}
