package logformat_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/logformat"
)

func TestTheNewestLineLandsInTheLastDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		instants := rapid.Int64Range(
			time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano(),
			time.Date(2106, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())
		newest, now := time.Unix(0, instants.Draw(t, "newest")), time.Unix(0, instants.Draw(t, "now"))
		shift := logformat.ShiftFor(newest, now)
		if shift%(24*time.Hour) != 0 {
			t.Fatalf("%v is not a whole number of days", shift)
		}
		moved := newest.Add(shift)
		if moved.After(now) || !moved.After(now.Add(-24*time.Hour)) {
			t.Fatalf("the newest line lands %v from now", moved.Sub(now))
		}
	})
}

func TestTheEdgesOfTheLastDay(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ age, want time.Duration }{
		{0, 0},
		{24*time.Hour - 1, 0},
		{24 * time.Hour, 24 * time.Hour},
		{49 * time.Hour, 48 * time.Hour},
		{-1, -24 * time.Hour},
		{-24 * time.Hour, -24 * time.Hour},
	} {
		if got := logformat.ShiftFor(now.Add(-tt.age), now); got != tt.want {
			t.Errorf("a log that ended %v ago moves by %v, want %v", tt.age, got, tt.want)
		}
	}
	if got := logformat.ShiftFor(time.Time{}, now); got != 0 {
		t.Errorf("a log without times moves by %v, want 0", got)
	}
}

func TestNewestIsTheLatestSoundTime(t *testing.T) {
	log := `192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0
192.0.2.1 - - [17/May/2015:08:05:03 -0700] "GET / HTTP/1.1" 200 0
192.0.2.1 - - [17/May/2015:14:05:03 +0000] "GET / HTTP/1.1" 200 0
192.0.2.1 - - [17/May/2107:14:05:03 +0000] "GET / HTTP/1.1" 200 0
garbage
`
	got, err := logformat.Newest("common", strings.NewReader(log))
	if want := time.Date(2015, 5, 17, 15, 5, 3, 0, time.UTC); err != nil || !got.Equal(want) {
		t.Errorf("newest is %v (%v), want %v", got, err, want)
	}
	if got, err := logformat.Newest("common", strings.NewReader("garbage\n")); err != nil || !got.IsZero() {
		t.Errorf("newest of nothing is %v (%v), want the zero time", got, err)
	}
}

func TestAPipeCanBeReadTwiceAndLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	rs, release, err := logformat.Rewindable(iotest.OneByteReader(strings.NewReader("a\nb\n")))
	if err != nil {
		t.Fatal(err)
	}
	if info, err := rs.(*os.File).Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v (%v), want 0600", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d files on disk (%v), want none", len(left), err)
	}
	for range 2 {
		if _, err := rs.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(rs); err != nil || string(b) != "a\nb\n" {
			t.Errorf("read %q, %v", b, err)
		}
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

func TestAFileIsReadWhereItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rs, release, err := logformat.Rewindable(f)
	if err != nil || rs != io.ReadSeeker(f) {
		t.Errorf("a file was copied (%v)", err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("releasing closed the caller's file: %v", err)
	}
}

func TestAPipeThatFailsIsAnError(t *testing.T) {
	broken := errors.New("broken")
	if _, _, err := logformat.Rewindable(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("error %v, want the pipe's", err)
	}
}
