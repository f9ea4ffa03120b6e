package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// LeaseBucket is what a Lease is kept in: [Bucket].
type LeaseBucket interface {
	Get(ctx context.Context, name string) (Entry, error)
	Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error)
}

// LeaseConfig is what a Lease is made of. Now may be nil; the rest is required.
type LeaseConfig struct {
	Bucket LeaseBucket
	Name   string // of its entry
	// Owner names the process. A lease that a process of the same name left is
	// taken at once.
	Owner string
	// For is how long a lease that nobody renews is respected, and Renew how
	// old it may be when something is done under it.
	For, Renew time.Duration
	// Elapsed is a clock that nobody can set.
	Elapsed func() time.Duration
	// Now is the wall clock, where a machine may be suspended while the other
	// stands still.
	Now func() time.Time
	// Lost is the error of [Lease.Keep] when another process has it.
	Lost error
}

// A Lease keeps two processes from doing one thing at the same time. It is one
// entry in a bucket, changed only by whoever saw its last revision.
//
// The lease of a process that died is taken over by one that has seen it
// unchanged for LeaseConfig.For, by a clock that nobody can set: how the wall
// clocks of two machines differ changes nothing. What a process that was
// suspended while another took over does before it notices must be harmless.
//
// A Lease belongs to one goroutine.
type Lease struct {
	c LeaseConfig

	// revision is ours while we hold the lease; renewed is when it was made,
	// by both clocks.
	revision  uint64
	renewed   time.Duration
	renewedAt time.Time

	// seen is the revision of another's lease, since when it is that.
	seen  uint64
	since time.Duration
}

// NewLease makes a lease that is not taken yet.
func NewLease(c LeaseConfig) *Lease { return &Lease{c: c} }

type leaseRecord struct {
	Owner string `json:"owner"` // empty: given back
}

// Take takes the lease and says whether it did.
func (l *Lease) Take(ctx context.Context) (bool, error) {
	e, err := l.c.Bucket.Get(ctx, l.c.Name)
	if err != nil && !errors.Is(err, fault.NotFound) {
		return false, err
	}
	if owner := ownerOf(e.Value); err == nil && owner != "" && owner != l.c.Owner {
		if e.Revision != l.seen {
			l.seen, l.since = e.Revision, l.c.Elapsed()
		}
		if l.c.Elapsed()-l.since < l.c.For {
			return false, nil
		}
	}
	switch err := l.write(ctx, l.c.Owner, e.Revision); {
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

// Keep renews the lease when it is old. It is LeaseConfig.Lost when another has
// it, or may have.
func (l *Lease) Keep(ctx context.Context) error {
	young := func(age time.Duration) bool { return age >= 0 && age < l.c.Renew }
	if young(l.c.Elapsed()-l.renewed) && (l.c.Now == nil || young(l.wall().Sub(l.renewedAt))) {
		return nil
	}
	err := l.write(ctx, l.c.Owner, l.revision)
	if errors.Is(err, fault.Conflict) {
		// A renewal whose answer was lost is ours all the same.
		e, getErr := l.c.Bucket.Get(ctx, l.c.Name)
		if getErr != nil || ownerOf(e.Value) != l.c.Owner {
			return l.c.Lost // also where another had it and gave it back
		}
		err = l.write(ctx, l.c.Owner, e.Revision)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fault.Conflict) || l.c.Elapsed()-l.renewed >= l.c.For/2:
		return l.c.Lost
	}
	return err
}

// Release gives the lease back, so that the next one need not wait for it. It
// may fail: then the next one, if it is another's, waits.
func (l *Lease) Release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = l.write(ctx, "", l.revision)
}

func (l *Lease) wall() time.Time {
	if l.c.Now == nil {
		return time.Time{}
	}
	return l.c.Now().Round(0)
}

func (l *Lease) write(ctx context.Context, owner string, revision uint64) error {
	value, err := json.Marshal(leaseRecord{owner})
	if err != nil {
		return err
	}
	// Both clocks are read before, so that the lease is never thought younger
	// than it is.
	elapsed, at := l.c.Elapsed(), l.wall()
	revision, err = l.c.Bucket.Update(ctx, l.c.Name, value, revision)
	if err != nil {
		return err
	}
	l.revision, l.renewed, l.renewedAt = revision, elapsed, at
	return nil
}
