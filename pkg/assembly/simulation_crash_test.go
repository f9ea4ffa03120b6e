package assembly_test

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// errCrashed is what everything answers to a process that is gone.
var errCrashed = errors.New("the process died")

// A fuse lets a process die at its nth step, as far as one that goes on can
// show it: that step happens or does not, and nothing that the process does
// later happens at all.
type fuse struct {
	mu     sync.Mutex
	steps  int  // so far
	last   int  // the step at which it dies; zero is never
	landed bool // that step happens
	blown  bool
	whole  bool // the run got as far as saying that it ended
}

func (f *fuse) do(deed func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blown {
		return errCrashed
	}
	if f.steps++; f.steps != f.last {
		return deed()
	}
	f.blown = true
	if f.landed {
		_ = deed() // nobody is there to learn how it went
	}
	return errCrashed
}

// ask is do with an answer.
func ask[T any](f *fuse, deed func() (T, error)) (answer T, err error) {
	err = f.do(func() (err error) { answer, err = deed(); return err })
	return answer, err
}

// wire puts a fuse between a retention and all its stores.
func (f *fuse) wire(c *retention.Config) {
	c.Warehouse = fusedWarehouse{f, c.Warehouse}
	c.Log = fusedLog{f, c.Log}
	c.Keys = fusedKeys{f, c.Keys}
	c.Holds = fusedHolds{f, c.Holds}
	c.Bucket = fusedBucket{f, c.Bucket}
	c.Recorder = fusedRecorder{f, c.Recorder}
	arrived := c.Arrived
	c.Arrived = func(ctx context.Context, confirmed uint64) (loader.Arrived, error) {
		return ask(f, func() (loader.Arrived, error) { return arrived(ctx, confirmed) })
	}
}

type fusedWarehouse struct {
	*fuse
	retention.Warehouse
}

func (w fusedWarehouse) Clock(ctx context.Context) (time.Time, error) {
	return ask(w.fuse, func() (time.Time, error) { return w.Warehouse.Clock(ctx) })
}

func (w fusedWarehouse) Advance(ctx context.Context, at time.Time) (time.Time, error) {
	return ask(w.fuse, func() (time.Time, error) { return w.Warehouse.Advance(ctx, at) })
}

func (w fusedWarehouse) Partitions(ctx context.Context) ([]warehouse.Partition, error) {
	return ask(w.fuse, func() ([]warehouse.Partition, error) { return w.Warehouse.Partitions(ctx) })
}

func (w fusedWarehouse) Count(ctx context.Context, table string, days warehouse.Days, since, floor uint64) ([]warehouse.Tally, error) {
	return ask(w.fuse, func() ([]warehouse.Tally, error) { return w.Warehouse.Count(ctx, table, days, since, floor) })
}

func (w fusedWarehouse) Early(ctx context.Context, table string, before time.Time, days warehouse.Days, since, floor uint64) ([]warehouse.Tally, error) {
	return ask(w.fuse, func() ([]warehouse.Tally, error) { return w.Warehouse.Early(ctx, table, before, days, since, floor) })
}

func (w fusedWarehouse) DropIn(ctx context.Context, database, table string, day event.Day) error {
	return w.do(func() error { return w.Warehouse.DropIn(ctx, database, table, day) })
}

func (w fusedWarehouse) DropEarly(ctx context.Context, table string, day event.Day, before time.Time, floor uint64) error {
	return w.do(func() error { return w.Warehouse.DropEarly(ctx, table, day, before, floor) })
}

func (w fusedWarehouse) RemoveEarly(ctx context.Context, table string, days []event.Day, before time.Time, floor uint64) error {
	return w.do(func() error { return w.Warehouse.RemoveEarly(ctx, table, days, before, floor) })
}

func (w fusedWarehouse) Removing(ctx context.Context, table string) (warehouse.Removal, error) {
	return ask(w.fuse, func() (warehouse.Removal, error) { return w.Warehouse.Removing(ctx, table) })
}

func (w fusedWarehouse) GiveUp(ctx context.Context, table string) error {
	return w.do(func() error { return w.Warehouse.GiveUp(ctx, table) })
}

func (w fusedWarehouse) DropHeld(ctx context.Context, hold string) error {
	return w.do(func() error { return w.Warehouse.DropHeld(ctx, hold) })
}

