package retention

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// Every is how long one run comes after another.
	Every = 15 * time.Minute
	// rawTreated is how old a treated hour is when its key is destroyed.
	rawTreated = 72 * time.Hour
)

// Warehouse is what retention may do to tables. [warehouse.Warehouse] is one.
type Warehouse interface {
	Advance(ctx context.Context, at time.Time) (time.Time, error)
	Partitions(ctx context.Context) ([]warehouse.Partition, error)
	Drop(ctx context.Context, table string, day event.Day) error
}

// Log is what retention may do to the logs. [eventlog.Log] is one.
type Log interface {
	Topics(ctx context.Context, stream, filter string) (map[string]uint64, error)
	Purge(ctx context.Context, stream, filter string, below uint64) (uint64, error)
	Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error)
	Info(ctx context.Context, stream string) (eventlog.StreamState, error)
	Next(ctx context.Context, stream string, seq uint64) (eventlog.Received, error)
}

// Config is what a Retention is made of. All of it is required.
type Config struct {
	Policy    *policy.Policy
	Warehouse Warehouse
	Log       Log
	Keys      keyring.Retention
	Logger    *slog.Logger
	Metrics   prometheus.Registerer
	Now       func() time.Time
}

// Retention removes what has expired.
type Retention struct {
	c    Config
	runs atomic.Int64
	// lastRun is when the last whole run ended, in Unix seconds.
	lastRun    prometheus.Gauge
	partitions prometheus.Counter
	keys       prometheus.Counter
	frames     prometheus.Counter
	lost       prometheus.Counter
}

// New makes a Retention.
func New(c Config) *Retention {
	counter := func(name, help string) prometheus.Counter {
		m := prometheus.NewCounter(prometheus.CounterOpts{Name: "lethe_retention_" + name, Help: help})
		c.Metrics.MustRegister(m)
		return m
	}
	r := &Retention{
		c:          c,
		partitions: counter("partitions_dropped_total", "Partitions dropped because their expiry day had ended."),
		keys:       counter("keys_destroyed_total", "Keys destroyed because what they seal had expired."),
		frames:     counter("frames_purged_total", "Frames purged from the logs after their key was destroyed."),
		lost:       counter("raw_hours_lost_total", "Raw hours whose key was destroyed at the cap while frames were untreated."),
		lastRun:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "lethe_retention_last_run_seconds", Help: "When the last whole run ended, in Unix seconds."}),
	}
	c.Metrics.MustRegister(r.lastRun)
	return r
}

