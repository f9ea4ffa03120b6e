package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rules is an overlay that keeps access events for another period.
func rules(t *testing.T, period string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "retention.yaml", strings.Replace(builtIn(t, "pipelines/retention.yaml"), "period: 30 days", "period: "+period, 1))
	return dir
}

// TestAPolicyIsPlannedAppliedAndEnacted: a shorter period acts at once and on
// what is there, and what it hid does not come back (P4).
func TestAPolicyIsPlannedAppliedAndEnacted(t *testing.T) {
	t.Parallel()
	r := up(t)
	// 40 visits of today, 30 of a week and a half ago.
	var b strings.Builder
	for i := range 70 {
		at := time.Now().UTC().Add(-time.Duration(i) * time.Second)
		if i >= 40 {
			at = at.AddDate(0, 0, -10)
		}
		fmt.Fprintf(&b, `{"event":"http_access","service":"web","id":"a%d","occurred_at":"%s","data":{"client_ip":"192.0.2.%d","method":"GET","path":"/","status":200}}`+"\n",
			i, at.Format(time.RFC3339), i)
	}
	r.Publish(b.String()).check(t, 70, 70, 0, nil)
	r.Settle()
	r.Shows(70, "requests")
	if out := r.Run("plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("lethe plan says: %s", out)
	}

	var plan struct {
		Digest, Running, Next string
		Policy                []struct{ Weight, Where, Sentence string }
		Goes                  []struct {
			Class            string
			Rows             uint64
			Partitions, Keys int
		}
		Changes []struct{ Where, Sentence string }
	}
	week := rules(t, "7 days")
	decode(t, r.Run("plan", "--policy", week, "-o", "json"), &plan)
	if plan.Digest == plan.Running || len(plan.Policy) == 0 {
		t.Errorf("the plan of another policy is %+v", plan)
	}
	for _, c := range plan.Policy {
		if c.Weight != "note" {
			t.Errorf("a shorter period is a change of weight %s: %s", c.Weight, c.Sentence)
		}
	}
	if len(plan.Goes) != 1 || plan.Goes[0].Class != "access" || plan.Goes[0].Rows != 30 || plan.Goes[0].Partitions != plan.Goes[0].Keys || plan.Goes[0].Keys == 0 {
		t.Errorf("what goes at once is %+v", plan.Goes)
	}
	barriers := 0
	for _, c := range plan.Changes {
		if strings.Contains(c.Sentence, "another read barrier before lethe.http_access") {
			barriers++
		}
	}
	if barriers != 2 { // the analyst's, and that of whoever rebuilds
		t.Errorf("of %+v %d are the read barrier", plan.Changes, barriers)
	}
	if n := r.Total("requests"); n != 70 {
		t.Errorf("a plan changes what is seen: %d requests", n)
	}

	if out := r.Run("apply", "--policy", week); !strings.Contains(out, "Start Lethe again") {
		t.Errorf("lethe apply says: %s", out)
	}
	if out := r.Run("plan"); !strings.Contains(out, "begins with the next start") {
		t.Errorf("with a policy that waits, lethe plan says: %s", out)
	}
	r.healthy("with a policy that waits")
	r.Stop()
	r.Start()
	r.healthy("when a shorter rule has just begun")
	// The rows are gone; the cells that were cut of them stay (P19).
	if n := r.Total("requests"); n != 70 {
		t.Errorf("under a rule of 7 days %d requests are published, want 70", n)
	}
	if out := r.Run("plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("after the policy was enacted lethe plan says: %s", out)
	}

	if !strings.Contains(r.log.String(), "policy enacted") {
		t.Error("the log does not say that a policy was enacted")
	}

	// A longer one would bring back what people were told is gone.
	out, stderr, err := r.Try("apply", "--policy", rules(t, "60 days"), "--yes")
	if status(t, err) != 1 || !strings.Contains(stderr, "cut short") || !strings.Contains(out, "Not yet: table http_access holds ") {
		t.Errorf("a longer period before the rows are gone: status %d\n%s%s", status(t, err), out, stderr)
	}
	if out := r.Run("plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("what was refused is kept: %s", out)
	}
}

// TestALongerPeriodTakesThatPeopleWereTold, and moves no date of what is there.
func TestALongerPeriodTakesThatPeopleWereTold(t *testing.T) {
	t.Parallel()
	longer := rules(t, "60 days")
	r := up(t)
	out, stderr, err := r.Try("apply", "--policy", longer)
	if status(t, err) != 1 || !strings.Contains(stderr, "--yes") || !strings.Contains(out, "keeps data longer: 60 days, not 30 days; this applies to later events only") {
		t.Errorf("without --yes: status %d\n%s%s", status(t, err), out, stderr)
	}
	if out := r.Run("plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("what was not agreed to is kept: %s", out)
	}
	r.Run("apply", "--policy", longer, "--yes")
	r.Stop()
	r.Start()
	var checked, plan struct{ Digest, Running string }
	decode(t, r.Run("check", "--policy", longer, "-o", "json"), &checked)
	decode(t, r.Run("plan", "-o", "json"), &plan)
	if plan.Running != checked.Digest || checked.Digest == "" {
		t.Errorf("after the start the policy in force is %q, want %q", plan.Running, checked.Digest)
	}
}

func TestAPolicyOfADirectoryIsNotAppliedPastIt(t *testing.T) {
	t.Parallel()
	week := rules(t, "7 days")
	r := up(t, func(r *running) { r.Policy = rules(t, "30 days") })
	_, stderr, err := r.Try("apply", "--policy", week)
	if status(t, err) != 1 || !strings.Contains(stderr, "told with each start where its policy is") {
		t.Errorf("status %d: %s", status(t, err), stderr)
	}
	if _, err := os.Stat(filepath.Join(r.Data, "policy.json")); !os.IsNotExist(err) {
		t.Error("the policy is kept all the same")
	}
}

func TestApplyNeedsAPolicyThatCompiles(t *testing.T) {
	t.Parallel()
	r := up(t)
	broken := rules(t, "a while")
	if _, stderr, err := r.Try("apply", "--policy", broken); status(t, err) != 1 || !strings.Contains(stderr, "retention.yaml:") {
		t.Errorf("status %d: %s", status(t, err), stderr)
	}
	if _, _, err := r.Try("apply"); status(t, err) != 2 {
		t.Errorf("without a policy: status %d, want 2", status(t, err))
	}
	for _, c := range []struct {
		role, path, body string
		want             int
	}{
		{"operator", "/v1/apply", `{}`, 422},
		{"operator", "/v1/apply", strings.Repeat("x", 9<<20), 413},
		{"officer", "/v1/apply", `{}`, 403},
		{"analyst", "/v1/plan", `{}`, 403},
		{"officer", "/v1/plan", `{}`, 422},
	} {
		if code, _ := r.Do(c.role, "POST", c.path, "application/json", strings.NewReader(c.body)); code != c.want {
			t.Errorf("POST %s as %s with %d bytes: %d, want %d", c.path, c.role, len(c.body), code, c.want)
		}
	}
}