type fusedLog struct {
	*fuse
	retention.Log
}

func (l fusedLog) Info(ctx context.Context, stream string) (eventlog.StreamState, error) {
	return ask(l.fuse, func() (eventlog.StreamState, error) { return l.Log.Info(ctx, stream) })
}

func (l fusedLog) Last(ctx context.Context, stream, filter string) (eventlog.Received, error) {
	return ask(l.fuse, func() (eventlog.Received, error) { return l.Log.Last(ctx, stream, filter) })
}

func (l fusedLog) Next(ctx context.Context, stream string, seq uint64) (eventlog.Received, error) {
	return ask(l.fuse, func() (eventlog.Received, error) { return l.Log.Next(ctx, stream, seq) })
}

func (l fusedLog) Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error] {
	if err := l.do(func() error { return nil }); err != nil {
		return func(yield func(eventlog.Received, error) bool) { yield(eventlog.Received{}, err) }
	}
	return l.Log.Range(ctx, stream, first, last)
}

func (l fusedLog) Topics(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	return ask(l.fuse, func() (map[string]uint64, error) { return l.Log.Topics(ctx, stream, filter) })
}

func (l fusedLog) Purge(ctx context.Context, stream, filter string, below uint64) (uint64, error) {
	return ask(l.fuse, func() (uint64, error) { return l.Log.Purge(ctx, stream, filter, below) })
}

func (l fusedLog) Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error) {
	return ask(l.fuse, func() (eventlog.ConsumerState, error) { return l.Log.Consumer(ctx, stream, durable) })
}

type fusedKeys struct {
	*fuse
	keyring.Retention
}

func (k fusedKeys) DestroyRaw(ctx context.Context, tenant string, hour time.Time) error {
	return k.do(func() error { return k.Retention.DestroyRaw(ctx, tenant, hour) })
}

func (k fusedKeys) DestroyQuarantine(ctx context.Context, tenant, day string) error {
	return k.do(func() error { return k.Retention.DestroyQuarantine(ctx, tenant, day) })
}

func (k fusedKeys) DestroyClean(ctx context.Context, class, day string) error {
	return k.do(func() error { return k.Retention.DestroyClean(ctx, class, day) })
}

func (k fusedKeys) DestroyEpoch(ctx context.Context, domain string, epoch int64) error {
	return k.do(func() error { return k.Retention.DestroyEpoch(ctx, domain, epoch) })
}

func (k fusedKeys) List(ctx context.Context) ([]keyring.KeyInfo, error) {
	return ask(k.fuse, func() ([]keyring.KeyInfo, error) { return k.Retention.List(ctx) })
}

type fusedHolds struct {
	*fuse
	retention.Holds
}

func (h fusedHolds) List(ctx context.Context) ([]hold.Hold, error) {
	return ask(h.fuse, func() ([]hold.Hold, error) { return h.Holds.List(ctx) })
}

func (h fusedHolds) End(ctx context.Context, id string) error {
	return h.do(func() error { return h.Holds.End(ctx, id) })
}

type fusedBucket struct {
	*fuse
	retention.Bucket
}

func (b fusedBucket) Get(ctx context.Context, name string) (eventlog.Entry, error) {
	return ask(b.fuse, func() (eventlog.Entry, error) { return b.Bucket.Get(ctx, name) })
}

func (b fusedBucket) Names(ctx context.Context) ([]string, error) {
	return ask(b.fuse, func() ([]string, error) { return b.Bucket.Names(ctx) })
}

func (b fusedBucket) Put(ctx context.Context, name string, value []byte) (uint64, error) {
	return ask(b.fuse, func() (uint64, error) { return b.Bucket.Put(ctx, name, value) })
}

func (b fusedBucket) Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error) {
	return ask(b.fuse, func() (uint64, error) { return b.Bucket.Update(ctx, name, value, revision) })
}

func (b fusedBucket) Delete(ctx context.Context, name string) error {
	return b.do(func() error { return b.Bucket.Delete(ctx, name) })
}

type fusedRecorder struct {
	*fuse
	audit.Recorder
}

func (r fusedRecorder) Record(ctx context.Context, kind audit.Kind, detail any) error {
	return r.do(func() error {
		err := r.Recorder.Record(ctx, kind, detail)
		r.whole = r.whole || kind == audit.KindRun && err == nil
		return err
	})
}
