package loader

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// DefaultMaxRows closes a round. Measured: batches of 50,000 cost the
	// engine a third of what batches of 10,000 do, and larger ones gain
	// nothing.
	DefaultMaxRows = 50_000
	// DefaultMaxWait closes a round that does not fill.
	DefaultMaxWait = 500 * time.Millisecond
	// maxRoundBytes closes a round of large frames. Sealed bytes.
	maxRoundBytes = 32 << 20
	// maxRoundFrames closes a round of tiny frames, so that a manifest that
	// counts a partition for each is no larger than a message may be.
	maxRoundFrames = 15_000
	// fetchFrames and fetchBytes bound what is asked of the log at once.
	fetchFrames = 512
	fetchBytes  = 8 << 20
	// stopGrace is how long a round under way may go on when the loader is
	// told to stop. What it does not finish the next process does.
	stopGrace = 3 * time.Second
)

// The stores, as far as the loader uses them.
type (
	// Reader takes the clean log in order: [eventlog.Reader].
	Reader interface {
		Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]eventlog.Received, error)
		AckThrough(ctx context.Context, seq uint64) error
		Floor(ctx context.Context) (uint64, error)
		Restart(ctx context.Context) error
	}
	// Frames looks up clean frames: [eventlog.Log].
	Frames interface {
		Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error]
		Info(ctx context.Context, stream string) (eventlog.StreamState, error)
	}
	// Bucket keeps the manifest and the books: [eventlog.Bucket].
	Bucket interface {
		reading
		Names(ctx context.Context) ([]string, error)
		Put(ctx context.Context, name string, value []byte) (uint64, error)
		Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error)
		Delete(ctx context.Context, name string) error
	}
	// Keys opens clean frames: the keyring's loader power.
	Keys interface {
		OpenClean(ctx context.Context, tenant, class, day string, aad, sealed []byte) ([]byte, error)
	}
	// Warehouse stores rows: [warehouse.Warehouse] as the loader's user.
	Warehouse interface {
		Insert(ctx context.Context, b *warehouse.Batch, token string) error
		Known(ctx context.Context, table string, ids []event.ID) (map[event.ID]event.Day, error)
		IDs(ctx context.Context, table string, from, to event.ID, limit int) ([]event.ID, event.ID, error)
		Clock(ctx context.Context) (time.Time, error)
		Landed(ctx context.Context, table string, day event.Day, first, last uint64) (bool, error)
		// Days lists the partitions of a live table.
		Days(ctx context.Context, t *policy.Table, now time.Time) ([]warehouse.TableDay, error)
	}
	// Staging makes tables anew: [warehouse.Warehouse] as the rebuild user.
	Staging interface {
		Stage(ctx context.Context, pol *policy.Policy, epoch int64) (*warehouse.Warehouse, error)
		Swap(ctx context.Context, pol *policy.Policy, epoch int64) error
		Discard(ctx context.Context) error
	}
)

// Config is what a Loader needs.
type Config struct {
	Policy    *policy.Policy
	Clean     Reader
	Frames    Frames
	Bucket    Bucket
	Keys      Keys
	Warehouse Warehouse
	Staging   Staging
	// Metrics may be nil.
	Metrics prometheus.Registerer
	Log     *slog.Logger
	// Now is the wall clock; nil is time.Now. The later of it and Lethe's
	// clock decides what has expired.
	Now func() time.Time
	// MaxRows and MaxWait close a round; zero means the defaults.
	MaxRows int
	MaxWait time.Duration

	maxEarlier int // a test's, or the default
}

// Loader is the part of the flow that fills the warehouse.
type Loader struct {
	cfg    Config
	counts *counts

	// The fields below belong to the goroutine of Run, but for account, seen,
	// spare and forgot, which belong to load: it runs beside the next gather, and gets
	// what else it needs as arguments.

	epoch     int64   // warehouse epoch: part of every token
	account   account // what the rounds brought
	last      uint64  // everything through here is loaded or being loaded
	gathered  uint64  // the highest sequence taken from the log
	confirmed uint64  // the highest sequence the log knows to be done
	seen      *seen
	spare     map[string][]*warehouse.Batch // empty batches by table
	forgot    time.Time                     // when repeats were last forgotten
	clock     time.Time
	clockRead time.Time
	asked     time.Time // when the bucket was last asked for a rebuild
	unknown   map[string]bool
	waiting   []eventlog.Received // fetched, and not in a round yet
}

