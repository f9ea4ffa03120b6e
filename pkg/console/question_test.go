package console_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/console"
)

// What a form sends and what another metric had is not what an address keeps.
func TestTheAddressOfAPageIsItsQuestion(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	for address, want := range map[string]string{
		"metric=requests": "",
		"metric=requests&by=day&by=path&by=&top=&from=&pick=":   "by=day%2Cpath&from=&metric=requests",
		"metric=requests&by=path,nothing&where=&ip=192.0.2.7":   "by=path&from=2026-02-17&metric=requests&to=2026-03-18",
		"metric=visitors&by=day,path,status&from=2026-03-01":    "by=day%2Cpath&from=2026-03-01&metric=visitors",
		"metric=visitors&by=path&where=status%3D200&from=":      "by=path&from=&metric=visitors",
		"metric=requests_per_visitor&by=path&top=10&from=":      "by=path&from=&metric=requests_per_visitor",
		"metric=active_machines&by=day&from=2026-03-01":         "by=&metric=active_machines",
		"metric=activations&by=product&from=&where=country%3DX": "by=product&from=&metric=activations",
		"metric=activations&by=country,product&from=":           "by=product&from=&metric=activations",
	} {
		s.pass(march.Sub(s.now()))
		p := b.get("/console/usage?" + address)
		if to := strings.TrimPrefix(p.to, "/console/usage?"); to != want || (p.status == http.StatusOK) != (want == "") {
			// A form's address is tidied before the metric is known.
			if p = b.get(p.to); strings.TrimPrefix(p.to, "/console/usage?") != want {
				t.Errorf("%s leads to %q, want %q", address, to, want)
			}
		}
	}
}

func TestAQuestionIsItsAddress(t *testing.T) {
	for address, want := range map[string]string{
		"metric=requests":                                             "requests by=day&from=2026-02-17&to=2026-03-19",
		"metric=requests&by=&from=":                                   "requests ",
		"metric=requests&by=day,path&from=&to=":                       "requests by=day%2Cpath",
		"metric=requests&by=&from=2026-02-01&to=2026-02-28":           "requests from=2026-02-01&to=2026-03-01",
		"metric=requests&by=path,day&top=10&from=&explain=1":          "requests by=path%2Cday&explain=1&top=10",
		"metric=requests&by=day&top=10&from=":                         "requests by=day",
		"metric=requests&by=path&where=path=/a%3Db&where=path=&from=": "requests by=path&filter.path=%2Fa%3Db&filter.path=",
		"metric=visitors&by=":                                         "visitors ",
		"metric=visitors&by=path&where=path=/a&where=path=/b":         "visitors by=path&filter.path=%2Fa&filter.path=%2Fb",
		"metric=visitors&by=service&where=path=/a&where=path=/b":      "visitors by=service&filter.path=%2Fa",
		"metric=active_machines":                                      "active_machines ",
		"metric=../keys&from=yesterday":                               " ",
		"metric=requests&by=a@example.org&filter.ip=192.0.2.7&from=":  "requests ",
	} {
		values, _ := url.ParseQuery(address)
		q := console.Fit(console.Read(values), listed, march)
		if got := q.Metric + " " + console.Asked(q).Encode(); got != want {
			t.Errorf("%s asks for %q, want %q", address, got, want)
		}
	}
	name := rapid.SampledFrom([]string{"service", "day", "week", "hour", "trailing_7", "path", "status", "product", "country", "nothing"})
	rapid.Check(t, func(t *rapid.T) {
		values := url.Values{"metric": {rapid.SampledFrom(listed).Draw(t, "metric").Name}}
		if rapid.Bool().Draw(t, "split") {
			values.Set("by", strings.Join(rapid.SliceOfN(name, 0, 5).Draw(t, "by"), ","))
		}
		for range rapid.IntRange(0, 4).Draw(t, "filters") {
			values.Add("where", name.Draw(t, "name")+"="+rapid.String().Draw(t, "value"))
		}
		for _, day := range []string{"from", "to"} {
			if rapid.Bool().Draw(t, day) {
				values.Set(day, rapid.SampledFrom([]string{"", "2026-01-01", "2026-02-31", "yesterday"}).Draw(t, "day"))
			}
		}
		values.Set("top", fmt.Sprint(rapid.IntRange(-1, 2000).Draw(t, "top")))
		q := console.Fit(console.Read(values), listed, march)
		again := console.Fit(console.Read(q.Parameters()), listed, march)
		if got, want := again.Parameters().Encode(), q.Parameters().Encode(); got != want {
			t.Errorf("the address of a question is that of another: %s, want %s", got, want)
		}
		if console.Asked(q).Encode() != console.Asked(again).Encode() {
			t.Error("its address asks another question")
		}
	})
}

