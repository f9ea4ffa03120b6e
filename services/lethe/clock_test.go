package main_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// rejectPoints are the crash points of rejecting a clock that was set by hand,
// in the order in which they are passed.
var rejectPoints = []string{"reject_recorded", "reject_remembered", "reject_done"}

// P4: a clock is confirmed when a jump is held back, and not otherwise, and
// rejected when somebody set it.
func TestAClockThatIsRightIsNeitherConfirmedNorRejected(t *testing.T) {
	t.Parallel()
	r := up(t)
	for verb, says := range map[string]string{"confirm": "no jump of the clock is held back", "reject": "nobody has set Lethe's clock by hand"} {
		_, stderr, err := r.Try("clock", verb)
		if status(t, err) != 1 || !strings.Contains(stderr, says) {
			t.Errorf("%s ends with %d and says %s", verb, status(t, err), stderr)
		}
		_, stderr, err = r.Try("clock", verb, "--as", "officer")
		if status(t, err) != 1 || !strings.Contains(stderr, "not for the role") {
			t.Errorf("%s as an officer ends with %d and says %s", verb, status(t, err), stderr)
		}
	}
}

// P4, P10: somebody sets Lethe's clock ahead by hand, which hides everything and
// removes nothing. An operator rejects it, and Lethe dies at every point of
// that. What it hid is there again, all of it, and the record has both.
func TestAClockSetByHandIsRejectedWheneverLetheDies(t *testing.T) {
	t.Parallel()
	const events = 20
	r := up(t)
	r.Publish(accessesAt(t, events, time.Now().Add(-aDay))).check(t, events, events, 0, nil)
	r.Settle()
	r.healthy("before anything is done")
	kept := writeFile(t, t.TempDir(), "kept.txt", r.Run("audit", "checkpoint"))
	set := func() {
		t.Helper()
		r.Stop()
		r.sql("INSERT INTO lethe.clock (at) SELECT now64(3) + toIntervalDay(800)")
	}
	const words = "it was not retention that set it there"
	for _, point := range rejectPoints {
		set()
		r.crash("retention."+point, func() { _, _, _ = r.Try("clock", "reject") })
		r.Start()
		if point == rejectPoints[2] {
			r.healthy("when it was rejected, and " + point)
			continue
		}
		r.finds("P4", "clock", words)
		r.Run("clock", "reject")
		r.healthy("when it is rejected after " + point)
		if _, _, err := r.Try("clock", "reject"); status(t, err) != 1 {
			t.Errorf("rejected twice it ends with %d", status(t, err))
		}
	}
	if n := strings.Count(r.Run("audit", "list", "--kind", "clock", "--limit", "100"), "set by hand, and taken back"); n != 5 {
		t.Errorf("%d rejections are on record, want 5", n)
	}
	r.wholeRecord(kept)
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		if n := one(t, ctx, w, "SELECT count() FROM lethe.http_access"); n != events {
			t.Errorf("%d rows are left, want %d", n, events)
		}
	})
}
