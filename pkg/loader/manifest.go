package loader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Names in the loader's bucket.
const (
	manifestName = "loader"
	rebuildName  = "rebuild"
)

// A manifest says which frames the latest round is made of. Everything below
// First is loaded.
type manifest struct {
	First uint64 `json:"first"`
	Last  uint64 `json:"last"`
	Epoch int64  `json:"epoch"`
	// Counted is how many rows came, up to and with this round. A manifest
	// without it was written by a version that did not count.
	Counted *counted `json:"counted,omitempty"`
}

func (l *Loader) putManifest(ctx context.Context, m manifest) error {
	return l.retry(ctx, "writing the manifest", func(ctx context.Context) error {
		_, err := l.cfg.Bucket.Put(ctx, manifestName, encode(m))
		return err
	})
}

// token names one batch: what came of a range of frames for one partition. The
// epoch tells the tables of one rebuild from those of the next, which must
// take the same rows again.
func token(first, last uint64, epoch int64, table string, day event.Day) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "lethe/load/v1 %s %d-%d %s %s epoch %d",
		eventlog.CleanStream, first, last, table, day, epoch))
	return hex.EncodeToString(sum[:16])
}

// recover finds out how far earlier processes came, and finishes the round
// that the last of them may have left in doubt.
func (l *Loader) recover(ctx context.Context) error {
	var m manifest
	var b rebuild
	err := l.retry(ctx, "reading the manifest", func(ctx context.Context) error {
		var err error
		if m, _, err = load[manifest](ctx, l.cfg.Bucket, manifestName); err != nil {
			return err
		}
		b, _, err = load[rebuild](ctx, l.cfg.Bucket, rebuildName)
		return err
	})
	if err != nil {
		return err
	}
	l.epoch, l.last = b.live(), m.Last
	l.counts.reached(m.Last)
	if err := l.checkLog(ctx, m); err != nil {
		return err
	}
	finished, err := l.openBooks(ctx, m)
	if err != nil {
		return err
	}
	if b.Phase.running() {
		// A rebuild begins when nothing is in doubt.
		return l.rebuild(ctx, b)
	}
	if m.Last == 0 || m.Epoch < l.epoch {
		return nil // nothing was ever loaded, or a rebuild has taken it up
	}
	return l.replay(ctx, m, finished)
}

// checkLog refuses a log that ends before what was loaded from it: its new
// frames would be taken for old ones.
func (l *Loader) checkLog(ctx context.Context, m manifest) error {
	return l.retry(ctx, "describing the clean log", func(ctx context.Context) error {
		info, err := l.cfg.Frames.Info(ctx, eventlog.CleanStream)
		if err != nil {
			return err
		}
		if m.Last > info.Last {
			return fault.Corrupt.Errorf("the clean log ends at sequence %d, and %d was loaded from it", info.Last, m.Last)
		}
		return nil
	})
}

// replay makes the round of a manifest again, as it was. Rows that landed are
// dropped by the engine, by their token. finished says that all of them did.
func (l *Loader) replay(ctx context.Context, m manifest, finished bool) error {
	var floor uint64
	err := l.retry(ctx, "asking how far the clean log is confirmed", func(ctx context.Context) (err error) {
		floor, err = l.cfg.Clean.Floor(ctx)
		return err
	})
	if err != nil || floor >= m.Last {
		l.confirmed = floor
		return err
	}
	l.cfg.Log.Warn("round repeated", "first_seq", m.First, "last_seq", m.Last, "epoch", m.Epoch)
	if err := l.readClock(ctx); err != nil {
		return err
	}
	var r *round
	err = l.retry(ctx, "reading the frames of the manifest", func(ctx context.Context) error {
		r = &round{first: m.First, last: m.Last, again: true}
		for msg, err := range l.cfg.Frames.Range(ctx, eventlog.CleanStream, m.First, m.Last) {
			if err != nil {
				return err
			}
			if err := l.take(ctx, r, msg); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	into := target{l.cfg.Warehouse, l.seen, m.Epoch}
	batches, err := l.prepare(ctx, into, r)
	if err != nil {
		return err
	}
	if m.Counted != nil && !finished {
		if err := l.correct(ctx, into, r, m, batches); err != nil {
			return err
		}
	}
	if err := l.insertAll(ctx, into, r, batches); err != nil {
		return err
	}
	l.counts.replayed()
	return nil
}

// load reads a record and its revision; zero where there is none.
func load[T any](ctx context.Context, bucket reading, name string) (record T, revision uint64, err error) {
	entry, err := bucket.Get(ctx, name)
	if errors.Is(err, fault.NotFound) {
		return record, 0, nil
	}
	if err != nil {
		return record, 0, err
	}
	if err := json.Unmarshal(entry.Value, &record); err != nil {
		return record, 0, fault.Corrupt.Errorf("the record %q in the loader's bucket is not readable", name)
	}
	return record, entry.Revision, nil
}

func encode(record any) []byte {
	b, err := json.Marshal(record)
	if err != nil {
		panic("loader: a record must marshal: " + err.Error())
	}
	return b
}

// target is where rows go.
type target struct {
	store interface {
		Insert(ctx context.Context, b *warehouse.Batch, token string) error
		Landed(ctx context.Context, table string, day event.Day, first, last uint64) (bool, error)
	}
	seen  *seen
	epoch int64
}
