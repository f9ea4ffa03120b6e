package retention_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/folder"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/retention"
)

// shelf is a world with a folder of each sort.
type shelf struct {
	*world
	t    *testing.T
	dirs map[string]string
	r    *retention.Retention
}

func shelves(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{world: newWorld(lethetest.BuiltIn(t), time.Date(2028, 3, 31, 12, 0, 0, 0, time.UTC)), t: t, dirs: map[string]string{}}
	for _, governs := range []string{"reports", "backups", "key_backups"} {
		s.dirs[governs] = filepath.Join(t.TempDir(), governs)
	}
	s.restart()
	return s
}

func (s *shelf) restart() {
	c := s.config()
	for governs, dir := range s.dirs {
		c.Folders = append(c.Folders, retention.Folder{Name: governs, Dir: dir, Governs: governs})
	}
	s.r = retention.New(c)
}

// put makes a file that is as old as its time and, where created is not zero,
// its manifest say.
func (s *shelf) put(governs, name string, made, created time.Time) {
	s.t.Helper()
	path := filepath.Join(s.dirs[governs], name)
	must(s.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(s.t, os.WriteFile(path, []byte("x"), 0o600))
	must(s.t, os.Chtimes(path, made, made))
	if !created.IsZero() {
		text, err := json.Marshal(map[string]time.Time{"created": created})
		must(s.t, err)
		must(s.t, os.WriteFile(path+".manifest.json", text, 0o600))
	}
}

func (s *shelf) names(governs string) (out []string) {
	s.t.Helper()
	all, err := os.ReadDir(s.dirs[governs])
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.t.Fatal(err)
	}
	for _, e := range all {
		out = append(out, e.Name())
	}
	return out
}

// P6, P12: files go on their day, whatever their times were set to.
func TestFilesGoWhenTheirRuleEnds(t *testing.T) {
	s := shelves(t)
	ago := func(days int) time.Time { return s.now.AddDate(0, 0, -days) }
	none := time.Time{}
	s.put("reports", "89 days", ago(89), none)
	s.put("reports", "90 days", ago(90), none)
	s.put("reports", "touched", ago(0), ago(91))
	s.put("reports", "manifest-from-the-future", ago(91), s.now.AddDate(9, 0, 0))
	s.put("reports", "young", ago(1), ago(1))
	s.put("backups", "29", ago(29), none)
	s.put("backups", "30", ago(30), none)
	s.put("backups", "whole/manifest.json", ago(31), none)
	must(t, os.Chtimes(filepath.Join(s.dirs["backups"], "whole"), ago(31), ago(31)))
	s.put("key_backups", "30", ago(30), none)
	for range 2 {
		must(t, s.r.Once(t.Context()))
		for governs, want := range map[string][]string{
			"reports": {"89 days", "young", "young.manifest.json"}, "backups": {"29"}, "key_backups": nil,
		} {
			if got := s.names(governs); !slices.Equal(got, want) {
				t.Errorf("%s holds %q, want %q", governs, got, want)
			}
		}
	}
	// What went was announced and confirmed, by folder and day, by no name.
	var said, gone uint64
	for _, e := range s.recorded(audit.KindRemoval) {
		var r audit.Removal
		must(t, json.Unmarshal(e.Detail, &r))
		for _, p := range r.Partitions {
			said += p.Rows
			if r.Reason != audit.ReasonFiles || s.dirs[p.Table] == "" || p.Day > event.DayOf(ago(30)) {
				t.Errorf("announced: %+v", p)
			}
		}
	}
	for _, e := range s.recorded(audit.KindRemoved) {
		var r audit.Removed
		must(t, json.Unmarshal(e.Detail, &r))
		for _, p := range r.Partitions {
			gone += p.Rows
		}
	}
	if said != 6 || gone != 6 {
		t.Errorf("%d entries were announced and %d confirmed, want 6", said, gone)
	}
	if sums, err := s.sums(); err != nil || len(sums) != 1 || len(sums[0].Wrong) > 0 {
		t.Errorf("files are taken for rows: %v, %v", sums, err)
	}
}

func TestAFileThatIsNotOnRecordStays(t *testing.T) {
	s := shelves(t)
	s.put("reports", "old", s.now.AddDate(-1, 0, 0), time.Time{})
	s.fail = func(deed string) error {
		if deed == "record" {
			return fault.Unavailable.Errorf("the stream is away")
		}
		return nil
	}
	if err := s.r.Once(t.Context()); err == nil || len(s.names("reports")) != 1 {
		t.Errorf("the folder holds %v, the run ended with %v", s.names("reports"), err)
	}
	s.fail = func(string) error { return nil }
	must(t, s.r.Once(t.Context()))
	if len(s.names("reports")) != 0 {
		t.Error("the next run left it")
	}
}

