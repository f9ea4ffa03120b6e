package retention_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// counting is a world whose loader counts what it stores from its beginning.
func counting(t *testing.T) *world {
	t.Helper()
	w := newWorld(lethetest.BuiltIn(t), time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	w.countFromHere()
	return w
}

// logs are rows of a frame of application logs that expire on a day.
func (w *world) logs(day event.Day, seq uint64, n int) []row {
	return slices.Repeat([]row{{warehouse.DefaultDatabase, "app_log", day, w.now, seq}}, n)
}

// once is a run in a process of its own, and how many rows it finds unexplained.
func (w *world) once(t *testing.T) float64 {
	t.Helper()
	r := retention.New(w.config())
	must(t, r.Once(t.Context()))
	return r.Numbers()["unexplained_rows"]
}

// wrong is what does not add up on record.
func (w *world) wrong(t *testing.T) (out []string) {
	t.Helper()
	sums, err := w.sums()
	must(t, err)
	for _, s := range sums {
		for _, wrong := range s.Wrong {
			out = append(out, wrong.Sentence)
		}
	}
	return out
}

// TestRowsThatGoOrComeBeforeTheyAreCountedAreFound: P18, P10. What is done to a
// table between the loader and the first manifest that counts its rows is found,
// whether it is the first of all or a later one. The control is a loader that
// keeps no books, with which each of them explains itself.
func TestRowsThatGoOrComeBeforeTheyAreCountedAreFound(t *testing.T) {
	for _, c := range []struct {
		name        string
		do          func(w *world, day event.Day, seq uint64)
		unexplained float64
	}{
		{"nothing is done", func(*world, event.Day, uint64) {}, 0},
		{"rows are deleted", func(w *world, _ event.Day, _ uint64) { w.rows = w.rows[:len(w.rows)-2] }, 2},
		{"a partition is dropped", func(w *world, day event.Day, seq uint64) {
			w.rows = slices.DeleteFunc(w.rows, func(r row) bool { return r.day == day && r.seq == seq })
		}, 5},
		{"rows are copied", func(w *world, day event.Day, seq uint64) { w.rows = append(w.rows, w.logs(day, seq, 3)...) }, 3},
		{"rows are copied to a later day", func(w *world, _ event.Day, seq uint64) {
			w.rows = append(w.rows, w.logs(event.DayOf(w.now.AddDate(0, 0, 80)), seq, 3)...)
		}, 3},
	} {
		for _, first := range []bool{true, false} {
			for _, books := range []bool{true, false} {
				w := counting(t)
				if !books {
					w.books = nil
				}
				day, seq := event.DayOf(w.now.AddDate(0, 0, 40)), uint64(1)
				if !first {
					w.bring(w.logs(day, seq, 4)...)
					if n := w.once(t); n != 0 {
						t.Fatalf("%s: the control leaves %v rows unexplained", c.name, n)
					}
					w.now, seq = w.now.AddDate(0, 0, 1), 2
				}
				w.bring(w.logs(day, seq, 5)...)
				c.do(w, day, seq)
				want := c.unexplained
				if !books {
					want = 0
				}
				if n := w.once(t); n != want {
					t.Errorf("%s, first manifest %t, books %t: %v rows are unexplained, want %v", c.name, first, books, n, want)
				}
				if wrong := w.wrong(t); (len(wrong) > 0) != (want > 0) {
					t.Errorf("%s, first manifest %t, books %t: on record %q", c.name, first, books, wrong)
				}
				w.now = w.now.AddDate(0, 0, 1)
				if n := w.once(t); n != 0 {
					t.Errorf("%s: the day after, %v rows are unexplained", c.name, n)
				}
			}
		}
	}
}

// Rows that come and expire between two manifests are counted on both sides,
// however long retention was away.
func TestRowsThatExpireBeforeTheyAreCountedAddUp(t *testing.T) {
	for _, away := range []int{2, 60, 400} {
		w := counting(t)
		w.once(t)
		for d := range 5 {
			w.bring(w.logs(event.DayOf(w.now.AddDate(0, 0, d-1)), uint64(d+1), d+1)...)
		}
		w.now = w.now.AddDate(0, 0, away)
		if n := w.once(t); n != 0 || len(w.wrong(t)) > 0 {
			t.Errorf("away for %d days: %v rows are unexplained: %q", away, n, w.wrong(t))
		}
		if want := map[bool]int{true: 5 + 4, false: 0}[away == 2]; len(w.rows) != want {
			t.Errorf("away for %d days: %d rows are left, want %d", away, len(w.rows), want)
		}
	}
	// The control: what goes by hand before it expires is missed.
	w := counting(t)
	w.once(t)
	w.bring(w.logs(event.DayOf(w.now.AddDate(0, 0, 1)), 1, 4)...)
	w.rows = w.rows[1:]
	w.now = w.now.AddDate(0, 0, 3)
	if n := w.once(t); n != 1 {
		t.Errorf("of a row that went by hand before it expired, %v is unexplained", n)
	}
}

// A loader that begins to count in an old data directory raises no alarm, and
// is believed from the manifest after that.
func TestALoaderThatBeginsToCountRaisesNoAlarm(t *testing.T) {
	w := counting(t)
	w.books = nil
	day := event.DayOf(w.now.AddDate(0, 0, 40))
	w.bring(w.logs(day, 1, 5)...)
	w.once(t)
	w.bring(w.logs(day, 2, 5)...) // by the version before, and not counted by any manifest
	w.countFromHere()
	w.bring(w.logs(day, 3, 5)...)
	for range 2 {
		w.now = w.now.AddDate(0, 0, 1)
		if n := w.once(t); n != 0 || len(w.wrong(t)) > 0 {
			t.Fatalf("%v rows are unexplained: %q", n, w.wrong(t))
		}
	}
	w.bring(w.logs(day, 4, 5)...)
	w.rows = w.rows[:len(w.rows)-5]
	w.now = w.now.AddDate(0, 0, 1)
	if n := w.once(t); n != 5 {
		t.Errorf("after that, of 5 rows that went by hand %v are unexplained", n)
	}
}

// Books that went, or begin anew, do not let the tables explain themselves again
// without a word.
func TestBooksThatAreLostAreOnRecord(t *testing.T) {
	lost := func(t *testing.T, lose func(*world)) (*world, []audit.Manifest) {
		t.Helper()
		w := counting(t)
		w.bring(w.logs(event.DayOf(w.now.AddDate(0, 0, 40)), 1, 5)...)
		w.once(t)
		lose(w)
		w.now = w.now.AddDate(0, 0, 1)
		w.once(t)
		var out []audit.Manifest
		for _, e := range w.recorded(audit.KindManifest) {
			var m audit.Manifest
			must(t, json.Unmarshal(e.Detail, &m))
			out = append(out, m)
		}
		return w, out
	}
	w, m := lost(t, func(w *world) { w.books = nil })
	if wrong := w.wrong(t); len(wrong) != 1 || !strings.Contains(wrong[0], "had the loader's word") {
		t.Errorf("books that went: %q", wrong)
	}
	if m[0].Arrived == "" || m[1].Arrived != "" {
		t.Errorf("the manifests say %+v", m)
	}
	begun := func(m []audit.Manifest) {
		t.Helper()
		if len(m) != 2 || m[1].Before != "" || m[1].Arrived == "" {
			t.Errorf("the chain does not begin anew: %+v", m)
		}
	}
	_, m = lost(t, func(w *world) { *w.books = 1 })
	begun(m)
	_, m = lost(t, func(w *world) { delete(w.entries, audit.InventoryName(m[0].Arrived)) })
	begun(m)
}

// The floor is the loader's own, and a confirmation that the server forgot does
// not move it back.
func TestAConfirmationThatIsForgottenStopsNoManifest(t *testing.T) {
	w := counting(t)
	day := event.DayOf(w.now.AddDate(0, 0, 40))
	w.bring(w.logs(day, 7, 5)...)
	w.once(t)
	w.floors[eventlog.CleanConsumer] = 2
	w.now = w.now.AddDate(0, 0, 1)
	if n := w.once(t); n != 0 || len(w.recorded(audit.KindManifest)) != 2 {
		t.Errorf("%v rows are unexplained, and %d manifests on record", n, len(w.recorded(audit.KindManifest)))
	}
}

// Where the loader's books cannot be read, no rows are removed: what is removed
// could not be added up.
func TestWithoutTheLoadersBooksNoRowsAreRemoved(t *testing.T) {
	w := counting(t)
	w.bring(w.logs(event.DayOf(w.now.AddDate(0, 0, -1)), 1, 5)...)
	w.fail = func(deed string) error {
		if deed == "arrived" {
			return fault.Unavailable.Errorf("the bucket is away")
		}
		return nil
	}
	if err := retention.New(w.config()).Once(t.Context()); err == nil || len(w.rows) != 5 {
		t.Errorf("%d of 5 rows are left, and the run says %v", len(w.rows), err)
	}
	w.fail = func(string) error { return nil }
	if n := w.once(t); n != 0 || len(w.rows) != 0 {
		t.Errorf("with them, %d rows are left, %v unexplained", len(w.rows), n)
	}
}
