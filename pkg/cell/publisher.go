package cell

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// DefaultSettle is for how long no row has to come before what waits is cut.
const DefaultSettle = 2 * time.Second

// The stores, as far as a publisher uses them.
type (
	// Log says where the clean log stands: [eventlog.Log].
	Log interface {
		Last(ctx context.Context, stream, filter string) (eventlog.Received, error)
		Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error)
	}
	// Appender appends cells: [eventlog.Writer] of [eventlog.CleanStream].
	Appender interface {
		AppendAtomic(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error)
	}
	// Keys seals cells: the keyring's cells power.
	Keys interface {
		SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error)
	}
	// Warehouse holds rows and cells: [warehouse.Warehouse] as the user cells.
	Warehouse interface {
		Table(name string) string
		Clock(ctx context.Context) (time.Time, error)
		Rows(ctx context.Context, sql string, params map[string]any) (*warehouse.Result, error)
	}
)

// Config is what a Publisher is made of. Metrics, Now, Settle, Brief, Owner and
// Random may be unset; everything else is required.
type Config struct {
	Policy    *policy.Policy
	Log       Log
	Appender  Appender
	Keys      Keys
	Warehouse Warehouse
	Bucket    eventlog.LeaseBucket // [eventlog.CellBucket]: the lease, and how far it is
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
	// Now is the wall clock; nil is time.Now. The later of it and Lethe's
	// clock says which day it is.
	Now func() time.Time
	// Settle is for how long no row has to come to a service before its rows
	// are cut; zero is [DefaultSettle].
	Settle time.Duration
	// Brief is how long a look may take that is made as often as rows come: of
	// longer ones, no more than one part in twenty of the time is spent on
	// each. Zero is 250 milliseconds.
	Brief time.Duration
	// Owner names this process in the lease; empty is a random name.
	Owner string
	// Random is where noise comes from; nil is crypto/rand.
	Random io.Reader
}

// A Publisher cuts cells. It belongs to one goroutine.
type Publisher struct {
	c     Config
	table *policy.Table // of cells; nil where the policy has no metric
	cells string        // its name in statements
	units []*unit
	lease *eventlog.Lease
	began time.Time
	met   *metrics
	patience

	books map[*unit]map[place]*book
	seen  uint64            // rows through here are in the books
	today map[string]string // by zone, as the books know it

	ticked   time.Time // the last
	ticks    []tick    // that are not told of yet, in order
	appended uint64    // the last cells
}

// errLost ends a look at once: another publisher has the lease, and may be at
// the same work. What both append, the log takes once.
var errLost = fault.Conflict.Errorf("another process took over the publishing of cells")

var errShape = fault.Corrupt.Errorf("the warehouse answered in another shape than was asked")

