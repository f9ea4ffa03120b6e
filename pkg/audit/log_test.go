package audit_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestLogIsMadeOnceAndOpenedByOneProcess(t *testing.T) {
	cfg := created(t)
	wantKind(t, audit.Create(t.Context(), cfg), fault.Conflict, "key of an audit log already")
	l := open(t, cfg)
	_, err := audit.Open(t.Context(), cfg)
	wantKind(t, err, fault.Conflict, "open in another process")
	wantKind(t, audit.Create(t.Context(), cfg), fault.Conflict, "open in another process")
	appended(t, l, made(1, 3, today))
	shut(t, l)
	wantKind(t, l.Append(t.Context(), made(4, 4, today)), fault.Unavailable, "closed")
	checkWorld(t, open(t, cfg), made(1, 3, today))
}

func TestOpenRefusesWhatIsNoLogOfThisOrigin(t *testing.T) {
	cfg := created(t)
	none := cfg
	none.Dir = t.TempDir()
	_, err := audit.Open(t.Context(), none)
	wantKind(t, err, fault.NotFound, "no audit log")
	other := cfg
	other.Origin = "other.example.org/audit"
	_, err = audit.Open(t.Context(), other)
	wantKind(t, err, fault.Conflict, origin)
	for _, bad := range []string{"", "https://lethe.example.org", "a b", "a+b", "/audit", "lethe.example.org/audit/"} {
		wrong := none
		wrong.Origin = bad
		wantKind(t, audit.Create(t.Context(), wrong), fault.Invalid, "origin")
	}
	if err := os.Chmod(filepath.Join(cfg.Dir, "key"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = audit.Open(t.Context(), cfg)
	wantKind(t, err, fault.Denied, "0600")
}

func TestTreesOfALostKeyAreNotTakenOver(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	appended(t, l, made(1, 3, today))
	shut(t, l)
	if err := os.Remove(filepath.Join(cfg.Dir, "key")); err != nil {
		t.Fatal(err)
	}
	wantKind(t, audit.Create(t.Context(), cfg), fault.Conflict, "trees")
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	cfg := created(t)
	appended(t, open(t, cfg), made(1, 700, today))
	seen := 0
	err := filepath.WalkDir(cfg.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", d.Name(), info.Mode().Perm())
		}
		seen++
		return nil
	})
	if err != nil || seen < 15 {
		t.Errorf("saw %d files: %v", seen, err)
	}
}

// TestProofsHoldWithWhatOthersCheck: any sizes, any batches.
func TestProofsHoldWithWhatOthersCheck(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := created(t)
		l, err := audit.Open(t.Context(), cfg)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		size := rapid.IntRange(1, 600).Draw(rt, "size")
		all := made(1, uint64(size), today)
		for rest := all; len(rest) > 0; {
			n := rapid.IntRange(min(len(rest), 50), len(rest)).Draw(rt, "batch")
			if err := l.Append(t.Context(), rest[:n]); err != nil {
				rt.Fatal(err)
			}
			rest = rest[n:]
		}
		if rapid.Bool().Draw(rt, "reopened") {
			_ = l.Close()
			if l, err = audit.Open(t.Context(), cfg); err != nil {
				rt.Fatal(err)
			}
		}
		checkWorld(t, l, all)
		data := entries(t, l, 2026)
		r, root := reference(t, data)
		n := int64(len(data))
		old := rapid.Int64Range(1, n).Draw(rt, "old")
		oldRoot, err := tlog.TreeHash(old, r)
		if err != nil {
			rt.Fatal(err)
		}
		if have, err := l.Root(2026, old); err != nil || have != oldRoot {
			rt.Errorf("Root of %d: %v", old, err)
		}
		p, err := l.Consistency(2026, old, n)
		if err != nil || tlog.CheckTree(p, n, root, old, oldRoot) != nil {
			rt.Errorf("the proof that %d begin %d does not hold: %v", old, n, err)
		}
		if old < n && tlog.CheckTree(p, n, root, old, root) == nil {
			rt.Error("control: a proof holds for another root")
		}
		at := rapid.Int64Range(0, old-1).Draw(rt, "entry")
		q, err := l.Inclusion(2026, at, old)
		if err != nil || tlog.CheckRecord(q, old, oldRoot, at, tlog.RecordHash([]byte(data[at]))) != nil {
			rt.Errorf("the proof that entry %d is among %d does not hold: %v", at, old, err)
		}
		if tlog.CheckRecord(q, old, oldRoot, at, tlog.RecordHash([]byte(data[at]+" "))) == nil {
			rt.Error("control: a proof holds for another entry")
		}
		checkRange(rt, l, old, data, root)
	})
}

