package client

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// defaultInFlight is the number of requests that a Publisher has on their way
// at a time.
const defaultInFlight = 4

// PublisherConfig says how a Publisher works beside the Client's Config. The
// zero value is a good one.
type PublisherConfig struct {
	// Buffer is the number of events that wait to be sent before Add blocks;
	// by default four batches.
	Buffer int
	// InFlight is the number of requests on their way at a time; by default 4.
	InFlight int
	// Results is told what became of each request. It is called by one
	// goroutine at a time, and what it blocks is publishing.
	Results func(Result)
}

// A Result is what became of some events that a Publisher took. Either every
// event has a receipt, by its place in Events, or Err says why none has.
type Result struct {
	Events   []Event
	Receipts []Receipt
	Err      error
}

// A Publisher gathers events into requests and sends them in the background.
// It keeps no order between requests.
type Publisher struct {
	client  *Client
	results func(Result)

	// ctx ends when Close gives up waiting; requests are made under it.
	ctx    context.Context
	cancel context.CancelCauseFunc

	queue   chan item
	slots   chan struct{} // one token per request on its way
	closing chan struct{} // closed first, so that no Add waits any more
	done    chan struct{} // closed last, when every result is out
	once    sync.Once

	// mu is held for reading while something is sent to queue, and for writing
	// while queue is closed: nothing is ever sent to a closed queue.
	mu     sync.RWMutex
	closed bool

	// telling is held during a call of results.
	telling sync.Mutex
}

// An item is an event, or a mark that Flush put behind the events before it.
type item struct {
	event Event
	encoded
	flushed chan struct{}
}

// Publisher returns a running Publisher. Close it.
func (c *Client) Publisher(config PublisherConfig) *Publisher {
	defaultTo(&config.Buffer, 4*c.config.BatchSize)
	defaultTo(&config.InFlight, defaultInFlight)
	if config.Results == nil {
		config.Results = func(Result) {}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	p := &Publisher{
		client:  c,
		results: config.Results,
		ctx:     ctx,
		cancel:  cancel,
		queue:   make(chan item, config.Buffer),
		slots:   make(chan struct{}, config.InFlight),
		closing: make(chan struct{}),
		done:    make(chan struct{}),
	}
	go p.run()
	return p
}

// Add takes an event to publish. It blocks while the buffer is full, until ctx
// ends. An event that cannot be written as JSON is a fault.Invalid, and a
// closed Publisher a fault.Conflict; when Add returns an error, the event was
// not taken. When it returns nil, what became of it comes as a Result.
//
// The event's data is read before Add returns, and may be changed after.
func (p *Publisher) Add(ctx context.Context, ev Event) error {
	e, err := ev.encode()
	if err != nil {
		return err
	}
	return p.put(ctx, item{event: ev, encoded: e})
}

// Flush sends what waits, and returns when there is a Result for every event
// that was added before.
func (p *Publisher) Flush(ctx context.Context) error {
	mark := item{flushed: make(chan struct{})}
	if err := p.put(ctx, mark); err != nil {
		return err
	}
	select {
	case <-mark.flushed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flushing: %w", context.Cause(ctx))
	}
}

// Close sends what waits, and returns when there is a Result for every event.
// When ctx ends first, requests are broken off: their events' results have
// ctx's error, and so does Close.
func (p *Publisher) Close(ctx context.Context) error {
	p.once.Do(func() {
		close(p.closing)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed = true
		close(p.queue)
	})
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.cancel(context.Cause(ctx))
		<-p.done
		return fmt.Errorf("closing the publisher: %w", context.Cause(ctx))
	}
}

func (p *Publisher) put(ctx context.Context, it item) error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return fault.Conflict.Errorf("the publisher is closed")
	}
	select {
	case p.queue <- it:
		return nil
	case <-p.closing:
		return fault.Conflict.Errorf("the publisher is closed")
	case <-ctx.Done():
		return fmt.Errorf("waiting to publish: %w", context.Cause(ctx))
	}
}

// run gathers events into batches until the queue is closed and empty, and
// every batch has its result. Only this goroutine touches what it declares.
func (p *Publisher) run() {
	defer close(p.done)
	defer p.cancel(nil)
	var (
		items []item
		size  int
		sent  []chan struct{} // of requests on their way, and some answered
	)
	linger := time.NewTimer(p.client.config.Linger)
	defer linger.Stop()
	send := func() {
		linger.Stop()
		if len(items) == 0 {
			return
		}
		sent = slices.DeleteFunc(sent, isClosed)
		answered := make(chan struct{})
		sent = append(sent, answered)
		p.slots <- struct{}{}
		go func(items []item) {
			defer close(answered)
			defer func() { <-p.slots }()
			p.deliver(items)
		}(items)
		items, size = nil, 0
	}
	for {
		select {
		case <-linger.C:
			send()
		case it, open := <-p.queue:
			switch {
			case !open:
				send()
				wait(sent)
				return
			case it.flushed != nil:
				send()
				go func(sent []chan struct{}) {
					wait(sent)
					close(it.flushed)
				}(slices.Clone(sent))
			default:
				if size+len(it.json) > p.client.config.BatchBytes {
					send()
				}
				if len(items) == 0 {
					linger.Reset(p.client.config.Linger)
				}
				items, size = append(items, it), size+len(it.json)
				if len(items) >= p.client.config.BatchSize {
					send()
				}
			}
		}
	}
}

// deliver sends events and tells their result. A request that the server
// finds too large is sent in halves; nothing of it was stored.
func (p *Publisher) deliver(items []item) {
	b := make(batch, len(items))
	for i, it := range items {
		b[i] = it.encoded
	}
	receipts, f := p.client.publish(p.ctx, b)
	if f != nil && f.status == http.StatusRequestEntityTooLarge && len(items) > 1 {
		p.deliver(items[:len(items)/2])
		p.deliver(items[len(items)/2:])
		return
	}
	result := Result{Events: make([]Event, len(items)), Receipts: receipts}
	for i, it := range items {
		result.Events[i] = it.event
	}
	if f != nil {
		result.Err = fmt.Errorf("publishing %d events: %w", len(items), f.err)
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	p.results(result)
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func wait(cs []chan struct{}) {
	for _, c := range cs {
		<-c
	}
}
