package stats_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// numbersOfPeople watches every number of visitors that is published.
type numbersOfPeople struct {
	f      *flow
	tenant string
	were   map[string]int64
}

// look asks for all of them, one by one, and holds each to what it was before,
// and to those around it and in it.
func (w *numbersOfPeople) look(t *testing.T, when string) {
	t.Helper()
	var all []modelCell
	for _, b := range []string{"day", "week", "trailing_30"} {
		for _, dim := range []string{"", "status"} {
			q := stats.Question{Metric: "visitors", By: []string{b, "service"}, Explain: true}
			if dim != "" {
				q.By = append(q.By, dim)
			}
			sums := map[string]int64{}
			a := w.f.ask(t, principal(w.tenant), q)
			for _, c := range a.Cells {
				if c.Bucket != b || len(c.Told) != len(q.By)-2 {
					continue
				}
				sums[fmt.Sprint(c.First, " ", c.Last, " ", c.Service, " ", c.Told)] += c.Value
				m := modelCell{published: published{metric: "visitors", bucket: b, service: c.Service, first: c.First, last: c.Last, cube: dim}}
				if dim != "" {
					m.told = []string{c.Told[dim]}
				}
				i := slices.IndexFunc(all, func(o modelCell) bool {
					return o.bucket == b && contains(o, m) && contains(m, o) && o.service == m.service
				})
				if i < 0 {
					i, all = len(all), append(all, m)
				}
				all[i].value += c.Value
			}
			for name, n := range sums {
				name = fmt.Sprint(b, " ", name)
				if more := n - w.were[name]; more != 0 && more < k {
					t.Errorf("%s: a number of visitors became another by %d", when, more)
				}
				w.were[name] = n
			}
		}
	}
	if len(all) < 20 {
		t.Fatalf("%s: only %d numbers of visitors are published; the test is too narrow", when, len(all))
	}
	for _, a := range all {
		if a.value < k {
			t.Errorf("%s: %d visitors are shown", when, a.value)
		}
		var in []fact // who is on both sides of an edge of epochs is one
		for _, x := range w.f.ever {
			if x.service == a.service && a.first <= x.day && x.day <= a.last && (a.cube == "" || x.told[slices.Index(cube, a.cube)] == a.told[0]) {
				in = append(in, x)
			}
		}
		if n := people(in); int(a.value) > n {
			t.Errorf("%s: %d visitors of %d people are shown from %s to %s", when, a.value, n, a.first, a.last)
		}
		for _, b := range all {
			if gap := a.value - b.value; a.service == b.service && contains(a, b) && 0 < gap && gap < k {
				t.Errorf("%s: visitors from %s to %s, minus those in it from %s to %s, are %d", when, a.first, a.last, b.first, b.last, gap)
			}
		}
	}
}
