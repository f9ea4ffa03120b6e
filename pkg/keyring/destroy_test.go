package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

var webKey = keyring.TokenKey{Domain: "web", Tenant: tenant, Service: "shop", Kind: "email", Epoch: 7}

// sealedOnes are frames sealed under each sort of key.
type sealedOnes struct{ raw, quarantined, clean []byte }

func sealEach(t *testing.T, p powers) (s sealedOnes) {
	t.Helper()
	var errs [4]error
	s.raw, errs[0] = p.gateway.SealRaw(t.Context(), tenant, noon, aad, plain)
	s.quarantined, errs[1] = p.pseudonymizer.SealQuarantine(t.Context(), tenant, noon, aad, plain)
	s.clean, errs[2] = p.pseudonymizer.SealClean(t.Context(), tenant, class, day, aad, plain)
	_, errs[3] = p.pseudonymizer.Tokenizer(t.Context(), webKey)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return s
}

// uses are all the uses of the keys that sealEach made, by those who may. A
// gateway that holds public keys learns of a destruction when it asks again.
func uses(t *testing.T, p powers, s sealedOnes) map[string]error {
	t.Helper()
	ctx := t.Context()
	tokens, err := p.rights.Tokens(ctx, []keyring.TokenKey{webKey}, "x")
	if err == nil && len(tokens) == 0 {
		err = keyring.ErrDestroyed
	}
	return map[string]error{
		"SealRaw":               second(p.gateway.SealRaw(ctx, tenant, noon, aad, plain)),
		"OpenRaw":               second(p.pseudonymizer.OpenRaw(ctx, tenant, aad, s.raw)),
		"SealQuarantine":        second(p.pseudonymizer.SealQuarantine(ctx, tenant, noon, aad, plain)),
		"OpenQuarantine":        second(p.pseudonymizer.OpenQuarantine(ctx, tenant, aad, s.quarantined)),
		"SealClean":             second(p.pseudonymizer.SealClean(ctx, tenant, class, day, aad, plain)),
		"Tokenizer":             second(p.pseudonymizer.Tokenizer(ctx, webKey)),
		"OpenClean":             second(p.loader.OpenClean(ctx, tenant, class, day, aad, s.clean)),
		"OpenCleanMany":         second(p.loader.OpenCleanMany(ctx, tenant, class, day, [][]byte{aad}, [][]byte{s.clean})),
		"rights OpenRaw":        second(p.rights.OpenRaw(ctx, tenant, aad, s.raw)),
		"rights OpenQuarantine": second(p.rights.OpenQuarantine(ctx, tenant, aad, s.quarantined)),
		"rights SealQuarantine": second(p.rights.SealQuarantine(ctx, tenant, noon, aad, plain)),
		"rights OpenClean":      second(p.rights.OpenClean(ctx, tenant, class, day, aad, s.clean)),
		"rights SealClean":      second(p.rights.SealClean(ctx, tenant, class, day, aad, plain)),
		"rights Tokens":         err,
	}
}

func destroyEach(t *testing.T, r keyring.Retention) {
	t.Helper()
	ctx := t.Context()
	for _, err := range []error{
		r.DestroyRaw(ctx, tenant, noon.Add(20*time.Minute)), // the same hour
		r.DestroyQuarantine(ctx, tenant, "2026-11-21"),
		r.DestroyClean(ctx, class, day),
		r.DestroyEpoch(ctx, "web", 7),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// P12.
func TestAfterDestroyNothingOpensSealsOrMakesATokenEver(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		s := sealEach(t, p)
		for name, err := range uses(t, p, s) { // the control
			if err != nil {
				t.Errorf("%s before: %v", name, err)
			}
		}
		for range 2 { // a second destruction is no error
			destroyEach(t, p.retention)
			if strings.HasSuffix(t.Name(), "remote") {
				keyring.EndLeases(p.gateway)
			}
			for name, err := range uses(t, p, s) {
				if !errors.Is(err, keyring.ErrDestroyed) || !errors.Is(err, fault.NotFound) {
					t.Errorf("%s after: %v, want ErrDestroyed", name, err)
				}
			}
		}
	})
}

