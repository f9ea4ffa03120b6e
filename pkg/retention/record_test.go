package retention_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// mute cannot put anything on record.
type mute struct{}

func (mute) Record(context.Context, audit.Kind, any) error {
	return fault.Unavailable.Errorf("the stream is away")
}

// TestWhatCannotBePutOnRecordIsNotRemoved: P10.
func TestWhatCannotBePutOnRecordIsNotRemoved(t *testing.T) {
	s := start(t)
	f := s.store(s.in(-1), 2)
	recorder := s.config.Recorder
	s.config.Recorder = mute{}
	if err := s.retention().Once(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("the run ended with %v", err)
	}
	if s.there(f.day) != 2 {
		t.Error("rows went that were not announced")
	}
	s.config.Recorder = recorder // the control
	s.run()
	if s.there(f.day) != 0 {
		t.Error("rows stay although they could be announced")
	}
	s.addsUp()
}

// A process that dies anywhere leaves something that the next run makes whole,
// and nothing that is counted twice.
func TestARunThatDiesIsMadeWholeByTheNext(t *testing.T) {
	s := start(t)
	kept := s.store(s.in(29), 4)
	s.run() // a manifest that the next one continues
	for i, point := range []string{
		"clock", "looked", "announced", "removed", "confirmed", "rows", "key_destroyed", "clean_purged",
		"inventory", "manifest_recorded", "run",
	} {
		old := s.store(s.in(0), 3)
		s.store(s.in(0), 2)
		s.now = s.now.AddDate(0, 0, 1)
		s.crash(point)
		s.store(kept.day, 1)
		s.run()
		if s.there(old.day) != 0 || s.opens(old) || s.frames(old.day) != 0 {
			t.Errorf("after a crash at %s something that is due stays", point)
		}
		if !s.opens(kept) || s.there(kept.day) != uint64(4+i+1) {
			t.Errorf("after a crash at %s something that is not due is gone", point)
		}
		if wrong := s.wrong(); len(wrong) > 0 {
			t.Fatalf("after a crash at %s: %s", point, wrong)
		}
		if n := len(s.recorded(audit.KindManifest)); n < i+2 {
			t.Errorf("after a crash at %s %d manifests are on record", point, n)
		}
	}
}

// TestRowsThatCameOrWentPastTheRecordAreFound is what a manifest is for.
func TestRowsThatCameOrWentPastTheRecordAreFound(t *testing.T) {
	s := start(t)
	day, other := s.in(9), s.in(20)
	f := s.store(day, 5)
	s.run()
	s.addsUp() // the control
	for _, c := range []struct {
		name        string
		do          func()
		unexplained float64
	}{
		{"rows come without a frame", func() { s.rows(day, s.now.AddDate(0, 0, -21), f.seq, 2) }, 2},
		{"rows go without a removal", func() { s.removeByHand(day) }, 7},
		{"rows move to a later partition", func() {
			s.rows(day, s.now.AddDate(0, 0, -21), f.seq, 3)
			s.now = s.now.AddDate(0, 0, 1)
			must(t, s.retention().Once(t.Context()))
			s.rows(other, s.now.AddDate(0, 0, -21), f.seq, 3)
			must(t, s.own.DropIn(t.Context(), "lethe", s.table.Name, day))
		}, 6},
	} {
		before := len(s.wrong())
		c.do()
		s.now = s.now.AddDate(0, 0, 1)
		r := s.retention()
		must(t, r.Once(t.Context()))
		if len(s.wrong()) == before {
			t.Errorf("%s: everything adds up", c.name)
		}
		if n := r.Numbers()["unexplained_rows"]; n != c.unexplained {
			t.Errorf("%s: %v rows are unexplained, want %v", c.name, n, c.unexplained)
		}
	}
	// What was found once is not found again.
	before := len(s.wrong())
	s.now = s.now.AddDate(0, 0, 1)
	r := s.retention()
	must(t, r.Once(t.Context()))
	if n := r.Numbers()["unexplained_rows"]; n != 0 || len(s.wrong()) != before {
		t.Errorf("the day after, %v rows are unexplained", n)
	}
}

func TestALostInventoryBeginsAChainAnew(t *testing.T) {
	s := start(t)
	s.store(s.in(9), 5)
	s.run()
	b := eventlog.OpenBucket(s.all, eventlog.RetentionBucket)
	names, err := b.Names(t.Context())
	must(t, err)
	lost := 0
	for _, name := range names {
		if _, ok := audit.InventoryDigest(name); ok {
			lost++
			must(t, b.Delete(t.Context(), name))
		}
	}
	if lost != 1 {
		t.Fatalf("there are %d inventories, want the last alone", lost)
	}
	s.run()
	var m audit.Manifest
	entries := s.recorded(audit.KindManifest)
	must(t, json.Unmarshal(entries[len(entries)-1].Detail, &m))
	if m.Before != "" || m.Since != 0 || m.Rows != 5 {
		t.Errorf("the manifest is %+v", m)
	}
	s.addsUp()
}
