package verify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// keeper is a hold that an officer adds, and that is copied: it is on record
// before it is on the list.
func (s *site) keeper(name string) hold.Hold {
	s.t.Helper()
	h := hold.Hold{
		ID: hold.NewID(), Name: name, Reason: "an inquiry by the authority", By: "officer", Added: s.clock(),
		Deadline: event.DayOf(s.clock().AddDate(1, 0, 0)), Tenant: "acme", Tables: []string{"http_access"}, State: hold.Active,
	}
	must(s.t, s.record.Record(s.t.Context(), audit.KindHold, audit.Hold{Verb: "add", ID: h.ID, Name: name, Reason: h.Reason, Deadline: h.Deadline, Tables: h.Tables}))
	must(s.t, s.holds.Add(s.t.Context(), h))
	s.settle()
	return h
}

// rewrite changes the record of a hold in the bucket, as whoever may write there.
func (s *site) rewrite(h hold.Hold, change func(*hold.Hold)) {
	s.t.Helper()
	bucket := eventlog.OpenBucket(s.all, eventlog.HoldBucket)
	e, err := bucket.Get(s.t.Context(), "hold/"+h.ID)
	must(s.t, err)
	must(s.t, json.Unmarshal(e.Value, &h))
	change(&h)
	h.Name, h.Reason = "", ""
	value, err := json.Marshal(h)
	must(s.t, err)
	_, err = bucket.Update(s.t.Context(), "hold/"+h.ID, value, e.Revision)
	must(s.t, err)
}

// P10, P18: who has the powers of retention can let a legal hold go, or make
// one: that is not on record. The control is that each holds before, and when it
// is undone.
func TestALegalHoldThatSomebodyChangesIsFound(t *testing.T) {
	s := start(t)
	s.run()
	h := s.keeper("case-7")
	s.pass(time.Hour)
	s.run()
	s.healthy("with a hold")
	undo := func(s *site) {
		s.rewrite(h, func(to *hold.Hold) { to.State, to.Deadline, to.Rows = h.State, h.Deadline, h.Rows })
	}
	bucket := eventlog.OpenBucket(s.all, eventlog.HoldBucket)
	var stranger hold.Hold
	var taken []byte
	undergo(t, s, []deed{
		{
			"it is said to have ended", func(s *site) { s.rewrite(h, func(h *hold.Hold) { h.State = hold.Ended }) },
			"P18", "legal hold case-7", "is ended in the list, and nothing on record released it", undo,
		},
		{
			"it is said to be released", func(s *site) { s.rewrite(h, func(h *hold.Hold) { h.State = hold.Released }) },
			"P10", "legal hold case-7", "is released in the list, and nothing on record released it", undo,
		},
		{
			"its deadline is brought forward", func(s *site) {
				s.rewrite(h, func(h *hold.Hold) { h.Deadline = event.DayOf(s.clock().AddDate(0, 0, 1)) })
			},
			"P18", "legal hold case-7", "and " + string(h.Deadline) + " is on record: somebody changed it", undo,
		},
		{
			"it is taken off the list", func(s *site) {
				e, err := bucket.Get(t.Context(), "hold/"+h.ID)
				must(t, err)
				taken = e.Value
				must(t, bucket.Delete(t.Context(), "hold/"+h.ID))
			},
			"P18", "legal hold case-7", "nothing on record released it, and it is gone from the list", func(s *site) {
				_, err := bucket.Update(t.Context(), "hold/"+h.ID, taken, 0)
				must(t, err)
			},
		},
		{
			"one is put on the list", func(s *site) {
				stranger = h
				stranger.ID, stranger.Name, stranger.Added = hold.NewID(), "case-8", s.clock().Add(-30*time.Minute)
				must(t, s.holds.Add(t.Context(), stranger))
			},
			"P21", "legal hold case-8", "is not on record: no officer added it", func(s *site) {
				must(t, bucket.Delete(t.Context(), "hold/"+stranger.ID))
			},
		},
	})
	// The count of what it holds is one on record, too.
	must(t, s.record.Record(t.Context(), audit.KindHold, audit.Hold{Verb: "copied", ID: h.ID, Deadline: h.Deadline, Rows: 5, Frames: 1}))
	s.settle()
	expect(t, s.verify(), "P18", "legal hold case-7", "counts 0 rows and 0 frames in the list, and 5 rows and 1 frame are on record as copied")

	// The control: an officer releases it.
	must(t, s.record.Record(t.Context(), audit.KindHold, audit.Hold{Verb: "release", ID: h.ID, Deadline: h.Deadline}))
	_, err := s.holds.Release(t.Context(), h.ID)
	must(t, err)
	s.run()
	s.healthy("when it is released")
}

