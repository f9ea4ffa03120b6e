package stats_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// questions is how many random questions are asked.
func questions() int {
	if os.Getenv("LETHE_TEST_LONG") == "1" {
		return 10_000
	}
	return 200
}

// world is what happened to a tenant, and what was published of it.
type world struct {
	tenant string
	facts  []fact
	cells  []modelCell
}

// TestAnswersAreSumsOfCellsAndSayNothingAboutFew: P19. Of every number that is
// shown, the model knows which cells are in it, and who is behind them.
func TestAnswersAreSumsOfCellsAndSayNothingAboutFew(t *testing.T) {
	l := newLab(t)
	var worlds []world
	for seed := range uint64(24) {
		w := world{tenant: newTenant(), facts: someFacts(seed)}
		w.cells = append(guarded.additive(w.facts), distinct(w.facts)...)
		var cells []published
		for _, c := range w.cells {
			cells = append(cells, c.published)
		}
		l.put(t, w.tenant, cells...)
		worlds = append(worlds, w)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	const askers = 4
	for asker := range uint64(askers) {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(asker, 19))
			for range questions() / askers {
				w := worlds[r.IntN(len(worlds))]
				q := someQuestion(r, w.facts)
				a, err := l.stats.Ask(t.Context(), principal(w.tenant), q)
				if err != nil {
					t.Errorf("%+v: %v", q, err)
					return
				}
				what, kind := judge(kindOf(l.pol, q.Metric), w.cells, q, a)
				if what != "" {
					t.Errorf("%+v: %s", q, what)
					return
				}
				mu.Lock()
				seen[kind]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Log(seen)
	if len(seen) < 8 && !t.Failed() {
		t.Errorf("only %d kinds of answers were given; the test is too narrow", len(seen))
	}
}

// judge says what is wrong with an answer, if anything, and of which kind it is.
func judge(value policy.ValueOf, cells []modelCell, q stats.Question, a stats.Answer) (what, kind string) {
	want := ask(cells, q)
	if value == policy.Distinct {
		want = count(cells, q)
		want.total, want.beside = nil, nil // other tests say what stands there
		a.Total, a.Beside = stats.Number{Hidden: true}, nil
	}
	lists := []string{}
	for name, in := range want.rows {
		if len(q.By) > 0 {
			lists = append(lists, fmt.Sprintf("%s %d", name, add(in)))
		}
	}
	got := lines(a)
	total, got := got[len(got)-1], got[:len(got)-1]
	slices.Sort(lists)
	slices.Sort(got)
	if diff := cmp.Diff(lists, got); diff != "" {
		return "rows (-want +got):\n" + diff, ""
	}
	beside := "none"
	if a.Beside != nil {
		beside = string(*a.Beside)
	}
	for _, n := range []struct {
		name, got string
		in        []modelCell
	}{{"total", total[2:], want.total}, {"number beside", beside, want.beside}} {
		expected := fmt.Sprint(add(n.in))
		if len(n.in) == 0 {
			expected = map[string]string{"total": "hidden", "number beside": "none"}[n.name]
		}
		if n.got != expected {
			return fmt.Sprintf("the %s is %s, want %s", n.name, n.got, expected), ""
		}
	}
	numbers := append([][]modelCell{want.total, want.beside}, values(want.rows)...)
	return aboutFew(value, numbers), fmt.Sprintf("%s: rows %v, total %v, beside %v", value, len(a.Rows) > 0, !a.Total.Hidden, a.Beside != nil)
}

// aboutFew says whether one of some numbers is about fewer than k people, or
// the difference of two: they are those of one answer, with its total.
func aboutFew(value policy.ValueOf, numbers [][]modelCell) string {
	for i, a := range numbers {
		for _, c := range a {
			if value == policy.Distinct && c.value < k || value != policy.Distinct && people(c.facts) < k {
				return fmt.Sprintf("a number is of a cell about fewer than %d people", k)
			}
		}
		for _, b := range numbers[:i] {
			if value == policy.Distinct {
				continue
			}
			for _, pair := range [][2][]modelCell{{a, b}, {b, a}} {
				if n := people(without(factsOf(pair[0]), factsOf(pair[1]))); n > 0 && n < k {
					return fmt.Sprintf("what one number has and another has not is about fewer than %d people", k)
				}
			}
		}
	}
	return ""
}

// without are facts that are not among others.
func without(facts, others []fact) (out []fact) {
	known := map[uint64]bool{}
	for _, f := range others {
		known[f.seq] = true
	}
	for _, f := range facts {
		if !known[f.seq] {
			out = append(out, f)
		}
	}
	return out
}

func values(m map[string][]modelCell) (out [][]modelCell) {
	for _, name := range sorted(m) {
		out = append(out, m[name])
	}
	return out
}

// TestTheModelFindsWhatAGuardWouldHaveHidden are the controls: without folding,
// and without hiding what completes it, some number is about few.
func TestTheModelFindsWhatAGuardWouldHaveHidden(t *testing.T) {
	for name, g := range map[string]guard{"no folding": {absorb: true}, "no absorbing": {fold: true}, "neither": {}} {
		found := 0
		g.k, g.dims = k, cube
		r := rand.New(rand.NewPCG(1, 2))
		for seed := range uint64(24) {
			facts := someFacts(seed)
			cells := g.additive(facts)
			for range 20 {
				q := someQuestion(r, facts)
				if q.Metric == "visitors" {
					continue
				}
				want := ask(cells, q)
				if aboutFew(policy.Count, append([][]modelCell{want.total, want.beside}, values(want.rows)...)) != "" {
					found++
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: nothing is found; the model would not see it", name)
		}
	}
}

// TestFewAnswerLikeNobody: P19. A filter that few pass is answered as one that
// nobody passes is: with what lies beside it, and nothing else.
func TestFewAnswerLikeNobody(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	var facts []fact
	for person := range 40 {
		told := []string{"come", "200", "pen", "/a", "", ""}
		if person < 3 {
			told[3] = "/few"
		} else if person < 15 {
			told[3] = "/b"
		}
		facts = append(facts, fact{service: "web", person: person, day: "2026-03-02", told: told})
	}
	var cells []published
	for _, c := range append(guarded.additive(facts), distinct(facts)...) {
		cells = append(cells, c.published)
	}
	l.put(t, tenant, cells...)
	for _, q := range []stats.Question{
		{Metric: "visits"}, {Metric: "visits", By: []string{"day", "action"}}, {Metric: "visits", By: []string{"path"}, Top: 3},
		{Metric: "visits", Explain: true}, {Metric: "visitors", By: []string{"day"}}, {Metric: "visitors", From: day("2026-03-02"), To: day("2026-03-03")},
		{Metric: "visits_per_visitor", By: []string{"day"}}, {Metric: "income"},
	} {
		few, nobody, many := q, q, q
		few.Filters, nobody.Filters, many.Filters = filters("path", "/few"), filters("path", "/nobody"), filters("path", "/a")
		if diff := cmp.Diff(l.ask(t, principal(tenant), nobody), l.ask(t, principal(tenant), few), cmpopts.IgnoreUnexported(stats.Answer{})); diff != "" {
			t.Errorf("%+v: few are told from nobody (-nobody +few):\n%s", q, diff)
		}
		if cmp.Equal(lines(l.ask(t, principal(tenant), nobody)), lines(l.ask(t, principal(tenant), many))) {
			t.Errorf("%+v: many are not told from nobody; the test shows nothing", q)
		}
	}
}
