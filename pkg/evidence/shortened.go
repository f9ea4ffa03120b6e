package evidence

import (
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

const governsEvents = "events"

// shortening is what became of partitions that lost rows before their day.
type shortening struct {
	right []string
	early []string // of which rows went that the rule still kept
	open  []string // for which no policy is on record that made the rule shorter
}

// shortened holds a removal that was confirmed at an entry, and was made because
// a rule had become shorter, to the policies on record before it: the table's
// period must have been longer once, and the cut-off must be that of the period
// in force.
func (c *checker) shortened(s *shortening, id cell, why audit.Removal, at int) {
	period := c.periodAt(id.table, at)
	switch {
	case period != (policy.Period{}) && why.Cutoff.After(period.Cutoff(c.clockAt(at))):
		s.early = append(s.early, id.String())
	case period == policy.Period{}, why.Cutoff.IsZero(), !c.wasLonger(id.table, period, at):
		s.open = append(s.open, id.String())
	default:
		s.right = append(s.right, id.String())
	}
}

// periodAt is a table's period in force at an entry: by the policies that the
// runs before it and after it obeyed, and the shorter where a policy took the
// other's place between. A policy that was applied is in force with the next
// start only, so that the last on record may not be it. Zero is one that the
// bundle does not tell.
func (c *checker) periodAt(table string, at int) (period policy.Period) {
	next, _ := slices.BinarySearchFunc(c.runs, at, func(r run, at int) int { return r.at - at })
	digests := []string{c.s.Policy.Digest}
	if next < len(c.runs) {
		digests[0] = c.runs[next].Policy
	}
	if next > 0 {
		digests = append(digests, c.runs[next-1].Policy)
	}
	take := func(p policy.Period) {
		if p != (policy.Period{}) && outlasts(period, p) {
			period = p
		}
	}
	for _, applied := range c.facts.Policies {
		if applied.entry > at || !slices.Contains(digests, applied.Digest) {
			continue
		}
		for _, k := range applied.Kept {
			if k.Table == table {
				take(policy.Period{Days: k.Days, Months: k.Months})
			}
		}
	}
	if class, ok := c.class(c.classOf(table)); ok && slices.Contains(digests, c.s.Policy.Digest) {
		take(policy.Period{Days: class.Days, Months: class.Months})
	}
	return period
}

// wasLonger says whether a policy on record before an entry kept a table's rows
// longer than a period.
func (c *checker) wasLonger(table string, period policy.Period, at int) bool {
	return slices.ContainsFunc(c.facts.Policies, func(applied Applied) bool {
		return applied.entry <= at && slices.ContainsFunc(applied.Kept, func(k audit.Kept) bool {
			return k.Table == table && outlasts(policy.Period{Days: k.Days, Months: k.Months}, period)
		})
	})
}

// outlasts says whether a period is longer than another. A zero one lasts.
func outlasts(p, other policy.Period) bool {
	switch {
	case other == policy.Period{}:
		return false
	case p == policy.Period{}:
		return true
	}
	return p.Longest() > other.Longest()
}

func (c *checker) tellShortened(s shortening) {
	if len(s.early) > 0 {
		c.problem("%s lost rows that the rule still kept: the removal says that the rule was made shorter, and goes further than the policy on record does: %s.", capital(count(len(s.early), "partition", "partitions")), verify.Some(s.early))
	}
	if len(s.open) > 0 {
		c.not("That %s had to lose rows before the expiry day: the removal says that the rule was made shorter, and no policy that made it shorter is on record before it in this bundle: %s. A bundle of everything ('lethe audit export') may have it.", count(len(s.open), "partition", "partitions"), verify.Some(s.open))
	}
	if len(s.right) > 0 {
		c.proved("%s lost rows before the expiry day because the rule was made shorter: the policy that did so is on record before, and the cut-off is that of the shorter rule.", capital(count(len(s.right), "partition", "partitions")))
	}
}
