package stats

import (
	"context"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// query is one SQL statement and its parameters. Every value that a person
// chose is a parameter; the text holds names of Lethe's own, numbers, and
// nothing else.
type query struct {
	table  string   // as the statement names it
	cubes  []string // by which cells of the metric were cut
	params map[string]any
}

func (s *Stats) newQuery(p *plan) *query {
	return &query{table: s.cfg.Warehouse.Table(policy.CellTable), cubes: p.cubes, params: map[string]any{}}
}

// selection writes the conditions that cells meet.
type selection func(q *query) []string

// told is how a statement says of a cell whether it tells a coordinate, and
// which value of it.
type told struct{ is, value string }

// told writes a coordinate of cells. Those of an additive metric tell their
// dimensions by place and level, so that cells of an older policy are read as
// they were cut; those of the others have one, or none where it is masked.
func (q *query) told(m *policy.Metric, c coordinate) told {
	switch {
	case c.masked:
		return told{"1", "''"}
	case c.name == serviceName:
		return told{"1", "service"}
	case c.isTime() && m.Value.Additive():
		switch c.bucket {
		case policy.Week:
			return bothEnds("toString(toMonday(toDate(?)))")
		case policy.Month:
			return bothEnds("substring(?, 1, 7)")
		}
		return bothEnds("?")
	case c.isTime():
		switch c.bucket {
		case policy.Month:
			return told{"1", "substring(first_day, 1, 7)"}
		case policy.Trailing7, policy.Trailing30:
			return told{"1", "last_day"}
		}
		return told{"1", "first_day"}
	case !m.Value.Additive():
		return told{"cube = " + q.text(c.name), policy.ColumnTold(0)}
	}
	var is, values []string
	for _, cube := range q.cubes {
		at := slices.Index(strings.Split(cube, ","), c.name)
		if at < 0 || at >= maxTold {
			continue
		}
		cut := "cube = " + q.text(cube)
		is = append(is, cut+" AND level > "+strconv.Itoa(at))
		values = append(values, cut, policy.ColumnTold(at))
	}
	switch len(is) {
	case 0:
		return told{"0", "''"}
	case 1:
		return told{"(" + is[0] + ")", values[1]}
	}
	return told{"(" + strings.Join(is, " OR ") + ")", "multiIf(" + strings.Join(values, ", ") + ", '')"}
}

// bothEnds tells a stretch of time where the first and the last day of a cell
// are in the same.
func bothEnds(of string) told {
	first, last := strings.ReplaceAll(of, "?", "first_day"), strings.ReplaceAll(of, "?", "last_day")
	return told{first + " = " + last, first}
}

// within keeps the cells of a metric, of the principal's tenant and services.
func (q *query) within(p *plan) []string {
	// P14: the tenant is the principal's, always.
	and := []string{"tenant = " + q.text(p.who.Tenant), "metric = " + q.text(p.metric.Name)}
	if len(p.who.Services) > 0 {
		and = append(and, "service IN ("+q.list(p.who.Services)+")")
	}
	return and
}

// scope keeps the cells that the principal may see.
func (q *query) scope(p *plan) []string {
	and := q.within(p)
	for _, f := range p.filters {
		if f.scope {
			and = append(and, q.passes(p.metric, f))
		}
	}
	return and
}

// passes says of a cell that it is surely what a filter asks for.
func (q *query) passes(m *policy.Metric, f filter) string {
	if f.isTime() {
		return q.anyWindow(f.windows, "first_day", "last_day")
	}
	t := q.told(m, f.coordinate)
	return "(" + t.is + " AND " + t.value + " IN (" + q.list(f.values) + "))"
}

// mayPass says of a cell that it holds some of what a filter asks for, or may.
func (q *query) mayPass(m *policy.Metric, f filter) string {
	if f.isTime() {
		return q.anyWindow(f.windows, "last_day", "first_day")
	}
	return "(NOT " + q.told(m, f.coordinate).is + " OR " + q.passes(m, f) + ")"
}

// anyWindow says that one day of a cell is not before a window begins and
// another not after it ends, for any of the windows.
func (q *query) anyWindow(windows []window, notBefore, notAfter string) string {
	or := make([]string, len(windows))
	for i, w := range windows {
		or[i] = notBefore + " >= " + q.text(w.first) + " AND " + notAfter + " <= " + q.text(w.last)
	}
	return "(" + strings.Join(or, " OR ") + ")"
}

// span keeps cells between the days of the question.
func (q *query) span(p *plan, notBefore, notAfter string) []string {
	var and []string
	if p.from != "" {
		and = append(and, notBefore+" >= "+q.text(p.from))
	}
	if p.to != "" {
		and = append(and, notAfter+" < "+q.text(p.to))
	}
	return and
}

// sums asks for the sums of selected cells, split by coordinates.
func (s *Stats) sums(ctx context.Context, p *plan, by []coordinate, selected selection) ([]entry, error) {
	q := s.newQuery(p)
	var columns, group []string
	for i, c := range by {
		t := q.told(p.metric, c)
		is, value := "_is"+strconv.Itoa(i), "_v"+strconv.Itoa(i)
		columns = append(columns, "toUInt8("+t.is+") AS "+is, "if("+is+", toString("+t.value+"), '') AS "+value)
		group = append(group, is, value)
	}
	sql := "SELECT " + strings.Join(append(columns, "toInt64(sum(value)) AS _n", "toInt64(min("+policy.ColumnK+")) AS _k", "count() AS _cells"), ", ") +
		"\nFROM " + q.table + "\nWHERE " + strings.Join(selected(q), " AND ")
	if len(group) > 0 {
		sql += "\nGROUP BY " + strings.Join(group, ", ")
	}
	sql += "\nHAVING _cells > 0\nLIMIT " + strconv.Itoa(MaxRows+1)
	result, err := s.cfg.Warehouse.Rows(ctx, sql, q.params)
	if err != nil {
		return nil, err
	}
	all, err := entries(len(by), result.Rows)
	for _, e := range all {
		if p.cutUnder == nil || e.k < *p.cutUnder {
			p.cutUnder = &e.k
		}
	}
	return all, err
}

// sum is that of selected cells; nil when there are none.
func (s *Stats) sum(ctx context.Context, p *plan, selected selection) (*int64, error) {
	all, err := s.sums(ctx, p, nil, selected)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0].n, nil
}

