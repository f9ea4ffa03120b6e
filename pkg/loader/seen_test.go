package loader_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// shelf is a warehouse of ids, in memory.
type shelf struct {
	stored  map[event.ID]bool
	lookups int
	fail    bool
}

func (s *shelf) Known(_ context.Context, _ string, ids []event.ID) (map[event.ID]event.Day, error) {
	s.lookups++
	if s.fail {
		s.fail = false
		return nil, errPassing
	}
	out := map[event.ID]event.Day{}
	for _, id := range ids {
		if s.stored[id] {
			out[id] = "2026-12-21"
		}
	}
	return out, nil
}

func (s *shelf) IDs(_ context.Context, _ string, from, to event.ID, limit int) (ids []event.ID, highest event.ID, err error) {
	if s.fail {
		s.fail = false
		return nil, event.ID{}, errPassing
	}
	for id := range s.stored {
		if bytes.Compare(from[:], id[:]) <= 0 && bytes.Compare(id[:], to[:]) <= 0 {
			ids = append(ids, id)
			if bytes.Compare(id[:], highest[:]) > 0 {
				highest = id
			}
		}
	}
	if len(ids) > limit {
		return nil, highest, nil
	}
	return ids, event.ID{}, nil
}

// TestMemoryRulesOutWhatIsNotStoredAndNothingElse: whatever comes in whatever
// order, with however little memory, after however many restarts, each named
// event passes once, and events without a name always do.
func TestMemoryRulesOutWhatIsNotStoredAndNothingElse(t *testing.T) {
	table := &policy.Table{Name: "visit"}
	rapid.Check(t, func(t *rapid.T) {
		warehouse := &shelf{stored: map[event.ID]bool{}}
		bound := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		loaded, day, all, days := bound("loaded", 12), bound("day", 12), bound("all", 20), bound("days", 3)
		memory := loader.NewMemory(warehouse, loaded, day, all, days)
		for range rapid.IntRange(1, 20).Draw(t, "rounds") {
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				memory = loader.NewMemory(warehouse, loaded, day, all, days)
			}
			var frames [][]event.Row
			want := 0
			passed := map[event.ID]bool{}
			for range rapid.IntRange(0, 4).Draw(t, "frames") {
				var rows []event.Row
				for range rapid.IntRange(0, 6).Draw(t, "rows") {
					at := noon.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "day"))*24*time.Hour + time.Duration(rapid.IntRange(0, 2).Draw(t, "second"))*time.Second)
					id := event.NewID(at, [16]byte{byte(rapid.IntRange(0, 3).Draw(t, "payload"))})
					named := rapid.IntRange(0, 5).Draw(t, "named") > 0
					rows = append(rows, event.Row{ID: id, Identified: named})
					if named && (warehouse.stored[id] || passed[id]) {
						want++
					}
					passed[id] = passed[id] || named
				}
				frames = append(frames, rows)
			}
			warehouse.fail = rapid.IntRange(0, 4).Draw(t, "fail") == 0
			left, dropped, err := memory.Drop(t.Context(), table, frames)
			if err != nil {
				left, dropped, err = memory.Drop(t.Context(), table, frames) // the loader tries again
			}
			warehouse.fail = false
			if err != nil || dropped != want {
				t.Fatalf("%d rows were dropped, want %d (%v)", dropped, want, err)
			}
			for _, rows := range left {
				for _, r := range rows {
					if r.Identified && warehouse.stored[r.ID] {
						t.Fatal("an event that is stored passed")
					}
					if r.Identified {
						warehouse.stored[r.ID] = true
					}
				}
			}
			if counted, held := memory.Size(); counted != held || held > max(all, 0) {
				t.Fatalf("%d fingerprints are counted, %d held, %d allowed", counted, held, all)
			}
		}
	})
}

// TestFreshEventsAreNotLookedUp: the memory is what makes net 3 cheap.
func TestFreshEventsAreNotLookedUp(t *testing.T) {
	warehouse := &shelf{stored: map[event.ID]bool{}}
	memory := loader.NewMemory(warehouse, 1000, 100_000, 100_000, 100)
	table := &policy.Table{Name: "visit"}
	n := 0
	for range 10 {
		var rows []event.Row
		for range 1000 {
			n++
			// As they come: nearly in order of time.
			at := noon.Add(time.Duration(n-n%7*3) * 10 * time.Millisecond)
			rows = append(rows, event.Row{ID: event.NewID(at, [16]byte{byte(n >> 8), byte(n)}), Identified: true})
		}
		if _, dropped, err := memory.Drop(t.Context(), table, [][]event.Row{rows}); err != nil || dropped != 0 {
			t.Fatal(dropped, err)
		}
		for _, r := range rows {
			warehouse.stored[r.ID] = true
		}
	}
	if warehouse.lookups != 0 {
		t.Errorf("%d look-ups for events that never came before", warehouse.lookups)
	}
}
