package stats_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// asked is a question and what has to be answered.
type asked struct {
	name   string
	q      stats.Question
	want   []string // as lines writes it
	beside string   // "" is none
}

func (l *lab) check(t *testing.T, tenant string, all []asked) {
	t.Helper()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			a := l.ask(t, principal(tenant), c.q)
			if diff := cmp.Diff(c.want, lines(a)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			beside := ""
			if a.Beside != nil {
				beside = string(*a.Beside)
			}
			if beside != c.beside {
				t.Errorf("beside it lie %q, want %q", beside, c.beside)
			}
			if a.K != k && a.Metric != "beats" && a.Metric != "regulars" && a.Metric != "regular_share" {
				t.Errorf("k is %d", a.K)
			}
		})
	}
}

func filters(pairs ...string) map[string][]string {
	out := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = append(out[pairs[i]], pairs[i+1])
	}
	return out
}

// TestAnAnswerIsASumOfWholeCells: P19.
func TestAnAnswerIsASumOfWholeCells(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	full := []string{"come", "200", "pen", "/a", "true", "2026-03-02T10:00:00Z"}
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", told: full, value: 10},
		published{metric: "visits", first: "2026-03-02", told: full, value: 5}, // what came late
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen", "/b"}, value: 7},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "404"}, value: 6},
		published{metric: "visits", first: "2026-03-03", told: []string{"go", "-1", "ink", "", "", "2026-03-03T10:00:00Z"}, value: 20},
		published{metric: "visits", first: "2026-03-03", value: 8},
		published{metric: "visits", first: "2026-03-10", told: []string{"come", "200", "pen", "/a", "false"}, value: 11, service: "app"},
		published{metric: "visits", first: "2026-03-04", last: "2026-03-05", told: []string{"come"}, value: 100},
		published{metric: "visits", first: "2026-03-07", last: "2026-03-09", value: 200},
		published{metric: "visits", first: "2026-04-01", value: 1000},
		published{metric: "income", first: "2026-03-02", told: full, value: 999},
	)
	l.put(t, newTenant(), published{metric: "visits", first: "2026-03-02", value: 77_777})
	q := func(q stats.Question) stats.Question { q.Metric = "visits"; return q }
	march := stats.Question{From: day("2026-03-01"), To: day("2026-04-01")}
	l.check(t, tenant, []asked{
		{"all", q(stats.Question{}), []string{"= 1367"}, ""},
		{"of some days", q(stats.Question{From: day("2026-03-02"), To: day("2026-03-04")}), []string{"= 56"}, ""},
		{"of days that a cell goes beyond", q(stats.Question{From: day("2026-03-05"), To: day("2026-03-11")}), []string{"= 211"}, "100"},
		{"of days that two cells go beyond", q(stats.Question{From: day("2026-03-05"), To: day("2026-03-08")}), []string{"= hidden"}, "300"},
		{"from a day on", q(stats.Question{From: day("2026-03-10")}), []string{"= 1011"}, ""},
		{"before a day", q(stats.Question{To: day("2026-03-03")}), []string{"= 28"}, ""},
		{"of days without cells", q(stats.Question{From: day("2026-05-05"), To: day("2026-05-06")}), []string{"= hidden"}, ""},
		{"by action", q(stats.Question{By: []string{"action"}}), []string{"come 139", "go 20", "(other) 1208", "= 1367"}, ""},
		{"by a number", q(stats.Question{By: []string{"status"}}), []string{"-1 20", "200 33", "404 6", "(other) 1308", "= 1367"}, ""},
		{"by a boolean that may be absent", q(stats.Question{By: []string{"secure"}}), []string{"<nil> 20", "false 11", "true 15", "(other) 1321", "= 1367"}, ""},
		{"by a path that is empty", q(stats.Question{By: []string{"path"}, From: day("2026-03-03"), To: day("2026-03-04")}),
			[]string{" 20", "(other) 8", "= 28"}, ""},
		{"by hour", q(stats.Question{By: []string{"hour"}}),
			[]string{"2026-03-02T10:00:00Z 15", "2026-03-03T10:00:00Z 20", "(other) 1332", "= 1367"}, ""},
		{"by service", q(stats.Question{By: []string{"service"}}), []string{"app 11", "web 1356", "= 1367"}, ""},
		{"by two", q(stats.Question{By: []string{"path", "action"}, From: day("2026-03-02"), To: day("2026-03-03")}),
			[]string{"/a come 15", "/b come 7", "(other) come 6", "= 28"}, ""},
		{"by day", q(stats.Question{By: []string{"day"}}), []string{"2026-03-02 28", "2026-03-03 28", "2026-03-10 11", "2026-04-01 1000", "(other) 300", "= 1367"}, ""},
		{"by week", q(stats.Question{By: []string{"week"}}), []string{"2026-W10 156", "2026-W11 11", "2026-W14 1000", "(other) 200", "= 1367"}, ""},
		{"by month", q(stats.Question{By: []string{"month"}}), []string{"2026-03 367", "2026-04 1000", "= 1367"}, ""},
		{"by status and day: time comes first", q(stats.Question{By: []string{"status", "day"}, To: day("2026-03-04")}),
			[]string{"200 2026-03-02 22", "404 2026-03-02 6", "-1 2026-03-03 20", "(other) 2026-03-03 8", "= 56"}, ""},
		{"filtered by path", q(stats.Question{Filters: filters("path", "/a"), From: march.From, To: march.To}), []string{"= 26"}, "314"},
		{"filtered by an absent path", q(stats.Question{Filters: filters("path", "")}), []string{"= 20"}, "1314"},
		{"filtered by what nothing is", q(stats.Question{Filters: filters("path", "/nowhere"), By: []string{"path"}}), []string{"= hidden"}, "1314"},
		{"filtered by either", q(stats.Question{Filters: filters("status", "200", "status", "404"), By: []string{"status"}}),
			[]string{"200 33", "404 6", "= 39"}, "1308"},
		{"filtered by two", q(stats.Question{Filters: filters("status", "200", "action", "come", "path", "/b")}), []string{"= 7"}, "1308"},
		{"filtered by service", q(stats.Question{Filters: filters("service", "app")}), []string{"= 11"}, ""},
		{"filtered by a service that is not there", q(stats.Question{Filters: filters("service", "nobody")}), []string{"= hidden"}, ""},
		{"filtered by day", q(stats.Question{Filters: filters("day", "2026-03-03", "day", "2026-03-04")}), []string{"= 28"}, "100"},
		{"filtered by week", q(stats.Question{Filters: filters("week", "2026-W10"), By: []string{"action"}}),
			[]string{"come 128", "go 20", "(other) 8", "= 156"}, "200"},
		{"filtered by month", q(stats.Question{Filters: filters("month", "2026-04")}), []string{"= 1000"}, ""},
		{"filtered by hour, in another zone", q(stats.Question{Filters: filters("hour", "2026-03-02T11:00:00+01:00")}), []string{"= 15"}, "1332"},
		{"the largest", q(stats.Question{By: []string{"status"}, Top: 1}), []string{"200 33", "(other) 1334", "= 1367"}, ""},
		{"the two largest, by size", q(stats.Question{By: []string{"status"}, Top: 2}), []string{"200 33", "-1 20", "(other) 1314", "= 1367"}, ""},
		{"the largest of every day", q(stats.Question{By: []string{"status", "day"}, Top: 1, To: day("2026-03-04")}),
			[]string{"200 2026-03-02 22", "(other) 2026-03-02 6", "(other) 2026-03-03 28", "= 56"}, ""},
		{"the largest service", q(stats.Question{By: []string{"action", "service"}, Top: 1}),
			[]string{"come web 128", "come (other) 11", "go web 20", "(other) web 1208", "= 1367"}, ""},
		{"more than there are", q(stats.Question{By: []string{"action"}, Top: 9}), []string{"come 139", "go 20", "(other) 1208", "= 1367"}, ""},
	})
}

