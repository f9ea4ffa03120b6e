package hold

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// leaseFor is how long a lease that nobody renews is respected.
	leaseFor = time.Minute
	// renewEvery is how old a lease may be when something is done under it.
	renewEvery = 10 * time.Second
)

// errLost ends a pass at once: another copier has the lease, and may be at the
// same work.
var errLost = fault.Conflict.Errorf("another process took over the copying for legal holds")

// A lease keeps two copiers from working at the same time. It is one entry in
// the bucket, changed only by whoever saw its last revision.
//
// The lease of a process that died is taken over by one that has seen it
// unchanged for leaseFor, by its own clock: how the clocks of two machines
// differ changes nothing. What a copier that was suspended while another took
// over does before it notices is done twice and there once, as after a crash.
type lease struct {
	bucket  Bucket
	owner   string
	elapsed func() time.Duration
	last    time.Duration // leaseFor

	// revision is ours while we hold the lease; renewed is when it was made.
	revision uint64
	renewed  time.Duration

	// seen is the revision of another's lease, since when it is that.
	seen  uint64
	since time.Duration
}

type leaseRecord struct {
	Owner string `json:"owner"` // empty: given back
}

// take takes the lease and says whether it did.
func (l *lease) take(ctx context.Context) (bool, error) {
	e, err := l.bucket.Get(ctx, leaseName)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return false, err
	}
	if err == nil && l.another(e.Value) {
		if e.Revision != l.seen {
			l.seen, l.since = e.Revision, l.elapsed()
		}
		if l.elapsed()-l.since < l.last {
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

// another says whether a record is of another process that has not given the
// lease back. What cannot be read is another's.
func (l *lease) another(value []byte) bool {
	var r leaseRecord
	return json.Unmarshal(value, &r) != nil || r.Owner != "" && r.Owner != l.owner
}

// keep renews the lease when it is old. It is [errLost] when another has it, or
// may have.
func (l *lease) keep(ctx context.Context) error {
	if l.elapsed()-l.renewed < renewEvery {
		return nil
	}
	err := l.write(ctx, l.owner, l.revision)
	if errors.Is(err, fault.Conflict) {
		// A renewal whose answer was lost is ours all the same.
		e, getErr := l.bucket.Get(ctx, leaseName)
		if getErr != nil || l.another(e.Value) {
			return errLost
		}
		err = l.write(ctx, l.owner, e.Revision)
	}
	if err != nil && l.elapsed()-l.renewed >= l.last/2 {
		return errLost
	}
	return err
}

// release gives the lease back, so that the next pass need not wait for it. It
// may fail: then the next one, if it is another's, waits.
func (l *lease) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = l.write(ctx, "", l.revision)
}

func (l *lease) write(ctx context.Context, owner string, revision uint64) error {
	// Read before, so that the lease is never thought younger than it is.
	elapsed := l.elapsed()
	revision, err := l.bucket.Update(ctx, leaseName, encode(leaseRecord{owner}), revision)
	if err != nil {
		return err
	}
	l.revision, l.renewed = revision, elapsed
	return nil
}
