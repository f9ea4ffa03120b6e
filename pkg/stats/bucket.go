package stats

import (
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The days that a question may name. Outside of them there are no events.
var (
	earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

func within(t time.Time) bool { return !t.Before(earliest) && t.Before(latest) }

// bucketForm is how buckets are written.
var bucketForm = map[policy.Bucket]string{
	policy.Day: "YYYY-MM-DD", policy.Week: "YYYY-Www", policy.Month: "YYYY-MM",
	policy.Trailing7: "YYYY-MM-DD", policy.Trailing30: "YYYY-MM-DD",
}

var bucketAbout = map[policy.Bucket]string{
	policy.Day: "The day.", policy.Week: "The week from Monday, ISO 8601.", policy.Month: "The month.",
	policy.Trailing7: "A day and the 6 before it, by its last.", policy.Trailing30: "A day and the 29 before it, by its last.",
}

// window is one bucket: its days, both included.
type window struct {
	bucket      policy.Bucket
	first, last string
}

// windowAt is the bucket that a day is in; of trailing buckets, the one that
// ends with it.
func windowAt(b policy.Bucket, day time.Time) window {
	first, last := day, day
	switch b {
	case policy.Week:
		first = day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		last = first.AddDate(0, 0, 6)
	case policy.Month:
		first = time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC)
		last = first.AddDate(0, 1, -1)
	case policy.Trailing7, policy.Trailing30:
		first = day.AddDate(0, 0, 1-b.Days())
	}
	return window{b, first.Format(time.DateOnly), last.Format(time.DateOnly)}
}

// showBucket writes a bucket for people. It is held as cells have it: a month
// as YYYY-MM, the others as a day; of a week, its Monday.
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
func parseBucket(b policy.Bucket, s string) (window, bool) {
	var t time.Time
	var err error
	form := time.DateOnly
	switch b {
	case policy.Week:
		if len(s) != len("2006-W01") || s[4:6] != "-W" {
			return window{}, false
		}
		y, err := strconv.Atoi(s[:4])
		w, err2 := strconv.Atoi(s[6:])
		if err != nil || err2 != nil {
			return window{}, false
		}
		// ISO 8601: the week of 4 January is the first.
		t = time.Date(y, 1, 4, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 7*(w-1))
		in := windowAt(b, t)
		return in, within(t) && showBucket(b, in.first) == s
	case policy.Month:
		form = "2006-01"
	}
	t, err = time.Parse(form, s)
	return windowAt(b, t), err == nil && within(t) && t.Format(form) == s
}

// windowsOf are the buckets of a metric that a range of days is.
func windowsOf(m *policy.Metric, from, to string) []window {
	end, err := time.Parse(time.DateOnly, to)
	if err != nil {
		return nil
	}
	var out []window
	for _, b := range m.Buckets {
		if w := windowAt(b, end.AddDate(0, 0, -1)); w.first == from && w.end() == to {
			out = append(out, w)
		}
	}
	return out
}

// end is the day after a window.
func (w window) end() string {
	t, err := time.Parse(time.DateOnly, w.last)
	if err != nil {
		return ""
	}
	return t.AddDate(0, 0, 1).Format(time.DateOnly)
}

// dayBeginning is the day that begins at an instant. A day begins where the
// instant before was in another, which is not midnight where clocks are set at
// midnight.
func dayBeginning(t time.Time, zone *time.Location) (day string, ok bool) {
	day = t.In(zone).Format(time.DateOnly)
	return day, day != t.Add(-1).In(zone).Format(time.DateOnly)
}

// beginningOf is the instant at which a day begins in a zone.
func beginningOf(day time.Time, zone *time.Location) time.Time {
	const widest = 16 * 3600 // seconds that a zone may be away from UTC
	want := day.Format(time.DateOnly)
	start := time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, time.UTC).Add(-widest * time.Second)
	after := sort.Search(2*widest, func(i int) bool {
		return start.Add(time.Duration(i)*time.Second).In(zone).Format(time.DateOnly) >= want
	})
	return start.Add(time.Duration(after) * time.Second).In(zone)
}
