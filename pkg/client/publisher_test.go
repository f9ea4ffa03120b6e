package client_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// results gathers what a Publisher tells. Results come one at a time, so only
// the test's own reading needs care: it reads after Flush or Close.
type results struct {
	busy    sync.Mutex
	account client.Account
	failed  []error
	events  int
	batches []int
	first   chan struct{}
	t       *testing.T
}

func (r *results) take(res client.Result) {
	if !r.busy.TryLock() {
		r.t.Error("two results at a time")
		return
	}
	defer r.busy.Unlock()
	if res.Err == nil && len(res.Receipts) != len(res.Events) {
		r.t.Errorf("%d receipts for %d events", len(res.Receipts), len(res.Events))
	}
	r.account.Tally(res.Receipts)
	r.events += len(res.Events)
	r.batches = append(r.batches, len(res.Events))
	if res.Err != nil {
		r.failed = append(r.failed, res.Err)
	}
	if r.first != nil {
		close(r.first)
		r.first = nil
	}
}

// never is a Linger that no test waits for.
const never = time.Hour

func TestAPublisherPublishesEveryEventOnce(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{lost, landed, none, busy, cutShort, internal}
	c, _ := s.client(func(config *client.Config) { config.BatchSize, config.Linger = 7, time.Nanosecond })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take, Buffer: 3})
	events, world := numbered(500, 1, false)
	var wg sync.WaitGroup
	for part := range 5 {
		wg.Go(func() {
			for _, ev := range events[part*100 : part*100+100] {
				if err := p.Add(t.Context(), ev); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.checkWorld(world)
	if r.events != 500 || len(r.failed) != 0 || r.account.Stored+r.account.Duplicate != 500 {
		t.Errorf("results for %d events, %d failed, want 500 and none", r.events, len(r.failed))
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
	for _, q := range s.requests {
		if q.events > 7 {
			t.Errorf("a request of %d events, want at most 7", q.events)
		}
	}
}

func TestABatchEndsAtItsSizeItsBytesOrItsLinger(t *testing.T) {
	s := newServer(t)
	c, _ := s.client(func(config *client.Config) { config.BatchSize, config.BatchBytes, config.Linger = 3, 300, never })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take, InFlight: 1})
	add := func(pad int) {
		if err := p.Add(t.Context(), client.Event{Event: "test", Data: data{Name: fmt.Sprint(pad), Pad: fmt.Sprintf("%*d", pad, 0)}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, pad := range []int{1, 2, 3 /* size */, 150, 151 /* bytes: 150 alone */, 1000 /* alone */, 4} {
		add(pad)
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(r.batches); got != "[3 1 1 1 1]" {
		t.Errorf("batches of %s events, want [3 1 1 1 1]", got)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}

	// With a short Linger, a single event leaves without any other.
	c, _ = s.client(func(config *client.Config) { config.Linger = time.Nanosecond })
	r = &results{t: t, first: make(chan struct{})}
	told := r.first
	p = c.Publisher(client.PublisherConfig{Results: r.take})
	add(5)
	<-told
	if err := p.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFullBufferMakesAddWait(t *testing.T) {
	s := newServer(t)
	s.hold = make(chan struct{})
	c, _ := s.client(func(config *client.Config) { config.BatchSize, config.Linger = 1, never })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take, Buffer: 2, InFlight: 1})
	events, _ := numbered(100, 1, false)

	// One on its way, one in hand, two in the buffer: not all hundred fit.
	full, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("full")
	taken := 0
	blocked := make(chan error)
	progress := make(chan struct{}, 100)
	go func() {
		for _, ev := range events {
			if err := p.Add(full, ev); err != nil {
				blocked <- err
				return
			}
			taken++
			progress <- struct{}{}
		}
		blocked <- nil
	}()
	for range 3 { // what fits in any schedule, before the server answers
		<-progress
	}
	cancel(stop)
	if err := <-blocked; !errors.Is(err, stop) {
		t.Errorf("Add returned %v, want the context's cause", err)
	}
	close(s.hold)
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if taken > 5 || r.events != taken || len(s.stored) != taken {
		t.Errorf("%d taken, %d results, %d stored; want all equal and at most 5", taken, r.events, len(s.stored))
	}
}

func TestCloseThatGivesUpStillTellsEveryEvent(t *testing.T) {
	s := newServer(t)
	s.hold = make(chan struct{})
	defer close(s.hold)
	c, _ := s.client(func(config *client.Config) { config.BatchSize, config.Linger = 4, never })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take, Buffer: 100, InFlight: 2})
	events, _ := numbered(30, 1, false)
	for _, ev := range events {
		if err := p.Add(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := p.Close(ctx); !errors.Is(err, enough) {
		t.Errorf("Close returned %v, want the context's cause", err)
	}
	if r.events != 30 || r.account.Read != 0 {
		t.Errorf("results for %d events, %d with receipts; want 30 and none", r.events, r.account.Read)
	}
	for _, err := range r.failed {
		if !errors.Is(err, enough) {
			t.Errorf("a result has %v, want the context's cause", err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("closing again returns %v", err)
	}
}

func TestAClosedPublisherTakesNothing(t *testing.T) {
	s := newServer(t)
	c, _ := s.client()
	p := c.Publisher(client.PublisherConfig{})
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	events, _ := numbered(1, 1, false)
	if err := p.Add(t.Context(), events[0]); !errors.Is(err, fault.Conflict) {
		t.Errorf("Add returned %v, want conflict", err)
	}
	if err := p.Flush(t.Context()); !errors.Is(err, fault.Conflict) {
		t.Errorf("Flush returned %v, want conflict", err)
	}
}

func TestAddAndCloseRaceWithoutLosingAnEvent(t *testing.T) {
	s := newServer(t)
	c, _ := s.client(func(config *client.Config) { config.BatchSize = 5 })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take, Buffer: 1})
	events, _ := numbered(200, 1, false)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	started := make(chan struct{}, 200)
	for _, ev := range events {
		wg.Go(func() {
			err := p.Add(t.Context(), ev)
			started <- struct{}{}
			if err == nil {
				mu.Lock()
				taken++
				mu.Unlock()
			} else if !errors.Is(err, fault.Conflict) {
				t.Errorf("Add returned %v", err)
			}
		})
	}
	<-started
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if r.events != taken || len(s.stored) != taken {
		t.Errorf("%d taken, %d results, %d stored; want all equal", taken, r.events, len(s.stored))
	}
}

func TestATooLargeBatchGoesInHalves(t *testing.T) {
	s := newServer(t)
	s.maxBatch = 10
	c, _ := s.client(func(config *client.Config) { config.BatchSize, config.Linger = 100, never })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take})
	events, world := numbered(100, 1, true)
	for _, ev := range events {
		if err := p.Add(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.checkWorld(world)
	if r.events != 100 || r.account.Stored != 100 || len(r.failed) != 0 {
		t.Errorf("%d results, %d stored, %d failed; want 100, 100 and 0", r.events, r.account.Stored, len(r.failed))
	}
}

func TestAFailedBatchIsToldAndTheNextGoesOn(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{garbled}
	c, _ := s.client(func(config *client.Config) { config.BatchSize, config.Linger = 10, never })
	r := &results{t: t}
	p := c.Publisher(client.PublisherConfig{Results: r.take, InFlight: 1})
	events, _ := numbered(20, 1, false)
	for _, ev := range events {
		if err := p.Add(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Add(t.Context(), client.Event{Event: "test"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("an event without data: %v, want invalid", err)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.events != 20 || r.account.Stored != 10 || len(r.failed) != 1 || !errors.Is(r.failed[0], fault.Corrupt) {
		t.Errorf("%d results, %d stored, failures %v", r.events, r.account.Stored, r.failed)
	}
}
