package pseudonymizer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

const (
	// groupFrames and groupBytes bound what is treated at once. Measured: the
	// fixed cost of an atomic batch is spread well enough over 64 frames.
	groupFrames = 64
	groupBytes  = 4 << 20
	// maxBatch is how many messages one atomic batch may hold.
	maxBatch = 1000
	// fetchWait is how long a fetch waits for the first frame.
	fetchWait = time.Second
	// stopGrace is how long a group under way may go on when the
	// pseudonymizer is told to stop. What it does not finish is read again.
	stopGrace = 3 * time.Second
	// firstPause and lastPause bound the time between two attempts.
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
)

// The logs, as far as the pseudonymizer uses them.
type (
	// Reader takes the raw log in order: [eventlog.Reader].
	Reader interface {
		Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]eventlog.Received, error)
		AckThrough(ctx context.Context, seq uint64) error
	}
	// AtomicWriter appends to the clean log: [eventlog.Writer].
	AtomicWriter interface {
		AppendAtomic(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error)
	}
	// Writer appends to quarantine: [eventlog.Writer].
	Writer interface {
		Append(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error)
	}
	// Frames looks up and removes frames: [eventlog.Log].
	Frames interface {
		LastRawSeq(ctx context.Context) (uint64, error)
		Info(ctx context.Context, stream string) (eventlog.StreamState, error)
		Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error]
		Delete(ctx context.Context, stream string, seq uint64) error
	}
)

// Config is what a Pseudonymizer needs.
type Config struct {
	Policy     *policy.Policy
	Raw        Reader
	Clean      AtomicWriter
	Quarantine Writer
	Frames     Frames
	Keys       keyring.Pseudonymizer
	// Metrics may be nil.
	Metrics prometheus.Registerer
	Log     *slog.Logger
	// Now is Lethe's clock; it decides what has expired. Nil is time.Now.
	Now func() time.Time
}

// Pseudonymizer is the part of the flow that treats events.
type Pseudonymizer struct {
	cfg     Config
	treat   *treatment.Treatment
	counts  *counts
	running atomic.Bool

	// The fields below belong to the goroutine of Run.

	workers []*worker // one for each processor
	done    uint64    // every raw frame through here is treated
	alarm   slog.Level

	redriving sync.Mutex // guards redriver
	redriver  *worker
}

