package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Sequenced is an entry and where it stands in the audit stream.
type Sequenced struct {
	Seq  uint64
	Data []byte // kept; not to be changed afterwards
}

const (
	// by is who records what the log says of itself.
	by = "sequencer"

	// A date that is more than this ahead of the clock, or behind it, is that
	// of a wrong clock. It must not make a tree that lives longer, or shorter,
	// than the others. Behind it is less than any tree is kept.
	maxAhead  = 24 * time.Hour
	maxBehind = 5 * 365 * 24 * time.Hour
)

// Append puts entries of the audit stream into the trees and returns when a
// checkpoint of them is on disk. Entries through [Log.Sequence] are there and
// are passed over, so that appending again changes nothing. The sequences must
// grow.
//
// Each entry goes into the tree of the calendar year, in UTC, that it was
// recorded in, or into that of a later one if there is one already.
//
// [fault.Invalid] if one of them is no entry: none is appended then.
// [fault.Exhausted] and [fault.Unavailable] are of the disk: some of them may
// have been appended, and Append may be called again.
func (l *Log) Append(ctx context.Context, batch []Sequenced) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	if l.isClosed() {
		return fault.Unavailable.Errorf("appending to the audit log: it is closed")
	}
	if err := l.settle(); err != nil {
		return err
	}
	at := l.Sequence()
	var fresh []parsed
	for i, s := range batch {
		if i > 0 && s.Seq <= batch[i-1].Seq || s.Seq == 0 {
			return fault.Invalid.Errorf("appending to the audit log: the sequences do not grow")
		}
		if s.Seq <= at {
			continue
		}
		e, err := ParseEntry(s.Data)
		if err != nil {
			return fmt.Errorf("appending sequence %d to the audit log: %w", s.Seq, err)
		}
		fresh = append(fresh, parsed{s, e})
	}
	for len(fresh) > 0 {
		year := l.yearOf(fresh[0].entry.At)
		n := 1
		for n < len(fresh) && l.yearOf(fresh[n].entry.At) <= year {
			n++
		}
		if err := ctx.Err(); err != nil {
			return fault.Unavailable.Errorf("appending to the audit log: %w", err)
		}
		if err := l.commit(year, fresh[:n]); err != nil {
			return err
		}
		fresh = fresh[n:]
	}
	return nil
}

// parsed is an entry to append, read.
type parsed struct {
	Sequenced
	entry Entry
}

// yearOf is the year whose tree an entry of a date goes into, if there is no
// later one.
func (l *Log) yearOf(at time.Time) int {
	if now := l.cfg.Now(); at.After(now.Add(maxAhead)) || at.Before(now.Add(-maxBehind)) {
		at = now
	}
	year := at.UTC().Year()
	if t := l.current(); t != nil {
		year = max(year, t.year)
	}
	return year
}

// commitment is a growth with its checkpoint, and what it tells the index.
type commitment struct {
	growth
	said []Entry // for the index
}

// commit adds entries to the tree of a year:
//
//	A1  the entry bundles and the hash tiles that changed are on disk
//	A2  the signed checkpoint is on disk, under another name
//	A3  it has the name "checkpoint", and that is on disk: the entries are in
//	    the tree, and the sequence of the last one with them
//	A4  the first checkpoint of a day is kept under its date
//	A5  partial tiles of the tree before are removed
//
// What A1 leaves behind when the process dies before A3 lies beyond the
// checkpoint: nobody reads it, and the next commit writes over it. A4 comes
// after A3 because a checkpoint that is kept must be one that was committed.
func (l *Log) commit(year int, add []parsed) error {
	before := l.current()
	t := before
	if t == nil || t.year != year {
		first, err := begin(year, before, add[0].entry.At)
		if err != nil {
			return err
		}
		add = slices.Insert(slices.Clone(add), 0, first)
		t = &tree{year: year}
		if before != nil {
			t.previous = before.checkpoint
		}
	}
	data := make([][]byte, len(add))
	c := &commitment{said: make([]Entry, len(add))}
	for i, p := range add {
		data[i], c.said[i] = p.Data, p.entry
	}
	c.growth = t.grow(data)
	c.tree.seq = add[len(add)-1].Seq
	signed, err := Checkpoint{Origin: l.origin, Year: year, Size: c.tree.size, Root: c.tree.root(), Seq: c.tree.seq}.sign(l.signer)
	if err != nil {
		return err
	}
	c.tree.checkpoint = signed

	dir := yearDir(l.cfg.Dir, year)
	if err := makeDir(l.cfg.Dir, dir); err != nil {
		return err
	}
	if err := l.writeTiles(dir, c.growth); err != nil { // A1
		return err
	}
	if err := l.writeCheckpoint(dir, c); err != nil { // A2, A3
		return err
	}
	l.publish(c)
	if err := l.archive(dir, c.tree); err != nil { // A4
		// The next commit of the day makes up for it.
		l.cfg.Log.Warn("checkpoint of the day not kept", "year", year, "err", err)
	}
	if err := l.cfg.step("archived"); err != nil {
		return err
	}
	prune(dir, c.growth) // A5
	return l.cfg.step("pruned")
}

// begin is the entry that a year's tree begins with. It follows from the entry
// after it and the tree before, so that a tree that is made again from the
// stream is the same.
func begin(year int, before *tree, at time.Time) (parsed, error) {
	d := Tree{Year: year}
	if before != nil {
		d.Previous = before.checkpoint
	}
	return own(KindTree, fmt.Sprintf("tree-%04d", year), at, d)
}

