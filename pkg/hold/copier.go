package hold

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// DefaultEvery is how often a copier looks for what is to be copied.
const DefaultEvery = time.Minute

// The stores, as far as a copier uses them.
type (
	// Log looks up frames: [eventlog.Log].
	Log interface {
		Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error]
		Next(ctx context.Context, stream string, seq uint64) (eventlog.Received, error)
		Last(ctx context.Context, stream, filter string) (eventlog.Received, error)
		Topics(ctx context.Context, stream, filter string) (map[string]uint64, error)
		Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error)
	}
	// Appender appends copies: [eventlog.Writer] of [eventlog.HoldStream].
	Appender interface {
		AppendAtomic(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error)
	}
	// Keys opens frames and seals their copies: the keyring's hold power, of
	// which every key that is used goes on record.
	Keys interface {
		Opener
		SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)
	}
	// Warehouse copies rows: [warehouse.Warehouse] as the user hold.
	Warehouse interface {
		Clock(ctx context.Context) (time.Time, error)
		HeldThrough(ctx context.Context, tables []*policy.Table, h warehouse.Held) (uint64, error)
		CopyHeld(ctx context.Context, t *policy.Table, h warehouse.Held) (uint64, error)
		CountHeld(ctx context.Context, hold string) (uint64, error)
		HeldIDs(ctx context.Context, t *policy.Table, hold string, ids []event.ID) (map[event.ID]bool, error)
		InsertHeld(ctx context.Context, b *warehouse.Batch, hold string, until event.Day, token string) error
	}
)

// CopierConfig is what a Copier is made of. Metrics may be nil, and Now, Every
// and Owner unset; everything else is required.
type CopierConfig struct {
	Policy    *policy.Policy
	Bucket    Bucket // of the holds and of the lease
	Log       Log
	Appender  Appender
	Keys      Keys
	Warehouse Warehouse
	Recorder  audit.Recorder
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
	// Now is the wall clock; nil is time.Now. The later of it and Lethe's
	// clock decides when a hold is over.
	Now func() time.Time
	// Every is how often to look; zero is [DefaultEvery].
	Every time.Duration
	// Owner names this process in the lease; empty is a random name.
	Owner string
}

// A Copier copies what the active holds cover.
type Copier struct {
	c     CopierConfig
	store *Store
	wake  chan struct{}
	met   metrics

	lease    *eventlog.Lease // of the goroutine of Run
	maxRange uint64          // frames of one range
}

// errLost ends a pass at once: another copier has the lease, and may be at the
// same work. What is done twice before that is there once, as after a crash.
var errLost = fault.Conflict.Errorf("another process took over the copying for legal holds")

// leaseFor makes a lease that is respected for so long when nobody renews it.
func (c *Copier) leaseFor(last time.Duration) *eventlog.Lease {
	began := time.Now()
	return eventlog.NewLease(eventlog.LeaseConfig{
		Bucket: c.c.Bucket, Name: leaseName, Owner: c.c.Owner, For: last, Renew: 10 * time.Second,
		Elapsed: func() time.Duration { return time.Since(began) }, Lost: errLost,
	})
}

// maxRange bounds what a crash repeats.
const maxRange = 10_000

