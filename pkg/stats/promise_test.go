package stats_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// visits makes one visit per person and instant.
func visits(service string, from, to int, at ...time.Time) []visit {
	var out []visit
	for p := from; p <= to; p++ {
		for _, at := range at {
			out = append(out, visit{service: service, person: p, at: at, action: "come", status: 200, path: "/"})
		}
	}
	return out
}

// ask answers a question for an analyst of a tenant.
func (l *lab) ask(t *testing.T, s *stats.Stats, who access.Principal, metric string, by ...string) stats.Answer {
	t.Helper()
	a, err := s.Ask(t.Context(), who, stats.Question{Metric: metric, By: by})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func show(n stats.Number) string {
	if n.Hidden || n.Value == nil {
		return fmt.Sprintf("hidden(%v)", n.Value == nil)
	}
	return fmt.Sprint(*n.Value)
}

func expectTotal(t *testing.T, a stats.Answer, want string) {
	t.Helper()
	if got := show(a.Total); got != want {
		t.Errorf("%s by %v: total %s, want %s", a.Metric, a.By, got, want)
	}
}

// TestSixPeopleInTwoEpochsAreNotTwelve, and four are not eight, which would be
// enough to show. The control takes the bridge away.
func TestSixPeopleInTwoEpochsAreNotTwelve(t *testing.T) {
	l := newLab(t)
	broken := compiled(t)
	table, _ := broken.Table("visit")
	for i := range table.Columns {
		table.Columns[i].Bridges = ""
	}
	unbridged := l.newStats(broken)

	before, after := edge.Add(-time.Millisecond), edge
	six, four := newTenant(), newTenant()
	l.put(t, six, visits("web", 1, 6, before, after, edge.AddDate(0, 0, 29)))
	l.put(t, four, visits("web", 1, 4, before, after))
	for _, metric := range []string{"visitors", "present"} {
		expectTotal(t, l.ask(t, l.stats, principal(six), metric), "6")
		expectTotal(t, l.ask(t, unbridged, principal(six), metric), "12") // the control
		expectTotal(t, l.ask(t, l.stats, principal(four), metric), "hidden(true)")
		// A number may be wrong without the bridge, but it is never shown
		// about too few: epochs are not added up to reach k.
		expectTotal(t, l.ask(t, unbridged, principal(four), metric), "hidden(true)")
	}
	for _, row := range l.ask(t, l.stats, principal(six), "visitors", "day").Rows {
		if got := show(row.Number); got != "6" {
			t.Errorf("%v: %s visitors, want 6", row.By, got)
		}
	}
}

// TestAChangeOfPeriodNeverShowsTooFew: P19. Four visitors come before and after
// the period of their table changed, and so have two tokens each. The control
// is a row that names its epoch by number alone: two epochs that begin on one
// day are then one, and the four are eight.
func TestAChangeOfPeriodNeverShowsTooFew(t *testing.T) {
	l := newLab(t)
	longer := *l.table.Domain
	longer.Name, longer.Length = "shop/visits@128d", 2*longer.Length
	was := l.table.Domain.Epoch(edge)
	longer.Anchor = l.table.Domain.EpochStart(was)
	if longer.Epoch(edge) != was || longer.Mark(was) == l.table.Domain.Mark(was) {
		t.Fatal("the two epochs do not begin on one day, or have one mark")
	}
	stay := func(people int, mark int64) []visit {
		before := visits("web", 1, people, edge.AddDate(0, 0, 35))
		after := visits("web", 1, people, edge.AddDate(0, 0, 40))
		for i := range before {
			before[i].mark, after[i].mark = mark, mark
			after[i].domain = &longer
		}
		return slices.Concat(before, after)
	}
	four, mixed, five := newTenant(), newTenant(), newTenant()
	l.put(t, four, stay(4, 0))
	l.put(t, mixed, stay(4, was))
	l.put(t, five, stay(5, 0))
	for _, metric := range []string{"visits", "visitors", "present"} {
		expectTotal(t, l.ask(t, l.stats, principal(four), metric), "hidden(true)")
	}
	expectTotal(t, l.ask(t, l.stats, principal(mixed), "visitors"), "8") // the control
	// What is shown over the change may count a subject twice; it never hides
	// that there were enough.
	expectTotal(t, l.ask(t, l.stats, principal(five), "visitors"), "10")
	expectTotal(t, l.ask(t, l.stats, principal(five), "visits"), "10")
}

func TestServicesAreNeverAddedUpToReachK(t *testing.T) {
	l := newLab(t)
	small, large := newTenant(), newTenant()
	l.put(t, small, slices.Concat(visits("web", 1, 4, edge), visits("shop", 1, 4, edge)))
	l.put(t, large, slices.Concat(visits("web", 1, 5, edge), visits("shop", 1, 4, edge)))
	expectTotal(t, l.ask(t, l.stats, principal(small), "visitors"), "hidden(true)")
	expectTotal(t, l.ask(t, l.stats, principal(small), "visits"), "hidden(true)")
	expectTotal(t, l.ask(t, l.stats, principal(large), "visits"), "9")
	a := l.ask(t, l.stats, principal(large), "visitors")
	expectTotal(t, a, "9")
	if !strings.Contains(strings.Join(a.Notes, " "), "service") {
		t.Error("the answer does not say that services cannot be joined")
	}
	a = l.ask(t, l.stats, principal(large), "visitors", "service")
	expectTotal(t, a, "hidden(true)") // minus the five of web it would be the four of shop
	for i, want := range []string{"hidden(true)", "5"} {
		if got := show(a.Rows[i].Number); got != want {
			t.Errorf("%v: %s, want %s", a.Rows[i].By, got, want)
		}
	}
}

// TestATotalIsHiddenWhereSubtractionLeavesAFew has hidden rows with enough
// people, none of them elsewhere; the control has one shown row less.
func TestATotalIsHiddenWhereSubtractionLeavesAFew(t *testing.T) {
	l := newLab(t)
	in := func(status int64, v []visit) []visit {
		for i := range v {
			v[i].status = status
		}
		return v
	}
	common := slices.Concat(in(200, visits("web", 1, 10, edge)), in(404, visits("web", 11, 14, edge)), in(500, visits("web", 15, 18, edge)))
	left2, left8 := newTenant(), newTenant()
	l.put(t, left8, common)
	l.put(t, left2, slices.Concat(common, in(201, visits("web", 1, 6, edge))))
	expectTotal(t, l.ask(t, l.stats, principal(left8), "visitors", "status"), "18")
	expectTotal(t, l.ask(t, l.stats, principal(left2), "visitors", "status"), "hidden(true)")
	expectTotal(t, l.ask(t, l.stats, principal(left2), "visits", "status"), "24")
}

// TestRowsOfNobodyKnownAreHidden: P13. Those who asked not to be tracked may
// be one person or many.
func TestRowsOfNobodyKnownAreHidden(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	v := slices.Concat(visits("web", 0, 0, edge, edge, edge, edge, edge, edge, edge), visits("web", 1, 5, edge.AddDate(0, 0, 1)))
	l.put(t, tenant, v)
	for _, metric := range []string{"visits", "visitors", "present"} {
		a := l.ask(t, l.stats, principal(tenant), metric, "day")
		if show(a.Rows[0].Number) != "hidden(true)" || show(a.Rows[1].Number) != "5" {
			t.Errorf("%s: %s, %s", metric, show(a.Rows[0].Number), show(a.Rows[1].Number))
		}
		expectTotal(t, a, "hidden(true)")
	}
	expectTotal(t, l.ask(t, l.stats, principal(tenant), "visits"), "12")
	a := l.ask(t, l.stats, principal(tenant), "load", "day") // public: software, not people
	expectTotal(t, a, "12")
	if show(a.Rows[0].Number) != "7" || a.K != 0 {
		t.Errorf("the public metric shows %s with k = %d", show(a.Rows[0].Number), a.K)
	}
	expectTotal(t, l.ask(t, l.stats, principal(newTenant()), "visits"), "0") // nothing is about nobody
}

// TestATenantSeesItsOwnEventsAlone: P14, P15.
func TestATenantSeesItsOwnEventsAlone(t *testing.T) {
	l := newLab(t)
	a, b := newTenant(), newTenant()
	l.put(t, a, visits("web", 1, 7, edge))
	l.put(t, b, slices.Concat(visits("web", 1, 9, edge), visits("shop", 1, 8, edge)))
	expectTotal(t, l.ask(t, l.stats, principal(a), "visits"), "7")
	expectTotal(t, l.ask(t, l.stats, principal(b), "visits"), "17")
	expectTotal(t, l.ask(t, l.stats, principal(b, "shop"), "visits"), "8")
	expectTotal(t, l.ask(t, l.stats, principal(b, "shop", "web"), "visits"), "17")
	expectTotal(t, l.ask(t, l.stats, principal(b, "other"), "visits"), "0")
	rows := l.ask(t, l.stats, principal(b, "shop"), "visits", "service").Rows
	if len(rows) != 1 || rows[0].By["service"] != "shop" {
		t.Errorf("who may ask about shop is told of %v", rows)
	}
	for name, p := range map[string]access.Principal{
		"no tenant":   principal(""),
		"a publisher": {Role: access.Publisher, Tenant: a},
		"nobody":      {Tenant: a},
	} {
		if _, err := l.stats.Ask(t.Context(), p, stats.Question{Metric: "visits"}); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A tenant whose name is SQL is a name that nobody has.
	expectTotal(t, l.ask(t, l.stats, principal("x' OR 1=1 --"), "visits"), "0")
}

// TestWhatIsPastItsRuleIsNotCounted: P4. The control asks without the barrier.
func TestWhatIsPastItsRuleIsNotCounted(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	v := slices.Concat(visits("web", 1, 6, edge), visits("web", 1, 8, edge.Add(time.Hour)))
	for i := range v[:6] {
		v[i].expires = time.Now().Add(-time.Second)
	}
	l.put(t, tenant, v)
	expectTotal(t, l.ask(t, l.stats, principal(tenant), "visits"), "8")
	analyst := l.analyst
	l.analyst = l.admin
	expectTotal(t, l.ask(t, l.newStats(l.pol), principal(tenant), "visits"), "14")
	l.analyst = analyst
}

// TestRowsAndTotalAreOfOneMoment asks while events arrive.
func TestRowsAndTotalAreOfOneMoment(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant, slices.Concat(visits("web", 1, 20, edge), visits("shop", 1, 20, edge)))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				l.put(t, tenant, slices.Concat(visits("web", 1, 3, edge), visits("shop", 1, 3, edge)))
			}
		}
	})
	var first, last int64
	for i := range 25 {
		a := l.ask(t, l.stats, principal(tenant), "visits", "service")
		var sum int64
		for _, r := range a.Rows {
			sum += *r.Value
		}
		if sum != *a.Total.Value {
			t.Errorf("the rows sum to %d, the total is %d", sum, *a.Total.Value)
		}
		if i == 0 {
			first = sum
		}
		last = sum
	}
	close(stop)
	wg.Wait()
	if first == last {
		t.Error("nothing arrived meanwhile; the test shows nothing")
	}
}

