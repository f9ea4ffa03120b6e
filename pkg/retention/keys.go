package retention

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// mark is what a clean key that is due waits for.
type mark struct {
	// through is the last frame that is known to be sealed under it, since
	// when it waits.
	through uint64
	since   time.Time
}

// expireClean destroys the keys of clean frames whose expiry day has ended:
// step 4. It does not wait for their rows, but for the loader, which could not
// open what it has not loaded, and for holds.
func (u *run) expireClean(ctx context.Context) error {
	if u.noKeys != nil || u.noHolds != nil || u.noFloor != nil {
		return nil // said already
	}
	last := map[event.Day]uint64{}
	marks := map[string]mark{}
	var errs []error
	for _, k := range u.live[keyring.KindClean] {
		if id, ok := hold.KeyHold(k.Class); ok {
			errs = append(errs, u.expireHoldKey(ctx, k, id))
			continue
		}
		day := event.DayOf(k.Start)
		due := u.c.Policy.KeyExpiry(k.Class, day)
		if !ended(due, u.now) {
			continue
		}
		m, waits := u.marks[k.ID]
		if !waits || due == day {
			// Frames of a day that has not ended keep coming, sealed under
			// another rule's key: what was there when this key came due is all
			// that can be sealed under it.
			through, ok := last[day]
			if !ok {
				var err error
				if through, err = u.lastOf(ctx, day); err != nil {
					errs = append(errs, err)
					continue
				}
				last[day] = through
			}
			if m.through = through; !waits {
				m.since = u.now
			}
		}
		marks[k.ID] = m
		gone, err := u.expireCleanKey(ctx, k, due, m)
		errs = append(errs, err)
		if gone {
			delete(marks, k.ID)
		}
		if errors.Is(err, errLost) || ctx.Err() != nil {
			break
		}
	}
	u.marks = marks
	return errors.Join(errs...)
}

// expireCleanKey destroys a key that is due, or says that it has to wait.
func (u *run) expireCleanKey(ctx context.Context, k keyring.KeyInfo, due event.Day, m mark) (gone bool, err error) {
	if u.uncopied(m.through, u.tablesOf(k.Class)...) {
		u.wait(due.End(), true)
		return false, nil
	}
	if u.floor < m.through {
		// A key that a shorter rule made due has a grace of its own, but not
		// beyond that of its own day.
		if !late(due, m.since, u.now) && !late(event.DayOf(k.Start), time.Time{}, u.now) {
			u.wait(due.End(), false)
			return false, nil
		}
		lost, err := u.unloaded(ctx, k, m.through)
		if err != nil {
			u.left(due.End())
			return false, err
		}
		if lost > 0 {
			u.lose(lost)
			u.c.Logger.Error("clean frames lost", "key", k.ID, "frames", lost, "reason", "not loaded when their key had to end")
		}
	}
	return u.destroy(ctx, k, due.End(), func() error { return u.c.Keys.DestroyClean(ctx, k.Class, string(event.DayOf(k.Start))) })
}

// expireHoldKey destroys the key of a hold that has ended, or is not known and
// past its day. Step 8 sees to all others.
func (u *run) expireHoldKey(ctx context.Context, k keyring.KeyInfo, id string) error {
	day := event.DayOf(k.Start)
	past := ended(day, u.now)
	for _, h := range u.holds {
		if h.ID == id {
			past = h.State == hold.Ended
		}
	}
	if !past {
		return nil
	}
	_, err := u.destroy(ctx, k, day.End(), func() error { return u.c.Keys.DestroyClean(ctx, k.Class, string(day)) })
	return err
}

// tablesOf are the tables whose frames are sealed under a key. A key of a class
// that the policy does not have may be of any table.
func (u *run) tablesOf(keyName string) []string {
	class, _, _, _ := policy.ParseKeyName(keyName) // no class has the name ""
	var of, all []string
	for _, t := range u.c.Policy.Tables() {
		all = append(all, t.Name)
		if t.Class.Name == class {
			of = append(of, t.Name)
		}
	}
	if len(of) > 0 {
		return of
	}
	return all
}

