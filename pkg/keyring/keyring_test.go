package keyring_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

func TestManyGoroutinesGetOneKey(t *testing.T) {
	k, c := setup(t)
	var wg sync.WaitGroup
	sealed := make([][]byte, 16)
	for n := range sealed {
		wg.Go(func() {
			var err error
			if sealed[n], err = k.Gateway().SealRaw(t.Context(), tenant, noon, aad, plain); err != nil {
				t.Error(err)
			}
			if _, err := k.Gateway().EventIDs(t.Context(), tenant, "web", []string{"a", "b"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	k.Close()
	k = reopen(t, c)
	for _, s := range sealed {
		if _, err := k.Pseudonymizer().OpenRaw(t.Context(), tenant, aad, s); err != nil {
			t.Error(err)
		}
	}
}

// TestDestructionDuringUseIsCleanlyOneOrTheOther: every use that overlaps a
// destruction succeeds or is ErrDestroyed, and none succeeds after it.
func TestDestructionDuringUseIsCleanlyOneOrTheOther(t *testing.T) {
	k, _ := setup(t)
	sealed, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				_, err := k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed)
				if errors.Is(err, keyring.ErrDestroyed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if err := k.Retention().DestroyClean(t.Context(), class, day); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed); !errors.Is(err, keyring.ErrDestroyed) {
		t.Error(err)
	}
}

func TestPrepareMakesTheHoursAhead(t *testing.T) {
	k, _ := setup(t)
	if err := k.Retention().DestroyRaw(t.Context(), tenant, noon.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := k.Prepare(t.Context(), tenant, noon, 3); err != nil {
		t.Fatal(err)
	}
	infos, err := k.Retention().List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var live []string
	for _, i := range infos {
		if i.Live() {
			live = append(live, i.ID)
		}
	}
	if got, want := strings.Join(live, " "), "raw/acme/2026-11-21T12 raw/acme/2026-11-21T14"; got != want {
		t.Errorf("live keys %s, want %s", got, want)
	}
	if err := k.Prepare(t.Context(), tenant, noon, 1000); !errors.Is(err, fault.Invalid) {
		t.Errorf("a thousand hours: %v, want invalid", err)
	}
}

// P10.
func TestWhatIsNotRecordedIsNotDone(t *testing.T) {
	k, c := setup(t)
	sealed, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	var uses []keyring.Use
	full := false
	c.Record = func(_ context.Context, u keyring.Use) error {
		if full {
			return fault.Unavailable.Errorf("the audit log is away")
		}
		uses = append(uses, u)
		return nil
	}
	k = reopen(t, c)
	deeds := func() []error {
		return []error{
			second(k.Pseudonymizer().SealClean(t.Context(), tenant, class, "2026-12-22", aad, plain)),
			second(k.Rights().OpenClean(t.Context(), tenant, class, day, aad, sealed)),
			second(k.Rights().Tokens(t.Context(), []keyring.TokenKey{webKey}, "x")),
			k.Retention().DestroyClean(t.Context(), class, day),
		}
	}
	full = true
	for n, err := range deeds() {
		if !errors.Is(err, fault.Unavailable) {
			t.Errorf("deed %d without a record: %v, want unavailable", n, err)
		}
	}
	if _, err := k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed); err != nil {
		t.Errorf("the key is gone without a record: %v", err)
	}
	full = false
	for n, err := range deeds() {
		if err != nil {
			t.Errorf("deed %d: %v", n, err)
		}
	}
	want := []keyring.Use{
		{Verb: "create", Key: "clean/access-30d/2026-12-22"},
		{Verb: "open-clean", Key: "clean/access-30d/2026-12-21", Power: keyring.PowerRights},
		{Verb: "tokens", Power: keyring.PowerRights},
		{Verb: "destroy", Key: "clean/access-30d/2026-12-21", Power: keyring.PowerRetention},
	}
	if len(uses) != len(want) {
		t.Fatalf("recorded %v, want %v", uses, want)
	}
	for n := range want {
		if uses[n] != want[n] {
			t.Errorf("recorded %v, want %v", uses[n], want[n])
		}
	}
}

func TestLookupsAreLimited(t *testing.T) {
	k, c := setup(t)
	k.Close()
	now := noon
	c.Now, c.LookupsPerMinute = func() time.Time { return now }, 3
	r := reopen(t, c).Rights()
	look := func() error {
		return second(r.Tokens(t.Context(), []keyring.TokenKey{webKey}, "x"))
	}
	for range 3 {
		if err := look(); err != nil {
			t.Fatal(err)
		}
	}
	if err := look(); !errors.Is(err, fault.Exhausted) {
		t.Errorf("a fourth look-up in a minute: %v, want exhausted", err)
	}
	now = now.Add(20 * time.Second)
	if err := look(); err != nil {
		t.Errorf("a third of a minute later: %v", err)
	}
	if err := look(); !errors.Is(err, fault.Exhausted) {
		t.Errorf("and one more: %v, want exhausted", err)
	}
}
