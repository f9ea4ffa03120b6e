package verify_test

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
	"github.com/lethe-pipeline/lethe/schemas"
)

// rewritten is the built-in policy with other rules.
func rewritten(t testing.TB, change func(text string) string) *policy.Policy {
	t.Helper()
	const name = "retention.yaml"
	text, err := fs.ReadFile(pipelines.FS, name)
	must(t, err)
	docs, err := policy.Load(schemas.FS, pipelines.FS, fstest.MapFS{name: {Data: []byte(change(string(text)))}})
	must(t, err)
	pol, err := policy.Compile(docs)
	must(t, err)
	return pol
}

// shorter keeps access events for 7 days, and reports for 10.
func shorter(t testing.TB) *policy.Policy {
	t.Helper()
	return rewritten(t, func(text string) string {
		for class, period := range map[string][2]string{"access": {"30 days", "7 days"}, "report": {"90 days", "10 days"}} {
			head, rest, found := strings.Cut(text, "\n  "+class+":\n")
			was := "period: " + period[0]
			if !found || !strings.Contains(rest, was) {
				t.Fatalf("there is no class %s of %s", class, period[0])
			}
			text = head + "\n  " + class + ":\n" + strings.Replace(rest, was, "period: "+period[1], 1)
		}
		return text
	})
}

// apply puts a policy on record, as whoever applies it does.
func (s *site) apply(pol *policy.Policy) {
	s.t.Helper()
	s.applyAs(s.pol.Digest(), pol, func(*audit.Policy) {})
}

// applyAs is apply of a policy that takes the place of another, with an entry
// that is changed.
func (s *site) applyAs(replaces string, pol *policy.Policy, change func(*audit.Policy)) {
	s.t.Helper()
	e := audit.Policy{Digest: pol.Digest(), Replaces: replaces}
	for _, c := range policy.Succeeds(s.pol, pol) {
		e.Changes = append(e.Changes, string(c.Weight)+": "+c.String())
	}
	for _, t := range pol.Tables() {
		e.Kept = append(e.Kept, audit.Kept{Table: t.Name, Days: t.Class.Period.Days, Months: t.Class.Period.Months})
	}
	change(&e)
	must(s.t, s.record.Record(s.t.Context(), audit.KindPolicy, e))
	s.settle()
}

// P21: a policy that was applied has a day until the process that is to work by
// it is started again.
func TestAPolicyThatWaitsForTheNextStartIsSaid(t *testing.T) {
	s := start(t)
	s.run()
	v := verify.New(s.config)
	look := func() verify.Report {
		t.Helper()
		r, err := v.Verify(t.Context())
		must(t, err)
		return r
	}
	s.pass(time.Minute)
	s.apply(shorter(t))
	const words = "it begins when the process is started again"
	said := func(r verify.Report) bool {
		return slices.ContainsFunc(r.Notes, func(n verify.Finding) bool { return n.Where == "policy" && strings.Contains(n.Sentence, words) })
	}
	if r := look(); !r.Holds || !said(r) {
		t.Errorf("a policy that was applied this minute: %v, %v", sentences(r), r.Notes)
	}
	// A process that was started since then works by the wrong one.
	s.pass(time.Minute)
	expect(t, s.verify(), "P21", "policy", "apply the one, or start the process again with the other")
	s.pass(policy.Grace)
	expect(t, look(), "P21", "policy", "apply the one, or start the process again with the other")
}

// P4, P6: what a rule that became shorter ends has the grace from then on. The
// control is a policy that nobody applied.
func TestWhatAShorterRuleEndsHasTheGraceFromThenOn(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -20), 3)
	s.store("http_access", s.clock().AddDate(0, 0, -1), 2)
	s.file(20*day, "reports", "usage.html")
	s.run()
	s.healthy("at first")

	pol := shorter(t)
	under := func(c *verify.Config) { c.Policy = pol }
	overdue := func(r verify.Report) string {
		var out []string
		for _, f := range sentences(r) {
			if strings.Contains(f, "should ") && strings.Contains(f, "been removed") || strings.Contains(f, "should be gone") || strings.Contains(f, "been destroyed") {
				out = append(out, f)
			}
		}
		return strings.Join(out, "\n")
	}
	all := []string{"table http_access", "keys of clean frames", "folder reports"}
	for _, where := range all {
		if !strings.Contains(overdue(s.verifyWith(under)), where+" | ") {
			t.Errorf("under a policy that nobody applied, nothing is overdue at %s", where)
		}
	}
	s.apply(pol)
	r := s.verifyWith(under)
	if said := overdue(r); said != "" {
		t.Errorf("a shorter rule is in force for a moment, and verify says:\n%s", said)
	}
	if h := rule(t, r, "access", "table http_access"); h.Hidden != 3 || h.Overdue != 0 {
		t.Errorf("of 3 rows that the shorter rule hides, verify saw %+v", h)
	}
	s.pass(2*day + time.Hour)
	for _, where := range all {
		if !strings.Contains(overdue(s.verifyWith(under)), where+" | ") {
			t.Errorf("two days after a shorter rule, nothing is overdue at %s", where)
		}
	}
}

