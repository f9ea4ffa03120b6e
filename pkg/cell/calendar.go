package cell

import (
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A window is one bucket of time: its days, both included, written YYYY-MM-DD
// in the zone of a metric.
type window struct {
	bucket      policy.Bucket
	first, last string
}

// dayOf is the day of an instant in a zone.
func dayOf(at time.Time, zone *time.Location) string { return at.In(zone).Format(time.DateOnly) }

// addDays counts days of the calendar, which have no zone.
func addDays(day string, n int) string {
	return dateOf(day).AddDate(0, 0, n).Format(time.DateOnly)
}

func dateOf(day string) time.Time {
	t, _ := time.Parse(time.DateOnly, day) // days are ours or the engine's
	return t
}

func month(day string) string { return day[:len("2006-01")] }

// days lists the days of a span.
func days(first, last string) []string {
	var out []string
	for d := first; d <= last; d = addDays(d, 1) {
		out = append(out, d)
	}
	return out
}

// windowOf is the bucket that a day lies in, or, of trailing buckets, the one
// that ends with it.
func windowOf(b policy.Bucket, day string) window {
	t := dateOf(day)
	switch b {
	case policy.Week:
		monday := t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
		return window{b, monday.Format(time.DateOnly), monday.AddDate(0, 0, 6).Format(time.DateOnly)}
	case policy.Month:
		first := t.AddDate(0, 0, 1-t.Day())
		return window{b, first.Format(time.DateOnly), first.AddDate(0, 1, -1).Format(time.DateOnly)}
	}
	return window{b, addDays(day, 1-b.Days()), day}
}

func trailing(b policy.Bucket) bool { return b == policy.Trailing7 || b == policy.Trailing30 }

func (w window) holds(day string) bool { return w.first <= day && day <= w.last }

// within says whether every day of a window is one of the other's.
func (w window) within(o window) bool { return o.first <= w.first && w.last <= o.last }

// length is the number of days.
func (w window) length() int { return int(dateOf(w.last).Sub(dateOf(w.first))/(24*time.Hour)) + 1 }
