package cell

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// lookedEntry is the entry of [eventlog.CellBucket] that says how far the
// publisher is.
const lookedEntry = "looked"

// looked says that whatever the warehouse had at a moment was looked at, and
// that it has all cells that came of it.
type looked struct {
	Seq uint64    `json:"seq"` // of the clean log, through which it had all
	At  time.Time `json:"at"`
}

// A tick is a moment, a multiple of every, at which everything that the
// warehouse had was in the books. It does not follow from what came.
type tick struct {
	looked
	taken time.Duration // when, by the publisher's clock
	done  bool          // all of it was looked at
	cells uint64        // then: the last of the cells so far
}

const (
	// every is how often to look where no row came: a day may have passed.
	every = 10 * time.Second
	// behind is by how much [AsOf] is behind the clock. In so much time what
	// came is looked at: it waits noQuiet at most, and then for the next tick.
	behind = noQuiet + 3*every
	// mostTicks are remembered: more than pass in behind.
	mostTicks = 12
)

// AsOf is a moment of which the numbers that are published leave nothing out:
// what the warehouse had then was looked at, and was published or waits for
// more subjects. It is zero where nothing was looked at yet.
//
// It says nothing about what came and what waits: a publisher that is looked
// over somebody's shoulder would show that a row came by being late. So it is a
// minute behind now, in steps of [every], whether rows came or not. It is later
// than that where the publisher is.
func AsOf(ctx context.Context, bucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
}, now time.Time) (time.Time, error) {
	told, _, err := lastLooked(ctx, bucket)
	if err != nil || told.At.IsZero() {
		return time.Time{}, err
	}
	at := now.Add(-behind).Truncate(every)
	if told.At.Before(at) {
		at = told.At
	}
	return at.UTC(), nil
}

// lastLooked is what the bucket says, and the revision of its entry.
func lastLooked(ctx context.Context, bucket interface {
	Get(ctx context.Context, name string) (eventlog.Entry, error)
}) (out looked, revision uint64, err error) {
	e, err := bucket.Get(ctx, lookedEntry)
	if errors.Is(err, fault.NotFound) {
		return looked{}, 0, nil
	}
	if err != nil {
		return looked{}, 0, err
	}
	if err := json.Unmarshal(e.Value, &out); err != nil {
		return looked{}, 0, fault.Corrupt.Errorf("the entry that says how far cells are cannot be read")
	}
	return out, e.Revision, nil
}

// tick takes note of a moment, read before the loader's floor was, at which
// what came through the floor is in the books.
func (p *Publisher) tick(at time.Time) {
	at = at.Truncate(every)
	if at.Equal(p.ticked) {
		return
	}
	p.ticked = at
	if len(p.ticks) < mostTicks {
		p.ticks = append(p.ticks, tick{looked: looked{p.seen, at.UTC()}, taken: p.elapsed()})
	}
}

// tell says in the bucket how far everything was looked at and loaded.
func (p *Publisher) tell(ctx context.Context, floor uint64) error {
	since := p.oldest()
	for i, t := range p.ticks {
		if !t.done && since > t.taken {
			p.ticks[i].done, p.ticks[i].cells = true, p.appended
		}
	}
	var last looked
	for len(p.ticks) > 0 && p.ticks[0].done && p.ticks[0].cells <= floor {
		last, p.ticks = p.ticks[0].looked, p.ticks[1:]
	}
	if last.At.IsZero() {
		return nil
	}
	if since != forever { // where rows never stop coming, something always waits
		p.met.looked(last.Seq, last.At)
	}
	told, revision, err := lastLooked(ctx, p.c.Bucket)
	if err != nil || !told.At.Before(last.At) {
		return err
	}
	value, err := json.Marshal(last)
	if err != nil {
		return err
	}
	if _, err := p.c.Bucket.Update(ctx, lookedEntry, value, revision); !errors.Is(err, fault.Conflict) {
		return err
	}
	return nil // another publisher said so first
}

const forever = time.Duration(math.MaxInt64)

// oldest is since when something waits to be looked at; forever where nothing
// does.
func (p *Publisher) oldest() time.Duration {
	oldest := forever
	for _, books := range p.books {
		for _, b := range books {
			oldest = min(oldest, b.oldest())
		}
	}
	return oldest
}
