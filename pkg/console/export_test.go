package console

import (
	"net/url"
	"time"

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

// Ask is what the API would be asked for an address.
func Ask(q url.Values, now time.Time) (metric string, asked url.Values) {
	question := readQuestion(q, now)
	return question.Metric, question.values()
}

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