// TestCellsOfAnOlderPolicyAreReadAsTheyWereCut has cells that were cut by other
// dimensions, in another order, and by one that held text.
func TestCellsOfAnOlderPolicyAreReadAsTheyWereCut(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", cube: "path,country,action", told: []string{"/a", "DE", "come"}, value: 10},
		published{metric: "visits", first: "2026-03-02", cube: "path,country,action", told: []string{"/b"}, value: 20},
		published{metric: "visits", first: "2026-03-02", cube: "status", told: []string{"good"}, value: 30},
		published{metric: "visits", first: "2026-03-02", cube: "status", told: []string{"7"}, value: 40},
		published{metric: "visits", first: "2026-03-02", cube: "a,b,c,d,e,f,g,path", told: []string{"1", "2", "3", "4", "5", "6", "7", "/a"}, value: 50},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200"}, value: 60},
	)
	l.check(t, tenant, []asked{
		{"in all", stats.Question{Metric: "visits"}, []string{"= 210"}, ""},
		{"by path", stats.Question{Metric: "visits", By: []string{"path"}}, []string{"/a 60", "/b 20", "(other) 130", "= 210"}, ""},
		{"by action", stats.Question{Metric: "visits", By: []string{"action"}}, []string{"come 70", "(other) 140", "= 210"}, ""},
		{"by what was text", stats.Question{Metric: "visits", By: []string{"status"}}, []string{"7 40", "200 60", "good 30", "(other) 80", "= 210"}, ""},
		{"filtered", stats.Question{Metric: "visits", Filters: filters("path", "/a")}, []string{"= 60"}, "130"},
	})
	a := l.ask(t, principal(tenant), stats.Question{Metric: "visits", Filters: filters("path", "/b"), Explain: true})
	if len(a.Cells) != 1 || !cmp.Equal(a.Cells[0].Other, []string{"country", "action"}) || a.Cells[0].Told["path"] != "/b" {
		t.Errorf("behind the answer are %+v", a.Cells)
	}
}

