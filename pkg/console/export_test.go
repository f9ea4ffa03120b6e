package console

import (
	"net/url"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// What the tests of package console_test look at from the inside.
var (
	Next      = next
	Templates = templateFiles
	Vendored  = []string{chartScript, chartStyle}
	Address   = address
)

const (
	IdleMost = idleMost
	LifeMost = lifeMost
	MaxOfOne = maxOfOne
	MaxForm  = maxForm
)

// Sessions is how many sessions there are.
func (o *Console) Sessions() int {
	o.sessions.mu.Lock()
	defer o.sessions.mu.Unlock()
	return len(o.sessions.byID)
}

// Question is a question that an address asks, and what follows from it.
type Question = question

var Read = readQuestion

// Fit is the question that is asked of a metric of a list.
func Fit(q Question, list []stats.Listed, now time.Time) Question {
	for _, m := range newMetrics(list) {
		if m.Name == q.Metric {
			return q.fit(m, now)
		}
	}
	return q
}

// Asked is the question as the API takes it.
func Asked(q Question) url.Values { return q.values() }

// Ranges are what a page offers of ranges, with the days of each.
func Ranges(q Question, list []stats.Listed, now time.Time) map[string]string {
	out := map[string]string{}
	for _, m := range newMetrics(list) {
		if m.Name != q.Metric {
			continue
		}
		for _, c := range q.fit(m, now).ranges(m, now) {
			u, _ := url.Parse(c.Link)
			out[c.Name] = u.Query().Get("from") + " " + u.Query().Get("to")
		}
	}
	return out
}

// MomentsOf are the moments of a bucket that a page shows for some of them.
func MomentsOf(bucket string, some ...string) []string {
	in := map[string]bool{}
	for _, w := range some {
		in[w] = true
	}
	return allMoments(bucket, in)
}

var Num = num

// Instant is when a bucket of time begins, in Unix seconds.
var Instant = instantOf

// Places are the routes of the navigation, and who is offered them.
func Places() map[string][]string {
	out := map[string][]string{}
	for _, p := range places {
		if p.route == "" {
			continue
		}
		for _, r := range p.roles {
			out[p.route] = append(out[p.route], string(r))
		}
	}
	return out
}

// Spot is what a page says of a place: when the oldest thing there is past its
// rule, and how much of the rule it has lasted, in percent.
func Spot(r verify.Rule, now time.Time) (ends time.Time, used int) {
	s := newSpot(r, now)
	return s.Ends, s.Used
}

// Moments is how many verifications of a history one chart shows, and whether
// every broken one is among them.
func Moments(past []verify.Moment) (n int, broken int) {
	for _, m := range moments(past) {
		n++
		if !m.Holds {
			broken++
		}
	}
	return n, broken
}
