package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// march is a day in the zone of every metric of the site.
var march = time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)

// row is a row of an answer. What it does not tell is in other.
func row(n stats.Number, other []string, by ...any) stats.Row {
	r := stats.Row{By: map[string]any{}, Other: other, Number: n}
	for i := 0; i+1 < len(by); i += 2 {
		name, _ := by[i].(string)
		r.By[name] = by[i+1]
	}
	return r
}

// text is a page without its tags, as one reads it.
func text(body string) string {
	body = regexp.MustCompile(`<[^>]*>`).ReplaceAllString(body, " ")
	body = strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(body)
	return strings.Join(strings.Fields(body), " ")
}

// tableOf is a table of a page: the text of each row, its cells apart.
func tableOf(t *testing.T, body, id string) (lines []string) {
	t.Helper()
	m := regexp.MustCompile(`(?s)<table[^>]* id="` + id + `">(.*?)</table>`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the page has no table %s", id)
	}
	for _, r := range regexp.MustCompile(`(?s)<tr[^>]*>(.*?)</tr>`).FindAllStringSubmatch(m[1], -1) {
		var cells []string
		for _, c := range regexp.MustCompile(`(?s)<t[hd][^>]*>(.*?)</t[hd]>`).FindAllStringSubmatch(r[1], -1) {
			if s := text(c[1]); s != "" {
				cells = append(cells, s)
			}
		}
		lines = append(lines, strings.Join(cells, " | "))
	}
	return lines
}

