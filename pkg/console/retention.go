package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// retentionBody is what the page shows.
type retentionBody struct {
	No      *refusal
	Report  *verify.Report
	Classes []class
	// Found, Hidden and Overdue are of all classes; they count unlike things.
	Hidden, Overdue  uint64
	LastRun, NextRun time.Time
	Past             []moment
	Grace            time.Duration
	Drift            []verify.Finding
	Plan             asked[operation.Plan]
	Holds            asked[hold.List]
	MayRun           bool
	MayProve         bool
	Proof            string
}

// class is a deletion class and the places that hold something of it.
type class struct {
	verify.Rule
	Lasting bool
	Places  []spot
}

// spot is one place. Used is how much of the rule's period the oldest thing
// there has lasted, in percent; over 100 it is past its rule.
type spot struct {
	verify.Rule
	Used int
	Ends time.Time // when the oldest thing is past its rule
}

// moment is a verification as the chart and its table have it.
type moment struct {
	verify.Moment
	Hours float64 // by how much the worst class was past its deadline
}

// shownMoments is how many verifications one chart shows.
const shownMoments = 240

func (o *Console) retention(v *visit) {
	if !v.enter("retention") {
		return
	}
	var past asked[verify.History]
	b := retentionBody{
		Grace:    policy.Grace,
		MayRun:   v.who.CoversRoute("POST /v1/retention/run"),
		MayProve: v.who.CoversRoute("GET /v1/evidence"),
		Proof:    v.session.proof,
	}
	together(
		func() { past = get[verify.History](v, "/v1/verify/history", nil) },
		func() { b.Plan = get[operation.Plan](v, "/v1/plan", nil) },
		func() { b.Holds = get[hold.List](v, "/v1/holds", nil) },
	)
	b.No, b.Report, b.Past = past.No, past.V.Latest, moments(past.V.Past)
	if b.Report != nil {
		b.Drift = driftOf(*b.Report)
		b.Classes = classes(*b.Report)
		for _, r := range b.Report.Rules {
			b.Hidden += r.Hidden
			b.Overdue += r.Overdue
			if r.LastRun.After(b.LastRun) {
				b.LastRun, b.NextRun = r.LastRun, r.NextRun
			}
		}
	}
	v.render(http.StatusOK, "retention", "Retention", b)
}

// classes puts the rules of a report together by deletion class: what is
// overdue first, then what expires, by name, then what stays.
func classes(r verify.Report) []class {
	var out []class
	for _, rule := range r.Rules {
		i := slices.IndexFunc(out, func(c class) bool { return c.Class == rule.Class && c.Period == rule.Period })
		if i < 0 {
			i = len(out)
			out = append(out, class{Rule: verify.Rule{
				Class: rule.Class, Cluster: rule.Cluster, Period: rule.Period, Starts: rule.Starts, Promises: rule.Promises,
			}, Lasting: rule.Starts == ""})
		}
		c := &out[i]
		c.Found += rule.Found
		c.Hidden += rule.Hidden
		c.Overdue += rule.Overdue
		c.Late = max(c.Late, rule.Late)
		for _, h := range rule.Holds {
			if !slices.Contains(c.Holds, h) {
				c.Holds = append(c.Holds, h)
			}
		}
		c.Places = append(c.Places, newSpot(rule, r.Clock))
	}
	slices.SortStableFunc(out, func(a, b class) int {
		switch {
		case (a.Overdue > 0) != (b.Overdue > 0):
			return before(a.Overdue > 0)
		case a.Lasting != b.Lasting:
			return before(!a.Lasting)
		case (a.Found > 0) != (b.Found > 0):
			return before(a.Found > 0)
		}
		return 0
	})
	return out
}

func before(first bool) int {
	if first {
		return -1
	}
	return 1
}

func newSpot(r verify.Rule, now time.Time) spot {
	s := spot{Rule: r}
	period, ok := policy.ParsePeriod(r.Period)
	if r.Oldest == nil || r.Cutoff.IsZero() || !ok {
		return s
	}
	s.Ends = period.After(*r.Oldest)
	if whole := s.Ends.Sub(*r.Oldest); whole > 0 {
		s.Used = int(100 * now.Sub(*r.Oldest) / whole)
	}
	return s
}

// moments thins out a history that is longer than a chart is wide.
func moments(past []verify.Moment) []moment {
	step := 1 + len(past)/shownMoments
	var out []moment
	for i, m := range past {
		// The last one is always there, and so is the worst of those between.
		if i%step != 0 && i != len(past)-1 && m.Holds {
			continue
		}
		worst := int64(0)
		for _, late := range m.Late {
			worst = max(worst, late)
		}
		out = append(out, moment{m, float64(worst) / 3600})
	}
	return out
}

// driftOf is where the live system is not what the policy says (P21).
func driftOf(r verify.Report) []verify.Finding {
	i := slices.IndexFunc(r.Promises, func(p verify.Promise) bool { return p.ID == "P21" })
	if i < 0 {
		return nil
	}
	return r.Promises[i].Findings
}

// runRetention removes what is past its rule at once instead of at the next
// run.
func (o *Console) runRetention(v *visit) {
	if _, no := v.call(http.MethodPost, "/v1/retention/run", nil, nil); no != nil {
		v.fail(no.Status, no.Text)
		return
	}
	o.verifyAnd(v, "run")
}

// lookAgain verifies at once.
func (o *Console) lookAgain(v *visit) { o.verifyAnd(v, "verify") }

// verifyAnd verifies and goes back to the page that asked for it.
func (o *Console) verifyAnd(v *visit, what string) {
	if _, no := v.call(http.MethodGet, "/v1/verify", nil, nil); no != nil {
		v.fail(no.Status, no.Text)
		return
	}
	to := "retention"
	if v.r.PostForm.Get("to") == "home" {
		to = ""
	}
	if v.r.PostForm.Get("to") == "audit" && v.who.Role == access.Officer {
		to = "audit"
	}
	http.Redirect(v.w, v.r, prefix+to+"?done="+what, http.StatusSeeOther)
}

// evidence hands on a bundle, or the page that it can be read as.
func (o *Console) evidence(v *visit) {
	q := url.Values{}
	if since := v.r.URL.Query().Get("since"); since != "" {
		q.Set("since", since)
	}
	if v.r.URL.Query().Get("format") == "html" {
		q.Set("format", "html")
		v.pass("/v1/evidence", q, "text/html; charset=utf-8", "lethe-evidence.html")
		return
	}
	v.pass("/v1/evidence", q, "application/json", "lethe-evidence.json")
}
