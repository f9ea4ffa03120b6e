package audit_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// manyYears is a log of 2024 to 2026 on which days have passed.
func manyYears(t *testing.T) audit.Config {
	cfg := created(t)
	now := today.AddDate(-2, 0, 0)
	clocked := cfg
	clocked.Now = func() time.Time { return now }
	l := open(t, clocked)
	seq := uint64(1)
	for now.Year() <= 2026 {
		for range 3 {
			appended(t, l, made(seq, seq+149, now))
			seq += 150
			now = now.Add(24 * time.Hour)
		}
		now = now.AddDate(1, 0, 0)
	}
	shut(t, l)
	return cfg
}

// P10: tamper-evidently.
func TestEveryChangeOfWhatWasSignedIsFoundAtOpening(t *testing.T) {
	original := manyYears(t)
	edit := func(path string, change func([]byte) []byte) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, filepath.FromSlash(path))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := change(bytes.Clone(data))
			if bytes.Equal(changed, data) {
				t.Fatal("control: nothing was changed")
			}
			if err := os.WriteFile(path, changed, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(path string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, filepath.FromSlash(path))
			if _, err := os.Lstat(path); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace := func(old, with string) func([]byte) []byte {
		return func(b []byte) []byte { return bytes.Replace(b, []byte(old), []byte(with), 1) }
	}
	cut := func(b []byte) []byte { return b[:len(b)-5] }
	back := func(path, with string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(with)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(path)), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		do    func(t *testing.T, dir string)
		words string
	}{
		"entry edited":             {edit("2025/tile/entries/000", replace("create", "creatE")), "2025 is not what was signed: a tile of hashes"},
		"last entries edited":      {edit("2026/tile/entries/001.p/195", replace("create", "creatE")), "2026"},
		"entries swapped":          {edit("2025/tile/entries/000", swapFirst), "2025"},
		"entry bundle torn":        {edit("2025/tile/entries/000", cut), "2025 is not what was signed: entries are torn"},
		"entry bundle longer":      {edit("2025/tile/entries/000", func(b []byte) []byte { return append(b, 0) }), "torn"},
		"entry bundle missing":     {remove("2025/tile/entries/000"), "2025 is not what was signed: entries are missing"},
		"tile changed":             {edit("2024/tile/0/000", func(b []byte) []byte { b[40]++; return b }), "2024"},
		"last tile changed":        {edit("2024/tile/0/001.p/195", func(b []byte) []byte { b[40]++; return b }), "2024"},
		"upper tile changed":       {edit("2024/tile/1/000.p/1", func(b []byte) []byte { b[3]++; return b }), "2024"},
		"tile torn":                {edit("2024/tile/0/000", cut), "2024 is not what was signed: a tile of hashes is torn"},
		"tile missing":             {remove("2024/tile/1/000.p/1"), "2024 is not what was signed: a tile of hashes is missing"},
		"checkpoint torn":          {edit("2026/checkpoint", cut), "2026"},
		"checkpoint empty":         {edit("2026/checkpoint", func([]byte) []byte { return nil }), "2026"},
		"checkpoint missing":       {remove("2026/checkpoint"), "2026 is not what was signed: there is no checkpoint"},
		"old checkpoint missing":   {remove("2024/checkpoint"), "2024 is not what was signed: there is no checkpoint"},
		"size edited":              {edit("2026/checkpoint", replace("\n451\n", "\n450\n")), "2026"},
		"sequence edited":          {edit("2026/checkpoint", replace("seq ", "seq 1")), "2026"},
		"tail cut":                 {cutTail("2026", "2026/checkpoints/2026-07-07", true), "2026 is not what was signed: it is shorter than a checkpoint that was kept"},
		"tail of an old year cut":  {cutTail("2025", "2025/checkpoints/2025-07-04", false), "2025 is not what was signed: the tree after it names another last checkpoint"},
		"checkpoint of other year": {back("2026/checkpoint", "2025/checkpoint"), "2026"},
		"kept checkpoint edited":   {edit("2026/checkpoints/2026-07-08", replace("seq ", "seq 1")), "2026"},
		"year missing":             {remove("2025"), "2025 is missing, and its end is not on record"},
		"first year missing":       {remove("2024"), "2024 is missing, and its end is not on record"},
		"another key": {func(t *testing.T, dir string) {
			other := created(t)
			back("key", "key")(t, dir)
			data, err := os.ReadFile(filepath.Join(other.Dir, "key"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "key"), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not signed by the key"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := original
			cfg.Dir = copyDir(t, original.Dir)
			l := open(t, cfg) // control
			shut(t, l)
			c.do(t, cfg.Dir)
			_, err := audit.Open(t.Context(), cfg)
			wantKind(t, err, fault.Corrupt, c.words)
			if err != nil && strings.Contains(err.Error(), "creatE") {
				t.Error("the error repeats what was read")
			}
		})
	}
}

