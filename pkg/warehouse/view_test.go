package warehouse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// startBuiltIn is [start] with the policy that Lethe comes with, which has
// metrics.
func startBuiltIn(t *testing.T) *site {
	t.Helper()
	pol := lethetest.BuiltIn(t)
	return &site{t: t, engine: lethetest.Engine(t, lethetest.EngineUsers(pol)...), pol: pol}
}

func TestViewsThatDriftAreMadeAnew(t *testing.T) {
	s := startBuiltIn(t)
	w := s.applied()
	if left := plan(t, s, w); len(left) != 0 {
		t.Fatalf("after apply there is something to do: %+v", left)
	}
	for _, c := range []struct {
		sql  []string
		want []string
	}{
		{[]string{"DROP VIEW stats.requests"}, []string{"view requests is missing"}},
		{[]string{"DROP VIEW stats.requests", "CREATE VIEW stats.requests AS SELECT * FROM lethe.cell"},
			[]string{"view requests is made otherwise", "view requests is made anew"}},
		{[]string{"DROP VIEW stats.cells", "CREATE VIEW stats.cells DEFINER = view SQL SECURITY DEFINER AS SELECT * FROM lethe.cell"},
			[]string{"view cells is made otherwise", "view cells is made anew"}},
		{[]string{"CREATE VIEW stats.former AS SELECT 1"}, []string{"view former is not in the policy"}},
	} {
		for _, sql := range c.sql {
			if err := exec(t.Context(), w, sql); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
		}
		var got []string
		for _, change := range plan(t, s, w) {
			got = append(got, change.Sentence)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("after %q:\n%s", c.sql, d)
		}
		s.applied()
		if left := plan(t, s, w); len(left) != 0 {
			t.Errorf("apply left %+v", left)
		}
	}
}

// TestWhoeverVerifiesKnowsTheViewsAndTheirUsers: what Lethe made is no finding.
func TestWhoeverVerifiesKnowsTheViewsAndTheirUsers(t *testing.T) {
	s := startBuiltIn(t)
	admin := s.applied()
	w := s.as(warehouse.UserVerify)
	deviations, err := w.LookUsers(t.Context(), s.pol, "probe", "default", lethetest.Overseer)
	if err != nil || len(deviations) != 0 {
		t.Errorf("users deviate: %+v, %v", deviations, err)
	}
	views := func() (listed, others int) {
		t.Helper()
		all, err := w.Look(t.Context(), s.pol)
		if err != nil {
			t.Fatal(err)
		}
		for _, sight := range all {
			switch {
			case sight.Database == warehouse.StatsDatabase && sight.Listed:
				listed++
			case !sight.Listed:
				others++
			}
		}
		return listed, others
	}
	if listed, others := views(); listed < 10 || others != 0 {
		t.Errorf("%d views are Lethe's, %d tables are not", listed, others)
	}
	if err := exec(t.Context(), admin, "CREATE VIEW stats.former AS SELECT 1"); err != nil {
		t.Fatal(err)
	}
	if _, others := views(); others != 1 {
		t.Errorf("of a view that somebody made, %d are seen", others)
	}
}
