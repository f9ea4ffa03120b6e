package loader

import (
	"cmp"
	"context"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Arrived is how many rows the loader has stored of each partition, whatever
// became of them. It is the loader's own word, written before the rows were,
// and says nothing of what the tables hold.
type Arrived struct {
	// Since is the sequence of the clean log behind which the loader began to
	// count.
	Since uint64
	// Through is the sequence through which everything is loaded and counted.
	Through uint64
	// Rows are the counts by table and day, never zero. Days that ended more
	// than [Remembered] and the grace ago may be missing.
	Rows []warehouse.Partition
}

// reading is the bucket of who only reads it: [eventlog.Bucket].
type reading interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
}

// readTries is how often the books are read when a round begins meanwhile.
const readTries = 10

// Books are the loader's books, for others to read.
type Books struct{ bucket reading }

// OpenBooks reads books from the loader's bucket.
func OpenBooks(bucket reading) *Books { return &Books{bucket} }

// Arrived reads how many rows the loader has stored. confirmed is a sequence
// through which the clean log is known to be loaded: the loader's floor. A
// loader that has not counted anything yet is [fault.NotFound], and
// [fault.Unavailable] may pass.
func (b *Books) Arrived(ctx context.Context, confirmed uint64) (Arrived, error) {
	bucket := b.bucket
	for range readTries {
		m, revision, err := load[manifest](ctx, bucket, manifestName)
		if err != nil {
			return Arrived{}, err
		}
		if m.Counted == nil {
			return Arrived{}, fault.NotFound.Errorf("the loader has not counted what it loads")
		}
		a, err := readSums(ctx, bucket, m, confirmed)
		if err != nil {
			return Arrived{}, err
		}
		_, again, err := load[manifest](ctx, bucket, manifestName)
		if err != nil {
			return Arrived{}, err
		}
		if again == revision { // no sum was written for a later one
			return a, nil
		}
	}
	return Arrived{}, fault.Unavailable.Errorf("the loader's books change faster than they can be read")
}

// readSums adds up what a manifest and the sums say. Everything below the
// manifest's round is loaded; its round is when it was confirmed.
func readSums(ctx context.Context, bucket reading, m manifest, confirmed uint64) (Arrived, error) {
	c := m.Counted
	a := Arrived{Since: c.Since, Through: m.First - 1}
	whole := confirmed >= m.Last
	if whole {
		a.Through = m.Last
	}
	for _, table := range c.tables() {
		s, err := loadSum(ctx, bucket, table, c.Since)
		if err != nil {
			return Arrived{}, err
		}
		days := tally{table: s.Days}
		if s.Through < m.Last {
			days.addAll(tally{table: c.Earlier[table]})
			if whole {
				days.addAll(tally{table: c.Rows[table]})
			}
		} else if !whole {
			for day, n := range c.Rows[table] {
				days[table][day] -= min(n, days[table][day])
			}
		}
		for day, n := range days[table] {
			if n > 0 {
				a.Rows = append(a.Rows, warehouse.Partition{Database: warehouse.DefaultDatabase, Table: table, Day: day, Rows: n})
			}
		}
	}
	slices.SortFunc(a.Rows, func(a, b warehouse.Partition) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), cmp.Compare(a.Day, b.Day))
	})
	return a, nil
}
