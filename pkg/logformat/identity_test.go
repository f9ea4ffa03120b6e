package logformat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/logformat"
)

func ids(lines []logformat.Line) (ids []string) {
	for _, l := range lines {
		ids = append(ids, l.ID)
	}
	return ids
}

func distinct(s []string) int {
	return len(slices.Compact(slices.Sorted(slices.Values(s))))
}

// repeated is a log in which lines repeat: 30 lines, 7 of them different.
func repeated() string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "192.0.2.%d - - [17/May/2015:08:05:03 +0000] \"GET / HTTP/1.1\" 200 0\n", i%7)
	}
	return b.String()
}

func TestEqualLinesAllCountAndTheSameFileAgainDoesNot(t *testing.T) {
	first, _ := read(t, "common", repeated(), logformat.Options{})
	again, _ := read(t, "common", strings.ReplaceAll(repeated(), "\n", "\r\n"), logformat.Options{Shift: 72 * time.Hour})
	if n := distinct(ids(first)); n != 30 {
		t.Errorf("30 lines have %d ids", n)
	}
	if diff := cmp.Diff(ids(first), ids(again)); diff != "" {
		t.Error(diff)
	}
	for _, l := range first {
		if len(l.ID) != 32 {
			t.Fatalf("an id of %d digits, want 32", len(l.ID))
		}
	}
	if got := again[0].OccurredAt.Sub(first[0].OccurredAt); got != 72*time.Hour {
		t.Errorf("shifted by %v, want 72h", got)
	}
}

func TestOrdinalsLastForAllFilesOfAnImport(t *testing.T) {
	log := repeated()
	half := strings.LastIndex(log[:len(log)/2], "\n") + 1
	whole, _ := read(t, "common", log, logformat.Options{})

	shared := logformat.Options{Ordinals: logformat.NewOrdinals()}
	a, _ := read(t, "common", log[:half], shared)
	b, _ := read(t, "common", log[half:], shared)
	if diff := cmp.Diff(ids(whole), ids(append(a, b...))); diff != "" {
		t.Error(diff)
	}

	// The control: without it, the second file's lines take the first's ids.
	a, _ = read(t, "common", log[:half], logformat.Options{})
	b, _ = read(t, "common", log[half:], logformat.Options{})
	if n := distinct(ids(append(a, b...))); n == 30 {
		t.Error("two files have ids of their own without a shared Ordinals")
	}
}
