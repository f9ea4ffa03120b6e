package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Expired are the trees that are past their rule. The last one may be among
// them: it ends when an entry of a later year begins another.
func (l *Log) Expired() []Tree {
	var out []Tree
	for _, t := range l.Trees() {
		if l.cfg.Kept != nil && !l.cfg.Kept(t.Year, l.cfg.Now()) {
			out = append(out, t)
		}
	}
	return out
}

// ending says whether a tree stands that a tree later than it says has ended.
func (l *Log) ending(year int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, y := range l.years {
		if y.tree.year > year && y.index.ended[year] {
			return true
		}
	}
	return false
}

// Remove removes the tree of a year whole. [fault.Conflict] unless the tree is
// past its rule and its end is on record in a later one.
//
//  1. the end is on record (the caller)
//  2. the directory has another name, and that is on disk
//  3. its files are removed
//
// A process that dies after 2 is followed by one that does 3 when it opens.
func (l *Log) Remove(ctx context.Context, year int) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	if err := ctx.Err(); err != nil {
		return fault.Unavailable.Errorf("removing the audit log of %04d: %w", year, err)
	}
	past := slices.ContainsFunc(l.Expired(), func(t Tree) bool { return t.Year == year })
	if !past || l.isClosed() {
		return fault.Conflict.Errorf("the audit log of %04d is to be kept", year)
	}
	if !l.ending(year) {
		return fault.Conflict.Errorf("the end of the audit log of %04d is not on record in a later one", year)
	}
	removed := filepath.Join(l.cfg.Dir, fmt.Sprintf("%s%04d", removedPrefix, year))
	if err := os.Rename(yearDir(l.cfg.Dir, year), removed); err != nil {
		return failed("removing a tree of the audit log", err)
	}
	l.mu.Lock()
	l.years = slices.DeleteFunc(slices.Clone(l.years), func(h *held) bool { return h.tree.year == year })
	l.mu.Unlock()
	if err := syncDir(l.cfg.Dir); err != nil {
		return err
	}
	if err := l.cfg.step("tree_renamed"); err != nil {
		return err
	}
	if err := os.RemoveAll(removed); err != nil {
		return failed("removing a tree of the audit log", err)
	}
	if err := syncDir(l.cfg.Dir); err != nil {
		return err
	}
	l.cfg.Log.Info("audit tree removed", "year", year)
	return l.cfg.step("tree_removed")
}

// sweepRemoved removes what is left of trees whose removal failed on the way.
func (l *Log) sweepRemoved() error {
	l.appending.Lock()
	defer l.appending.Unlock()
	paths, err := filepath.Glob(filepath.Join(l.cfg.Dir, removedPrefix+"*"))
	for _, path := range paths {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return failed("removing a tree of the audit log", err)
}
