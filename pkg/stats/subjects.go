package stats

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// nowCells is the bucket of cells of what is current.
const nowCells = "now"

// A choice is some of the cells of a metric that counts subjects: of one kind
// of bucket, split by one dimension or by none, and maybe of one bucket alone.
type choice struct {
	bucket policy.Bucket
	dim    *coordinate
	in     *window
}

// distinct finds numbers of subjects. Those of different buckets, and of
// different values of a dimension, do not add up: what is not published as one
// number has none. Each service counts its own subjects, and the counts are
// added.
func (s *Stats) distinct(ctx context.Context, p *plan) (found, error) {
	dim, err := p.oneDimension()
	if err != nil {
		return found{}, err
	}
	windows, err := p.windows()
	if err != nil {
		return found{}, err
	}
	var f found
	split, timed := p.time()
	if timed {
		if err := s.choose(ctx, p, choice{bucket: split.bucket, dim: dim}, &f); err != nil {
			return found{}, err
		}
	}
	f.noBucket = !timed && len(windows) == 0 && (p.from != "" || p.to != "")
	if p.open() {
		if windows, err = s.newest(ctx, p); err != nil {
			return found{}, err
		}
	}
	for _, w := range windows {
		c := choice{w.bucket, dim, &w}
		if !timed {
			if err := s.choose(ctx, p, c, &f); err != nil {
				return found{}, err
			}
		} else if within, err := s.inWindow(ctx, p, choice{bucket: split.bucket, dim: dim}, w); err != nil || !within {
			return f, err
		}
		if err := s.total(ctx, p, c, &f); err != nil {
			return found{}, err
		}
		if f.total != nil || len(f.rows) > 0 && !timed {
			f.in = &w
			break
		}
	}
	return f, nil
}

// current finds the number of subjects that are current.
func (s *Stats) current(ctx context.Context, p *plan) (found, error) {
	dim, err := p.oneDimension()
	if err != nil {
		return found{}, err
	}
	f, c := found{}, choice{bucket: nowCells, dim: dim}
	if err := s.choose(ctx, p, c, &f); err != nil {
		return found{}, err
	}
	return f, s.total(ctx, p, c, &f)
}

// choose finds the rows of a choice.
func (s *Stats) choose(ctx context.Context, p *plan, c choice, f *found) (err error) {
	if len(p.by) == 0 {
		return nil
	}
	f.rows, err = s.sums(ctx, p, p.by, p.chosen(c))
	f.behind = append(f.behind, p.chosen(c))
	return err
}

// total finds the number of a choice, over all values of the dimension that it
// is split by. Where the question or the principal is limited to several values
// there is none, because they do not add up.
func (s *Stats) total(ctx context.Context, p *plan, c choice, f *found) (err error) {
	if c.dim != nil && !p.oneValue(c.dim) {
		if slices.ContainsFunc(p.filters, func(f filter) bool { return f.isDimension() }) {
			return nil
		}
		c.dim = nil
	}
	f.total, err = s.sum(ctx, p, p.chosen(c))
	f.behind = append(f.behind, p.chosen(c))
	return err
}

// chosen selects the cells of a choice that pass the filters.
func (p *plan) chosen(c choice) selection {
	return func(q *query) []string {
		cube := ""
		if c.dim != nil {
			cube = c.dim.name
		}
		and := append(q.scope(p), "bucket = "+q.text(string(c.bucket)), "cube = "+q.text(cube))
		switch {
		case c.in != nil:
			and = append(and, "first_day = "+q.text(c.in.first), "last_day = "+q.text(c.in.last))
		case c.bucket == policy.Trailing7 || c.bucket == policy.Trailing30:
			and = append(and, q.span(p, "last_day", "last_day")...) // they go by it
		default:
			and = append(and, q.span(p, "first_day", "last_day")...)
		}
		for _, f := range p.filters {
			if !f.scope && !(f.isTime() && c.in != nil) {
				and = append(and, q.passes(p.metric, f))
			}
		}
		return and
	}
}

