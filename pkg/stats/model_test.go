package stats_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// The model answers questions by going through visits one by one. It knows
// persons, not tokens, and shares no code with the package.

// people counts who stands behind visits in each service; person 0 does not
// count, being anybody.
func people(visits []visit) map[string]map[int]bool {
	out := map[string]map[int]bool{}
	for _, v := range visits {
		if v.person == 0 {
			continue
		}
		if out[v.service] == nil {
			out[v.service] = map[int]bool{}
		}
		out[v.service][v.person] = true
	}
	return out
}

// present is who of them came last and has not gone.
func present(visits []visit) map[string]map[int]bool {
	last := map[string]map[int]visit{}
	for _, v := range visits {
		if v.person == 0 {
			continue
		}
		if last[v.service] == nil {
			last[v.service] = map[int]visit{}
		}
		old, ok := last[v.service][v.person]
		if !ok || v.at.After(old.at) || v.at.Equal(old.at) && v.seq > old.seq {
			last[v.service][v.person] = v
		}
	}
	out := map[string]map[int]bool{}
	for service, byPerson := range last {
		out[service] = map[int]bool{}
		for person, v := range byPerson {
			if v.action == "come" {
				out[service][person] = true
			}
		}
	}
	return out
}

func sum(m map[string]map[int]bool) (n int64) {
	for _, s := range m {
		n += int64(len(s))
	}
	return n
}

func most(m map[string]map[int]bool) (n int) {
	for _, s := range m {
		n = max(n, len(s))
	}
	return n
}

// join unites people, service by service.
func join(a, b map[string]map[int]bool) map[string]map[int]bool {
	out := map[string]map[int]bool{}
	for _, m := range []map[string]map[int]bool{a, b} {
		for service, set := range m {
			if out[service] == nil {
				out[service] = map[int]bool{}
			}
			for p := range set {
				out[service][p] = true
			}
		}
	}
	return out
}

// value is the metric's number over visits, and whether it may be shown.
func value(metric string, visits []visit) (n int64, ok bool) {
	all := people(visits)
	switch metric {
	case "load":
		return int64(len(visits)), true
	case "visits", "arrivals":
		return int64(len(visits)), most(all) >= k
	case "visitors":
		return sum(all), most(all) >= k
	case "present":
		here := present(visits)
		return sum(here), most(all) >= k && (sum(here) == 0 || most(here) >= k)
	}
	panic(metric)
}

// dimension is a visit's value in a dimension, and a text that sorts as it
// should.
func dimension(v visit, name string) (any, string) {
	switch name {
	case "hour":
		s := v.at.UTC().Format("2006-01-02T15") + ":00:00Z"
		return s, s
	case "day":
		s := v.at.UTC().Format("2006-01-02")
		return s, s
	case "week":
		y, w := v.at.UTC().ISOWeek()
		s := fmt.Sprintf("%d-W%02d", y, w)
		return s, s
	case "month":
		s := v.at.UTC().Format("2006-01")
		return s, s
	case "service":
		return v.service, v.service
	case "action":
		return v.action, v.action
	case "path":
		return v.path, "=" + v.path
	case "status":
		return v.status, fmt.Sprintf("%05d", v.status+1000)
	case "code":
		if v.code == nil {
			return nil, ""
		}
		return *v.code, fmt.Sprintf("=%05d", *v.code)
	case "secure":
		if v.secure == nil {
			return nil, ""
		}
		return *v.secure, strconv.FormatBool(*v.secure)
	}
	panic(name)
}

func shownAs(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// about are the visits a question is about.
func about(visits []visit, q stats.Question) []visit {
	var out []visit
	for _, v := range visits {
		keep := (q.From.IsZero() || !v.at.Before(q.From)) && (q.To.IsZero() || v.at.Before(q.To)) &&
			(q.Metric != "arrivals" || v.action == "come")
		for name, values := range q.Filters {
			is, _ := dimension(v, name)
			keep = keep && slices.Contains(values, shownAs(is))
		}
		if keep {
			out = append(out, v)
		}
	}
	return out
}

type modelCell struct {
	by      map[string]any
	sorting string
	visits  []visit
	value   int64
	hidden  bool
}

func split(visits []visit, by []string) map[string]*modelCell {
	order := slices.Clone(by)
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(isColumn(a), isColumn(b)) })
	cells := map[string]*modelCell{}
	for _, v := range visits {
		c := modelCell{by: map[string]any{}}
		for _, name := range order {
			is, sorting := dimension(v, name)
			c.by[name] = is
			c.sorting += sorting + "\x00"
		}
		if cells[c.sorting] == nil {
			cells[c.sorting] = &c
		}
		cells[c.sorting].visits = append(cells[c.sorting].visits, v)
	}
	return cells
}

func isColumn(name string) int {
	if strings.Contains("hour day week month", name) {
		return 0
	}
	return 1
}

// expect answers a question.
func expect(visits []visit, q stats.Question) (rows []stats.Row, total stats.Number) {
	visits = about(visits, q)
	number := func(n int64, ok bool) stats.Number {
		if !ok {
			return stats.Number{Hidden: true}
		}
		return stats.Number{Value: &n}
	}
	n, ok := value(q.Metric, visits)
	total = number(n, ok || len(visits) == 0)
	if len(q.By) == 0 {
		return []stats.Row{}, total
	}

	var concealed []visit
	exposed := map[string]map[int]bool{} // people that shown rows count
	var added int64
	display := map[string]*modelCell{}
	for _, c := range split(visits, q.By) {
		c.value, ok = value(q.Metric, c.visits)
		c.hidden = !ok
		if c.hidden {
			concealed = append(concealed, c.visits...)
			if _, has := c.by["path"]; has { // what paths may hold is told of no few
				c.by["path"] = nil
				masked := c.visits[0]
				masked.path = "\x00"
				for s := range split([]visit{masked}, q.By) {
					c.sorting = strings.ReplaceAll(s, "=\x00", "")
				}
			}
			c.sorting += "~"
		} else {
			added += c.value
			if q.Metric == "present" {
				exposed = join(exposed, present(c.visits))
			} else {
				exposed = join(exposed, people(c.visits))
			}
		}
		display[c.sorting] = c
	}
	hiddenRows := 0
	var names []string
	for name, c := range display {
		names = append(names, name)
		if c.hidden {
			hiddenRows++
		}
	}
	slices.Sort(names)
	rows = []stats.Row{}
	for _, name := range names {
		c := display[name]
		rows = append(rows, stats.Row{By: c.by, Number: number(c.value, !c.hidden)})
	}
	if total.Hidden || hiddenRows == 0 {
		return rows, total
	}

	// What the hidden rows hold together: each of them as its own cell.
	behind, counted := people(concealed), map[string]map[int]bool{}
	if q.Metric == "present" {
		for _, c := range split(concealed, q.By) {
			counted = join(counted, present(c.visits))
		}
	}
	few := func(n int64) bool { return 0 < n && n < k }
	counts := q.Metric == "visitors" || q.Metric == "present"
	if hiddenRows == 1 || most(behind) < k || sum(counted) > 0 && most(counted) < k ||
		counts && (few(n-sum(exposed)) || few(n-added)) {
		total = stats.Number{Hidden: true}
	}
	return rows, total
}
