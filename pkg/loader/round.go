package loader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// A round is a contiguous range of frames, loaded together.
type round struct {
	first, last uint64 // last is 0 in a round without frames
	frames      []frame
	rows        int
	bytes       int
	more        bool     // the log had more when the round was closed
	gone        *removed // of a rebuild
	again       bool     // it may have been loaded before

	expired, unknown int // frames passed over
	dropped          int // rows that net 3 recognized
	// repeated are those of them that repeat a row of another expiry day.
	repeated repeats
}

// frame is an open clean frame of a table that the policy has.
type frame struct {
	seq     uint64
	header  event.CleanHeader
	table   *policy.Table
	columns []string
	rows    []event.Row
}

// gather reads frames until a round is full, or MaxWait has passed since its
// first frame, or since the call when none came.
func (l *Loader) gather(ctx context.Context) (*round, error) {
	r := &round{}
	deadline := time.Now().Add(l.cfg.MaxWait)
	if err := l.readClock(ctx); err != nil {
		return r, err
	}
	for r.rows < l.cfg.MaxRows && r.bytes < maxRoundBytes && len(r.frames) < maxRoundFrames {
		if len(l.waiting) == 0 {
			wait := time.Until(deadline)
			if wait <= 0 || ctx.Err() != nil {
				break
			}
			if err := l.fetch(ctx, wait); err != nil {
				return r, err
			}
			continue
		}
		msg := l.waiting[0]
		l.waiting = l.waiting[1:]
		if msg.Seq <= l.gathered || msg.Seq <= l.last {
			l.gathered = max(l.gathered, msg.Seq)
			continue // delivered again
		}
		if r.last == 0 {
			r.first = msg.Seq
			deadline = time.Now().Add(l.cfg.MaxWait)
		}
		if err := l.take(ctx, r, msg); err != nil {
			return r, err
		}
		l.gathered, r.last = msg.Seq, msg.Seq
		r.more = msg.Pending > 0 || len(l.waiting) > 0
	}
	return r, nil
}

// fetch asks the log for frames.
func (l *Loader) fetch(ctx context.Context, wait time.Duration) error {
	return l.retry(ctx, "reading the clean log", func(ctx context.Context) error {
		msgs, err := l.cfg.Clean.Fetch(ctx, fetchFrames, fetchBytes, wait)
		if errors.Is(err, fault.Unavailable) && ctx.Err() == nil {
			// What was under way is lost; have it delivered again.
			return errors.Join(err, l.cfg.Clean.Restart(ctx))
		}
		if len(msgs) > 0 {
			l.counts.behind(msgs[len(msgs)-1].Pending)
		}
		l.waiting = msgs
		return err
	})
}

// take opens a frame and adds it to a round.
func (l *Loader) take(ctx context.Context, r *round, msg eventlog.Received) error {
	r.bytes += len(msg.Data)
	header, sealed, err := event.Unpack(msg.Data)
	if err != nil {
		return fmt.Errorf("reading clean frame %d: %w", msg.Seq, err)
	}
	f := frame{seq: msg.Seq}
	if err := event.ParseHeader(header, &f.header); err != nil {
		return fmt.Errorf("reading clean frame %d: %w", msg.Seq, err)
	}
	if _, err := event.ParseDay(string(f.header.Day)); err != nil {
		return fault.Corrupt.Errorf("reading clean frame %d: its expiry day is not readable", msg.Seq)
	}
	if !f.header.Day.End().Add(policy.Grace).After(l.clock) {
		r.expired++
		return nil
	}
	var ok bool
	if f.table, ok = l.cfg.Policy.Table(f.header.Table); !ok {
		r.unknown++
		if !l.unknown[f.header.Table] {
			l.unknown[f.header.Table] = true
			l.cfg.Log.Warn("frames passed over", "table", f.header.Table, "reason", "the policy has no such table")
		}
		return nil
	}
	var body []byte
	err = l.retry(ctx, "opening a clean frame", func(ctx context.Context) error {
		var err error
		body, err = l.cfg.Keys.OpenClean(ctx, f.header.Tenant, f.header.Class, string(f.header.Day), header, sealed)
		return err
	})
	switch {
	case errors.Is(err, keyring.ErrDestroyed):
		r.expired++
		return nil
	case err != nil:
		return fmt.Errorf("reading clean frame %d: %w", msg.Seq, err)
	}
	if f.columns, f.rows, err = event.ParseCleanBody(body); err != nil {
		return fmt.Errorf("reading clean frame %d: %w", msg.Seq, err)
	}
	from, to := f.header.Day.Start(), f.header.Day.End()
	for i := range f.rows {
		// A row in another day's partition would outlive its promise.
		if at := f.rows[i].ExpiresAt; at.Before(from) || !at.Before(to) {
			return fault.Corrupt.Errorf("reading clean frame %d: a row expires on another day than the frame", msg.Seq)
		}
	}
	r.gone.sift(&f)
	if len(f.rows) == 0 {
		r.expired++
		return nil
	}
	r.rows += len(f.rows)
	r.frames = append(r.frames, f)
	return nil
}

// ahead is by how much Lethe's clock may run ahead of the wall clock and be
// believed here.
const ahead = time.Hour

