package stats_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// TestNoTwoAnswersEverDifferByFew: P19. The real publisher cuts the rows of
// made-up people, on both sides of an edge of key epochs; questions are asked;
// one more event comes late, a person is erased, days expire, and more people
// come; and after each the same questions are asked. The model finds out which
// rows are in which cell, and so who is behind every number and behind the
// difference of any two.
func TestNoTwoAnswersEverDifferByFew(t *testing.T) {
	f := newFlow(t, 4) // in the middle of what is stored
	tenant := newTenant()
	r := rand.New(rand.NewPCG(4, 19))
	first := f.someFacts(r, 1, 1200, 60) // until yesterday: of days that are over all is cut that can be
	f.store(t, tenant, first...)
	f.cut(t, tenant)

	var asked []stats.Question
	for range questions() / 8 {
		asked = append(asked, someQuestion(r, first))
	}
	was := make([]modelAnswer, len(asked))
	text := make([]string, len(asked))
	watch := &numbersOfPeople{f: f, tenant: tenant, were: map[string]int64{}}
	look := func(when string) (changed int) {
		t.Helper()
		cells := slices.Clone(f.cells)
		for i, q := range asked {
			a := f.ask(t, principal(tenant), q)
			value := kindOf(f.pol, q.Metric)
			if what, _ := judge(value, cells, q, a); what != "" {
				t.Fatalf("%s: %+v: %s", when, q, what)
			}
			if value == policy.Distinct {
				continue // those numbers are watched by themselves
			}
			if now := fmt.Sprint(lines(a)); now != text[i] {
				changed++
				text[i] = now
			}
			now := ask(cells, q)
			numbers := append([][]modelCell{now.total, now.beside, was[i].total, was[i].beside}, append(values(now.rows), values(was[i].rows)...)...)
			if what := aboutFew(value, numbers); what != "" {
				t.Fatalf("%s: %+v: %s", when, q, what)
			}
			was[i] = now
		}
		watch.look(t, when)
		return changed
	}
	if look("at first") == 0 {
		t.Fatal("nothing is answered; the test shows nothing")
	}

	// One event of somebody who was never there, of a day where nobody waits:
	// nothing that anybody can see changes.
	late := first[0]
	for i, x := range first {
		if !slices.ContainsFunc(f.facts, func(w fact) bool { return w.service == x.service }) {
			late = first[i]
		}
	}
	late.person = 1000
	f.store(t, tenant, late)
	f.cut(t, tenant)
	if n := look("after one late event"); n != 0 {
		t.Errorf("%d answers are others after one late event", n)
	}
	// The control: were it published, the answers would differ by one person.
	forged := modelCell{published: published{metric: "visits"}, facts: []fact{late}}
	if aboutFew(policy.Count, [][]modelCell{was[0].total, append(slices.Clone(was[0].total), forged)}) == "" {
		t.Error("a cell about one person is not noticed; the test shows nothing")
	}

	f.erase(t, first[1].person)
	f.cut(t, tenant)
	if n := look("after an erasure"); n != 0 {
		t.Errorf("%d answers are others after an erasure", n)
	}

	f.store(t, tenant, f.someFacts(r, 0, 400, 60)...)
	f.cut(t, tenant)
	if look("after more people came, late and today") == 0 {
		t.Error("no answer is another after 400 events")
	}

	before := len(f.cells)
	f.expire(t, 27)
	f.cut(t, tenant)
	look("after days expired")
	if len(f.facts) == len(first) || len(f.cells) < before {
		t.Error("nothing expired; the test shows nothing")
	}
}

// someFacts makes up what some people did in the days until some days ago.
func (f *flow) someFacts(r *rand.Rand, ago, n, persons int) []fact {
	few := func(n int, values ...string) string { return values[min(r.IntN(n), r.IntN(n), len(values)-1)] }
	var out []fact
	for range n {
		at := f.today.AddDate(0, 0, -ago-min(r.IntN(7), r.IntN(7))).Add(time.Duration(r.IntN(4)) * time.Hour)
		out = append(out, fact{
			service: few(2, "web", "app"), person: int(float64(persons) * r.Float64()), day: at.Format(time.DateOnly), spent: r.Int64N(100),
			told: []string{few(2, "come", "go"), few(3, "200", "404", "-1"), few(3, "pen", "ink", ""), few(4, "/", "/a", "/b", ""), few(3, "true", "false", ""), at.Format(time.RFC3339)},
		})
	}
	return out
}

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
