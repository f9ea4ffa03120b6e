package eventlog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// DefaultMaxBatch is how many messages one commit holds at most.
	DefaultMaxBatch = 500

	// DefaultLinger is how long a commit waits for company
	// (BenchmarkGroupCommit).
	DefaultLinger = time.Millisecond

	// batchFrom is from how many messages on an atomic batch is cheaper than
	// as many single publishes (BenchmarkCommit).
	batchFrom = 24
	// maxBatchBytes keeps a batch from crowding out the server's intake.
	maxBatchBytes = 8 << 20
	// maxWaitingBytes bounds what callers may pile up before a slow log.
	maxWaitingBytes = 128 << 20
	// ackTimeout is how long a commit may take before its outcome is unknown.
	ackTimeout = 10 * time.Second
	// retryFor is for how long a message with an ID is sent again before its
	// caller is told that the outcome is unknown.
	retryFor = 15 * time.Second
	// The pause between two sendings doubles from the first to the second.
	firstPause = 50 * time.Millisecond
	lastPause  = time.Second
)

// WriterConfig is what a Writer needs.
type WriterConfig struct {
	Stream string
	// Linger is how long a commit that follows a shared one waits for company
	// before it sets out. At most 5 ms; zero means [DefaultLinger], negative
	// waits for nobody. Messages share a commit with all that came while the
	// one before was under way in any case.
	Linger time.Duration
	// MaxBatch is how many messages one commit holds at most, 1000 at the
	// utmost. Zero means [DefaultMaxBatch].
	MaxBatch int
	Metrics  prometheus.Registerer // may be nil
	Log      *slog.Logger
}

// A Writer appends to one stream. Messages of callers that wait together share
// a commit.
type Writer struct {
	nc  *nats.Conn
	cfg WriterConfig
	met writerMetrics

	base  context.Context // ends when Close gives up waiting
	abort context.CancelFunc
	bell  chan struct{}    // holds one token when the queue may have something
	lost  chan nats.Status // says when the connection broke
	done  chan struct{}    // closed when the last flight has landed

	// highest is the highest sequence this writer has seen acknowledged; see
	// item.verdict.
	highest atomic.Uint64

	// mu guards the queue. Every item in it or in a flight is settled exactly
	// once, so that no caller is forgotten.
	mu      sync.Mutex
	queue   []item
	bytes   int
	closing bool
}

// item is one message of one caller.
type item struct {
	Message
	call *appendCall
	i    int
	// seen is the writer's highest when the item was first sent, and maybe
	// says that it may have been stored by a sending that was not answered.
	seen  uint64
	maybe bool
}

// appendCall is one caller of Append.
type appendCall struct {
	acks []Ack
	done chan struct{} // closed when left is zero

	mu   sync.Mutex // guards left and err
	left int
	err  error
}

// NewWriter makes a writer and starts it. Close stops it.
func NewWriter(nc *nats.Conn, cfg WriterConfig) *Writer {
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = DefaultMaxBatch
	}
	cfg.MaxBatch = min(cfg.MaxBatch, maxBatch)
	if cfg.Linger == 0 {
		cfg.Linger = DefaultLinger
	}
	cfg.Linger = min(cfg.Linger, 5*time.Millisecond)
	w := &Writer{
		nc:   nc,
		cfg:  cfg,
		met:  newWriterMetrics(cfg.Metrics, cfg.Stream),
		bell: make(chan struct{}, 1),
		done: make(chan struct{}),
	}
	w.lost = nc.StatusChanged(nats.RECONNECTING, nats.CLOSED)
	w.base, w.abort = context.WithCancel(context.Background())
	go w.run()
	return w
}

// Append appends messages and returns an ack for each when all are on disk.
// They may share a commit with other callers' messages, but what becomes of
// those changes nothing for these.
//
// On an error the acks that are not zero are still good: those messages are on
// disk. Errors are
//
//   - [fault.Unavailable]: the outcome of messages without an ack is unknown;
//     those with an ID were sent again and again already
//   - [fault.Exhausted]: the log has no room; nothing of what has no ack was
//     stored
//   - [fault.Invalid]: a message is too large; nothing was stored
func (w *Writer) Append(ctx context.Context, msgs []Message) ([]Ack, error) {
	if len(msgs) == 0 {
		return nil, nil
	}
	if err := checkMessages(msgs); err != nil {
		return nil, err
	}
	c := &appendCall{acks: make([]Ack, len(msgs)), left: len(msgs), done: make(chan struct{})}
	if err := w.enqueue(c, msgs); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
		return c.acks, c.err
	case <-ctx.Done():
		// The acks still belong to the flights.
		return make([]Ack, len(msgs)), fault.Unavailable.Errorf("waiting for the log: %w", ctx.Err())
	}
}

