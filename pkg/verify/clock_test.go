package verify_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// P4 to P8: a row that somebody puts into Lethe's clock is found, by retention's
// word and without it; nothing is due by it; and what the sentence says undoes
// it. The control is that everything holds before and after.
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
	var undo string
	for name, r := range map[string]verify.Report{"by its word": s.verify(), "by the record": s.verifyWith(silent)} {
		expect(t, r, "P4", "clock", words)
		expect(t, r, "P8", "clock", words)
		all := sentences(r)
		if slices.ContainsFunc(all, func(f string) bool { return strings.Contains(f, "should be gone") }) || r.Clock.Sub(s.clock()) > time.Hour {
			t.Errorf("%s: verify goes by that clock, %v: %q", name, r.Clock, all)
		}
		if h := rule(t, r, "access", "table http_access"); h.Found != 4 {
			t.Errorf("%s: %d rows are left", name, h.Found)
		}
		for _, f := range all {
			if statement := regexp.MustCompile(`ALTER TABLE[^)]*'`).FindString(f); statement != "" {
				undo = statement
			}
		}
	}
	if undo == "" {
		t.Fatal("no finding says how to undo it")
	}
	s.sql(undo + " SETTINGS mutations_sync = 2")
	s.run()
	s.healthy("when the row is deleted")
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
