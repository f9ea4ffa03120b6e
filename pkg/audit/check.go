package audit

import (
	"context"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Check reads every tree from disk again and holds it to what is signed, as
// Open does, and to what this log has committed. Files that somebody changed,
// cut short or took away under the running log are [fault.Corrupt], which names
// the year. Appending waits meanwhile; recording does not.
func (l *Log) Check(ctx context.Context) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	if l.isClosed() {
		return fault.Unavailable.Errorf("checking the audit log: it is closed")
	}
	if err := l.settle(); err != nil {
		return err
	}
	l.mu.Lock()
	years := slices.Clone(l.years)
	l.mu.Unlock()
	for _, y := range years {
		onDisk, err := l.loadYear(ctx, y.tree.year, false)
		if err != nil {
			return err
		}
		if onDisk.tree.checkpoint != y.tree.checkpoint {
			return notWhatWasSigned(y.tree.year, "it is older than what was committed")
		}
	}
	return nil
}
