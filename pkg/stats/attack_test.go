package stats_test

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// seed is that of the attack: 19, or LETHE_TEST_SEED.
func seed(t *testing.T) uint64 {
	text := os.Getenv("LETHE_TEST_SEED")
	if text == "" {
		return 19
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal("LETHE_TEST_SEED is not a number")
	}
	return n
}

// TestNoTwoAnswersEverDifferByFew: P19. The real publisher cuts the rows of
// made-up people, on both sides of an edge of key epochs; questions are asked,
// on every way out; one more event comes late, a person is erased, a day
// expires, more people come, the policy becomes another, the warehouse is
// rebuilt; and after each the same questions are asked. The model finds out
// which rows are in which cell, and so who is behind every number, and behind
// whatever is left when numbers are taken from each other.
func TestNoTwoAnswersEverDifferByFew(t *testing.T) {
	began := time.Now()
	n := questions()
	if n < 1000 {
		n /= 8
	}
	a := newAttack(t, seed(t), n)
	a.f.store(t, a.tenant, a.first...)
	a.f.cut(t, a.tenant)
	if a.look("at first") == 0 {
		t.Fatal("nothing is answered; the test shows nothing")
	}

	// One event of somebody who was never there, of a day where nobody waits:
	// nothing that anybody can see changes.
	late := a.first[0]
	for i, x := range a.first {
		if !slices.ContainsFunc(a.f.facts, func(w fact) bool { return w.service == x.service }) {
			late = a.first[i]
		}
	}
	late.person = 1000
	a.f.store(t, a.tenant, late)
	a.unchanged("after one late event")

	a.f.erase(t, a.first[1].person)
	a.unchanged("after an erasure")

	a.changed("after more people came, late and today", a.f.someFacts(a.r, 0, 400, 60))

	// All days are over, and then the rule of the first is.
	oldest := slices.MinFunc(a.f.ever, func(x, y fact) int { return cmp.Compare(x.day, y.day) })
	left := 31 - int(a.f.today.Sub(day(oldest.day)).Hours()/24)
	a.f.expire(t, left-1)
	a.f.cut(t, a.tenant)
	a.look("after all days were over")
	rows := a.f.rows(t)
	a.f.expire(t, 1)
	a.unchanged("after a day expired")
	if now := a.f.rows(t); now == 0 || now == rows {
		t.Errorf("of %d rows %d are left; the test shows nothing", rows, now)
	}
	a.f.expire(t, 20)
	a.f.cut(t, a.tenant)
	a.look("after all days expired")

	// From here on cells are cut otherwise.
	a.f.adopt(t, a.f.policy(t, "k: 5", "k: 8", "[action, status, product, path, secure, hour]", "[product, path, action, hour, status, secure]"))
	a.unchanged("after a change of the policy")
	a.changed("after people came under it", a.f.someFacts(a.r, 1, 600, 60))

	a.f.rebuild(t)
	a.unchanged("after a rebuild")

	few := func(metric string) (parts, few int) {
		for _, facts := range a.atoms(metric) {
			if most, total := spent(facts); people(facts) < k || metric == "income" && 100*most > 80*total {
				few++
			}
			parts++
		}
		return parts, few
	}
	for _, metric := range []string{"visits", "income"} {
		if parts, few := few(metric); parts < 20 || few > 0 {
			t.Errorf("of %s, all numbers are made of %d parts, of which %d are about few, or one's", metric, parts, few)
		}
	}
	parts, _ := few("visits")
	// The control: were the late event published, somebody would find it.
	forged := modelCell{published: published{metric: "visits"}, facts: []fact{late}}
	total := ask(a.f.cells, stats.Question{Metric: "visits"}).total
	if aboutFew(policy.Count, [][]modelCell{total, append(slices.Clone(total), forged)}) == "" {
		t.Error("a cell about one person is not noticed; the test shows nothing")
	}
	a.f.cells = append(a.f.cells, forged)
	a.note("forged", append(slices.Clone(total), forged))
	if _, few := few("visits"); few != 1 {
		t.Error("a number with one person more is not noticed; the test shows nothing")
	}
	t.Logf("seed %d: %d questions, %d answers, %d numbers, %d cells of %d parts, %d rounds without sums, in %s",
		seed(t), len(a.asked), a.answers, a.numbers, len(a.f.cells), parts, a.f.untold, time.Since(began).Round(time.Second))
	if a.f.untold == 0 {
		t.Error("nobody ever paid nearly all; the test is too narrow")
	}
}

// An attack asks the same questions again and again.
type attack struct {
	t      *testing.T
	f      *flow
	tenant string
	r      *rand.Rand
	first  []fact // until yesterday: of days that are over all is cut that can be
	asked  []stats.Question
	text   []string
	people *numbersOfPeople

	mu               sync.Mutex // guards what follows
	marks            map[uint64]uint64
	answers, numbers int
}

func newAttack(t *testing.T, seed uint64, questions int) *attack {
	a := &attack{t: t, f: newFlow(t, 4), tenant: newTenant(), r: rand.New(rand.NewPCG(4, seed)), marks: map[uint64]uint64{}}
	a.first = a.f.someFacts(a.r, 1, 1200, 60)
	for range questions {
		a.asked = append(a.asked, someQuestion(a.r, a.first))
	}
	a.text = make([]string, questions)
	a.people = &numbersOfPeople{f: a.f, tenant: a.tenant, were: map[string]int64{}}
	return a
}

