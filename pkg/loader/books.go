package loader

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// Remembered is for how long after its end an expiry day is in what
	// [Books.Arrived] answers. The loader's own bookkeeping keeps it a little
	// longer, because its clock and that of whoever asks are two.
	Remembered = 35 * 24 * time.Hour
	forgotten  = Remembered + 5*24*time.Hour
	// maxEarlier is how many counts a manifest carries along. Measured against
	// the steady flow, which has a few for each table.
	maxEarlier = 256
	// sumPrefix begins the name of every sum in the loader's bucket.
	sumPrefix = "arrived/"
)

// A tally counts rows by table and expiry day.
type tally map[string]map[event.Day]uint64

func (t tally) add(table string, day event.Day, n uint64) {
	if n == 0 {
		return
	}
	if t[table] == nil {
		t[table] = map[event.Day]uint64{}
	}
	t[table][day] += n
}

func (t tally) addAll(other tally) {
	for table, days := range other {
		for day, n := range days {
			t.add(table, day, n)
		}
	}
}

func (t tally) len() (n int) {
	for _, days := range t {
		n += len(days)
	}
	return n
}

// tallyOf counts what batches are about to bring.
func tallyOf(batches []*warehouse.Batch) tally {
	t := tally{}
	for _, b := range batches {
		t.add(b.Table().Name, b.Day(), uint64(b.Len()))
	}
	return t
}

// counted is the part of a manifest that says how many rows came. It is on disk
// before the rows are, so what is counted does not depend on what becomes of
// the process: the round that a crash leaves in doubt is made again until the
// tables hold what its manifest says.
type counted struct {
	// Since is the sequence behind which counting began.
	Since uint64 `json:"since"`
	// Rows are those of the manifest's own round, Earlier those of rounds before
	// it that are in no sum yet, and Sums the tables that have one.
	Rows    tally    `json:"rows,omitempty"`
	Earlier tally    `json:"earlier,omitempty"`
	Sums    []string `json:"sums,omitempty"`
}

// tables are all that the counts may be about. A sum may be there and not be
// listed, when the process died between the two.
func (c *counted) tables() []string {
	all := map[string]bool{}
	for _, name := range c.Sums {
		all[name] = true
	}
	for _, t := range []tally{c.Rows, c.Earlier} {
		for name := range t {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// A sum is how many rows of one table came, by expiry day, in frames through a
// sequence. A sum of another Since is of books that were lost.
type sum struct {
	Since   uint64               `json:"since"`
	Through uint64               `json:"through"`
	Days    map[event.Day]uint64 `json:"days"`
}

// loadSum reads the sum of a table; an empty one where there is none of these
// books.
func loadSum(ctx context.Context, bucket reading, table string, since uint64) (sum, error) {
	s, _, err := load[sum](ctx, bucket, sumPrefix+table)
	if err != nil || s.Since != since || s.Days == nil {
		s = sum{Since: since, Days: map[event.Day]uint64{}}
	}
	return s, err
}

// account is how many rows the rounds before the next one brought. It belongs
// to the round under way.
type account struct {
	since   uint64
	through uint64          // the last sequence of the latest manifest
	earlier tally           // through it, in no sum yet
	sums    map[string]bool // tables that have a sum
}

// openBooks takes the books up where a manifest left them, and says whether the
// manifest's round was finished, which is certain once any sum holds it.
func (l *Loader) openBooks(ctx context.Context, m manifest) (finished bool, err error) {
	b := account{since: m.Last, through: m.Last, earlier: tally{}, sums: map[string]bool{}}
	if m.Counted == nil { // nothing was loaded yet, or by a version that did not count
		l.account = b
		return false, nil
	}
	b.since = m.Counted.Since
	for _, name := range m.Counted.Sums {
		b.sums[name] = true
	}
	b.earlier.addAll(m.Counted.Earlier)
	b.earlier.addAll(m.Counted.Rows)
	for name := range b.earlier {
		var s sum
		err := l.retry(ctx, "reading the books", func(ctx context.Context) (err error) {
			s, err = loadSum(ctx, l.cfg.Bucket, name, b.since)
			return err
		})
		if err != nil {
			return false, err
		}
		if s.Through >= m.Last {
			finished = true
			b.sums[name] = true
			delete(b.earlier, name)
		}
	}
	l.account = b
	return finished, nil
}

// enter is L1: the round and what it brings are on disk before any of it is in
// the warehouse.
func (l *Loader) enter(ctx context.Context, r *round, rows tally, epoch int64) error {
	if l.account.earlier.len() > l.cfg.maxEarlier {
		if err := l.fold(ctx); err != nil {
			return err
		}
	}
	b := &l.account
	m := manifest{First: r.first, Last: r.last, Epoch: epoch, Counted: &counted{
		Since: b.since, Rows: rows, Earlier: b.earlier, Sums: slices.Sorted(maps.Keys(b.sums)),
	}}
	if err := l.putManifest(ctx, m); err != nil {
		return err
	}
	b.earlier.addAll(rows)
	b.through = r.last
	return nil
}

// correct is enter for a round that is made again. What it brings may be less
// than it was, because frames expired or because its own rows are recognized,
// or more, because what it repeated has gone: what landed stays as it was
// counted, and the rest is as it is.
func (l *Loader) correct(ctx context.Context, into target, r *round, m manifest, batches []*warehouse.Batch) error {
	now, was := tallyOf(batches), m.Counted.Rows
	right, changed := tally{}, false
	all := tally{}
	all.addAll(now)
	all.addAll(was)
	for table, days := range all {
		for day := range days {
			n := now[table][day]
			if before := was[table][day]; before != n && before > 0 {
				landed, err := l.landed(ctx, into, table, day, r)
				if err != nil {
					return err
				}
				if landed {
					n = before
				}
			}
			changed = changed || n != was[table][day]
			right.add(table, day, n)
		}
	}
	if !changed {
		return nil
	}
	c := *m.Counted
	c.Rows, m.Counted = right, &c
	if err := l.putManifest(ctx, m); err != nil {
		return err
	}
	l.account.earlier = tally{}
	l.account.earlier.addAll(c.Earlier)
	l.account.earlier.addAll(right)
	return nil
}

// fold adds what the manifest carries along to the sums. The round of the
// manifest is in the warehouse. A crash on the way leaves sums that hold it and
// sums that do not, and each says so.
func (l *Loader) fold(ctx context.Context) error {
	var now time.Time
	err := l.retry(ctx, "reading Lethe's clock", func(ctx context.Context) (err error) {
		now, err = l.cfg.Warehouse.Clock(ctx)
		return err
	})
	if err != nil {
		return err
	}
	// Both clocks have to say that a day is over: what is forgotten is gone.
	if wall := l.cfg.Now(); wall.Before(now) {
		now = wall
	}
	b := &l.account
	for _, table := range slices.Sorted(maps.Keys(b.earlier)) {
		err := l.retry(ctx, "writing the books", func(ctx context.Context) error {
			s, err := loadSum(ctx, l.cfg.Bucket, table, b.since)
			if err != nil || s.Through >= b.through {
				return err
			}
			for day, n := range b.earlier[table] {
				s.Days[day] += n
			}
			maps.DeleteFunc(s.Days, func(day event.Day, _ uint64) bool {
				return day.End().Add(policy.Grace + forgotten).Before(now)
			})
			s.Through = b.through
			_, err = l.cfg.Bucket.Put(ctx, sumPrefix+table, encode(s))
			return err
		})
		if err != nil {
			return err
		}
		b.sums[table] = true
		delete(b.earlier, table)
	}
	return nil
}
