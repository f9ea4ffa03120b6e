package operation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Plan is what it takes to make the running system what a policy says: the one
// in force, and then it is drift, or another.
type Plan struct {
	Digest  string `json:"digest"`  // of the policy planned
	Running string `json:"running"` // of the policy in force
	// Next is the policy that was applied and begins with the next start;
	// empty where it is the one in force.
	Next string `json:"next,omitempty"`
	// Policy is what is different for the people in the data, for analysts and
	// for publishers: what people must be told of first.
	Policy []PolicyChange `json:"policy"`
	// Goes is what a shorter rule would hide at once, and retention remove
	// with its next run.
	Goes []Going `json:"goes"`
	// Waits is why the policy cannot be applied yet.
	Waits []string `json:"waits,omitempty"`
	// Changes are those of tables, streams and the engine's users.
	Changes []Change `json:"changes"`
}

// PolicyChange is one difference between two policies.
type PolicyChange struct {
	Weight   policy.Weight `json:"weight"`
	Where    string        `json:"where"`
	Sentence string        `json:"sentence"`
}

// Going is what a shorter rule ends of one deletion class: rows that could
// still be selected, the partitions they are in, and the keys that seal nothing
// else.
type Going struct {
	Class      string `json:"class"`
	Rows       uint64 `json:"rows"`
	Partitions int    `json:"partitions"`
	Keys       int    `json:"keys"`
}

// Change is one difference between the live system and a policy.
type Change struct {
	Where    string `json:"where"`
	Sentence string `json:"sentence"`
}

// Plan looks at where tables, streams and users differ from the policy in
// force.
func (o *Operation) Plan(ctx context.Context) (Plan, error) {
	plan := o.plan(o.c.Policy)
	var err error
	if plan.Next, err = o.next(); err != nil {
		return plan, err
	}
	if plan.Changes, err = o.tableChanges(ctx, o.c.Policy); err != nil {
		return plan, err
	}
	err = o.c.Drift(ctx)
	if fault.KindOf(err) == fault.Conflict {
		for sentence := range strings.SplitSeq(err.Error(), "; ") {
			plan.Changes = append(plan.Changes, Change{"streams", sentence})
		}
		err = nil
	}
	if err != nil {
		return plan, err
	}
	users, err := o.c.Warehouse.LookUsers(ctx, o.c.Policy)
	for _, d := range users {
		plan.Changes = append(plan.Changes, Change{"user " + d.User, d.Sentence})
	}
	return plan, err
}

// PlanFor says what another policy would change.
func (o *Operation) PlanFor(ctx context.Context, pol *policy.Policy) (Plan, error) {
	plan := o.plan(pol)
	var err error
	if plan.Next, err = o.next(); err != nil {
		return plan, err
	}
	plan.Policy = byWeight(policy.Succeeds(o.c.Policy, pol))
	if plan.Goes, err = o.goes(ctx, pol); err != nil {
		return plan, err
	}
	if plan.Waits, err = waits(ctx, o.c.Policy, pol, o.c.Warehouse.Outlasting); err != nil {
		return plan, err
	}
	if plan.Changes, err = o.tableChanges(ctx, pol); err != nil {
		return plan, err
	}
	plan.Changes = append(plan.Changes, streamChanges(o.c.Policy, pol)...)
	plan.Changes = append(plan.Changes, userChanges(o.c.Policy, pol)...)
	return plan, nil
}

func (o *Operation) plan(pol *policy.Policy) Plan {
	return Plan{
		Digest: pol.Digest(), Running: o.c.Policy.Digest(),
		Policy: []PolicyChange{}, Goes: []Going{}, Changes: []Change{},
	}
}

// next is the digest of the policy that waits for the next start.
func (o *Operation) next() (string, error) {
	if o.c.Next == "" {
		return "", nil
	}
	docs, err := o.c.Next.Load()
	if errors.Is(err, fault.NotFound) || err == nil && docs.Digest() == o.c.Policy.Digest() {
		return "", nil
	}
	return docs.Digest(), err
}

// byWeight puts what people must be told of first.
func byWeight(changes []policy.Change) []PolicyChange {
	out := []PolicyChange{}
	for _, w := range []policy.Weight{policy.Tell, policy.Break, policy.Note} {
		for _, c := range changes {
			if c.Weight == w {
				out = append(out, PolicyChange{c.Weight, c.Where, c.Sentence})
			}
		}
	}
	return out
}

