package retention

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/folder"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// Every is how long one run comes after another.
	Every = 15 * time.Minute
	// lastHour is what is left of the grace when waiting for the loader ends.
	lastHour = time.Hour
	// leaseFor is how long the lease of a process that does not renew it is
	// respected, and renewEvery how old it may be when a deed is done under it.
	leaseFor   = 10 * time.Minute
	renewEvery = time.Minute
	leaseName  = "lease"
)

// errLost ends a run at once: another process has the lease, and may be at the
// same work.
var errLost = fault.Conflict.Errorf("another process took over the removal of what has expired")

// ErrElsewhere says that another process is in a run. Nothing was done.
var ErrElsewhere = fault.Conflict.Errorf("another process is removing what has expired")

// Warehouse is what retention may do to tables. [warehouse.Warehouse] is one.
type Warehouse interface {
	Clock(ctx context.Context) (time.Time, error)
	Advance(ctx context.Context, at time.Time) (time.Time, error)
	TakeBack(ctx context.Context, to time.Time) (time.Time, error)
	Partitions(ctx context.Context) ([]warehouse.Partition, error)
	Count(ctx context.Context, table string, days warehouse.Days, since, floor uint64) ([]warehouse.Tally, error)
	Early(ctx context.Context, table string, before time.Time, days warehouse.Days, since, floor uint64) ([]warehouse.Tally, error)
	DropIn(ctx context.Context, database, table string, day event.Day) error
	DropEarly(ctx context.Context, table string, day event.Day, before time.Time, floor uint64) error
	RemoveEarly(ctx context.Context, table string, days []event.Day, before time.Time, floor uint64) error
	Removing(ctx context.Context, table string) (warehouse.Removal, error)
	GiveUp(ctx context.Context, table string) error
	DropHeld(ctx context.Context, hold string) error
}

// Log is what retention may do to the logs. [eventlog.Log] is one.
type Log interface {
	auditLog
	Topics(ctx context.Context, stream, filter string) (map[string]uint64, error)
	Purge(ctx context.Context, stream, filter string, below uint64) (uint64, error)
	Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error)
	Next(ctx context.Context, stream string, seq uint64) (eventlog.Received, error)
}

// Bucket keeps the lease, the clock and the last inventories. [eventlog.Bucket] of the name
// [eventlog.RetentionBucket] is one.
type Bucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
	Names(ctx context.Context) ([]string, error)
	Put(ctx context.Context, name string, value []byte) (uint64, error)
	Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error)
	Delete(ctx context.Context, name string) error
}

// Holds says which legal holds there are, and takes the end of one.
// [hold.Store] is one.
type Holds interface {
	hold.Lister
	End(ctx context.Context, id string) error
}

// A Folder holds files that have a deletion rule of their own. A folder that is
// not there is empty.
type Folder struct {
	Name string // as people are told of it: reports
	Dir  string
	// Governs says which class rules it, as [policy.Class.Governs] does:
	// reports, backups or key_backups.
	Governs string
}

// Config is what a Retention is made of.
type Config struct {
	Policy    *policy.Policy
	Warehouse Warehouse
	Log       Log
	Keys      keyring.Retention
	Holds     Holds
	Bucket    Bucket
	// Recorder puts what is about to be done on record. Keys record their own
	// destruction.
	Recorder audit.Recorder
	// Arrived is how many rows the loader has stored, through its floor:
	// [loader.Books.Arrived]. Where it is nil, or nothing was counted yet, what
	// came in is counted in the tables.
	Arrived func(ctx context.Context, confirmed uint64) (loader.Arrived, error)
	Folders []Folder
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // the wall clock

	// The rest may be left zero.

	// Elapsed is a clock that nobody can set. By default it counts from New.
	Elapsed func() time.Duration
	// MaxJump is by how much the wall clock may move Lethe's clock at once:
	// [audit.MaxJump] by default.
	MaxJump time.Duration
	// Pause comes between two partitions that are dropped.
	Pause time.Duration
	// Owner names this process among those that may run retention. A lease
	// that a process of the same name left is taken over at once, so two that
	// run at the same time must not share a name. By default it is random.
	Owner string
}

