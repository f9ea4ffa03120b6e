package pseudonymizer

import (
	"context"
	"errors"
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// commit makes the outcomes of raw frames durable, in their order and in
// batches of whole frames.
func (p *Pseudonymizer) commit(ctx, work context.Context, outcomes []*outcome) error {
	for len(outcomes) > 0 {
		n, size := 1, len(outcomes[0].clean)
		for n < len(outcomes) && size+len(outcomes[n].clean) <= maxBatch {
			size += len(outcomes[n].clean)
			n++
		}
		if err := p.commitBatch(ctx, work, outcomes[:n]); err != nil {
			return err
		}
		outcomes = outcomes[n:]
	}
	return nil
}

func (p *Pseudonymizer) commitBatch(ctx, work context.Context, outcomes []*outcome) error {
	var waiting []eventlog.Message
	for _, o := range outcomes {
		waiting = append(waiting, o.quarantine...)
	}
	crashpoint.Reach("pseudonymizer.treated")
	if err := p.setAside(ctx, work, waiting); err != nil { // T3
		return err
	}
	crashpoint.Reach("pseudonymizer.quarantined")
	if err := p.append(ctx, work, outcomes); err != nil { // T4
		return err
	}
	crashpoint.Reach("pseudonymizer.appended")
	p.done = max(p.done, outcomes[len(outcomes)-1].seq)
	for _, o := range outcomes {
		p.counts.frame(o)
		if o.quarantined > 0 {
			p.cfg.Log.Warn("events quarantined", "seq", o.seq, "event", o.event, "events", o.quarantined)
		}
	}
	return nil
}

// setAside puts what cannot be treated into quarantine. A frame that is there
// already is recognized by its id.
func (p *Pseudonymizer) setAside(ctx, work context.Context, msgs []eventlog.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	err := p.retry(ctx, "appending to quarantine", func() error {
		_, err := p.cfg.Quarantine.Append(work, msgs)
		return err
	})
	if err != nil {
		return fmt.Errorf("appending to quarantine: %w", err)
	}
	return nil
}

// append puts the clean frames of whole raw frames on the clean log: all of
// them, or, where an id is known, one raw frame after the other. The clean
// frames of one raw frame stand or fall together, so a known id says that the
// raw frame was appended before, by an attempt whose answer was lost or by a
// process that could not acknowledge.
func (p *Pseudonymizer) append(ctx, work context.Context, outcomes []*outcome) error {
	var msgs []eventlog.Message
	for _, o := range outcomes {
		msgs = append(msgs, o.clean...)
	}
	err := p.atomic(ctx, work, msgs)
	if !errors.Is(err, fault.Conflict) {
		return err
	}
	for _, o := range outcomes {
		if err := p.atomic(ctx, work, o.clean); errors.Is(err, fault.Conflict) {
			p.counts.repeated(o)
			o.rows = 0
		} else if err != nil {
			return err
		}
	}
	return nil
}

// atomic appends messages to the clean log as one batch, or as several where
// there are too many of them for one.
func (p *Pseudonymizer) atomic(ctx, work context.Context, msgs []eventlog.Message) error {
	known := false
	for len(msgs) > 0 {
		n := len(msgs) % maxBatch // the last batch is a full one: it names the raw frame
		if n == 0 {
			n = maxBatch
		}
		err := p.retry(ctx, "appending to the clean log", func() error {
			_, err := p.cfg.Clean.AppendAtomic(work, msgs[:n])
			return err
		})
		switch {
		case errors.Is(err, fault.Conflict):
			known = true // and go on: a later batch may be missing
		case err != nil:
			return fmt.Errorf("appending to the clean log: %w", err)
		}
		msgs = msgs[n:]
	}
	if known {
		return fault.Conflict.Errorf("the clean log has some of these frames")
	}
	return nil
}