// New makes a Loader. It reads and writes nothing.
func New(cfg Config) (*Loader, error) {
	if cfg.Policy == nil || cfg.Clean == nil || cfg.Frames == nil || cfg.Bucket == nil ||
		cfg.Keys == nil || cfg.Warehouse == nil || cfg.Staging == nil || cfg.Log == nil {
		return nil, fault.Invalid.Errorf("making a loader: a part is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxRows <= 0 {
		cfg.MaxRows = DefaultMaxRows
	}
	if cfg.MaxWait <= 0 {
		cfg.MaxWait = DefaultMaxWait
	}
	if cfg.maxEarlier <= 0 {
		cfg.maxEarlier = maxEarlier
	}
	return &Loader{
		cfg: cfg, counts: newCounts(cfg.Metrics),
		seen: newSeen(cfg.Warehouse, defaultMemory), spare: map[string][]*warehouse.Batch{}, unknown: map[string]bool{},
	}, nil
}

// Numbers are counters since the start, and gauges, by name.
func (l *Loader) Numbers() map[string]float64 { return l.counts.numbers() }

// Run loads until ctx ends. It calls ready when the round that an earlier
// process may have left in doubt is settled.
func (l *Loader) Run(ctx context.Context, ready func()) error {
	err := l.run(ctx, ready)
	if ctx.Err() != nil && fault.KindOf(err) != fault.Corrupt {
		return nil // asked to stop; what is not finished is in the manifest
	}
	return err
}

func (l *Loader) run(ctx context.Context, ready func()) error {
	if err := l.recover(ctx); err != nil {
		return fmt.Errorf("settling what an earlier process left: %w", err)
	}
	ready()
	l.cfg.Log.Info("loader ready", "epoch", l.epoch, "last_seq", l.last)

	// Work in hand outlives ctx by stopGrace.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()

	var under *underway
	for {
		r, err := l.gather(ctx)
		// The round before is settled first: its manifest is still the one
		// on disk.
		if under != nil {
			if err := l.settle(work, under); err != nil {
				return err
			}
			under = nil
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		// Nothing is in doubt here. Frames in r are not begun, and so not the
		// matter of a rebuild.
		if err := l.rebuildIfAsked(ctx); err != nil {
			return err
		}
		if r.last == 0 {
			// Frames that an earlier process loaded came again, or a
			// confirmation failed.
			l.confirm(ctx, min(l.gathered, l.last))
			continue
		}
		under = l.begin(work, r)
		if !r.more {
			// Nothing waits, so a gather would: confirm without delay.
			if err := l.settle(work, under); err != nil {
				return err
			}
			under = nil
		}
	}
}

// underway is a round whose rows are on their way into the warehouse.
type underway struct {
	round *round
	began time.Time
	done  chan error
}

// begin starts loading a round. The one before is settled.
func (l *Loader) begin(ctx context.Context, r *round) *underway {
	l.last = r.last
	u := &underway{round: r, began: time.Now(), done: make(chan error, 1)}
	into := target{l.cfg.Warehouse, l.seen, l.epoch}
	go func() { u.done <- l.load(ctx, into, r) }()
	return u
}

// load loads a round for the first time. What it brings is known when what came
// before is recognized, and is durable as a plan (L1) before the first insert.
func (l *Loader) load(ctx context.Context, into target, r *round) error {
	batches, err := l.prepare(ctx, into, r)
	if err != nil {
		return err
	}
	if err := l.enter(ctx, r, tallyOf(batches), into.epoch); err != nil {
		return err
	}
	crashpoint.Reach("loader.manifest_written")
	return l.insertAll(ctx, into, r, batches)
}

// settle waits until a round is in the warehouse and confirms it.
func (l *Loader) settle(ctx context.Context, u *underway) error {
	if err := <-u.done; err != nil {
		return err
	}
	crashpoint.Reach("loader.inserted")
	l.counts.loaded(u.round, time.Since(u.began))
	l.cfg.Log.Debug("round loaded", "first_seq", u.round.first, "last_seq", u.round.last,
		"rows", u.round.rows, "elapsed", time.Since(u.began))
	l.confirm(ctx, u.round.last)
	crashpoint.Reach("loader.acked")
	return nil
}

// confirm tells the log how far the work is done. (L3) It is no matter of
// safety when it fails, because the manifest says the same: it is done again
// with the next round, or when the log is idle.
func (l *Loader) confirm(ctx context.Context, seq uint64) {
	if seq <= l.confirmed {
		return
	}
	if err := l.cfg.Clean.AckThrough(ctx, seq); err != nil {
		l.cfg.Log.Warn("confirmation delayed", "seq", seq, "err", err)
		return
	}
	l.confirmed = seq
}

// retry does f until it succeeds, and gives up only on failures that do not
// pass.
func (l *Loader) retry(ctx context.Context, doing string, f func(context.Context) error) error {
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if kind := fault.KindOf(err); ctx.Err() != nil || kind != fault.Unavailable && kind != fault.Exhausted {
			return fmt.Errorf("%s: %w", doing, err)
		}
		l.counts.retried()
		l.cfg.Log.Warn("store awaited", "doing", doing, "err", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", doing, err)
		case <-time.After(delay):
		}
	}
}
