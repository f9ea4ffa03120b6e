package stats

import (
	"context"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// nowCells is the bucket of cells of what is current.
const nowCells = "now"

// distinct answers with numbers of subjects. Those of different buckets, and of
// different values of a dimension, do not add up: what is not published as one
// number has none. Each service counts its own subjects, and the counts are
// added.
func (s *Stats) distinct(ctx context.Context, p *plan) (Answer, error) {
	dim, err := p.oneDimension()
	if err != nil {
		return Answer{}, err
	}
	a := p.begin()
	behind := choice{dim: dim} // the cells that an explanation lists
	split, timed := p.time()
	if timed {
		behind.bucket = split.bucket
		if a.Rows, err = s.rows(ctx, p, behind); err != nil {
			return Answer{}, err
		}
	}
	windows, err := s.windows(ctx, p, timed)
	if err != nil {
		return Answer{}, err
	}
	for _, w := range windows {
		c := choice{w.bucket, dim, &w}
		if a.Total, err = s.total(ctx, p, c); err != nil {
			return Answer{}, err
		}
		if a.Total.Hidden {
			continue
		}
		a.Bucket, a.First, a.Last = string(w.bucket), w.first, w.last
		if !timed {
			behind = c
			if a.Rows, err = s.rows(ctx, p, c); err != nil {
				return Answer{}, err
			}
		}
		break
	}
	if behind.bucket == "" {
		behind.bucket = p.metric.Buckets[0]
		p.explain = false // there is nothing behind it
	}
	return s.finishChoice(ctx, p, a, behind)
}

// current answers with the number of subjects that are current.
func (s *Stats) current(ctx context.Context, p *plan) (Answer, error) {
	dim, err := p.oneDimension()
	if err != nil {
		return Answer{}, err
	}
	a, c := p.begin(), choice{bucket: nowCells, dim: dim}
	if a.Total, err = s.total(ctx, p, c); err != nil {
		return Answer{}, err
	}
	if a.Rows, err = s.rows(ctx, p, c); err != nil {
		return Answer{}, err
	}
	return s.finishChoice(ctx, p, a, c)
}

// A choice is some of the cells of a metric that counts subjects: of one kind
// of bucket, split by one dimension or by none, and maybe of one bucket alone.
type choice struct {
	bucket policy.Bucket
	dim    *coordinate
	in     *window
}

// rows are the numbers of a choice, split as the question says.
func (s *Stats) rows(ctx context.Context, p *plan, c choice) ([]Row, error) {
	if len(p.by) == 0 {
		return []Row{}, nil
	}
	q := s.newQuery()
	q.numbers(p.metric, p.by, q.chosen(p, c))
	all, err := s.entries(ctx, p.by, q)
	if err != nil {
		return nil, err
	}
	if p.top > 0 {
		all = p.keepTop(all)
	}
	return p.rows(all)
}

// total is the number of a choice, over all values of the dimension that it is
// split by. Where the question or the principal is limited to several values
// there is none, because they do not add up.
func (s *Stats) total(ctx context.Context, p *plan, c choice) (Number, error) {
	if c.dim != nil && !p.filtered(c.dim) {
		if slices.ContainsFunc(p.filters, func(f filter) bool { return f.isDimension() }) {
			return hidden, nil
		}
		c.dim = nil
	}
	q := s.newQuery()
	q.numbers(p.metric, nil, q.chosen(p, c))
	all, err := s.entries(ctx, nil, q)
	if err != nil || len(all) == 0 {
		return hidden, err
	}
	return shown(all[0].n), nil
}

func (s *Stats) finishChoice(ctx context.Context, p *plan, a Answer, c choice) (Answer, error) {
	q := s.newQuery()
	where := q.chosen(p, c)
	return s.finish(ctx, p, a, string(c.bucket), where, q.params)
}

func (s *Stats) newQuery() *query {
	return &query{params: map[string]any{}, table: s.cfg.Warehouse.Table(policy.CellTable)}
}

// chosen keeps the cells of a choice that pass the filters.
func (q *query) chosen(p *plan, c choice) []string {
	days := *p
	if c.in != nil {
		days.from, days.to = "", ""
	}
	where := q.where(&days, string(c.bucket))
	if c.in != nil {
		where = append(where, "first_day = "+q.text(c.in.first), "last_day = "+q.text(c.in.last))
	}
	name := ""
	if c.dim != nil {
		name = c.dim.name
	}
	where = append(where, "cube = "+q.text(name))
	for _, f := range p.filters {
		if f.isTime() && c.in != nil {
			continue
		}
		where = append(where, q.passes(p.metric, f))
	}
	return where
}

// oneDimension is the one dimension that a question about subjects is split or
// filtered by; nil where there is none.
func (p *plan) oneDimension() (*coordinate, error) {
	var dim *coordinate
	for _, c := range p.by {
		if !c.isDimension() {
			continue
		}
		if dim != nil {
			return nil, fault.Invalid.Errorf("the metric %s counts subjects: it is split by one dimension at a time, besides service and time", p.metric.Name)
		}
		if c.masked {
			return nil, fault.Denied.Errorf("the dimension %s is masked for this credential, and subjects of several values do not add up", c.name)
		}
		dim = &c
	}
	for _, f := range p.filters {
		if !f.isDimension() {
			continue
		}
		if dim != nil && dim.name != f.name {
			if f.scope {
				return nil, fault.Denied.Errorf("this credential is limited to products, and the metric %s is told by one dimension at a time", p.metric.Name)
			}
			return nil, fault.Invalid.Errorf("the metric %s counts subjects: it is told by one dimension at a time, besides service and time", p.metric.Name)
		}
		split := dim != nil
		if !split && len(f.values) > 1 {
			if f.scope {
				return nil, fault.Denied.Errorf("subjects of several products do not add up: split by product, or ask for one")
			}
			return nil, fault.Invalid.Errorf("subjects of several values of %s do not add up: split by it, or ask for one", f.name)
		}
		c := f.coordinate
		dim = &c
	}
	return dim, nil
}

// filtered says whether a dimension is filtered by one value, so that the total
// is that value's.
func (p *plan) filtered(dim *coordinate) bool {
	for _, f := range p.filters {
		if f.name == dim.name && len(f.values) == 1 {
			return true
		}
	}
	return false
}

// time is the bucket that an answer is split by.
func (p *plan) time() (coordinate, bool) {
	for _, c := range p.by {
		if c.isTime() {
			return c, true
		}
	}
	return coordinate{}, false
}

// windows are the buckets of which one may be what the question is about as a
// whole: those that its days are, or, where it names none, the longest that
// ends with the newest day.
func (s *Stats) windows(ctx context.Context, p *plan, timed bool) ([]window, error) {
	if p.from != "" || p.to != "" {
		return windowsOf(p.metric, p.from, p.to), nil
	}
	longest := policy.Bucket("")
	for _, b := range p.metric.Buckets {
		if b.Days() > longest.Days() && b != policy.Month || b == policy.Trailing30 {
			longest = b
		}
	}
	if longest == "" {
		longest = p.metric.Buckets[0]
	}
	// Rows by day that go back further than the total would seem to add up.
	if period := p.metric.Table.Class.Period; timed && (period.Months > 0 || period.Days > longest.Days()) {
		return nil, nil
	}
	last, err := s.newest(ctx, p, string(longest))
	if err != nil || last.cut == nil {
		return nil, err
	}
	first, err := s.firstOf(ctx, p, longest, last.day)
	if err != nil || first == "" {
		return nil, err
	}
	return []window{{longest, first, last.day}}, nil
}

// firstOf is the first day of the bucket that ends with a day.
func (s *Stats) firstOf(ctx context.Context, p *plan, b policy.Bucket, last string) (string, error) {
	q := s.newQuery()
	where := append(q.where(p, string(b)), "last_day = "+q.text(last))
	q.sql = "SELECT min(toString(first_day)) FROM " + q.table + " WHERE " + join(where)
	result, err := s.cfg.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return "", err
	}
	if len(result.Rows) != 1 {
		return "", errShape
	}
	first, _ := result.Rows[0][0].(string)
	return first, nil
}