func TestSumsAndPublicMetricsAreAskedAlike(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "income", first: "2026-03-02", told: []string{"come"}, value: -5},
		published{metric: "income", first: "2026-03-02", told: []string{"go"}, value: 1 << 60},
		published{metric: "beats", first: "2026-03-02", told: []string{"cellar"}, value: 1},
		published{metric: "beats", first: "2026-03-02", told: []string{"attic"}, value: 0},
	)
	l.check(t, tenant, []asked{
		{"a sum", stats.Question{Metric: "income", By: []string{"action"}}, []string{"come -5", "go 1152921504606846976", "= 1152921504606846971"}, ""},
		{"public", stats.Question{Metric: "beats", By: []string{"room"}}, []string{"attic 0", "cellar 1", "= 1"}, ""},
	})
	a := l.ask(t, principal(tenant), stats.Question{Metric: "beats", Explain: true})
	if a.K != 0 || a.Cells[0].Subjects != "public" || slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "at least") }) {
		t.Errorf("a public metric says k %d, %q, %v", a.K, a.Cells[0].Subjects, a.Notes)
	}
}

// TestADayBeginsWhereItDoesInItsZone has days of Cairo, of which the one on
// which clocks are set forward begins at one o'clock.
func TestADayBeginsWhereItDoesInItsZone(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	for _, d := range []string{"2026-04-22", "2026-04-23", "2026-04-24", "2026-04-25", "2026-10-29", "2026-10-30"} {
		l.put(t, tenant, published{metric: "nights", first: d, value: 10})
	}
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	l.check(t, tenant, []asked{
		{"from the day of summer time", stats.Question{Metric: "nights", From: at("2026-04-24T01:00:00+03:00"), To: at("2026-04-24T21:00:00Z")}, []string{"= 10"}, ""},
		{"to the day of summer time", stats.Question{Metric: "nights", By: []string{"day"}, To: at("2026-04-23T22:00:00Z")},
			[]string{"2026-04-22 10", "2026-04-23 10", "= 20"}, ""},
		{"from the day after winter time", stats.Question{Metric: "nights", From: at("2026-10-29T22:00:00Z")}, []string{"= 10"}, ""},
	})
	if a := l.ask(t, principal(tenant), stats.Question{Metric: "nights"}); a.Zone != "Africa/Cairo" || !slices.Contains(a.Notes, "Days are those of Africa/Cairo.") {
		t.Errorf("the zone is %s, the notes are %v", a.Zone, a.Notes)
	}
}
