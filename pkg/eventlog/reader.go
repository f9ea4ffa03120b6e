package eventlog

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// ReaderConfig is what a Reader needs.
type ReaderConfig struct {
	Stream  string
	Durable string // the consumer, made by [Apply]
	Log     *slog.Logger
}

// A Reader takes a stream in order through a durable consumer.
//
// The consumer confirms through a sequence: what was delivered below it counts
// as done. So a delivery that was lost on its way (the connection broke, or
// the process before this one fetched and died) must not be followed by a
// confirmation of what came after. Deliveries are numbered without a gap; when
// one is missing, and at every opening, the Reader starts the consumer over
// from what is confirmed.
type Reader struct {
	nc  *nats.Conn
	cfg ReaderConfig

	// The fields below belong to the one goroutine that uses the Reader.

	sub        *nats.Subscription
	inbox      string
	connection uint64 // how often nc had reconnected when sub was made
	// delivery is the number of the last delivery since starting over.
	delivery uint64
	// open are the deliveries not confirmed, in the order they came, and the
	// topics that confirm them.
	open  []delivered
	floor uint64 // the highest sequence known to be confirmed
	ready []Received
}

type delivered struct {
	seq uint64
	ack string
}

// OpenReader opens the reader of a durable consumer. What was fetched before
// and not confirmed comes again.
func OpenReader(ctx context.Context, nc *nats.Conn, cfg ReaderConfig) (*Reader, error) {
	r := &Reader{nc: nc, cfg: cfg}
	// The server does not answer a request to start over a consumer that
	// does not exist.
	if _, err := consumerState(ctx, nc, cfg.Stream, cfg.Durable); err != nil {
		return nil, err
	}
	if err := r.startOver(ctx); err != nil {
		return nil, err
	}
	return r, nil
}

// Fetch returns the messages that come next, in order: at most maxMessages and
// about maxBytes, but one in any case. It waits for the first one and for no
// other, and returns none when wait has passed. A message may come again when
// it stays unconfirmed for [AckWait] or a delivery was lost; callers know it by
// its sequence.
func (r *Reader) Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]Received, error) {
	if r.sub == nil || r.nc.Stats().Reconnects != r.connection {
		// Deliveries to a connection that broke are lost, and the server
		// would wait for their confirmation before it tells.
		if err := r.startOver(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.drain(ctx); err != nil {
		return nil, err
	}
	if len(r.ready) == 0 {
		if err := r.pull(ctx, maxMessages, maxBytes, wait); err != nil {
			return nil, err
		}
	}
	n, size := 0, 0
	for n < len(r.ready) && n < maxMessages && (n == 0 || size+len(r.ready[n].Data) <= maxBytes) {
		size += len(r.ready[n].Data)
		n++
	}
	out := r.ready[:n:n]
	r.ready = r.ready[n:]
	return out, nil
}

// AckThrough confirms that everything up to and including seq is done, and
// returns when the server has said that it knows. It must be a sequence that
// Fetch returned, or one below.
func (r *Reader) AckThrough(ctx context.Context, seq uint64) error {
	if seq <= r.floor {
		return nil
	}
	ctx, cancel := bounded(ctx)
	defer cancel()
	if r.nc.Stats().Reconnects != r.connection {
		// A server that was killed may not remember that it delivered, and
		// then never answers a confirmation.
		_ = r.Close()
	}
	for {
		if d, ok := r.lastOpen(seq); ok && r.sub != nil {
			err := r.confirm(ctx, d)
			if err != nil {
				_ = r.Close() // what it confirms must come again
			}
			return err
		}
		// The consumer was started over since seq was fetched: its deliveries
		// must come again before they can be confirmed.
		if err := r.pull(ctx, 256, 8<<20, time.Second); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fault.Unavailable.Errorf("confirming sequence %d: %w", seq, err)
		}
	}
}

// Floor is the highest sequence that is confirmed.
func (r *Reader) Floor(ctx context.Context) (uint64, error) {
	info, err := consumerState(ctx, r.nc, r.cfg.Stream, r.cfg.Durable)
	if err != nil {
		return 0, err
	}
	return info.Floor, nil
}

// Restart makes everything that is not confirmed come again.
func (r *Reader) Restart(ctx context.Context) error { return r.startOver(ctx) }

// Close ends the subscription. What was fetched and not confirmed stays so.
func (r *Reader) Close() error {
	if r.sub == nil {
		return nil
	}
	err := r.sub.Unsubscribe()
	r.sub = nil
	if err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return unreachable(err)
	}
	return nil
}

