package loader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A Phase is how far a rebuild is.
type Phase string

const (
	// Requested: the loader has not begun.
	Requested Phase = "requested"
	// Loading: empty tables are being filled beside the live ones. A loader
	// that is started again begins with empty tables again.
	Loading Phase = "loading"
	// Swapping: full tables are being exchanged for the live ones. A loader
	// that is started again goes on with those that are left.
	Swapping Phase = "swapping"
	// Done: the live tables are the ones that were built.
	Done Phase = "done"
	// Failed: the tables that were being filled are dropped, and the live
	// ones are as they were. The loader's log says why.
	Failed Phase = "failed"
)

func (p Phase) running() bool { return p == Loading || p == Swapping }

// Progress says how far a rebuild is.
type Progress struct {
	Phase Phase
	// Loaded of Target: sequences of the clean log.
	Loaded, Target uint64
	Rows           int
}

// rebuild is the record of the latest rebuild.
type rebuild struct {
	Phase  Phase  `json:"phase"`
	Epoch  int64  `json:"epoch"` // of the tables it builds; when requested or failed, of the live ones
	Target uint64 `json:"target"`
	Loaded uint64 `json:"loaded"`
	Rows   int    `json:"rows"`
}

// live is the epoch of the live tables.
func (b rebuild) live() int64 {
	switch b.Phase {
	case "":
		return warehouse.FirstEpoch
	case Loading:
		return b.Epoch - 1
	}
	return b.Epoch
}

// pollEvery is how often the bucket is asked for a request, and by those who
// wait for progress.
const pollEvery = 100 * time.Millisecond

// RequestRebuild asks the running loader, in whatever process, to make the
// warehouse anew from the clean log. While it does, nothing else is loaded; the
// log keeps what comes. A rebuild that is under way is fault.Conflict.
func RequestRebuild(ctx context.Context, bucket Bucket) error {
	b, revision, err := load[rebuild](ctx, bucket, rebuildName)
	if err != nil {
		return err
	}
	if b.Phase == Requested || b.Phase.running() {
		return fault.Conflict.Errorf("the warehouse is being rebuilt already")
	}
	_, err = bucket.Update(ctx, rebuildName, encode(rebuild{Phase: Requested, Epoch: b.live()}), revision)
	return err
}

// RebuildProgress says how far the latest rebuild is; fault.NotFound when there
// never was one.
func RebuildProgress(ctx context.Context, bucket Bucket) (Progress, error) {
	b, _, err := load[rebuild](ctx, bucket, rebuildName)
	if err != nil {
		return Progress{}, err
	}
	if b.Phase == "" {
		return Progress{}, fault.NotFound.Errorf("the warehouse was never rebuilt")
	}
	return Progress{Phase: b.Phase, Loaded: b.Loaded, Target: b.Target, Rows: b.Rows}, nil
}

