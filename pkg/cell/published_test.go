package cell_test

import (
	"fmt"
	"slices"
	"strings"
)

// A published cell, as the table has it.
type published struct {
	Tenant, Service, Metric, Bucket, First, Last, Cube string
	Told                                               string // joined with |
	Level, Value                                       int64
	Through, K                                         int64
	id                                                 string
	raw                                                string // all of it, to see that it stays
}

func (c published) String() string {
	return fmt.Sprintf("%s/%s %s %s %s..%s [%s] %d %q = %d", c.Tenant, c.Service, c.Metric, c.Bucket, c.First, c.Last, c.Cube, c.Level, c.Told, c.Value)
}

// cells are all that are published, in the order they came.
func (s *site) cells() []published {
	s.t.Helper()
	r, err := s.verify.Rows(s.t.Context(), "SELECT toString(tenant), toString(service), toString(metric), toString(bucket), toString(first_day),"+
		" toString(last_day), toString(cube), toInt64(level), toInt64(value), toInt64(through), hex(event_id),"+
		" toString(d1), toString(d2), toString(d3), toString(tuple(*)), toInt64(k) FROM lethe.cell ORDER BY log_seq, event_id", nil)
	s.must(err)
	var out []published
	for _, row := range r.Rows {
		c := published{
			Tenant: row[0].(string), Service: row[1].(string), Metric: row[2].(string), Bucket: row[3].(string), First: row[4].(string),
			Last: row[5].(string), Cube: row[6].(string), Level: row[7].(int64), Value: row[8].(int64), Through: row[9].(int64), id: row[10].(string), raw: row[14].(string), K: row[15].(int64),
		}
		var told []string
		for _, v := range row[11 : 11+c.Level] {
			told = append(told, v.(string))
		}
		c.Told = strings.Join(told, "|")
		out = append(out, c)
	}
	return out
}

// of keeps cells of one metric, as text and sorted.
func of(all []published, metric string) []string {
	out := []string{}
	for _, c := range all {
		if c.Metric == metric {
			out = append(out, fmt.Sprintf("%s %s..%s [%s] %q = %d", c.Bucket, c.First, c.Last, c.Cube, c.Told, c.Value))
		}
	}
	slices.Sort(out)
	return out
}