// New makes a Pseudonymizer. It reads and writes nothing.
func New(cfg Config) (*Pseudonymizer, error) {
	if cfg.Policy == nil || cfg.Raw == nil || cfg.Clean == nil || cfg.Quarantine == nil ||
		cfg.Frames == nil || cfg.Keys == nil || cfg.Log == nil {
		return nil, fault.Invalid.Errorf("making a pseudonymizer: a part is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Pseudonymizer{cfg: cfg, treat: treatment.New(cfg.Policy), counts: newCounts(cfg.Metrics)}
	p.redriver = newWorker(p)
	for range runtime.GOMAXPROCS(0) {
		p.workers = append(p.workers, newWorker(p))
	}
	return p, nil
}

// Numbers are what it counted since it was made, by name. All but lag_seq, the
// number of raw frames that wait, only grow.
func (p *Pseudonymizer) Numbers() map[string]float64 { return p.counts.numbers() }

// Run treats raw frames until ctx ends, finishes the group in hand and returns
// nil. It calls ready once it knows where to resume.
func (p *Pseudonymizer) Run(ctx context.Context, ready func()) error {
	if !p.running.CompareAndSwap(false, true) {
		return fault.Conflict.Errorf("the pseudonymizer runs already")
	}
	work, cancel := lingering(ctx)
	defer cancel()
	err := p.run(ctx, work, ready)
	if ctx.Err() != nil && !errors.Is(err, fault.Corrupt) {
		return nil
	}
	return err
}

// run works under a context that outlives ctx by stopGrace.
func (p *Pseudonymizer) run(ctx, work context.Context, ready func()) error {
	// T1: net 2. What a clean frame came from was treated whole, because
	// the frames of a raw frame are appended all or nothing.
	if err := p.retry(ctx, "finding where to resume", func() error { return p.resume(work) }); err != nil {
		return fmt.Errorf("finding where to resume: %w", err)
	}
	p.cfg.Log.Info("pseudonymizer ready", "seq", p.done)
	ready()
	for ctx.Err() == nil {
		var group []eventlog.Received
		err := p.retry(ctx, "reading the raw log", func() (err error) {
			group, err = p.cfg.Raw.Fetch(ctx, groupFrames, groupBytes, fetchWait)
			return err
		})
		if err != nil {
			return fmt.Errorf("reading the raw log: %w", err)
		}
		if len(group) == 0 {
			p.counts.waiting(0)
			continue
		}
		p.watch(group)
		if err := p.group(ctx, work, group); err != nil {
			return err
		}
	}
	return nil
}

// resume finds how far the raw log is treated.
func (p *Pseudonymizer) resume(ctx context.Context) (err error) {
	if p.done, err = p.cfg.Frames.LastRawSeq(ctx); err != nil {
		return err
	}
	raw, err := p.cfg.Frames.Info(ctx, eventlog.RawStream)
	if err != nil {
		return err
	}
	if raw.Last < p.done {
		// A raw log that was made anew counts from one again. Its frames
		// would be taken for those that the clean log has, and lost.
		return fault.Corrupt.Errorf("the raw log ends at %d, and the clean log has frames made of %d: they do not belong together", raw.Last, p.done)
	}
	return nil
}

// group moves a group of raw frames to the clean log.
func (p *Pseudonymizer) group(ctx, work context.Context, group []eventlog.Received) error {
	last := group[len(group)-1].Seq
	for len(group) > 0 && group[0].Seq <= p.done {
		group = group[1:] // treated before; only the acknowledgment is missing
	}
	for pause := firstPause; len(group) > 0; {
		outcomes, err := p.treatAll(work, group) // T2
		if err := p.commit(ctx, work, outcomes); err != nil {
			return err
		}
		group = group[len(outcomes):]
		if err == nil {
			continue
		}
		if !passing(err) {
			return err
		}
		if err := p.pause(ctx, &pause, "treating raw frames", err); err != nil {
			return err
		}
	}
	return p.acknowledge(ctx, work, last) // T5
}

// treatAll treats frames on every processor. It returns the outcomes of those
// before the first that failed, and its error.
func (p *Pseudonymizer) treatAll(ctx context.Context, group []eventlog.Received) ([]*outcome, error) {
	outcomes := make([]*outcome, len(group))
	errs := make([]error, len(group))
	var next atomic.Int64
	var wg sync.WaitGroup
	for _, w := range p.workers[:min(len(p.workers), len(group))] {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(group)); i = next.Add(1) - 1 {
				outcomes[i], errs[i] = w.frame(ctx, group[i])
			}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return outcomes[:i], fmt.Errorf("treating raw frame %d: %w", group[i].Seq, err)
		}
	}
	return outcomes, nil
}

// acknowledge confirms that everything through a raw sequence is done.
func (p *Pseudonymizer) acknowledge(ctx, work context.Context, seq uint64) error {
	err := p.retry(ctx, "acknowledging", func() error { return p.cfg.Raw.AckThrough(work, seq) })
	if err != nil {
		return fmt.Errorf("acknowledging raw frames: %w", err)
	}
	crashpoint.Reach("pseudonymizer.acknowledged")
	return nil
}

// passing says whether trying again later may help.
func passing(err error) bool {
	return errors.Is(err, fault.Unavailable) || errors.Is(err, fault.Exhausted)
}

// retry does something until it succeeds or fails for good. It gives up when
// ctx ends: what is not done then is done after the next start.
func (p *Pseudonymizer) retry(ctx context.Context, what string, do func() error) error {
	pause := firstPause
	for {
		err := do()
		if err == nil || !passing(err) {
			return err
		}
		if err := p.pause(ctx, &pause, what, err); err != nil {
			return err
		}
	}
}

// pause waits before the next attempt, longer each time.
func (p *Pseudonymizer) pause(ctx context.Context, pause *time.Duration, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.counts.retried()
	p.cfg.Log.Warn("attempt failed", "step", what, "retry_in", *pause, "err", err)
	t := time.NewTimer(*pause/2 + rand.N(*pause/2))
	defer t.Stop()
	*pause = min(2**pause, lastPause)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// watch raises an alarm when the oldest raw frame waits for too long. What
// waits for 30 days is lost.
func (p *Pseudonymizer) watch(group []eventlog.Received) {
	p.counts.waiting(group[len(group)-1].Pending + uint64(len(group)))
	age := p.cfg.Now().Sub(group[0].At)
	p.counts.age(age)
	level := slog.LevelInfo
	switch {
	case age > 7*24*time.Hour:
		level = slog.LevelError
	case age > time.Hour:
		level = slog.LevelWarn
	}
	if level > p.alarm {
		p.cfg.Log.Log(context.Background(), level, "raw log lags", "age", age, "seq", group[0].Seq)
	}
	p.alarm = level
}

// lingering returns a context that ends stopGrace after ctx.
func lingering(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })
	return work, func() { stop(); cancel() }
}