func TestAnAnswerBeyondItsLimitIsRefused(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	d := l.table
	day := event.DayOf(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	batch := warehouse.NewBatch(d, day)
	var rows []event.Row
	for i := range stats.MaxRows + 1 {
		rows = append(rows, l.row(visit{
			service: "web", person: i + 1, at: edge.Add(time.Duration(i/10) * time.Millisecond), action: "come",
			status: 200, path: fmt.Sprintf("/%d", i), expires: day.Start(),
		}))
	}
	batch.Append(warehouse.Source{Tenant: tenant, Service: "web", Seq: 1, Columns: d.ColumnNames()}, rows)
	if err := l.admin.Insert(t.Context(), batch, ""); err != nil {
		t.Fatal(err)
	}
	_, err := l.stats.Ask(t.Context(), principal(tenant), stats.Question{Metric: "visits", By: []string{"path"}})
	if !errors.Is(err, fault.Exhausted) {
		t.Errorf("%d rows: %v", stats.MaxRows+1, err)
	}
	a, err := l.stats.Ask(t.Context(), principal(tenant), stats.Question{
		Metric: "visits", By: []string{"path"}, To: edge.Add(stats.MaxRows / 10 * time.Millisecond),
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Rows) != 1 || a.HiddenRows != 1 || a.Rows[0].By["path"] != nil {
		t.Errorf("%d rows about one person each, %d hidden; want them merged into one that tells no path", len(a.Rows), a.HiddenRows)
	}
	expectTotal(t, l.ask(t, l.stats, principal(tenant), "visitors"), fmt.Sprint(stats.MaxRows+1))
}

// TestTheBuiltInMetricsCanBeAsked makes sure that every metric of the embedded
// policy gives a statement that the engine takes.
func TestTheBuiltInMetricsCanBeAsked(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	l := newLabOf(t, pol, pol)
	n := 0
	for _, m := range l.stats.List() {
		expectTotal(t, l.ask(t, l.stats, principal("acme"), m.Name), "0")
		for _, d := range m.Dimensions {
			if a := l.ask(t, l.stats, principal("acme"), m.Name, d.Name); len(a.Rows) != 0 {
				t.Errorf("%s by %s: %v", m.Name, d.Name, a.Rows)
			}
			n++
		}
	}
	if n < 20 {
		t.Errorf("only %d dimensions; the policy is not whole", n)
	}
}
