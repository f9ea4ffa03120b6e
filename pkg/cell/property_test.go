package cell_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestWhateverHappensRowsLieInOneCellAndCellsAreOfEnough runs random histories
// on real stores and holds what is published against a model that knows every
// row: P19.
func TestWhateverHappensRowsLieInOneCellAndCellsAreOfEnough(t *testing.T) {
	for _, zone := range []string{"UTC", "Europe/Berlin"} {
		t.Run(zone, func(t *testing.T) {
			s := start(t, edited(t, "    k: 5\n", "    k: 5\n    zone: "+zone+"\n"))
			n := 0
			rapid.Check(t, func(r *rapid.T) {
				n++
				history(r, s, fmt.Sprintf("t%d", n), zone)
			})
		})
	}
}

func history(r *rapid.T, s *site, tenant, zone string) {
	z, err := time.LoadLocation(zone)
	if err != nil {
		r.Fatal(err)
	}
	w := newWorld(tenant, z)
	s.now = noon
	s.forget()
	s.edge = noon.AddDate(0, 0, -rapid.IntRange(0, 8).Draw(r, "edge")).Add(time.Hour)
	s.restart()
	report := func(doing string, wrong []string) {
		if len(wrong) > 0 {
			r.Fatalf("after %s:\n%s", doing, strings.Join(wrong, "\n"))
		}
	}
	today := func() string { return s.now.In(z).Format(time.DateOnly) }
	erased := false
	check := func(doing string) {
		report(doing, w.learn(s.cells(), today()))
		report(doing, givesAway(w.numbers()))
		report(doing, w.beyond())
		if !erased {
			report(doing, w.waits(today()))
			report(doing, w.lags(today()))
			report(doing, w.absent())
		}
	}
	people := rapid.IntRange(4, 30).Draw(r, "people")
	for i := range rapid.IntRange(2, 7).Draw(r, "steps") {
		switch what := rapid.SampledFrom([]string{"publish", "publish", "publish", "late", "erase", "restart", "tomorrow"}).Draw(r, "what"); what {
		case "publish", "late":
			var visits []visit
			span := 2
			if what == "late" {
				span = 12
			}
			for range rapid.IntRange(1, 40).Draw(r, "rows") {
				at := s.now.Add(-time.Duration(rapid.IntRange(0, span*24*60).Draw(r, "minutes")) * time.Minute)
				visits = append(visits, visit{
					tenant: tenant, service: rapid.SampledFrom([]string{"shop", "shop", "web"}).Draw(r, "service"), at: at,
					person: rapid.IntRange(0, people).Draw(r, "person"),
					page:   rapid.SampledFrom([]string{"/", "/a", "/b", "/it's \\ \"quoted\""}).Draw(r, "page"),
					code:   rapid.IntRange(-1, 2).Draw(r, "code"), size: rapid.SampledFrom([]int{0, 1, 2, 3, 5, -8, 900}).Draw(r, "size"),
					state: rapid.SampledFrom([]string{"in", "in", "out"}).Draw(r, "state"),
				})
			}
			w.add(s.publish(visits...), visits...)
		case "erase":
			if len(w.rows) == 0 {
				continue
			}
			// A person's rows go, or an old day's, as when they expire.
			person, day := w.rows[rapid.IntRange(0, len(w.rows)-1).Draw(r, "row")].person, ""
			if rapid.Bool().Draw(r, "whole day") {
				day = w.rows[rapid.IntRange(0, len(w.rows)-1).Draw(r, "row")].day
			}
			s.loaded()
			for _, k := range w.rows {
				if day != "" && k.day == day || day == "" && k.person == person {
					k.erased = true
				}
			}
			s.remove(w)
			erased = true
		case "restart":
			s.restart()
		case "tomorrow":
			s.now = s.now.AddDate(0, 0, 1)
		}
		s.cut()
		check(fmt.Sprintf("step %d", i))
	}
	// What was cut is all that there is: a process that knows nothing finds
	// nothing more.
	before := s.cells()
	s.restart()
	if n := s.cut(); n != 0 && !erased {
		r.Fatalf("after a restart %d cells more were published\n%s", n, cmp.Diff(before, s.cells(), cmp.AllowUnexported(published{})))
	}
	erased = false
	report("a restart", w.learn(s.cells(), today()))
	report("a restart", w.waits(today()))
}

// forget removes the rows of histories before, so that a publisher that is
// started anew need not look at them.
func (s *site) forget() {
	s.t.Helper()
	s.loaded()
	s.exec("ALTER TABLE lethe.visit DELETE WHERE 1 SETTINGS mutations_sync = 2")
}

// remove deletes the rows of a world that are erased, and with them those of
// the same frame and moment.
func (s *site) remove(w *world) {
	s.t.Helper()
	id := func(k *known) string { return fmt.Sprintf("(%d, '%s', %d)", k.seq, k.service, k.at.UnixMilli()) }
	var ids []string
	for _, k := range w.rows {
		if k.erased {
			ids = append(ids, id(k))
		}
	}
	for _, k := range w.rows {
		k.erased = k.erased || slices.Contains(ids, id(k))
	}
	if len(ids) == 0 {
		return
	}
	s.exec("ALTER TABLE lethe.visit DELETE WHERE tenant = '" + w.tenant + "' AND (log_seq, toString(service), toUnixTimestamp64Milli(occurred_at)) IN (" +
		strings.Join(ids, ", ") + ") SETTINGS mutations_sync = 2")
}
