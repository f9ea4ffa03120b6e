package cell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestASumThatIsOnePersonsIsToldWithMore: P19. One of seven has nearly all of
// what a page adds up: the page is not told, of counts and sums alike.
func TestASumThatIsOnePersonsIsToldWithMore(t *testing.T) {
	s := start(t)
	yesterday := noon.AddDate(0, 0, -1)
	s.publish(people(1, 9, visit{at: yesterday, page: "/a", code: 1, size: 40})...)
	s.publish(people(20, 1, visit{at: yesterday, page: "/b", code: 1, size: 300})...)
	s.publish(people(21, 6, visit{at: yesterday, page: "/b", code: 1, size: 1})...)
	s.publish(people(40, 8, visit{at: yesterday, page: "/c", code: 1, size: 10})...)
	s.publish(people(60, 9, visit{at: yesterday, page: "/d", code: 1, size: 30})...)
	s.cut()
	at := "day " + ago(1) + ".." + ago(1) + " [page,code,bot] "
	for metric, want := range map[string][]string{
		"visits": {at + `"" = 24`, at + `"/d|1|" = 9`}, "volume": {at + `"" = 746`, at + `"/d|1|" = 270`},
	} {
		if diff := cmp.Diff(want, of(s.cells(), metric)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", metric, diff)
		}
	}
}

// TestASumOfWhichOnePersonHasNearlyAllIsNeverTold: P19. Counts are told, and
// what is told later is cut from other rows.
func TestASumOfWhichOnePersonHasNearlyAllIsNeverTold(t *testing.T) {
	s := start(t)
	yesterday := noon.AddDate(0, 0, -1)
	s.publish(people(1, 1, visit{at: yesterday, page: "/a", size: 1000})...)
	s.publish(people(2, 6, visit{at: yesterday, page: "/a", size: 10})...)
	s.publish(people(10, 6, visit{at: yesterday, page: "/b", size: 10})...)
	s.cut()
	at := "day " + ago(1) + ".." + ago(1) + " [page,code,bot] "
	want := []string{at + `"/a|0|" = 7`, at + `"/b|0|" = 6`}
	if diff := cmp.Diff(want, of(s.cells(), "visits")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := of(s.cells(), "volume"); len(got) > 0 {
		t.Errorf("told: %v", got)
	}
	s.publish(people(20, 6, visit{at: yesterday, page: "/c", size: 10})...)
	s.cut()
	if diff := cmp.Diff([]string{at + `"/c|0|" = 60`}, of(s.cells(), "volume")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestASumAloneWaitsUntilNobodyHasNearlyAllOfIt: where nothing counts the same
// rows, they wait as few do, and become one cell with those of other days.
func TestASumAloneWaitsUntilNobodyHasNearlyAllOfIt(t *testing.T) {
	s := start(t, edited(t, "  visits:\n    title: Visits\n    description: Visits.\n    table: visit\n    value: count\n    subject: visitor\n    k: 5\n    dimensions: [page, code, bot]\n", ""))
	now := noon.AddDate(0, 0, 27-noon.Day()).AddDate(0, 1, 0) // at the end of a month, of which two days are cut
	first, second := now.AddDate(0, 0, -3), now.AddDate(0, 0, -2)
	c := s.config()
	c.Now = func() time.Time { return now }
	s.p = publisher(t, c)
	s.p.Hurry()
	s.publish(people(1, 1, visit{at: first, page: "/a", size: 1000})...)
	s.publish(people(2, 6, visit{at: first, page: "/a", size: 10})...)
	s.cut()
	if got := of(s.cells(), "volume"); len(got) > 0 {
		t.Fatalf("told: %v", got)
	}
	s.publish(people(20, 4, visit{at: second, page: "/a", size: 100})...)
	s.cut()
	span := first.Format("2006-01-02") + ".." + second.Format("2006-01-02")
	if got := of(s.cells(), "volume"); len(got) != 1 || !strings.Contains(got[0], span) || !strings.HasSuffix(got[0], `"/a|0|" = 1460`) {
		t.Errorf("told: %v", got)
	}
}

// TestACellSaysUnderWhichKItWasCut: and 0 where nobody is counted.
func TestACellSaysUnderWhichKItWasCut(t *testing.T) {
	s := start(t)
	yesterday := noon.AddDate(0, 0, -1)
	s.publish(people(1, 9, visit{at: yesterday, page: "/a"})...)
	s.publishTo("line", visit{at: yesterday, page: "/a"})
	s.cut()
	s.pol = compile(t, edited(t, "    k: 5\n", "    k: 7\n"))
	s.restart()
	s.publish(people(20, 9, visit{at: yesterday, page: "/a"})...)
	s.cut()
	seen := map[string]map[int64]bool{}
	for _, c := range s.cells() {
		if seen[c.Metric] == nil {
			seen[c.Metric] = map[int64]bool{}
		}
		seen[c.Metric][c.K] = true
	}
	want := map[string]map[int64]bool{
		"visits": {5: true, 7: true}, "volume": {5: true, 7: true}, "visitors": {5: true, 7: true}, "present": {5: true, 7: true}, "lines": {0: true},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
