package keyring_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// P10: the hold power reads any clean frame and writes under its own keys
// alone; each key it uses is on record once an hour.
func TestAHoldSealsUnderItsOwnKeyAndItsUsesAreOnRecord(t *testing.T) {
	ctx := t.Context()
	var uses []keyring.Use
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	full := false
	k, c := setup(t)
	k.Close()
	c.Now = func() time.Time { return now }
	c.Record = func(_ context.Context, u keyring.Use) error {
		if full {
			return fault.Unavailable.Errorf("the audit log is away")
		}
		uses = append(uses, u)
		return nil
	}
	k = reopen(t, c)
	sealed, err := k.Pseudonymizer().SealClean(ctx, tenant, class, day, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	uses = nil
	for range 3 {
		if _, err := k.Hold().OpenClean(ctx, tenant, class, day, aad, sealed); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.Hold().SealClean(ctx, tenant, class, day, aad, plain); !errors.Is(err, fault.Denied) {
		t.Errorf("sealing under another's key: %v", err)
	}
	if _, err := k.Hold().SealClean(ctx, "acme", keyring.HoldPrefix+"h1", "2027-01-01", aad, []byte("x")); err != nil {
		t.Fatal(err)
	}
	opened := 0
	for _, u := range uses {
		if u.Verb == "open-clean" {
			opened++
		}
		if u.Verb != "create" && u.Power != keyring.PowerHold {
			t.Errorf("recorded %v", u)
		}
	}
	if opened != 1 {
		t.Errorf("%d entries for one key in one hour, want 1: %v", opened, uses)
	}
	// What cannot be recorded is not done, and the next hour is another.
	now, full = now.Add(time.Hour), true
	if _, err := k.Hold().OpenClean(ctx, tenant, class, day, aad, sealed); err == nil {
		t.Error("opened without a record")
	}
	full = false
	if _, err := k.Hold().OpenClean(ctx, tenant, class, day, aad, sealed); err != nil {
		t.Error(err)
	}
}
