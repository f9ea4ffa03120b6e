package pseudonymizer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// Waiting is one frame of events that could not be treated.
type Waiting struct {
	Seq                    uint64
	At                     time.Time // when they were first set aside
	Tenant, Service, Event string
	Reason                 string // names a field, never a value
	Count                  int    // events
}

// Waiting lists what is in quarantine, oldest first. It opens nothing.
func (p *Pseudonymizer) Waiting(ctx context.Context) ([]Waiting, error) {
	var out []Waiting
	err := p.eachWaiting(ctx, func(f *waitingFrame) error {
		h := f.header
		out = append(out, Waiting{
			Seq: f.seq, At: time.UnixMilli(h.At).UTC(),
			Tenant: h.Tenant, Service: h.Service, Event: h.Event, Reason: h.Reason, Count: h.Count,
		})
		return nil
	})
	return out, err
}

// waitingFrame is a frame of quarantine, not opened.
type waitingFrame struct {
	seq         uint64
	id          string
	header      event.QuarantineHeader
	aad, sealed []byte
}

// eachWaiting goes through what is in quarantine when it is called.
func (p *Pseudonymizer) eachWaiting(ctx context.Context, do func(*waitingFrame) error) error {
	info, err := p.cfg.Frames.Info(ctx, eventlog.QuarantineStream)
	if err != nil {
		return fmt.Errorf("reading quarantine: %w", err)
	}
	if info.Messages == 0 {
		return nil
	}
	for m, err := range p.cfg.Frames.Range(ctx, eventlog.QuarantineStream, info.First, info.Last) {
		if err != nil {
			return fmt.Errorf("reading quarantine: %w", err)
		}
		f := &waitingFrame{seq: m.Seq, id: m.ID}
		if f.aad, f.sealed, err = event.Unpack(m.Data); err == nil {
			err = event.ParseHeader(f.aad, &f.header)
		}
		if err == nil {
			err = do(f)
		}
		if err != nil {
			return fmt.Errorf("quarantine frame %d: %w", m.Seq, err)
		}
	}
	return nil
}

// Redriven says what became of waiting events.
type Redriven struct {
	Read    int // events looked at
	Stored  int // treated and on the clean log
	Waiting int // still not to be treated
	Expired int // past their rule, or their key is destroyed
}

// Redrive treats what waits in quarantine again, under the present policy. A
// frame leaves quarantine in steps, each on disk before the next:
//
//	R1  rest    events of it that still cannot be treated, in a frame of their
//	            own that names the old one in its message id
//	R2  append  the clean frames of all others, as one atomic batch
//	R3  delete  the old frame
//
// A crash leaves the old frame. The next redrive takes from it what a rest
// frame has, whatever policy it works under, and finds by their ids the clean
// frames that are there. So nothing is lost, and nothing is stored twice
// within the 24 hours that the log knows an id; after that, an event that its
// publisher named is still recognized by the loader (net 3).
func (p *Pseudonymizer) Redrive(ctx context.Context) (Redriven, error) {
	p.redriving.Lock()
	defer p.redriving.Unlock()
	var r Redriven
	rests := map[uint64][]*waitingFrame{}
	err := p.eachWaiting(ctx, func(f *waitingFrame) error {
		if old, ok := restOf(f.id); ok {
			rests[old] = append(rests[old], f)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	err = p.eachWaiting(ctx, func(f *waitingFrame) error { return p.redrive(ctx, f, rests[f.seq], &r) })
	return r, err
}

// restOf reads which frame of quarantine a frame is the rest of.
func restOf(id string) (seq uint64, ok bool) {
	id, ok = strings.CutPrefix(id, asidePrefix+"q")
	if !ok {
		return 0, false
	}
	number, _, _ := strings.Cut(id, "/")
	seq, err := strconv.ParseUint(number, 10, 64)
	return seq, err == nil
}

func (p *Pseudonymizer) redrive(ctx context.Context, f *waitingFrame, rests []*waitingFrame, r *Redriven) error {
	h := f.header
	raws, err := p.open(ctx, f)
	switch {
	case errors.Is(err, keyring.ErrDestroyed):
		r.Read += h.Count
		r.Expired += h.Count
		return p.remove(ctx, f.seq)
	case errors.Is(err, errUnreadable):
		r.Read += h.Count
		r.Waiting += h.Count
		return nil
	case err != nil:
		return err
	}
	for _, rest := range rests { // an earlier redrive came to R1
		has, err := p.open(ctx, rest)
		if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
			return err
		}
		raws = without(raws, has)
	}
	r.Read += len(raws)
	from := origin{
		header: event.RawHeader{Tenant: h.Tenant, Service: h.Service, Event: h.Event, Version: h.Version, Policy: h.Policy, Count: h.Count},
		prefix: "q" + strconv.FormatUint(f.seq, 10),
		rawSeq: h.RawSeq, quarantineSeq: f.seq, since: time.UnixMilli(h.At).UTC(),
	}
	if len(rests) > 0 {
		from.again = "/" + strconv.Itoa(len(rests))
	}
	o := &outcome{event: h.Event, events: len(raws)}
	rejected, err := p.redriver.treat(ctx, o, from, raws)
	if err != nil {
		return err
	}
	r.Waiting += len(rejected)
	if len(rejected) == len(raws) && len(raws) > 0 {
		return nil
	}
	if err := p.setAside(ctx, ctx, o.quarantine); err != nil { // R1
		return err
	}
	crashpoint.Reach("pseudonymizer.rest")
	err = p.atomic(ctx, ctx, o.clean) // R2
	if err != nil && !errors.Is(err, fault.Conflict) {
		return err
	}
	crashpoint.Reach("pseudonymizer.redriven")
	r.Expired += o.expired
	r.Stored += len(raws) - len(rejected) - o.expired
	p.counts.redriven(o, len(rejected))
	p.cfg.Log.Info("events redriven", "seq", f.seq, "event", h.Event, "events", len(raws)-len(rejected))
	return p.remove(ctx, f.seq) // R3
}

// errUnreadable is a body that no policy makes readable.
var errUnreadable = fault.Invalid.Errorf("the frame's body is not readable")

// open opens a frame of quarantine.
func (p *Pseudonymizer) open(ctx context.Context, f *waitingFrame) ([]event.Raw, error) {
	var body []byte
	err := p.retry(ctx, "opening quarantine", func() (err error) {
		body, err = p.cfg.Keys.OpenQuarantine(ctx, f.header.Tenant, f.aad, f.sealed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening: %w", err)
	}
	raws, err := event.ParseRawBody(body)
	if err != nil {
		return nil, errUnreadable
	}
	return raws, nil
}

// remove deletes a frame from quarantine.
func (p *Pseudonymizer) remove(ctx context.Context, seq uint64) error {
	err := p.retry(ctx, "deleting from quarantine", func() error {
		return p.cfg.Frames.Delete(ctx, eventlog.QuarantineStream, seq)
	})
	if err != nil && !errors.Is(err, fault.NotFound) {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}

// without returns the events that are not among others.
func without(raws, others []event.Raw) []event.Raw {
	has := map[event.ID]bool{}
	for _, o := range others {
		has[o.ID()] = true
	}
	out := raws[:0]
	for _, raw := range raws {
		if !has[raw.ID()] {
			out = append(out, raw)
		}
	}
	return out
}
