package audit

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

var yearPattern = regexp.MustCompile(`^[0-9]{4}$`)

// listYears lists the directories of trees, in order.
func listYears(dir string) ([]int, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, failed("reading the directory of the audit log", err)
	}
	var years []int
	for _, f := range files {
		if f.IsDir() && yearPattern.MatchString(f.Name()) {
			year, _ := strconv.Atoi(f.Name()) // four digits
			years = append(years, year)
		}
	}
	slices.Sort(years)
	return years, nil
}

// load reads every tree.
func (l *Log) load(ctx context.Context) error {
	if err := l.sweep(); err != nil {
		return err
	}
	years, err := listYears(l.cfg.Dir)
	if err != nil {
		return err
	}
	for i, year := range years {
		h, err := l.loadYear(ctx, year, i == len(years)-1)
		if err != nil {
			return err
		}
		if h != nil {
			l.years = append(l.years, h)
		}
	}
	if err := l.checkChain(); err != nil {
		return err
	}
	if t := l.current(); t != nil {
		info, err := os.Stat(filepath.Join(yearDir(l.cfg.Dir, t.year), checkpointFile))
		if err != nil {
			return failed("reading a checkpoint", err)
		}
		l.committed = info.ModTime()
	}
	return nil
}

// sweep finishes what an earlier process was about to remove.
func (l *Log) sweep() error {
	for _, pattern := range []string{removedPrefix + "*", tempPattern, filepath.Join("*", tempPattern), filepath.Join("*", archiveDir, tempPattern)} {
		paths, err := filepath.Glob(filepath.Join(l.cfg.Dir, pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			if err := os.RemoveAll(path); err != nil {
				return failed("removing what is left over in the audit log", err)
			}
		}
	}
	return nil
}

func notWhatWasSigned(year int, what string) error {
	return fault.Corrupt.Errorf("the audit log of %04d is not what was signed: %s", year, what)
}

// loadYear reads one tree. It returns nil for the tree of the last year if it
// has no checkpoint: it was begun and never committed.
func (l *Log) loadYear(ctx context.Context, year int, last bool) (*held, error) {
	dir := yearDir(l.cfg.Dir, year)
	signed, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		kept, err := listArchive(dir)
		if err != nil {
			return nil, err
		}
		if last && len(kept) == 0 {
			return nil, nil
		}
		return nil, notWhatWasSigned(year, "there is no checkpoint")
	}
	if err != nil {
		return nil, failed("reading a checkpoint", err)
	}
	c, err := ParseCheckpoint(string(signed), l.verifierKey)
	if err != nil {
		return nil, notWhatWasSigned(year, err.Error())
	}
	if c.Year != year || c.Size == 0 {
		return nil, notWhatWasSigned(year, "its checkpoint is that of another tree")
	}
	h := &held{&tree{year: year, size: c.Size, checkpoint: string(signed), seq: c.Seq}, newIndex()}
	if err := l.loadEntries(ctx, h); err != nil {
		return nil, err
	}
	if err := checkTiles(dir, h.tree); err != nil {
		return nil, err
	}
	if h.tree.root() != c.Root {
		return nil, notWhatWasSigned(year, "its entries have another root than its checkpoint")
	}
	return h, l.checkArchive(h.tree)
}

// loadEntries reads every entry of a tree and makes the hashes of the tree of
// them alone.
func (l *Log) loadEntries(ctx context.Context, h *held) error {
	t := h.tree
	dir := yearDir(l.cfg.Dir, t.year)
	for n := int64(0); n*tileWidth < t.size; n++ {
		if err := ctx.Err(); err != nil {
			return fault.Unavailable.Errorf("opening the audit log: %w", err)
		}
		width := int(min(tileWidth, t.size-n*tileWidth))
		entries, leaves, err := readBundle(dir, t.year, n, width)
		if err != nil {
			return err
		}
		for i, data := range entries {
			e, err := ParseEntry(data)
			if err != nil {
				return notWhatWasSigned(t.year, err.Error())
			}
			if i == 0 && n == 0 {
				if t.previous, err = beginning(t.year, e); err != nil {
					return err
				}
			}
			h.index.add(e)
		}
		if width == tileWidth {
			t.up = push(t.up, subtree(leaves))
		} else {
			t.edge, t.tail = leaves, entries
		}
	}
	return nil
}

// readBundle reads an entry bundle and the hashes of its entries.
func readBundle(dir string, year int, n int64, width int) ([][]byte, []tlog.Hash, error) {
	data, err := os.ReadFile(filepath.Join(dir, tilePath(tlog.Tile{H: tileHeight, L: -1, N: n, W: width})))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, notWhatWasSigned(year, "entries are missing")
	}
	if err != nil {
		return nil, nil, failed("reading entries of the audit log", err)
	}
	entries, ok := decodeBundle(data, width)
	if !ok {
		return nil, nil, notWhatWasSigned(year, "entries are torn")
	}
	leaves := make([]tlog.Hash, width)
	for i, e := range entries {
		leaves[i] = tlog.RecordHash(e)
	}
	return entries, leaves, nil
}

