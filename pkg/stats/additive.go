package stats

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// dayCells is the bucket of cells that add up.
const dayCells = "day"

// additive answers by adding up cells. What lies in cells that do not tell a
// coordinate stands in rows that say so; what lies in cells that do not tell
// what a filter asks for stands beside the answer.
func (s *Stats) additive(ctx context.Context, p *plan) (Answer, error) {
	q := s.newQuery()
	where := q.where(p, dayCells)
	for _, f := range p.filters {
		where = append(where, q.passes(p.metric, f))
	}
	q.numbers(p.metric, p.by, where)
	all, err := s.entries(ctx, p.by, q)
	if err != nil {
		return Answer{}, err
	}
	a := p.begin()
	var total int64
	for _, e := range all {
		total += e.n
	}
	if len(all) > 0 {
		a.Total = shown(total)
	}
	if len(p.by) > 0 {
		if p.top > 0 {
			all = p.keepTop(all)
		}
		if a.Rows, err = p.rows(all); err != nil {
			return Answer{}, err
		}
	}
	if err := s.beside(ctx, p, &a); err != nil {
		return Answer{}, err
	}
	return s.finish(ctx, p, a, dayCells, where, q.params)
}

// beside counts what lies in cells that pass the filters they tell, and do not
// tell all of them. It is a sum of whole cells, as every number is. What the
// principal's own limits ask for is not part of it.
func (s *Stats) beside(ctx context.Context, p *plan, a *Answer) error {
	var asked []filter
	q := s.newQuery()
	where := q.where(p, dayCells)
	for _, f := range p.filters {
		if f.scope {
			where = append(where, q.passes(p.metric, f))
		} else {
			asked = append(asked, f)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	var untold []string
	for _, f := range asked {
		t := q.told(p.metric, f.coordinate)
		where = append(where, "(NOT ("+t.is+") OR "+q.passes(p.metric, f)+")")
		untold = append(untold, "NOT ("+t.is+")")
	}
	q.numbers(p.metric, nil, append(where, "("+strings.Join(untold, " OR ")+")"))
	all, err := s.entries(ctx, nil, q)
	if err != nil || len(all) == 0 {
		return err
	}
	n := json.Number(strconv.FormatInt(all[0].n, 10))
	a.Beside = &n
	return nil
}

// entries asks the warehouse for numbers.
func (s *Stats) entries(ctx context.Context, by []coordinate, q *query) ([]entry, error) {
	result, err := s.cfg.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return nil, err
	}
	return entries(by, result.Rows)
}

// finish adds what every answer says about itself.
func (s *Stats) finish(ctx context.Context, p *plan, a Answer, bucket string, where []string, params map[string]any) (Answer, error) {
	newest, err := s.newest(ctx, p, bucket)
	if err != nil {
		return Answer{}, err
	}
	a.AsOf = newest.cut
	if p.explain {
		if a.Cells, err = s.cells(ctx, p, where, params); err != nil {
			return Answer{}, err
		}
	}
	a.HiddenRows = len(slices.DeleteFunc(slices.Clone(a.Rows), func(r Row) bool { return !r.Hidden }))
	a.Notes = append(p.notes(a), a.Notes...)
	return a, nil
}

// newest is the newest cell of a metric and bucket that the principal may see.
type newest struct {
	cut *time.Time // when it was cut
	day string     // the last day of any
}

func (s *Stats) newest(ctx context.Context, p *plan, bucket string) (newest, error) {
	all := *p
	all.from, all.to = "", ""
	q := s.newQuery()
	where := q.where(&all, bucket)
	result, err := s.cfg.Warehouse.Rows(ctx, "SELECT count(), max(occurred_at), max(toString(last_day))\nFROM "+q.table+
		"\nWHERE "+strings.Join(where, " AND "), q.params)
	if err != nil {
		return newest{}, err
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != 3 {
		return newest{}, errShape
	}
	row := result.Rows[0]
	if n, ok := row[0].(uint64); !ok || n == 0 {
		return newest{}, nil
	}
	at, ok := row[1].(time.Time)
	day, ok2 := row[2].(string)
	if !ok || !ok2 {
		return newest{}, errShape
	}
	at = at.UTC()
	return newest{&at, day}, nil
}

// kindOf names the type of a coordinate for those who read the list of metrics.
func kindOf(m *policy.Metric, d policy.Dimension) (kind, about string) {
	if d.Hour {
		return "hour", "The hour, where enough subjects came in it."
	}
	if m.Value == policy.Ratio {
		m = m.Parts[0]
	}
	c, ok := m.Table.Column(d.Column)
	if !ok {
		return event.String.String(), ""
	}
	return c.Kind.String(), c.Description
}
