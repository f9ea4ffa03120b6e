package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/audit"
)

// A head is what a checkpoint stands for.
type head struct {
	year   int
	size   int64
	root   tlog.Hash
	hashes hashes // of the bundle's tree; nil for other checkpoints
	from   int64
}

// open reads a signed checkpoint.
func (c *checker) open(text string) (head, error) {
	cp, err := audit.ParseCheckpoint(text, c.r.Key)
	return head{year: cp.Year, size: cp.Size, root: cp.Root}, err
}

// fingerprint is the SHA-256, in hex, of a verifier key as text.
func fingerprint(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// hashes are those hashes of a tree that a compact range and the entries after
// it give, by stored index (see tlog.StoredHashIndex).
type hashes map[int64]tlog.Hash

// ReadHashes makes hashes a [tlog.HashReader].
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hash, ok := h[index]
		if !ok {
			return nil, fmt.Errorf("no hash at %d", index)
		}
		out[i] = hash
	}
	return out, nil
}

// grow returns the hashes of a tree that has a range before from and the
// entries after it.
func grow(from int64, before []tlog.Hash, entries []string) (hashes, error) {
	if len(before) != bits.OnesCount64(uint64(from)) {
		return nil, fmt.Errorf("a range of %d entries has %d hashes, not %d", from, bits.OnesCount64(uint64(from)), len(before))
	}
	h := make(hashes, 2*len(entries)+len(before))
	at := int64(0)
	for _, hash := range before {
		level := bits.Len64(uint64(from-at)) - 1
		h[tlog.StoredHashIndex(level, at>>level)] = hash
		at += 1 << level
	}
	for i, e := range entries {
		n := from + int64(i)
		stored, err := tlog.StoredHashes(n, []byte(e), h)
		if err != nil {
			return nil, err
		}
		first := tlog.StoredHashIndex(0, n)
		for j, hash := range stored {
			h[first+int64(j)] = hash
		}
	}
	return h, nil
}

// trees holds every tree to its checkpoint, every kept checkpoint to its tree,
// and the trees to each other by their order. Their ties are read later, from
// the first entry of each.
func (c *checker) trees() {
	kept := 0
	for i, t := range c.b.Trees {
		if i > 0 && (t.Year <= c.b.Trees[i-1].Year || t.From != 0) {
			c.broken("The tree of %d does not follow the one before it.", t.Year)
			return
		}
		h, err := c.open(t.Checkpoint)
		if err != nil || h.year != t.Year {
			c.broken("The checkpoint of %d is not signed by the key %s, or is not a checkpoint of that year.", t.Year, c.r.Origin)
			return
		}
		if end := t.From + int64(len(t.Entries)); h.size != end {
			c.broken("The checkpoint of %d stands for %s and the bundle's end at %s: something was left out, added or cut off.", t.Year, count(h.size, "entry", "entries"), number(end))
			return
		}
		if h.hashes, err = grow(t.From, t.Range, t.Entries); err == nil {
			var root tlog.Hash
			if root, err = tlog.TreeHash(h.size, h.hashes); err == nil && root != h.root {
				err = fmt.Errorf("another root")
			}
		}
		if err != nil {
			c.broken("The entries of %d do not give the root that their checkpoint names: one of them, or what stands for those before them, was changed, left out, added or moved.", t.Year)
			return
		}
		h.from = t.From
		c.heads = append(c.heads, h)
		for _, k := range t.Checkpoints {
			old, ok := c.leads(k, h)
			if !ok {
				c.broken("A checkpoint that Lethe kept on the way does not lead to the tree of %d: the tree, the checkpoint or its proof was changed.", t.Year)
				return
			}
			if old.size < h.size {
				kept++
			}
		}
	}
	last := c.b.Trees[len(c.b.Trees)-1]
	c.r.Checkpoint = last.Checkpoint
	for i, h := range c.heads {
		c.proved("%s of %d, from entry %s on, are exactly those that the signed checkpoint of %s with the root %s stands for, in the order in which they were recorded.",
			count(len(c.b.Trees[i].Entries), "entry", "entries"), h.year, number(h.from), count(h.size, "entry", "entries"), h.root)
	}
	if c.heads[0].from > 0 {
		c.not("What the entries before entry %s of %d say: they are part of what is signed, and not in this bundle.", number(c.heads[0].from), c.heads[0].year)
	}
	if kept > 0 {
		c.proved("The same trees continue %s that Lethe kept on the way: what was on record then was not changed later.", count(kept, "earlier checkpoint", "earlier checkpoints"))
	}
}

