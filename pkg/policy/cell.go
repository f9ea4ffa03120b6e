package policy

import (
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// CellTable is the table of published cells: numbers about at least k subjects
// each, of every metric. A cell is never changed or removed; cells of the same
// coordinates add up.
const CellTable = "cell"

// CellClass is the deletion class that governs cells. It has one name, because
// the keyring seals cells under its key alone.
const CellClass = "published"

// The columns of [CellTable] besides those that every table has. Of a cell the
// coordinates of the first [ColumnLevel] names in [ColumnCube] are told, in
// d1, d2, …; what follows is folded. An absent value is told as "".
const (
	ColumnMetric = "metric"
	// ColumnBucket is "day" for a cell of an additive metric, a [Bucket] for
	// one of a distinct metric, and "now" for one of what is current.
	ColumnBucket = "bucket"
	// ColumnFirst and ColumnLast are days, YYYY-MM-DD in the metric's zone:
	// both the same for one day, and more where days had too few subjects to
	// be told apart.
	ColumnFirst = "first_day"
	ColumnLast  = "last_day"
	// ColumnCube is [Metric.Cube] when the cell was cut; of a distinct or
	// current metric, the one dimension that it is split by, or "".
	ColumnCube  = "cube"
	ColumnLevel = "level"
	ColumnValue = "value"
	// ColumnK is the k that the metric had when the cell was cut: at least so
	// many subjects stand behind it. 0 is public.
	ColumnK = "k"
	// ColumnThrough is the sequence of the clean log through which rows are
	// in the cell.
	ColumnThrough = "through"
)

// ColumnTold is the column of the coordinate i, which counts from 0.
func ColumnTold(i int) string { return fmt.Sprintf("d%d", i+1) }

// cellTable is [CellTable] for a policy with metrics.
func (c *compiler) cellTable() {
	if len(c.policy.metrics) == 0 {
		return
	}
	class, ok := c.classes[CellClass]
	if !ok {
		if !c.unread {
			c.problems.add(place{file: c.file}, "has metrics, but there is no deletion class %s that governs cells", CellClass)
		}
		return
	}
	text := func(name, about string) Column {
		return Column{Name: name, Description: about, Kind: event.String, LowCardinality: true, Verb: Publish}
	}
	number := func(name, about string) Column {
		return Column{Name: name, Description: about, Kind: event.Int, Verb: Publish}
	}
	t := &Table{Name: CellTable, Class: class, Domain: &Domain{Anchor: defaultAnchor, Length: forGood}}
	t.Domain.name(CellTable, class.Name)
	t.Columns = []Column{
		text(ColumnMetric, "the metric"),
		text(ColumnBucket, "the stretch of time that it counts in"),
		text(ColumnFirst, "first day of the cell, in the zone of the metric"),
		text(ColumnLast, "last day of the cell"),
		text(ColumnCube, "the dimensions by which it was cut, in their order"),
		number(ColumnLevel, "how many of them are told; the rest is folded"),
	}
	for i := range maxDimensions {
		t.Columns = append(t.Columns, text(ColumnTold(i), fmt.Sprintf("value of dimension %d", i+1)))
	}
	t.Columns = append(t.Columns,
		number(ColumnValue, "the number, to be added to those of the same coordinates"),
		number(ColumnK, "how many subjects stand behind it at least, by the policy when it was cut; 0 is public"),
		number(ColumnThrough, "sequence of the clean log through which rows are in it"))
	c.tables[CellTable] = t
}
