package verify

import (
	"encoding/json"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// removals are those on record that are not judged yet. Whoever has the powers
// of retention can drop rows before their time, and put on record that they had
// expired: then the manifests add up. So a removal is held to Lethe's clock, as
// the first run after it tells it, and to the rule. P4 to P8, P18.
type removals struct {
	*look
	n       int
	waiting []removal
	policy  string // that the last run obeyed
}

type removal struct {
	audit.Removal
	at     time.Time
	policy string // that the run before it obeyed
}

// take takes the next entry.
func (r *removals) take(e audit.Entry) {
	switch e.Kind {
	case audit.KindRemoval:
		announced := removal{at: e.At, policy: r.policy}
		if json.Unmarshal(e.Detail, &announced.Removal) == nil {
			r.waiting, r.n = append(r.waiting, announced), r.n+1
		}
	case audit.KindRun:
		var run audit.Run
		if json.Unmarshal(e.Detail, &run) == nil {
			r.judge(run.Clock, run.Policy)
			r.policy = run.Policy
		}
	}
}

// judge judges what waits by a clock and the policy of the run that it is of.
func (r *removals) judge(clock time.Time, policy string) {
	for _, a := range r.waiting {
		for _, p := range a.Partitions {
			t, known := r.c.Policy.Table(p.Table)
			switch {
			case a.Reason == audit.ReasonExpired && p.Day.End().After(clock):
				r.early(a, p.Table, "its rows of expiry day %s were removed as expired, and the day had not ended", p.Day)
			case a.Reason == audit.ReasonShortened && known && !t.Class.Lasting && a.policy == policy && policy == r.c.Policy.Digest() &&
				a.Cutoff.After(t.Class.Period.Cutoff(clock)):
				r.early(a, p.Table, "its rows of expiry day %s that occurred before %s were removed, and the rule keeps them for %s", p.Day, event.DayOf(a.Cutoff), t.Class.Period)
			}
		}
	}
	r.waiting = nil
}

func (r *removals) early(a removal, table, format string, args ...any) {
	r.since(a.at, append([]string{"P10"}, flow...), tablePlace(warehouse.DefaultDatabase, table), "By what is on record of "+instant(a.at)+", "+format+": it was not retention that removed them, or not by its rules", args...)
}
