package keyring

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Stray is something in the keyring's directory that the keyring did not put
// there, or something it did put there and that is gone.
type Stray struct {
	Kind StrayKind
	// Key is the name of the key that the file is of; empty for a file of
	// none.
	Key string
	// File is its path below the directory.
	File string
}

// StrayKind says what is wrong with a stray.
type StrayKind string

const (
	// StrayFile is no file of a keyring: a copy, perhaps.
	StrayFile StrayKind = "file"
	// StrayReturned is the file of a key that was destroyed.
	StrayReturned StrayKind = "returned"
	// StrayUnknown is the file, or the tombstone, of a key that the keyring
	// has not made, or destroyed, itself.
	StrayUnknown StrayKind = "unknown"
	// StrayMissing is a key, or a tombstone, whose file is gone.
	StrayMissing StrayKind = "missing"
)

// Strays compares the directory with what the keyring knows. Open refuses
// files that it does not know and finishes destructions; this looks while the
// keyring runs, when nothing else would notice that a destroyed key was put
// back from a copy. It reads no key.
func (k *Keyring) Strays(ctx context.Context) ([]Stray, error) { return k.open().strays(ctx) }

// strays holds writing, so that no key is between its file and its tombstone
// while it looks.
func (r *ring) strays(ctx context.Context) ([]Stray, error) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.RLock()
	closed, states := r.closed, maps.Clone(r.states)
	r.mu.RUnlock()
	if closed {
		return nil, errClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s := r.store
	var out []Stray
	add := func(kind StrayKind, i id, file string) {
		stray := Stray{Kind: kind, File: file}
		if i != (id{}) {
			stray.Key = i.String()
		}
		out = append(out, stray)
	}
	top, err := names(s.dir)
	if err != nil {
		return nil, err
	}
	own := []string{filepath.Base(s.keys()), filepath.Base(s.destroyed()), filepath.Base(s.wrappingPath()), filepath.Base(lockPath(s.dir))}
	if filepath.Dir(filepath.Clean(s.kek)) == filepath.Clean(s.dir) {
		own = append(own, filepath.Base(s.kek))
	}
	for _, name := range top {
		if !slices.Contains(own, name) {
			add(StrayFile, id{}, name)
		}
	}
	for _, look := range []struct {
		dir, suffix string
		live        bool
	}{{s.keys(), keySuffix, true}, {s.destroyed(), "", false}} {
		files, err := names(look.dir)
		if err != nil {
			return nil, err
		}
		here := map[id]bool{}
		for _, name := range files {
			path := filepath.Join(filepath.Base(look.dir), name)
			file, ok := strings.CutSuffix(name, look.suffix)
			i, known := parseFile(file)
			if !ok || !known {
				add(StrayFile, id{}, path)
				continue
			}
			here[i] = true
			switch live, made := states[i]; {
			case !made || !look.live && live:
				add(StrayUnknown, i, path)
			case look.live && !live:
				add(StrayReturned, i, path)
			}
		}
		for i, live := range states {
			if live == look.live && !here[i] {
				add(StrayMissing, i, filepath.Join(filepath.Base(look.dir), i.file()+look.suffix))
			}
		}
	}
	slices.SortFunc(out, func(a, b Stray) int { return cmp.Compare(a.File, b.File) })
	return out, nil
}

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // what it held is missing, which is said of each
	}
	if err != nil {
		return nil, fault.Unavailable.Errorf("reading the keyring: %w", err)
	}
	out := make([]string, len(entries))
	for n, e := range entries {
		out[n] = e.Name()
	}
	return out, nil
}