// leads says whether a kept checkpoint is the beginning of a tree.
func (c *checker) leads(k Kept, h head) (old head, ok bool) {
	old, err := c.open(k.Checkpoint)
	if err != nil || old.year != h.year || old.size < 1 || old.size > h.size ||
		tlog.CheckTree(k.Proof, h.size, h.root, old.size, old.root) != nil {
		return old, false
	}
	if old.size < h.from {
		return old, true
	}
	root, err := tlog.TreeHash(old.size, h.hashes)
	return old, err == nil && root == old.root
}

// earlier compares the trees with checkpoints that were kept elsewhere.
func (c *checker) earlier() {
	undecided := 0
	for i, text := range c.o.Earlier {
		name := "The checkpoint kept elsewhere"
		if len(c.o.Earlier) > 1 {
			name = fmt.Sprintf("Checkpoint %d of those kept elsewhere", i+1)
		}
		old, under, err := c.openKept(text)
		if err != nil {
			c.broken("%s is not signed by this bundle's key %s, nor by one that its log says it had before: it is of another Lethe, or the key was exchanged.", name, c.r.Origin)
			continue
		}
		at := slices.IndexFunc(c.heads, func(h head) bool { return h.year == old.year })
		switch last := c.heads[len(c.heads)-1]; {
		case at < 0 && old.year < c.heads[0].year:
			undecided++
			continue
		case at < 0 && old.year > last.year, at >= 0 && old.size > c.heads[at].size:
			c.broken("%s stands for %s of %d, and this bundle ends before that: its end was cut off, or the log was rolled back.", name, count(old.size, "entry", "entries"), old.year)
			continue
		case at < 0:
			c.broken("%s is of %d, and this bundle has no tree of that year although it has one before and one after it.", name, old.year)
			continue
		}
		switch root, known := c.rootAt(at, old.size); {
		case !known:
			undecided++
		case root != old.root:
			c.broken("%s stands for other entries than this bundle: what was on record up to entry %s of %d was changed since.", name, number(old.size), old.year)
		default:
			c.proved("The first %s of %d are the same as when the checkpoint was made that was kept elsewhere%s.", count(old.size, "entry", "entries"), old.year, under)
		}
	}
	if undecided > 0 {
		c.not("Whether %s kept elsewhere agree with this log: what they stand for is not in this bundle. Make one of everything with 'lethe audit export'.", count(undecided, "checkpoint", "checkpoints"))
	}
}

// rootAt is the root that a tree had at an earlier size, where the bundle
// tells.
func (c *checker) rootAt(tree int, size int64) (tlog.Hash, bool) {
	h := c.heads[tree]
	if size == 0 || size >= h.from {
		root, err := tlog.TreeHash(size, h.hashes)
		return root, err == nil
	}
	for _, k := range c.b.Trees[tree].Checkpoints {
		if old, err := c.open(k.Checkpoint); err == nil && old.size == size {
			return old.root, true
		}
	}
	return tlog.Hash{}, false
}

// tie is what ties a tree to the one before it: the checkpoint that its first
// entry names must stand for all of that.
func (c *checker) tie(tree int, t audit.Tree) {
	h := c.heads[tree]
	if t.Year != h.year {
		c.problem("The first entry of %d says that it begins the tree of %d.", h.year, t.Year)
		return
	}
	if tree == 0 {
		if strings.TrimSpace(t.Previous) != "" {
			c.not("What is on record of the years before %d: the bundle begins there.", h.year)
		}
		return
	}
	before := c.heads[tree-1]
	old, err := c.open(t.Previous)
	if err != nil || old.year != before.year || old.size != before.size || old.root != before.root {
		c.broken("The tree of %d does not begin where that of %d ended: entries of %d were cut off or added.", h.year, before.year, before.year)
		return
	}
	c.proved("The tree of %d begins with the last checkpoint of %d.", h.year, before.year)
}
