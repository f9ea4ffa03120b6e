package loader

import (
	"context"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// FoldAt bounds how many counts a manifest carries along.
func (c Config) FoldAt(n int) Config {
	c.maxEarlier = n
	return c
}

// Memory is net 3 with bounds of the test's choice.
type Memory struct{ *seen }

func NewMemory(s store, loaded, day, all, days int) Memory {
	return Memory{newSeen(s, memory{loaded, day, all, days})}
}

// Drop hands frames of one table to net 3 and returns what is left.
func (m Memory) Drop(ctx context.Context, table *policy.Table, frames [][]event.Row) ([][]event.Row, int, error) {
	var in []frame
	for _, rows := range frames {
		in = append(in, frame{table: table, rows: rows, header: event.CleanHeader{Day: "2026-12-21"}})
	}
	dropped, _, err := m.drop(ctx, in)
	out := make([][]event.Row, len(in))
	for i := range in {
		out[i] = in[i].rows
	}
	return out, dropped, err
}

// Size is how many fingerprints are remembered, counted twice over.
func (m Memory) Size() (counted, held int) {
	for _, d := range m.days {
		held += len(d.marks)
	}
	return m.all, held
}
