package loader_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// arrived is what the loader's books say.
func (s *site) arrived() loader.Arrived {
	s.t.Helper()
	c, err := s.frames.Consumer(s.t.Context(), eventlog.CleanStream, eventlog.CleanConsumer)
	s.must(err)
	a, err := loader.OpenBooks(s.bucket).Arrived(s.t.Context(), c.Floor)
	s.must(err)
	return a
}

// counted is how many rows the tables hold of the frames behind a sequence and
// through another.
func (s *site) counted(since, through uint64) (out []warehouse.Partition) {
	s.t.Helper()
	for _, table := range s.pol.Tables() {
		all, err := s.as(warehouse.UserRetention).Count(s.t.Context(), table.Name, warehouse.Days{}, since, through)
		s.must(err)
		for _, n := range all {
			if n.New > 0 {
				out = append(out, warehouse.Partition{Database: warehouse.DefaultDatabase, Table: table.Name, Day: n.Day, Rows: n.New})
			}
		}
	}
	return out
}

// checkBooks holds what the loader says that it stored to what is stored.
func (s *site) checkBooks() {
	s.t.Helper()
	a := s.arrived()
	if diff := cmp.Diff(s.counted(a.Since, a.Through), a.Rows); diff != "" {
		s.t.Fatalf("the loader's books are not what is stored through %d (-stored +books):\n%s", a.Through, diff)
	}
}

// P18: the books are a statement of their own. What is done to the tables leaves
// them as they were, and a rebuild counts nothing again.
func TestTheBooksDoNotFollowTheTables(t *testing.T) {
	s := start(t)
	if _, err := loader.OpenBooks(s.bucket).Arrived(t.Context(), 0); !errors.Is(err, fault.NotFound) {
		t.Errorf("before anything was loaded: %v", err)
	}
	s.some()
	s.load(s.config())
	s.CheckWorld()
	before := s.arrived()
	day := before.Rows[0].Day
	s.must(s.as(warehouse.UserRetention).DropIn(t.Context(), warehouse.DefaultDatabase, "visit", day))
	s.spoil()
	if diff := cmp.Diff(before, s.arrived()); diff != "" {
		t.Errorf("the books follow the tables (-before +after):\n%s", diff)
	}
	r := s.run(s.config())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.must(loader.Rebuild(ctx, s.bucket, nil))
	if diff := cmp.Diff(before, s.arrived()); diff != "" {
		t.Errorf("a rebuild is counted (-before +after):\n%s", diff)
	}
	s.some()
	r.until()
	s.must(r.stop())
	s.CheckWorld()
}

// What expires while a round is in doubt never comes, and is not counted.
func TestWhatExpiresInDoubtIsNotCounted(t *testing.T) {
	for _, landed := range []bool{false, true} {
		s := start(t)
		s.publish(1, s.events(4, noon, true)...)
		s.publish(2, s.events(3, noon.AddDate(0, 0, -1), false)...)
		s.crash(&faults{op: "insert", number: 2, landed: landed})
		in := s.counted(0, 2)
		for _, ago := range []int{0, 1} {
			day := event.DayOf(s.table("visit").Class.ExpiresAt(noon.AddDate(0, 0, -ago)))
			s.must(s.keys.Retention().DestroyClean(t.Context(), "month", string(day)))
		}
		s.load(s.config())
		s.checkBooks()
		if diff := cmp.Diff(in, s.arrived().Rows); diff != "" {
			t.Errorf("landed %t: (-stored at the crash +books):\n%s", landed, diff)
		}
	}
}

// A loader of the version before left a manifest without books: they begin
// behind it.
func TestTheBooksOfAnOldDirectoryBeginWhereItIs(t *testing.T) {
	s := start(t)
	s.some()
	s.load(s.config())
	last := s.arrived().Through
	_, err := s.bucket.Put(t.Context(), "loader", fmt.Appendf(nil, `{"first":%d,"last":%[1]d,"epoch":1}`, last))
	s.must(err)
	s.some()
	s.load(s.config())
	if a := s.arrived(); a.Since != last {
		t.Errorf("the books begin behind %d, want %d", a.Since, last)
	}
	s.CheckWorld()
}

// The books are no larger than what lives: days that ended long ago go, when
// both clocks say so.
func TestTheBooksForgetWhatEndedLongAgo(t *testing.T) {
	s := start(t)
	old := event.DayOf(s.table("visit").Class.ExpiresAt(noon))
	has := func() bool {
		return slices.ContainsFunc(s.arrived().Rows, func(p warehouse.Partition) bool { return p.Day == old })
	}
	load := func(now time.Time) {
		t.Helper()
		for range 5 { // rounds, so that the counts are summed up
			s.publish(1, s.events(1, now, true)...)
			s.publish(1, s.events(1, now.AddDate(0, 0, -1), true)...)
			cfg := s.config().FoldAt(1)
			cfg.Now = func() time.Time { return now }
			s.load(cfg)
		}
	}
	load(noon)
	later := old.End().Add(loader.Remembered).AddDate(0, 0, 10)
	load(later)
	if !has() {
		t.Error("the wall clock alone made the books forget")
	}
	_, err := s.as(warehouse.UserRetention).Advance(t.Context(), later)
	s.must(err)
	load(later.AddDate(0, 0, 1))
	if has() {
		t.Error("a day that ended long ago is still in the books")
	}
	if n := len(s.arrived().Rows); n != 3 {
		t.Errorf("the books have %d days, want the 3 that live", n)
	}
}

// TestARebuildMakesNoEventOfARepeat: P4, P7, net 3. An event comes again when
// its rule has become longer, and is recognized; when its only row has expired,
// a rebuild must not take the second frame for another event, which would live
// by the longer rule. The control is a loader that forgot what it recognized.
func TestARebuildMakesNoEventOfARepeat(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		s := start(t)
		evs := s.events(6, noon, true)
		day := event.DayOf(s.table("visit").Class.ExpiresAt(noon))
		s.publish(1, evs...)
		s.load(s.config())
		s.pol = s.longLived()
		fresh := s.events(2, noon, true)
		seqs := s.publish(2, slices.Concat(evs[:4], fresh, evs[4:])...)
		s.load(s.config())
		s.CheckWorld()
		if len(seqs) != 1 || s.model[key(fresh[0])] != seqs[0] {
			t.Fatal("the events did not come again in a frame of their own")
		}
		// The first rows expire.
		over := noon.AddDate(0, 0, 33)
		s.must(s.as(warehouse.UserRetention).DropIn(t.Context(), warehouse.DefaultDatabase, "visit", day))
		s.must(s.keys.Retention().DestroyClean(t.Context(), "month", string(day)))
		maps.DeleteFunc(s.model, func(k string, _ uint64) bool {
			return slices.ContainsFunc(evs, func(e ev) bool { return key(e) == k })
		})
		if forgets {
			names, err := s.bucket.Names(t.Context())
			s.must(err)
			for _, name := range names {
				if strings.HasPrefix(name, "repeats/") {
					s.must(s.bucket.Delete(t.Context(), name))
				}
			}
		}
		cfg := s.config()
		cfg.Now = func() time.Time { return over }
		r := s.run(cfg)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.must(loader.Rebuild(ctx, s.bucket, nil))
		s.must(r.stop())
		if same := s.diff() == ""; same == forgets {
			t.Errorf("forgetting %t: the rebuilt warehouse is what it was: %t", forgets, same)
		}
	}
}
