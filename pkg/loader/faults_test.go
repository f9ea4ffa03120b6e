package loader_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// faults stand between a loader and its stores, which are real. One call
// fails: before it was done (lost), or after (landed).
type faults struct {
	op     string
	number int // the first call is 1
	landed bool
	// crash makes the process die with the call: the loader is told to stop,
	// and nothing that it does afterwards happens.
	crash bool

	mu     sync.Mutex // guards the rest
	calls  map[string]int
	struck bool
	cancel context.CancelFunc
}

var (
	errPassing = fault.Unavailable.Errorf("injected")
	errDead    = errors.New("the process is dead")
)

func (f *faults) around(op string, do func() error) error {
	f.mu.Lock()
	if f.struck && f.crash {
		f.mu.Unlock()
		return errDead
	}
	if f.calls == nil {
		f.calls = map[string]int{}
	}
	f.calls[op]++
	strikes := op == f.op && f.calls[op] == f.number
	if strikes {
		f.struck = true
		if f.crash && f.cancel != nil {
			f.cancel()
		}
	}
	f.mu.Unlock()
	err := errPassing
	if f.crash {
		err = errDead
	}
	if strikes && !f.landed {
		return err
	}
	if e := do(); e != nil || !strikes {
		return e
	}
	return err
}

type faultyStores struct {
	*faults
	loader.Reader
	loader.Frames
	loader.Bucket
	loader.Warehouse
	loader.Staging
}

// inject puts the faults between a loader and its stores.
func (f *faults) inject(cfg loader.Config) loader.Config {
	s := &faultyStores{f, cfg.Clean, cfg.Frames, cfg.Bucket, cfg.Warehouse, cfg.Staging}
	cfg.Clean, cfg.Frames, cfg.Bucket, cfg.Warehouse, cfg.Staging = s, s, s, s, s
	return cfg
}

