package verify

import (
	"os"
	"path/filepath"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/folder"
)

const (
	// ahead is how far in the future an entry may have been made.
	ahead = 24 * time.Hour
	// removedPerRun is how many entries of a folder one run of retention
	// removes.
	removedPerRun = 1000
)

// checkFolders holds what is in each folder to its age. The engine's own
// folder of backups is one of them, listed or not.
func (l *look) checkFolders() error {
	for _, f := range l.c.Folders {
		l.checkFolder(f, true)
	}
	if l.c.EngineDir != "" {
		l.checkFolder(Folder{Name: "engine backups", Dir: filepath.Join(l.c.EngineDir, "backups"), Governs: "backups"}, false)
	}
	return nil
}

// checkFolder looks into a folder. One that is retention's has been seen.
func (l *look) checkFolder(f Folder, seen bool) {
	where := "folder " + f.Name
	class := l.governing(f.Governs, true)
	if class == nil {
		l.looked = append(l.looked, Look{Where: where, Not: "no class of the policy governs it"})
		return
	}
	promises := class.Promises
	if info, err := os.Lstat(f.Dir); err == nil && !info.IsDir() {
		l.broken(promises, where, "is not a directory but a link or a file, and was not looked into")
		return
	}
	entries, err := folder.Entries(f.Dir)
	if err != nil {
		l.unseen(promises, where, err)
	}
	if seen && l.c.Seen != nil {
		sightings, err := l.c.Seen(l.ctx, f.Governs)
		if err != nil {
			l.unseen(promises, where, err)
		}
		sightings.Age(entries)
	}
	r := rule(class, where, "files", l.now)
	r.Found = uint64(len(entries))
	var oldest folder.Entry
	var future, due, late uint64
	for _, e := range entries {
		if e.Made.IsZero() {
			r.Hidden++ // its removal was begun, and the next run ends it
			continue
		}
		if e.Made.After(l.now.Add(ahead)) {
			future++
		}
		if oldest.Made.IsZero() || e.Made.Before(oldest.Made) {
			oldest = e
		}
		ends := l.due(class, class.Period.After(e.Made), time.Time{})
		r.past(ends, l.now)
		if !ends.After(l.now) {
			r.Hidden++
		}
		if l.now.Sub(ends) > runEvery {
			due++
		}
		if l.overdue(ends) {
			late++
		}
	}
	// Nothing hides a file, so it has no grace but the time that retention
	// takes to come by. Where more are due than it removes at once, they have
	// the grace.
	if r.Overdue = due; due > removedPerRun {
		r.Overdue = late
		l.note(where, "has %s that are due, more than one run of retention removes", plural(due, "entry"))
	}
	if !oldest.Made.IsZero() {
		r.Oldest = &oldest.Made
	}
	l.rules = append(l.rules, r)
	l.lookedAt(where, "every file, however deep, by its modification time, its manifest and when it was first seen", len(entries))
	if r.Overdue > 0 {
		l.broken(promises, where, "has %s of %d that should have been removed: the rule is %s, and the oldest, number %d by name and of %s, was made on %s",
			plural(r.Overdue, "entry"), len(entries), class.Period, oldest.Number, plural(uint64(oldest.Bytes), "byte"), event.DayOf(oldest.Made))
	}
	if future > 0 {
		l.broken(promises, where, "has %s dated in the future, whose life would not end in time", plural(future, "entry"))
	}
}
