package stats_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// counted is a cell of the metric visitors: in the bucket of a window, by one
// dimension or by none.
func counted(bucket, first, last string, value int64, by ...string) published {
	c := published{metric: "visitors", bucket: bucket, first: first, last: last, value: value}
	if len(by) == 2 {
		c.cube, c.told = by[0], by[1:]
	}
	return c
}

func (c published) of(service string) published { c.service = service; return c }

// TestSubjectsAreShownAsTheyWerePublishedAndNeverAddedUp: P19.
func TestSubjectsAreShownAsTheyWerePublishedAndNeverAddedUp(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		counted("day", "2026-03-02", "2026-03-02", 10),
		counted("day", "2026-03-02", "2026-03-02", 5), // those who came later
		counted("day", "2026-03-02", "2026-03-02", 9, "path", "/a"),
		counted("day", "2026-03-02", "2026-03-02", 8, "path", "/b"),
		counted("day", "2026-03-02", "2026-03-02", 7, "status", "200"),
		counted("day", "2026-03-02", "2026-03-02", 6).of("app"),
		counted("day", "2026-03-03", "2026-03-03", 12),
		counted("day", "2026-03-03", "2026-03-03", 11, "path", "/a"),
		counted("week", "2026-03-02", "2026-03-08", 20),
		counted("week", "2026-03-02", "2026-03-08", 13, "path", "/a"),
		counted("month", "2026-02-01", "2026-02-28", 25),
		counted("month", "2026-03-01", "2026-03-31", 30),
		counted("trailing_7", "2026-02-24", "2026-03-02", 19),
		counted("trailing_30", "2026-02-01", "2026-03-02", 40),
		counted("trailing_30", "2026-02-02", "2026-03-03", 41),
		counted("trailing_30", "2026-02-02", "2026-03-03", 23, "path", "/a"),
		counted("trailing_30", "2026-02-02", "2026-03-03", 14).of("app"),
	)
	q := func(q stats.Question) stats.Question { q.Metric = "visitors"; return q }
	l.check(t, tenant, []asked{
		{"the latest 30 days", q(stats.Question{}), []string{"= 55"}, ""},
		{"the latest 30 days by path", q(stats.Question{By: []string{"path"}}), []string{"/a 23", "= 55"}, ""},
		{"the latest 30 days by service", q(stats.Question{By: []string{"service"}}), []string{"app 14", "web 41", "= 55"}, ""},
		{"the latest 30 days of a path", q(stats.Question{Filters: filters("path", "/a")}), []string{"= 23"}, ""},
		{"the latest 30 days of a path of which none is published", q(stats.Question{Filters: filters("path", "/b")}), []string{"= hidden"}, ""},
		{"the latest 30 days of a service", q(stats.Question{Filters: filters("service", "app")}), []string{"= 14"}, ""},
		{"paths of the latest 30 days", q(stats.Question{By: []string{"path"}, Filters: filters("path", "/a", "path", "/b")}), []string{"/a 23", "= hidden"}, ""},
		{"by day: the total is about all that is above it", q(stats.Question{By: []string{"day"}}), []string{"2026-03-02 21", "2026-03-03 12", "= 55"}, ""},
		{"by week: the total would be about less", q(stats.Question{By: []string{"week"}}), []string{"2026-W10 20", "= hidden"}, ""},
		{"by month", q(stats.Question{By: []string{"month"}}), []string{"2026-02 25", "2026-03 30", "= hidden"}, ""},
		{"by trailing 7 days", q(stats.Question{By: []string{"trailing_7"}}), []string{"2026-03-02 19", "= 55"}, ""},
		{"by trailing 30 days", q(stats.Question{By: []string{"trailing_30"}}), []string{"2026-03-02 40", "2026-03-03 55", "= hidden"}, ""},
		{"by day and path", q(stats.Question{By: []string{"path", "day"}, From: day("2026-03-02"), To: day("2026-03-09")}),
			[]string{"/a 2026-03-02 9", "/b 2026-03-02 8", "/a 2026-03-03 11", "= 20"}, ""},
		{"one day", q(stats.Question{From: day("2026-03-02"), To: day("2026-03-03")}), []string{"= 21"}, ""},
		{"one day by path", q(stats.Question{By: []string{"path"}, From: day("2026-03-02"), To: day("2026-03-03")}), []string{"/a 9", "/b 8", "= 21"}, ""},
		{"a week of days", q(stats.Question{From: day("2026-03-02"), To: day("2026-03-09")}), []string{"= 20"}, ""},
		{"7 days that are no week", q(stats.Question{From: day("2026-02-24"), To: day("2026-03-03")}), []string{"= 19"}, ""},
		{"a month of days", q(stats.Question{From: day("2026-03-01"), To: day("2026-04-01")}), []string{"= 30"}, ""},
		{"30 days", q(stats.Question{From: day("2026-02-01"), To: day("2026-03-03")}), []string{"= 40"}, ""},
		{"7 days of which none is published", q(stats.Question{From: day("2026-02-25"), To: day("2026-03-04")}), []string{"= hidden"}, ""},
		{"5 days", q(stats.Question{From: day("2026-03-01"), To: day("2026-03-06")}), []string{"= hidden"}, ""},
		{"5 days by path", q(stats.Question{By: []string{"path"}, From: day("2026-03-01"), To: day("2026-03-06")}), []string{"= hidden"}, ""},
		{"5 days by day", q(stats.Question{By: []string{"day"}, From: day("2026-03-01"), To: day("2026-03-06")}), []string{"2026-03-02 21", "2026-03-03 12", "= hidden"}, ""},
		{"days within a week, one day", q(stats.Question{By: []string{"day"}, Filters: filters("week", "2026-W10")}), []string{"2026-03-02 21", "2026-03-03 12", "= 20"}, ""},
		{"weeks that lie within days", q(stats.Question{By: []string{"week"}, From: day("2026-03-03"), To: day("2026-03-30")}), []string{"= hidden"}, ""},
		{"one day, by its name", q(stats.Question{Filters: filters("day", "2026-03-03")}), []string{"= 12"}, ""},
		{"30 days, by their last", q(stats.Question{Filters: filters("trailing_30", "2026-03-02"), By: []string{"service"}}), []string{"web 40", "= 40"}, ""},
		{"a week, by its name, of a path", q(stats.Question{Filters: filters("week", "2026-W10", "path", "/a")}), []string{"= 13"}, ""},
		{"two days, one by one", q(stats.Question{By: []string{"day"}, Filters: filters("day", "2026-03-02", "day", "2026-03-03")}), []string{"2026-03-02 21", "2026-03-03 12", "= hidden"}, ""},
		{"a day that is not among the days", q(stats.Question{Filters: filters("day", "2026-03-03"), To: day("2026-03-03")}), []string{"= hidden"}, ""},
		{"the largest", q(stats.Question{By: []string{"path"}, Top: 1, From: day("2026-03-02"), To: day("2026-03-03")}), []string{"/a 9", "= 21"}, ""},
		{"the largest, before there are more", q(stats.Question{By: []string{"path"}, Top: 5, From: day("2026-03-02"), To: day("2026-03-03")}), []string{"/a 9", "/b 8", "= 21"}, ""},
	})
	a := l.ask(t, principal(tenant), q(stats.Question{}))
	if a.Bucket != "trailing_30" || a.First != "2026-02-02" || a.Last != "2026-03-03" {
		t.Errorf("the total is of %s from %s to %s", a.Bucket, a.First, a.Last)
	}
	a = l.ask(t, principal(tenant), q(stats.Question{From: day("2026-03-01"), To: day("2026-03-06")}))
	if want := "a day, a week from Monday, a month, 7 days, 30 days"; !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, want) }) {
		t.Errorf("who asks for 5 days is not told what can be asked: %q", a.Notes)
	}
}

