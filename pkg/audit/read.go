package audit

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Entries are the entries of a year's tree with the indexes from (included) to
// to (not included), each as the bytes that are in the tree and not to be
// changed. What is read from disk is held to the tree; it ends with the first
// error.
func (l *Log) Entries(ctx context.Context, year int, from, to int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		t, err := l.part(year, from, to)
		if err != nil {
			yield(nil, err)
			return
		}
		for at := from; at < to; {
			if err := ctx.Err(); err != nil {
				yield(nil, fault.Unavailable.Errorf("reading the audit log: %w", err))
				return
			}
			n := at / tileWidth
			entries, err := l.bundle(t, n)
			if err != nil {
				yield(nil, err)
				return
			}
			end := min(to-n*tileWidth, int64(len(entries)))
			for _, e := range entries[at-n*tileWidth : end] {
				if !yield(e, nil) {
					return
				}
			}
			at = n*tileWidth + end
		}
	}
}

// bundle returns the entries of one bundle of a tree.
func (l *Log) bundle(t *tree, n int64) ([][]byte, error) {
	if n >= t.full() {
		return t.tail, nil
	}
	entries, leaves, err := readBundle(yearDir(l.cfg.Dir, t.year), t.year, n, tileWidth)
	if err == nil && subtree(leaves) != t.up[0][n] {
		err = notWhatWasSigned(t.year, "entries were changed")
	}
	return entries, l.unlessRemoved(t, err)
}

// unlessRemoved says what an error means while the tree may be removed.
func (l *Log) unlessRemoved(t *tree, err error) error {
	if err == nil {
		return nil
	}
	if _, gone := l.year(t.year); gone != nil {
		return gone
	}
	return err
}

// part is the tree of a year, if it holds [from, to).
func (l *Log) part(year int, from, to int64) (*tree, error) {
	t, err := l.year(year)
	if err != nil {
		return nil, err
	}
	if from < 0 || from > to || to > t.size {
		return nil, fault.Invalid.Errorf("the audit log of %04d has %d entries, and not those from %d to %d", year, t.size, from, to)
	}
	return t, nil
}

func (l *Log) hashes(t *tree) tlog.HashReader {
	return t.hashes(func(n int64) ([]tlog.Hash, error) {
		leaves, err := t.leaves(l.cfg.Dir, n)
		return leaves, l.unlessRemoved(t, err)
	})
}

// Range is the compact range of the first size entries of a year's tree: the
// hashes of the largest subtrees that make them up, the largest first, one for
// each bit of size. With it and every entry from size on, anybody can make the
// root of the tree.
func (l *Log) Range(year int, size int64) ([]tlog.Hash, error) {
	t, err := l.part(year, 0, size)
	if err != nil {
		return nil, err
	}
	return l.hashes(t).ReadHashes(rangeIndexes(size))
}

// Root is the root of the first size entries of a year's tree.
func (l *Log) Root(year int, size int64) (tlog.Hash, error) {
	t, err := l.part(year, 0, size)
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.TreeHash(size, l.hashes(t))
}

// Consistency proves that the first old entries of a year's tree are the
// beginning of the first size: [tlog.CheckTree] checks it.
func (l *Log) Consistency(year int, old, size int64) (tlog.TreeProof, error) {
	t, err := l.part(year, old, size)
	if err != nil {
		return nil, err
	}
	if old < 1 {
		return nil, fault.Invalid.Errorf("there is nothing to prove of an empty tree")
	}
	return tlog.ProveTree(size, old, l.hashes(t))
}

// Inclusion proves that an entry is in the first size entries of a year's
// tree: [tlog.CheckRecord] checks it.
func (l *Log) Inclusion(year int, entry, size int64) (tlog.RecordProof, error) {
	t, err := l.part(year, entry, size)
	if err != nil {
		return nil, err
	}
	if entry == size {
		return nil, fault.Invalid.Errorf("the audit log of %04d has no entry %d among its first", year, entry)
	}
	return tlog.ProveRecord(size, entry, l.hashes(t))
}

// Checkpoints are the checkpoints of a year that are kept: the first of each
// day that had one, and the last, by size.
func (l *Log) Checkpoints(year int) ([]string, error) {
	dir := yearDir(l.cfg.Dir, year)
	days, err := listArchive(dir)
	if err != nil {
		return nil, err
	}
	sizes := map[string]int64{}
	for _, day := range days {
		signed, err := os.ReadFile(filepath.Join(dir, archiveDir, day))
		if err != nil {
			return nil, failed("reading a kept checkpoint", err)
		}
		c, err := ParseCheckpoint(string(signed), l.verifierKey)
		if err != nil {
			return nil, notWhatWasSigned(year, "a kept checkpoint is none of it")
		}
		sizes[string(signed)] = c.Size
	}
	// Read last, so that none is larger.
	t, err := l.year(year)
	if err != nil {
		return nil, err
	}
	sizes[t.checkpoint] = t.size
	return slices.SortedFunc(maps.Keys(sizes), func(a, b string) int { return cmp.Compare(sizes[a], sizes[b]) }), nil
}
