package verify_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// P4 to P8: a row that somebody puts into Lethe's clock is found, by retention's
// word and without it; nothing is due by it; and an operator undoes it. The
// control is that everything holds before and after.
func TestAClockSetByHandIsFoundAndUndone(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -5), 4)
	s.run()
	s.healthy("at first")

	at := s.clock().AddDate(1, 0, 0).Format(time.DateTime)
	s.sql("INSERT INTO lethe.clock (at) VALUES ('" + at + "')")
	s.run()
	const words = "ahead of the wall clock, and it was not retention that set it there"
	silent := func(c *verify.Config) {
		c.Stages = func(context.Context) ([]eventlog.StageStatus, error) { return nil, nil }
	}
	for name, r := range map[string]verify.Report{"by its word": s.verify(), "by the record": s.verifyWith(silent)} {
		expect(t, r, "P4", "clock", words)
		expect(t, r, "P8", "clock", words)
		expect(t, r, "P4", "clock", "lethe clock reject")
		all := sentences(r)
		if slices.ContainsFunc(all, func(f string) bool { return strings.Contains(f, "should be gone") }) || r.Clock.Sub(s.clock()) > time.Hour {
			t.Errorf("%s: verify goes by that clock, %v: %q", name, r.Clock, all)
		}
		if h := rule(t, r, "access", "table http_access"); h.Found != 4 {
			t.Errorf("%s: %d rows are left", name, h.Found)
		}
	}
	must(t, s.retention.RejectClock(t.Context()))
	s.settle()
	for _, r := range []verify.Report{s.healthy("when it is rejected"), s.verifyWith(silent)} {
		if slices.ContainsFunc(sentences(r), func(f string) bool { return strings.Contains(f, words) }) {
			t.Errorf("when it is rejected: %v", sentences(r))
		}
	}
	s.run()
	r := s.healthy("when retention has run again")
	if !slices.ContainsFunc(r.Notes, func(n verify.Finding) bool { return strings.Contains(n.Sentence, "an operator rejected") }) {
		t.Errorf("nobody says that it was rejected: %v", r.Notes)
	}
}

// P4, P10: while parts are merged all the time, at no moment does the table say
// less than what retention went by.
func TestARejectedClockNeverGoesBehindLethesOwn(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -5), 4)
	s.run()
	own, err := s.admin.Clock(t.Context())
	must(t, err)
	stop, seen := make(chan struct{}), make(chan time.Time)
	go func() {
		least := own
		for {
			select {
			case <-stop:
				seen <- least
				return
			default:
			}
			_, _ = s.trySQL("OPTIMIZE TABLE lethe.clock FINAL") // dropping a part ends it
			for range 5 {
				if at, err := s.admin.Clock(t.Context()); err == nil && at.Before(least) {
					least = at
				}
			}
		}
	}()
	for i := range 10 {
		at := s.clock().AddDate(1, 0, i).Format(time.DateTime)
		s.sql("INSERT INTO lethe.clock (at) VALUES ('"+at+"')", "INSERT INTO lethe.clock (at) VALUES ('"+at+"')")
		if err := s.retention.RejectClock(t.Context()); err != nil {
			t.Error(err)
		}
		if stands, err := s.admin.Clock(t.Context()); err != nil || stands.After(s.clock()) {
			t.Errorf("rejected, the clock stands at %v: %v", stands, err)
		}
		s.pass(time.Minute)
	}
	close(stop)
	if least := <-seen; least.Before(own) {
		t.Errorf("the clock stood at %v for a moment, and retention had gone by %v", least, own)
	}
}

// P4 to P8: whoever takes Lethe's clock back is found for a week, although
// retention sets it right. The control is that everything holds before.
func TestAClockTakenBackIsFound(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -5), 4)
	s.run()
	s.healthy("at first")
	s.sql("TRUNCATE TABLE lethe.clock")
	s.run()
	expect(t, s.verify(), "P4", "clock", "somebody took rows out of lethe.clock")
	if at, err := s.admin.Clock(t.Context()); err != nil || at.Before(s.clock().Add(-time.Hour)) {
		t.Errorf("retention did not set it right: %v, %v", at, err)
	}
}

// P18: rows of a frame that never was are no manifest's, and are found.
func TestRowsOfNoFrameAreFound(t *testing.T) {
	s := start(t)
	s.store("login", s.clock(), 2)
	s.run()
	s.healthy("at first")
	s.sql("INSERT INTO lethe.login SELECT * REPLACE(4000000000 AS log_seq) FROM lethe.login")
	expect(t, s.verify(), "P18", "table login", "with sequence 4000000000 of the clean log")
}