// TestAnOpenQuestionIsAboutTheLongestBucket has a metric that counts in days
// and months only.
func TestAnOpenQuestionIsAboutTheLongestBucket(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	if a := l.ask(t, principal(tenant), stats.Question{Metric: "regulars", By: []string{"path"}}); show(a.Total) != "hidden" || a.First != "" {
		t.Errorf("where nothing is published, the total is %s from %q", show(a.Total), a.First)
	}
	regulars := func(bucket, first, last string, value int64, told ...string) published {
		c := published{metric: "regulars", bucket: bucket, first: first, last: last, value: value, told: told}
		if len(told) > 0 {
			c.cube = "path"
		}
		return c
	}
	l.put(t, tenant,
		regulars("day", "2026-03-31", "2026-03-31", 9),
		regulars("month", "2026-02-01", "2026-02-28", 20),
		regulars("month", "2026-03-01", "2026-03-31", 30),
		regulars("month", "2026-03-01", "2026-03-31", 15, "/a"),
	)
	l.check(t, tenant, []asked{
		{"open", stats.Question{Metric: "regulars", By: []string{"path"}}, []string{"/a 15", "= 30"}, ""},
		{"30 days", stats.Question{Metric: "regulars", From: day("2026-03-02"), To: day("2026-04-01")}, []string{"= hidden"}, ""},
	})
}

