package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// history is what a log of 250 entries is given in turns: tiles that fill, a
// year that ends.
func history() [][]audit.Sequenced {
	return [][]audit.Sequenced{
		made(251, 251, today), made(252, 258, today), made(259, 261, today),
		append(made(262, 263, today), made(264, 265, today.AddDate(1, 0, 0))...), made(266, 267, today.AddDate(1, 0, 0)),
	}
}

func whole(turns [][]audit.Sequenced) (all []audit.Sequenced) {
	for _, turn := range turns {
		all = append(all, turn...)
	}
	return all
}

// later has a clock in the year after.
func later(cfg audit.Config) audit.Config {
	cfg.Now = func() time.Time { return today.AddDate(1, 0, 0) }
	return cfg
}

// TestEntriesAreThereOnceWhereverTheProcessDied dies at every step of every
// append, opens again, and goes on as the stream does: from what is confirmed.
func TestEntriesAreThereOnceWhereverTheProcessDied(t *testing.T) {
	base := later(created(t))
	before := made(1, 250, today)
	undisturbed := open(t, base)
	appended(t, undisturbed, before)
	began := copyDir(t, base.Dir) // with the same key, so that trees compare
	for _, turn := range history() {
		appended(t, undisturbed, turn)
	}
	checkWorld(t, undisturbed, append(before, whole(history())...))
	places := map[string]int{}
	for n := 1; ; n++ {
		cfg := base
		cfg.Dir = copyDir(t, began)
		die, where := dies(n)
		l, err := audit.OpenWithSteps(t.Context(), cfg, die)
		if err != nil {
			t.Fatal(err)
		}
		for _, turn := range history() {
			// What is confirmed is there, and nothing that is there is lost.
			if err := l.Append(t.Context(), turn); err != nil {
				if !errors.Is(err, errDied) {
					t.Fatal(err)
				}
				shut(t, l)
				if l, err = audit.Open(t.Context(), cfg); err != nil {
					t.Fatalf("after dying at %s: %v", *where, err)
				}
				if l.Sequence() > turn[len(turn)-1].Seq {
					t.Fatalf("after dying at %s: sequence %d", *where, l.Sequence())
				}
				appended(t, l, turn)
			}
		}
		for i, tree := range undisturbed.Trees() {
			if l.Trees()[i] != tree {
				t.Errorf("after dying at %s the tree of %d is another", *where, tree.Year)
			}
		}
		shut(t, l)
		shut(t, open(t, cfg)) // every entry and hash is that of the checkpoint
		if *where == "" {
			break // the history has fewer steps
		}
		places[*where]++
	}
	for _, place := range []string{"bundle_written", "tile_written", "tiles_synced", "checkpoint_written", "checkpoint_renamed", "committed", "archived", "pruned"} {
		if places[place] == 0 {
			t.Errorf("the process never died at %s", place)
		}
	}
}

// TestEntriesAreThereOnceWhateverFails fails steps and goes on in the same
// process, with other batches, as a full disk makes it.
func TestEntriesAreThereOnceWhateverFails(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fail := false
		cfg := created(t)
		l, err := audit.OpenWithSteps(t.Context(), cfg, func(string) error {
			if fail && rapid.IntRange(0, 5).Draw(rt, "step fails") == 0 {
				return errDied
			}
			return nil
		})
		if err != nil {
			rt.Fatal(err)
		}
		all := made(1, uint64(rapid.IntRange(1, 300).Draw(rt, "size")), today)
		for turn := 0; l.Sequence() < uint64(len(all)); turn++ {
			fail = turn < 8
			rest := all[l.Sequence():]
			before := l.Sequence()
			err := l.Append(t.Context(), rest[:rapid.IntRange(min(len(rest), 20), len(rest)).Draw(rt, "batch")])
			if err != nil && !errors.Is(err, errDied) {
				rt.Fatal(err)
			}
			if l.Sequence() < before {
				rt.Fatalf("the log went back from %d to %d", before, l.Sequence())
			}
		}
		checkWorld(t, l, all)
		_ = l.Close()
		if l, err = audit.Open(t.Context(), cfg); err != nil {
			rt.Fatal(err)
		}
		if l.Sequence() != uint64(len(all)) {
			rt.Errorf("opened again at sequence %d of %d", l.Sequence(), len(all))
		}
		_ = l.Close()
	})
}

// TestWhatLiesBeyondTheCheckpointIsWrittenOver: torn tiles of a batch that was
// never committed.
func TestWhatLiesBeyondTheCheckpointIsWrittenOver(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	all := made(1, 264, today)
	appended(t, l, all[:250]) // 251 entries
	shut(t, l)
	for _, path := range []string{
		"2026/tile/0/000", "2026/tile/entries/000", "2026/tile/0/001.p/9", "2026/tile/entries/001.p/9", "2026/tile/1/000.p/1",
		"2026/checkpoint.old", "2026/.temp-1", ".temp-2", "2026/checkpoints/.temp-3",
	} {
		path = filepath.Join(cfg.Dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("torn"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l = open(t, cfg)
	checkWorld(t, l, all[:250])
	appended(t, l, all) // 265 entries: the tile of 9
	shut(t, l)
	checkWorld(t, open(t, cfg), all)
	for _, path := range []string{"2026/.temp-1", ".temp-2", "2026/checkpoints/.temp-3", "2026/tile/0/000.p", "2026/tile/entries/000.p"} {
		if _, err := os.Lstat(filepath.Join(cfg.Dir, filepath.FromSlash(path))); err == nil {
			t.Errorf("%s is still there", path)
		}
	}
}

// TestYearThatWasBegunAndNotCommittedIsNone: the process died between the two
// years.
func TestYearThatWasBegunAndNotCommittedIsNone(t *testing.T) {
	cfg := later(created(t))
	l := open(t, cfg)
	appended(t, l, made(1, 3, today))
	shut(t, l)
	if err := os.MkdirAll(filepath.Join(cfg.Dir, "2027", "tile", "0"), 0o700); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	all := append(made(1, 3, today), made(4, 5, today.AddDate(1, 0, 0))...)
	checkWorld(t, l, all[:3])
	appended(t, l, all)
	checkWorld(t, l, all)
}

// TestDiskThatRefusesLosesNothing: the directory cannot be written to, and
// then it can.
func TestDiskThatRefusesLosesNothing(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	appended(t, l, made(1, 3, today))
	// A file where a directory must be: root is not held by modes.
	tile := filepath.Join(cfg.Dir, "2026", "tile")
	aside := filepath.Join(cfg.Dir, "aside")
	if err := errors.Join(os.Rename(tile, aside), os.WriteFile(tile, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, l.Append(t.Context(), made(4, 9, today)), fault.Unavailable, "")
	checkSequence(t, l, 3)
	if err := errors.Join(os.Remove(tile), os.Rename(aside, tile)); err != nil {
		t.Fatal(err)
	}
	appended(t, l, made(1, 9, today))
	checkWorld(t, l, made(1, 9, today))
}

func checkSequence(t *testing.T, l *audit.Log, want uint64) {
	t.Helper()
	if l.Sequence() != want {
		t.Errorf("Sequence = %d, want %d", l.Sequence(), want)
	}
}