// checkRange makes the root of a tree from the compact range of its beginning
// and every entry after that.
func checkRange(t rapid.TB, l *audit.Log, from int64, data []string, root tlog.Hash) {
	t.Helper()
	hashes, err := l.Range(2026, from)
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		size int64
		hash tlog.Hash
	}
	var parts []part
	for bit, i := int64(1)<<40, 0; bit > 0; bit >>= 1 {
		if from&bit != 0 {
			parts = append(parts, part{bit, hashes[i]})
			i++
		}
	}
	if len(parts) != len(hashes) {
		t.Fatalf("the range of %d has %d hashes", from, len(hashes))
	}
	for _, d := range data[from:] {
		p := part{1, tlog.RecordHash([]byte(d))}
		for n := len(parts); n > 0 && parts[n-1].size == p.size; n = len(parts) {
			p = part{2 * p.size, tlog.NodeHash(parts[n-1].hash, p.hash)}
			parts = parts[:n-1]
		}
		parts = append(parts, p)
	}
	h := parts[len(parts)-1].hash
	for i := len(parts) - 2; i >= 0; i-- {
		h = tlog.NodeHash(parts[i].hash, h)
	}
	if h != root {
		t.Errorf("the range of %d and what follows has another root", from)
	}
}

func TestProofsOfWhatIsNotThereAreRefused(t *testing.T) {
	l := open(t, created(t))
	appended(t, l, made(1, 9, today))
	for _, f := range []func() error{
		func() error { _, err := l.Consistency(2026, 3, 11); return err },
		func() error { _, err := l.Consistency(2026, 0, 3); return err },
		func() error { _, err := l.Consistency(2026, 5, 3); return err },
		func() error { _, err := l.Inclusion(2026, 3, 3); return err },
		func() error { _, err := l.Inclusion(2026, -1, 3); return err },
		func() error { _, err := l.Range(2026, 11); return err },
		func() error {
			for _, err := range l.Entries(t.Context(), 2026, 2, 11) {
				return err
			}
			return nil
		},
	} {
		wantKind(t, f(), fault.Invalid, "")
	}
	_, err := l.Range(2027, 1)
	wantKind(t, err, fault.NotFound, "2027")
}

func TestAppendedAgainIsThereOnce(t *testing.T) {
	l := open(t, created(t))
	appended(t, l, made(1, 5, today))
	before := l.Trees()
	appended(t, l, made(1, 5, today))
	if after := l.Trees(); after[0] != before[0] {
		t.Error("entries that are there already made another tree")
	}
	appended(t, l, made(1, 8, today))
	checkWorld(t, l, made(1, 8, today))
}

func TestWhatIsNoEntryIsNotAppended(t *testing.T) {
	l := open(t, created(t))
	good := made(1, 3, today)
	for words, bad := range map[string][]byte{
		"not the JSON": []byte("hello"),
		"no id":        entry("", today, audit.KindClock, audit.Clock{}),
		"when":         entry("a", time.Time{}, audit.KindClock, audit.Clock{}),
		"no kind":      entry("a", today, "A b", audit.Clock{}),
		"no detail":    entry("a", today, audit.KindClock, 7),
		"of another":   entry("a", today, audit.KindClock, map[string]any{"from": 7}),
		"JSON of one":  []byte(`{"id":"a","id":"b","at":"2026-01-01T00:00:00Z","kind":"clock","by":"x","detail":{}}`),
	} {
		batch := append(good[:2:2], audit.Sequenced{Seq: 3, Data: bad})
		wantKind(t, l.Append(t.Context(), batch), fault.Invalid, words)
	}
	wantKind(t, l.Append(t.Context(), []audit.Sequenced{good[1], good[0]}), fault.Invalid, "grow")
	if l.Sequence() != 0 {
		t.Errorf("Sequence = %d after nothing was appended", l.Sequence())
	}
	appended(t, l, good) // control
}

func TestEachYearHasATreeThatNamesTheOneBefore(t *testing.T) {
	cfg := created(t)
	cfg.Now = func() time.Time { return time.Date(2029, 3, 1, 0, 0, 0, 0, time.UTC) }
	l := open(t, cfg)
	year := func(y int) time.Time { return time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC) }
	all := made(1, 3, year(2027).Add(-3*time.Minute)) // the third is of 2027
	all = append(all, made(4, 4, year(2026))...)      // late, and in the tree that there is
	all = append(all, made(5, 6, year(2029))...)      // nothing in 2028
	appended(t, l, all)
	checkWorld(t, l, all)
	shut(t, l)
	l = open(t, cfg)
	checkWorld(t, l, all)
	var years, sizes []int64
	for _, tree := range l.Trees() {
		years, sizes = append(years, int64(tree.Year)), append(sizes, tree.Size)
	}
	if fmt.Sprint(years, sizes) != "[2026 2027 2029] [3 3 3]" {
		t.Errorf("the trees are %v of sizes %v", years, sizes)
	}
}

