package folder_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/folder"
)

var at = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// write makes a file of four bytes, or of a text, that is as old as at.
func write(t *testing.T, path string, made time.Time, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if text == "" {
		text = "data"
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(t, path, made)
}

func touch(t *testing.T, path string, made time.Time) {
	t.Helper()
	if err := os.Chtimes(path, made, made); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) []folder.Entry {
	t.Helper()
	all, err := folder.Entries(dir)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func created(t time.Time) string { return `{"created":"` + t.Format(time.RFC3339) + `","rows":3}` }

func TestAnEntryIsAsOldAsTheOlderOfItsTimeAndItsManifest(t *testing.T) {
	dir := t.TempDir()
	day := 24 * time.Hour
	file := func(name string, made time.Time, manifest string) {
		write(t, filepath.Join(dir, name), made, "")
		if manifest != "" {
			write(t, filepath.Join(dir, name+".manifest.json"), at.Add(99*day), manifest)
		}
	}
	file("a", at, "")
	file("b-touched", at.Add(40*day), created(at))
	file("c-manifest-from-the-future", at, created(at.Add(400*day)))
	file("d-manifest-is-none", at, "{")
	file("e-manifest-says-nothing", at, "{}")
	write(t, filepath.Join(dir, "f", "manifest.json"), at.Add(99*day), created(at.Add(-day)))
	write(t, filepath.Join(dir, "f", "x", "part"), at, "")
	touch(t, filepath.Join(dir, "f"), at)
	write(t, filepath.Join(dir, "g.manifest.json"), at.Add(99*day), created(at))
	write(t, filepath.Join(dir, "h", "manifest.json"), at.Add(3*day), created(at.Add(2*day)))
	write(t, filepath.Join(dir, "h", "deep", "old"), at, "")

	want := []folder.Entry{
		{Name: "a", Number: 1, Made: at, Bytes: 4},
		{Name: "b-touched", Number: 2, Made: at, Bytes: 4},
		{Name: "c-manifest-from-the-future", Number: 4, Made: at, Bytes: 4},
		{Name: "d-manifest-is-none", Number: 6, Made: at, Bytes: 4},
		{Name: "e-manifest-says-nothing", Number: 8, Made: at, Bytes: 4},
		{Name: "f", Number: 10, Made: at.Add(-day), Bytes: 4 + int64(len(created(at))), Dir: true},
		// A manifest whose file is gone is an entry of its own.
		{Name: "g.manifest.json", Number: 11, Made: at, Bytes: int64(len(created(at)))},
		// The oldest file of a set decides.
		{Name: "h", Number: 12, Made: at, Bytes: 4 + int64(len(created(at))), Dir: true},
	}
	if diff := cmp.Diff(want, entries(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// P6, P12: an old file does not hide in a folder that is young.
func TestEachFileOfAFolderWithoutAManifestExpiresByItself(t *testing.T) {
	dir := t.TempDir()
	later := at.AddDate(0, 3, 0)
	write(t, filepath.Join(dir, "2026", "old.csv"), at, "")
	write(t, filepath.Join(dir, "2026", "deep", "old.csv"), at, "")
	write(t, filepath.Join(dir, "2026", "deep", "old.csv.manifest.json"), later, created(at.AddDate(0, 0, -1)))
	write(t, filepath.Join(dir, "2026", "young.csv"), later, "")
	write(t, filepath.Join(dir, "2026", "set", "manifest.json"), at, created(at))
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, touched := range []string{"2026", "2026/deep", "empty"} {
		touch(t, filepath.Join(dir, touched), later)
	}
	size := int64(len(created(at)))
	want := []folder.Entry{
		{Name: "2026/deep/old.csv", Number: 1, Made: at.AddDate(0, 0, -1), Bytes: 4},
		{Name: "2026/old.csv", Number: 1, Made: at, Bytes: 4},
		{Name: "2026/set", Number: 1, Made: at, Bytes: size, Dir: true},
		{Name: "2026/young.csv", Number: 1, Made: later, Bytes: 4},
		{Name: "empty", Number: 2, Made: later, Dir: true},
	}
	if diff := cmp.Diff(want, entries(t, dir)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	for _, e := range want[:3] {
		if err := folder.Remove(dir, e.Name); err != nil {
			t.Fatal(err)
		}
	}
	// A folder that is empty by that is gone, and the young file is not.
	if diff := cmp.Diff([]folder.Entry{want[3], want[4]}, entries(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := os.Lstat(filepath.Join(dir, "2026", "deep")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an emptied folder is there: %v", err)
	}
}

// P6, P12: whoever touches a file does not make its life longer.
func TestAnEntryIsAsOldAsItWasEverSeenToBe(t *testing.T) {
	dir := t.TempDir()
	now := at.AddDate(0, 0, 10)
	write(t, filepath.Join(dir, "touched"), at, "")
	write(t, filepath.Join(dir, "written-anew"), at, "")
	write(t, filepath.Join(dir, "from-the-future"), now.AddDate(9, 0, 0), "")
	write(t, filepath.Join(dir, "gone"), at, "")
	var seen folder.Sightings
	seen = seen.See(entries(t, dir), now)

	later := now.AddDate(0, 0, 20)
	touch(t, filepath.Join(dir, "touched"), later)
	write(t, filepath.Join(dir, "written-anew"), later, "something else")
	if err := folder.Remove(dir, "gone"); err != nil {
		t.Fatal(err)
	}
	made := func() map[string]time.Time {
		all := entries(t, dir)
		seen.Age(all)
		out := map[string]time.Time{}
		for _, e := range all {
			out[e.Name] = e.Made
		}
		return out
	}
	want := map[string]time.Time{"touched": at, "written-anew": later, "from-the-future": now}
	if diff := cmp.Diff(want, made()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	before := seen
	if seen = seen.See(entries(t, dir), later); len(before) != 4 || len(seen) != 3 {
		t.Errorf("%d entries are remembered, and then %d", len(before), len(seen))
	}
	if diff := cmp.Diff(want, made()); diff != "" {
		t.Errorf("seen again (-want +got):\n%s", diff)
	}
	// The control: nobody who has not seen it before knows better.
	seen = nil
	if got := made()["touched"]; !got.Equal(later) {
		t.Errorf("unseen, it is of %v", got)
	}
}

func TestAFolderThatIsNotThereIsEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	if all := entries(t, dir); len(all) != 0 {
		t.Errorf("it holds %v", all)
	}
	if err := errors.Join(folder.Remove(dir, "a"), folder.Date(dir, "a", at)); err != nil {
		t.Error(err)
	}
}

// TestARemovedEntryIsGoneWithItsManifest: P6.
func TestARemovedEntryIsGoneWithItsManifest(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "report"), at, "")
	write(t, filepath.Join(dir, "report.manifest.json"), at, created(at))
	write(t, filepath.Join(dir, "backup", "manifest.json"), at, created(at))
	write(t, filepath.Join(dir, "backup", "deep", "part"), at, "")
	write(t, filepath.Join(dir, "young"), at, "")
	for range 2 { // it can be done again
		for _, name := range []string{"report", "backup"} {
			if err := folder.Remove(dir, name); err != nil {
				t.Fatal(err)
			}
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "young" {
		t.Errorf("what is left: %v, %v", left, err)
	}
}

func TestWhatIsHalfRemovedIsOlderThanEverythingAndGoesToo(t *testing.T) {
	dir := t.TempDir()
	// As after a crash: renamed, its manifest gone, and touched by that.
	write(t, filepath.Join(dir, ".removing-backup", "part"), time.Now(), "")
	write(t, filepath.Join(dir, "backup", "part"), at, "") // and made anew under its name
	all := entries(t, dir)
	if len(all) != 2 || all[0].Name != ".removing-backup" || !all[0].Made.IsZero() {
		t.Fatalf("it is taken for young: %+v", all)
	}
	for _, name := range []string{"backup", ".removing-backup"} {
		if err := folder.Remove(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	if all := entries(t, dir); len(all) != 0 {
		t.Errorf("it left %v", all)
	}
}

func TestNothingOutsideIsTouched(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "kept"), at, "")
	dir := filepath.Join(t.TempDir(), "reports")
	write(t, filepath.Join(dir, "a"), at, "")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries(t, dir) {
		if e.Name == "link" && e.Dir {
			t.Error("a link was followed")
		}
	}
	if err := folder.Remove(dir, "link"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", ".", "..", "../x", "a//b", "/etc/passwd", "a/../b"} {
		if err := folder.Remove(dir, name); !errors.Is(err, fault.Invalid) {
			t.Errorf("removing %q: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Error(err)
	}
	if all := entries(t, dir); len(all) != 1 {
		t.Errorf("the folder holds %v", all)
	}
}

func TestAnEntryFromTheFutureIsDatedAnew(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), at.AddDate(100, 0, 0), "")
	if err := folder.Date(dir, "a", at); err != nil {
		t.Fatal(err)
	}
	if all := entries(t, dir); len(all) != 1 || !all[0].Made.Equal(at) {
		t.Errorf("it is %v", all)
	}
}

// TestErrorsNameNoFile: P1.
func TestErrorsNameNoFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secret-name")
	write(t, dir, at, "") // a file where a folder should be
	_, err := folder.Entries(dir)
	for _, err := range []error{err, folder.Remove(dir, "secret-file"), folder.Date(dir, "secret-file", at)} {
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("it says: %v", err)
		}
	}
}
