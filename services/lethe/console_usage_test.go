package main_test

import (
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The page about usage, on cells that were published.

var (
	formPattern   = regexp.MustCompile(`(?s)<form method="get" action="(/console/usage)"[^>]*>(.*?)</form>`)
	fieldPattern  = regexp.MustCompile(`(?s)<input [^>]*name="([^"]+)"[^>]*value="([^"]*)"[^>]*>|<select id="([^"]+)" name="([^"]+)"[^>]*>(.*?)</select>`)
	optionPattern = regexp.MustCompile(`<option(?: value="([^"]*)")?( selected)?>`)
	linkPattern   = regexp.MustCompile(`href="(/console/usage(?:\.csv)?\?[^"#]*)`)
)

// offered are the addresses that a page leads to: its links, and what each
// choice of its forms would ask.
func offered(page string) []string {
	var out []string
	for _, m := range linkPattern.FindAllStringSubmatch(page, -1) {
		out = append(out, html.UnescapeString(m[1]))
	}
	type field struct {
		name, value string
		choices     []string
	}
	for _, form := range formPattern.FindAllStringSubmatch(page, -1) {
		var fields []field
		for _, m := range fieldPattern.FindAllStringSubmatch(form[2], -1) {
			f := field{name: m[1] + m[4], value: m[2]}
			for i, o := range optionPattern.FindAllStringSubmatch(m[5], -1) {
				f.choices = append(f.choices, o[1])
				if o[2] != "" || i == 0 {
					f.value = o[1]
				}
			}
			fields = append(fields, f)
		}
		for i, f := range fields {
			for _, choice := range f.choices {
				q := url.Values{}
				for j, g := range fields {
					if j == i {
						g.value = choice
					} else if f.name == "metric" {
						continue // a script leaves out what another metric had
					}
					q.Add(g.name, html.UnescapeString(g.value))
				}
				out = append(out, form[1]+"?"+q.Encode())
			}
		}
	}
	return out
}

// TestThePageAboutUsageIsTrue: P19.
func TestThePageAboutUsageIsTrue(t *testing.T) {
	t.Parallel()
	r := demoUp(t)
	t.Run("it shows what the API answers", r.showsAnswers)
	t.Run("whatever it offers is answered", r.answersOffers)
}

// answersOffers follows links and choices from page to page: none leads to a
// refusal. The control is a question that no control offers.
func (r *running) answersOffers(t *testing.T) {
	analyst := r.console("analyst")
	refused := func(page string) bool { return strings.Contains(page, `role="alert"`) }
	if _, page := analyst.get("/console/usage?metric=requests&by=day&from=2026-03-02&to=2026-03-01"); !refused(page) {
		t.Error("a question that makes no sense is answered")
	}
	const most = 240
	random := rand.New(rand.NewPCG(1, 1))
	seen, wait := map[string]bool{}, []string{"/console/usage", "/console/usage?board=access", "/console/usage?board=pages"}
	kinds := map[string]int{}
	for n := 0; n < most && len(wait) > 0; n++ {
		at := random.IntN(len(wait))
		address := wait[at]
		wait = slices.Delete(wait, at, at+1)
		status, page := analyst.get(address)
		if status != http.StatusOK || refused(page) {
			t.Errorf("%s is offered, and refused: status %d", address, status)
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"where", "top", "explain", "pick"} {
			if u.Query().Get(name) != "" {
				kinds[name]++
			}
		}
		kinds[u.Path]++
		if strings.HasSuffix(u.Path, ".csv") {
			continue
		}
		for _, next := range offered(page) {
			if !seen[next] {
				seen[next] = true
				wait = append(wait, next)
			}
		}
	}
	for _, name := range []string{"where", "top", "explain", "pick", "/console/usage", "/console/usage.csv"} {
		if kinds[name] < 5 {
			t.Errorf("%d questions with %s, of %v; the walk goes nowhere", kinds[name], name, kinds)
		}
	}
}

// showsAnswers asks the page and the API: every number of the page is one of the
// answer's, and every one of the answer's is there.
func (r *running) showsAnswers(t *testing.T) {
	analyst := r.console("analyst")
	number := regexp.MustCompile(`data-v="([^"]*)"`)
	others := 0
	for _, c := range []struct{ page, api string }{
		{"metric=requests&by=path&top=10&from=", "requests?by=path&top=10"},
		{"metric=requests&by=day,status&from=", "requests?by=day,status"},
		{"metric=requests&by=path,browser&from=&where=status%3D200&where=status%3D404", "requests?by=path,browser&filter.status=200&filter.status=404"},
		{"metric=requests&by=month&from=&where=path%3D/pricing", "requests?by=month&filter.path=/pricing"},
		{"metric=visitors&by=day&from=", "visitors?by=day"},
		{"metric=visitors&by=path&from=", "visitors?by=path"},
		{"metric=visitors&by=day&from=&where=path%3D/pricing", "visitors?by=day&filter.path=/pricing"},
		{"metric=requests_per_visitor&by=day&from=", "requests_per_visitor?by=day"},
	} {
		status, body := r.Do("analyst", "GET", "/v1/stats/"+c.api, "", nil)
		var a struct {
			answer
			Beside *float64
			Notes  []string
		}
		decode(t, string(body), &a)
		_, page := analyst.get("/console/usage?" + c.page)
		var want, got []string
		folded := false
		for _, row := range a.Rows {
			if row.Value != nil {
				want = append(want, fmt.Sprint(*row.Value))
			}
			if len(row.Other) > 0 {
				others++
				folded = true
			}
		}
		for _, m := range number.FindAllStringSubmatch(page, -1) {
			var v float64
			decode(t, m[1], &v)
			got = append(got, fmt.Sprint(v))
		}
		slices.Sort(want)
		slices.Sort(got)
		if status != http.StatusOK || len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: the page shows %d numbers, and the answer has %d (status %d)", c.page, len(got), len(want), status)
		}
		if marked := strings.Contains(page, `<em class="mark">(other)</em>`); marked != folded {
			t.Errorf("%s: the page has rows of what is not told: %v", c.page, marked)
		}
		if said := strings.Contains(page, `class="between"`); said != (a.Beside != nil && *a.Beside > 0) {
			t.Errorf("%s: the page says what lies beside: %v", c.page, said)
		}
		for _, note := range a.Notes {
			if !strings.Contains(html.UnescapeString(page), note) {
				t.Errorf("%s: the page leaves out a note: %s", c.page, note)
			}
		}
	}
	if others == 0 {
		t.Error("nothing is folded; the log has nothing that is rare")
	}
}
