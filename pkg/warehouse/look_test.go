package warehouse_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// rows are one row for each pair of instants: when it occurred and when it says
// that it expires. It lies in the partition of a day.
func rows(s *site, w *warehouse.Warehouse, all []dated) {
	s.t.Helper()
	for some := range slices.Chunk(all, 90) { // partitions of one insert
		var values []string
		for _, r := range some {
			values = append(values, fmt.Sprintf("('acme', 'shop', '%020d', fromUnixTimestamp64Milli(toInt64(%d), 'UTC'), fromUnixTimestamp64Milli(toInt64(%d), 'UTC'), '%s', %d)",
				r.occurred.UnixNano()%1e15, r.occurred.UnixMilli(), r.expires.UnixMilli(), r.day, r.seq))
		}
		if err := exec(s.t.Context(), w, "INSERT INTO "+w.Table("visit")+" (tenant, service, event_id, occurred_at, expires_at, expiry_day, log_seq) VALUES "+strings.Join(values, ", ")); err != nil {
			s.t.Fatal(err)
		}
	}
}

type dated struct {
	occurred, expires time.Time
	day               event.Day
	seq               uint64
}

// P4 to P8: what the engine says of the dates of rows is what the policy's own
// arithmetic says, over month ends and leap days, under the rule that rows came
// with and a shorter one.
func TestTheDatesOfRowsAreJudgedAsThePolicyJudgesThem(t *testing.T) {
	s := start(t)
	w := s.applied()
	came := policy.Period{Months: 2} // the rule that rows came under
	now := time.Date(2028, 3, 31, 12, 0, 0, 0, time.UTC)
	removed := event.DayOf(now.Add(-24 * time.Hour)).Start()
	var all []dated
	for o := time.Date(2027, 12, 28, 0, 0, 1, 0, time.UTC); o.Before(now); o = o.Add(31 * time.Hour) {
		e := came.After(o)
		all = append(all, dated{o, e, event.DayOf(e), uint64(len(all) + 1)})
	}
	// One in another partition than its own, and one later than any rule.
	odd := now.AddDate(0, 0, -1)
	moved := dated{odd, came.After(odd), "2028-12-31", 500}
	late := dated{odd, came.After(odd).AddDate(0, 0, 2), event.DayOf(came.After(odd).AddDate(0, 0, 2)), 501}
	all = append(all, moved, late)
	rows(s, w, all)

	look := s.as(warehouse.UserVerify)
	shortened := now.Add(-36 * time.Hour) // and the grace is not over
	for _, c := range []struct {
		period policy.Period
		since  time.Time
	}{{came, time.Time{}}, {policy.Period{Months: 1}, time.Time{}}, {policy.Period{Days: 30}, time.Time{}},
		{policy.Period{Days: 30}, shortened}, {policy.Period{Months: 12}, shortened}} {
		period := c.period
		rule := warehouse.Rule{Period: period, Longest: came, Since: c.since, Now: now, Removed: removed, Ahead: now.Add(-50 * time.Hour)}
		want := map[event.Day]*warehouse.Day{}
		for _, r := range all {
			due, hidden := r.expires, r.expires
			if ruled := period.After(r.occurred); ruled.Before(r.expires) {
				hidden = ruled
				if due = ruled; due.Before(c.since) {
					due = c.since
				}
				if r.expires.Before(due) {
					due = r.expires
				}
			}
			d := want[r.day]
			if d == nil {
				d = &warehouse.Day{Day: r.day, First: r.occurred, Last: r.occurred, Due: due}
				want[r.day] = d
			}
			d.Rows++
			if r.occurred.Before(d.First) {
				d.First = r.occurred
			}
			if r.occurred.After(d.Last) {
				d.Last = r.occurred
			}
			if due.Before(d.Due) {
				d.Due = due
			}
			if !hidden.After(now) {
				d.Hidden++
			}
			if r.occurred.After(rule.Ahead) {
				d.Future++
			}
			if due.Before(removed) {
				d.Overdue++
			}
			if event.DayOf(r.expires) != r.day {
				d.Misplaced++
			}
			if r.expires.After(came.After(r.occurred).AddDate(0, 0, 1)) {
				d.Late++
			}
			d.Seq = max(d.Seq, r.seq)
		}
		got, err := look.LookRows(t.Context(), warehouse.DefaultDatabase, "visit", rule)
		if err != nil {
			t.Fatal(err)
		}
		found := map[event.Day]*warehouse.Day{}
		for i := range got {
			found[got[i].Day] = &got[i]
		}
		if diff := cmp.Diff(want, found); diff != "" {
			t.Errorf("under a rule of %s since %v:\n%s", period, c.since, diff)
		}
	}

	got, err := look.LookRows(t.Context(), warehouse.DefaultDatabase, "visit", warehouse.Rule{Lasting: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range got {
		if d.Hidden+d.Overdue+d.Late != 0 || d.Misplaced != d.Rows {
			t.Errorf("as rows that stay, those of %s are %+v", d.Day, d)
		}
	}
	if _, err := look.LookRows(t.Context(), warehouse.DefaultDatabase, "clock", warehouse.Rule{Lasting: true}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a table without the columns was looked at: %v", err)
	}
}

// P21: the one who looks sees everything, and changes nothing.
func TestWhoeverVerifiesSeesEveryTableAndChangesNone(t *testing.T) {
	s := start(t)
	s.applied()
	look := s.as(warehouse.UserVerify)
	all, err := look.Look(t.Context(), s.pol)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, found := range all {
		if !found.Listed {
			t.Errorf("%s.%s is not listed", found.Database, found.Table)
		}
		names = append(names, found.Database+"."+found.Table)
	}
	want := []string{"lethe.clock", "stats.cells"}
	for _, m := range s.pol.Metrics() {
		want = append(want, "stats."+m.Name)
	}
	for _, table := range s.pol.Tables() {
		want = append(want, "lethe."+table.Name)
		if !table.Class.Lasting {
			want = append(want, "lethe_hold."+table.Name)
		}
	}
	slices.Sort(want)
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	deviations, err := look.LookUsers(t.Context(), s.pol, lethetest.Overseer)
	if err != nil || len(deviations) > 0 {
		t.Errorf("the users as they should be deviate: %v, %v", deviations, err)
	}
	for _, sql := range []string{
		"DROP TABLE lethe.visit", "TRUNCATE TABLE lethe.visit", "ALTER TABLE lethe.visit DELETE WHERE 1",
		"INSERT INTO lethe.visit (tenant) VALUES ('acme')", "CREATE TABLE lethe.mine (a Int8) ENGINE = Memory",
	} {
		if err := exec(t.Context(), look, sql); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v, want denied", sql, err)
		}
	}
}
