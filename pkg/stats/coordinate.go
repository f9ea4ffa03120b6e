package stats

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// coordinate is something that cells are told by: the service, a stretch of
// time, or a dimension of the metric.
type coordinate struct {
	name   string
	bucket policy.Bucket // of a stretch of time
	dim    policy.Dimension
	column policy.Column // of a dimension that stands on one
	masked bool          // for the principal: nobody is told its values (P15)
}

const serviceName = "service"

func (c coordinate) isTime() bool      { return c.bucket != "" }
func (c coordinate) isDimension() bool { return c.dim.Name != "" }

// bucketsOf are the stretches of time that a question may be split by.
func bucketsOf(m *policy.Metric) []policy.Bucket {
	switch m.Value {
	case policy.Count, policy.Sum:
		return []policy.Bucket{policy.Day, policy.Week, policy.Month}
	case policy.Distinct:
		return m.Buckets
	case policy.Ratio:
		a, b := bucketsOf(m.Parts[0]), bucketsOf(m.Parts[1])
		return slices.DeleteFunc(slices.Clone(a), func(x policy.Bucket) bool { return !slices.Contains(b, x) })
	}
	return nil
}

// Coordinates names all that a metric may be split by.
func Coordinates(m *policy.Metric) []string {
	names := []string{serviceName}
	for _, b := range bucketsOf(m) {
		names = append(names, string(b))
	}
	for _, d := range m.Dimensions {
		names = append(names, d.Name)
	}
	return names
}

// columnOf is the column that a dimension stands on. Those of a ratio stand on
// columns of both its parts, which the policy keeps alike.
func columnOf(m *policy.Metric, d policy.Dimension) (policy.Column, bool) {
	if m.Value == policy.Ratio {
		m = m.Parts[0]
	}
	return m.Table.Column(d.Column)
}

// place is where a cell lies in one coordinate: at a value, as cells hold it,
// or folded.
type place struct {
	told bool
	held string
}

// maskedValue stands for every value of a dimension that a credential may not
// see.
const maskedValue = "masked"

// show writes a place as answers do. A value that is not of the column's kind
// is from an older policy, and stays text.
func (c coordinate) show(at place) any {
	switch {
	case !at.told:
		return nil
	case c.masked:
		return maskedValue
	case c.isTime():
		return showBucket(c.bucket, at.held)
	case at.held == "" && (c.column.Kind == event.Int || c.column.Kind == event.Bool):
		return nil
	case c.column.Kind == event.Int:
		if n, err := strconv.ParseInt(at.held, 10, 64); err == nil {
			return n
		}
	case c.column.Kind == event.Bool:
		if b, err := strconv.ParseBool(at.held); err == nil {
			return b
		}
	}
	return at.held
}

// compare sorts places of one coordinate: numbers, then text, then what is not
// told.
func (c coordinate) compare(a, b place) int {
	key := func(at place) (class int, n int64) {
		if !at.told {
			return 2, 0
		}
		if c.column.Kind == event.Int {
			if n, err := strconv.ParseInt(at.held, 10, 64); err == nil {
				return 0, n
			}
		}
		return 1, 0
	}
	classA, x := key(a)
	classB, y := key(b)
	return cmp.Or(cmp.Compare(classA, classB), cmp.Compare(x, y), cmp.Compare(a.held, b.held))
}
