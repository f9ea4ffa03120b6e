package stats_test

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// page is what analysts read.
const page = "../../docs/statistics.md"

// TestThePageForAnalystsShowsTrueAnswers asks what docs/statistics.md asks, of
// the built-in policy and the cells that the page is about.
func TestThePageForAnalystsShowsTrueAnswers(t *testing.T) {
	l := newLabOf(t, lethetest.BuiltIn(t))
	requests := func(first, last string, value int64, told ...string) published {
		return published{metric: "requests", first: first, last: last, value: value, told: told}
	}
	l.put(t, "acme",
		requests("2026-11-02", "", 412, "200", "/pricing"),
		requests("2026-11-02", "", 96, "200", "/docs"),
		requests("2026-11-02", "", 38, "200"),
		requests("2026-11-02", "", 23, "404"),
		requests("2026-11-02", "", 17),
		requests("2026-11-03", "", 390, "200", "/pricing"),
		requests("2026-11-03", "", 61, "200"),
		requests("2026-11-03", "", 29),
		requests("2026-11-07", "2026-11-08", 14),
		counted("trailing_30", "2026-10-05", "2026-11-03", 940),
		counted("trailing_30", "2026-10-05", "2026-11-03", 310).of("shop"),
		counted("day", "2026-11-02", "2026-11-02", 120),
		counted("day", "2026-11-02", "2026-11-02", 81, "path", "/pricing"),
		counted("day", "2026-11-02", "2026-11-02", 25, "path", "/docs"),
		counted("day", "2026-11-03", "2026-11-03", 113),
	)
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?s)```\n\\$ lethe ask ([^\n]*)\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(examples) < 7 {
		t.Fatalf("the page has %d examples", len(examples))
	}
	for _, e := range examples {
		w := l.get(t, "acme", access.Analyst, "/v1/stats/"+questionOf(t, e[1]))
		if w.Code != 200 {
			t.Errorf("lethe ask %s: %d %s", e[1], w.Code, w.Body)
		}
		var got []string
		for _, line := range strings.Split(w.Body.String(), "\n") {
			got = append(got, strings.TrimRight(line, " "))
		}
		// The page shows of the notes what the example is about.
		want := strings.Split(e[2], "\n")
		keep := got[:0]
		for _, line := range got {
			if !strings.HasPrefix(line, "#") || strings.Contains(e[2], line+"\n") {
				keep = append(keep, line)
			}
		}
		if diff := cmp.Diff(want, keep); diff != "" {
			t.Errorf("lethe ask %s (-page +answer):\n%s", e[1], diff)
		}
	}
}

// questionOf is what the command line asks.
func questionOf(t *testing.T, args string) string {
	t.Helper()
	words := strings.Fields(args)
	q := url.Values{"format": {"table"}}
	for i := 1; i < len(words); i++ {
		name := strings.TrimPrefix(words[i], "--")
		if name == "explain" {
			q.Set(name, "1")
			continue
		}
		if i++; i == len(words) {
			t.Fatalf("lethe ask %s: the last flag has no value", args)
		}
		if name == "where" {
			dim, value, _ := strings.Cut(words[i], "=")
			q.Add("filter."+dim, value)
		} else {
			q.Set(name, words[i])
		}
	}
	return words[0] + "?" + q.Encode()
}