// P19: what is not told, absent and empty are three things, and what is not
// told is last and drawn as such.
func TestAPageSaysAllThatAnAnswerSays(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	beside := *number("182").Value
	cut := time.Date(2026, 3, 18, 9, 30, 0, 0, time.UTC)
	s.says(stats.Answer{
		By: []string{"path"}, K: 11, Zone: "Europe/Berlin", AsOf: &cut, Total: number("1802"), Beside: &beside,
		Notes: []string{`Rows marked "other" hold <what> was too rare.`, "182 more lie elsewhere."},
		Rows: []stats.Row{
			row(number("12"), nil, "path", ""), row(number("18"), nil, "path", nil), row(number("700"), nil, "path", "/a&b"),
			row(number("900"), []string{"path"}, "path", nil), row(number("172"), nil, "path", "(other)"),
		},
	})
	p := b.get("/console/usage?metric=requests&by=path&from=2026-03-01&to=2026-03-18")
	want := []string{"path | share of the largest | number", "/a&b | 700", "(other) | 172", "(absent) | 18", "(empty) | 12", "(other) | 900"}
	if diff := cmp.Diff(want, tableOf(t, p.body, "answer-t")); diff != "" {
		t.Errorf("the rows (-want +got):\n%s", diff)
	}
	if n := strings.Count(p.body, `<tr class="other">`); n != 1 {
		t.Errorf("%d rows are marked as other, want the one", n)
	}
	for _, want := range []string{
		"1,802 At least 1,802 and at most 1,984.", `Rows marked "other" hold <what> was too rare.`, "182 more lie elsewhere.",
		"As of 2026-03-18 09:30 UTC", "at least 11 subjects behind each cell",
	} {
		if !strings.Contains(text(p.body), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	// A value leads to what is published of it; what is none does not.
	for value, want := range map[string]bool{"path=/a&b": true, "path=": true, "path=(other)": true} {
		link := url.Values{"metric": {"requests"}, "by": {"day"}, "from": {"2026-03-01"}, "to": {"2026-03-18"}, "where": {value}}.Encode()
		if strings.Contains(p.body, strings.ReplaceAll(link, "&", "&amp;")) != want {
			t.Errorf("there is a link to %s: %v", value, !want)
		}
	}
	if n := strings.Count(p.body, `<a class="value"`); n != 4 {
		t.Errorf("%d of 4 values have links", n)
	}
}

func TestWhatIsNotPublishedHasNoPointInAChart(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	s.says(stats.Answer{
		By: []string{"day", "path"}, K: 11, Total: number("1000"),
		Rows: []stats.Row{
			row(number("400"), nil, "day", "2026-03-01", "path", "/a"), row(number("90"), []string{"path"}, "day", "2026-03-01", "path", nil),
			row(hidden, nil, "day", "2026-03-02", "path", "/a"), row(number("95"), []string{"path"}, "day", "2026-03-02", "path", nil),
			row(number("300"), nil, "day", "2026-03-04", "path", "/a"), row(number("50"), nil, "day", "2026-03-04", "path", "/b"),
			row(number("65"), []string{"day", "path"}, "day", nil, "path", nil),
		},
	})
	p := b.get("/console/usage?metric=requests&by=day,path&from=2026-03-01&to=2026-03-18")
	want := []string{
		"day | /a | /b | (other)", "2026-03-01 | 400 | – | 90", "2026-03-02 | hidden | – | 95", "2026-03-03 | – | – | –",
		"2026-03-04 | 300 | 50 | –", "(other) | – | – | 65",
	}
	if diff := cmp.Diff(want, tableOf(t, p.body, "answer-t")); diff != "" {
		t.Errorf("the rows (-want +got):\n%s", diff)
	}
	if n := strings.Count(p.body, "data-v="); n != 6 {
		t.Errorf("%d cells have a number that is drawn, want 6", n)
	}
	if n := strings.Count(p.body, "data-x="); n != 4 {
		t.Errorf("%d rows have a moment, want 4", n)
	}
	if strings.Count(p.body, "data-muted") != 1 || !strings.Contains(p.body, "data-series data-muted") {
		t.Error("the last series is not drawn as what the others do not tell")
	}
	if !strings.Contains(p.body, "nothing is published: not zero, and the same for nobody and for a few") {
		t.Error("what a gap means is not said")
	}
}

// Where numbers of people have no total, the newest stands before them; where
// they have, it is said of which days it is.
func TestANumberOfPeopleSaysOfWhichDaysItIs(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	days := func(bucket string) stats.Answer {
		return stats.Answer{By: []string{bucket}, K: 11, Total: hidden, Rows: []stats.Row{
			row(number("120"), nil, bucket, "2026-03-01"), row(number("113"), nil, bucket, "2026-03-02"),
		}}
	}
	whole := days("day")
	whole.Total, whole.Bucket, whole.First, whole.Last = number("1940"), "trailing_30", "2026-02-01", "2026-03-02"
	trailing := days("trailing_7")
	trailing.Total, trailing.Bucket, trailing.First, trailing.Last = whole.Total, whole.Bucket, whole.First, whole.Last
	week := days("day")
	week.By, week.Rows, week.Total, week.Bucket, week.First, week.Last = []string{}, nil, number("310"), "week", "2026-03-02", "2026-03-08"
	for _, c := range []struct {
		by     string
		answer stats.Answer
		want   string
	}{
		{"day", days("day"), "113 on 2026-03-02"}, {"day", whole, "1,940 in the 30 days up to 2026-03-02"},
		{"trailing_7", trailing, "113 in the 7 days up to 2026-03-02"}, {"", week, "310 in the week from 2026-03-02"},
	} {
		s.says(c.answer)
		if p := b.get("/console/usage?metric=visitors&by=" + c.by); !strings.Contains(text(p.body), c.want) {
			t.Errorf("by %q the page does not say %q", c.by, c.want)
		}
	}
	trailing.Rows = nil
	s.says(trailing)
	if p := b.get("/console/usage?metric=visitors&by=trailing_7"); strings.Contains(p.body, "1,940") {
		t.Error("the number of 30 days stands for one of 7")
	}
	s.says(stats.Answer{By: []string{"path"}, Total: hidden, Rows: []stats.Row{row(number("5.0725"), nil, "path", "/a"), row(hidden, nil, "path", "/b")}})
	p := b.get("/console/usage?metric=requests_per_visitor&by=path")
	if diff := cmp.Diff([]string{"path | share of the largest | number", "/a | 5.0725", "/b | hidden"}, tableOf(t, p.body, "answer-t")); diff != "" {
		t.Errorf("a ratio (-want +got):\n%s", diff)
	}
}

func TestAChartDrawsTheLargestAndWhatTheyDoNotTell(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	a := stats.Answer{By: []string{"day", "path"}, K: 11, Total: number("1")}
	for i := range 60 {
		for _, day := range []string{"2026-03-01", "2026-03-02"} {
			a.Rows = append(a.Rows, row(number(fmt.Sprint(1000-i)), nil, "day", day, "path", fmt.Sprintf("/%02d", i)))
		}
	}
	a.Rows = append(a.Rows, row(number("3"), []string{"path"}, "day", "2026-03-01", "path", nil))
	s.says(a)
	p := b.get("/console/usage?metric=requests&by=day,path")
	lines := tableOf(t, p.body, "answer-t")
	if !strings.HasPrefix(lines[0], "day | /00 | /01 | /02 | /03 |") || !strings.HasSuffix(lines[0], "| /38 | (other)") {
		t.Errorf("the columns are %s", lines[0])
	}
	if !strings.HasPrefix(lines[1], "2026-03-01 | 1,000 | 999 | 998 | 997 |") || !strings.HasSuffix(lines[1], "| 962 | 3") {
		t.Errorf("the numbers are not under their names: %s", lines[1])
	}
	if n := strings.Count(p.body, "data-series"); n != 8 || !strings.Contains(p.body, "data-series data-muted") {
		t.Errorf("%d series are drawn, want 8 and among them what the others do not tell", n)
	}
	for _, want := range []string{"The chart draws 8 of 61 series.", "The table has 40 of 61 series. The CSV has all."} {
		if !strings.Contains(p.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	a = stats.Answer{By: []string{"path"}, K: 11, Total: number("1")}
	for i := range 300 {
		a.Rows = append(a.Rows, row(number(fmt.Sprint(1000+i)), nil, "path", fmt.Sprint(i)))
	}
	a.Rows = append(a.Rows, row(number("2"), []string{"path"}, "path", nil))
	s.says(a)
	p = b.get("/console/usage?metric=requests&by=path")
	if lines := tableOf(t, p.body, "answer-t"); len(lines) != 251 || lines[1] != "299 | 1,299" || lines[250] != "(other) | 2" || !strings.Contains(p.body, "These are 250 of 301 rows") {
		t.Errorf("%d lines, the first %s", len(lines), lines[1])
	}
}

// The cells behind an answer are asked for when somebody wants to see them.
func TestThePageListsTheCellsBehindAnAnswerWhenAsked(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	a := stats.Answer{By: []string{}, K: 11, Total: number("96")}
	s.says(a)
	p := b.get("/console/usage?metric=requests&by=&from=2026-03-01")
	if diff := cmp.Diff([]string{"requests?from=2026-03-01"}, s.asked()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if !strings.Contains(text(p.body), "How this number came to be") || strings.Contains(p.body, `id="cells"`) {
		t.Error("the page does not say how the number came to be, or lists cells that nobody asked for")
	}
	link := regexp.MustCompile(`href="([^"]*explain=1[^"]*)#came"`).FindStringSubmatch(p.body)
	if link == nil {
		t.Fatal("there is no link to the cells")
	}
	a.Cells = []stats.Cell{{
		Metric: "requests", Service: "web", First: "2026-03-01", Last: "2026-03-02", Value: 1096, Subjects: "at least 11",
		Told: map[string]string{"path": ""}, Other: []string{"status"}, Cut: march,
	}}
	s.says(a)
	p = b.get(strings.ReplaceAll(link[1], "&amp;", "&"))
	want := []string{"service | days | path | status | number | subjects | cut (UTC)", "web | 2026-03-01 to 2026-03-02 | (empty) | (other) | 1,096 | at least 11 | 2026-03-18 12:00"}
	if diff := cmp.Diff(want, tableOf(t, p.body, "cells")); diff != "" {
		t.Errorf("the cells (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"requests?explain=1&from=2026-03-01"}, s.asked()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	// Where a dimension is masked there is no such list.
	if p := b.get("/console/usage?metric=activations&by=&explain=1"); p.status != http.StatusSeeOther || strings.Contains(p.to, "explain") {
		t.Errorf("with a masked dimension: status %d", p.status)
	}
}

func TestFiltersAreChosenFromWhatIsPublishedAndRemovedOneByOne(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	s.says(stats.Answer{By: []string{"status"}, Total: number("1"), Rows: []stats.Row{
		row(number("90"), nil, "status", 200), row(number("20"), nil, "status", 404), row(number("30"), []string{"status"}, "status", nil), row(number("5"), nil, "status", nil),
	}})
	p := b.get("/console/usage?metric=requests&by=day&from=2026-03-01&where=status%3D200&where=path%3D%2Fa&pick=status")
	if diff := cmp.Diff([]string{"requests?by=day&filter.path=%2Fa&filter.status=200&from=2026-03-01", "requests?by=status&top=500"}, sorted(s.asked())); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	values := regexp.MustCompile(`(?s)<select id="value" name="where">(.*?)</select>`).FindStringSubmatch(p.body)
	if values == nil {
		t.Fatal("no value is offered")
	}
	offered := regexp.MustCompile(`value="([^"]*)"`).FindAllString(values[1], -1)
	if diff := cmp.Diff([]string{`value=""`, `value="status=404"`, `value="status="`}, offered); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	for _, want := range []string{"status is 200", "path is /a", "remove the filter status is 200"} {
		if !strings.Contains(text(p.body), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, link := range []string{
		"by=day&amp;from=2026-03-01&amp;metric=requests&amp;where=path%3D%2Fa", "by=day&amp;from=2026-03-01&amp;metric=requests&amp;where=status%3D200",
	} {
		if !strings.Contains(p.body, `href="/console/usage?`+link+`"`) {
			t.Errorf("there is no link %s", link)
		}
	}
	// The file is of the same question.
	if !strings.Contains(p.body, `href="/console/usage.csv?by=day&amp;from=2026-03-01&amp;metric=requests&amp;where=status%3D200&amp;where=path%3D%2Fa"`) {
		t.Error("the CSV is of another question")
	}
	s.says(stats.Answer{})
	b.get("/console/usage.csv?by=day&from=2026-03-01&metric=requests&where=status%3D200&where=path%3D%2Fa&top=3")
	if diff := cmp.Diff([]string{"requests?by=day&filter.path=%2Fa&filter.status=200&format=csv&from=2026-03-01&top=3"}, s.asked()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

func TestABoardWithoutNumbersSaysWhatToDo(t *testing.T) {
	s := open(t)
	b := s.in(access.Analyst)
	p := b.get("/console/usage?board=access")
	if strings.Contains(p.body, "Nothing is published here yet") || strings.Count(p.body, `class="tile"`) != 4 || strings.Count(p.body, `class="card panel"`) != 4 {
		t.Error("the first page for access is not four numbers and four charts")
	}
	if !strings.Contains(p.body, "board=activations") || strings.Contains(p.body, "board=pages") {
		t.Error("the first pages are not those of the metrics that there are")
	}
	s.says(stats.Answer{Total: hidden})
	p = b.get("/console/usage?board=access&from=2026-03-01&to=2026-03-07")
	if !strings.Contains(p.body, "Nothing is published here yet") || !strings.Contains(p.body, "lethe import --format combined") {
		t.Error("an empty first page does not say what to do")
	}
	want := []string{
		"requests?by=day&from=2026-03-01&to=2026-03-08", "requests?by=path&from=2026-03-01&to=2026-03-08&top=10", "requests?by=status&from=2026-03-01&to=2026-03-08",
		"requests?from=2026-03-01&to=2026-03-08", "requests_per_visitor?", "visitors?", "visitors?by=day&from=2026-03-01&to=2026-03-08",
		"visitors?by=trailing_7&from=2026-03-01&to=2026-03-08",
	}
	if diff := cmp.Diff(want, sorted(s.asked())); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