// checkTiles holds the hash tiles on disk to the tree that its entries make.
func checkTiles(dir string, t *tree) error {
	for _, tile := range tlog.NewTiles(tileHeight, 0, t.size) {
		var want []tlog.Hash
		if tile.L > 0 {
			want = t.above(tile)
		} else if tile.W < tileWidth {
			want = t.edge
		}
		have, err := readTile(dir, t.year, tile)
		if err != nil {
			return err
		}
		same := slices.Equal(have, want)
		if want == nil {
			same = subtree(have) == t.up[0][tile.N]
		}
		if !same {
			return notWhatWasSigned(t.year, "a tile of hashes is not that of the entries")
		}
	}
	return nil
}

// readTile reads the hashes of a hash tile.
func readTile(dir string, year int, tile tlog.Tile) ([]tlog.Hash, error) {
	data, err := os.ReadFile(filepath.Join(dir, tilePath(tile)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notWhatWasSigned(year, "a tile of hashes is missing")
	}
	if err != nil {
		return nil, failed("reading a tile of the audit log", err)
	}
	if len(data) != tile.W*tlog.HashSize {
		return nil, notWhatWasSigned(year, "a tile of hashes is torn")
	}
	out := make([]tlog.Hash, tile.W)
	for i := range out {
		copy(out[i][:], data[i*tlog.HashSize:])
	}
	return out, nil
}

// listArchive lists the days whose first checkpoint is kept, in order.
func listArchive(dir string) ([]string, error) {
	files, err := os.ReadDir(filepath.Join(dir, archiveDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, failed("reading the kept checkpoints", err)
	}
	var days []string
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), ".") {
			days = append(days, f.Name())
		}
	}
	return days, nil
}

// checkArchive holds every kept checkpoint to the tree.
func (l *Log) checkArchive(t *tree) error {
	dir := yearDir(l.cfg.Dir, t.year)
	days, err := listArchive(dir)
	if err != nil {
		return err
	}
	hashes := t.hashes(func(n int64) ([]tlog.Hash, error) { return t.leaves(l.cfg.Dir, n) })
	for _, day := range days {
		signed, err := os.ReadFile(filepath.Join(dir, archiveDir, day))
		if err != nil {
			return failed("reading a kept checkpoint", err)
		}
		c, err := ParseCheckpoint(string(signed), l.verifierKey)
		if err != nil || c.Year != t.year {
			return notWhatWasSigned(t.year, "a kept checkpoint is none of it")
		}
		if c.Size > t.size {
			return notWhatWasSigned(t.year, "it is shorter than a checkpoint that was kept")
		}
		root, err := tlog.TreeHash(c.Size, hashes)
		if err != nil {
			return err
		}
		if root != c.Root {
			return notWhatWasSigned(t.year, "it does not begin as a checkpoint that was kept says")
		}
	}
	return nil
}

// leaves reads the leaf hashes of a full tile and holds them to the tree.
func (t *tree) leaves(dir string, n int64) ([]tlog.Hash, error) {
	leaves, err := readTile(yearDir(dir, t.year), t.year, tlog.Tile{H: tileHeight, L: 0, N: n, W: tileWidth})
	if err == nil && subtree(leaves) != t.up[0][n] {
		err = notWhatWasSigned(t.year, "a tile of hashes was changed")
	}
	return leaves, err
}

// checkChain holds each tree to the one before: an edit of the last entries of
// a year, or the loss of a whole year, shows in the year after.
func (l *Log) checkChain() error {
	ended := map[int]bool{}
	for _, y := range l.years {
		for year := range y.index.ended {
			ended[year] = true
		}
	}
	for i, y := range l.years {
		t := y.tree
		if t.previous == "" {
			if i > 0 {
				return notWhatWasSigned(t.year, "it does not name the tree before it")
			}
			continue
		}
		before, err := ParseCheckpoint(t.previous, l.verifierKey)
		if err != nil {
			return notWhatWasSigned(t.year, "the tree before it is signed by another key")
		}
		switch {
		case i > 0 && l.years[i-1].tree.year == before.Year:
			if l.years[i-1].tree.checkpoint != t.previous {
				return notWhatWasSigned(before.Year, "the tree after it names another last checkpoint")
			}
		case !ended[before.Year]:
			return fault.Corrupt.Errorf("the audit log of %04d is missing, and its end is not on record", before.Year)
		}
	}
	return nil
}

// reread says whether a checkpoint is the one on disk.
func (l *Log) reread(t *tree) (bool, error) {
	data, err := os.ReadFile(filepath.Join(yearDir(l.cfg.Dir, t.year), checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Equal(data, []byte(t.checkpoint)), failed("reading a checkpoint", err)
}
