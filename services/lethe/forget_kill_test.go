package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// forgetPoints are the crash points that a run of retention passes, in the
// order in which it does, and recordPoints those of putting something into the
// audit log. A tree of a year that is past its rule is pkg/audit's to crash in.
var (
	forgetPoints = []string{
		"clock", "looked", "settled", "announced", "removed", "confirmed", "rows",
		"key_destroyed", "clean_keys", "clean_purged", "raw_keys", "quarantine", "epochs",
		"files_announced", "file_removed", "folders",
		"hold_announced", "hold_rows", "hold_key", "hold_frames", "holds",
		"inventory", "manifest_recorded", "manifest", "run",
	}
	// shorterPoints are reached after a rule became shorter (pkg/retention).
	shorterPoints = []string{"asked"}
	recordPoints  = []string{
		"bundle_written", "tile_written", "tiles_synced", "checkpoint_written", "checkpoint_renamed", "committed",
		"archived", "pruned", "sequenced", "acknowledged",
	}
	recordEnds = []string{"tree_renamed", "tree_removed"}
)

// TestEveryPointOfForgettingIsTried keeps the lists above whole.
func TestEveryPointOfForgettingIsTried(t *testing.T) {
	for dir, c := range map[string]struct {
		reach *regexp.Regexp
		tried []string
	}{
		"retention": {regexp.MustCompile(`\.reach\("([a-z_]+)"\)|\{"([a-z_]+)", u\.[a-zA-Z]+\}`), slices.Concat(forgetPoints, shorterPoints, rejectPoints)},
		"audit":     {regexp.MustCompile(`\.step\("([a-z_]+)"\)`), slices.Concat(recordPoints, recordEnds)},
	} {
		var want []string
		files, err := filepath.Glob(filepath.Join("..", "..", "pkg", dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range c.reach.FindAllStringSubmatch(string(b), -1) {
				if !strings.HasSuffix(file, "_test.go") {
					want = append(want, m[1]+strings.Join(m[2:], ""))
				}
			}
		}
		got := slices.Clone(c.tried)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
			t.Errorf("crash points of %s (-in the code +tried):\n%s", dir, diff)
		}
	}
}

// forgetful is a Lethe of which rows, their key and a backup are due with each
// of so many days that its clock moves on.
func forgetful(t *testing.T, days int) *running {
	t.Helper()
	r := up(t)
	now := time.Now()
	for i := range days {
		// The rule of the first ends within a day, of the next a day later.
		at := now.Add(-30*aDay + aDay/2 + time.Duration(i)*aDay)
		r.Publish(accessesAt(t, 10, at)).check(t, 10, 10, 0, nil)
		r.put("backups", 30*aDay-aDay/2-time.Duration(i)*aDay, fmt.Sprintf("daily-%d/part", i))
	}
	r.Publish(accessesAt(t, 25, now)).check(t, 25, 25, 0, nil)
	r.Settle()
	r.healthy("before anything expires")
	return r
}

// P4, P10, P12, P18: Lethe dies at every point of a run of retention and of the
// audit log. What the next start leaves is gone, nothing else is, the record
// has all of it and adds up, and goes on from a checkpoint kept before.
func TestCrashWhileForgettingLeavesNothingBehindAndTheRecordWhole(t *testing.T) {
	t.Parallel()
	days, points := 3, 0
	r := forgetful(t, days)
	kept := writeFile(t, t.TempDir(), "kept.txt", r.Run("audit", "checkpoint"))
	turns := rand.Perm(len(forgetPoints) + len(recordPoints))
	for day := range days - 1 {
		h := r.hold(fmt.Sprint("case-", day), uint64((days-day)*10+25))
		r.Run("hold", "release", h.ID)
		r.Stop()
		r.pass(aDay)
		for i, point := range slices.Concat(prefixed("retention.", forgetPoints), prefixed("audit.", recordPoints)) {
			if !long() && turns[i]%(days-1) != day {
				continue // each once; which day meets it is drawn
			}
			r.crash(point, func() {})
			points++
		}
		r.Start()
		r.ended(h.ID)
		r.forgotten(fmt.Sprintf("%d rows in %d partitions", (days-day-1)*10+25, days-day))
		r.healthy("after it died at each point")
	}
	t.Logf("it died at %d points", points)
	r.wholeRecord(kept)
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		if n := one(t, ctx, w, "SELECT count() FROM lethe.http_access"); n != 10+25 {
			t.Errorf("%d rows are left, want 35", n)
		}
		if n := one(t, ctx, w, "SELECT count() FROM lethe_hold.http_access"); n != 0 {
			t.Errorf("%d rows of released holds are left", n)
		}
	})
	if left, err := filepath.Glob(filepath.Join(r.Data, "backups", "*")); err != nil || len(left) != 1 {
		t.Errorf("%d backups are left, want 1: %v", len(left), err)
	}
}

// P4, P10, P18: Lethe is killed at any instant of its work, ten times, while it
// forgets, is asked whether its promises hold, makes evidence and takes events.
func TestKilledWhileForgettingTheRecordIsWhole(t *testing.T) {
	t.Parallel()
	kills := 10
	r := forgetful(t, 3)
	kept := writeFile(t, t.TempDir(), "kept.txt", r.Run("audit", "checkpoint"))
	r.Stop()
	for i := range kills {
		if i%5 == 0 {
			r.pass(aDay)
		}
		r.Start()
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			for _, args := range [][]string{{"verify"}, {"audit", "export", "-"}, {"verify"}} {
				_, _, _ = r.Try(args...) // it may die meanwhile
			}
		}()
		// Not a pause for something to happen: whatever happens, it dies.
		time.Sleep(rand.N(1500 * time.Millisecond))
		r.EnginePID = 0
		r.Kill()
		r.killEngine()
		<-asked
	}
	r.Start()
	r.forgotten("35 rows in 2 partitions")
	r.healthy("after ten kills")
	r.wholeRecord(kept)
}

func prefixed(prefix string, points []string) []string {
	out := make([]string, len(points))
	for i, p := range points {
		out[i] = prefix + p
	}
	return out
}

// forgotten waits until retention has counted no more than this.
func (r *running) forgotten(counted string) {
	r.t.Helper()
	r.until("retention has counted "+counted, func() bool {
		return strings.Contains(r.Run("audit", "list", "--kind", "manifest", "--limit", "1"), counted)
	})
}

// wholeRecord holds what is on record to itself, and to a checkpoint from
// before.
func (r *running) wholeRecord(kept string) {
	r.t.Helper()
	file := filepath.Join(r.t.TempDir(), "evidence.json")
	r.Run("audit", "export", file)
	out, stderr, err := lethe(r.t, nil, "audit", "verify", file, "--key", "@"+kept, "--checkpoint", kept)
	if err != nil {
		r.t.Errorf("the record is not whole: %v\n%s%s", err, stderr, out)
	}
	m := regexp.MustCompile(`(?m)^entries ([0-9]+)`).FindStringSubmatch(out)
	if m == nil {
		r.t.Fatalf("it does not say how many entries there are:\n%s", out)
	}
	if n, _ := strconv.Atoi(m[1]); n < 20 {
		r.t.Errorf("%d entries are on record, fewer than there must be", n)
	}
}
