package retention

import (
	"context"
	"errors"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
)

// endHolds is step 8: what a legal hold kept goes when it is released or its
// deadline has passed.
func (u *run) endHolds(ctx context.Context) error {
	if u.noHolds != nil {
		return nil // said already
	}
	var errs []error
	for _, h := range u.holds {
		if !h.Due(u.now) {
			continue
		}
		err := u.endHold(ctx, h)
		if err != nil {
			u.left(h.Deadline.End())
		}
		errs = append(errs, err)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// endHold removes what a hold keeps.
//
//  1. its end is on record
//  2. its rows are dropped
//  3. its key is destroyed, which closes every frame
//  4. its frames are purged
//  5. the hold itself says that it has ended
//
// Each may be repeated, and one that fails keeps none but 5 from being done.
func (u *run) endHold(ctx context.Context, h hold.Hold) error {
	if err := u.guard(ctx); err != nil {
		return err
	}
	if !u.ended[h.ID] {
		if err := u.c.Recorder.Record(ctx, audit.KindHold, audit.Hold{ // 1
			Verb: "ended", ID: h.ID, Deadline: h.Deadline, Floor: h.Floor, Rows: h.Rows, Frames: h.Frames,
		}); err != nil {
			return err
		}
		u.ended[h.ID] = true
	}
	u.reach("hold_announced")
	errs := []error{u.c.Warehouse.DropHeld(ctx, h.ID)} // 2
	u.reach("hold_rows")
	class, day := h.Key()
	errs = append(errs, u.c.Keys.DestroyClean(ctx, class, day)) // 3
	u.reach("hold_key")
	n, err := u.c.Log.Purge(ctx, eventlog.HoldStream, h.Topics(), 0) // 4
	u.purged(n)
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	u.entry.Keys++
	u.meter.keys.Inc()
	u.reach("hold_frames")
	if err := u.c.Holds.End(ctx, h.ID); err != nil { // 5
		return err
	}
	u.c.Logger.Info("hold ended", "hold", h.ID, "rows", h.Rows, "frames", h.Frames)
	return nil
}