// New makes a Publisher. It reads and writes nothing.
func New(c Config) (*Publisher, error) {
	if c.Policy == nil || c.Log == nil || c.Appender == nil || c.Keys == nil || c.Warehouse == nil || c.Bucket == nil || c.Logger == nil {
		return nil, fault.Invalid.Errorf("making a publisher of cells: a part is missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Settle <= 0 {
		c.Settle = DefaultSettle
	}
	if c.Brief <= 0 {
		c.Brief = brief
	}
	if c.Owner == "" {
		c.Owner = rand.Text()
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	all, err := units(c.Policy, c.Warehouse.Table)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		c: c, cells: c.Warehouse.Table(policy.CellTable), units: all, began: time.Now(), met: newMetrics(c.Metrics, c.Policy),
		patience: patience{c.Settle, c.Brief},
		books:    map[*unit]map[place]*book{}, today: map[string]string{},
	}
	p.table, _ = c.Policy.Table(policy.CellTable)
	for _, u := range all {
		p.books[u] = map[place]*book{}
	}
	p.lease = eventlog.NewLease(eventlog.LeaseConfig{
		Bucket: c.Bucket, Name: "lease", Owner: c.Owner, For: time.Minute, Renew: 10 * time.Second, Elapsed: p.elapsed, Lost: errLost,
	})
	return p, nil
}

// elapsed is a clock that nobody can set.
func (p *Publisher) elapsed() time.Duration { return time.Since(p.began) }

// Numbers are counters since the start, and gauges, by name.
func (p *Publisher) Numbers() map[string]float64 { return p.met.numbers() }

// Run publishes until ctx ends. What fails is logged and tried again; nothing
// that goes wrong here ends the process.
func (p *Publisher) Run(ctx context.Context, ready func()) error {
	ready()
	often := min(max(p.c.Settle/4, 10*time.Millisecond), 500*time.Millisecond)
	for {
		wait := often
		if err := p.lookIfDue(ctx); err != nil && ctx.Err() == nil {
			level := slog.LevelWarn
			if kind := fault.KindOf(err); kind != fault.Unavailable && kind != fault.Conflict {
				level = slog.LevelError
			}
			p.met.failed()
			p.c.Logger.Log(ctx, level, "publishing cells failed", "err", err)
			wait = afterFailure
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// afterFailure is when to try again what failed.
const afterFailure = 2 * time.Second

// lookIfDue looks when there may be something to do. Most of the time there is
// not, and the engine is not asked.
func (p *Publisher) lookIfDue(ctx context.Context) error {
	at := p.c.Now()
	state, err := p.c.Log.Consumer(ctx, eventlog.CleanStream, eventlog.CleanConsumer)
	if err != nil {
		return err
	}
	if state.Floor <= p.seen && at.Truncate(every).Equal(p.ticked) && len(p.due()) == 0 {
		return nil
	}
	_, err = p.look(ctx, at, state.Floor)
	return err
}

// Look looks once at everything that is due, publishes what can be published of
// it, and returns how many cells that were. What it publishes counts when the
// loader has loaded it, and until then nothing more is published for the same
// service. A service for which something goes wrong keeps none of the others.
func (p *Publisher) Look(ctx context.Context) (published int, err error) {
	at := p.c.Now()
	state, err := p.c.Log.Consumer(ctx, eventlog.CleanStream, eventlog.CleanConsumer)
	if err != nil {
		return 0, err
	}
	return p.look(ctx, at, state.Floor)
}

// look looks at what came through the floor, which was read after at.
func (p *Publisher) look(ctx context.Context, at time.Time, floor uint64) (published int, err error) {
	if len(p.units) == 0 {
		return 0, nil
	}
	now, err := p.now(ctx)
	if err != nil {
		return 0, err
	}
	if err := p.gather(ctx, floor, now); err != nil {
		return 0, err
	}
	p.tick(at)
	due := p.due()
	if len(due) == 0 {
		return 0, p.looked(ctx, floor, now)
	}
	ours, err := p.lease.Take(ctx)
	if err != nil || !ours {
		return 0, err
	}
	defer p.lease.Release(ctx)
	began := p.elapsed()
	var failed []error
	for _, at := range due {
		n, err := p.publish(ctx, at, floor, now)
		published += n
		if errors.Is(err, errLost) || ctx.Err() != nil {
			return published, errors.Join(append(failed, err)...)
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	p.met.worked(p.elapsed() - began)
	return published, errors.Join(append(failed, p.looked(ctx, floor, now))...)
}

// looked says how far everything was looked at: to operators, where nothing is
// still to be, and to analysts.
func (p *Publisher) looked(ctx context.Context, floor uint64, now time.Time) error {
	if p.oldest() == forever {
		p.met.looked(p.seen, now)
	}
	return p.tell(ctx, floor)
}

// now is which time it is for retention.
func (p *Publisher) now(ctx context.Context) (time.Time, error) {
	at, err := p.c.Warehouse.Clock(ctx)
	if now := p.c.Now(); now.After(at) {
		at = now
	}
	return at.UTC().Truncate(time.Millisecond), err
}

// due are the places where anything is to be looked at, in order.
func (p *Publisher) due() []place {
	at := map[place]bool{}
	for _, books := range p.books {
		for where, b := range books {
			if b.due(p.elapsed(), p.patience) {
				at[where] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(at), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.service, b.service))
	})
}

// publish publishes what can be published for a place.
//
//	C1  what was published is read from the warehouse, which has everything
//	    through the last frame of cells, and so is what waits
//	C2  one statement cuts each round into cells
//	C3  they are sealed, and appended all or none, with ids that make them the
//	    only ones behind that frame
//	C4  nothing more is published for the place until the warehouse has them
//
// A crash before C3 leaves nothing, and one after it cells that C1 finds.
func (p *Publisher) publish(ctx context.Context, at place, floor uint64, now time.Time) (int, error) {
	last, err := p.c.Log.Last(ctx, eventlog.CleanStream, topic(at))
	if err != nil && !errors.Is(err, fault.NotFound) {
		return 0, err
	}
	if last.Seq > floor {
		return 0, nil // C4
	}
	pub := &publication{place: at, after: last.Seq, floor: floor, at: now}
	crashpoint.Reach("cell.chosen")
	for _, u := range p.units {
		b := p.books[u][at]
		if b == nil {
			continue
		}
		if err := p.lookAt(ctx, b, pub); err != nil {
			pub.settle(false)
			return 0, err
		}
	}
	if len(pub.cells) == 0 {
		pub.settle(true)
		return 0, nil
	}
	crashpoint.Reach("cell.cut")
	done, err := p.append(ctx, pub) // C3
	pub.settle(done)
	if !done {
		return 0, err
	}
	crashpoint.Reach("cell.appended")
	p.met.published(pub)
	p.c.Logger.Info("cells published", "tenant", at.tenant, "service", at.service, "cells", len(pub.cells), "through_seq", floor)
	return len(pub.cells), nil
}

func (p *Publisher) lookAt(ctx context.Context, b *book, pub *publication) error {
	switch b.lead().Value {
	case policy.Distinct:
		return p.subjects(ctx, b, pub)
	case policy.Current:
		return p.current(ctx, b, pub)
	}
	return p.sums(ctx, b, pub)
}

// append says whether the log took what is to be published.
func (p *Publisher) append(ctx context.Context, pub *publication) (done bool, err error) {
	msgs, err := p.messages(ctx, pub)
	if err != nil {
		return false, err
	}
	if err := p.lease.Keep(ctx); err != nil {
		return false, err
	}
	crashpoint.Reach("cell.sealed")
	acks, err := p.c.Appender.AppendAtomic(ctx, msgs)
	for _, a := range acks {
		p.appended = max(p.appended, a.Seq)
	}
	if errors.Is(err, fault.Conflict) {
		// Another's, or an attempt of which no answer came, was first.
		p.c.Logger.Warn("cells to be cut anew", "tenant", pub.tenant, "service", pub.service)
		return false, nil
	}
	return err == nil, err
}