func TestAFileFromTheFutureBeginsItsLifeWhenItIsSeen(t *testing.T) {
	s := shelves(t)
	s.put("reports", "a", s.now.AddDate(80, 0, 0), time.Time{})
	must(t, s.r.Once(t.Context()))
	s.now = s.now.AddDate(0, 0, 89)
	must(t, s.r.Once(t.Context()))
	if len(s.names("reports")) != 1 {
		t.Error("it went before its time")
	}
	s.now = s.now.AddDate(0, 0, 1)
	must(t, s.r.Once(t.Context()))
	if len(s.names("reports")) != 0 {
		t.Error("it outlives its rule")
	}
}

func TestFilesMadeWhileTheClockIsHeldBackKeepTheirTime(t *testing.T) {
	s := shelves(t)
	c := s.config()
	c.MaxJump = 0 // the default
	c.Folders = []retention.Folder{{Name: "backups", Dir: s.dirs["backups"], Governs: "backups"}}
	r := retention.New(c)
	must(t, r.Once(t.Context()))
	s.now = s.now.AddDate(0, 0, 40) // downtime
	s.put("backups", "a", s.now, time.Time{})
	must(t, r.Once(t.Context()))
	must(t, r.ConfirmClock(t.Context()))
	must(t, r.Once(t.Context()))
	if len(s.names("backups")) != 1 {
		t.Error("it was dated by a clock that stood still, and went")
	}
}

func TestAHalfRemovedFolderGoesWithTheNextRun(t *testing.T) {
	s := shelves(t)
	for _, name := range []string{"one", "two"} {
		s.put("backups", name, s.now.AddDate(-1, 0, 0), time.Time{})
	}
	func() {
		defer func() { _ = recover() }()
		s.r.SetStep(func(at string) {
			if at == "file_removed" {
				panic(at)
			}
		})
		_ = s.r.Once(t.Context())
	}()
	if n := len(s.names("backups")); n != 1 {
		t.Fatalf("%d entries are left after the crash, want 1", n)
	}
	s.restart()
	must(t, s.r.Once(t.Context()))
	if n := len(s.names("backups")); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// many puts files into the reports that are due, each a second younger than the
// one before it.
func (s *shelf) many(n int) {
	s.t.Helper()
	must(s.t, os.MkdirAll(s.dirs["reports"], 0o700))
	for i := range n {
		path := filepath.Join(s.dirs["reports"], time.Unix(int64(i), 0).UTC().Format("150405"))
		must(s.t, os.WriteFile(path, nil, 0o600))
		made := s.now.AddDate(-1, 0, 0).Add(time.Duration(i) * time.Second)
		must(s.t, os.Chtimes(path, made, made))
	}
}

func TestOneRunRemovesABoundedNumberOfFiles(t *testing.T) {
	s := shelves(t)
	s.many(1100)
	must(t, s.r.Once(t.Context()))
	if n := len(s.names("reports")); n != 100 {
		t.Errorf("%d are left, want 100", n)
	}
	must(t, s.r.Once(t.Context()))
	if n := len(s.names("reports")); n != 0 {
		t.Errorf("%d are left after the second run", n)
	}
	// By the hundred, and not one by one, they are on record.
	if said, gone := len(s.recorded(audit.KindRemoval)), len(s.recorded(audit.KindRemoved)); said != 6 || gone != 6 {
		t.Errorf("1100 files are on record in %d announcements and %d confirmations, want 6 each", said, gone)
	}
}

// As many as one run tries, none of which can be removed, keep no other alive.
func TestFilesThatCannotBeRemovedKeepNoOtherAlive(t *testing.T) {
	s := shelves(t)
	s.many(1003)
	locked := s.names("reports")[:1000]
	s.r.SetRemove(func(dir, name string) error {
		if slices.Contains(locked, name) {
			return fault.Denied.Errorf("it is locked")
		}
		return folder.Remove(dir, name)
	})
	for run, want := range []int{1003, 1000} {
		err := s.r.Once(t.Context())
		if !errors.Is(err, fault.Denied) || strings.Count(err.Error(), "locked") > 10 {
			t.Errorf("run %d: the errors of 1000 files are said in %d", run, strings.Count(err.Error(), "locked"))
		}
		if n := len(s.names("reports")); n != want {
			t.Errorf("after run %d %d are left, want %d", run, n, want)
		}
	}
	s.r.SetRemove(folder.Remove)
	must(t, s.r.Once(t.Context()))
	if n := len(s.names("reports")); n != 0 {
		t.Errorf("%d are left when nothing is locked", n)
	}
}
