package hold

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// One append holds this many copies and about as many bytes.
const (
	appendFrames = 64
	appendBytes  = 4 << 20
	// atOnce is how many frames are opened and sealed at the same time: the
	// keyring may be another process.
	atOnce = 16
)

// frames is H2. Copies are appended in the order of their originals, some at a
// time and those all or none, so that what comes behind the last one that is
// there is what is left.
func (c *Copier) frames(ctx context.Context, h Hold) error {
	last, err := c.lastCopied(ctx, h)
	if err != nil {
		return err
	}
	var waiting []eventlog.Received
	size := 0
	for msg, err := range c.c.Log.Range(ctx, eventlog.CleanStream, max(h.Floor, last)+1, h.Upto) {
		if err != nil {
			return err
		}
		if !h.coversTopic(msg.Topic) {
			continue
		}
		waiting, size = append(waiting, msg), size+len(msg.Data)
		if len(waiting) >= appendFrames || size >= appendBytes {
			if err := c.append(ctx, h, waiting); err != nil {
				return err
			}
			waiting, size = nil, 0
		}
	}
	return c.append(ctx, h, waiting)
}

// append makes the copies of clean frames and appends them.
func (c *Copier) append(ctx context.Context, h Hold, originals []eventlog.Received) error {
	copies := make([]*eventlog.Message, len(originals))
	work, workCtx := errgroup.WithContext(ctx)
	work.SetLimit(atOnce)
	for i, msg := range originals {
		work.Go(func() (err error) {
			copies[i], err = c.frame(workCtx, h, msg)
			if err != nil {
				return fmt.Errorf("copying clean frame %d: %w", msg.Seq, err)
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	var all []copied
	for i, m := range copies {
		if m != nil {
			all = append(all, copied{originals[i].Seq, *m})
		}
	}
	return c.appendOnce(ctx, h, all)
}

// copied is the copy of one clean frame.
type copied struct {
	seq uint64 // of the original
	msg eventlog.Message
}

// lastCopied is the sequence of the original whose copy is the last one of the
// hold, and zero where there is none.
func (c *Copier) lastCopied(ctx context.Context, h Hold) (uint64, error) {
	msg, err := c.c.Log.Last(ctx, eventlog.HoldStream, h.Topics())
	if errors.Is(err, fault.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	header, err := parseHeader(msg.Data)
	return header.CleanSeq, err
}

// appendOnce appends copies that are not there.
func (c *Copier) appendOnce(ctx context.Context, h Hold, waiting []copied) error {
	for len(waiting) > 0 {
		if err := c.lease.Keep(ctx); err != nil {
			return err
		}
		msgs := make([]eventlog.Message, len(waiting))
		for i, w := range waiting {
			msgs[i] = w.msg
		}
		_, err := c.c.Appender.AppendAtomic(ctx, msgs)
		if !errors.Is(err, fault.Conflict) {
			return err
		}
		// An append of an earlier attempt has landed since.
		last, lastErr := c.lastCopied(ctx, h)
		if lastErr != nil {
			return lastErr
		}
		left := waiting
		for len(left) > 0 && left[0].seq <= last {
			left = left[1:]
		}
		if len(left) == len(waiting) {
			return err
		}
		waiting = left
	}
	return nil
}

// frame makes the copy of a clean frame; nil is one of which nothing is to be
// copied, or nothing can any more.
func (c *Copier) frame(ctx context.Context, h Hold, msg eventlog.Received) (*eventlog.Message, error) {
	o, body, n, err := c.covered(ctx, h, msg)
	if err != nil || n == 0 {
		return nil, err
	}
	o.Count = n
	data, err := c.seal(ctx, h, o, msg.Seq, body)
	if err == nil && len(data) > eventlog.LargestData {
		// An original may be as large as a message can be. What its copy says
		// beyond it then takes the place of where the original came from.
		o.Event, o.Version, o.Policy, o.RawSeq, o.QuarantineSeq = "", 0, "", 0, 0
		data, err = c.seal(ctx, h, o, msg.Seq, body)
	}
	if err != nil {
		return nil, err
	}
	return &eventlog.Message{
		Topic: event.HoldTopic(h.ID, o.Table),
		ID:    "hold/" + h.ID + "/" + strconv.FormatUint(msg.Seq, 10),
		Data:  data,
	}, nil
}

// covered opens a clean frame and returns the n of its rows that a hold covers;
// none of one of which nothing is to be copied, or nothing can any more.
func (c *Copier) covered(ctx context.Context, h Hold, msg eventlog.Received) (o event.CleanHeader, body []byte, n int, err error) {
	o, header, sealed, err := original(msg.Data)
	if err != nil {
		return o, nil, 0, err
	}
	t, known := c.c.Policy.Table(o.Table)
	if !known || t.Class.Lasting || !h.Covers(o.Table, o.Tenant, o.Service) || !o.Day.End().After(h.Added) || !h.coversDay(o.Class, o.Day) {
		return o, nil, 0, nil
	}
	body, err = c.c.Keys.OpenClean(ctx, o.Tenant, o.Class, string(o.Day), header, sealed)
	if errors.Is(err, keyring.ErrDestroyed) {
		return o, nil, 0, nil
	}
	if err != nil {
		return o, nil, 0, err
	}
	body, n, err = event.KeepRows(body, h.keeps(t))
	return o, body, n, err
}

func (c *Copier) seal(ctx context.Context, h Hold, o event.CleanHeader, seq uint64, body []byte) ([]byte, error) {
	header := event.Header(Header{CleanHeader: o, Hold: h.ID, Until: h.Deadline, CleanSeq: seq})
	class, day := h.Key()
	sealed, err := c.c.Keys.SealClean(ctx, o.Tenant, class, day, header, body)
	if err != nil {
		return nil, err
	}
	return event.Pack(header, sealed), nil
}
