package stats_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// The model cuts the rows of made-up people into cells, and adds cells up, one
// by one. It knows persons, and shares no code with the package.

// fact is a row as the world knows it.
type fact struct {
	service string
	person  int
	day     string
	told    []string // values of the cube of visits
	spent   int64
	seq     uint64 // of the log
	cut     bool   // it is in a cell
}

// values are those of some dimensions.
func (x fact) values(dims []string) []string {
	out := make([]string, len(dims))
	for i, name := range dims {
		out[i] = x.told[slices.Index(cube, name)]
	}
	return out
}

// modelCell is a cell, and what it was cut from.
type modelCell struct {
	published
	dims    []string // by which it was cut; nil is the cube
	facts   []fact
	through uint64
}

func people(facts []fact) int {
	seen := map[int]bool{}
	for _, f := range facts {
		seen[f.person] = true
	}
	return len(seen)
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// distinct are the cells of visitors: those with k people, but none that with
// another around or in it tells about a few.
func distinct(facts []fact) []modelCell {
	var out []modelCell
	for _, c := range candidates(facts) {
		close := func(o modelCell) bool {
			gap := max(o.value-c.value, c.value-o.value)
			nested := contains(o, c) || contains(c, o)
			return o.service == c.service && nested && 0 < gap && gap < k
		}
		if c.value >= k && !slices.ContainsFunc(out, close) {
			out = append(out, c)
		}
	}
	return out
}

// contains says whether the people of one number are among those of another,
// as far as anybody can know without counting.
func contains(outer, inner modelCell) bool {
	return outer.first <= inner.first && inner.last <= outer.last && (outer.cube == "" || outer.cube == inner.cube && outer.told[0] == inner.told[0])
}

// candidates are numbers of visitors, the widest first.
func candidates(facts []fact) []modelCell {
	groups := map[string]modelCell{}
	for _, f := range facts {
		t, _ := time.Parse(time.DateOnly, f.day)
		monday := t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
		for _, c := range []published{
			{bucket: "month", first: f.day[:7] + "-01", last: t.AddDate(0, 1, -t.Day()).Format(time.DateOnly)},
			{bucket: "week", first: monday.Format(time.DateOnly), last: monday.AddDate(0, 0, 6).Format(time.DateOnly)},
			{bucket: "day", first: f.day, last: f.day},
		} {
			for i, cube := range []string{"", "action", "status", "product", "path"} {
				c.metric, c.service, c.cube, c.told = "visitors", f.service, cube, nil
				if cube != "" {
					c.told = []string{f.told[i-1]}
				}
				width := map[string]string{"month": "a", "week": "b", "day": "c"}[c.bucket]
				name := fmt.Sprint(width, c.first, c.service, cube, c.told)
				g := groups[name]
				groups[name] = modelCell{published: c, facts: append(g.facts, f)}
			}
		}
	}
	var out []modelCell
	for _, name := range sorted(groups) {
		c := groups[name]
		c.value = int64(people(c.facts))
		out = append(out, c)
	}
	return out
}

// tells is a cell's value of a coordinate, as answers show it, and whether it
// tells one.
func (c modelCell) tells(name string) (string, bool) {
	same := func(form func(time.Time) string) (string, bool) {
		first, _ := time.Parse(time.DateOnly, c.first)
		last, _ := time.Parse(time.DateOnly, cmp.Or(c.last, c.first))
		return form(first), form(first) == form(last)
	}
	switch name {
	case "service":
		return c.service, true
	case "day":
		return same(func(t time.Time) string { return t.Format(time.DateOnly) })
	case "month":
		return same(func(t time.Time) string { return t.Format("2006-01") })
	case "week":
		return same(func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("%d-W%02d", y, w) })
	}
	i := slices.Index(cube, name)
	if c.dims != nil {
		i = slices.Index(c.dims, name)
	}
	if c.cube != "" {
		i = slices.Index([]string{c.cube}, name)
	}
	if i < 0 || i >= len(c.told) {
		return "", false
	}
	return c.told[i], true
}

// touches says whether some day of a cell is in one of some stretches of time.
// Of what is not time nobody knows.
func (c modelCell) touches(name string, values []string) bool {
	if slices.Contains(cube, name) {
		return true
	}
	for d := day(c.first); !d.After(day(cmp.Or(c.last, c.first))); d = d.AddDate(0, 0, 1) {
		v, _ := modelCell{published: published{first: d.Format(time.DateOnly)}}.tells(name)
		if slices.Contains(values, v) {
			return true
		}
	}
	return false
}

// cube is that of visits.
var cube = []string{"action", "status", "product", "path", "secure", "hour"}

// answer is what a question has to be answered with: of each row, and of the
// total, the cells that are added up.
type modelAnswer struct {
	rows   map[string][]modelCell
	total  []modelCell
	beside []modelCell
}

