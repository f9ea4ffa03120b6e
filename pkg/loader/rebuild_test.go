package loader_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func (s *site) fingerprint() []warehouse.Fingerprint {
	s.t.Helper()
	f, err := s.admin.Fingerprint(s.t.Context(), s.pol)
	s.must(err)
	return f
}

// spoil changes the live tables behind Lethe's back, so that a rebuild that
// does nothing is found out.
func (s *site) spoil() {
	s.t.Helper()
	b := warehouse.NewBatch(s.table("visit"), "2026-12-21")
	row := s.events(1, noon, false)[0]
	b.Append(warehouse.Source{Tenant: "spoiled"}, rowsOf(s, row))
	s.must(s.rows.Insert(s.t.Context(), b, ""))
}

func (s *site) epoch() string {
	s.t.Helper()
	r, err := s.admin.Rows(s.t.Context(), "SELECT arraySort(groupUniqArray(comment)) FROM system.tables WHERE database = 'lethe' AND name LIKE 'visit%'", nil)
	s.must(err)
	return fmt.Sprint(r.Rows[0][0])
}

func epochs(n int) string {
	return fmt.Sprintf("[lethe table=visit epoch=%d lethe table=visit_lasting epoch=%d]", n, n)
}

func (s *site) staged() bool {
	s.t.Helper()
	// To others than the rebuild user it does not exist.
	r, err := s.staging.Rows(s.t.Context(), "SELECT name FROM system.databases WHERE name = 'lethe_rebuild'", nil)
	s.must(err)
	return len(r.Rows) > 0
}

// TestRebuiltWarehouseIsTheSame: equal counts and row hashes per table and day,
// after late, repeated and redriven events.
func TestRebuiltWarehouseIsTheSame(t *testing.T) {
	s := start(t)
	s.some()
	late := s.events(5, noon.AddDate(0, 0, -9), true)
	s.publish(0, late...) // redriven
	lasting := s.events(4, noon.Truncate(time.Hour), true)
	for i := range lasting {
		lasting[i].table = "visit_lasting"
	}
	s.publish(7, append(late[:2], lasting...)...)
	s.load(s.config())
	s.some()
	s.publish(8, late...)
	s.load(s.config())
	s.CheckWorld()
	want := s.fingerprint()
	s.spoil()
	if cmp.Equal(want, s.fingerprint()) {
		t.Fatal("a row that does not belong there leaves the fingerprint as it was")
	}

	if _, err := loader.RebuildProgress(t.Context(), s.bucket); !errors.Is(err, fault.NotFound) {
		t.Errorf("before the first rebuild: %v", err)
	}
	r := s.run(s.config())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last loader.Progress
	if err := loader.Rebuild(ctx, s.bucket, func(p loader.Progress) {
		if p.Loaded < last.Loaded || p.Loaded > p.Target {
			t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
	}); err != nil {
		t.Fatal(err)
	}
	if last.Phase != loader.Done || last.Loaded != last.Target || last.Rows != len(s.model) {
		t.Errorf("in the end: %+v", last)
	}
	if diff := cmp.Diff(want, s.fingerprint()); diff != "" {
		t.Errorf("the rebuilt warehouse is another (-want +got):\n%s", diff)
	}
	if got := s.epoch(); got != epochs(2) || s.staged() {
		t.Errorf("the tables are %s, and the old ones are there: %v", got, s.staged())
	}

	// The flow goes on, and what came before is still recognized.
	s.some()
	s.publish(9, late...)
	r.until()
	s.must(r.stop())
	s.CheckWorld()
	// So it does in the next process.
	s.some()
	s.publish(9, late...)
	s.load(s.config())
	s.CheckWorld()
}

// TestRebuildThatIsInterruptedGoesOn: whatever call the process dies at.
func TestRebuildThatIsInterruptedGoesOn(t *testing.T) {
	s := start(t)
	s.some()
	s.load(s.config())
	s.CheckWorld()
	want := s.fingerprint()
	epoch := 1
	for _, c := range []struct {
		op     string
		number int
	}{
		{"put", 1}, {"put", 2}, {"put", 4}, {"stage", 1}, {"range", 6}, {"swap", 1}, {"discard", 1},
	} {
		for _, landed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %d landed %v", c.op, c.number, landed), func(t *testing.T) {
				s.t = t
				s.spoil()
				s.must(loader.RequestRebuild(t.Context(), s.bucket))
				if err := loader.RequestRebuild(t.Context(), s.bucket); !errors.Is(err, fault.Conflict) {
					t.Errorf("a second request: %v", err)
				}
				s.crash(&faults{op: c.op, number: c.number, landed: landed})
				// Meanwhile every table answers.
				s.fingerprint()
				r := s.run(s.config())
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				s.must(loader.Rebuild(ctx, s.bucket, nil))
				s.must(r.stop())
				epoch++
				if got := s.epoch(); got != epochs(epoch) {
					epoch++ // it was over when the process died, and was requested anew
					if got != epochs(epoch) {
						t.Fatalf("the tables are %s", got)
					}
				}
				if diff := cmp.Diff(want, s.fingerprint()); diff != "" {
					t.Errorf("the rebuilt warehouse is another (-want +got):\n%s", diff)
				}
				if s.staged() {
					t.Error("the old tables are still there")
				}
			})
		}
	}
}

