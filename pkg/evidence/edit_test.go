package evidence_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// read takes a bundle apart, so that it can be edited.
func read(t testing.TB, text []byte) *evidence.Bundle {
	t.Helper()
	var b evidence.Bundle
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return &b
}

// clone copies what an edit can change.
func clone(b *evidence.Bundle) *evidence.Bundle {
	out := *b
	out.Statement, out.Inventory, out.Trees = slices.Clone(b.Statement), slices.Clone(b.Inventory), slices.Clone(b.Trees)
	for i := range out.Trees {
		t := &out.Trees[i]
		t.Range, t.Entries, t.Checkpoints = slices.Clone(t.Range), slices.Clone(t.Entries), slices.Clone(t.Checkpoints)
		for j := range t.Checkpoints {
			t.Checkpoints[j].Proof = slices.Clone(t.Checkpoints[j].Proof)
		}
	}
	return &out
}

func write(t testing.TB, b *evidence.Bundle) []byte {
	t.Helper()
	text, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// flip changes one letter or digit of a text into another.
func flip(rng *rand.Rand, s string) string {
	for {
		i := rng.IntN(len(s))
		c := s[i]
		const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
		if c < '0' || c > 'z' || c > '9' && c < 'A' || c > 'Z' && c < 'a' {
			continue
		}
		if d := letters[rng.IntN(len(letters))]; d != c && d|0x20 != c|0x20 {
			return s[:i] + string(d) + s[i+1:]
		}
	}
}

func flipHash(rng *rand.Rand, h *tlog.Hash) { h[rng.IntN(len(h))] ^= 1 << rng.IntN(8) }

// An edit changes one thing of a bundle, and says no where there is nothing of
// the kind.
type edit struct {
	name string
	do   func(rng *rand.Rand, b *evidence.Bundle) bool
}

// tree picks a tree, the longer the likelier.
func tree(rng *rand.Rand, b *evidence.Bundle) *evidence.Tree {
	n := 0
	for _, t := range b.Trees {
		n += len(t.Entries)
	}
	at := rng.IntN(n)
	for i := range b.Trees {
		if at -= len(b.Trees[i].Entries); at < 0 {
			return &b.Trees[i]
		}
	}
	panic("unreachable")
}

var edits = []edit{
	{"a letter of an entry", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		i := rng.IntN(len(t.Entries))
		t.Entries[i] = flip(rng, t.Entries[i])
		return true
	}},
	{"an entry left out", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		i := rng.IntN(len(t.Entries))
		t.Entries = slices.Delete(t.Entries, i, i+1)
		return true
	}},
	{"two entries exchanged", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		i, j := rng.IntN(len(t.Entries)), rng.IntN(len(t.Entries))
		t.Entries[i], t.Entries[j] = t.Entries[j], t.Entries[i]
		return i != j
	}},
	{"an entry twice", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		i := rng.IntN(len(t.Entries))
		t.Entries = slices.Insert(t.Entries, i, t.Entries[i])
		return true
	}},
	{"an entry invented", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		t.Entries = append(t.Entries, flip(rng, t.Entries[len(t.Entries)-1]))
		return true
	}},
	{"the end cut off, with the checkpoint of then", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := &b.Trees[len(b.Trees)-1]
		old := t.Checkpoints[rng.IntN(len(t.Checkpoints))].Checkpoint
		cp, err := audit.ParseCheckpoint(old, b.Key)
		if err != nil || cp.Size <= t.From || cp.Size == t.From+int64(len(t.Entries)) {
			return false
		}
		t.Checkpoint, t.Entries = old, t.Entries[:cp.Size-t.From]
		t.Checkpoints = slices.DeleteFunc(t.Checkpoints, func(k evidence.Kept) bool {
			c, err := audit.ParseCheckpoint(k.Checkpoint, b.Key)
			return err != nil || c.Size > cp.Size
		})
		for i := range t.Checkpoints { // and the proofs made anew
			c, err := audit.ParseCheckpoint(t.Checkpoints[i].Checkpoint, b.Key)
			if err != nil {
				return false
			}
			hashes := hashesOf(t.Entries)
			if t.Checkpoints[i].Proof, err = tlog.ProveTree(cp.Size, c.Size, hashes); err != nil {
				return false
			}
		}
		return true
	}},
	{"the beginning cut off, with the range of then", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := &b.Trees[0]
		if t.From != 0 {
			return false // made for a bundle of everything
		}
		n := int64(1 + rng.IntN(len(t.Entries)-1))
		hashes := hashesOf(t.Entries)
		t.Range = nil
		for lo := int64(0); lo < n; {
			level := 0
			for lo+2<<level <= n {
				level++
			}
			h, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(level, lo>>level)})
			if err != nil {
				return false
			}
			t.Range = append(t.Range, h[0])
			lo += 1 << level
		}
		t.From, t.Entries = n, t.Entries[n:]
		return true
	}},
	{"a year left out", func(rng *rand.Rand, b *evidence.Bundle) bool {
		i := rng.IntN(len(b.Trees))
		b.Trees = slices.Delete(b.Trees, i, i+1)
		return true
	}},
	{"years exchanged", func(rng *rand.Rand, b *evidence.Bundle) bool {
		i, j := rng.IntN(len(b.Trees)), rng.IntN(len(b.Trees))
		b.Trees[i], b.Trees[j] = b.Trees[j], b.Trees[i]
		return i != j
	}},
	{"another year's number", func(rng *rand.Rand, b *evidence.Bundle) bool {
		b.Trees[rng.IntN(len(b.Trees))].Year += 1 + rng.IntN(3)
		return true
	}},
	{"another beginning", func(rng *rand.Rand, b *evidence.Bundle) bool {
		b.Trees[rng.IntN(len(b.Trees))].From += 1 + rng.Int64N(9)
		return true
	}},
	{"an older checkpoint", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		old := t.Checkpoints[rng.IntN(len(t.Checkpoints))].Checkpoint
		same := old == t.Checkpoint
		t.Checkpoint = old
		return !same
	}},
	{"a letter of a checkpoint", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		t.Checkpoint = flip(rng, t.Checkpoint)
		return true
	}},
	{"a letter of an earlier checkpoint", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		k := &t.Checkpoints[rng.IntN(len(t.Checkpoints))]
		k.Checkpoint = flip(rng, k.Checkpoint)
		return true
	}},
	{"a hash of a proof", func(rng *rand.Rand, b *evidence.Bundle) bool {
		t := tree(rng, b)
		k := &t.Checkpoints[rng.IntN(len(t.Checkpoints))]
		if len(k.Proof) == 0 {
			return false
		}
		flipHash(rng, &k.Proof[rng.IntN(len(k.Proof))])
		return true
	}},
	{"a hash of the range", func(rng *rand.Rand, b *evidence.Bundle) bool {
		r := b.Trees[0].Range
		if len(r) == 0 {
			return false
		}
		flipHash(rng, &r[rng.IntN(len(r))])
		return true
	}},
	{"another count of rows", func(rng *rand.Rand, b *evidence.Bundle) bool {
		b.Inventory[rng.IntN(len(b.Inventory))].Rows += 1 + rng.Uint64N(5)
		return true
	}},
	{"a partition left out", func(rng *rand.Rand, b *evidence.Bundle) bool {
		i := rng.IntN(len(b.Inventory))
		b.Inventory = slices.Delete(b.Inventory, i, i+1)
		return true
	}},
	{"a partition invented", func(rng *rand.Rand, b *evidence.Bundle) bool {
		b.Inventory = append(b.Inventory, audit.Partition{Table: "zzz", Day: "2026-01-01", Rows: 1})
		return true
	}},
	{"rows that count as none", func(rng *rand.Rand, b *evidence.Bundle) bool {
		b.Inventory[rng.IntN(len(b.Inventory))].New = 7
		return true
	}},
	{"a letter of the report or the rules", func(rng *rand.Rand, b *evidence.Bundle) bool {
		b.Statement = json.RawMessage(flip(rng, string(b.Statement)))
		return json.Valid(b.Statement)
	}},
	{"another key", func(rng *rand.Rand, b *evidence.Bundle) bool {
		_, b.Key, _ = otherKey(rng)
		return true
	}},
	{"everything signed with another key", func(rng *rand.Rand, b *evidence.Bundle) bool {
		signer, key, err := otherKey(rng)
		if err != nil {
			return false
		}
		for i := range b.Trees {
			t := &b.Trees[i]
			t.Checkpoint = resign(t.Checkpoint, signer)
			for j := range t.Checkpoints {
				t.Checkpoints[j].Checkpoint = resign(t.Checkpoints[j].Checkpoint, signer)
			}
		}
		b.Key = key
		return true
	}},
}

// hashesOf is every hash of a tree from its first entry.
func hashesOf(entries []string) tlog.HashReader {
	var all []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			if at >= int64(len(all)) {
				return nil, fmt.Errorf("no hash %d", at)
			}
			out[i] = all[at]
		}
		return out, nil
	})
	for i, e := range entries {
		h, err := tlog.StoredHashes(int64(i), []byte(e), reader)
		if err != nil {
			panic(err)
		}
		all = append(all, h...)
	}
	return reader
}

func otherKey(rng *rand.Rand) (note.Signer, string, error) {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rng.Uint32())
	}
	secret, key, err := note.GenerateKey(bytes.NewReader(seed[:]), origin)
	if err != nil {
		return nil, "", err
	}
	signer, err := note.NewSigner(secret)
	return signer, key, err
}

func resign(checkpoint string, signer note.Signer) string {
	text, _, _ := bytes.Cut([]byte(checkpoint), []byte("\n\n"))
	signed, err := note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
	if err != nil {
		panic(err)
	}
	return string(signed)
}
