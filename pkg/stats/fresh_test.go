package stats_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// TestAnAnswerSaysAsOfWhenItIs: whatever is asked, and whatever is published.
func TestAnAnswerSaysAsOfWhenItIs(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant, published{metric: "visits", first: "2026-03-02", value: 10, cut: cutAt.AddDate(0, 0, 5)}, counted("day", "2026-03-02", "2026-03-02", 40))
	for _, q := range []stats.Question{{Metric: "visits"}, {Metric: "visitors"}, {Metric: "present"}, {Metric: "visits_per_visitor"}, {Metric: "beats"}} {
		if a := l.ask(t, principal(tenant), q); a.AsOf == nil || !a.AsOf.Equal(cutAt) {
			t.Errorf("%s: as of %v", q.Metric, a.AsOf)
		}
	}
	l.asOf = func(context.Context) (time.Time, error) { return time.Time{}, nil }
	if a := l.ask(t, principal(tenant), stats.Question{Metric: "visits"}); a.AsOf != nil {
		t.Errorf("nothing was looked at, as of %v", a.AsOf)
	}
	l.asOf = func(context.Context) (time.Time, error) { return time.Time{}, fault.Unavailable.Errorf("nobody knows") }
	if _, err := l.stats.Ask(t.Context(), principal(tenant), stats.Question{Metric: "visits"}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("where nobody knows: %v", err)
	}
}

// TestAnAnswerSaysUnderWhichKItsCellsWereCut: the smallest counts, and what was
// published under it stays.
func TestAnAnswerSaysUnderWhichKItsCellsWereCut(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-01", told: []string{"come"}, value: 10, k: 3},
		published{metric: "visits", first: "2026-03-02", told: []string{"come"}, value: 20, k: 9},
		published{metric: "visits", first: "2026-03-03", told: []string{"go"}, value: 30},
		published{metric: "visits", first: "2026-02-01", told: []string{"go"}, value: 40, k: -1},
		published{metric: "beats", first: "2026-03-02", value: 20, k: 9},
		published{metric: "visitors", bucket: "trailing_30", first: "2026-02-02", last: "2026-03-03", value: 7, k: 4},
	)
	for _, c := range []struct {
		name string
		q    stats.Question
		k    int
		note string
	}{
		{"both", stats.Question{Metric: "visits", From: day("2026-03-01"), To: day("2026-03-03")}, 3, "asks for at least 5 today"},
		{"split", stats.Question{Metric: "visits", By: []string{"day"}, From: day("2026-03-01")}, 3, "asks for at least 5 today"},
		{"a larger one", stats.Question{Metric: "visits", From: day("2026-03-02"), To: day("2026-03-03")}, 9, "at least 9"},
		{"today's", stats.Question{Metric: "visits", From: day("2026-03-02")}, 5, "at least 5"},
		{"none", stats.Question{Metric: "visits", From: day("2026-04-02")}, 5, "at least 5"},
		{"beside", stats.Question{Metric: "visits", From: day("2026-03-02"), Filters: filters("status", "200")}, 5, "at least 5"},
		{"of a time in which it was public", stats.Question{Metric: "visits"}, 0, "may be about anybody"},
		{"of a time in which it was not", stats.Question{Metric: "beats"}, 9, "at least 9"},
		{"subjects", stats.Question{Metric: "visitors"}, 4, "asks for at least 5 today"},
		{"a ratio", stats.Question{Metric: "visits_per_visitor", From: day("2026-02-02"), To: day("2026-03-04")}, 3, "asks for at least 5 today"},
		{"a ratio with what is public", stats.Question{Metric: "spent_per_visit"}, 0, "may be about anybody"},
	} {
		c.q.Explain = true
		a := l.ask(t, principal(tenant), c.q)
		if a.K != c.k || !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, c.note) }) {
			t.Errorf("%s: k is %d, and is said to be: %q", c.name, a.K, a.Notes)
		}
	}
	a := l.ask(t, principal(tenant), stats.Question{Metric: "visits", Explain: true})
	var subjects []string
	for _, cell := range a.Cells {
		subjects = append(subjects, cell.Subjects)
	}
	if want := []string{"at least 5", "at least 9", "at least 3", "public"}; !slices.Equal(subjects, want) {
		t.Errorf("cells are of %q, want %q", subjects, want)
	}
}
