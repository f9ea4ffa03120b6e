package hold_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// faults makes the deed of one number fail: not done, or done all the same.
// With dead nothing is done after it, as by a process that was killed.
type faults struct {
	at     int
	landed bool
	dead   bool

	mu   sync.Mutex
	done int
}

var errFault = fault.Unavailable.Errorf("a fault of the test")

func (f *faults) do(deed func() error) error {
	f.mu.Lock()
	f.done++
	n := f.done
	f.mu.Unlock()
	switch {
	case n == f.at && f.landed:
		if err := deed(); err != nil {
			return err
		}
		return errFault
	case n == f.at, n > f.at && f.dead:
		return errFault
	}
	return deed()
}

// happened says whether the deed of the number came.
func (f *faults) happened() bool { return f.done >= f.at }

// in puts the faults before every deed of a copier.
func (f *faults) in(c hold.CopierConfig) hold.CopierConfig {
	c.Bucket = faultyBucket{c.Bucket, f}
	c.Appender = faultyAppender{c.Appender, f}
	c.Keys = faultyKeys{c.Keys, f}
	c.Warehouse = faultyWarehouse{c.Warehouse, f}
	c.Recorder = faultyRecorder{c.Recorder, f}
	return c
}

type (
	faultyBucket struct {
		hold.Bucket
		f *faults
	}
	faultyAppender struct {
		hold.Appender
		f *faults
	}
	faultyKeys struct {
		hold.Keys
		f *faults
	}
	faultyWarehouse struct {
		hold.Warehouse
		f *faults
	}
	faultyRecorder struct {
		audit.Recorder
		f *faults
	}
)

func (b faultyBucket) Update(ctx context.Context, name string, value []byte, revision uint64) (out uint64, err error) {
	err = b.f.do(func() (err error) {
		out, err = b.Bucket.Update(ctx, name, value, revision)
		return err
	})
	return out, err
}

func (a faultyAppender) AppendAtomic(ctx context.Context, msgs []eventlog.Message) (out []eventlog.Ack, err error) {
	err = a.f.do(func() (err error) {
		out, err = a.Appender.AppendAtomic(ctx, msgs)
		return err
	})
	return out, err
}

func (k faultyKeys) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) (out []byte, err error) {
	err = k.f.do(func() (err error) {
		out, err = k.Keys.SealClean(ctx, tenant, class, day, aad, plain)
		return err
	})
	return out, err
}

func (w faultyWarehouse) CopyHeld(ctx context.Context, t *policy.Table, h warehouse.Held) (out uint64, err error) {
	err = w.f.do(func() (err error) {
		out, err = w.Warehouse.CopyHeld(ctx, t, h)
		return err
	})
	return out, err
}

func (w faultyWarehouse) InsertHeld(ctx context.Context, b *warehouse.Batch, hold string, until event.Day, token string) error {
	return w.f.do(func() error { return w.Warehouse.InsertHeld(ctx, b, hold, until, token) })
}

func (r faultyRecorder) Record(ctx context.Context, kind audit.Kind, detail any) error {
	return r.f.do(func() error { return r.Recorder.Record(ctx, kind, detail) })
}

// released calls a function in the middle of a range.
type released struct {
	hold.Warehouse
	f func()
}

func (w released) CopyHeld(ctx context.Context, t *policy.Table, h warehouse.Held) (uint64, error) {
	w.f()
	return w.Warehouse.CopyHeld(ctx, t, h)
}

// TestNoCrashLosesOrDoublesACopy: every deed of a copier fails once. It was done
// and not answered, or the process is gone, before it or after; then another
// copier comes.
func TestNoCrashLosesOrDoublesACopy(t *testing.T) {
	s := start(t)
	want := map[uint64]int{}
	for i := range 3 {
		want[s.publish("shop", s.now, i+1)] = i + 1
	}
	s.load()
	s.withEachFault(15, s.now, want)
}

// withEachFault copies for a hold that was added at an instant, with each fault.
func (s *site) withEachFault(least int, added time.Time, want map[uint64]int) {
	s.t.Helper()
	good := s.config()
	for _, kind := range []struct{ landed, dead bool }{{landed: true}, {dead: true}, {landed: true, dead: true}} {
		deeds := 0
		for at := 1; ; at++ {
			f := &faults{at: at, landed: kind.landed, dead: kind.dead}
			h := s.add(func(h *hold.Hold) { h.Added = added })
			c := copier(s.t, f.in(good))
			c.SetMaxRange(2)
			c.DisrespectLeases()
			err := c.Copy(s.t.Context())
			if !f.happened() {
				s.must(err)
				deeds = f.done
				s.CheckWorld(h, want)
				s.forget(h)
				break
			}
			next := copier(s.t, good)
			next.SetMaxRange(3) // another version, say
			next.DisrespectLeases()
			s.must(next.Copy(s.t.Context()))
			s.CheckWorld(h, want)
			s.forget(h)
			if s.t.Failed() {
				s.t.Fatalf("deed %d, landed %v, dead %v", at, kind.landed, kind.dead)
			}
		}
		if deeds < least {
			s.t.Errorf("only %d deeds were tried", deeds)
		}
	}
}

// forget takes a hold and its frames away, so that the next one is alone.
func (s *site) forget(h hold.Hold) {
	s.t.Helper()
	s.must(s.bucket.Delete(s.t.Context(), "hold/"+h.ID))
	_, err := s.log.Purge(s.t.Context(), eventlog.HoldStream, h.Topics(), 0)
	s.must(err)
}

// What the lease spares two copiers is work. That nothing is there twice does
// not depend on it.
func TestTwoCopiersAtOnceDoubleNothing(t *testing.T) {
	s := start(t)
	want := map[uint64]int{}
	for i := range 12 {
		want[s.publish("shop", s.now, i+1)] = i + 1
	}
	s.load()
	for round := range 4 {
		respect := round%2 == 0
		h := s.add(nil)
		var both sync.WaitGroup
		for range 2 {
			c := copier(t, s.config())
			c.SetMaxRange(3)
			if !respect {
				c.DisrespectLeases()
			}
			both.Go(func() {
				if err := c.Copy(t.Context()); err != nil && respect {
					t.Errorf("a copier that waits its turn says %v", err)
				}
			})
		}
		both.Wait()
		last := copier(t, s.config())
		last.DisrespectLeases()
		s.must(last.Copy(t.Context()))
		s.CheckWorld(h, want)
		s.forget(h)
		if t.Failed() {
			t.Fatalf("the leases were respected: %v", respect)
		}
	}
}

// A lease that another holds is respected, until nobody has renewed it for as
// long as leases last.
func TestCopierWaitsForTheOneAtWork(t *testing.T) {
	s := start(t)
	seq := s.publish("shop", s.now, 5)
	s.load()
	h := s.add(nil)
	f := &faults{at: 3, dead: true} // it has the lease, and gives it back no more
	if err := copier(t, f.in(s.config())).Copy(t.Context()); err == nil {
		t.Fatal("nothing failed")
	}
	next := copier(t, s.config())
	for range 3 {
		s.must(next.Copy(t.Context()))
	}
	if rows := s.heldRows(h); len(rows) != 0 {
		t.Errorf("%d rows were copied under another's lease", len(rows))
	}
	next.DisrespectLeases() // as after a minute
	s.must(next.Copy(t.Context()))
	s.CheckWorld(h, map[uint64]int{seq: 5})
}