func TestWrongClockMakesNoTree(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(1970, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(2106, 2, 7, 0, 0, 0, 0, time.UTC), today.AddDate(1, 0, 0),
	} {
		l := open(t, created(t))
		all := append(made(1, 1, at), made(2, 2, today)...)
		appended(t, l, all)
		checkWorld(t, l, all)
		if trees := l.Trees(); len(trees) != 1 || trees[0].Year != 2026 {
			t.Errorf("an entry of %d made a tree of %d", at.Year(), trees[0].Year)
		}
	}
}

func TestLastAndDestroyedOutliveTheProcess(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	gone := today.Add(time.Hour).UTC()
	appended(t, l, append(made(1, 3, today),
		audit.Sequenced{Seq: 4, Data: entry("d", gone, audit.KindKey, audit.Key{Verb: "destroy", Key: "clean/a/access-30d/1"})},
		audit.Sequenced{Seq: 5, Data: entry("m", gone, audit.KindManifest, audit.Manifest{Floor: 77})}))
	for _, when := range []string{"while open", "after opening again"} {
		e, ok := l.Last(audit.KindManifest)
		if !ok || e.ID != "m" || !strings.Contains(string(e.Detail), "77") {
			t.Errorf("%s: the last manifest is %q", when, e.ID)
		}
		if _, ok := l.Last(audit.KindHold); ok {
			t.Errorf("%s: there is a hold", when)
		}
		if at, ok := l.Destroyed("clean/a/access-30d/1"); !ok || !at.Equal(gone) {
			t.Errorf("%s: destroyed at %v, %t", when, at, ok)
		}
		if _, ok := l.Destroyed("clean/a/access-30d/2"); ok {
			t.Errorf("%s: a key that lives is said to be destroyed", when)
		}
		shut(t, l)
		l = open(t, cfg)
	}
}

func TestFirstCheckpointOfEachDayIsKept(t *testing.T) {
	cfg := created(t)
	now := today
	cfg.Now = func() time.Time { return now }
	l := open(t, cfg)
	for seq := uint64(1); seq <= 6; seq++ {
		appended(t, l, made(seq, seq, now))
		if seq%2 == 0 {
			now = now.Add(24 * time.Hour)
		}
	}
	kept, err := l.Checkpoints(2026)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, signed := range kept {
		c := parse(t, l, signed)
		sizes = append(sizes, c.Size)
		p, err := l.Consistency(2026, c.Size, l.Trees()[0].Size)
		if err != nil || tlog.CheckTree(p, l.Trees()[0].Size, parse(t, l, l.Trees()[0].Checkpoint).Root, c.Size, c.Root) != nil {
			t.Errorf("the kept checkpoint of %d entries does not begin the tree", c.Size)
		}
	}
	if fmt.Sprint(sizes) != "[2 4 6 7]" { // with the entry that begins the tree
		t.Errorf("kept checkpoints of %v entries", sizes)
	}
	shut(t, l)
	open(t, cfg)
}

func TestWaitEndsWhenTheEntryIsInATree(t *testing.T) {
	l := open(t, created(t))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := l.Wait(soon(t), 4); err != nil || l.Sequence() < 4 {
				t.Errorf("Wait = %v at sequence %d", err, l.Sequence())
			}
		})
	}
	appended(t, l, made(1, 2, today))
	appended(t, l, made(3, 4, today))
	wg.Wait()
	wg.Go(func() { wantKind(t, l.Wait(soon(t), 9), fault.Unavailable, "closed") })
	shut(t, l)
	wg.Wait()
}

// TestReadersSeeOneTreeWhileItGrows: under -race.
func TestReadersSeeOneTreeWhileItGrows(t *testing.T) {
	l := open(t, created(t))
	appended(t, l, made(1, 1, today))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				tree := l.Trees()[0]
				c := parse(t, l, tree.Checkpoint)
				var data []string
				for d, err := range l.Entries(t.Context(), 2026, 0, tree.Size) {
					if err != nil {
						t.Error(err)
						return
					}
					data = append(data, string(d))
				}
				if _, root := reference(t, data); root != c.Root {
					t.Errorf("the %d entries are not those of the checkpoint", len(data))
					return
				}
				p, err := l.Inclusion(2026, tree.Size-1, tree.Size)
				if err != nil || tlog.CheckRecord(p, tree.Size, c.Root, tree.Size-1, tlog.RecordHash([]byte(data[tree.Size-1]))) != nil {
					t.Errorf("the last entry is not proved: %v", err)
					return
				}
				l.Last(audit.KindKey)
				l.Destroyed("x")
			}
		})
	}
	for seq := uint64(2); seq < 300; seq += 7 {
		appended(t, l, made(seq, seq+6, today))
	}
	close(done)
	wg.Wait()
}
