package retention

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// settled is how much later than its key a frame may be on the log: it is
// sealed by one clock and stored by another.
const settled = time.Hour

// hour is one raw key.
type hour struct {
	tenant string
	start  time.Time
}

// expireRaw is step 5: the keys of raw hours that are treated and old enough,
// and of those past the cap whatever became of them. P1.
func (u *run) expireRaw(ctx context.Context) error {
	if u.noKeys != nil {
		return nil // said already
	}
	state, err := u.c.Log.Consumer(ctx, eventlog.RawStream, eventlog.RawConsumer)
	if err != nil {
		return err
	}
	untreated, err := u.firstAfter(ctx, state.Floor)
	if err != nil {
		return err
	}
	keep := u.treatedPeriod()
	capped, ok := u.period("raw")
	if !ok {
		capped = keep
	}
	var lost map[hour]uint64
	var errs []error
	for _, k := range u.live[keyring.KindRaw] {
		end := k.Start.Add(time.Hour)
		treated := untreated.IsZero() || end.Add(settled).Before(untreated)
		due, past := keep.After(end), capped.After(k.Start)
		switch {
		case treated && !u.now.Before(due):
		case !u.now.Before(past):
			due = past
		default:
			continue
		}
		if !treated {
			if lost == nil {
				if lost, err = u.untreatedFrames(ctx, state.Floor, capped); err != nil {
					u.left(due)
					errs = append(errs, err)
					break
				}
			}
			n := lost[hour{k.Tenant, k.Start}]
			u.lose(n)
			u.meter.lostHours.Inc()
			u.c.Logger.Error("raw hour destroyed untreated", "tenant", k.Tenant, "hour", k.Start, "frames", n)
		}
		_, err := u.destroy(ctx, k, due, func() error { return u.c.Keys.DestroyRaw(ctx, k.Tenant, k.Start) })
		errs = append(errs, err)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
	// A frame is purged some time after its key had to end.
	over := func(p policy.Period, at time.Time) bool {
		return !u.now.Before(p.After(at.Add(time.Hour + settled)))
	}
	return errors.Join(append(errs, u.purgeRaw(ctx, func(at time.Time) bool {
		treated := untreated.IsZero() || at.Before(untreated)
		return treated && over(keep, at) || over(capped, at)
	}))...)
}

// firstAfter is when the first raw frame behind a sequence came; zero when
// there is none.
func (u *run) firstAfter(ctx context.Context, seq uint64) (time.Time, error) {
	m, err := u.c.Log.Next(ctx, eventlog.RawStream, seq+1)
	if errors.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	return m.At, err
}

// untreatedFrames counts the frames behind a sequence that are past the cap, by
// their keys: a frame came in the hour of its key, or, where that hour has none
// of the tenant's, in the one after it.
func (u *run) untreatedFrames(ctx context.Context, floor uint64, capped policy.Period) (map[hour]uint64, error) {
	info, err := u.c.Log.Info(ctx, eventlog.RawStream)
	if err != nil {
		return nil, err
	}
	keys := map[hour]bool{}
	for _, k := range u.live[keyring.KindRaw] {
		keys[hour{k.Tenant, k.Start}] = true
	}
	out := map[hour]uint64{}
	for m, err := range u.c.Log.Range(ctx, eventlog.RawStream, max(floor+1, info.First), info.Last) {
		if err != nil {
			return nil, err
		}
		parts := strings.Split(m.Topic, ".")
		if len(parts) < 3 {
			continue
		}
		of := hour{parts[2], m.At.UTC().Truncate(time.Hour)}
		if !keys[of] {
			of.start = of.start.Add(-time.Hour)
		}
		if u.now.Before(capped.After(of.start)) {
			break
		}
		out[of]++
	}
	return out, nil
}

// purgeRaw removes the frames that are over: the first sequence that stays is
// found by halving, because sequences and times grow together.
func (u *run) purgeRaw(ctx context.Context, over func(at time.Time) bool) error {
	info, err := u.c.Log.Info(ctx, eventlog.RawStream)
	if err != nil || info.Messages == 0 || !over(info.FirstAt) {
		return err
	}
	low, high := info.First, info.Last+1
	for low < high {
		mid := low + (high-low)/2
		m, err := u.c.Log.Next(ctx, eventlog.RawStream, mid)
		switch {
		case errors.Is(err, fault.NotFound):
			high = mid
		case err != nil:
			return err
		case over(m.At):
			low = m.Seq + 1
		default:
			high = mid
		}
	}
	if low <= info.First {
		return nil
	}
	if err := u.guard(ctx); err != nil {
		return err
	}
	n, err := u.c.Log.Purge(ctx, eventlog.RawStream, "", low)
	u.purged(n)
	return err
}

// quarantinePurges bounds how many frames of quarantine a run takes away.
const quarantinePurges = 5000

// expireQuarantine destroys the quarantine keys past their rule, and purges
// their frames. Retention may not look into quarantine, so it takes its frames
// off the front, one at a time. P1, P12.
func (u *run) expireQuarantine(ctx context.Context) error {
	period, ok := u.period("quarantine")
	if !ok || u.noKeys != nil {
		return nil
	}
	var errs []error
	for _, k := range u.live[keyring.KindQuarantine] {
		day := event.DayOf(k.Start)
		due := period.After(day.End())
		if u.now.Before(due) {
			continue
		}
		_, err := u.destroy(ctx, k, due, func() error { return u.c.Keys.DestroyQuarantine(ctx, k.Tenant, string(day)) })
		errs = append(errs, err)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return errors.Join(errs...)
		}
	}
	// What came on a day whose keys are due was sealed on that day or before.
	for range quarantinePurges {
		info, err := u.c.Log.Info(ctx, eventlog.QuarantineStream)
		if err == nil && (info.Messages == 0 || u.now.Before(period.After(event.DayOf(info.FirstAt).End()))) {
			break
		}
		if err == nil {
			err = u.guard(ctx)
		}
		if err != nil {
			errs = append(errs, err)
			break
		}
		n, err := u.c.Log.Purge(ctx, eventlog.QuarantineStream, "", info.First+1)
		u.purged(n)
		if err != nil || n == 0 {
			errs = append(errs, err)
			break
		}
	}
	return errors.Join(errs...)
}
