package access_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

var monday = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// days reads n times a day for some days, and returns the day after.
func days(r *access.Reads, id string, from time.Time, counts ...int) time.Time {
	for _, n := range counts {
		for range n {
			r.Count(id, from)
		}
		from = from.AddDate(0, 0, 1)
	}
	return from
}

// alarm reads until an alarm and returns at which read it came, 0 for none
// within the first 200.
func alarm(r *access.Reads, id string, at time.Time) (first, alarms int) {
	for i := range 200 {
		if _, _, unusual := r.Count(id, at); unusual {
			alarms++
			if first == 0 {
				first = i + 1
			}
		}
	}
	return first, alarms
}

// TestReadingMoreThanFiveTimesTheMedianIsSaidOnce: P22.
func TestReadingMoreThanFiveTimesTheMedianIsSaidOnce(t *testing.T) {
	for name, c := range map[string]struct {
		before []int
		first  int
	}{
		"thirty even days":              {repeat(30, 10), 51},
		"five days":                     {repeat(5, 4), 21},
		"four days are no history":      {repeat(4, 4), 0},
		"a new credential":              {nil, 0},
		"one wild day changes little":   {append(repeat(29, 10), 500), 51},
		"an even number of days":        {[]int{1, 2, 3, 4, 5, 6}, 18}, // median 3.5
		"days without any do not count": {append(repeat(10, 3), make([]int, 15)...), 16},
		"weekly":                        {[]int{7, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 7}, 36},
		"what is older than thirty":     {append(repeat(10, 2), repeat(30, 20)...), 101},
	} {
		r := access.OpenReads("", lethetest.Logger(t))
		days(r, "another", monday, repeat(len(c.before), 1)...)
		at := days(r, "it", monday, c.before...)
		first, alarms := alarm(r, "it", at)
		if first != c.first || c.first > 0 && alarms != 1 {
			t.Errorf("%s: the first alarm is at read %d of %d, want one at %d", name, first, alarms, c.first)
		}
		if c.first > 0 {
			if next, _ := alarm(r, "it", at.AddDate(0, 0, 1)); next == 0 {
				t.Errorf("%s: the day after, there is none", name)
			}
		}
	}
}

func repeat(n, count int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = count
	}
	return out
}

func TestCountsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reads.json")
	r := access.OpenReads(path, lethetest.Logger(t))
	at := days(r, "it", monday, repeat(10, 4)...)
	r.Close()
	r = access.OpenReads(path, lethetest.Logger(t))
	for range 12 {
		r.Count("it", at)
	}
	// A crash: without Close, the next process misses the last ten seconds and
	// no more.
	at = at.Add(11 * time.Second)
	r.Count("it", at)
	for range 2 {
		r.Count("it", at.Add(time.Second))
	}
	r = access.OpenReads(path, lethetest.Logger(t))
	if n, median, _ := r.Count("it", at); n != 14 || median != 4 {
		t.Errorf("after a crash: %d reads and a median of %v, want 14 and 4", n, median)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v", info.Mode().Perm())
	}
	// What no median is taken over goes.
	r.Count("it", at.AddDate(0, 0, 31))
	r.Close()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("2026-03-02")) || !bytes.Contains(b, []byte(at.AddDate(0, 0, 31).Format(time.DateOnly))) {
		t.Error("old days are still there, or the last is not")
	}
}

func TestCountsThatCannotBeReadBeginAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reads.json")
	for _, text := range []string{"", "{", `{"version":2,"days":{}}`, `{"version":1,"days":{"2026-03-02":null}}`, `[]`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := access.OpenReads(path, lethetest.Logger(t))
		if n, _, _ := r.Count("it", monday); n != 1 {
			t.Errorf("%q: %d reads", text, n)
		}
	}
}