// NewCopier makes a Copier. It reads and writes nothing.
func NewCopier(c CopierConfig) (*Copier, error) {
	if c.Policy == nil || c.Bucket == nil || c.Log == nil || c.Appender == nil || c.Keys == nil ||
		c.Warehouse == nil || c.Recorder == nil || c.Logger == nil {
		return nil, fault.Invalid.Errorf("making a copier for legal holds: a part is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Every <= 0 {
		c.Every = DefaultEvery
	}
	if c.Owner == "" {
		c.Owner = rand.Text()
	}
	copier := &Copier{
		c: c, store: NewStore(c.Bucket), wake: make(chan struct{}, 1), met: newMetrics(c.Metrics), maxRange: maxRange,
	}
	copier.lease = copier.leaseFor(time.Minute)
	return copier, nil
}

// Wake makes Run look at once.
func (c *Copier) Wake() {
	select {
	case c.wake <- struct{}{}:
	default: // it is about to look
	}
}

// Run copies until ctx ends. What fails is logged and tried again; nothing that
// goes wrong here ends the process.
func (c *Copier) Run(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(c.c.Every)
	defer tick.Stop()
	for {
		if err := c.Copy(ctx); err != nil && ctx.Err() == nil {
			level := slog.LevelWarn
			if kind := fault.KindOf(err); kind != fault.Unavailable && kind != fault.Conflict {
				level = slog.LevelError
			}
			c.met.failures.Inc()
			c.c.Logger.Log(ctx, level, "copying for legal holds failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-tick.C:
		}
	}
}

// Copy copies everything that is covered and loaded, and returns when it is
// done, or at once when another copier is at it. One hold that fails keeps none
// of the others.
func (c *Copier) Copy(ctx context.Context) error {
	holds, err := c.store.List(ctx)
	if err != nil {
		return err
	}
	now, err := c.now(ctx)
	if err != nil {
		return err
	}
	// What fails here keeps nothing from being copied.
	failed := []error{c.store.Forget(ctx, c.c.Now())}
	var todo []Hold
	for _, h := range holds {
		if !h.Over(now) || h.State != Ended && h.underway() {
			todo = append(todo, h)
		}
	}
	c.met.active.Set(float64(len(todo)))
	if len(todo) == 0 {
		c.met.lag.Set(0)
		return errors.Join(failed...)
	}
	ours, err := c.lease.Take(ctx)
	if err != nil || !ours {
		return errors.Join(append(failed, err)...)
	}
	defer c.lease.Release(ctx)
	var lag uint64
	for _, h := range todo {
		left, err := c.hold(ctx, h)
		lag = max(lag, left)
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return errors.Join(append(failed, err)...)
		}
		if err != nil {
			c.c.Logger.Warn("hold not copied", "hold", h.ID, "err", err)
			failed = append(failed, err)
		}
	}
	c.met.lag.Set(float64(lag))
	return errors.Join(failed...)
}

// now is what time it is for retention.
func (c *Copier) now(ctx context.Context) (time.Time, error) {
	at, err := c.c.Warehouse.Clock(ctx)
	if now := c.c.Now(); now.After(at) {
		at = now
	}
	return at.UTC(), err
}

// hold copies for one hold through what the loader has confirmed, and returns
// how many frames are left.
func (c *Copier) hold(ctx context.Context, h Hold) (left uint64, err error) {
	state, err := c.c.Log.Consumer(ctx, eventlog.CleanStream, eventlog.CleanConsumer)
	if err != nil {
		return 0, err
	}
	for {
		now, err := c.now(ctx)
		if err != nil {
			return 0, err
		}
		if h.Over(now) {
			return 0, c.letGo(ctx, h)
		}
		if state.Floor <= h.Floor && !h.underway() {
			return 0, nil
		}
		next, err := c.step(ctx, h, state.Floor, now)
		if errors.Is(err, errOver) {
			return 0, nil
		}
		if err != nil {
			return state.Floor - min(state.Floor, h.Floor), err
		}
		h = next
	}
}

// errOver ends the copying of a hold that was given up meanwhile.
var errOver = errors.New("the hold is over")

// letGo says of a hold that is over that nothing is being copied for it: who
// holds the lease knows.
func (c *Copier) letGo(ctx context.Context, h Hold) error {
	if !h.underway() {
		return nil
	}
	_, err := c.store.update(ctx, h.ID, func(h *Hold) error {
		h.Upto = h.Floor
		return nil
	})
	return err
}

// step copies one range, or what is left of one.
func (c *Copier) step(ctx context.Context, h Hold, floor uint64, now time.Time) (Hold, error) {
	upto := h.Upto
	if !h.underway() {
		var err error
		if upto, err = c.end(ctx, h, floor); err != nil {
			return h, err
		}
	}
	// H1: from here on retention waits for H6 before it ends the hold.
	h, err := c.store.update(ctx, h.ID, func(h *Hold) error {
		if h.Over(now) {
			return errOver
		}
		h.Upto, h.Began = max(h.Upto, upto), c.c.Now().UTC().Truncate(time.Second)
		return nil
	})
	if err != nil {
		return h, err
	}
	if err := c.frames(ctx, h); err != nil { // H2
		return h, err
	}
	if err := c.rows(ctx, h); err != nil { // H3
		return h, err
	}
	if err := c.restore(ctx, h, now); err != nil { // H4
		return h, err
	}
	rows, frames, err := c.count(ctx, h)
	if err != nil {
		return h, err
	}
	if rows != h.Rows || frames != h.Frames {
		// H5
		err := c.c.Recorder.Record(ctx, audit.KindHold, audit.Hold{
			Verb: "copied", ID: h.ID, Deadline: h.Deadline, Floor: h.Upto, Rows: rows, Frames: frames,
		})
		if err != nil {
			return h, err
		}
		c.c.Logger.Info("hold copied", "hold", h.ID, "floor_seq", h.Upto, "rows", rows, "frames", frames)
	}
	if err := c.lease.Keep(ctx); err != nil {
		return h, err
	}
	// H6
	done := h.Upto
	h, err = c.store.update(ctx, h.ID, func(h *Hold) error {
		if done > h.Floor {
			h.Floor, h.Rows, h.Frames = done, rows, frames
		}
		return nil
	})
	return h, err
}

// end is where the next range ends.
func (c *Copier) end(ctx context.Context, h Hold, floor uint64) (uint64, error) {
	first, err := c.c.Log.Next(ctx, eventlog.CleanStream, h.Floor+1)
	if errors.Is(err, fault.NotFound) || err == nil && first.Seq > floor {
		return floor, nil // nothing in between is left
	}
	if err != nil {
		return 0, err
	}
	upto := min(floor, first.Seq-1+c.maxRange)
	if upto-(first.Seq-1) <= smallRange {
		return upto, nil
	}
	held := h.held()
	held.Through = upto
	return c.c.Warehouse.HeldThrough(ctx, c.tables(h), held)
}

// smallRange is how many frames have no more rows than one insert takes.
const smallRange = 400

// tables are those of the policy that a hold lists.
func (c *Copier) tables(h Hold) []*policy.Table {
	var out []*policy.Table
	for _, t := range warehouse.HoldTables(c.c.Policy) {
		if h.CoversTable(t.Name) {
			out = append(out, t)
		}
	}
	return out
}

func (h Hold) held() warehouse.Held {
	rules := map[string]policy.Period{}
	for table := range h.Rules {
		if then, known := h.ruleThen(table); known {
			rules[table] = then
		}
	}
	return warehouse.Held{
		Hold: h.ID, Until: h.Deadline, Tenant: h.Tenant, Services: h.Services, From: h.From, To: h.To,
		At: h.Added, Rules: rules, Since: h.Floor, Through: h.Upto,
	}
}

// rows is H3.
func (c *Copier) rows(ctx context.Context, h Hold) error {
	for _, t := range c.tables(h) {
		if err := c.lease.Keep(ctx); err != nil {
			return err
		}
		if _, err := c.c.Warehouse.CopyHeld(ctx, t, h.held()); err != nil {
			return err
		}
	}
	return nil
}

// count looks at what there is of a hold.
func (c *Copier) count(ctx context.Context, h Hold) (rows, frames uint64, err error) {
	if rows, err = c.c.Warehouse.CountHeld(ctx, h.ID); err != nil {
		return 0, 0, err
	}
	topics, err := c.c.Log.Topics(ctx, eventlog.HoldStream, h.Topics())
	for _, n := range topics {
		frames += n
	}
	return rows, frames, err
}