// dayTopics matches the clean topics of one expiry day.
func dayTopics(day event.Day) string {
	return strings.TrimSuffix(event.CleanTopic("*", "*", "*", day, 0), "0") + "*"
}

// lastOf is the sequence of the last clean frame of an expiry day, in whatever
// table; 0 when the log has none.
func (u *run) lastOf(ctx context.Context, day event.Day) (uint64, error) {
	m, err := u.c.Log.Last(ctx, eventlog.CleanStream, dayTopics(day))
	if errors.Is(err, fault.NotFound) {
		return 0, nil
	}
	return m.Seq, err
}

// unloaded counts the frames under a key that the loader has not confirmed.
func (u *run) unloaded(ctx context.Context, k keyring.KeyInfo, through uint64) (n uint64, err error) {
	day := event.DayOf(k.Start)
	for m, err := range u.c.Log.Range(ctx, eventlog.CleanStream, u.floor+1, through) {
		if err != nil {
			return 0, err
		}
		if d, err := event.CleanTopicDay(m.Topic); err != nil || d != day {
			continue
		}
		var h event.CleanHeader
		header, _, err := event.Unpack(m.Data)
		if err == nil {
			err = event.ParseHeader(header, &h)
		}
		if err == nil && h.Class == k.Class {
			n++
		}
	}
	return n, nil
}

// purgeClean gives back the space of frames that nobody can open any more: of
// days that have ended and whose keys are all gone.
func (u *run) purgeClean(ctx context.Context) error {
	if u.noKeys != nil {
		return nil // said already
	}
	open := map[event.Day]bool{}
	for _, k := range u.live[keyring.KindClean] {
		if _, ok := hold.KeyHold(k.Class); !ok {
			open[event.DayOf(k.Start)] = true
		}
	}
	topics, err := u.c.Log.Topics(ctx, eventlog.CleanStream, event.CleanTopics)
	if err != nil {
		return err
	}
	days := map[event.Day]bool{}
	for topic := range topics {
		if day, err := event.CleanTopicDay(topic); err == nil && ended(day, u.now) && !open[day] {
			days[day] = true
		}
	}
	var errs []error
	for day := range days {
		if err := u.guard(ctx); err != nil {
			return errors.Join(append(errs, err)...)
		}
		n, err := u.c.Log.Purge(ctx, eventlog.CleanStream, dayTopics(day), 0)
		u.purged(n)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// expireEpochs is step 6: the master of an epoch goes when the last token made
// with it has expired. P5.
func (u *run) expireEpochs(ctx context.Context) error {
	var errs []error
	for _, k := range u.live[keyring.KindEpoch] {
		end, known := u.c.Policy.EpochExpiry(k.Domain, k.Epoch)
		if !known || u.now.Before(end) {
			continue
		}
		_, err := u.destroy(ctx, k, end, func() error { return u.c.Keys.DestroyEpoch(ctx, k.Domain, k.Epoch) })
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// destroy destroys a key that is due since an instant. The keyring puts it on
// record first. What of a kind lives is kept up to date.
func (u *run) destroy(ctx context.Context, k keyring.KeyInfo, due time.Time, do func() error) (gone bool, err error) {
	if err = u.guard(ctx); err == nil {
		err = do()
	}
	if err != nil {
		u.left(due)
		return false, err
	}
	live := u.live[k.Kind]
	kept := make([]keyring.KeyInfo, 0, len(live))
	for _, other := range live {
		if other.ID != k.ID {
			kept = append(kept, other)
		}
	}
	u.live[k.Kind] = kept
	u.entry.Keys++
	u.meter.keys.Inc()
	u.c.Logger.Info("key destroyed", "kind", string(k.Kind), "key", k.ID)
	u.reach("key_destroyed")
	return true, nil
}

func (u *run) purged(frames uint64) {
	u.entry.Frames += frames
	u.meter.frames.Add(float64(frames))
}

func (u *run) lose(frames uint64) {
	u.entry.LostFrames += frames
	u.meter.lost.Add(float64(frames))
}
