package audit

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tree is one year's tree. It is never changed, so that whoever reads has the
// same tree to the end; [tree.grow] makes the next. What a longer tree appends
// to arrays that it shares with a shorter one lies beyond the shorter one's
// slices.
type tree struct {
	year       int
	size       int64
	checkpoint string // signed
	seq        uint64
	previous   string // the last checkpoint of the tree before

	// up holds the hashes from the height of a tile on: up[l][n] is that of
	// the leaves [n<<(8+l), (n+1)<<(8+l)). Whatever is read from disk must
	// agree with them.
	up [][]tlog.Hash
	// edge and tail are the leaf hashes and the entries beyond the last full
	// tile.
	edge []tlog.Hash
	tail [][]byte
}

// full is how many full tiles of leaves there are.
func (t *tree) full() int64 { return t.size / tileWidth }

// growth is a tree with entries added.
type growth struct {
	tree *tree
	from int64 // size before
	// base is the index of the first of leaves and entries: those of every
	// tile that changed.
	base    int64
	leaves  []tlog.Hash
	entries [][]byte
}

// grow returns the tree with entries added. Its checkpoint is still to be
// made.
func (t *tree) grow(entries [][]byte) growth {
	next := *t
	next.size += int64(len(entries))
	next.up = slices.Clone(t.up)
	g := growth{tree: &next, from: t.size, base: t.full() * tileWidth}
	g.entries = slices.Concat(t.tail, entries)
	g.leaves = slices.Grow(slices.Clone(t.edge), len(entries))
	for _, e := range entries {
		g.leaves = append(g.leaves, tlog.RecordHash(e))
	}
	rest := 0
	for ; len(g.leaves)-rest >= tileWidth; rest += tileWidth {
		next.up = push(next.up, subtree(g.leaves[rest:rest+tileWidth]))
	}
	next.edge, next.tail = g.leaves[rest:], g.entries[rest:]
	return g
}

// push adds the hash of a full tile, and those of the subtrees that it
// completes.
func push(up [][]tlog.Hash, h tlog.Hash) [][]tlog.Hash {
	for l := 0; ; l++ {
		if l == len(up) {
			up = append(up, nil)
		}
		up[l] = append(up[l], h)
		n := len(up[l])
		if n%2 == 1 {
			return up
		}
		h = tlog.NodeHash(up[l][n-2], h)
	}
}

// subtree is the hash of as many leaves as a power of two.
func subtree(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	half := len(leaves) / 2
	return tlog.NodeHash(subtree(leaves[:half]), subtree(leaves[half:]))
}

// tile returns the hashes of a hash tile: those of the tree, or of the growth
// where they are leaves.
func (g growth) tile(t tlog.Tile) []tlog.Hash {
	first := t.N * tileWidth
	if t.L == 0 {
		return g.leaves[first-g.base:][:t.W]
	}
	return g.tree.above(t)
}

// above returns the hashes of a tile that is not of leaves.
func (t *tree) above(tile tlog.Tile) []tlog.Hash {
	return t.up[tileHeight*(tile.L-1)][tile.N*tileWidth:][:tile.W]
}

// hashes reads the tree's hashes for proofs. tile returns the leaf hashes of a
// full tile, and is asked for one tile once in a row.
func (t *tree) hashes(tile func(n int64) ([]tlog.Hash, error)) tlog.HashReader {
	have, leaves := int64(-1), []tlog.Hash(nil)
	read := func(index int64) (tlog.Hash, error) {
		level, n := tlog.SplitStoredHashIndex(index)
		if up := level - tileHeight; up >= 0 {
			if up >= len(t.up) || n >= int64(len(t.up[up])) {
				return tlog.Hash{}, fmt.Errorf("the tree has no hash %d at height %d", n, level)
			}
			return t.up[up][n], nil
		}
		first := n << level
		at := first / tileWidth
		in := t.edge
		if at < t.full() {
			if have != at {
				var err error
				if leaves, err = tile(at); err != nil {
					return tlog.Hash{}, err
				}
				have = at
			}
			in = leaves
		}
		from := first - at*tileWidth
		to := from + 1<<level
		if at > t.full() || to > int64(len(in)) {
			return tlog.Hash{}, fmt.Errorf("the tree has no hash %d at height %d", n, level)
		}
		return subtree(in[from:to]), nil
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			var err error
			if out[i], err = read(index); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
}

// root is the hash of the whole tree, which takes nothing from disk.
func (t *tree) root() tlog.Hash {
	h, err := tlog.TreeHash(t.size, t.hashes(func(int64) ([]tlog.Hash, error) {
		return nil, fmt.Errorf("the root of a tree needs no full tile")
	}))
	if err != nil {
		panic("audit: " + err.Error()) // the invariant of tree
	}
	return h
}

// rangeIndexes are the stored hashes that make up the leaves [0, size): one for
// each bit of size, the largest subtree first.
func rangeIndexes(size int64) []int64 {
	var out []int64
	for lo := int64(0); lo < size; {
		level := bits.Len64(uint64(size-lo)) - 1
		out = append(out, tlog.StoredHashIndex(level, lo>>level))
		lo += 1 << level
	}
	return out
}
