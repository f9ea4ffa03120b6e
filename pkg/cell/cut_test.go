package cell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// people makes n visits of n different people.
func people(from, n int, v visit) []visit {
	var out []visit
	for i := range n {
		v.person = from + i
		out = append(out, v)
	}
	return out
}

// TestADayIsCutIntoCellsOfEnoughPeople: P19.
func TestADayIsCutIntoCellsOfEnoughPeople(t *testing.T) {
	s := start(t)
	yesterday := noon.Add(-24 * time.Hour)
	s.publish(people(1, 6, visit{at: yesterday, page: "/a", code: 1, size: 10})...)
	s.publish(people(1, 3, visit{at: yesterday, page: "/a", code: 2, size: 1})...)
	s.publish(people(4, 3, visit{at: yesterday, page: "/a", code: 3, size: 1})...)
	s.publish(people(10, 7, visit{at: yesterday, page: "/b", code: -1, size: 100})...)
	s.publish(people(20, 2, visit{at: yesterday, page: "/c", code: 1, size: 1000})...)
	s.cut()
	all := s.cells()
	at := "day " + ago(1) + ".." + ago(1) + " [page,code,bot] "
	want := []string{at + `"" = 8`, at + `"/a|1|" = 6`, at + `"/b||" = 7`}
	if diff := cmp.Diff(want, of(all, "visits")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestSixPeopleInTwoKeyEpochsDoNotMakeTwelve: P19.
func TestSixPeopleInTwoKeyEpochsDoNotMakeTwelve(t *testing.T) {
	s := start(t, edited(t, "    k: 5\n", "    k: 11\n"))
	yesterday := noon.AddDate(0, 0, -1)
	for _, edge := range []time.Time{yesterday, {}} {
		s.forget()
		s.edge = edge
		tenant := "with-an-edge"
		if edge.IsZero() {
			tenant = "control"
		}
		at := func(d time.Duration, from int) []visit {
			return people(from, 6, visit{tenant: tenant, at: yesterday.Add(d), page: "/"})
		}
		s.publish(at(-time.Hour, 1)...)
		second := 1
		if edge.IsZero() {
			second = 7 // twelve people
		}
		s.publish(at(time.Hour, second)...)
		s.restart()
		s.cut()
		n := 0
		for _, c := range s.cells() {
			if c.Tenant == tenant {
				n++
			}
		}
		if (n > 0) != edge.IsZero() {
			t.Errorf("%s: %d cells", tenant, n)
		}
	}
}

// TestWhatIsLeftOfDaysBecomesOneCell: days of too few each.
func TestWhatIsLeftOfDaysBecomesOneCell(t *testing.T) {
	s := start(t)
	first := noon.AddDate(0, 0, -1)
	for first.Day() < 4 || first.Day() > 25 { // within one month
		first = first.AddDate(0, 0, -1)
	}
	day := func(n int) string { return first.AddDate(0, 0, n).Format(time.DateOnly) }
	s.publish(people(1, 2, visit{at: first, page: "/a"})...)
	s.publish(people(1, 2, visit{at: first.AddDate(0, 0, -1), page: "/a"})...)
	s.cut()
	if got := of(s.cells(), "visits"); len(got) != 0 {
		t.Fatalf("two people were published: %v", got)
	}
	// Three others two days earlier make five with the first two, over three
	// days: the day after these is not needed.
	s.publish(people(3, 3, visit{at: first.AddDate(0, 0, -3), page: "/b"})...)
	s.cut()
	want := []string{"day " + day(-3) + ".." + day(-1) + ` [page,code,bot] "" = 5`}
	if got := of(s.cells(), "visits"); !cmp.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	// What comes late for a day in between waits for itself.
	s.publish(people(1, 4, visit{at: first.AddDate(0, 0, -2), page: "/a"})...)
	s.cut()
	s.publish(people(5, 1, visit{at: first.AddDate(0, 0, -2), page: "/a"})...)
	s.cut()
	want = append(want, "day "+day(-2)+".."+day(-2)+` [page,code,bot] "/a|0|" = 5`)
	if got := of(s.cells(), "visits"); !cmp.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestRowsThatSayNothingAboutAnyoneAreToldInFull: public metrics have no k, and
// can be told by the hour.
func TestRowsThatSayNothingAboutAnyoneAreToldInFull(t *testing.T) {
	s := start(t)
	at := noon.AddDate(0, 0, -1)
	s.publishTo("line", visit{at: at, page: "/a", code: 1}, visit{at: at.Add(time.Minute), page: "/a", code: 1}, visit{at: at.Add(time.Hour), page: "/b", code: -1})
	s.cut()
	day := "day " + ago(1) + ".." + ago(1) + " [page,code,hour] "
	want := []string{day + `"/a|1|` + ago(1) + `T12:00:00Z" = 2`, day + `"/b||` + ago(1) + `T13:00:00Z" = 1`}
	if diff := cmp.Diff(want, of(s.cells(), "lines")); diff != "" {
		t.Error(diff)
	}
}

// TestWhatHasExpiredIsNotCountedAndWhatWasCountedStays: P4, P19.
func TestWhatHasExpiredIsNotCountedAndWhatWasCountedStays(t *testing.T) {
	s := start(t)
	old := noon.AddDate(0, 0, -28)
	s.publish(people(1, 6, visit{at: old, page: "/"})...)
	s.cut()
	before := s.cells()
	if len(before) == 0 {
		t.Fatal("nothing was published")
	}
	s.publish(people(10, 4, visit{at: old, page: "/"})...) // too few, and then too late
	s.cut()
	retention := s.as(warehouse.UserRetention)
	_, err := retention.Advance(t.Context(), noon.AddDate(0, 0, 3))
	s.must(err)
	s.publish(people(14, 4, visit{at: old, page: "/"})...)
	s.cut()
	s.restart()
	s.cut()
	after := s.cells()
	for i, c := range after {
		switch {
		case i < len(before) && c.raw != before[i].raw:
			t.Errorf("%v became %v", before[i], c)
		case i >= len(before) && (c.Metric != "present" || c.Value != -6):
			t.Errorf("published of what has expired: %v", c)
		}
	}
	if len(after) != len(before)+2 {
		t.Errorf("%d cells became %d, and should be 2 more: six are in no more, of all and of a page", len(before), len(after))
	}
}

// TestAWholeThatWouldGiveAPartAwayHoldsItBack: P19, and the control that the
// numbers as counted would.
func TestAWholeThatWouldGiveAPartAwayHoldsItBack(t *testing.T) {
	s := start(t)
	w := newWorld("acme", time.UTC)
	at := noon.AddDate(0, 0, -1)
	visits := append(people(1, 20, visit{at: at, page: "/a", code: 1}), people(21, 3, visit{at: at, page: "/b", code: 1})...)
	w.add(s.publish(visits...), visits...)
	s.cut()
	if wrong := w.learn(s.cells(), ago(0)); len(wrong) > 0 {
		t.Fatal(wrong)
	}
	counted := w.counts("shop", "day", ago(1), ago(1))
	for x, n := range counted {
		if n < k {
			delete(counted, x)
		}
	}
	if len(givesAway(counted)) == 0 {
		t.Fatal("control: what was counted gives nothing away")
	}
	if wrong := givesAway(w.numbers()); len(wrong) > 0 {
		t.Error(wrong)
	}
	got := strings.Join(of(s.cells(), "visitors"), "\n")
	if !strings.Contains(got, `[] "" = 23`) || strings.Contains(got, `"/a"`) {
		t.Errorf("published:\n%s", got)
	}
	// With two more the other part has enough, and both can be told.
	visits = people(24, 2, visit{at: at, page: "/b", code: 1})
	visits = append(visits, people(30, 3, visit{at: at, page: "/a", code: 1})...)
	w.add(s.publish(visits...), visits...)
	s.cut()
	if got := strings.Join(of(s.cells(), "visitors"), "\n"); !strings.Contains(got, `[page] "/a" = 23`) || !strings.Contains(got, `[page] "/b" = 5`) {
		t.Errorf("published then:\n%s", got)
	}
}