// own makes an entry that the log itself records.
func own(kind Kind, id string, at time.Time, detail any) (parsed, error) {
	text, err := json.Marshal(detail)
	if err != nil {
		return parsed{}, fmt.Errorf("recording an entry of kind %s: %w", kind, err)
	}
	e := Entry{ID: id, At: at.UTC(), Kind: kind, By: by, Detail: text}
	data, err := json.Marshal(e)
	if err != nil {
		return parsed{}, fmt.Errorf("recording an entry of kind %s: %w", kind, err)
	}
	return parsed{Sequenced{Data: data}, e}, nil
}

// beginning reads the first entry of a year's tree and returns the checkpoint
// of the tree before.
func beginning(year int, e Entry) (previous string, err error) {
	var d Tree
	if e.Kind != KindTree || jsonv2.Unmarshal(e.Detail, &d) != nil || d.Year != year || d.Ended {
		return "", notWhatWasSigned(year, "it does not begin with the entry that says whose it is")
	}
	return d.Previous, nil
}

// writeTiles writes what the growth fills or extends. (A1)
func (l *Log) writeTiles(dir string, g growth) error {
	touched := map[string]bool{}
	put := func(t tlog.Tile, data []byte) error {
		path := filepath.Join(dir, tilePath(t))
		parent := filepath.Dir(path)
		if !touched[parent] {
			if err := makeDir(l.cfg.Dir, parent); err != nil {
				return err
			}
			touched[parent] = true
		}
		return write(path, data)
	}
	for _, t := range tlog.NewTiles(tileHeight, g.from, g.tree.size) {
		if t.L == 0 {
			entries := t
			entries.L = -1
			if err := put(entries, encodeBundle(g.entries[t.N*tileWidth-g.base:][:t.W])); err != nil {
				return err
			}
			if err := l.cfg.step("bundle_written"); err != nil {
				return err
			}
		}
		hashes := g.tile(t)
		data := make([]byte, 0, len(hashes)*tlog.HashSize)
		for _, h := range hashes {
			data = append(data, h[:]...)
		}
		if err := put(t, data); err != nil {
			return err
		}
		if err := l.cfg.step("tile_written"); err != nil {
			return err
		}
	}
	for parent := range touched {
		if err := syncDir(parent); err != nil {
			return err
		}
	}
	return l.cfg.step("tiles_synced")
}

// writeCheckpoint makes the growth what the log is. (A2, A3) From the renaming
// until the directory is synced it is open which checkpoint is the one on disk.
func (l *Log) writeCheckpoint(dir string, c *commitment) error {
	temp, err := writeTemp(dir, []byte(c.tree.checkpoint))
	if err != nil {
		return err
	}
	if err := l.cfg.step("checkpoint_written"); err != nil {
		return err
	}
	l.doubt = c
	if err := os.Rename(temp, filepath.Join(dir, checkpointFile)); err != nil {
		_ = os.Remove(temp)
		return failed("writing a checkpoint", err)
	}
	if err := l.cfg.step("checkpoint_renamed"); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	if err := l.cfg.step("committed"); err != nil {
		return err
	}
	l.doubt = nil
	return nil
}

// settle finds out what became of a commit that failed when its checkpoint was
// being renamed.
func (l *Log) settle() error {
	c := l.doubt
	if c == nil {
		return nil
	}
	there, err := l.reread(c.tree)
	if err != nil {
		return err
	}
	if there {
		if err := syncDir(yearDir(l.cfg.Dir, c.tree.year)); err != nil {
			return err
		}
		l.publish(c)
	}
	l.doubt = nil
	return nil
}

// publish lets readers see what is on disk.
func (l *Log) publish(c *commitment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.years)
	if n > 0 && l.years[n-1].tree.year == c.tree.year {
		// Readers may hold the old one.
		l.years[n-1] = &held{c.tree, l.years[n-1].index}
	} else {
		l.years = append(l.years, &held{c.tree, newIndex()})
	}
	h := l.years[len(l.years)-1]
	for _, e := range c.said {
		h.index.add(e)
	}
	l.committed = l.cfg.Now()
	close(l.changed)
	l.changed = make(chan struct{})
}

// archive keeps the first checkpoint of a day. (A4)
func (l *Log) archive(dir string, t *tree) error {
	path := filepath.Join(dir, archiveDir, string(event.DayOf(l.cfg.Now())))
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	parent := filepath.Dir(path)
	if err := makeDir(l.cfg.Dir, parent); err != nil {
		return err
	}
	temp, err := writeTemp(parent, []byte(t.checkpoint))
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return failed("keeping a checkpoint", err)
	}
	return syncDir(parent)
}

// prune removes the partial tiles that the growth has replaced. (A5) One that
// stays is no harm: nothing reads it.
func prune(dir string, g growth) {
	for level := 0; g.from>>(tileHeight*level) > 0; level++ {
		count := g.from >> (tileHeight * level)
		old := tlog.Tile{H: tileHeight, L: level, N: count / tileWidth, W: int(count % tileWidth)}
		now := g.tree.size >> (tileHeight * level)
		if old.W == 0 || now == count {
			continue
		}
		for _, t := range []tlog.Tile{old, {H: tileHeight, L: -1, N: old.N, W: old.W}} {
			if t.L < 0 && level > 0 {
				continue
			}
			path := filepath.Join(dir, tilePath(t))
			if now/tileWidth > old.N {
				_ = os.RemoveAll(filepath.Dir(path)) // the tile is full
			} else {
				_ = os.Remove(path)
			}
		}
	}
}

func (l *Log) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}
