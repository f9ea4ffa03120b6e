package retention_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/retention"
)

// P6, P12: a file that somebody touches goes on its day all the same, also
// after a restart. The control is a file that is touched before any run has
// seen it.
func TestATouchedFileGoesOnItsDay(t *testing.T) {
	s := shelves(t)
	for _, name := range []string{"2026/seen", "seen"} {
		s.put("reports", name, s.now.AddDate(0, 0, -80), time.Time{})
	}
	must(t, s.r.Once(t.Context()))
	s.put("reports", "unseen", s.now.AddDate(0, 0, -80), time.Time{})
	for _, name := range []string{"2026/seen", "seen", "unseen"} {
		must(t, os.Chtimes(filepath.Join(s.dirs["reports"], name), s.now, s.now))
	}
	s.restart()
	must(t, s.r.Once(t.Context()))
	if got := s.names("reports"); !slices.Equal(got, []string{"2026", "seen", "unseen"}) {
		t.Errorf("before their day the folder holds %q", got)
	}
	s.now = s.now.AddDate(0, 0, 10)
	must(t, s.r.Once(t.Context()))
	if got := s.names("reports"); !slices.Equal(got, []string{"unseen"}) {
		t.Errorf("on their day the folder holds %q", got)
	}
	// What is remembered says no name, and with the next run nothing of what is
	// gone.
	must(t, s.r.Once(t.Context()))
	seen, err := retention.Sightings(memoryBucket{s.world})(t.Context(), "reports")
	must(t, err)
	if len(seen) != 1 {
		t.Errorf("%d entries are remembered of a folder with one", len(seen))
	}
	for digest := range seen {
		if strings.Contains(digest, "seen") {
			t.Error("a name is remembered")
		}
	}
}

// Files go by their own times where nobody can say what was seen of them.
func TestFilesGoWithoutWhatWasSeen(t *testing.T) {
	s := shelves(t)
	s.put("reports", "old", s.now.AddDate(0, 0, -91), time.Time{})
	s.fail = func(deed string) error {
		if deed == "get" {
			return fault.Unavailable.Errorf("the bucket is away")
		}
		return nil
	}
	err := s.r.Once(t.Context())
	if got := s.names("reports"); len(got) > 0 && err == nil {
		t.Errorf("the folder holds %q and the run says nothing", got)
	}
	s.fail = func(string) error { return nil }
	must(t, s.r.Once(t.Context()))
	if got := s.names("reports"); len(got) > 0 {
		t.Errorf("the folder holds %q", got)
	}
}
