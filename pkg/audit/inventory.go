package audit

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An Inventory lists what the tables hold: every partition that has rows, and
// how many, by table and day. Make one with [NewInventory].
type Inventory []Partition

// NewInventory makes an inventory of partitions in any order. Those without
// rows are left out; New is not part of it.
func NewInventory(parts []Partition) Inventory {
	v := make(Inventory, 0, len(parts))
	for _, p := range parts {
		if p.Rows > 0 {
			v = append(v, Partition{Table: p.Table, Day: p.Day, Rows: p.Rows})
		}
	}
	slices.SortFunc(v, func(a, b Partition) int { return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Day, b.Day)) })
	return v
}

// Digest names the inventory: SHA-256, in hex, over one line for each
// partition, "table day rows", in order.
func (v Inventory) Digest() string {
	h := sha256.New()
	_, _ = io.WriteString(h, "lethe-inventory/1\n") // a hash takes everything
	for _, p := range v {
		fmt.Fprintf(h, "%s %s %d\n", p.Table, p.Day, p.Rows)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Rows counts all rows.
func (v Inventory) Rows() uint64 {
	var n uint64
	for _, p := range v {
		n += p.Rows
	}
	return n
}

// After is the inventory when each line has come about: with what the lines
// found.
func (v Inventory) After(lines []Line) Inventory {
	return v.with(lines, func(l Line) uint64 { return l.Found })
}

// Before is the inventory that the lines led to v from: with what they opened
// with.
func (v Inventory) Before(lines []Line) Inventory {
	return v.with(lines, func(l Line) uint64 { return l.Opening })
}

func (v Inventory) with(lines []Line, rows func(Line) uint64) Inventory {
	all := make(map[place]uint64, len(v))
	for _, p := range v {
		all[place{p.Table, p.Day}] = p.Rows
	}
	for _, l := range lines {
		all[place{l.Table, l.Day}] = rows(l)
	}
	parts := make([]Partition, 0, len(all))
	for at, n := range all {
		parts = append(parts, Partition{Table: at.table, Day: at.day, Rows: n})
	}
	return NewInventory(parts)
}

// InventoryName is what an inventory is called in [eventlog.RetentionBucket].
func InventoryName(digest string) string { return inventoryPrefix + digest }

// InventoryPrefix begins the name of every inventory in the bucket.
const inventoryPrefix = "inventory/"

// InventoryDigest reads the digest from a name in the bucket. False is the
// name of something else.
func InventoryDigest(name string) (digest string, ok bool) {
	if len(name) <= len(inventoryPrefix) || name[:len(inventoryPrefix)] != inventoryPrefix {
		return "", false
	}
	return name[len(inventoryPrefix):], true
}

// Encode renders the inventory for the bucket: JSON, compressed by gzip.
func (v Inventory) Encode() ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxInventory is the most bytes of JSON that an inventory measures: a million
// partitions.
const maxInventory = 64 << 20

// DecodeInventory reads what [Inventory.Encode] made and holds it to its
// digest. Anything else is [fault.Corrupt].
func DecodeInventory(digest string, b []byte) (Inventory, error) {
	corrupt := fault.Corrupt.Errorf("the inventory is not what was stored")
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, corrupt
	}
	text, err := io.ReadAll(io.LimitReader(r, maxInventory))
	if err != nil {
		return nil, corrupt
	}
	v := Inventory{}
	if json.Unmarshal(text, &v) != nil || v.Digest() != digest {
		return nil, corrupt
	}
	return v, nil
}

// An InventoryBucket keeps inventories by name: [eventlog.Bucket] of the name
// [eventlog.RetentionBucket].
type InventoryBucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
}

// LoadInventory returns the inventory that a manifest names, or
// [fault.NotFound].
func LoadInventory(ctx context.Context, b InventoryBucket, digest string) (Inventory, error) {
	e, err := b.Get(ctx, InventoryName(digest))
	if err != nil {
		return nil, err
	}
	return DecodeInventory(digest, e.Value)
}
