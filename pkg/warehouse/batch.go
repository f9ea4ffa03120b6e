package warehouse

import (
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A Batch gathers rows of one table and one expiry day, by column. It keeps
// its rows until Reset, so that the same batch can be inserted again.
type Batch struct {
	table *policy.Table
	day   event.Day
	rows  int

	tenant, service dictionary
	ids             fixed
	occurred        numbers
	expires         numbers
	days            []time.Time
	epoch           numbers
	seq             []uint64
	identified      []bool
	treated         []values

	// The last frame's columns and where each of ours is among them: frames
	// of one table nearly always agree.
	from []string
	at   []int
}

// NewBatch makes an empty batch.
func NewBatch(table *policy.Table, day event.Day) *Batch {
	b := &Batch{table: table, day: day, treated: make([]values, len(table.Columns))}
	for i, c := range table.Columns {
		b.treated[i] = newValues(c)
	}
	return b
}

// Table returns the table that the rows go to.
func (b *Batch) Table() *policy.Table { return b.table }

// Day returns the partition that the rows go to.
func (b *Batch) Day() event.Day { return b.day }

// Len returns the number of rows.
func (b *Batch) Len() int { return b.rows }

// Reset empties the batch and points it at another day, keeping its memory.
func (b *Batch) Reset(day event.Day) {
	b.day, b.rows = day, 0
	b.tenant.reset()
	b.service.reset()
	b.ids.reset()
	b.occurred.reset()
	b.expires.reset()
	b.days = b.days[:0]
	b.epoch.reset()
	b.seq = b.seq[:0]
	b.identified = b.identified[:0]
	for _, v := range b.treated {
		v.reset()
	}
}

// A Source says what the rows of one frame share.
type Source struct {
	Tenant, Service string
	// Seq is the frame's sequence on the clean log.
	Seq uint64
	// Columns names the rows' values.
	Columns []string
}

// Append adds rows of one frame. A column is found by its name: one that the
// frame lacks, or holds as another kind, gets its zero or null, and one that
// the table lacks is left out. So frames of every policy can be loaded while
// they live.
func (b *Batch) Append(src Source, rows []event.Row) {
	if len(rows) == 0 {
		return
	}
	if !slices.Equal(b.from, src.Columns) || b.at == nil {
		b.from = slices.Clone(src.Columns)
		b.at = b.at[:0]
		for _, c := range b.table.Columns {
			b.at = append(b.at, slices.Index(b.from, c.Name))
		}
	}
	day := b.day.Start()
	for i := range rows {
		r := &rows[i]
		b.tenant.add(src.Tenant)
		b.service.add(src.Service)
		b.ids.add(r.ID[:])
		b.occurred.add(r.OccurredAt.UnixMilli())
		b.expires.add(r.ExpiresAt.UnixMilli())
		b.days = append(b.days, day)
		b.epoch.add(r.Epoch)
		b.seq = append(b.seq, src.Seq)
		b.identified = append(b.identified, r.Identified)
	}
	for i, column := range b.treated {
		at := b.at[i]
		for r := range rows {
			if at < 0 || at >= len(rows[r].Values) {
				column.addNull()
			} else {
				column.add(rows[r].Values[at])
			}
		}
	}
	b.rows += len(rows)
}

// columns returns what to hand to the driver, in the order of columnsOf.
func (b *Batch) columns() []any {
	out := []any{
		b.tenant.data(), b.service.data(), b.ids.data(), b.occurred.data(), b.expires.data(),
		b.days, b.epoch.data(), b.seq, b.identified,
	}
	for _, v := range b.treated {
		out = append(out, v.data())
	}
	return out
}
