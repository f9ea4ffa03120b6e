package loader

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// repeats are rows that net 3 recognized as rows of another expiry day: by the
// sequence of their frame, their places in it, in order.
//
// An event that comes again after its deletion rule changed is in a frame of
// another expiry day than the first time. The first frame wins; but when its
// day is over it opens no longer, and a rebuild would take the second for an
// event of its own, which lives by the other rule. So what was recognized is
// written down while the second frame lives. It names no event.
type repeats map[uint64][]int

// repeatsPrefix begins the name of every record of repeats in the loader's
// bucket. Each is of one round, and called by its last sequence.
const repeatsPrefix = "repeats/"

type repeatsRecord struct {
	Until event.Day `json:"until"` // the last expiry day of the frames
	Rows  repeats   `json:"rows"`
}

// sift leaves out of a frame what was recognized when it came.
func (r repeats) sift(f *frame) {
	places := r[f.seq]
	if len(places) == 0 {
		return
	}
	keep := f.rows[:0]
	for j, row := range f.rows {
		if _, found := slices.BinarySearch(places, j); !found {
			keep = append(keep, row)
		}
	}
	f.rows = keep
}

// remember writes down what a round repeats, before its manifest.
func (l *Loader) remember(ctx context.Context, r *round) error {
	if len(r.repeated) == 0 {
		return nil
	}
	record := repeatsRecord{Rows: r.repeated}
	for i := range r.frames {
		if f := &r.frames[i]; len(r.repeated[f.seq]) > 0 {
			record.Until = max(record.Until, f.header.Day)
		}
	}
	return l.retry(ctx, "writing down what came again", func(ctx context.Context) error {
		if err := l.forgetRepeats(ctx); err != nil {
			return err
		}
		_, err := l.cfg.Bucket.Put(ctx, repeatsPrefix+strconv.FormatUint(r.last, 10), encode(record))
		return err
	})
}

// recall reads all that was written down.
func (l *Loader) recall(ctx context.Context) (repeats, error) {
	out := repeats{}
	err := l.eachRepeats(ctx, func(_ string, record repeatsRecord) error {
		for seq, places := range record.Rows {
			// A round that was made again may have recognized more.
			all := append(out[seq], places...)
			slices.Sort(all)
			out[seq] = slices.Compact(all)
		}
		return nil
	})
	return out, err
}

// forgetEvery is how often the records of frames that have expired are deleted.
const forgetEvery = 24 * time.Hour

// forgetRepeats deletes the records of frames that have expired.
func (l *Loader) forgetRepeats(ctx context.Context) error {
	now := l.cfg.Now()
	if now.Sub(l.forgot).Abs() < forgetEvery {
		return nil
	}
	err := l.eachRepeats(ctx, func(name string, record repeatsRecord) error {
		if record.Until.End().Add(policy.Grace).After(now) {
			return nil
		}
		return l.cfg.Bucket.Delete(ctx, name)
	})
	if err == nil {
		l.forgot = now
	}
	return err
}

func (l *Loader) eachRepeats(ctx context.Context, each func(name string, record repeatsRecord) error) error {
	names, err := l.cfg.Bucket.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, repeatsPrefix) {
			continue
		}
		record, _, err := load[repeatsRecord](ctx, l.cfg.Bucket, name)
		if err == nil {
			err = each(name, record)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