// P4, P8, P10, P18: rows that go before their time are found although what is on
// record of it adds up. The control is a removal that was due.
func TestARemovalBeforeItsTimeIsFound(t *testing.T) {
	s := start(t)
	expiring := s.store("http_access", s.clock().AddDate(0, 0, -30).Add(time.Minute), 3)
	kept := s.store("login", s.clock().AddDate(0, -1, 0), 2)
	s.run()
	s.healthy("at first")
	s.pass(expiring.End().Add(time.Hour).Sub(s.clock()))
	s.run()
	s.healthy("when what had expired is removed")
	if n := len(s.removed()); n != 1 {
		t.Fatalf("%d removals are on record", n)
	}

	as := s.record.As("retention")
	forge := func(r audit.Removal, statement string) {
		t.Helper()
		must(t, as.Record(t.Context(), audit.KindRemoval, r))
		s.sql(statement + " SETTINGS mutations_sync = 2")
		must(t, as.Record(t.Context(), audit.KindRemoved, audit.Removed{Removal: r.ID, Partitions: r.Partitions}))
		s.pass(time.Hour)
		s.run()
	}
	last := s.manifest()
	forge(audit.Removal{ID: "a", Since: last.Floor, Floor: last.Floor, Reason: audit.ReasonExpired, Partitions: []audit.Partition{{Table: "login", Day: kept, Rows: 1}}},
		"ALTER TABLE lethe.login DELETE WHERE event_id IN (SELECT event_id FROM lethe.login LIMIT 1)")
	r := s.verify()
	expect(t, r, "P18", "table login", "its rows of expiry day "+string(kept)+" were removed as expired, and the day had not ended")
	for _, f := range sentences(r) {
		if !strings.Contains(f, "the day had not ended") {
			t.Errorf("what was forged does not add up, so it shows nothing: %s", f)
		}
	}
	cutoff := s.clock()
	last = s.manifest()
	forge(audit.Removal{ID: "b", Since: last.Floor, Floor: last.Floor, Reason: audit.ReasonShortened, Cutoff: cutoff, Partitions: []audit.Partition{{Table: "login", Day: kept, Rows: 1}}},
		"ALTER TABLE lethe.login DELETE WHERE 1")
	expect(t, s.verify(), "P10", "table login", "that occurred before "+string(event.DayOf(cutoff))+" were removed, and the rule keeps them for 12 months")
}

// removed are the removals on record.
func (s *site) removed() (out []audit.Removal) {
	s.t.Helper()
	for _, e := range s.entriesOf(audit.KindRemoval) {
		var r audit.Removal
		must(s.t, json.Unmarshal(e.Detail, &r))
		out = append(out, r)
	}
	return out
}

// manifest is the last one on record.
func (s *site) manifest() (m audit.Manifest) {
	s.t.Helper()
	all := s.entriesOf(audit.KindManifest)
	must(s.t, json.Unmarshal(all[len(all)-1].Detail, &m))
	return m
}

func (s *site) entriesOf(kind audit.Kind) (out []audit.Entry) {
	s.t.Helper()
	for _, tree := range s.log.Trees() {
		for b, err := range s.log.Entries(s.t.Context(), tree.Year, 0, tree.Size) {
			must(s.t, err)
			e, err := audit.ParseEntry(b)
			must(s.t, err)
			if e.Kind == kind {
				out = append(out, e)
			}
		}
	}
	return out
}

// P4, P18: rows that somebody hid and did not remove, and frames that somebody
// purged, are found.
func TestRowsThatAreHiddenAndFramesThatArePurgedAreFound(t *testing.T) {
	s := start(t)
	soon := s.store("http_access", s.clock().AddDate(0, 0, -25), 3)
	s.store("login", s.clock().AddDate(0, -1, 0), 2)
	s.run()
	s.healthy("at first")
	s.sql("DELETE FROM lethe.http_access WHERE rowNumberInAllBlocks() = 0")
	expect(t, s.verify(), "P4", "table http_access", "has 1 part with rows that somebody hid and did not remove (DELETE FROM)")
	s.sql("ALTER TABLE lethe.http_access APPLY DELETED MASK SETTINGS mutations_sync = 2")
	for _, f := range sentences(s.verify()) {
		if strings.Contains(f, "hid and did not remove") {
			t.Errorf("when they are removed: %s", f)
		}
	}
	_, err := eventlog.NewLog(s.all).Purge(t.Context(), eventlog.CleanStream, event.CleanTopic("acme", "web", "http_access", soon, 0), 0)
	must(t, err)
	r := s.verify()
	expect(t, r, "P18", "stream "+eventlog.CleanStream, "has no frame of ")
	expect(t, r, "P18", "stream "+eventlog.CleanStream, "rows of table http_access of the expiry days "+string(soon))
	for _, f := range sentences(r) {
		if strings.Contains(f, "has no frame of") && strings.Contains(f, "login") {
			t.Errorf("frames that are there are missed: %s", f)
		}
	}
}

// P4 to P8: a wall clock that is set back, and stays there, is no longer a note
// when Lethe's clock has stood still for a day.
func TestAClockThatStandsStillIsFound(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock().AddDate(0, 0, -5), 4)
	s.run()
	v := verify.New(s.config)
	look := func() verify.Report {
		t.Helper()
		r, err := v.Verify(t.Context())
		must(t, err)
		return r
	}
	s.pass(-40 * day)
	s.run()
	said := func(r verify.Report) bool {
		return strings.Contains(strings.Join(sentences(r), "\n"), "Lethe's clock has stood still")
	}
	if r := look(); said(r) {
		t.Errorf("at once: %v", sentences(r))
	}
	for range 13 {
		s.pass(2 * time.Hour)
		s.run()
	}
	expect(t, look(), "P4", "clock", "Lethe's clock has stood still for 26 hours")
	s.pass(40 * day)
	s.run()
	if r := look(); said(r) {
		t.Errorf("when it is set right: %v", sentences(r))
	}
}
