package warehouse_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// policyWith is the test policy whose visits are kept for another period.
func policyWith(t testing.TB, period string) *policy.Policy {
	t.Helper()
	const name = "classes.yaml"
	text, err := fs.ReadFile(os.DirFS("testdata/policy"), name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("period: 30 days")) {
		t.Fatal("the test policy has no period of 30 days")
	}
	docs, err := policy.Load(os.DirFS("testdata/policy"), fstest.MapFS{
		name: {Data: bytes.Replace(text, []byte("period: 30 days"), []byte("period: "+period), 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// startWith is an engine with the users of a policy.
func startWith(t *testing.T, pol *policy.Policy) *site {
	t.Helper()
	return &site{t: t, engine: lethetest.Engine(t, lethetest.EngineUsers(pol)...), pol: pol}
}

// TestAPeriodThatChangedActsOnWhatIsThere: P4. Rows came under a rule of 30
// days. A shorter one hides them at once, and a longer one lets them expire
// when they would have.
func TestAPeriodThatChangedActsOnWhatIsThere(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	came := map[int]bool{1: true, 6: true, 8: true, 29: true, 31: true} // days ago
	for period, want := range map[string]uint64{"30 days": 4, "7 days": 2, "60 days": 4} {
		s := startWith(t, policyWith(t, period))
		s.applied()
		loader := s.as(warehouse.UserLoader)
		for days := range came {
			at := now.AddDate(0, 0, -days)
			row := s.visit(at, byte(days), true)
			row.ExpiresAt = policy.Period{Days: 30}.After(at)
			insert(t, loader, s.batch(row), "")
		}
		if n := count(t, s.as(warehouse.UserCells), "visit"); n != want {
			t.Errorf("with a rule of %s who cuts cells sees %d rows, want %d", period, n, want)
		}
		if n := count(t, s.as(lethetest.Overseer), "visit"); n != 5 { // the control
			t.Errorf("with a rule of %s %d rows are there, want 5", period, n)
		}
	}
}

// TestTheBarrierFallsWhenThePeriodEnds goes through month ends, leap days and
// the ends of what small clocks can count, a millisecond before and at the
// instant that the policy says.
func TestTheBarrierFallsWhenThePeriodEnds(t *testing.T) {
	for _, period := range []string{"1 month", "24 months", "7 days"} {
		s := startWith(t, policyWith(t, period))
		s.applied()
		loader, cells, retention := s.as(warehouse.UserLoader), s.as(warehouse.UserCells), s.as(warehouse.UserRetention)
		class := s.table("visit").Class
		var occurred []time.Time
		for _, at := range []string{
			"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z", "2038-01-19T03:14:07.999Z",
			"2027-01-28T23:59:59.999Z", "2027-01-29T00:00:00Z", "2027-01-31T12:00:00Z", "2028-01-30T00:00:00Z",
			"2028-02-29T06:00:00Z", "2027-12-31T23:59:59.999Z",
			"2105-12-31T00:00:00Z", "2106-02-07T06:28:15.999Z", "2106-02-07T06:28:16Z", "2146-01-31T18:00:00Z",
		} {
			o, err := time.Parse(time.RFC3339Nano, at)
			if err != nil {
				t.Fatal(err)
			}
			occurred = append(occurred, o)
			row := s.visit(o, byte(len(occurred)), true)
			row.ExpiresAt = event.Never.Start().AddDate(-1, 0, 0) // an earlier rule was long
			insert(t, loader, s.batch(row), "")
		}
		if n := count(t, s.as(lethetest.Overseer), "visit"); n != uint64(len(occurred)) {
			t.Fatalf("%d rows are there, want %d", n, len(occurred))
		}
		visible := func(at time.Time) (n uint64) {
			for _, o := range occurred {
				if at.Before(class.ExpiresAt(o)) {
					n++
				}
			}
			return n
		}
		steps := []time.Time{time.Now()}
		for _, o := range occurred {
			if end := class.ExpiresAt(o); end.After(time.Now()) {
				steps = append(steps, end.Add(-time.Millisecond), end)
			}
		}
		slices.SortFunc(steps, time.Time.Compare)
		for _, at := range steps {
			if _, err := retention.Advance(t.Context(), at); err != nil {
				t.Fatal(err)
			}
			if n := count(t, cells, "visit"); n != visible(at) {
				t.Errorf("%s, at %v: who cuts cells sees %d rows, want %d", period, at, n, visible(at))
			}
		}
	}
}

// TestTheEngineAddsPeriodsAsThePolicyDoes compares the two for times and
// periods without number.
func TestTheEngineAddsPeriodsAsThePolicyDoes(t *testing.T) {
	s := start(t)
	w := s.as(warehouse.UserVerify)
	r := rand.New(rand.NewPCG(3, 4))
	last := time.Date(2199, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()
	for _, unit := range []string{"Days", "Months"} {
		var at, n, want []string
		for range 5000 {
			o := time.UnixMilli(r.Int64N(last)).UTC()
			if r.IntN(2) == 0 { // about the end of a month
				o = time.Date(o.Year(), o.Month()+1, r.IntN(4)-2, o.Hour(), o.Minute(), 0, 0, time.UTC)
			}
			p := policy.Period{Days: 1 + r.IntN(11_000)}
			if unit == "Months" {
				p = policy.Period{Months: 1 + r.IntN(360)}
			}
			at = append(at, fmt.Sprint(o.UnixMilli()))
			n = append(n, fmt.Sprint(p.Days+p.Months))
			want = append(want, fmt.Sprint(p.After(o).UnixMilli()))
		}
		array := func(s []string) string { return "[" + strings.Join(s, ",") + "]" }
		wrong := one[uint64](t, w, "SELECT countIf(toUnixTimestamp64Milli(add"+unit+"(fromUnixTimestamp64Milli(toInt64(o), 'UTC'), n)) != e) FROM "+
			"(SELECT arrayJoin(arrayZip("+array(at)+", "+array(n)+", "+array(want)+")) AS z, z.1 AS o, z.2 AS n, z.3 AS e)")
		if wrong > 0 {
			t.Errorf("%d of 5000 sums of %s differ", wrong, strings.ToLower(unit))
		}
	}
}

// TestWhatAShorterRuleWouldHideIsCountedBeforeItIsInForce, and is what it hides
// when it is.
func TestWhatAShorterRuleWouldHideIsCountedBeforeItIsInForce(t *testing.T) {
	s := start(t)
	s.applied()
	loader, verify := s.as(warehouse.UserLoader), s.as(warehouse.UserVerify)
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i, days := range []int{1, 9, 9, 20, 31} { // the last has expired by its own date
		insert(t, loader, s.batch(s.visit(now.AddDate(0, 0, -days), byte(i), true)), "")
	}
	shorter, _ := policyWith(t, "7 days").Table("visit")
	got, err := verify.Cuts(t.Context(), shorter)
	if err != nil {
		t.Fatal(err)
	}
	want := []warehouse.Cut{
		{Day: event.DayOf(now.AddDate(0, 0, 10)), Rows: 1, All: 1},
		{Day: event.DayOf(now.AddDate(0, 0, 21)), Rows: 2, All: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n, err := verify.Outlasting(t.Context(), shorter); err != nil || n != 4 {
		t.Errorf("%d rows would outlast a rule of 7 days, want 4: %v", n, err)
	}
	for _, same := range []string{"30 days", "60 days"} {
		table, _ := policyWith(t, same).Table("visit")
		if n, err := verify.Outlasting(t.Context(), table); err != nil || n != 0 {
			t.Errorf("%d rows outlast a rule of %s: %v", n, same, err)
		}
		if got, err := verify.Cuts(t.Context(), table); err != nil || len(got) > 0 {
			t.Errorf("a rule of %s hides %v, %v", same, got, err)
		}
	}
}
