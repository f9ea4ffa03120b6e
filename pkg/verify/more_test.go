package verify_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// A legal hold is shown where it covers something, and its copies are held to
// its own deadline.
func TestCopiesUnderALegalHoldAreHeldToItsDeadline(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -1), 2)
	s.store("login", s.clock().AddDate(0, 0, -1), 1)
	until := event.DayOf(s.clock().AddDate(0, 0, 4))
	h := hold.Hold{
		ID: hold.NewID(), Name: "case-7", Reason: "an inquiry by the authority", By: "officer", Added: s.clock(), Deadline: until,
		Tenant: "acme", Tables: []string{"http_access"}, State: hold.Active,
	}
	must(t, s.holds.Add(t.Context(), h))
	s.run()
	r := s.healthy("with a hold")
	if got := rule(t, r, "access", "table http_access").Holds; !slices.Equal(got, []string{"case-7"}) {
		t.Errorf("the table under hold shows the holds %v", got)
	}
	if got := rule(t, r, "login", "table login").Holds; got != nil {
		t.Errorf("a table that is not under hold shows the holds %v", got)
	}
	if got := rule(t, r, "hold case-7", "tables of lethe_hold"); got.Found != 0 || got.Period != "until "+string(until) {
		t.Errorf("the hold's own rule is %+v", got)
	}

	copied := func(id string) {
		s.sql(fmt.Sprintf("INSERT INTO lethe_hold.http_access SELECT *, '%s' AS hold, toDate('%s') AS hold_until FROM lethe.http_access", id, until))
	}
	stranger := hold.NewID()
	copied(stranger)
	expect(t, s.verify(), "P21", "tables of lethe_hold", "has 2 rows for the hold "+stranger+", of which there is no record")
	s.sql("ALTER TABLE lethe_hold.http_access DELETE WHERE hold = '" + stranger + "' SETTINGS mutations_sync = 2")
	copied(h.ID)
	if got := rule(t, s.healthy("with the copies of a hold"), "hold case-7", "tables of lethe_hold"); got.Found != 2 || got.Hidden != 0 {
		t.Errorf("the hold's own rule is %+v", got)
	}

	// With retention off, the copies outlive the hold.
	s.pass(6 * day)
	r = s.verify()
	expect(t, r, "P5", "tables of lethe_hold", "still has 2 rows of the legal hold case-7, which ended on "+string(until))
	if got := rule(t, r, "hold case-7", "tables of lethe_hold"); got.Overdue != 2 {
		t.Errorf("the hold's own rule is %+v", got)
	}
	s.run()
	s.healthy("when retention has ended the hold")
}

// P4, P15: who may do what in the warehouse is what the policy says.
func TestUsersOfTheWarehouseAreHeldToThePolicy(t *testing.T) {
	s := startAs(t, func(u *embedded.EngineUser) {
		switch u.Name {
		case "cells":
			u.Filters = maps.Clone(u.Filters)
			delete(u.Filters, "lethe.http_access")
			u.Filters["lethe.login"] = "1"
		case "analyst":
			u.Settings = maps.Clone(u.Settings)
			u.Settings["max_execution_time"] = "600"
			u.Grants = append(slices.Clone(u.Grants), "GRANT SELECT ON lethe.user_action")
		case "loader":
			u.Grants = append(slices.Clone(u.Grants), "GRANT SELECT ON lethe.login")
		case "hold":
			u.Grants = slices.DeleteFunc(slices.Clone(u.Grants), func(g string) bool { return strings.Contains(g, "clock") })
		}
	})
	s.run()
	r := s.verifyWith(func(c *verify.Config) { c.KnownUsers = nil })
	expect(t, r, "P15", "user "+saboteur, "user "+saboteur+" is none of Lethe's and has 1 grant")
	expect(t, r, "P4", "user cells", "sees table http_access without a read barrier: rows past their rule can be selected")
	expect(t, r, "P8", "user cells", "sees table login through another filter than the read barrier")
	expect(t, r, "P15", "user analyst", `has the setting max_execution_time at "600" and should have it at "60"`)
	expect(t, r, "P19", "user analyst", "has the grant SELECT ON lethe.user_action beyond its own")
	expect(t, r, "P15", "user loader", "has the grant SELECT ON lethe.login beyond its own")
	expect(t, r, "P21", "user hold", "lacks the grant SELECT ON lethe.clock")
	if all := sentences(r); len(all) != 7 {
		t.Errorf("verify says more than what was done:\n%s", strings.Join(all, "\n"))
	}
}

// P18: frames that nobody treats are said, and those that nobody treats for a
// week are a broken promise.
func TestFramesThatWaitAreSaid(t *testing.T) {
	s := start(t)
	s.run()
	waits := func(d time.Duration) verify.Report {
		return s.verifyWith(func(c *verify.Config) {
			c.Streams = waiting(c.Streams, eventlog.RawStream, s.clock().Add(-d-time.Minute), s.clock().Add(-d-time.Minute))
		})
	}
	if r := waits(10 * time.Minute); !r.Holds || len(r.Notes) != 0 {
		t.Errorf("ten minutes: %v, %v", sentences(r), r.Notes)
	}
	r := waits(3 * time.Hour)
	if !r.Holds || len(r.Notes) != 1 || r.Notes[0].Sentence != "has 1 frame waiting for the pseudonymizer, the first for 3 hours" {
		t.Errorf("three hours: %v, %v", sentences(r), r.Notes)
	}
	expect(t, waits(8*day), "P18", "stream LETHE_RAW", "has 1 frame waiting for the pseudonymizer, the first for 8 days; at the end of their rule they are destroyed unread")

	// A reader that had nothing to do for long is not late.
	r = s.verifyWith(func(c *verify.Config) {
		c.Streams = waiting(c.Streams, eventlog.RawStream, s.clock().Add(-20*day), s.clock())
	})
	if !r.Holds {
		t.Errorf("a frame that came this moment after a quiet month: %v", sentences(r))
	}
	// The first frame of the raw log is past the cap.
	r = s.verifyWith(func(c *verify.Config) {
		c.Streams = waiting(c.Streams, eventlog.QuarantineStream, s.clock().Add(-33*day), s.clock())
	})
	expect(t, r, "P1", "stream LETHE_QUARANTINE", "its first frame came on "+s.clock().Add(-33*day).Format("2006-01-02"))
}