// ask answers a question about visits and income.
func ask(cells []modelCell, q stats.Question) modelAnswer {
	a := modelAnswer{rows: map[string][]modelCell{}}
	for _, c := range cells {
		if c.metric != q.Metric {
			continue
		}
		// What is asked for is surely in the cell, or surely not, or perhaps.
		sure, perhaps := true, true
		for name, values := range q.Filters {
			v, ok := c.tells(name)
			hit := ok && slices.Contains(values, v)
			sure = sure && hit
			perhaps = perhaps && (hit || !ok && c.touches(name, values))
		}
		first, last := day(c.first), day(cmp.Or(c.last, c.first))
		if !q.From.IsZero() {
			sure = sure && !first.Before(q.From)
			perhaps = perhaps && !last.Before(q.From)
		}
		if !q.To.IsZero() {
			sure = sure && last.Before(q.To)
			perhaps = perhaps && first.Before(q.To)
		}
		switch {
		case sure:
			var line []string
			for _, name := range q.By {
				v, ok := c.tells(name)
				if !ok {
					v = "(other)"
				} else if name == "secure" && v == "" {
					v = "<nil>"
				}
				line = append(line, v)
			}
			name := strings.Join(line, " ")
			a.rows[name] = append(a.rows[name], c)
			a.total = append(a.total, c)
		case perhaps:
			a.beside = append(a.beside, c)
		}
	}
	return a
}

// count answers a question about visitors that is split by a bucket.
func count(cells []modelCell, q stats.Question) modelAnswer {
	split := ""
	for _, name := range q.By {
		if slices.Contains(cube, name) {
			split = name
		}
	}
	var in []modelCell
	for _, c := range cells {
		if c.metric == q.Metric && c.cube == split && slices.Contains(q.By, c.bucket) {
			in = append(in, c)
		}
	}
	return ask(in, q)
}

func add(cells []modelCell) (n int64) {
	for _, c := range cells {
		n += c.value
	}
	return n
}

func factsOf(cells []modelCell) (out []fact) {
	for _, c := range cells {
		out = append(out, c.facts...)
	}
	return out
}

// someFacts makes up what happened in some weeks.
func someFacts(seed uint64) []fact {
	r := rand.New(rand.NewPCG(seed, 7))
	persons, days := 4+r.IntN(30), 1+r.IntN(20)
	few := func(n int, values ...string) string { return values[min(r.IntN(n), r.IntN(n), len(values)-1)] }
	var out []fact
	for i := range 20 + r.IntN(400) {
		d := day("2026-02-23").AddDate(0, 0, r.IntN(days))
		out = append(out, fact{
			service: few(3, "web", "app", "api"), person: int(float64(persons) * r.Float64() * r.Float64()), day: d.Format(time.DateOnly),
			told: []string{
				few(2, "come", "go"), few(3, "200", "404", "-1"), few(3, "pen", "ink", ""), few(6, "/", "/a", "/b", `/x'y\`, "/日本", ""),
				few(3, "true", "false", ""), d.Add(time.Duration(r.IntN(3)) * time.Hour).Format(time.RFC3339),
			},
			spent: r.Int64N(100), seq: uint64(i + 1),
		})
	}
	return out
}

// someQuestion makes up a question about them.
func someQuestion(r *rand.Rand, facts []fact) stats.Question {
	q := stats.Question{Metric: []string{"visits", "income", "visitors"}[r.IntN(3)], Filters: map[string][]string{}}
	any := func() fact { return facts[r.IntN(len(facts))] }
	times, dims := []string{"day", "week", "month"}, cube
	if q.Metric == "visitors" {
		q.By = append(q.By, times[r.IntN(3)])
		if dims = cube[:4]; r.IntN(2) == 0 {
			q.By = append(q.By, dims[r.IntN(4)])
		}
		if r.IntN(2) == 0 {
			q.By = append(q.By, "service")
		}
		dims = slices.DeleteFunc(slices.Clone(q.By), func(name string) bool { return !slices.Contains(cube, name) })
	} else {
		r.Shuffle(3, func(i, j int) { times[i], times[j] = times[j], times[i] })
		all := append([]string{"service", times[0]}, cube...)
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		q.By = all[:r.IntN(4)]
	}
	if r.IntN(2) == 0 {
		q.From = day(any().day)
	}
	if to := day(any().day).AddDate(0, 0, r.IntN(2)); r.IntN(2) == 0 && q.From.Before(to) {
		q.To = to
	}
	for _, name := range append(slices.Clone(dims), "service", "day") {
		if r.IntN(6) > 0 || q.Metric == "visitors" && name == "day" {
			continue
		}
		for range 1 + r.IntN(2) {
			v, _ := modelCell{published: published{first: any().day, service: any().service, told: any().told}}.tells(name)
			if r.IntN(10) == 0 && name == "path" {
				v = "/nowhere"
			}
			q.Filters[name] = append(q.Filters[name], v)
		}
	}
	return q
}

// kindOf names what kind of number a metric is.
func kindOf(pol *policy.Policy, metric string) policy.ValueOf {
	m, _ := pol.Metric(metric)
	return m.Value
}