// Rebuild requests a rebuild, or joins the one under way, and returns when it
// is done. each, which may be nil, is told how far it is.
func Rebuild(ctx context.Context, bucket Bucket, each func(Progress)) error {
	if err := RequestRebuild(ctx, bucket); err != nil && !errors.Is(err, fault.Conflict) {
		return err
	}
	for {
		p, err := RebuildProgress(ctx, bucket)
		if err != nil && !errors.Is(err, fault.Unavailable) {
			return err
		}
		if err == nil {
			if each != nil {
				each(p)
			}
			switch p.Phase {
			case Done:
				return nil
			case Failed:
				return fault.Conflict.Errorf("the warehouse could not be rebuilt and is as it was; the loader's log says why")
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the rebuild, which goes on: %w", ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}

// rebuildIfAsked looks for a request, now and then. It is called when no round
// is in doubt.
func (l *Loader) rebuildIfAsked(ctx context.Context) error {
	if time.Since(l.asked) < pollEvery {
		return nil
	}
	l.asked = time.Now()
	var b rebuild
	err := l.retry(ctx, "looking for a rebuild request", func(ctx context.Context) (err error) {
		b, _, err = load[rebuild](ctx, l.cfg.Bucket, rebuildName)
		return err
	})
	if err != nil || b.Phase != Requested {
		return err
	}
	// R1: durable before anything is touched. From here on the manifest is
	// closed: everything in it is loaded, and its tokens mean nothing to the
	// tables to come.
	b = rebuild{Phase: Loading, Epoch: l.epoch + 1, Target: l.last}
	if err := l.putRebuild(ctx, b); err != nil {
		return err
	}
	crashpoint.Reach("loader.rebuild_loading")
	return l.rebuild(ctx, b)
}

// rebuild does what is left of a rebuild:
//
//	R1  its epoch and target are durable (phase loading)
//	R2  empty tables stand in a database of their own
//	R3  they hold every row through the target, by the same rules as ever
//	R4  phase swapping is durable; every table that does not carry the epoch
//	    yet is exchanged for the live one
//	R5  the old tables are dropped; phase done is durable
//
// A crash before R4 starts over with empty tables, and one after goes on.
func (l *Loader) rebuild(ctx context.Context, b rebuild) error {
	l.cfg.Log.Info("rebuild begun", "phase", b.Phase, "epoch", b.Epoch, "target_seq", b.Target)
	l.counts.rebuilding(1)
	defer l.counts.rebuilding(-1)
	began := time.Now()
	if b.Phase == Loading {
		b.Loaded, b.Rows = 0, 0
		if err := l.fill(ctx, &b); err != nil {
			if ctx.Err() != nil {
				return err // the next process goes on
			}
			return l.abandon(ctx, b, err)
		}
		crashpoint.Reach("loader.rebuild_loaded")
		b.Phase = Swapping
		if err := l.putRebuild(ctx, b); err != nil {
			return err
		}
		crashpoint.Reach("loader.rebuild_swapping")
	}
	// R4
	err := l.retry(ctx, "exchanging the tables", func(ctx context.Context) error {
		return l.cfg.Staging.Swap(ctx, l.cfg.Policy, b.Epoch)
	})
	if err != nil {
		return err
	}
	crashpoint.Reach("loader.rebuild_swapped")
	// R5
	if err := l.retry(ctx, "dropping the old tables", l.cfg.Staging.Discard); err != nil {
		return err
	}
	crashpoint.Reach("loader.rebuild_discarded")
	b.Phase = Done
	if err := l.putRebuild(ctx, b); err != nil {
		return err
	}
	l.epoch = b.Epoch
	l.seen.forget()
	l.counts.rebuilt()
	l.cfg.Log.Info("warehouse rebuilt", "epoch", b.Epoch, "last_seq", b.Target, "rows", b.Rows, "elapsed", time.Since(began))
	return nil
}

// abandon gives up a rebuild that cannot succeed, so that loading goes on.
func (l *Loader) abandon(ctx context.Context, b rebuild, reason error) error {
	l.cfg.Log.Error("rebuild failed", "epoch", b.Epoch, "loaded_seq", b.Loaded, "target_seq", b.Target, "err", reason)
	if err := l.retry(ctx, "dropping what was built", l.cfg.Staging.Discard); err != nil {
		return err
	}
	b.Epoch, b.Phase = b.live(), Failed
	return l.putRebuild(ctx, b)
}

// fill is R2 and R3.
func (l *Loader) fill(ctx context.Context, b *rebuild) error {
	var staged *warehouse.Warehouse
	err := l.retry(ctx, "making empty tables", func(ctx context.Context) (err error) {
		staged, err = l.cfg.Staging.Stage(ctx, l.cfg.Policy, b.Epoch)
		return err
	})
	if err != nil {
		return err
	}
	crashpoint.Reach("loader.rebuild_staged")
	var gone *removed
	err = l.retry(ctx, "looking at what was removed", func(ctx context.Context) (err error) {
		gone, err = l.lookRemoved(ctx)
		return err
	})
	if err != nil {
		return err
	}
	into := target{staged, newSeen(staged, defaultMemory), b.Epoch}
	for b.Loaded < b.Target {
		r, err := l.reread(ctx, b.Loaded+1, b.Target, gone)
		if err != nil {
			return err
		}
		batches, err := l.prepare(ctx, into, r)
		if err == nil {
			err = l.insertAll(ctx, into, r, batches)
		}
		if err != nil {
			return err
		}
		b.Loaded = r.last
		b.Rows += r.rows - r.dropped
		if err := l.putRebuild(ctx, *b); err != nil {
			return err
		}
		crashpoint.Reach("loader.rebuild_round")
	}
	return nil
}

// reread makes a round of frames from first on. Its last is the target when
// the log holds no more.
func (l *Loader) reread(ctx context.Context, first, target uint64, gone *removed) (*round, error) {
	if err := l.readClock(ctx); err != nil {
		return nil, err
	}
	var r *round
	err := l.retry(ctx, "reading the clean log", func(ctx context.Context) error {
		r = &round{first: first, last: target, gone: gone}
		for msg, err := range l.cfg.Frames.Range(ctx, eventlog.CleanStream, first, target) {
			if err != nil {
				return err
			}
			if err := l.take(ctx, r, msg); err != nil {
				return err
			}
			if r.rows >= l.cfg.MaxRows || r.bytes >= maxRoundBytes {
				r.last = msg.Seq
				return nil
			}
		}
		return nil
	})
	return r, err
}

func (l *Loader) putRebuild(ctx context.Context, b rebuild) error {
	return l.retry(ctx, "recording the rebuild", func(ctx context.Context) error {
		_, err := l.cfg.Bucket.Put(ctx, rebuildName, encode(b))
		return err
	})
}
