package cell_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

var errGone = errors.New("the process died")

// A fuse lets a publisher die at its nth step: that step happens or does not,
// and nothing that it does later happens at all.
type fuse struct {
	cell.Log
	cell.Appender
	cell.Keys
	cell.Warehouse
	eventlog.LeaseBucket

	steps, last int
	landed      bool  // the last step happens
	telling     []int // steps that are no questions, and a few that are
	questions   int
}

func do[T any](f *fuse, deed func() (T, error)) (T, error) {
	var none T
	f.steps++
	f.telling = append(f.telling, f.steps)
	switch {
	case f.last == 0 || f.steps < f.last:
		return deed()
	case f.steps == f.last && f.landed:
		_, _ = deed() // nobody is there to learn how it went
	}
	return none, errGone
}

func (f *fuse) Last(ctx context.Context, stream, filter string) (eventlog.Received, error) {
	return do(f, func() (eventlog.Received, error) { return f.Log.Last(ctx, stream, filter) })
}

func (f *fuse) Consumer(ctx context.Context, stream, durable string) (eventlog.ConsumerState, error) {
	return do(f, func() (eventlog.ConsumerState, error) { return f.Log.Consumer(ctx, stream, durable) })
}

func (f *fuse) AppendAtomic(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	return do(f, func() ([]eventlog.Ack, error) { return f.Appender.AppendAtomic(ctx, msgs) })
}

func (f *fuse) SealClean(ctx context.Context, tenant, class, day string, aad, plain []byte) ([]byte, error) {
	return do(f, func() ([]byte, error) { return f.Keys.SealClean(ctx, tenant, class, day, aad, plain) })
}

func (f *fuse) Clock(ctx context.Context) (time.Time, error) {
	return do(f, func() (time.Time, error) { return f.Warehouse.Clock(ctx) })
}

func (f *fuse) Rows(ctx context.Context, sql string, params map[string]any) (*warehouse.Result, error) {
	r, err := do(f, func() (*warehouse.Result, error) { return f.Warehouse.Rows(ctx, sql, params) })
	if f.questions++; f.questions%8 != 1 {
		f.telling = f.telling[:len(f.telling)-1]
	}
	return r, err
}

func (f *fuse) Get(ctx context.Context, name string) (eventlog.Entry, error) {
	return do(f, func() (eventlog.Entry, error) { return f.LeaseBucket.Get(ctx, name) })
}

func (f *fuse) Update(ctx context.Context, name string, value []byte, revision uint64) (uint64, error) {
	return do(f, func() (uint64, error) { return f.LeaseBucket.Update(ctx, name, value, revision) })
}

// fused is a publisher whose every store is behind the fuse.
func (s *site) fused(f *fuse) *cell.Publisher {
	c := s.config()
	f.Log, f.Appender, f.Keys, f.Warehouse, f.LeaseBucket = c.Log, c.Appender, c.Keys, c.Warehouse, c.Bucket
	c.Log, c.Appender, c.Keys, c.Warehouse, c.Bucket = f, f, f, f, f
	p := publisher(s.t, c)
	p.Hurry()
	return p
}

// traffic is what the tests of faults publish: enough for every sort of cell.
func traffic(tenant string) []visit {
	var out []visit
	for _, d := range []int{0, 2} {
		at := noon.AddDate(0, 0, -d)
		out = append(out, people(1, 7, visit{tenant: tenant, at: at, page: "/a", code: 1, size: d})...)
		out = append(out, people(5, 6, visit{tenant: tenant, at: at, page: "/b", code: 2, size: 1})...)
	}
	for _, d := range []int{5, 6} {
		out = append(out, people(d, 3, visit{tenant: tenant, at: noon.AddDate(0, 0, -d), page: "/c", code: 2})...)
	}
	return out
}

