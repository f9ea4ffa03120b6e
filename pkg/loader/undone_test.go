package loader_test

import (
	"context"
	"math"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// undone makes the first insert one that a kill undid: the engine knows its
// token and has none of its rows. A mutation leaves the token, as the engine's
// rename that never came does.
type undone struct {
	loader.Warehouse
	s    *site
	done bool
}

func (u *undone) Insert(ctx context.Context, b *warehouse.Batch, token string) error {
	if err := u.Warehouse.Insert(ctx, b, token); err != nil || u.done {
		return err
	}
	u.done = true
	later := noon.AddDate(1, 0, 0)
	w := u.s.as(warehouse.UserRetention)
	if err := w.RemoveEarly(ctx, b.Table().Name, []event.Day{b.Day()}, later, math.MaxInt64); err != nil {
		return err
	}
	for left := (warehouse.Removal{Parts: 1}); left.Parts > 0; {
		var err error
		if left, err = w.Removing(ctx, b.Table().Name); err != nil {
			return err
		}
	}
	return fault.Unavailable.Errorf("the engine was killed")
}

// trusting takes a token that the engine knows for rows that are there.
type trusting struct{ *undone }

func (trusting) Landed(context.Context, string, event.Day, uint64, uint64) (bool, error) {
	return true, nil
}

// TestAnInsertThatAKillUndidIsMadeAgain: P18. The control is tried a few times:
// now and then the engine forgets the token together with the part.
func TestAnInsertThatAKillUndidIsMadeAgain(t *testing.T) {
	stored := func(t *testing.T, looks bool) bool {
		s := start(t)
		s.publish(1, s.events(15, noon, false)...)
		cfg := s.config()
		u := &undone{Warehouse: cfg.Warehouse, s: s}
		cfg.Warehouse = u
		if !looks {
			cfg.Warehouse = trusting{u}
		}
		s.load(cfg)
		if !u.done {
			t.Error("no insert was undone")
		}
		return s.diff() == ""
	}
	t.Run("looking", func(t *testing.T) {
		if !stored(t, true) {
			t.Error("what is stored differs from what was published")
		}
	})
	t.Run("control, without looking", func(t *testing.T) {
		for range 8 {
			if !stored(t, false) {
				return
			}
		}
		t.Error("nothing is lost without looking; the test shows nothing")
	})
}