func TestWhoIsCurrentIsTheSumOfWhatChanged(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	now := func(value int64, by ...string) published {
		c := published{metric: "present", bucket: "now", first: "2026-03-02", value: value}
		if len(by) == 2 {
			c.cube, c.told = by[0], by[1:]
		}
		return c
	}
	l.put(t, tenant, now(30), now(-10), now(7).of("app"), now(20, "product", "pen"), now(-20, "product", "pen"), now(9, "product", "ink"))
	l.check(t, tenant, []asked{
		{"in all", stats.Question{Metric: "present"}, []string{"= 27"}, ""},
		{"by product", stats.Question{Metric: "present", By: []string{"product"}}, []string{"ink 9", "pen 0", "= 27"}, ""},
		{"by service", stats.Question{Metric: "present", By: []string{"service"}}, []string{"app 7", "web 20", "= 27"}, ""},
		{"of a product", stats.Question{Metric: "present", Filters: filters("product", "pen")}, []string{"= 0"}, ""},
		{"of products, one by one", stats.Question{Metric: "present", By: []string{"product"}, Filters: filters("product", "pen", "product", "ink")}, []string{"ink 9", "pen 0", "= hidden"}, ""},
		{"the largest", stats.Question{Metric: "present", By: []string{"product"}, Top: 1}, []string{"ink 9", "= 27"}, ""},
	})
}