// Retention removes what has expired.
type Retention struct {
	c     Config
	meter *meter

	// mu lets one run happen at a time, and guards the rest.
	mu    sync.Mutex
	lease *eventlog.Lease
	jump  jump
	// foreign is where Lethe's clock was last seen to stand that retention had
	// not set; zero while it is retention's own.
	foreign time.Time
	// marks is what a clean key waits for, by its ID.
	marks map[string]mark
	// manifestDay and runDay are the days of Lethe's clock that this process
	// has put on record.
	manifestDay, runDay event.Day
	// putOff counts the runs that put their manifest off.
	putOff int
	// unremoved are the entries that could not be removed, by folder.
	unremoved map[string]map[string]bool
	// stalled are removals of single rows that got no further, by table.
	stalled map[string]stall
	// ended are the holds whose end this process has put on record.
	ended map[string]bool

	// step is called at every numbered step; a test ends the run there.
	step func(string)
	// removeEntry removes an entry of a folder; a test lets it fail.
	removeEntry func(dir, name string) error
}

// New makes a Retention.
func New(c Config) *Retention {
	if c.Elapsed == nil {
		began := time.Now()
		c.Elapsed = func() time.Duration { return time.Since(began) }
	}
	if c.MaxJump == 0 {
		c.MaxJump = audit.MaxJump
	}
	if c.Owner == "" {
		c.Owner = rand.Text()
	}
	return &Retention{
		c:     c,
		meter: newMeter(c.Metrics),
		lease: eventlog.NewLease(eventlog.LeaseConfig{
			Bucket: c.Bucket, Name: leaseName, Owner: c.Owner, For: leaseFor, Renew: renewEvery,
			Elapsed: c.Elapsed, Now: c.Now, Lost: errLost,
		}),
		marks:       map[string]mark{},
		stalled:     map[string]stall{},
		unremoved:   map[string]map[string]bool{},
		removeEntry: folder.Remove,
		ended:       map[string]bool{},
		step:        func(string) {},
	}
}

// Run runs at once and then every [Every], until ctx ends. A run that fails is
// tried again with the next: nothing selectable depends on it. While another
// process is in a run, it is asked for again every minute.
func (r *Retention) Run(ctx context.Context, ready func()) error {
	ready()
	for {
		pause := Every
		err := r.Once(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrElsewhere):
			pause = renewEvery
		case err != nil:
			r.c.Logger.Error("retention run failed", "err", err)
		}
		r.meter.next(r.c.Now().Add(pause))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Once is one run. What fails in it does not keep the rest from being done: the
// error joins all failures. While another process is in a run it is
// [ErrElsewhere].
func (r *Retention) Once(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine, err := r.lease.Take(ctx)
	if err != nil {
		return err
	}
	if !mine {
		return ErrElsewhere
	}
	// A run that is killed leaves the lease, and so does one that panics.
	err = r.once(ctx)
	r.lease.Release(ctx)
	return err
}

// run is what one run knows and has done.
type run struct {
	*Retention
	now   time.Time // Lethe's clock: every cut-off comes from it
	floor uint64    // everything up to this sequence of the clean log is loaded
	holds []hold.Hold
	// live are the keys that live, by kind.
	live     map[keyring.Kind][]keyring.KeyInfo
	journal  journal
	arrivals arrivals
	// These are why floor, holds or keys are not known: what needs to know
	// them is not done.
	noFloor, noHolds, noKeys error
	// unsure says that a removal failed, and may come about all the same, and
	// atWork where the engine is still at one of single rows, by table.
	unsure bool
	atWork map[string]bool

	entry audit.Run
	// waiting counts what is due and waits, onHold those of them that wait for
	// a legal hold to be copied.
	waiting, onHold int
	// oldest is the instant since when the oldest thing that is left is due.
	oldest time.Time
}

// once numbers the steps as doc.go does.
func (r *Retention) once(ctx context.Context) error {
	now, err := r.tell(ctx) // 1
	if err != nil {
		r.meter.ran(r.c.Now(), false)
		return err
	}
	r.reach("clock")
	u := &run{Retention: r, now: now, atWork: map[string]bool{}}
	u.entry.Clock, u.entry.Policy = now, r.c.Policy.Digest()
	var errs []error
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"looked", u.look},
		{"settled", u.settle},              // 2
		{"rows", u.expireRows},             // 3
		{"clean_keys", u.expireClean},      // 4
		{"clean_purged", u.purgeClean},     // 4
		{"raw_keys", u.expireRaw},          // 5
		{"quarantine", u.expireQuarantine}, // 5
		{"epochs", u.expireEpochs},         // 6
		{"folders", u.expireFiles},         // 7
		{"holds", u.endHolds},              // 8
		{"manifest", u.manifest},           // 9
	} {
		err := step.do(ctx)
		if err != nil {
			errs = append(errs, err)
		}
		if errors.Is(err, errLost) || ctx.Err() != nil {
			r.meter.ran(r.c.Now(), false)
			return errors.Join(errs...)
		}
		r.reach(step.name)
	}
	u.entry.Failures = len(errs)          // steps that failed
	if err := u.report(ctx); err != nil { // 10
		errs = append(errs, err)
	}
	r.reach("run")
	u.tellMeter()
	r.meter.ran(r.c.Now(), len(errs) == 0)
	return errors.Join(errs...)
}

