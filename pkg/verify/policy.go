package verify

import (
	"encoding/json"
	"slices"
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
	begin := l.now.Add(-freshPolicy)
	latest, ok := l.c.Audit.Last(audit.KindPolicy)
	if !ok || latest.At.Before(begin) {
		return nil
	}
	// How long a policy kept rows stands in its own entry, and the one that was
	// replaced may be years old. So everything is read, for those two days.
	kept := map[string][]audit.Kept{} // by digest
	waiting := map[string]time.Time{}
	for e, err := range l.entries(time.Time{}) {
		var applied audit.Policy
		switch {
		case err != nil:
			return err
		case e.Kind != audit.KindPolicy || json.Unmarshal(e.Detail, &applied) != nil:
			continue
		}
		if len(applied.Kept) > 0 {
			kept[applied.Digest] = applied.Kept
		}
		if e.At.Before(begin) {
			continue
		}
		for _, rule := range l.shorter(kept[applied.Replaces], applied) {
			waiting[rule] = e.At
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

// shorter are the rules that a policy made shorter: "class access", or "table
// login" where the table got another class. For rows the periods say so that it
// and the one that it replaced have on record. For what lies in no table, and
// where those are not on record, its changes say so, in words ([policy.Succeeds]).
func (l *look) shorter(before []audit.Kept, applied audit.Policy) (rules []string) {
	known := len(before) > 0 && len(applied.Kept) > 0
	for _, change := range applied.Changes {
		_, change, _ = strings.Cut(change, ": ")
		rule, _, is := strings.Cut(change, " keeps data shorter: ")
		if is && !(known && l.ofRows(rule)) {
			rules = append(rules, rule)
		}
	}
	if !known {
		return rules
	}
	was := map[string]*policy.Class{}
	for _, k := range before {
		was[k.Table] = ruleOf(k)
	}
	for _, k := range applied.Kept {
		if then := was[k.Table]; then == nil || !then.Outlasts(ruleOf(k)) {
			continue
		}
		rules = append(rules, "table "+k.Table)
		if t, ok := l.c.Policy.Table(k.Table); ok {
			rules = append(rules, "class "+t.Class.Name)
		}
	}
	return rules
}

// ruleOf is the rule of a table that is on record.
func ruleOf(k audit.Kept) *policy.Class {
	p := policy.Period{Days: k.Days, Months: k.Months}
	return &policy.Class{Period: p, Lasting: p == policy.Period{}}
}

// ofRows says whether a rule is one of rows in tables.
func (l *look) ofRows(rule string) bool {
	class, is := strings.CutPrefix(rule, "class ")
	return !is || slices.ContainsFunc(l.c.Policy.Tables(), func(t *policy.Table) bool { return t.Class.Name == class })
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