// AppendAtomic appends all of messages or none, and returns an ack for each.
// They stand in the log one after the other. At most 1000; more are
// [fault.Invalid].
//
// [fault.Conflict] means that a message of one of the IDs is in the log
// already: nothing was stored, and [Log] tells how far an earlier attempt
// came. After [fault.Unavailable] the outcome is unknown; calling again with
// the same IDs is safe and answers Conflict if the first attempt had landed.
func (w *Writer) AppendAtomic(ctx context.Context, msgs []Message) ([]Ack, error) {
	if len(msgs) == 0 {
		return nil, nil
	}
	if len(msgs) > maxBatch {
		return nil, fault.Invalid.Errorf("an atomic append holds %d messages and may hold %d", len(msgs), maxBatch)
	}
	if err := checkMessages(msgs); err != nil {
		return nil, err
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if len(msgs) == 1 {
		return w.appendOne(ctx, msgs[0])
	}
	last, err := commitBatch(ctx, w.nc, w.cfg.Stream, msgs)
	if err != nil {
		return nil, err
	}
	w.saw(last)
	acks := make([]Ack, len(msgs))
	for i := range acks {
		acks[i].Seq = last - uint64(len(msgs)-1-i)
	}
	return acks, nil
}

func (w *Writer) appendOne(ctx context.Context, m Message) ([]Ack, error) {
	var ack Ack
	var failed error
	err := commitSingly(ctx, w.nc, w.cfg.Stream, []Message{m}, func(_ int, a Ack, err error) { ack, failed = a, err })
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	if ack.Duplicate {
		return nil, fault.Conflict.Errorf("a message of this ID is in the log already")
	}
	w.saw(ack.Seq)
	return []Ack{ack}, nil
}

// Close takes no more messages and waits until every caller is answered. When
// ctx ends first it answers those that are left with [fault.Unavailable].
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
	w.ring()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		w.abort()
		<-w.done
		return fault.Unavailable.Errorf("closing the writer of stream %s: %w", w.cfg.Stream, ctx.Err())
	}
}

func (w *Writer) enqueue(c *appendCall, msgs []Message) error {
	size := 0
	for _, m := range msgs {
		size += len(m.Data)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closing {
		return fault.Unavailable.Errorf("the writer of stream %s is closed", w.cfg.Stream)
	}
	if w.bytes > 0 && w.bytes+size > maxWaitingBytes {
		return fault.Unavailable.Errorf("too much is waiting for stream %s", w.cfg.Stream)
	}
	for i, m := range msgs {
		w.queue = append(w.queue, item{Message: m, call: c, i: i})
	}
	w.bytes += size
	w.ring()
	return nil
}

func (w *Writer) ring() {
	select {
	case w.bell <- struct{}{}:
	default:
	}
}

// run sends what waits, a flight at a time. One is enough: the server takes
// the messages of a stream one after the other, and what comes during a flight
// makes the next one large (BenchmarkGroupCommit: two flights are slower).
func (w *Writer) run() {
	defer close(w.done)
	defer w.nc.RemoveStatusListener(w.lost)
	company := 0
	for {
		w.gather(company)
		items, more := w.take()
		if len(items) > 0 {
			w.fly(items)
			company = len(items)
			continue
		}
		if !more {
			return
		}
		<-w.bell
	}
}

// gather waits for as much company as the flight before had, because callers
// that were answered together come back together. A caller who is alone waits
// for nobody.
func (w *Writer) gather(company int) {
	if company < 2 || w.cfg.Linger <= 0 {
		return
	}
	t := time.NewTimer(w.cfg.Linger)
	defer t.Stop()
	for {
		w.mu.Lock()
		enough := len(w.queue) >= min(company, w.cfg.MaxBatch) || w.closing
		w.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-w.bell:
		case <-t.C:
			w.ring() // what rang meanwhile is still to be taken
			return
		}
	}
}

// take returns the next flight's items. More is false when the writer is
// closing and the queue is empty.
func (w *Writer) take() (items []item, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, size := 0, 0
	for n < len(w.queue) && n < w.cfg.MaxBatch && (n == 0 || size+len(w.queue[n].Data) <= maxBatchBytes) {
		size += len(w.queue[n].Data)
		n++
	}
	items = w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil // the flight has the array
	}
	w.bytes -= size
	return items, n > 0 || !w.closing
}

func (w *Writer) saw(seq uint64) {
	for {
		old := w.highest.Load()
		if seq <= old || w.highest.CompareAndSwap(old, seq) {
			return
		}
	}
}

// settle answers for one message of a call. It is called once for each.
func (c *appendCall) settle(i int, a Ack, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acks[i] = a
	if err != nil && (c.err == nil || worse(err, c.err)) {
		c.err = err
	}
	if c.left--; c.left == 0 {
		close(c.done)
	}
}

// worse says whether a tells the caller more than b: that nothing can mend it,
// before that trying again may.
func worse(a, b error) bool {
	return errors.Is(b, fault.Unavailable) && !errors.Is(a, fault.Unavailable)
}
