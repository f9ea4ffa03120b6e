package eventlog_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestLeaseIsOnesUntilItIsGivenBackOrForgotten(t *testing.T) {
	ctx := t.Context()
	bucket := lethetest.NewBucket()
	var now time.Duration
	const leaseFor, renewEvery = time.Minute, 10 * time.Second
	errLost := errors.New("another has it")
	let := func(owner string) *eventlog.Lease {
		return eventlog.NewLease(eventlog.LeaseConfig{
			Bucket: bucket, Name: "lease", Owner: owner, For: leaseFor, Renew: renewEvery,
			Elapsed: func() time.Duration { return now }, Lost: errLost,
		})
	}
	a, b := let("a"), let("b")
	take := func(l *eventlog.Lease, want bool) {
		t.Helper()
		if ok, err := l.Take(ctx); err != nil || ok != want {
			t.Fatalf("taken by %p at %v: %v, %v", l, now, ok, err)
		}
	}
	take(a, true)
	take(b, false)
	// Who renews it keeps it, however long.
	for range 20 {
		now += renewEvery
		if err := a.Keep(ctx); err != nil {
			t.Fatal(err)
		}
		take(b, false)
	}
	// Given back, it is anybody's.
	a.Release(ctx)
	take(b, true)
	take(a, false)
	// A renewal whose answer was lost is a renewal.
	now += renewEvery
	bucket.Lost = true
	if err := b.Keep(ctx); !errors.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	if err := b.Keep(ctx); err != nil {
		t.Fatal(err)
	}
	// Unchanged for as long as leases last, it is taken over, from when the
	// other first saw it so.
	now += 10 * leaseFor
	take(a, false)
	now += leaseFor - 1
	take(a, false)
	now++
	take(a, true)
	if err := b.Keep(ctx); !errors.Is(err, errLost) {
		t.Errorf("a lease that another took over: %v", err)
	}
	if err := a.Keep(ctx); err != nil {
		t.Error(err)
	}
}
