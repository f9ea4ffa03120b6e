package stats

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// query is one SQL statement and its parameters. Every value that a person
// chose is a parameter; the text holds names of Lethe's own, numbers, and
// nothing else.
type query struct {
	sql    string
	params map[string]any
	table  string // as the statement names it
}

// told is how a statement says of a cell whether it tells a coordinate, and
// which value of it.
type told struct{ is, value string }

const maxTold = 8

// told writes a coordinate of cells. Those of an additive metric tell their
// dimensions by name and level, so that cells of an older policy are read as
// they were cut; those of the others have one.
func (q *query) told(m *policy.Metric, c coordinate) told {
	switch {
	case c.name == serviceName:
		return told{"1", "toString(service)"}
	case c.isTime() && !m.Value.Additive():
		switch c.bucket {
		case policy.Month:
			return told{"1", "substring(first_day, 1, 7)"}
		case policy.Trailing7, policy.Trailing30:
			return told{"1", "toString(last_day)"}
		}
		return told{"1", "toString(first_day)"}
	case c.isTime():
		both := func(f string) told {
			first, last := strings.ReplaceAll(f, "?", "first_day"), strings.ReplaceAll(f, "?", "last_day")
			return told{first + " = " + last, first}
		}
		switch c.bucket {
		case policy.Week:
			return both("toString(toMonday(toDate(?)))")
		case policy.Month:
			return both("substring(?, 1, 7)")
		}
		return both("toString(?)")
	case !m.Value.Additive():
		return told{"cube = " + q.text(c.name), "toString(d1)"}
	}
	at := "indexOf(splitByChar(',', toString(cube)), " + q.text(c.name) + ")"
	values := make([]string, maxTold)
	for i := range values {
		values[i] = "toString(" + policy.ColumnTold(i) + ")"
	}
	return told{
		"(" + at + " > 0 AND " + at + " <= level)",
		"[" + strings.Join(values, ", ") + "][greatest(" + at + ", 1)]",
	}
}

// where keeps the cells of a metric and a bucket that the principal may see and
// that lie within the question's days.
func (q *query) where(p *plan, bucket string) []string {
	// P14: the tenant is the principal's, always.
	and := []string{"tenant = " + q.text(p.tenant), "metric = " + q.text(p.metric.Name), "bucket = " + q.text(bucket)}
	if len(p.services) > 0 {
		and = append(and, "service IN ("+q.list(p.services)+")")
	}
	from := "first_day"
	if b := policy.Bucket(bucket); b == policy.Trailing7 || b == policy.Trailing30 {
		from = "last_day" // they go by it
	}
	if p.from != "" {
		and = append(and, from+" >= "+q.text(p.from))
	}
	if p.to != "" {
		and = append(and, "last_day < "+q.text(p.to))
	}
	return and
}

// passes says of a cell that it passes a filter.
func (q *query) passes(m *policy.Metric, f filter) string {
	t := q.told(m, f.coordinate)
	return "(" + t.is + " AND " + t.value + " IN (" + q.list(f.values) + "))"
}

// split writes the coordinates that an answer is split by, as two columns
// each, and what they are grouped by.
func (q *query) split(m *policy.Metric, by []coordinate) (columns, group []string) {
	for i, c := range by {
		t := q.told(m, c)
		is, value := "_is"+strconv.Itoa(i), "_v"+strconv.Itoa(i)
		if c.masked {
			t.value = "''"
		}
		columns = append(columns, "toUInt8("+t.is+") AS "+is, "if("+is+", "+t.value+", '') AS "+value)
		group = append(group, is, value)
	}
	return columns, group
}

// numbers writes the statement that adds cells up.
func (q *query) numbers(m *policy.Metric, by []coordinate, where []string) {
	columns, group := q.split(m, by)
	columns = append(columns, "toInt64(sum(value)) AS _n", "count() AS _cells")
	q.sql = "SELECT " + strings.Join(columns, ", ") + "\nFROM " + q.table + "\nWHERE " + strings.Join(where, " AND ")
	if len(group) > 0 {
		q.sql += "\nGROUP BY " + strings.Join(group, ", ")
	}
	q.sql += "\nHAVING _cells > 0\nLIMIT " + strconv.Itoa(MaxRows+1)
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
