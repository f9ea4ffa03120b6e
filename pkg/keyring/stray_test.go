package keyring_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// P1, P16: what somebody does to the directory is seen while the keyring runs.
func TestWhatIsPutIntoARunningKeyringOrTakenFromItIsSeen(t *testing.T) {
	k, c := setup(t)
	ctx := t.Context()
	strays := func() []keyring.Stray {
		t.Helper()
		s, err := k.Strays(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	path := func(parts ...string) string { return filepath.Join(append([]string{c.Dir}, parts...)...) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, day := range []string{"2026-12-21", "2026-12-22", "2026-12-23"} {
		_, err := k.Pseudonymizer().SealClean(ctx, tenant, class, day, aad, plain)
		must(err)
	}
	copied, err := os.ReadFile(path("keys", cleanFile))
	must(err)
	must(k.Retention().DestroyClean(ctx, class, "2026-12-21"))
	must(k.Retention().DestroyClean(ctx, class, "2026-12-22"))
	if s := strays(); s != nil {
		t.Fatalf("a keyring that nobody touched shows %v", s)
	}

	must(os.WriteFile(path("keys", cleanFile), copied, 0o600)) // a destroyed key, back
	must(os.WriteFile(path("keys", "clean.access-30d.2027-01-01.key"), copied, 0o600))
	must(os.WriteFile(path("keys", cleanFile+".bak"), copied, 0o600))
	must(os.Mkdir(path("keys.old"), 0o700))
	must(os.Remove(path("keys", "clean.access-30d.2026-12-23.key")))
	must(os.Remove(path("destroyed", "clean.access-30d.2026-12-22")))
	must(os.WriteFile(path("destroyed", "raw.acme.2026-11-21T12"), nil, 0o600))
	if diff := cmp.Diff([]keyring.Stray{
		{Kind: keyring.StrayMissing, Key: "clean/access-30d/2026-12-22", File: "destroyed/clean.access-30d.2026-12-22"},
		{Kind: keyring.StrayUnknown, Key: "raw/acme/2026-11-21T12", File: "destroyed/raw.acme.2026-11-21T12"},
		{Kind: keyring.StrayFile, File: "keys.old"},
		{Kind: keyring.StrayReturned, Key: "clean/access-30d/2026-12-21", File: "keys/" + cleanFile},
		{Kind: keyring.StrayFile, File: "keys/" + cleanFile + ".bak"},
		{Kind: keyring.StrayMissing, Key: "clean/access-30d/2026-12-23", File: "keys/clean.access-30d.2026-12-23.key"},
		{Kind: keyring.StrayUnknown, Key: "clean/access-30d/2027-01-01", File: "keys/clean.access-30d.2027-01-01.key"},
	}, strays()); diff != "" {
		t.Error(diff)
	}

	must(k.Close())
	if _, err := k.Strays(ctx); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a closed keyring was looked at: %v", err)
	}
}

func TestTheKeyEncryptionKeyMayLieInTheDirectory(t *testing.T) {
	c := config(t, t.TempDir())
	c.KEKFile = filepath.Join(c.Dir, "kek.txt")
	if err := keyring.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s, err := reopen(t, c).Strays(t.Context()); s != nil || err != nil {
		t.Errorf("a keyring beside its key-encryption key shows %v, %v", s, err)
	}
}