// TestAPublisherThatDiesAnywhereCountsNothingTwice: each step of a whole
// publication, done and not done, and then another process goes on. P18, P19.
func TestAPublisherThatDiesAnywhereCountsNothingTwice(t *testing.T) {
	s := start(t)
	// How many steps there are.
	count := &fuse{}
	s.must2(s.publishAll(s.fused(count), "count"))
	if count.steps < 20 {
		t.Fatalf("a publication has %d steps", count.steps)
	}
	steps := count.telling
	if long() {
		steps = steps[:0]
		for i := range count.steps {
			steps = append(steps, i+1)
		}
	}
	for _, last := range steps {
		for _, landed := range []bool{false, true} {
			s.forget()
			tenant := fmt.Sprintf("t%d-%t", last, landed)
			w := newWorld(tenant, time.UTC)
			visits := traffic(tenant)
			w.add(s.publish(visits...), visits...)
			s.loaded()
			p := s.fused(&fuse{last: last, landed: landed})
			for range 2 {
				if _, err := p.Look(t.Context()); err != nil {
					break
				}
				s.loaded()
			}
			s.restart()
			s.cut()
			for _, wrong := range [][]string{w.learn(s.cells(), ago(0)), givesAway(w.numbers()), w.beyond(), w.waits(ago(0)), w.lags(ago(0)), w.absent()} {
				if len(wrong) > 0 {
					t.Fatalf("dead at step %d (done: %t):\n%s", last, landed, strings.Join(wrong, "\n"))
				}
			}
		}
	}
}

func (s *site) must2(_ int, err error) { s.t.Helper(); s.must(err) }

// publishAll publishes the traffic of a tenant and looks once.
func (s *site) publishAll(p *cell.Publisher, tenant string) (int, error) {
	s.t.Helper()
	s.publish(traffic(tenant)...)
	s.loaded()
	return p.Look(s.t.Context())
}

// TestTwoPublishersCutARoundOnce: the lease is taken from one that is still at
// work. What both append the log takes once, and what was refused is cut anew.
func TestTwoPublishersCutARoundOnce(t *testing.T) {
	s := start(t)
	w := newWorld("acme", time.UTC)
	visits := traffic("acme")
	w.add(s.publish(visits...), visits...)
	s.loaded()
	// The second goes between the first's last read and its append, with rows
	// that the first does not know of.
	c := s.config()
	second := publisher(t, s.config())
	second.Hurry()
	meddled := false
	c.Appender = meddler{c.Appender, func() {
		meddled = true
		more := people(40, 9, visit{at: noon.AddDate(0, 0, -1), page: "/a", code: 1})
		w.add(s.publish(more...), more...)
		s.loaded()
		s.must2(second.Look(t.Context()))
		s.loaded()
	}}
	first := publisher(t, c)
	first.Hurry()
	n, err := first.Look(t.Context())
	if err != nil || n != 0 || !meddled {
		t.Errorf("the first published %d cells, %v", n, err)
	}
	s.p = first
	s.cut()
	for _, wrong := range [][]string{w.learn(s.cells(), ago(0)), givesAway(w.numbers()), w.beyond(), w.waits(ago(0))} {
		if len(wrong) > 0 {
			t.Errorf("%s", strings.Join(wrong, "\n"))
		}
	}
}

type meddler struct {
	cell.Appender
	meddle func()
}

func (m meddler) AppendAtomic(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	m.meddle()
	return m.Appender.AppendAtomic(ctx, msgs)
}

// TestWhoHasNotTheLeasePublishesNothing: and takes over from one that is gone.
func TestWhoHasNotTheLeasePublishesNothing(t *testing.T) {
	s := start(t)
	s.publish(traffic("acme")...)
	s.loaded()
	c := s.config()
	c.Owner = "another"
	if _, err := c.Bucket.Update(t.Context(), "lease", []byte(`{"owner":"somebody"}`), 0); err != nil {
		t.Fatal(err)
	}
	if n, err := publisher(t, c).Look(t.Context()); err != nil || n != 0 {
		t.Errorf("without the lease: %d cells, %v", n, err)
	}
	c.Owner = "somebody" // as after a restart
	if n, err := publisher(t, c).Look(t.Context()); err != nil || n == 0 {
		t.Errorf("with the lease: %d cells, %v", n, err)
	}
}

// TestCellsOutliveARebuild: what was published is read back from the log, and
// nothing is cut a second time.
func TestCellsOutliveARebuild(t *testing.T) {
	s := start(t)
	w := newWorld("acme", time.UTC)
	visits := traffic("acme")
	w.add(s.publish(visits...), visits...)
	s.cut()
	before := s.cells()
	s.rebuild()
	s.restart()
	if n := s.cut(); n != 0 {
		t.Errorf("after a rebuild %d cells were published", n)
	}
	w.learn(before, ago(0))
	if wrong := w.learn(s.cells(), ago(0)); len(wrong) > 0 || len(before) < 12 {
		t.Errorf("of %d cells:\n%s", len(before), strings.Join(wrong, "\n"))
	}
}