// P4, P5: which rules of rows became shorter is told by the periods on record,
// wherever the policy before stands in it, and by words only where an earlier
// version recorded no periods.
func TestWhichRuleBecameShorterIsTakenFromThePeriodsOnRecord(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -20), 3)
	pol := shorter(t)
	overdue := func() bool {
		r := s.verifyWith(func(c *verify.Config) { c.Policy = pol })
		return slices.ContainsFunc(sentences(r), func(f string) bool {
			return strings.HasPrefix(f, "table http_access | ") && strings.Contains(f, "should be gone")
		})
	}
	s.applyAs("", s.pol, func(*audit.Policy) {})
	s.pass(30 * day) // the policy before is an old one
	s.store("http_access", s.clock().AddDate(0, 0, -20), 3)
	s.run()
	if !overdue() {
		t.Fatal("under a policy that nobody applied, nothing is overdue")
	}
	for _, c := range []struct {
		name    string
		change  func(*audit.Policy)
		overdue bool
	}{
		{"neither words nor periods", func(e *audit.Policy) { e.Changes, e.Kept = nil, nil }, true},
		{"words that the periods contradict", func(e *audit.Policy) {
			e.Kept = nil
			for _, t := range s.pol.Tables() {
				e.Kept = append(e.Kept, audit.Kept{Table: t.Name, Days: t.Class.Period.Days, Months: t.Class.Period.Months})
			}
		}, true},
		{"words of an earlier version", func(e *audit.Policy) { e.Kept = nil }, false},
		{"periods alone", func(e *audit.Policy) { e.Changes = nil }, false},
	} {
		s.applyAs(s.pol.Digest(), pol, c.change)
		if overdue() != c.overdue {
			t.Errorf("%s: overdue is %v", c.name, !c.overdue)
		}
		s.pass(3 * day)
		s.store("http_access", s.clock().AddDate(0, 0, -20), 3)
	}
}

// P21: a copy that is gone is no finding, although a manifest counted it. While
// the engine has its files, verify says until when.
func TestATableThatIsGoneIsNoFinding(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock(), 3)
	s.run()
	s.healthy("at first")
	s.sql("CREATE TABLE lethe.keepsake AS lethe.http_access", "INSERT INTO lethe.keepsake SELECT * FROM lethe.http_access")
	s.pass(day)
	s.run() // counts it
	expect(t, s.verify(), "P5", "table keepsake", "It is partitioned by expiry day, as Lethe's own tables are")
	s.sql("DROP TABLE lethe.keepsake SYNC")
	s.healthy("when it is gone")
	s.pass(day)
	s.run() // counts it no more
	r := s.healthy("when it is gone and counted")
	if !slices.ContainsFunc(r.Notes, func(n verify.Finding) bool {
		return n.Where == "table keepsake" && strings.Contains(n.Sentence, "counted a table that is not in the policy")
	}) {
		t.Errorf("nobody says what the manifests counted: %v", r.Notes)
	}
}

// P18: what a rebuild makes is its own while it runs.
func TestTheCopyOfARebuildIsNoFindingWhileItRuns(t *testing.T) {
	s := start(t)
	s.run()
	s.healthy("at first")
	_, err := s.as(warehouse.UserRebuild).Stage(t.Context(), s.pol, 2)
	must(t, err)
	running := func(is float64) verify.Report {
		return s.verifyWith(func(c *verify.Config) {
			stages := c.Stages
			c.Stages = func(ctx context.Context) ([]eventlog.StageStatus, error) {
				all, err := stages(ctx)
				return append(all, eventlog.StageStatus{Stage: "loader", Numbers: map[string]float64{"rebuilding": is}}), err
			}
		})
	}
	if r := running(1); !r.Holds {
		t.Errorf("a rebuild under way: %v", sentences(r))
	}
	expect(t, running(0), "P21", "database lethe_rebuild", "and the loader tells of no rebuild")
}
