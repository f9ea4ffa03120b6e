package verify

import (
	"os"
	"path/filepath"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/folder"
)

// ahead is how far in the future an entry may have been made.
const ahead = 24 * time.Hour

// checkFolders holds what is in each folder to its age. The engine's own
// folder of backups is one of them, listed or not.
func (l *look) checkFolders() error {
	folders := append([]Folder(nil), l.c.Folders...)
	if l.c.EngineDir != "" {
		folders = append(folders, Folder{Name: "engine backups", Dir: filepath.Join(l.c.EngineDir, "backups"), Governs: "backups"})
	}
	for _, f := range folders {
		l.checkFolder(f)
	}
	return nil
}

func (l *look) checkFolder(f Folder) {
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
	r := rule(class, where, "files", l.now)
	r.Found = uint64(len(entries))
	var oldest folder.Entry
	future := 0
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
		due := class.Period.After(e.Made)
		r.past(due, l.now)
		switch {
		case l.now.Sub(due) > runEvery:
			// Nothing hides a file, so it has no grace but the time that
			// retention takes to come by.
			r.Overdue++
			r.Hidden++
		case !due.After(l.now):
			r.Hidden++
		}
	}
	if !oldest.Made.IsZero() {
		r.Oldest = &oldest.Made
	}
	l.rules = append(l.rules, r)
	l.lookedAt(where, "every entry, by its modification time and its manifest", len(entries))
	if r.Overdue > 0 {
		l.broken(promises, where, "has %s of %d that should have been removed: the rule is %s, and the oldest, %s, was made on %s",
			plural(r.Overdue, "entry"), len(entries), class.Period, plain(oldest.Name), event.DayOf(oldest.Made))
	}
	if future > 0 {
		l.broken(promises, where, "has %s dated in the future, whose life would not end in time", plural(uint64(future), "entry"))
	}
}