// swapFirst exchanges the second and the third entry of a bundle.
func swapFirst(b []byte) []byte {
	frame := func(at int) []byte { return b[at:][:4+int(binary.BigEndian.Uint32(b[at:]))] }
	at := len(frame(0)) // the first says whose tree it is
	one := frame(at)
	two := frame(at + len(one))
	out := append(bytes.Clone(b[:at]), two...)
	out = append(out, one...)
	return append(out, b[len(out):]...)
}

// cutTail puts an earlier checkpoint of a year in the place of the last, makes
// the tiles fit. Without the kept ones, nothing in the tree itself shows it.
func cutTail(year, earlier string, keep bool) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		signed, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(earlier)))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, year, "checkpoint"), signed, 0o600); err != nil {
			t.Fatal(err)
		}
		if !keep {
			if err := os.RemoveAll(filepath.Join(dir, year, "checkpoints")); err != nil {
				t.Fatal(err)
			}
		}
		n := 151 // entries that it stands for
		leaves, err := os.ReadFile(filepath.Join(dir, year, "tile", "0", "000"))
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadFile(filepath.Join(dir, year, "tile", "entries", "000"))
		if err != nil {
			t.Fatal(err)
		}
		at := 0
		for range n {
			at += 4 + int(binary.BigEndian.Uint32(entries[at:]))
		}
		for path, data := range map[string][]byte{"tile/0/000.p": leaves[:n*tlog.HashSize], "tile/entries/000.p": entries[:at]} {
			path = filepath.Join(dir, year, filepath.FromSlash(path))
			if err := os.MkdirAll(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(path, fmt.Sprint(n)), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestWhatIsReadFromDiskIsHeldToTheTree: changes after opening.
func TestWhatIsReadFromDiskIsHeldToTheTree(t *testing.T) {
	cfg := manyYears(t)
	l := open(t, cfg)
	for _, path := range []string{"2025/tile/entries/000", "2025/tile/0/000"} {
		path = filepath.Join(cfg.Dir, filepath.FromSlash(path))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data[100]++
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var last error
	for _, err := range l.Entries(t.Context(), 2025, 100, 103) {
		last = err
	}
	wantKind(t, last, fault.Corrupt, "2025 is not what was signed: entries were changed")
	_, err := l.Inclusion(2025, 100, 300)
	wantKind(t, err, fault.Corrupt, "2025 is not what was signed: a tile of hashes was changed")
	if _, err := l.Inclusion(2024, 100, 300); err != nil {
		t.Errorf("control: %v", err)
	}
}

// TestOtherHistoryDoesNotFitAnEarlierCheckpoint: an old copy was put back, and
// other things were recorded since. The log is in itself what was signed; a
// checkpoint kept elsewhere shows the difference.
func TestOtherHistoryDoesNotFitAnEarlierCheckpoint(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	appended(t, l, made(1, 20, today))
	old := copyDir(t, cfg.Dir)
	appended(t, l, made(21, 40, today))
	elsewhere := parse(t, l, l.Trees()[0].Checkpoint)
	appended(t, l, made(41, 60, today))
	fits := func(l *audit.Log) error {
		tree := l.Trees()[0]
		p, err := l.Consistency(2026, elsewhere.Size, tree.Size)
		if err != nil {
			return err
		}
		return tlog.CheckTree(p, tree.Size, parse(t, l, tree.Checkpoint).Root, elsewhere.Size, elsewhere.Root)
	}
	if err := fits(l); err != nil {
		t.Errorf("control: %v", err)
	}
	shut(t, l)
	cfg.Dir = old
	l = open(t, cfg)
	if fits(l) == nil {
		t.Error("a log that ends before the checkpoint is said to hold it")
	}
	appended(t, l, made(21, 60, today.Add(time.Hour)))
	if fits(l) == nil {
		t.Error("another history is said to hold the checkpoint")
	}
}
