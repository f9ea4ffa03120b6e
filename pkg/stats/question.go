package stats

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The limits of a question.
const (
	MaxDimensions = 4
	MaxRows       = 100_000
	MaxValues     = 64 // values in all filters together
)

// A Question is what an analyst asks: one metric, split by some of its
// dimensions, over the rows of a stretch of time that pass the filters.
type Question struct {
	Metric string
	// By are dimensions of the metric, at most [MaxDimensions].
	By []string
	// From and To bound when events occurred: from ≤ t < to. Zero is open:
	// everything that is kept.
	From, To time.Time
	// Filters keep rows by dimension: one of the values, each as an answer
	// shows it. An empty value stands for an absent one.
	Filters map[string][]string
}

// The instants that a question may name. Outside of them there are no events,
// and the warehouse could not compare.
var (
	earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// plan is a question that was found to make sense.
type plan struct {
	metric   *policy.Metric
	by       []dimension
	from, to time.Time
	where    []filter // of the question
}

// dimension is a dimension of the metric and what it stands on.
type dimension struct {
	policy.Dimension
	column policy.Column // the zero Column for time buckets and the service
	// telling dimensions may say something about a person where few stand
	// behind a row, so hidden rows do not show their values.
	telling bool
}

// filter keeps rows whose dimension or column holds one of the values.
type filter struct {
	dimension
	null   bool     // absent values pass too
	values []string // checked, in the form the warehouse compares
}

// check holds a question to what the metric declares. Its errors are
// [fault.Invalid]; they name what the policy declares and repeat nothing of
// the question, in which anything may stand.
func (q Question) check(m *policy.Metric) (*plan, error) {
	p := &plan{metric: m, from: q.From, to: q.To}
	if len(q.By) > MaxDimensions {
		return nil, fault.Invalid.Errorf("a question has at most %d dimensions", MaxDimensions)
	}
	for i, name := range q.By {
		d, err := declared(m, name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(q.By[:i], name) {
			return nil, fault.Invalid.Errorf("the dimension %s is named twice", name)
		}
		p.by = append(p.by, d)
	}
	for _, t := range []time.Time{q.From, q.To} {
		if !t.IsZero() && (t.Before(earliest) || t.After(latest)) {
			return nil, fault.Invalid.Errorf("from and to must lie between %d and %d", earliest.Year(), latest.Year())
		}
	}
	if !q.From.IsZero() && !q.To.IsZero() && !q.From.Before(q.To) {
		return nil, fault.Invalid.Errorf("from must be before to")
	}
	values := 0
	for _, name := range sortedNames(q.Filters) {
		d, err := declared(m, name)
		if err != nil {
			return nil, err
		}
		if values += len(q.Filters[name]); values > MaxValues {
			return nil, fault.Invalid.Errorf("a question has at most %d filter values", MaxValues)
		}
		f, err := newFilter(d, q.Filters[name])
		if err != nil {
			return nil, err
		}
		p.where = append(p.where, f)
	}
	return p, nil
}

// declared finds a dimension of a metric.
func declared(m *policy.Metric, name string) (dimension, error) {
	d, ok := m.Dimension(name)
	if !ok {
		names := make([]string, len(m.Dimensions))
		for i, d := range m.Dimensions {
			names[i] = d.Name
		}
		return dimension{}, fault.Invalid.Errorf("the metric %s has no such dimension; it has %s", m.Name, strings.Join(names, ", "))
	}
	if d.Bucket != "" || d.Column == "service" {
		return dimension{Dimension: d}, nil
	}
	c, ok := m.Table.Column(d.Column)
	if !ok || !showable(c) {
		return dimension{}, fault.Corrupt.Errorf("the dimension %s stands on no column that can be shown", d.Name)
	}
	return dimension{Dimension: d, column: c, telling: telling(c)}, nil
}

// showable columns have values that an answer can show and a filter name:
// not tokens, and not measurements, of which each may be the only one.
func showable(c policy.Column) bool {
	return c.Kind == event.String || c.Kind == event.Int || c.Kind == event.Bool
}

// telling says whether a value of a column may itself say something about one
// person. Buckets and closed families of names do not; neither does what the
// schema calls plain or lists value by value. Everything else might: paths,
// hosts, networks, anything that a person or a client chose.
func telling(c policy.Column) bool {
	switch c.Verb {
	case policy.Coarsen:
		return c.To == "host"
	case policy.Keep:
		for _, alternative := range c.From {
			for _, f := range alternative {
				if f.Class != policy.Plain && f.Kind != event.Bool && len(f.Enum) == 0 {
					return true
				}
			}
		}
		return len(c.From) == 0
	}
	return true
}

// newFilter checks values against the type of what they are compared with.
func newFilter(d dimension, values []string) (filter, error) {
	f := filter{dimension: d}
	if len(values) == 0 {
		return f, fault.Invalid.Errorf("the filter %s has no value", d.Name)
	}
	for _, v := range values {
		if v == "" && d.column.Nullable {
			f.null = true
			continue
		}
		switch {
		case d.Bucket != "":
			start, ok := parseBucket(d.Bucket, v)
			if !ok {
				return f, fault.Invalid.Errorf("the filter %s must be a %s as answers show it, %s", d.Name, d.Bucket, bucketExample[d.Bucket])
			}
			v = strconv.FormatInt(start.Unix(), 10)
		case d.column.Kind == event.Int:
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return f, fault.Invalid.Errorf("the filter %s must be an integer", d.Name)
			}
			v = strconv.FormatInt(n, 10)
		case d.column.Kind == event.Bool:
			if v != "true" && v != "false" {
				return f, fault.Invalid.Errorf("the filter %s must be true or false", d.Name)
			}
		}
		f.values = append(f.values, v)
	}
	return f, nil
}

// conditions turns the metric's own conditions into filters.
func conditions(m *policy.Metric) ([]filter, error) {
	var out []filter
	for _, c := range m.Where {
		d := dimension{Dimension: policy.Dimension{Name: c.Column, Column: c.Column}}
		if c.Column != "service" {
			column, ok := m.Table.Column(c.Column)
			if !ok || !showable(column) {
				return nil, fault.Corrupt.Errorf("the metric %s has a condition on no column", m.Name)
			}
			d.column = column
		}
		f, err := newFilter(d, c.In)
		if err != nil {
			return nil, fault.Corrupt.Errorf("the metric %s has a condition that cannot be: %w", m.Name, err)
		}
		out = append(out, f)
	}
	return out, nil
}

// ceilMilli is the first whole Unix millisecond that is not before t. Events
// occur at whole milliseconds, so t ≤ occurred holds just when it does for
// ceilMilli(t), and likewise occurred < t.
func ceilMilli(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.Nanosecond()%int(time.Millisecond) != 0 {
		ms++
	}
	return ms
}
