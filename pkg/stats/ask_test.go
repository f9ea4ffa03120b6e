package stats_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/stats"
)

var (
	metrics    = []string{"visits", "arrivals", "visitors", "present", "load"}
	dimensions = []string{"hour", "day", "week", "month", "service", "action", "status", "code", "secure", "path"}
	paths      = []string{"/", "/a", "/b", "=cmd", `/x'y\n\`, "/日本", "/') OR 1=1 --"}
)

// someVisits makes up what happened in the days around the edge of the epochs:
// never more than the rule's 30 days.
func someVisits(seed uint64) []visit {
	r := rand.New(rand.NewPCG(seed, 7))
	persons, days, services := 3+r.IntN(20), 1+r.IntN(28), 1+r.IntN(3)
	statuses := []int64{200, 404, 500, -1}[:1+r.IntN(4)]
	var out []visit
	for range 10 + r.IntN(250) {
		v := visit{
			service: []string{"web", "shop", "api"}[r.IntN(services)],
			person:  int(float64(persons) * r.Float64() * r.Float64()), // some come often
			at:      edge.Add(time.Duration(r.Int64N(int64(days)*24*3600*1000)-int64(days)*12*3600*1000) * time.Millisecond),
			action:  []string{"come", "come", "go"}[r.IntN(3)],
			status:  statuses[r.IntN(len(statuses))],
			path:    paths[r.IntN(len(paths))],
		}
		if r.IntN(4) == 0 {
			v.at = edge.Add(time.Duration(r.IntN(3)-1) * time.Millisecond) // and two at one moment
		}
		if r.IntN(3) > 0 {
			v.code = ptr(int64(r.IntN(2)))
		}
		if r.IntN(3) > 0 {
			v.secure = ptr(r.IntN(2) == 0)
		}
		out = append(out, v)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

func someQuestion(t *rapid.T, visits []visit) stats.Question {
	q := stats.Question{
		Metric:  rapid.SampledFrom(metrics).Draw(t, "metric"),
		Filters: map[string][]string{},
	}
	may := func(name string) bool {
		return q.Metric != "load" || name == "day" || name == "service" || name == "status"
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(dimensions), 0, 3, rapid.ID).Draw(t, "by") {
		if may(name) {
			q.By = append(q.By, name)
		}
	}
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "open") {
			return time.Time{}
		}
		at := visits[rapid.IntRange(0, len(visits)-1).Draw(t, "visit")].at
		return at.Add(rapid.SampledFrom([]time.Duration{0, 1, -1, time.Millisecond, time.Hour}).Draw(t, "beside"))
	})
	if q.From, q.To = instant.Draw(t, "from"), instant.Draw(t, "to"); !q.From.IsZero() && !q.From.Before(q.To) {
		q.To = time.Time{}
	}
	for range rapid.IntRange(0, 2).Draw(t, "filters") {
		name := rapid.SampledFrom(dimensions).Draw(t, "filter")
		if !may(name) {
			continue
		}
		q.Filters[name] = nil
		for range rapid.IntRange(1, 3).Draw(t, "values") {
			is, _ := dimension(visits[rapid.IntRange(0, len(visits)-1).Draw(t, "visit")], name)
			q.Filters[name] = append(q.Filters[name], shownAs(is))
		}
	}
	return q
}

// TestAnswersAreThoseOfAModelThatKnowsEverybody: P19.
func TestAnswersAreThoseOfAModelThatKnowsEverybody(t *testing.T) {
	l := newLab(t)
	type world struct {
		tenant string
		visits []visit
	}
	var worlds []world
	for seed := range uint64(24) {
		w := world{newTenant(), someVisits(seed)}
		l.put(t, w.tenant, w.visits)
		worlds = append(worlds, w)
	}
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		w := rapid.SampledFrom(worlds).Draw(t, "world")
		for range 3 {
			q := someQuestion(t, w.visits)
			got, err := l.stats.Ask(l.t.Context(), principal(w.tenant), q)
			if err != nil {
				t.Fatalf("%+v: %v", q, err)
			}
			rows, total := expect(w.visits, q)
			if diff := cmp.Diff(rows, got.Rows); diff != "" {
				t.Fatalf("%+v: rows (-want +got):\n%s", q, diff)
			}
			if diff := cmp.Diff(total, got.Total); diff != "" {
				t.Fatalf("%+v: total (-want +got):\n%s", q, diff)
			}
			seen[fmt.Sprintf("total hidden %v, rows hidden %v", got.Total.Hidden, min(got.HiddenRows, 2))]++
			checkNobodyIsDescribed(t, w.visits, q, got)
		}
	})
	t.Log(seen)
	for _, kind := range []string{"total hidden false, rows hidden 0", "total hidden true, rows hidden 1",
		"total hidden true, rows hidden 2", "total hidden false, rows hidden 2"} {
		if seen[kind] == 0 {
			t.Errorf("no answer had: %s; the test is too narrow", kind)
		}
	}
}

// checkNobodyIsDescribed holds an answer to the promise itself, whatever rule
// made it.
func checkNobodyIsDescribed(t interface{ Fatalf(string, ...any) }, visits []visit, q stats.Question, a stats.Answer) {
	if q.Metric == "load" {
		return
	}
	visits = about(visits, q)
	cells := split(visits, q.By)
	var left int64
	if a.Total.Value != nil {
		left = *a.Total.Value
		if len(visits) > 0 && most(people(visits)) < k {
			t.Fatalf("%+v: the total is about fewer than %d people", q, k)
		}
	}
	hidden := 0
	for _, r := range a.Rows {
		if r.Hidden != (r.Value == nil) {
			t.Fatalf("%+v: a row is hidden and has a value, or neither", q)
		}
		if r.Hidden {
			hidden++
			continue
		}
		left -= *r.Value
		for _, c := range cells {
			if cmp.Equal(c.by, r.By) && most(people(c.visits)) < k {
				t.Fatalf("%+v: the row %v is about fewer than %d people", q, r.By, k)
			}
		}
	}
	if a.Total.Value == nil || hidden == 0 {
		return
	}
	if hidden == 1 || q.Metric != "visits" && q.Metric != "arrivals" && 0 < left && left < k {
		t.Fatalf("%+v: total minus shown rows is a number about fewer than %d people", q, k)
	}
}