// look reads what the steps lean on.
func (u *run) look(ctx context.Context) error {
	var state eventlog.ConsumerState
	state, u.noFloor = u.c.Log.Consumer(ctx, eventlog.CleanStream, eventlog.CleanConsumer)
	u.floor = state.Floor
	err := u.journal.read(ctx, u.c.Log)
	if u.noFloor == nil && err == nil {
		u.noFloor = u.readArrivals(ctx)
	}
	u.entry.Floor = u.floor
	u.holds, u.noHolds = u.c.Holds.List(ctx)
	var all []keyring.KeyInfo
	all, u.noKeys = u.c.Keys.Live(ctx)
	u.live = map[keyring.Kind][]keyring.KeyInfo{}
	for _, k := range all {
		u.live[k.Kind] = append(u.live[k.Kind], k)
	}
	return errors.Join(u.noFloor, u.noHolds, u.noKeys, err)
}

// report is step 10. A run that removed nothing is on record once a day.
func (u *run) report(ctx context.Context) error {
	e, day := u.entry, event.DayOf(u.now)
	quiet := e.Partitions == 0 && e.Keys == 0 && e.Frames == 0 && e.Files == 0 && e.LostFrames == 0 && e.Failures == 0
	if quiet && u.runDay == day {
		return nil
	}
	if err := u.c.Recorder.Record(ctx, audit.KindRun, e); err != nil {
		return err
	}
	u.runDay = day
	return nil
}

// guard is asked before every deed: it keeps the lease, and says when another
// process has it.
func (u *run) guard(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return u.lease.Keep(ctx)
}

// left notes something that is due since an instant and still there.
func (u *run) left(since time.Time) {
	if u.oldest.IsZero() || since.Before(u.oldest) {
		u.oldest = since
	}
}

// wait notes something that is due since an instant and waits: for a hold, or
// for the loader.
func (u *run) wait(since time.Time, forHold bool) {
	u.waiting++
	if forHold {
		u.onHold++
	}
	u.left(since)
}

// uncopied says whether an active hold that lists one of the tables, or none,
// is not copied through a sequence. A hold is of one tenant, and a partition
// and a key are of all.
func (u *run) uncopied(through uint64, tables ...string) bool {
	for _, h := range u.holds {
		if h.Over(u.now) || h.Floor >= through {
			continue
		}
		for _, t := range tables {
			if h.Covers(t, h.Tenant, anyService(h)) {
				return true
			}
		}
	}
	return false
}

func anyService(h hold.Hold) string {
	if len(h.Services) > 0 {
		return h.Services[0]
	}
	return ""
}

func (r *Retention) reach(point string) {
	crashpoint.Reach("retention." + point)
	r.step(point)
}