var errShape = fault.Corrupt.Errorf("the warehouse answered in another shape than was asked")

// entries reads sums of cells, split by some coordinates.
func entries(by int, rows [][]any) ([]entry, error) {
	if len(rows) > MaxRows {
		return nil, fault.Exhausted.Errorf("the answer has more than %d rows: ask for fewer dimensions or days", MaxRows)
	}
	out := make([]entry, 0, len(rows))
	for _, row := range rows {
		if len(row) != 2*by+3 {
			return nil, errShape
		}
		e := entry{by: make([]place, by)}
		for i := range by {
			is, ok := row[2*i].(uint8)
			held, ok2 := row[2*i+1].(string)
			if !ok || !ok2 {
				return nil, errShape
			}
			e.by[i] = place{is == 1, held}
		}
		n, ok := row[2*by].(int64)
		k, ok2 := row[2*by+1].(int64)
		if !ok || !ok2 {
			return nil, errShape
		}
		e.n, e.k = n, int(k)
		out = append(out, e)
	}
	return out, nil
}

// look finds out by which cubes the cells of a metric were cut.
func (s *Stats) look(ctx context.Context, p *plan) error {
	q := s.newQuery(p)
	row, err := s.one(ctx, q, "groupUniqArray(toString(cube))", q.within(p))
	if err != nil {
		return err
	}
	var ok bool
	if p.cubes, ok = row[0].([]string); !ok {
		return errShape
	}
	return nil
}

// one asks for a single row about cells.
func (s *Stats) one(ctx context.Context, q *query, columns string, where []string) ([]any, error) {
	result, err := s.cfg.Warehouse.Rows(ctx, "SELECT "+columns+"\nFROM "+q.table+"\nWHERE "+strings.Join(where, " AND "), q.params)
	if err != nil {
		return nil, err
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != len(result.Columns) {
		return nil, errShape
	}
	return result.Rows[0], nil
}

// param adds a parameter of a ClickHouse type and returns how the text refers
// to it.
func (q *query) param(kind, value string) string {
	name := "p" + strconv.Itoa(len(q.params))
	q.params[name] = value
	return "{" + name + ":" + kind + "}"
}

// text adds a string. It travels as hexadecimal digits, so that no rule of
// escaping, on either side, can ever matter.
func (q *query) text(s string) string {
	return "unhex(" + q.param("String", hex.EncodeToString([]byte(s))) + ")"
}

func (q *query) list(values []string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = q.text(v)
	}
	return strings.Join(out, ", ")
}

// join makes one selection of several: cells that any of them has.
func join(all []selection) selection {
	return func(q *query) []string {
		or := make([]string, len(all))
		for i, selected := range all {
			or[i] = "(" + strings.Join(selected(q), " AND ") + ")"
		}
		return []string{"(" + strings.Join(or, " OR ") + ")"}
	}
}
