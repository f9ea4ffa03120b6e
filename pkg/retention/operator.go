package retention

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

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

// RejectClock says that whoever set Lethe's clock by hand was wrong, and takes
// it back to Lethe's own: how far retention moved it, and on to the wall clock
// where that can be believed, so that it is before no instant that a run went
// by. It is an operator's act. Where nobody set it, it is [fault.Conflict].
//
//  1. it is on record
//  2. retention remembers where the clock will stand
//  3. what is later is removed from the table, which at no moment stands before
//     that instant
//
// A crash before 3 is done leaves what was there, which is found again: reject
// it again.
func (r *Retention) RejectClock(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.clocks(ctx)
	if err != nil {
		return err
	}
	if !c.foreign() {
		return fault.Conflict.Errorf("nobody has set Lethe's clock by hand")
	}
	to, err := r.rightful(ctx, c)
	if err != nil {
		return err
	}
	entry := audit.Clock{From: c.table, To: to, ByHand: true, Rejected: true}
	if err := r.c.Recorder.Record(ctx, audit.KindClock, entry); err != nil { // 1
		return err
	}
	r.reach("reject_recorded")
	if err := r.putClock(ctx, clockRecord{to, c.left}); err != nil { // 2
		return err
	}
	r.reach("reject_remembered")
	if _, err := r.c.Warehouse.TakeBack(ctx, to); err != nil { // 3
		return err
	}
	r.reach("reject_done")
	r.foreign = time.Time{}
	r.meter.foreign(false)
	r.meter.stands(to)
	r.c.Logger.Warn("clock set by hand rejected", "from", c.table, "to", to)
	return nil
}

// rightful is where Lethe's clock would stand if nobody had set it by hand. What
// is on record counts beside what retention remembers, which may have been put
// back from a copy.
func (r *Retention) rightful(ctx context.Context, c clocks) (time.Time, error) {
	to, err := r.recorded(ctx, c.table)
	if err != nil {
		return to, err
	}
	for _, at := range []time.Time{c.own, c.left} {
		if at.After(to) && at.Before(c.table) {
			to = at
		}
	}
	if c.own = to; c.wall.After(to) && !c.held(r.c.MaxJump) {
		to = c.wall
	}
	return to, nil
}