func TestDestroyedStaysDestroyedAfterARestart(t *testing.T) {
	k, c := setup(t)
	local := func(k *keyring.Keyring) powers {
		return powers{k.Gateway(), k.Pseudonymizer(), k.Loader(), k.Retention(), k.Rights()}
	}
	s := sealEach(t, local(k))
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = reopen(t, c)
	for name, err := range uses(t, local(k), s) { // the control
		if err != nil {
			t.Errorf("%s after a restart: %v", name, err)
		}
	}
	destroyEach(t, k.Retention())
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	k = reopen(t, c)
	for name, err := range uses(t, local(k), s) {
		if !errors.Is(err, keyring.ErrDestroyed) {
			t.Errorf("%s after destruction and a restart: %v, want ErrDestroyed", name, err)
		}
	}
	if left := names(t, filepath.Join(c.Dir, "keys")); len(left) != 0 {
		t.Errorf("files of destroyed keys are left: %v", left)
	}
}

func TestAKeyDestroyedBeforeItWasMadeIsNeverMade(t *testing.T) {
	eachWay(t, func(t *testing.T, p powers) {
		destroyEach(t, p.retention)
		for name, err := range map[string]error{
			"SealRaw":        second(p.gateway.SealRaw(t.Context(), tenant, noon, aad, plain)),
			"SealQuarantine": second(p.pseudonymizer.SealQuarantine(t.Context(), tenant, noon, aad, plain)),
			"SealClean":      second(p.pseudonymizer.SealClean(t.Context(), tenant, class, day, aad, plain)),
			"Tokenizer":      second(p.pseudonymizer.Tokenizer(t.Context(), webKey)),
		} {
			if !errors.Is(err, keyring.ErrDestroyed) {
				t.Errorf("%s: %v, want ErrDestroyed", name, err)
			}
		}
	})
}

