package keyring_test

import (
	"errors"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// P19: who publishes numbers seals nothing that could be taken for rows.
func TestPublishedNumbersAreSealedUnderTheirOwnKeyAlone(t *testing.T) {
	s := setupSite(t)
	for name, cells := range map[string]keyring.Cells{"in process": s.keyring.Cells(), "remote": s.dial(t, "the-cells").Cells()} {
		ctx := t.Context()
		sealed, err := cells.SealClean(ctx, tenant, keyring.CellClass, keyring.CellDay, aad, plain)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got, err := s.keyring.Loader().OpenClean(ctx, tenant, keyring.CellClass, keyring.CellDay, aad, sealed); err != nil || string(got) != string(plain) {
			t.Errorf("%s: the loader does not open it: %v", name, err)
		}
		for _, other := range [][2]string{{class, day}, {keyring.CellClass, day}, {class, keyring.CellDay}, {keyring.HoldPrefix + "h1", keyring.CellDay}} {
			if _, err := cells.SealClean(ctx, tenant, other[0], other[1], aad, plain); !errors.Is(err, fault.Denied) {
				t.Errorf("%s: sealing under %v: %v, want denied", name, other, err)
			}
		}
	}
}