func (o *Operation) tableChanges(ctx context.Context, pol *policy.Policy) ([]Change, error) {
	out := []Change{}
	changes, err := o.c.Warehouse.Plan(ctx, pol)
	for _, c := range changes {
		where := "database"
		if c.Table != "" {
			where = "table " + c.Table
		}
		sentence := c.Sentence
		if c.Rebuild {
			sentence += ": the tables are made anew from the clean log"
		}
		out = append(out, Change{where, sentence})
	}
	return out, err
}

// goes counts what the rules of a policy hide of what can be selected, by the
// class that the rows are kept under.
func (o *Operation) goes(ctx context.Context, pol *policy.Policy) ([]Going, error) {
	classes := map[string]*Going{}
	keys := map[string]bool{} // those counted
	now := time.Now()
	for _, t := range o.c.Policy.Tables() {
		then, ok := pol.Table(t.Name)
		if !ok || then.Class.Lasting || then.Class.Period == t.Class.Period {
			continue
		}
		cuts, err := o.c.Warehouse.Cuts(ctx, then)
		if errors.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, c := range cuts {
			g := classes[t.Class.Name]
			if g == nil {
				g = &Going{Class: t.Class.Name}
				classes[t.Class.Name] = g
			}
			g.Rows += c.Rows
			g.Partitions++
			key := t.Class.KeyName() + "/" + string(c.Day)
			if due := pol.KeyExpiry(t.Class.KeyName(), c.Day); !keys[key] && !now.Before(due.End()) {
				keys[key] = true
				g.Keys++
			}
		}
	}
	out := []Going{}
	for _, name := range slices.Sorted(maps.Keys(classes)) {
		out = append(out, *classes[name])
	}
	return out, nil
}

// waits lists the tables whose rule would become longer while they hold rows
// of a longer rule still, which the one in force cut short. People were told of
// that, so a longer rule applies to later events only, and waits until those
// rows are gone.
func waits(ctx context.Context, old, new *policy.Policy, outlasting func(context.Context, *policy.Table) (uint64, error)) ([]string, error) {
	var out []string
	for _, t := range old.Tables() {
		then, ok := new.Table(t.Name)
		if !ok || t.Class.Lasting || !then.Class.Outlasts(t.Class) {
			continue
		}
		n, err := outlasting(ctx, t)
		if errors.Is(err, fault.NotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("table %s holds %d rows that the rule in force cut short; a longer one can follow when they are gone, in %s at the latest",
				t.Name, n, t.Class.Period))
		}
	}
	return out, nil
}

// streamChanges compares what two policies ask of the streams. The limits that
// an installation sets itself are no matter of policy.
func streamChanges(old, new *policy.Policy) []Change {
	var out []Change
	before := map[string]map[string]any{}
	for _, s := range eventlog.Streams(old, eventlog.Limits{}) {
		before[s.Name] = eventlog.Settings(s)
	}
	for _, s := range eventlog.Streams(new, eventlog.Limits{}) {
		have, want := before[s.Name], eventlog.Settings(s)
		for _, name := range slices.Sorted(maps.Keys(want)) {
			if !reflect.DeepEqual(have[name], want[name]) {
				out = append(out, Change{"stream " + s.Name, fmt.Sprintf("%s becomes %s, from %s", name, shown(name, want[name]), shown(name, have[name]))})
			}
		}
	}
	return out
}

func shown(name string, v any) string {
	if n, ok := v.(float64); ok && name == "max_age" {
		return fmt.Sprintf("%d days", time.Duration(n)/(24*time.Hour))
	}
	return fmt.Sprint(v)
}

// userChanges compares the engine's users of two policies. The engine reads
// them when it starts.
func userChanges(old, new *policy.Policy) []Change {
	var out []Change
	before := map[string]warehouse.User{}
	for _, u := range warehouse.Users(old) {
		before[u.Name] = u
	}
	for _, u := range warehouse.Users(new) {
		have := before[u.Name]
		add := func(format string, args ...any) {
			out = append(out, Change{"user " + u.Name, fmt.Sprintf(format, args...) + "; with the engine's next start"})
		}
		for _, g := range u.Grants {
			if !slices.Contains(have.Grants, g) {
				add("gets %s", g)
			}
		}
		for _, g := range have.Grants {
			if !slices.Contains(u.Grants, g) {
				add("loses %s", g)
			}
		}
		for _, table := range slices.Sorted(maps.Keys(u.Filters)) {
			if was, ok := have.Filters[table]; ok && was != u.Filters[table] {
				add("has another read barrier before %s", table)
			}
		}
	}
	return out
}