// oneDimension is the one dimension that a question about subjects is split or
// filtered by; nil where there is none. Those of all values of a masked
// dimension are all, so it is none.
func (p *plan) oneDimension() (*coordinate, error) {
	var dim *coordinate
	for _, c := range p.by {
		if !c.isDimension() || c.masked {
			continue
		}
		if dim != nil {
			return nil, fault.Invalid.Errorf("the metric %s counts subjects: it is split by one dimension at a time, besides service and time", p.metric.Name)
		}
		dim = &c
	}
	for _, f := range p.filters {
		switch {
		case !f.isDimension():
		case dim != nil && dim.name != f.name && f.scope:
			return nil, fault.Denied.Errorf("this credential is limited to products, and the metric %s is told by one dimension at a time", p.metric.Name)
		case dim != nil && dim.name != f.name:
			return nil, fault.Invalid.Errorf("the metric %s counts subjects: it is told by one dimension at a time, besides service and time", p.metric.Name)
		case dim != nil || len(f.values) == 1:
			dim = &f.coordinate
		case f.scope:
			return nil, fault.Denied.Errorf("subjects of several products do not add up: split by product, or ask for one")
		default:
			return nil, fault.Invalid.Errorf("subjects of several values of %s do not add up: split by it, or ask for one", f.name)
		}
	}
	return dim, nil
}

// oneValue says whether a dimension is filtered by one value, so that the total
// is that value's.
func (p *plan) oneValue(dim *coordinate) bool {
	return slices.ContainsFunc(p.filters, func(f filter) bool { return f.name == dim.name && len(f.values) == 1 })
}

// windows are the buckets of which one may be what a question is about as a
// whole. An open question has those of [Stats.newest].
func (p *plan) windows() ([]window, error) {
	var asked []window
	for _, f := range p.times() {
		asked = append(asked, f.windows...)
	}
	_, timed := p.time()
	switch {
	case len(asked) == 0:
		return windowsOf(p.metric, p.from, p.to), nil
	case len(asked) > 1 && !timed:
		return nil, fault.Invalid.Errorf("subjects of several stretches of time do not add up: split by one, or ask for one")
	case len(asked) == 1 && (p.from == "" || p.from <= asked[0].first) && (p.to == "" || asked[0].last < p.to):
		return asked, nil
	}
	return nil, nil
}

// longestFirst is which bucket an open question is about.
var longestFirst = []policy.Bucket{policy.Trailing30, policy.Month, policy.Trailing7, policy.Week, policy.Day}

// newest is the bucket that an open question about metrics is about: the
// longest that all of them have, which ends with the newest day on which all
// of them were published. It is none or one.
func (s *Stats) newest(ctx context.Context, plans ...*plan) ([]window, error) {
	at := slices.IndexFunc(longestFirst, func(b policy.Bucket) bool {
		return !slices.ContainsFunc(plans, func(p *plan) bool { return !slices.Contains(p.metric.Buckets, b) })
	})
	if at < 0 {
		return nil, nil
	}
	last := ""
	for _, p := range plans {
		q := s.newQuery(p)
		row, err := s.one(ctx, q, "max(toString(last_day))", append(q.scope(p), "bucket = "+q.text(string(longestFirst[at]))))
		if err != nil {
			return nil, err
		}
		day, ok := row[0].(string)
		if !ok {
			return nil, errShape
		}
		if last == "" || day < last {
			last = day
		}
		if day == "" {
			return nil, nil // nothing is published
		}
	}
	day, err := time.Parse(time.DateOnly, last)
	if err != nil {
		return nil, errShape
	}
	return []window{windowAt(longestFirst[at], day)}, nil
}

// inWindow says whether all cells of a choice lie in a window: otherwise its
// number, under rows that go beyond it, would seem to be about all of them.
func (s *Stats) inWindow(ctx context.Context, p *plan, c choice, w window) (bool, error) {
	q := s.newQuery(p)
	row, err := s.one(ctx, q, "countIf(first_day < "+q.text(w.first)+" OR last_day > "+q.text(w.last)+")", p.chosen(c)(q))
	if err != nil {
		return false, err
	}
	n, ok := row[0].(uint64)
	if !ok {
		return false, errShape
	}
	return n == 0, nil
}

// bucketWords names the buckets of a metric.
func bucketWords(m *policy.Metric) string {
	words := map[policy.Bucket]string{
		policy.Day: "a day", policy.Week: "a week from Monday", policy.Month: "a month",
		policy.Trailing7: "7 days", policy.Trailing30: "30 days",
	}
	var out []string
	for _, b := range m.Buckets {
		out = append(out, words[b])
	}
	return strings.Join(out, ", ")
}