// unchanged says that nobody can see what happened.
func (a *attack) unchanged(when string) {
	a.t.Helper()
	a.f.cut(a.t, a.tenant)
	if n := a.look(when); n != 0 {
		a.t.Errorf("%d answers are others %s", n, when)
	}
}

// changed says that everybody can see what happened.
func (a *attack) changed(when string, facts []fact) {
	a.t.Helper()
	a.f.store(a.t, a.tenant, facts...)
	a.f.cut(a.t, a.tenant)
	if a.look(when) == 0 {
		a.t.Errorf("no answer is another %s", when)
	}
}

// look asks all questions, and says how many answers are others than before.
func (a *attack) look(when string) (changed int) {
	a.t.Helper()
	a.f.later += time.Minute
	cells := slices.Clone(a.f.cells)
	for _, c := range cells {
		if c.metric != "visitors" && people(c.facts) < c.k {
			a.t.Errorf("%s: a cell that says at least %d is of fewer", when, c.k)
		}
	}
	out, began := a.newWays(when), time.Now()
	const askers = 4
	var wg sync.WaitGroup
	for asker := range askers {
		wg.Go(func() {
			for i := asker; i < len(a.asked) && !a.t.Failed(); i += askers {
				if what := a.ask(when, cells, out, i, &changed); what != "" {
					a.t.Errorf("%s: %+v: %s", when, a.asked[i], what)
				}
			}
		})
	}
	wg.Wait()
	a.t.Logf("%s: asked in %s", when, time.Since(began).Round(time.Second))
	out.sql(cells)
	a.people.look(a.t, when)
	if a.t.Failed() {
		a.t.FailNow()
	}
	return changed
}

// ask asks one question, and says what is wrong with the answer.
func (a *attack) ask(when string, cells []modelCell, out *ways, i int, changed *int) string {
	q := a.asked[i]
	q.Explain = i%5 == 0
	answer, err := a.f.stats.Ask(a.t.Context(), principal(a.tenant), q)
	if err != nil {
		return err.Error()
	}
	value := kindOf(a.f.pol, q.Metric)
	if what, _ := judge(value, cells, q, answer); what != "" {
		return what
	}
	if what := out.ask(i, q, answer); what != "" {
		return what
	}
	if answer.AsOf == nil || !answer.AsOf.Equal(a.f.now().Add(-time.Minute)) {
		return fmt.Sprintf("it is as of %v", answer.AsOf)
	}
	if value == policy.Distinct {
		return "" // those numbers are watched by themselves
	}
	now := ask(cells, q)
	if what := explained(q, answer, now.total); what != "" {
		return what
	}
	numbers := append([][]modelCell{now.total, now.beside}, values(now.rows)...)
	if what := aboutFew(value, numbers); what != "" {
		return what
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers++
	if text := fmt.Sprint(lines(answer)); text != a.text[i] {
		*changed, a.text[i] = *changed+1, text
	}
	for j, n := range numbers {
		a.note(fmt.Sprint(when, i, j), n)
	}
	return ""
}

// note remembers which cells are in a number. What they say is the same for
// counts and for sums: each is known by its first row.
func (a *attack) note(name string, number []modelCell) {
	if len(number) == 0 {
		return
	}
	a.numbers++
	h := fnv.New64a()
	h.Write([]byte(name))
	mark := rand.New(rand.NewPCG(h.Sum64(), 0)).Uint64()
	for _, c := range number {
		a.marks[c.facts[0].seq] ^= mark
	}
}

// atoms are the rows of a metric that lie in the same numbers of all that were
// ever shown: whatever is added up and taken from each other is made of them.
func (a *attack) atoms(metric string) map[uint64][]fact {
	out := map[uint64][]fact{}
	for _, c := range a.f.cells {
		if c.metric == metric {
			if mark := a.marks[c.facts[0].seq]; mark != 0 {
				out[mark] = append(out[mark], c.facts...)
			}
		}
	}
	return out
}

// someFacts makes up what some people did in the days until some days ago.
func (f *flow) someFacts(r *rand.Rand, ago, n, persons int) []fact {
	few := func(n int, values ...string) string { return values[min(r.IntN(n), r.IntN(n), len(values)-1)] }
	var out []fact
	for range n {
		paid := r.Int64N(100)
		if r.IntN(60) == 0 {
			paid *= 200 // more than all others on many days
		}
		at := f.today.AddDate(0, 0, -ago-min(r.IntN(7), r.IntN(7))).Add(time.Duration(r.IntN(4)) * time.Hour)
		out = append(out, fact{
			service: few(2, "web", "app"), person: int(float64(persons) * r.Float64()), day: at.Format(time.DateOnly), spent: paid,
			told: []string{few(2, "come", "go"), few(3, "200", "404", "-1"), few(3, "pen", "ink", ""), few(4, "/", "/a", "/b", ""), few(3, "true", "false", ""), at.Format(time.RFC3339)},
		})
	}
	return out
}