// TestTablesAnswerWhileTheyAreRebuilt: the old ones, to the last.
func TestTablesAnswerWhileTheyAreRebuilt(t *testing.T) {
	s := start(t)
	s.some()
	s.load(s.config())
	want := s.fingerprint()
	s.must(loader.RequestRebuild(t.Context(), s.bucket))
	// It dies when all is built and nothing exchanged.
	s.crash(&faults{op: "swap", number: 1})
	if !s.staged() || s.epoch() != epochs(1) {
		t.Fatalf("staged %v, tables %s", s.staged(), s.epoch())
	}
	if diff := cmp.Diff(want, s.fingerprint()); diff != "" {
		t.Error(diff)
	}
}

// TestManifestOfAnEarlierEpochIsClosed: after a rebuild a forgotten
// confirmation must not load the last round into tables that hold it under
// other tokens.
func TestManifestOfAnEarlierEpochIsClosed(t *testing.T) {
	s := start(t)
	s.publish(1, s.events(8, noon, false)...)
	cfg := s.config()
	cfg.Clean = amnesiac{cfg.Clean}
	r := s.run(cfg)
	r.eventually("everything is loaded", func() bool { return s.diff() == "" })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.must(loader.Rebuild(ctx, s.bucket, nil))
	s.must(r.stop())
	n := s.load(s.config())
	s.CheckWorld()
	if n["replays"] != 0 {
		t.Error("the round was loaded again")
	}
}

// TestRebuildThatCannotSucceedLeavesTheFlowRunning: a frame went bad after it
// was loaded.
func TestRebuildThatCannotSucceedLeavesTheFlowRunning(t *testing.T) {
	s := start(t)
	s.publish(1, s.events(8, noon, false)...)
	s.load(s.config())
	cfg := s.config()
	cfg.Staging = refusing{cfg.Staging}
	r := s.run(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := loader.Rebuild(ctx, s.bucket, nil); !errors.Is(err, fault.Conflict) {
		t.Errorf("the rebuild ended with %v", err)
	}
	if s.epoch() != epochs(1) || s.staged() {
		t.Errorf("tables %s, staged %v", s.epoch(), s.staged())
	}
	s.publish(2, s.events(3, noon, false)...)
	r.until()
	s.must(r.stop())
	s.CheckWorld()
	// It can be asked for again.
	r = s.run(s.config())
	s.must(loader.Rebuild(ctx, s.bucket, nil))
	s.must(r.stop())
	s.CheckWorld()
	if s.epoch() != epochs(2) {
		t.Errorf("tables %s", s.epoch())
	}
}

// TestRebuildDoesNotWaitForTheLogToRunDry: under a steady stream it never does.
func TestRebuildDoesNotWaitForTheLogToRunDry(t *testing.T) {
	s := start(t)
	for i := range 60 {
		s.publish(uint64(i+1), s.events(1, noon, i%2 == 0)...)
	}
	s.must(loader.RequestRebuild(t.Context(), s.bucket))
	cfg := s.config()
	cfg.MaxRows = 1
	r := s.run(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.must(loader.Rebuild(ctx, s.bucket, nil))
	p, err := loader.RebuildProgress(ctx, s.bucket)
	s.must(err)
	if p.Target >= 60 {
		t.Errorf("it began after sequence %d of 60", p.Target)
	}
	r.until()
	s.must(r.stop())
	s.CheckWorld()
}

// What retention dropped stays dropped while the key of its frames is still
// there (P4); what it has not dropped yet is there as before, because nothing
// on record says that it went.
func TestRebuildLeavesOutWhatWasRemoved(t *testing.T) {
	s := start(t)
	class := s.table("visit").Class
	ended := noon.AddDate(0, 0, -1)
	at := ended
	for !class.ExpiresAt(at).Before(ended.AddDate(0, 0, 1)) {
		at = at.AddDate(0, 0, -1)
	}
	day := event.DayOf(class.ExpiresAt(at))
	if day != event.DayOf(ended) {
		t.Fatalf("rows of %s expire on %s", at, day)
	}
	s.publish(1, s.events(5, at, true)...)
	s.publish(2, s.events(3, noon, true)...)
	s.load(s.config())
	rows := func() (n uint64) {
		for _, f := range s.fingerprint() {
			if f.Day == day {
				n += f.Rows
			}
		}
		return n
	}
	rebuild := func() {
		t.Helper()
		r := s.run(s.config())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.must(loader.Rebuild(ctx, s.bucket, nil))
		s.must(r.stop())
	}
	rebuild()
	if n := rows(); n != 5 {
		t.Fatalf("%d rows of the ended day after a rebuild, want the 5 that nobody removed", n)
	}
	s.must(s.as(warehouse.UserRetention).DropIn(t.Context(), warehouse.DefaultDatabase, "visit", day))
	rebuild()
	if n := rows(); n != 0 {
		t.Errorf("a rebuild brought back %d rows that were removed", n)
	}
	if f := s.fingerprint(); len(f) != 1 || f[0].Rows != 3 {
		t.Errorf("what had not expired is %v", f)
	}
}
