package retention

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	leaseName = "lease"
	// leaseFor is how long a lease that nobody renews is respected.
	leaseFor = 10 * time.Minute
	// renewEvery is how old a lease may be when a deed is done under it.
	renewEvery = time.Minute
)

// errLost ends a run at once: another process has the lease, and may be at the
// same work.
var errLost = fault.Conflict.Errorf("another process took over the removal of what has expired")

// A lease keeps two processes from running at the same time. It is one entry in
// a bucket, changed only by whoever saw its last revision.
//
// The lease of a process that died is taken over by one that has seen it
// unchanged for [leaseFor], by a clock that nobody can set: how the wall clocks
// of two machines differ changes nothing.
type lease struct {
	bucket  Bucket
	owner   string
	elapsed func() time.Duration
	now     func() time.Time

	// revision is ours while we hold the lease; renewed is when it was made,
	// by both clocks: one of them stands still while a machine is suspended.
	revision  uint64
	renewed   time.Duration
	renewedAt time.Time

	// seen is the revision of another's lease, since when it is that.
	seen  uint64
	since time.Duration
}

type leaseRecord struct {
	Owner string `json:"owner"` // empty: given back
}

func newLease(c Config) lease {
	if c.Owner == "" {
		c.Owner = rand.Text()
	}
	return lease{bucket: c.Bucket, owner: c.Owner, elapsed: c.Elapsed, now: c.Now}
}

// take takes the lease and says whether it did.
func (l *lease) take(ctx context.Context) (bool, error) {
	e, err := l.bucket.Get(ctx, leaseName)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return false, err
	}
	if owner := ownerOf(e.Value); err == nil && owner != "" && owner != l.owner {
		if e.Revision != l.seen {
			l.seen, l.since = e.Revision, l.elapsed()
		}
		if l.elapsed()-l.since < leaseFor {
			return false, nil
		}
	}
	switch err := l.write(ctx, l.owner, e.Revision); {
	case errors.Is(err, fault.Conflict):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// ownerOf is whose lease it is, "" for one that was given back. What cannot be
// read is nobody's, and not given back.
func ownerOf(value []byte) string {
	var rec leaseRecord
	if json.Unmarshal(value, &rec) != nil {
		return "?"
	}
	return rec.Owner
}

// keep renews the lease when it is old. It is [errLost] when another has it, or
// may have.
func (l *lease) keep(ctx context.Context) error {
	wall := l.now().Round(0)
	young := func(age time.Duration) bool { return age >= 0 && age < renewEvery }
	if young(l.elapsed()-l.renewed) && young(wall.Sub(l.renewedAt)) {
		return nil
	}
	err := l.write(ctx, l.owner, l.revision)
	if errors.Is(err, fault.Conflict) {
		// A renewal whose answer was lost is ours all the same.
		e, getErr := l.bucket.Get(ctx, leaseName)
		if getErr != nil || ownerOf(e.Value) != l.owner {
			return errLost // also where another had it and gave it back
		}
		err = l.write(ctx, l.owner, e.Revision)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.Conflict) || l.elapsed()-l.renewed >= leaseFor/2:
		return errLost
	}
	return err
}

// release gives the lease back, so that the next run need not wait for it. It
// may fail: then the next run waits.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = l.write(ctx, "", l.revision)
}

func (l *lease) write(ctx context.Context, owner string, revision uint64) error {
	value, err := json.Marshal(leaseRecord{owner})
	if err != nil {
		return err
	}
	// Both clocks are read before, so that the lease is never thought younger
	// than it is.
	elapsed, at := l.elapsed(), l.now().Round(0)
	revision, err = l.bucket.Update(ctx, leaseName, value, revision)
	if err != nil {
		return err
	}
	l.revision, l.renewed, l.renewedAt = revision, elapsed, at
	return nil
}
