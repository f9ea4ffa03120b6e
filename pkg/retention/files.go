package retention

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/folder"
)

const (
	// filesPerRun bounds how many entries of a folder one run removes.
	filesPerRun = 1000
	// ahead is by how much a file may be younger than every clock here: it may
	// have been made on another machine.
	ahead = time.Hour
)

// expireFiles is step 7: what lies in a folder and is past the folder's rule.
// P6, P12.
func (u *run) expireFiles(ctx context.Context) error {
	var errs []error
	for _, f := range u.c.Folders {
		err := u.expireFolder(ctx, f)
		errs = append(errs, err)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

func (u *run) expireFolder(ctx context.Context, f Folder) error {
	period, ok := u.period(f.Governs)
	if !ok {
		return nil // no rule
	}
	entries, err := folder.Entries(f.Dir)
	// The later of both clocks: while a jump is held back, what is made comes
	// from the future by Lethe's.
	latest := u.c.Now()
	if u.now.After(latest) {
		latest = u.now
	}
	errs := []error{err, u.see(ctx, f, entries, err == nil, latest)}
	// The oldest first, but after all others those that an earlier run could
	// not remove: they must not keep the rest from their turn.
	tried := u.unremoved[f.Dir]
	slices.SortFunc(entries, func(a, b folder.Entry) int {
		return cmp.Or(boolCompare(tried[a.Name], tried[b.Name]), a.Made.Compare(b.Made), cmp.Compare(a.Name, b.Name))
	})
	var due []folder.Entry
	for _, e := range entries {
		switch {
		case !u.now.Before(period.After(e.Made)):
			due = append(due, e)
		case e.Made.After(latest.Add(ahead)):
			// It says that it comes from the future, and would never be due.
			u.c.Logger.Warn("file dated anew", "folder", f.Name, "made", e.Made)
			errs = append(errs, folder.Date(f.Dir, e.Name, latest))
		}
	}
	u.unremoved[f.Dir] = map[string]bool{}
	for _, e := range due[min(filesPerRun, len(due)):] {
		u.left(period.After(e.Made))
		if tried[e.Name] {
			u.unremoved[f.Dir][e.Name] = true
		}
	}
	due = due[:min(filesPerRun, len(due))]
	for some := range slices.Chunk(due, batch) {
		err := u.removeFiles(ctx, f, period.After, some)
		errs = append(errs, err)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// removeFiles announces entries, removes them and confirms what is gone, like
// remove. What a crash leaves between the two is announced anew.
func (u *run) removeFiles(ctx context.Context, f Folder, over func(time.Time) time.Time, entries []folder.Entry) error {
	if err := u.guard(ctx); err != nil {
		return err
	}
	id := rand.Text()
	announced := audit.Removal{
		ID: id, Reason: audit.ReasonFiles, Cutoff: u.now, Partitions: byDay(f.Name, entries),
	}
	if err := u.c.Recorder.Record(ctx, audit.KindRemoval, announced); err != nil {
		u.left(over(entries[0].Made))
		return err
	}
	u.reach("files_announced")
	var first error
	var gone []folder.Entry
	for _, e := range entries {
		err := u.guard(ctx)
		if err == nil {
			err = u.removeEntry(f.Dir, e.Name)
		}
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return err
		}
		if err != nil {
			u.left(over(e.Made))
			u.unremoved[f.Dir][e.Name] = true
			first = cmp.Or(first, err)
			continue
		}
		gone = append(gone, e)
		u.reach("file_removed")
	}
	u.entry.Files += len(gone)
	u.meter.files.Add(float64(len(gone)))
	var errs []error
	if first != nil {
		errs = append(errs, fmt.Errorf("removing %d of %d entries of the folder %s: %w", len(entries)-len(gone), len(entries), f.Name, first))
	}
	if len(gone) > 0 {
		u.c.Logger.Info("files removed", "folder", f.Name, "entries", len(gone))
		errs = append(errs, u.c.Recorder.Record(ctx, audit.KindRemoved, audit.Removed{Removal: id, Partitions: byDay(f.Name, gone)}))
	}
	return errors.Join(errs...)
}

// boolCompare puts false first.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// byDay counts entries by the UTC day they were made.
func byDay(name string, entries []folder.Entry) []audit.Partition {
	days := map[event.Day]uint64{}
	for _, e := range entries {
		days[event.DayOf(e.Made)]++
	}
	var out []audit.Partition
	for _, day := range slices.Sorted(maps.Keys(days)) {
		out = append(out, audit.Partition{Table: name, Day: day, Rows: days[day]})
	}
	return out
}
