package eventlog

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// fly commits items and settles each of them.
func (w *Writer) fly(items []item) {
	began := time.Now()
	seen := w.highest.Load()
	for i := range items {
		items[i].seen = seen
	}
	if len(items) >= batchFrom {
		ctx, cancel := w.whileConnected()
		last, err := commitBatch(ctx, w.nc, w.cfg.Stream, messages(items))
		cancel()
		if err == nil {
			w.saw(last)
			for i, it := range items {
				it.call.settle(it.i, Ack{Seq: last - uint64(len(items)-1-i)}, nil)
			}
			w.met.committed("batch", len(items), began)
			return
		}
		// A duplicate anywhere in it, or no room for all of it, refuses a
		// batch whole. Singly, each gets an answer of its own.
		if !errors.Is(err, errNothingStored) {
			items = w.keepNamed(items, err)
		}
	}
	w.flySingly(items)
	w.met.committed("single", len(items), began)
}

// flySingly sends items one by one until each has its answer: again and again
// those that bear an ID or were refused for certain, and the others once.
func (w *Writer) flySingly(items []item) {
	var err error
	began, pause := time.Now(), firstPause
	for first := true; len(items) > 0; first = false {
		if !first {
			if time.Since(began) > retryFor || !w.sleep(pause) {
				break
			}
			pause = min(2*pause, lastPause)
		}
		acks := make([]Ack, len(items))
		errs := make([]error, len(items))
		ctx, cancel := w.whileConnected()
		err = commitSingly(ctx, w.nc, w.cfg.Stream, messages(items), func(i int, a Ack, err error) {
			acks[i], errs[i] = a, err
		})
		cancel()
		var again, open []item
		for i, it := range items {
			switch {
			case acks[i].Seq > 0:
				w.saw(acks[i].Seq)
				it.call.settle(it.i, it.verdict(acks[i]), nil)
			case errs[i] == nil:
				open = append(open, it)
			case errors.Is(errs[i], fault.Unavailable) && errors.Is(errs[i], errNothingStored):
				again, err = append(again, it), errs[i]
			case errors.Is(errs[i], fault.Unavailable):
				open, err = append(open, it), errs[i]
			default:
				it.call.settle(it.i, Ack{}, errs[i])
			}
		}
		items = append(again, w.keepNamed(open, err)...)
	}
	if len(items) == 0 {
		return
	}
	for _, it := range items {
		it.call.settle(it.i, Ack{}, fault.Unavailable.Errorf("the outcome is unknown: %w", err))
	}
	w.cfg.Log.Warn("append given up", "stream", w.cfg.Stream, "messages", len(items), "err", err)
}

// verdict is what the caller is told of an answer. A duplicate of something
// above all that was acknowledged before the first sending is a duplicate of
// that sending, whose answer was lost.
func (it item) verdict(a Ack) Ack {
	a.Duplicate = a.Duplicate && !(it.maybe && a.Seq > it.seen)
	return a
}

// keepNamed keeps the items that may be sent again although they may have been
// stored, and answers the others that their outcome is unknown.
func (w *Writer) keepNamed(items []item, err error) []item {
	var named []item
	for _, it := range items {
		if it.ID != "" {
			it.maybe = true
			named = append(named, it)
			continue
		}
		it.call.settle(it.i, Ack{}, fault.Unavailable.Errorf("the outcome is unknown: %w", err))
	}
	if unknown := len(items) - len(named); unknown > 0 {
		w.cfg.Log.Warn("append outcome unknown", "stream", w.cfg.Stream, "messages", unknown, "err", err)
	}
	return named
}

// whileConnected returns the context of one sending. It ends when the
// connection is lost, because no answer comes then.
func (w *Writer) whileConnected() (context.Context, context.CancelFunc) {
	for drained := false; !drained; {
		select {
		case <-w.lost:
		default:
			drained = true
		}
	}
	ctx, cancel := context.WithTimeoutCause(w.base, ackTimeout, errSilent)
	ctx, abandon := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-w.lost:
			abandon(nats.ErrDisconnected)
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

var errSilent = errors.New("no answer in time")

func (w *Writer) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.base.Done():
		return false
	}
}

func messages(items []item) []Message {
	msgs := make([]Message, len(items))
	for i, it := range items {
		msgs[i] = it.Message
	}
	return msgs
}
