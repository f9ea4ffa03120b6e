package stats

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

var bucketExample = map[policy.Bucket]string{
	policy.Day: "2006-01-02", policy.Week: "2006-W01", policy.Month: "2006-01",
	policy.Trailing7: "2006-01-02", policy.Trailing30: "2006-01-02",
}

var bucketAbout = map[policy.Bucket]string{
	policy.Day: "The day.", policy.Week: "The week from Monday, ISO 8601.", policy.Month: "The month.",
	policy.Trailing7: "A day and the 6 before it, by its last.", policy.Trailing30: "A day and the 29 before it, by its last.",
}

// Inside the engine a bucket is a text: of a week its Monday, of a month
// YYYY-MM, of the others a day; trailing buckets go by their last.

// showBucket writes a bucket for people: a week as ISO 8601 has it.
func showBucket(b policy.Bucket, held string) string {
	if b != policy.Week {
		return held
	}
	t, err := time.Parse(time.DateOnly, held)
	if err != nil {
		return held
	}
	year, week := t.ISOWeek()
	return fmt.Sprintf("%04d-W%02d", year, week)
}

// parseBucket reads what showBucket wrote, and nothing else.
func parseBucket(b policy.Bucket, s string) (held string, ok bool) {
	switch b {
	case policy.Month:
		t, err := time.Parse("2006-01", s)
		return s, err == nil && within(t) && t.Format("2006-01") == s
	case policy.Week:
		if len(s) != len("2006-W01") || s[4:6] != "-W" {
			return "", false
		}
		y, err := strconv.Atoi(s[:4])
		w, err2 := strconv.Atoi(s[6:])
		if err != nil || err2 != nil {
			return "", false
		}
		// ISO 8601: the week of 4 January is the first.
		t := time.Date(y, 1, 4, 0, 0, 0, 0, time.UTC)
		held = t.AddDate(0, 0, (w-1)*7-(int(t.Weekday())+6)%7).Format(time.DateOnly)
		return held, within(t) && showBucket(b, held) == s
	}
	t, err := time.Parse(time.DateOnly, s)
	return s, err == nil && within(t) && t.Format(time.DateOnly) == s
}

func within(t time.Time) bool { return !t.Before(earliest) && t.Before(latest) }

// window is one bucket: its days, both included.
type window struct {
	bucket      policy.Bucket
	first, last string
}

// windowsOf are the buckets of a metric that a range of days is.
func windowsOf(m *policy.Metric, from, to string) []window {
	first, err := time.Parse(time.DateOnly, from)
	end, err2 := time.Parse(time.DateOnly, to)
	if err != nil || err2 != nil {
		return nil
	}
	days := int(end.Sub(first) / (24 * time.Hour))
	is := map[policy.Bucket]bool{
		policy.Day:        days == 1,
		policy.Week:       days == 7 && first.Weekday() == time.Monday,
		policy.Month:      first.Day() == 1 && end.Equal(first.AddDate(0, 1, 0)),
		policy.Trailing7:  days == 7,
		policy.Trailing30: days == 30,
	}
	var out []window
	for _, b := range m.Buckets {
		if is[b] {
			out = append(out, window{b, from, end.AddDate(0, 0, -1).Format(time.DateOnly)})
		}
	}
	return out
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
