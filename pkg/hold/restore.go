package hold

import (
	"context"
	"fmt"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// restoreRows is about how many rows are gathered before they are inserted.
	restoreRows = 10_000
	// restoreAttempts is how often rows are inserted: each time but the first
	// because a kill undid what was inserted before.
	restoreAttempts = 5
)

// late says whether the rows of an expiry day may be in no table although a
// hold covers them: with the end of the grace the loader loads them no more, and
// a day after that the engine's own back-stop removes them.
func late(day event.Day, now time.Time) bool {
	return day != event.Never && !day.End().Add(policy.Grace).After(now)
}

// restore is H4. The frames of rows that the hold covers are there for as long
// as it has not copied them, because their keys wait for it. So rows that the
// tables have no more, or never had, are made of their frames.
func (c *Copier) restore(ctx context.Context, h Hold, now time.Time) error {
	topics, err := c.c.Log.Topics(ctx, eventlog.CleanStream, event.CleanTopics)
	if err != nil {
		return err
	}
	of := map[string]bool{}
	for topic := range topics {
		if day, err := event.CleanTopicDay(topic); err == nil && late(day, now) && h.coversTopic(topic) {
			of[topic] = true
		}
	}
	if len(of) == 0 {
		return nil
	}
	g := gathered{}
	for msg, err := range c.c.Log.Range(ctx, eventlog.CleanStream, h.Floor+1, h.Upto) {
		if err != nil {
			return err
		}
		if !of[msg.Topic] {
			continue
		}
		if err := c.gather(ctx, h, msg, &g); err != nil {
			return fmt.Errorf("restoring rows of clean frame %d: %w", msg.Seq, err)
		}
		if g.rows >= restoreRows {
			if err := c.insertGathered(ctx, h, &g); err != nil {
				return err
			}
		}
	}
	return c.insertGathered(ctx, h, &g)
}

// gathered are rows of frames, by table and expiry day.
type gathered struct {
	rows   int
	places []place
	of     map[place][]source
}

type place struct {
	table *policy.Table
	day   event.Day
}

// source is the rows of one frame.
type source struct {
	warehouse.Source
	rows []event.Row
}

// gather adds what a hold covers of a frame.
func (c *Copier) gather(ctx context.Context, h Hold, msg eventlog.Received, g *gathered) error {
	o, body, n, err := c.covered(ctx, h, msg)
	if err != nil || n == 0 {
		return err
	}
	columns, rows, err := event.ParseCleanBody(body)
	if err != nil {
		return err
	}
	t, _ := c.c.Policy.Table(o.Table)
	at := place{t, o.Day}
	if g.of == nil {
		g.of = map[place][]source{}
	}
	if g.of[at] == nil {
		g.places = append(g.places, at)
	}
	g.of[at] = append(g.of[at], source{
		warehouse.Source{Tenant: o.Tenant, Service: o.Service, Seq: msg.Seq, Columns: columns}, rows,
	})
	g.rows += n
	return nil
}

// insertGathered inserts what was gathered and is not there.
func (c *Copier) insertGathered(ctx context.Context, h Hold, g *gathered) error {
	for _, at := range g.places {
		if err := c.insertRestored(ctx, h, at, g.of[at]); err != nil {
			return err
		}
	}
	*g = gathered{}
	return nil
}

// insertRestored inserts the rows of one table and day of which there is none: a
// row that was copied from the table is there, and so is an event that came
// twice. A token may be there although a kill undid its insert, so what was
// inserted is looked for.
func (c *Copier) insertRestored(ctx context.Context, h Hold, at place, frames []source) error {
	for attempt := 0; ; attempt++ {
		if err := c.lease.Keep(ctx); err != nil {
			return err
		}
		b, err := c.missing(ctx, h, at, frames)
		if err != nil || b.Len() == 0 {
			return err
		}
		if attempt == restoreAttempts {
			return fault.Unavailable.Errorf("restoring rows of table %s for a hold: %d are not there yet", at.table.Name, b.Len())
		}
		token := fmt.Sprintf("restored %s %d-%d of %d/%d", at.day, frames[0].Seq, frames[len(frames)-1].Seq, b.Len(), attempt)
		if err := c.c.Warehouse.InsertHeld(ctx, b, h.ID, h.Deadline, token); err != nil {
			return err
		}
		c.met.restored.Add(float64(b.Len()))
		c.c.Logger.Warn("held rows restored from their frames", "hold", h.ID, "table", at.table.Name, "expiry_day", string(at.day), "rows", b.Len())
	}
}

// missing is a batch of the rows that are not there.
func (c *Copier) missing(ctx context.Context, h Hold, at place, frames []source) (*warehouse.Batch, error) {
	var ids []event.ID
	for _, f := range frames {
		for i := range f.rows {
			ids = append(ids, f.rows[i].ID)
		}
	}
	there, err := c.c.Warehouse.HeldIDs(ctx, at.table, h.ID, ids)
	if err != nil {
		return nil, err
	}
	b := warehouse.NewBatch(at.table, at.day)
	for _, f := range frames {
		var rows []event.Row
		for _, r := range f.rows {
			if !there[r.ID] {
				there[r.ID] = true
				rows = append(rows, r)
			}
		}
		b.Append(f.Source, rows)
	}
	return b, nil
}
