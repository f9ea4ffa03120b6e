package stats

import (
	"context"
	"strings"
)

// dayCells is the bucket of cells that add up.
const dayCells = "day"

// additive adds cells up. What lies in cells that do not tell a coordinate
// stands in rows that say so; what lies in cells that may or may not be what
// the days and filters ask for stands beside the answer.
func (s *Stats) additive(ctx context.Context, p *plan) (found, error) {
	cells := func(q *query) []string {
		return append(q.scope(p), "bucket = "+q.text(dayCells))
	}
	asked := func(q *query) []string {
		and := q.span(p, "first_day", "last_day")
		for _, f := range p.filters {
			if !f.scope {
				and = append(and, q.passes(p.metric, f))
			}
		}
		return and
	}
	selected := func(q *query) []string { return append(cells(q), asked(q)...) }
	all, err := s.sums(ctx, p, p.by, selected)
	if err != nil {
		return found{}, err
	}
	f := found{behind: []selection{selected}}
	if len(all) > 0 {
		f.total = new(int64)
		for _, e := range all {
			*f.total += e.n
		}
	}
	if len(p.by) > 0 {
		f.rows = all
	}
	if len(asked(s.newQuery(p))) > 0 {
		f.beside, err = s.sum(ctx, p, func(q *query) []string {
			and := append(cells(q), q.span(p, "last_day", "first_day")...)
			for _, f := range p.filters {
				if !f.scope {
					and = append(and, q.mayPass(p.metric, f))
				}
			}
			return append(and, "NOT ("+strings.Join(asked(q), " AND ")+")")
		})
	}
	return f, err
}
