package gateway

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// frame is events of one request that share service, event and version.
type frame struct {
	service string
	schema  *policy.Schema
	indexes []int // of the request's events
	bytes   int
	message eventlog.Message
	// duplicate is what the log said.
	duplicate bool
}

// gather puts the events to be stored into frames, in the order in which each
// kind first comes. Dated events have frames of their own: which of them are
// admitted depends on the clock, so the same request again may fill other
// frames with them. They are known by their IDs then; undated ones are known
// by their frame alone, which has to be the same.
func gather(subs []submission, events []admitted) []*frame {
	type kind struct {
		service string
		schema  *policy.Schema
		dated   bool
	}
	var frames []*frame
	filling := map[kind]*frame{}
	for i, e := range events {
		s := subs[i]
		if s.problem != "" || e.expired || e.first != i {
			continue
		}
		k := kind{s.service, s.schema, e.dated}
		f := filling[k]
		if f == nil || len(f.indexes) == event.MaxFrameEvents || f.bytes+len(s.data) > event.MaxFrameBytes {
			f = &frame{service: s.service, schema: s.schema}
			filling[k] = f
			frames = append(frames, f)
		}
		f.indexes = append(f.indexes, i)
		f.bytes += len(s.data)
	}
	return frames
}

// seal makes the messages of a request. 5 and 6. An event too large for a
// message gets a problem, and its frame is left out.
func (g *Gateway) seal(ctx context.Context, from sender, subs []submission, events []admitted, now time.Time) ([]*frame, error) {
	var sealed []*frame
	for _, f := range gather(subs, events) {
		header := event.Header(event.RawHeader{
			Tenant:  from.tenant,
			Service: f.service,
			Event:   f.schema.Event,
			Version: f.schema.Version,
			Policy:  g.cfg.Policy.Digest(),
			Count:   len(f.indexes),
		})
		body, err := g.cfg.Keys.SealRaw(ctx, from.tenant, now, header, f.body(events, now))
		if err != nil {
			return nil, err
		}
		shard := int((g.frames.Add(1) - 1) % uint64(g.cfg.Shards))
		f.message = eventlog.Message{
			Topic: event.RawTopic(from.tenant, f.service, f.schema.Event, shard),
			Data:  event.Pack(header, body),
		}
		if len(f.message.Data) > eventlog.LargestData {
			for _, i := range f.indexes {
				subs[i].problem = tooLarge
			}
			continue
		}
		if from.key != "" || f.named(events) {
			f.message.ID, err = g.cfg.Keys.MessageID(ctx, from.tenant,
				[]byte(from.credential), []byte(from.key), from.digest, f.place())
			if err != nil {
				return nil, err
			}
		}
		sealed = append(sealed, f)
	}
	return sealed, nil
}

// named says whether a frame is known when its request comes again: each of its
// events is, by its publisher's id.
func (f *frame) named(events []admitted) bool {
	for _, i := range f.indexes {
		if !events[i].named {
			return false
		}
	}
	return true
}

func (f *frame) body(events []admitted, now time.Time) []byte {
	fields := f.schema.FieldNames()
	raws := make([]event.Raw, len(f.indexes))
	for j, i := range f.indexes {
		e := events[i]
		raws[j] = event.NewRaw(event.Contents{
			ID:         e.id,
			OccurredAt: e.at,
			ReceivedAt: now,
			Identified: e.named && e.dated,
			Fields:     fields,
			Values:     e.values,
		})
	}
	return event.RawBody(raws)
}

// place says which events of the request a frame holds. It is part of the
// frame's message ID instead of an ordinal, because the same request again may
// fall into other frames (an event has expired since), and a frame must never
// be taken for one that held other events. The schema's version is left out:
// the newest may be another by then, and the events are the same.
func (f *frame) place() []byte {
	b := []byte(f.service + "\x00" + f.schema.Event + "\x00")
	for _, i := range f.indexes {
		b = binary.AppendUvarint(b, uint64(i))
	}
	return b
}

// append appends the frames and learns which were there before. 7.
func (g *Gateway) append(ctx context.Context, frames []*frame) error {
	if len(frames) == 0 {
		return nil
	}
	msgs := make([]eventlog.Message, len(frames))
	for j, f := range frames {
		msgs[j] = f.message
	}
	began := time.Now()
	acks, err := g.cfg.Raw.Append(ctx, msgs)
	if err != nil {
		return err
	}
	if len(acks) != len(frames) {
		return fault.Corrupt.Errorf("the log acknowledged %d frames of %d", len(acks), len(frames))
	}
	for j, f := range frames {
		if acks[j].Seq == 0 {
			return fault.Unavailable.Errorf("a frame was not acknowledged")
		}
		f.duplicate = acks[j].Duplicate
	}
	g.met.committed(len(frames), began)
	return nil
}

// receipts says what became of each event.
func receipts(subs []submission, events []admitted, frames []*frame) []Receipt {
	out := make([]Receipt, len(subs))
	for i, e := range events {
		out[i] = Receipt{Index: i}
		switch {
		case subs[i].problem != "":
			out[i].Status, out[i].Problem = Refused, subs[i].problem
		case e.expired:
			out[i].Status = Expired
		}
	}
	for _, f := range frames {
		for _, i := range f.indexes {
			e := events[i]
			out[i].Status, out[i].ID = Stored, e.id.String()
			if f.duplicate {
				out[i].Status = Duplicate
				if !e.named || !e.dated {
					out[i].ID = "" // the first time, it was another
				}
			}
		}
	}
	for i, e := range events {
		if e.first != i {
			out[i].Status, out[i].ID, out[i].Problem = Duplicate, out[e.first].ID, ""
			if out[e.first].Status == Refused {
				out[i].Status, out[i].Problem = Refused, out[e.first].Problem
			}
		}
	}
	return out
}
