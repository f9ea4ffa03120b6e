package keyring

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// HoldPrefix begins the class of every key that a legal hold's copies are
// sealed under.
const HoldPrefix = "hold-"

// holdUses remembers which uses of the hold power went on record in an hour: a
// hold opens thousands of frames of one day, and one entry says as much.
type holdUses struct {
	mu   sync.Mutex // guards the rest
	hour time.Time
	seen map[Use]bool
}

// recordHold puts the first use of a key in an hour on record. It is on record
// when it returns, also for a caller that finds another's in flight.
func (r *ring) recordHold(ctx context.Context, verb string, i id) error {
	u := Use{Verb: verb, Key: i.String(), Power: PowerHold, Caller: callerOf(ctx)}
	r.holds.mu.Lock()
	defer r.holds.mu.Unlock()
	if hour := r.now().UTC().Truncate(time.Hour); r.holds.seen == nil || !hour.Equal(r.holds.hour) {
		r.holds.hour, r.holds.seen = hour, map[Use]bool{}
	}
	if r.holds.seen[u] {
		return nil
	}
	if err := r.recordUse(ctx, PowerHold, verb, i.String()); err != nil {
		return err
	}
	r.holds.seen[u] = true
	return nil
}

func (p holdPower) OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error) {
	i, err := cleanID(class, day)
	if err != nil {
		return nil, err
	}
	if err := p.open().recordHold(ctx, "open-clean", i); err != nil {
		return nil, err
	}
	return loaderPower(p).OpenClean(ctx, tenant, class, day, aad, sealed)
}

func (p holdPower) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	if !strings.HasPrefix(class, HoldPrefix) {
		return nil, fault.Denied.Errorf("a legal hold seals under its own key alone")
	}
	i, err := cleanID(class, day)
	if err != nil {
		return nil, err
	}
	if err := p.open().recordHold(ctx, "seal-clean", i); err != nil {
		return nil, err
	}
	return pseudonymizerPower(p).SealClean(ctx, tenant, class, day, aad, plain)
}