// startOver sets the consumer back to what is confirmed. Deliveries that are
// still under way go to an inbox that nobody listens to any more.
func (r *Reader) startOver(ctx context.Context) error {
	_ = r.Close() // the subscription ends with the connection in any case
	r.delivery, r.open, r.ready = 0, nil, nil
	var reset struct {
		Seq uint64 `json:"reset_seq"`
	}
	topic := "$JS.API.CONSUMER.RESET." + r.cfg.Stream + "." + r.cfg.Durable
	if err := call(ctx, r.nc, topic, struct{}{}, &reset); err != nil {
		return err
	}
	if reset.Seq > 0 {
		r.floor = reset.Seq - 1
	}
	r.connection = r.nc.Stats().Reconnects
	r.inbox = r.nc.NewInbox()
	sub, err := r.nc.SubscribeSync(r.inbox)
	if err != nil {
		return unreachable(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return unreachable(err)
	}
	r.sub = sub
	return nil
}

// pull asks for messages and takes what comes until the server says that this
// was all, or wait has passed.
func (r *Reader) pull(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) error {
	if r.sub == nil {
		if err := r.startOver(ctx); err != nil {
			return err
		}
	}
	// One-shot: the server waits for a first message, sends what there is,
	// and says that it is done.
	ask := struct {
		Batch    int           `json:"batch"`
		MaxBytes int           `json:"max_bytes,omitempty"`
		Expires  time.Duration `json:"expires"`
		NoWait   bool          `json:"no_wait"`
	}{max(maxMessages, 1), max(maxBytes, 0), max(wait, time.Millisecond), true}
	body, err := json.Marshal(ask)
	if err != nil {
		panic("eventlog: a request must marshal: " + err.Error())
	}
	if err := r.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+r.cfg.Stream+"."+r.cfg.Durable, r.inbox, body); err != nil {
		return unreachable(err)
	}
	// The server keeps the time; ours is for an answer that was lost.
	limit, cancel := context.WithTimeout(ctx, wait+time.Second)
	defer cancel()
	got := 0
	for got < ask.Batch {
		msg, err := r.sub.NextMsgWithContext(limit)
		if err != nil {
			if ctx.Err() != nil {
				return fault.Unavailable.Errorf("waiting for the log: %w", ctx.Err())
			}
			if errors.Is(err, context.DeadlineExceeded) {
				return nil
			}
			return unreachable(err)
		}
		switch status, described := msg.Header.Get("Status"), msg.Header.Get("Description"); {
		case msg.Reply != "":
			if err := r.take(ctx, msg); err != nil {
				return err
			}
			if r.delivery == 0 {
				return nil // started over; the caller asks again
			}
			got++
		case status == "409" && described == "Message Size Exceeds MaxBytes" && got == 0:
			// The next message is larger than the caller's bound, and one
			// must come in any case.
			return r.pull(ctx, 1, 0, wait)
		case status == "503":
			return unreachable(nats.ErrNoResponders)
		case status == "409" && described == "Consumer Deleted":
			return fault.NotFound.Errorf("consumer %s of stream %s was deleted", r.cfg.Durable, r.cfg.Stream)
		case status != "100":
			return nil // 404, 408, 409: this was all
		}
	}
	return nil
}

// drain takes what came after an earlier pull had given up on it.
func (r *Reader) drain(ctx context.Context) error {
	for r.sub != nil {
		n, _, err := r.sub.Pending()
		if err != nil || n == 0 {
			return nil // a subscription that ended has nothing
		}
		msg, err := r.sub.NextMsgWithContext(ctx)
		if err != nil {
			return unreachable(err)
		}
		if msg.Reply == "" {
			continue // a status of a pull that is over
		}
		if err := r.take(ctx, msg); err != nil {
			return err
		}
	}
	return nil
}

// take makes a delivery ready, unless one before it is missing.
func (r *Reader) take(ctx context.Context, msg *nats.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fault.Corrupt.Errorf("a delivery does not say where it stands in the log")
	}
	if meta.Sequence.Consumer != r.delivery+1 {
		r.cfg.Log.Warn("delivery lost", "stream", r.cfg.Stream, "consumer", r.cfg.Durable,
			"missing", int64(meta.Sequence.Consumer)-int64(r.delivery)-1)
		return r.startOver(ctx)
	}
	r.delivery++
	r.open = append(r.open, delivered{meta.Sequence.Stream, msg.Reply})
	r.ready = append(r.ready, Received{
		Seq:     meta.Sequence.Stream,
		Topic:   msg.Subject,
		ID:      msg.Header.Get(headerID),
		Data:    msg.Data,
		At:      meta.Timestamp,
		Pending: meta.NumPending,
	})
	return nil
}

// lastOpen is the last delivery that a confirmation through seq may use: one of
// seq itself, or of the highest sequence below when seq was not delivered and
// something above it was.
func (r *Reader) lastOpen(seq uint64) (best delivered, ok bool) {
	above := false
	for _, d := range r.open {
		if d.seq <= seq && d.seq >= best.seq {
			best = d
		}
		above = above || d.seq >= seq
	}
	return best, above && best.seq > 0
}

func (r *Reader) confirm(ctx context.Context, d delivered) error {
	if _, err := r.nc.RequestWithContext(ctx, d.ack, []byte("+ACK")); err != nil {
		return fault.Unavailable.Errorf("confirming sequence %d: %w", d.seq, unreachable(err))
	}
	r.floor = max(r.floor, d.seq)
	keep := r.open[:0]
	for _, o := range r.open {
		if o.seq > r.floor {
			keep = append(keep, o)
		}
	}
	r.open = keep
	return nil
}