func TestARatioIsExact(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	full := func(status string) []string { return []string{"come", status} }
	l.put(t, tenant,
		published{metric: "income", first: "2026-03-02", told: full("200"), value: 2},
		published{metric: "visits", first: "2026-03-02", told: full("200"), value: 3},
		published{metric: "income", first: "2026-03-03", told: full("404"), value: -1},
		published{metric: "visits", first: "2026-03-03", told: full("404"), value: 20_000},
		published{metric: "income", first: "2026-03-04", told: full("500"), value: 9_007_199_254_740_993}, // 2^53 + 1
		published{metric: "visits", first: "2026-03-04", told: full("500"), value: 1},
		published{metric: "income", first: "2026-03-05", told: full("1"), value: 1},
		published{metric: "visits", first: "2026-03-05", told: full("1"), value: 0},
		published{metric: "income", first: "2026-03-06", told: full("2"), value: 1},
		published{metric: "visits", first: "2026-03-06", told: full("3"), value: 1},
		counted("day", "2026-03-02", "2026-03-02", 2),
		counted("day", "2026-03-03", "2026-03-03", 7),
		counted("trailing_30", "2026-02-01", "2026-03-02", 4),
		counted("trailing_30", "2026-02-02", "2026-03-03", 1_000),
		counted("month", "2026-03-01", "2026-03-31", 1_500),
		counted("trailing_30", "2026-02-02", "2026-03-03", 600, "path", "/a"),
		counted("month", "2026-02-01", "2026-02-28", 300),
		published{metric: "regulars", bucket: "month", first: "2026-02-01", last: "2026-02-28", value: 100},
		published{metric: "regulars", bucket: "day", first: "2026-03-02", value: 1},
		published{metric: "regulars", bucket: "day", first: "2026-03-03", value: 6},
	)
	l.check(t, tenant, []asked{
		{"by status", stats.Question{Metric: "spent_per_visit", By: []string{"status"}},
			[]string{"1 hidden", "2 hidden", "3 hidden", "200 0.6667", "404 -0.0001", "500 9007199254740993.0000", "= 450247400886.8281"}, ""},
		{"of a status", stats.Question{Metric: "spent_per_visit", Filters: filters("status", "404")}, []string{"= -0.0001"}, ""},
		{"divided by nothing", stats.Question{Metric: "spent_per_visit", Filters: filters("status", "1")}, []string{"= hidden"}, ""},
		{"of nothing", stats.Question{Metric: "spent_per_visit", Filters: filters("status", "9")}, []string{"= hidden"}, ""},
		{"over subjects, open: of the same 30 days", stats.Question{Metric: "visits_per_visitor"}, []string{"= 20.0030"}, ""},
		{"over subjects, one day", stats.Question{Metric: "visits_per_visitor", From: day("2026-03-02"), To: day("2026-03-03")}, []string{"= 1.5000"}, ""},
		{"over subjects, by day", stats.Question{Metric: "visits_per_visitor", By: []string{"day"}},
			[]string{"2026-03-02 1.5000", "2026-03-03 2857.1429", "2026-03-04 hidden", "2026-03-05 hidden", "2026-03-06 hidden", "= hidden"}, ""},
		{"over subjects, a month by day", stats.Question{Metric: "visits_per_visitor", By: []string{"day"}, From: day("2026-03-01"), To: day("2026-04-01"), Filters: filters("day", "2026-03-02")},
			[]string{"2026-03-02 1.5000", "= 1.5000"}, ""},
		{"over subjects, by service", stats.Question{Metric: "visits_per_visitor", By: []string{"service"}}, []string{"web 20.0030", "= 20.0030"}, ""},
		{"of subjects over subjects, open: of the month that both have", stats.Question{Metric: "regular_share"}, []string{"= 0.3333"}, ""},
		{"of subjects over subjects, one day", stats.Question{Metric: "regular_share", Filters: filters("day", "2026-03-03")}, []string{"= 0.8571"}, ""},
		{"of subjects over subjects, by day", stats.Question{Metric: "regular_share", By: []string{"day"}}, []string{"2026-03-02 0.5000", "2026-03-03 0.8571", "= hidden"}, ""},
	})
	a := l.ask(t, principal(tenant), stats.Question{Metric: "visits_per_visitor", Explain: true})
	if a.HiddenRows != 0 || len(a.Cells) != 3 || a.Bucket != "trailing_30" || a.Last != "2026-03-03" || a.From != nil {
		t.Errorf("behind the ratio are %d cells; it is of %s until %s", len(a.Cells), a.Bucket, a.Last)
	}
	if a := l.ask(t, principal(tenant), stats.Question{Metric: "spent_per_visit", By: []string{"status"}}); a.HiddenRows != 3 {
		t.Errorf("%d rows are hidden", a.HiddenRows)
	}
}