// readClock learns what time it is for retention: the later of the wall clock
// and Lethe's. Lethe's is asked again after a second. Where it is far ahead,
// somebody may have set it by hand, which retention can tell and the loader
// cannot: then the wall clock decides what is passed over. A row too many is
// hidden by the read barrier and removed; a row too few is lost.
func (l *Loader) readClock(ctx context.Context) error {
	now := l.cfg.Now()
	if time.Since(l.clockRead) >= time.Second {
		err := l.retry(ctx, "reading Lethe's clock", func(ctx context.Context) error {
			at, err := l.cfg.Warehouse.Clock(ctx)
			l.clock = at
			return err
		})
		if err != nil {
			return err
		}
		l.clockRead = time.Now()
	}
	if now.After(l.clock) || l.clock.After(now.Add(ahead)) {
		l.clock = now
	}
	return nil
}

type partition struct {
	table string
	day   event.Day
}

// prepare makes batches of the rows of a round that did not come before.
func (l *Loader) prepare(ctx context.Context, into target, r *round) ([]*warehouse.Batch, error) {
	err := l.retry(ctx, "looking for events that came before", func(ctx context.Context) error {
		dropped, repeated, err := into.seen.drop(ctx, r.frames)
		r.dropped += dropped
		r.repeated = repeated
		return err
	})
	if err != nil {
		return nil, err
	}
	// A rebuild goes by what is written down, and writes nothing down.
	if r.gone == nil {
		if err := l.remember(ctx, r); err != nil {
			return nil, err
		}
	}
	return l.partition(r), nil
}

// insertAll puts the batches of a round into the warehouse. (L2) It returns when
// all are there, or with the failure that does not pass.
func (l *Loader) insertAll(ctx context.Context, into target, r *round, batches []*warehouse.Batch) error {
	inserts, ctx := errgroup.WithContext(ctx)
	inserts.SetLimit(2) // the engine has better uses for more
	for _, b := range batches {
		id := token(r.first, r.last, into.epoch, b.Table().Name, b.Day())
		inserts.Go(func() error {
			return l.insert(ctx, into, b, id, r)
		})
	}
	if err := inserts.Wait(); err != nil {
		return err
	}
	for _, b := range batches {
		l.giveBack(b)
	}
	return nil
}

// insert stores a batch. Where it is not known what became of an attempt, it
// looks: the engine may know the token of an insert that a kill undid, and then
// drops every repetition of it. Such a batch goes under another token.
func (l *Loader) insert(ctx context.Context, into target, b *warehouse.Batch, id string, r *round) error {
	doubt := r.again
	for attempt := 1; ; attempt++ {
		err := l.retry(ctx, "inserting", func(ctx context.Context) error {
			err := into.store.Insert(ctx, b, id)
			doubt = doubt || err != nil
			return err
		})
		if err != nil || !doubt || b.Len() == 0 {
			return err
		}
		landed, err := l.landed(ctx, into, b.Table().Name, b.Day(), r)
		if err != nil || landed {
			return err
		}
		l.cfg.Log.Warn("insert undone", "table", b.Table().Name, "first_seq", r.first, "last_seq", r.last, "attempt", attempt)
		id += "/again"
		doubt = false
	}
}

// landed looks for what a round brought into a partition. A token may be there a moment before its rows are,
// so nothing is found only when nothing is found twice.
func (l *Loader) landed(ctx context.Context, into target, table string, day event.Day, r *round) (landed bool, err error) {
	for look := range 2 {
		if look > 0 {
			select {
			case <-ctx.Done():
				return false, ctx.Err()
			case <-time.After(time.Second):
			}
		}
		err = l.retry(ctx, "looking for what was inserted", func(ctx context.Context) (err error) {
			landed, err = into.store.Landed(ctx, table, day, r.first, r.last)
			return err
		})
		if err != nil || landed {
			return landed, err
		}
	}
	return false, nil
}

// partition sorts the rows of a round by table and expiry day.
func (l *Loader) partition(r *round) []*warehouse.Batch {
	by := map[partition]*warehouse.Batch{}
	for i := range r.frames {
		f := &r.frames[i]
		if len(f.rows) == 0 {
			continue
		}
		p := partition{f.table.Name, f.header.Day}
		b := by[p]
		if b == nil {
			b = l.batch(f.table, p.day)
			by[p] = b
		}
		b.Append(warehouse.Source{
			Tenant: f.header.Tenant, Service: f.header.Service, Seq: f.seq, Columns: f.columns,
		}, f.rows)
	}
	return slices.SortedFunc(maps.Values(by), func(a, b *warehouse.Batch) int {
		return cmp.Or(strings.Compare(a.Table().Name, b.Table().Name), strings.Compare(string(a.Day()), string(b.Day())))
	})
}

// batch takes an empty batch. Only one round is loaded at a time, so spare
// needs no lock.
func (l *Loader) batch(t *policy.Table, day event.Day) *warehouse.Batch {
	if free := l.spare[t.Name]; len(free) > 0 {
		b := free[len(free)-1]
		l.spare[t.Name] = free[:len(free)-1]
		b.Reset(day)
		return b
	}
	return warehouse.NewBatch(t, day)
}

// giveBack keeps a few batches per table for their memory.
func (l *Loader) giveBack(b *warehouse.Batch) {
	name := b.Table().Name
	if len(l.spare[name]) < 4 {
		b.Reset("") // lets go of the frames its texts point into
		l.spare[name] = append(l.spare[name], b)
	}
}
