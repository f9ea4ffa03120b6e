package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

const origin = "lethe.example.org/audit"

var today = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// created is a log that was made and has no entries.
func created(t testing.TB) audit.Config {
	t.Helper()
	cfg := audit.Config{
		Dir: filepath.Join(t.TempDir(), "audit"), Origin: origin, Log: lethetest.Logger(t),
		Now: func() time.Time { return today },
	}
	if err := audit.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func open(t testing.TB, cfg audit.Config) *audit.Log {
	t.Helper()
	l, err := audit.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

func shut(t testing.TB, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// entry makes the bytes of an entry.
func entry(id string, at time.Time, kind audit.Kind, detail any) []byte {
	d, err := json.Marshal(detail)
	if err != nil {
		panic(err)
	}
	data, err := json.Marshal(audit.Entry{ID: id, At: at, Kind: kind, By: "retention", Detail: d})
	if err != nil {
		panic(err)
	}
	return data
}

// made are entries with the sequences from first to last, recorded a minute
// apart.
func made(first, last uint64, at time.Time) []audit.Sequenced {
	var out []audit.Sequenced
	for seq := first; seq <= last; seq++ {
		at = at.Add(time.Minute)
		out = append(out, audit.Sequenced{Seq: seq, Data: entry(fmt.Sprintf("entry-%d", seq), at, audit.KindKey,
			audit.Key{Verb: "create", Key: fmt.Sprintf("clean/a/access-30d/%d", seq), Power: strings.Repeat("x", int(seq)%50)})})
	}
	return out
}

func appended(t testing.TB, l *audit.Log, batch []audit.Sequenced) {
	t.Helper()
	if err := l.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
}

func entries(t testing.TB, l *audit.Log, year int) []string {
	t.Helper()
	var out []string
	for _, tree := range l.Trees() {
		if tree.Year != year {
			continue
		}
		for data, err := range l.Entries(t.Context(), year, 0, tree.Size) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(data))
		}
	}
	return out
}

// parse reads a checkpoint with the log's own key.
func parse(t testing.TB, l *audit.Log, signed string) audit.Checkpoint {
	t.Helper()
	c, err := audit.ParseCheckpoint(signed, l.VerifierKey())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reference is the tree that golang.org/x/mod makes of the entries, with
// nothing of this package.
func reference(t testing.TB, data []string) (tlog.HashReader, tlog.Hash) {
	t.Helper()
	var stored []tlog.Hash
	r := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = stored[x]
		}
		return out, nil
	})
	for i, d := range data {
		hashes, err := tlog.StoredHashes(int64(i), []byte(d), r)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(data)), r)
	if err != nil {
		t.Fatal(err)
	}
	return r, root
}

// CheckWorld holds a log to what was appended: every tree is the one of its
// entries, and every entry of want is there once, in order.
func checkWorld(t testing.TB, l *audit.Log, want []audit.Sequenced) {
	t.Helper()
	var have []string
	for i, tree := range l.Trees() {
		all := entries(t, l, tree.Year)
		_, root := reference(t, all)
		c := parse(t, l, tree.Checkpoint)
		if c.Root != root || c.Size != tree.Size || c.Year != tree.Year || int64(len(all)) != tree.Size {
			t.Errorf("the checkpoint of %d is not that of its %d entries", tree.Year, len(all))
		}
		first, err := audit.ParseEntry([]byte(all[0]))
		if err != nil || first.Kind != audit.KindTree {
			t.Errorf("the tree of %d begins with an entry of kind %s: %v", tree.Year, first.Kind, err)
		}
		if i > 0 && tree.Previous != l.Trees()[i-1].Checkpoint {
			t.Errorf("the tree of %d does not name the checkpoint before it", tree.Year)
		}
		have = append(have, all[1:]...)
	}
	var wanted []string
	for _, s := range want {
		wanted = append(wanted, string(s.Data))
	}
	if !slices.Equal(have, wanted) {
		t.Errorf("the trees hold %d entries that are not the %d appended, each once and in order", len(have), len(wanted))
	}
	if len(want) > 0 && l.Sequence() != want[len(want)-1].Seq {
		t.Errorf("Sequence = %d, want %d", l.Sequence(), want[len(want)-1].Seq)
	}
}

// copyDir copies a directory as it is.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(to, "key"), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

var errDied = errors.New("died here")

// dies fails at the nth step that is reached, and says whether it was.
func dies(n int) (step func(string) error, where *string) {
	where = new(string)
	return func(name string) error {
		if n--; n == 0 {
			*where = name
			return errDied
		}
		return nil
	}, where
}

func wantKind(t testing.TB, err error, kind fault.Kind, words string) {
	t.Helper()
	if !errors.Is(err, kind) || !strings.Contains(fmt.Sprint(err), words) {
		t.Errorf("err = %v, want %s that says %q", err, kind, words)
	}
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