func (s *faultyStores) Fetch(ctx context.Context, messages, bytes int, wait time.Duration) (out []eventlog.Received, err error) {
	err = s.around("fetch", func() (err error) {
		out, err = s.Reader.Fetch(ctx, messages, bytes, wait)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *faultyStores) AckThrough(ctx context.Context, seq uint64) error {
	return s.around("ack", func() error { return s.Reader.AckThrough(ctx, seq) })
}

func (s *faultyStores) Floor(ctx context.Context) (seq uint64, err error) {
	err = s.around("floor", func() (err error) { seq, err = s.Reader.Floor(ctx); return err })
	return seq, err
}

func (s *faultyStores) Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error] {
	return func(yield func(eventlog.Received, error) bool) {
		for r, err := range s.Frames.Range(ctx, stream, first, last) {
			if err == nil {
				err = s.around("range", func() error { return nil })
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (s *faultyStores) Get(ctx context.Context, name string) (e eventlog.Entry, err error) {
	err = s.around("get", func() (err error) { e, err = s.Bucket.Get(ctx, name); return err })
	return e, err
}

func (s *faultyStores) Put(ctx context.Context, name string, value []byte) (rev uint64, err error) {
	err = s.around("put", func() (err error) { rev, err = s.Bucket.Put(ctx, name, value); return err })
	return rev, err
}

func (s *faultyStores) Insert(ctx context.Context, b *warehouse.Batch, token string) error {
	return s.around("insert", func() error { return s.Warehouse.Insert(ctx, b, token) })
}

func (s *faultyStores) Known(ctx context.Context, table string, ids []event.ID) (m map[event.ID]event.Day, err error) {
	err = s.around("known", func() (err error) { m, err = s.Warehouse.Known(ctx, table, ids); return err })
	return m, err
}

func (s *faultyStores) IDs(ctx context.Context, table string, from, to event.ID, limit int) (ids []event.ID, high event.ID, err error) {
	err = s.around("ids", func() (err error) { ids, high, err = s.Warehouse.IDs(ctx, table, from, to, limit); return err })
	return ids, high, err
}

func (s *faultyStores) Clock(ctx context.Context) (at time.Time, err error) {
	err = s.around("clock", func() (err error) { at, err = s.Warehouse.Clock(ctx); return err })
	return at, err
}

func (s *faultyStores) Stage(ctx context.Context, pol *policy.Policy, epoch int64) (w *warehouse.Warehouse, err error) {
	err = s.around("stage", func() (err error) { w, err = s.Staging.Stage(ctx, pol, epoch); return err })
	return w, err
}

func (s *faultyStores) Swap(ctx context.Context, pol *policy.Policy, epoch int64) error {
	return s.around("swap", func() error { return s.Staging.Swap(ctx, pol, epoch) })
}

func (s *faultyStores) Discard(ctx context.Context) error {
	return s.around("discard", func() error { return s.Staging.Discard(ctx) })
}

// some publishes three rounds' worth of frames: of two partitions, named and
// not, with events that came before among them.
func (s *site) some() {
	s.t.Helper()
	before := s.events(6, noon, true)
	s.publish(1, append(s.events(4, noon, false), before...)...)
	s.publish(2, append(s.events(9, noon.AddDate(0, 0, -1), true), s.events(3, noon.AddDate(0, 0, -1), false)...)...)
	s.publish(3, append(s.events(12, noon, true), before[:3]...)...)
	s.publish(4, append(s.events(8, noon.AddDate(0, 0, -1), false), s.events(8, noon, true)...)...)
	s.publish(5, append(s.events(7, noon, true), before[3:]...)...)
}

var loadingCalls = []struct {
	op     string
	number int
}{
	{"put", 1}, {"put", 2}, {"put", 3}, {"put", 4}, {"insert", 1}, {"insert", 2}, {"ack", 1},
	{"known", 1}, {"ids", 1}, {"clock", 1}, {"fetch", 2},
}

func each(t *testing.T, f func(t *testing.T, op string, number int, landed bool)) {
	for _, c := range loadingCalls {
		for _, landed := range []bool{false, true} {
			what := map[bool]string{false: "lost", true: "landed"}[landed]
			t.Run(fmt.Sprintf("%s %d %s", c.op, c.number, what), func(t *testing.T) { f(t, c.op, c.number, landed) })
		}
	}
}

// TestStoreThatFailsLosesAndDoublesNothing: P18. The flow goes on by itself.
func TestStoreThatFailsLosesAndDoublesNothing(t *testing.T) {
	s := start(t)
	each(t, func(t *testing.T, op string, number int, landed bool) {
		s.t = t
		s.some()
		f := &faults{op: op, number: number, landed: landed}
		s.load(f.inject(s.config()))
		s.CheckWorld()
		if !f.struck {
			t.Error("nothing failed; the test shows nothing")
		}
	})
}

// TestCrashAtAnyCallLosesAndDoublesNothing: P18, net 4. The next process
// closes its rounds elsewhere.
func TestCrashAtAnyCallLosesAndDoublesNothing(t *testing.T) {
	s := start(t)
	each(t, func(t *testing.T, op string, number int, landed bool) {
		s.t = t
		s.some()
		s.crash(&faults{op: op, number: number, landed: landed})
		cfg := s.config()
		cfg.MaxRows = 33
		s.load(cfg)
		s.CheckWorld()
	})
}

// crash runs a loader until the fault strikes, and makes sure that it did.
func (s *site) crash(f *faults) {
	s.t.Helper()
	f.crash = true
	l, err := loader.New(f.inject(s.config()))
	s.must(err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), time.Minute)
	defer cancel()
	f.cancel = cancel
	_ = l.Run(ctx, func() {})
	if !f.struck {
		s.t.Fatal("nothing failed; the test shows nothing")
	}
}

// forgetful keeps no manifest.
type forgetful struct{ loader.Bucket }

func (forgetful) Put(context.Context, string, []byte) (uint64, error) { return 1, nil }

// tokenless inserts without a token.
type tokenless struct{ loader.Warehouse }

func (w tokenless) Insert(ctx context.Context, b *warehouse.Batch, _ string) error {
	return w.Warehouse.Insert(ctx, b, "")
}

// blind knows no event.
type blind struct{ loader.Warehouse }

func (blind) Known(context.Context, string, []event.ID) (map[event.ID]event.Day, error) {
	return nil, nil
}

// TestEachNetCatchesAFaultThatNoOtherDoes is the control of the tests above:
// with any one net away, rows are stored twice.
func TestEachNetCatchesAFaultThatNoOtherDoes(t *testing.T) {
	t.Run("the manifest", func(t *testing.T) {
		s := start(t)
		s.publish(1, s.events(15, noon, false)...)
		s.publish(2, s.events(15, noon, false)...)
		without := func(cfg loader.Config) loader.Config { cfg.Bucket = forgetful{cfg.Bucket}; return cfg }
		f := &faults{op: "insert", number: 1, landed: true, crash: true}
		l, err := loader.New(f.inject(without(s.config())))
		s.must(err)
		ctx, cancel := context.WithCancel(t.Context())
		f.cancel = cancel
		_ = l.Run(ctx, func() {})
		cfg := without(s.config())
		cfg.MaxRows = 1
		s.load(cfg)
		if s.diff() == "" {
			t.Error("without a manifest nothing is stored twice; the tests show nothing")
		}
	})
	t.Run("the token", func(t *testing.T) {
		s := start(t)
		s.publish(1, s.events(15, noon, false)...)
		f := &faults{op: "insert", number: 1, landed: true}
		cfg := s.config()
		cfg.Warehouse = tokenless{cfg.Warehouse}
		s.load(f.inject(cfg))
		if s.diff() == "" {
			t.Error("without a token nothing is stored twice; the tests show nothing")
		}
	})
	t.Run("the event id", func(t *testing.T) {
		s := start(t)
		evs := s.events(15, noon, true)
		s.publish(1, evs...)
		s.load(s.config())
		s.publish(2, evs...)
		cfg := s.config()
		cfg.Warehouse = blind{cfg.Warehouse}
		s.load(cfg)
		if s.diff() == "" {
			t.Error("with nothing known nothing is stored twice; the tests show nothing")
		}
	})
}

// amnesiac has its confirmations forgotten by the log, as a server that was
// killed may.
type amnesiac struct{ loader.Reader }

func (amnesiac) AckThrough(context.Context, uint64) error { return nil }

func TestConfirmationsThatAreForgottenDoubleNothing(t *testing.T) {
	s := start(t)
	s.some()
	cfg := s.config()
	cfg.Clean = amnesiac{cfg.Clean}
	r := s.run(cfg)
	r.eventually("everything is loaded", func() bool { return s.diff() == "" })
	s.must(r.stop())
	if n := r.l.Numbers()["rounds"]; n < 3 {
		t.Fatalf("%v rounds; the test shows nothing", n)
	}
	c, err := s.frames.Consumer(t.Context(), eventlog.CleanStream, eventlog.CleanConsumer)
	s.must(err)
	if c.Floor != 0 {
		t.Fatalf("the log is confirmed through %d", c.Floor)
	}
	n := s.load(s.config())
	s.CheckWorld()
	if n["replays"] != 1 || n["rounds"] != 0 {
		t.Errorf("%v", n)
	}
}

// refusing makes no tables.
type refusing struct{ loader.Staging }

func (refusing) Stage(context.Context, *policy.Policy, int64) (*warehouse.Warehouse, error) {
	return nil, fault.Denied.Errorf("injected")
}
