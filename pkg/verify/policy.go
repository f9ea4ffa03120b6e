package verify

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// freshPolicy is for how long a policy that was applied explains what is not
// done yet: what a shorter rule ended before it was in force is due from then,
// and gone within the grace, which begins with the end of that day.
const freshPolicy = policy.Grace + 24*time.Hour

// readPolicies finds out which rules became shorter a little while ago. Of a
// policy that was applied and is not in force yet nothing counts.
func (l *look) readPolicies() error {
	l.shortened = map[string]time.Time{}
	waiting := map[string]time.Time{}
	for e, err := range l.entries(l.now.Add(-freshPolicy)) {
		var applied audit.Policy
		switch {
		case err != nil:
			return err
		case e.Kind != audit.KindPolicy || json.Unmarshal(e.Detail, &applied) != nil:
			continue
		}
		for _, change := range applied.Changes {
			if rule, ok := shorter(change); ok {
				waiting[rule] = e.At
			}
		}
		if applied.Digest != l.c.Policy.Digest() {
			continue
		}
		for rule, at := range waiting {
			l.shortened[rule] = at
		}
		clear(waiting)
	}
	return nil
}

// shorter is the rule that a change on record made shorter ([policy.Succeeds]):
// "class access", or "table login" where the table got another class.
func shorter(change string) (rule string, is bool) {
	_, change, _ = strings.Cut(change, ": ")
	rule, _, is = strings.Cut(change, " keeps data shorter: ")
	return rule, is
}

// shortenedAt is when the rule of a table became shorter; zero is long ago.
func (l *look) shortenedAt(t *policy.Table) time.Time {
	at := l.shortened["table "+t.Name]
	if class := l.shortened["class "+t.Class.Name]; class.After(at) {
		at = class
	}
	return at
}

// due is when something of a class is due: where the class became shorter a
// little while ago not before that, but on its own day at the latest, if it has
// one.
func (l *look) due(c *policy.Class, by, own time.Time) time.Time {
	since := l.shortened["class "+c.Name]
	switch {
	case by.IsZero() || !by.Before(since):
		return by
	case !own.IsZero() && own.Before(since):
		return own
	}
	return since
}

// checkPolicy holds the policy of this process to the one that was applied
// last.
func (l *look) checkPolicy() {
	e, ok := l.c.Audit.Last(audit.KindPolicy)
	if !ok {
		return
	}
	var applied audit.Policy
	if json.Unmarshal(e.Detail, &applied) != nil || applied.Digest == l.c.Policy.Digest() {
		return
	}
	const what = "the policy that was applied last, on %s, is %.12s, and this process works by %.12s: "
	if e.At.After(l.started) && l.wall.Sub(e.At) <= policy.Grace {
		l.note("policy", what+"it begins when the process is started again, by %s", instant(e.At), applied.Digest, l.c.Policy.Digest(), instant(e.At.Add(policy.Grace)))
		return
	}
	l.broken(drifted, "policy", what+"apply the one, or start the process again with the other", instant(e.At), applied.Digest, l.c.Policy.Digest())
}