// Run runs at once and then every [Every], until ctx ends. A run that fails is
// tried again with the next: nothing selectable depends on it.
func (r *Retention) Run(ctx context.Context, ready func()) error {
	ready()
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		if err := r.Once(ctx); err != nil && ctx.Err() == nil {
			r.c.Logger.Error("retention run failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Once is one run. What fails in it does not keep the rest from being done.
func (r *Retention) Once(ctx context.Context) error {
	now, err := r.c.Warehouse.Advance(ctx, r.c.Now())
	if err != nil {
		return err
	}
	all, err := r.c.Keys.List(ctx)
	if err != nil {
		return err
	}
	live := map[keyring.Kind][]keyring.KeyInfo{}
	for _, k := range all {
		if k.Live() {
			live[k.Kind] = append(live[k.Kind], k)
		}
	}
	err = errors.Join(
		r.dropPartitions(ctx, now),
		r.expireClean(ctx, now, live[keyring.KindClean]),
		r.purgeClean(ctx, now),
		r.expireRaw(ctx, now, live[keyring.KindRaw]),
		r.expireQuarantine(ctx, now, live[keyring.KindQuarantine]),
		r.expireEpochs(ctx, now, live[keyring.KindEpoch]),
	)
	if err == nil {
		r.runs.Add(1)
		r.lastRun.Set(float64(r.c.Now().Unix()))
	}
	return err
}

// Numbers are counters for status.
func (r *Retention) Numbers() map[string]float64 {
	return map[string]float64{"runs": float64(r.runs.Load())}
}

// dropPartitions removes the rows whose expiry day has ended. P4, P5, P6, P7, P8.
func (r *Retention) dropPartitions(ctx context.Context, now time.Time) error {
	parts, err := r.c.Warehouse.Partitions(ctx)
	var errs []error
	for _, p := range parts {
		if !ended(p.Day, now) {
			continue
		}
		if err := r.c.Warehouse.Drop(ctx, p.Table, p.Day); err != nil {
			errs = append(errs, err)
			continue
		}
		r.partitions.Inc()
		r.c.Logger.Info("partition dropped", "table", p.Table, "expiry_day", string(p.Day), "rows", p.Rows)
	}
	return errors.Join(append(errs, err)...)
}

// expireClean destroys the keys of clean frames whose expiry day has ended,
// whatever became of their rows.
func (r *Retention) expireClean(ctx context.Context, now time.Time, keys []keyring.KeyInfo) error {
	var errs []error
	for _, k := range keys {
		day := event.DayOf(k.Start)
		if !ended(day, now) {
			continue
		}
		errs = append(errs, r.destroy(k, func() error { return r.c.Keys.DestroyClean(ctx, k.Class, string(day)) }))
	}
	return errors.Join(errs...)
}

// ended says whether an expiry day is over. Lasting rows have a day that never
// is.
func ended(day event.Day, now time.Time) bool {
	return day != event.Never && !day.End().After(now)
}

// purgeClean gives back the space of frames that nobody can open any more.
func (r *Retention) purgeClean(ctx context.Context, now time.Time) error {
	topics, err := r.c.Log.Topics(ctx, eventlog.CleanStream, event.CleanTopics)
	if err != nil {
		return err
	}
	var errs []error
	for topic := range topics {
		if day, err := event.CleanTopicDay(topic); err != nil || !ended(day, now) {
			continue
		}
		n, err := r.c.Log.Purge(ctx, eventlog.CleanStream, topic, 0)
		r.frames.Add(float64(n))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// expireRaw destroys the keys of raw hours: treated and 72 hours old, or past
// the cap whatever became of them.
func (r *Retention) expireRaw(ctx context.Context, now time.Time, keys []keyring.KeyInfo) error {
	untreated, err := r.untreatedSince(ctx)
	if err != nil {
		return err
	}
	capped := r.period("raw")
	var errs []error
	for _, k := range keys {
		end := k.Start.Add(time.Hour)
		// A frame is on the log some time after it was sealed, by another
		// clock: an hour counts as treated when the one after it is.
		treated := (untreated.IsZero() || end.Add(time.Hour).Before(untreated)) && !now.Before(end.Add(rawTreated))
		past := !now.Before(capped.After(k.Start))
		if !treated && !past {
			continue
		}
		if past && !treated {
			r.lost.Inc()
			r.c.Logger.Error("raw hour destroyed untreated", "tenant", k.Tenant, "hour", k.Start)
		}
		errs = append(errs, r.destroy(k, func() error { return r.c.Keys.DestroyRaw(ctx, k.Tenant, k.Start) }))
	}
	return errors.Join(append(errs, r.purgeRaw(ctx, now, untreated))...)
}

// untreatedSince is when the first raw frame came that the pseudonymizer has
// not confirmed; zero when there is none.
func (r *Retention) untreatedSince(ctx context.Context) (time.Time, error) {
	c, err := r.c.Log.Consumer(ctx, eventlog.RawStream, eventlog.RawConsumer)
	if err != nil {
		return time.Time{}, err
	}
	m, err := r.c.Log.Next(ctx, eventlog.RawStream, c.Floor+1)
	if errors.Is(err, fault.NotFound) {
		return time.Time{}, nil
	}
	return m.At, err
}

// purgeRaw removes treated frames older than 72 hours: the first sequence that
// stays is found by halving, because sequences and times grow together.
func (r *Retention) purgeRaw(ctx context.Context, now, untreated time.Time) error {
	info, err := r.c.Log.Info(ctx, eventlog.RawStream)
	if err != nil || info.Messages == 0 {
		return err
	}
	cut := now.Add(-rawTreated - time.Hour) // a whole hour later than its key
	if !untreated.IsZero() && untreated.Before(cut) {
		cut = untreated
	}
	low, high := info.First, info.Last+1
	for low < high {
		mid := low + (high-low)/2
		m, err := r.c.Log.Next(ctx, eventlog.RawStream, mid)
		switch {
		case errors.Is(err, fault.NotFound):
			high = mid
		case err != nil:
			return err
		case m.At.Before(cut):
			low = m.Seq + 1
		default:
			high = mid
		}
	}
	if low <= info.First {
		return nil
	}
	n, err := r.c.Log.Purge(ctx, eventlog.RawStream, "", low)
	r.frames.Add(float64(n))
	return err
}

func (r *Retention) expireQuarantine(ctx context.Context, now time.Time, keys []keyring.KeyInfo) error {
	period := r.period("quarantine")
	var errs []error
	for _, k := range keys {
		if now.Before(period.After(event.DayOf(k.Start).End())) {
			continue
		}
		errs = append(errs, r.destroy(k, func() error {
			return r.c.Keys.DestroyQuarantine(ctx, k.Tenant, string(event.DayOf(k.Start)))
		}))
	}
	return errors.Join(errs...)
}

// expireEpochs destroys the master of an epoch when the last token made with
// it has expired: the last row that bears one comes a bridge after the epoch's
// end, and expires a period later.
func (r *Retention) expireEpochs(ctx context.Context, now time.Time, keys []keyring.KeyInfo) error {
	last := map[string]func(int64) time.Time{}
	for _, t := range r.c.Policy.Tables() {
		if t.Domain == nil || t.Class.Lasting {
			continue
		}
		last[t.Domain.Name] = func(epoch int64) time.Time {
			return t.Class.Period.After(t.Domain.EpochStart(epoch+1).Add(t.Domain.Bridge)).AddDate(0, 0, 1)
		}
	}
	var errs []error
	for _, k := range keys {
		end, known := last[k.Domain]
		if !known || now.Before(end(k.Epoch)) {
			continue
		}
		errs = append(errs, r.destroy(k, func() error { return r.c.Keys.DestroyEpoch(ctx, k.Domain, k.Epoch) }))
	}
	return errors.Join(errs...)
}

// period is the longest rule of the classes that govern a store.
func (r *Retention) period(governs string) policy.Period {
	var longest policy.Period
	for _, c := range r.c.Policy.Classes() {
		if strings.EqualFold(c.Governs, governs) && c.Period.Longest() > longest.Longest() {
			longest = c.Period
		}
	}
	return longest
}

func (r *Retention) destroy(k keyring.KeyInfo, do func() error) error {
	if err := do(); err != nil {
		return err
	}
	r.keys.Inc()
	r.c.Logger.Info("key destroyed", "kind", string(k.Kind), "key", k.ID)
	return nil
}