// Numbers of people are there for the stretches that they are counted in.
func TestRangesAreThoseThatAMetricCanAnswer(t *testing.T) {
	for address, want := range map[string]string{
		"metric=requests":                "30 days, 365 days, 7 days, 90 days, everything, last month, this month",
		"metric=visitors":                "30 days, 365 days, 7 days, 90 days, everything, last month, this month",
		"metric=visitors&by=path":        "30 days, 7 days, last week, latest, this week, today, yesterday",
		"metric=requests_per_visitor&by": "30 days, 7 days, last week, latest, this week, today, yesterday",
		"metric=active_machines":         "",
	} {
		values, _ := url.ParseQuery(address)
		got := console.Ranges(console.Read(values), listed, march)
		if names := strings.Join(slices.Sorted(maps.Keys(got)), ", "); names != want {
			t.Errorf("%s: %s, want %s", address, names, want)
		}
		for name, days := range map[string]string{
			"today": "2026-03-18 2026-03-18", "7 days": "2026-03-12 2026-03-18", "30 days": "2026-02-17 2026-03-18", "this week": "2026-03-16 2026-03-22",
			"last week": "2026-03-09 2026-03-15", "last month": "2026-02-01 2026-02-28", "latest": " ", "everything": " ",
		} {
			if got[name] != "" && got[name] != days {
				t.Errorf("%s: %s is %s, want %s", address, name, got[name], days)
			}
		}
	}
}

func TestAGapIsAMomentOfItsOwn(t *testing.T) {
	for bucket, c := range map[string][2]string{
		"day":         {"2026-02-27 2026-03-02", "2026-02-27 2026-02-28 2026-03-01 2026-03-02"},
		"trailing_30": {"2026-02-28 2026-03-02", "2026-02-28 2026-03-01 2026-03-02"},
		"week":        {"2026-W52 2027-W01", "2026-W52 2026-W53 2027-W01"},
		"month":       {"2026-11 2027-02", "2026-11 2026-12 2027-01 2027-02"},
		"hour":        {"2026-03-01T23:00:00Z 2026-03-02T01:00:00Z", "2026-03-01T23:00:00Z 2026-03-02T00:00:00Z 2026-03-02T01:00:00Z"},
		"year":        {"2026 2028", "2026 2028"}, // not one of ours
	} {
		if got := strings.Join(console.MomentsOf(bucket, strings.Fields(c[0])...), " "); got != c[1] {
			t.Errorf("%s: %s, want %s", bucket, got, c[1])
		}
	}
	if n := len(console.MomentsOf("day", "1970-01-01", "2026-01-01")); n != 2 {
		t.Errorf("%d moments between two that are far apart", n)
	}
}

func TestANumberIsWrittenWithItsThousandsApart(t *testing.T) {
	for n, want := range map[any]string{1: "1", 1234: "1,234", "-1234567": "-1,234,567", 0.4: "0", "1234.5678": "1,234.5678", "25.9792": "25.9792", "9007199254740993": "9,007,199,254,740,993"} {
		if got := console.Num(n); got != want {
			t.Errorf("%v is written %s, want %s", n, got, want)
		}
	}
}