func TestDestroyingOneKeyLeavesItsNeighbors(t *testing.T) {
	k, _ := setup(t)
	ctx, g, ps := t.Context(), k.Gateway(), k.Pseudonymizer()
	next := noon.Add(time.Hour)
	raw, err := g.SealRaw(ctx, tenant, next, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	other, err := g.SealRaw(ctx, "other", noon, aad, plain)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Retention().DestroyRaw(ctx, tenant, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := ps.OpenRaw(ctx, tenant, aad, raw); err != nil {
		t.Errorf("the next hour: %v", err)
	}
	if _, err := ps.OpenRaw(ctx, "other", aad, other); err != nil {
		t.Errorf("another tenant's hour: %v", err)
	}
}

func TestATokenizerThatIsHeldLosesItsKey(t *testing.T) {
	k, _ := setup(t)
	held, err := k.Pseudonymizer().Tokenizer(t.Context(), webKey)
	if err != nil {
		t.Fatal(err)
	}
	before := held.Token("v1", "ada@example.org")
	if held.Live() != nil || held.Token("v1", "ada@example.org") != before { // the control
		t.Fatal("a live tokenizer is not stable")
	}
	if err := k.Retention().DestroyEpoch(t.Context(), "web", 7); err != nil {
		t.Fatal(err)
	}
	if err := held.Live(); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("Live = %v, want ErrDestroyed", err)
	}
	a, b := held.Token("v1", "ada@example.org"), held.Token("v1", "ada@example.org")
	if a == before || a == b {
		t.Error("a token can be made again after its key was destroyed")
	}
}

var errCrash = errors.New("crash")

// crashAt opens a keyring that stops at a numbered step.
func crashAt(t *testing.T, c keyring.Config, point string) *keyring.Keyring {
	t.Helper()
	k, err := keyring.OpenWithSteps(t.Context(), c, func(step string) error {
		if step == point {
			return errCrash
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func TestACrashWhileAKeyIsMadeLeavesAKeyringThatWorks(t *testing.T) {
	for _, point := range []string{"create 1", "create 2", "create 3"} {
		t.Run(point, func(t *testing.T) {
			k, c := setup(t)
			k.Close()
			k = crashAt(t, c, point)
			if _, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain); !errors.Is(err, errCrash) {
				t.Fatalf("sealing with a key that may not be on disk: %v", err)
			}
			k.Close()
			k = reopen(t, c)
			sealed, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
			if err != nil {
				t.Fatal(err)
			}
			k.Close()
			k = reopen(t, c)
			if _, err := k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed); err != nil {
				t.Error(err)
			}
			if got, want := names(t, filepath.Join(c.Dir, "keys")), []string{"clean.access-30d.2026-12-21.key"}; !slices.Equal(got, want) {
				t.Errorf("files %v, want %v", got, want)
			}
		})
	}
}

func TestACrashWhileAKeyIsDestroyedLeavesItLiveOrDestroyed(t *testing.T) {
	for _, point := range []struct {
		step string
		live bool // after a restart
	}{
		{"destroy 1 1", true},
		{"destroy 1 2", false}, {"destroy 1 3", false},
		{"destroy 2", false}, {"destroy 3", false}, {"destroy 4", false},
	} {
		t.Run(point.step, func(t *testing.T) {
			k, c := setup(t)
			sealed, err := k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
			if err != nil {
				t.Fatal(err)
			}
			k.Close()
			check := func(k *keyring.Keyring, live bool, when string) {
				t.Helper()
				_, err := k.Loader().OpenClean(t.Context(), tenant, class, day, aad, sealed)
				if live && err != nil || !live && !errors.Is(err, keyring.ErrDestroyed) {
					t.Errorf("%s: opening: %v, want live %v", when, err, live)
				}
				_, err = k.Pseudonymizer().SealClean(t.Context(), tenant, class, day, aad, plain)
				if live && err != nil || !live && !errors.Is(err, keyring.ErrDestroyed) {
					t.Errorf("%s: sealing: %v, want live %v", when, err, live)
				}
			}
			k = crashAt(t, c, point.step)
			if err := k.Retention().DestroyClean(t.Context(), class, day); !errors.Is(err, errCrash) {
				t.Fatalf("destroying: %v, want the crash", err)
			}
			check(k, point.live, "before the restart")
			k.Close()
			k = reopen(t, c)
			check(k, point.live, "after the restart")
			if left := names(t, filepath.Join(c.Dir, "keys")); !point.live && len(left) > 0 {
				t.Errorf("the restart left %v", left)
			}
			if left := names(t, filepath.Join(c.Dir, "destroyed")); point.live && len(left) > 0 {
				t.Errorf("the restart left %v", left)
			}
			if err := k.Retention().DestroyClean(t.Context(), class, day); err != nil {
				t.Fatalf("destroying again: %v", err)
			}
			check(k, false, "after a repeat")
			infos, err := k.Retention().List(t.Context())
			if err != nil || len(infos) != 1 || infos[0].Live() || !infos[0].Created.Equal(noon) {
				t.Errorf("the list says %v (%v)", infos, err)
			}
		})
	}
}

func TestARepeatFinishesADestructionWithoutARestart(t *testing.T) {
	k, c := setup(t)
	k.Close()
	crashed := false
	k, err := keyring.OpenWithSteps(t.Context(), c, func(step string) error {
		if step == "destroy 1 3" && !crashed {
			crashed = true
			return errCrash
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.Pseudonymizer().Tokenizer(t.Context(), webKey); err != nil {
		t.Fatal(err)
	}
	if err := k.Retention().DestroyEpoch(t.Context(), "web", 7); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if left := names(t, filepath.Join(c.Dir, "keys")); len(left) != 1 { // the control
		t.Fatalf("files %v, want the key's", left)
	}
	if err := k.Retention().DestroyEpoch(t.Context(), "web", 7); err != nil {
		t.Fatal(err)
	}
	if left := names(t, filepath.Join(c.Dir, "keys")); len(left) != 0 {
		t.Errorf("the repeat left %v", left)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