func TestSubjectsThatDoNotAddUpAreRefused(t *testing.T) {
	l := newLab(t)
	for name, q := range map[string]stats.Question{
		"two dimensions":                      {Metric: "visitors", By: []string{"path", "status"}},
		"one dimension, and another filtered": {Metric: "visitors", By: []string{"path"}, Filters: filters("status", "200")},
		"two filtered":                        {Metric: "visitors", Filters: filters("status", "200", "path", "/a")},
		"two values":                          {Metric: "visitors", Filters: filters("path", "/a", "path", "/b")},
		"two days":                            {Metric: "visitors", Filters: filters("day", "2026-03-02", "day", "2026-03-03")},
		"a day and a week":                    {Metric: "visitors", Filters: filters("day", "2026-03-02", "week", "2026-W10")},
		"two products that are current":       {Metric: "present", Filters: filters("product", "pen", "product", "ink")},
		"two dimensions of a ratio":           {Metric: "visits_per_visitor", By: []string{"path", "status"}},
		"a day of what is current":            {Metric: "present", By: []string{"day"}},
		"days of what is current":             {Metric: "present", From: day("2026-03-02")},
		"a bucket that is not declared":       {Metric: "regulars", By: []string{"week"}},
		"a bucket that a part does not have":  {Metric: "visits_per_visitor", By: []string{"trailing_7"}},
		"a dimension of one part alone":       {Metric: "visits_per_visitor", By: []string{"secure"}},
		"the top of a ratio":                  {Metric: "spent_per_visit", By: []string{"path"}, Top: 3},
		"the top of nothing":                  {Metric: "visits", Top: 3},
		"the top of days":                     {Metric: "visits", By: []string{"day"}, Top: 3},
		"too many":                            {Metric: "visits", By: []string{"path"}, Top: stats.MaxTop + 1},
		"fewer than none":                     {Metric: "visits", By: []string{"path"}, Top: -1},
		"a filter without a value":            {Metric: "visits", Filters: map[string][]string{"path": {}}},
		"noon":                                {Metric: "visits", From: day("2026-03-02").Add(12 * time.Hour)},
		"a day of another zone":               {Metric: "nights", From: day("2026-03-02")},
	} {
		if _, err := l.stats.Ask(t.Context(), principal("t"), q); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNotesSayWhatTheQuestionAndTheCellsSay holds every note of every answer to
// what waits unpublished: there is no way to know it, so the notes of two
// questions with equal cells are equal.
func TestNotesSayWhatTheQuestionAndTheCellsSay(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", told: []string{"come"}, value: 10},
		published{metric: "visits", first: "2026-03-02", value: 20},
		counted("trailing_30", "2026-02-01", "2026-03-02", 40),
	)
	guard := "Every number is made of cells of at least 5 subjects each; what fewer did is not in it until more did the same."
	services := "Each service counts its own subjects. Nobody can tell whether a subject of one service is a subject of another, so a person may be counted once in each."
	for _, c := range []struct {
		q    stats.Question
		want []string
	}{
		{stats.Question{Metric: "visits"}, []string{guard}},
		{stats.Question{Metric: "visits", From: day("2026-04-01")}, []string{guard, "Nothing is published for this question."}},
		{stats.Question{Metric: "visits", By: []string{"action"}}, []string{guard, `Rows marked "other" hold what was too rare to be told apart.`}},
		{stats.Question{Metric: "visits", By: []string{"action"}, Top: 1}, []string{guard, `Rows marked "other" hold what is not among the 1 largest, or was too rare to be told apart.`}},
		{stats.Question{Metric: "visits", Filters: filters("action", "come")}, []string{guard, "20 more lie in cells that do not tell whether they are what was asked for."}},
		{stats.Question{Metric: "visitors"}, []string{guard, services, "A subject counts once between 2026-02-01 and 2026-03-02."}},
		{stats.Question{Metric: "visitors", By: []string{"service"}}, []string{guard, services,
			"A subject may stand behind several rows, so the rows may add up to more than the total.", "A subject counts once between 2026-02-01 and 2026-03-02."}},
		{stats.Question{Metric: "visitors", By: []string{"path"}, Top: 3}, []string{guard, "What is not among the 3 largest is left out, because subjects do not add up.", services, "A subject counts once between 2026-02-01 and 2026-03-02."}},
		{stats.Question{Metric: "visits_per_visitor"}, []string{"A ratio of two numbers, each of which is published by itself: visits divided by visitors.",
			guard, services, "A subject counts once between 2026-02-01 and 2026-03-02."}},
	} {
		a := l.ask(t, principal(tenant), c.q)
		if diff := cmp.Diff(c.want, a.Notes); diff != "" {
			t.Errorf("%+v: notes (-want +got):\n%s", c.q, diff)
		}
	}
}
