package console

import (
	"fmt"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// allMoments sorts moments, with those between for which there is no number: a
// chart that joined their neighbors would show one.
func allMoments(bucket string, whens map[string]bool) []string {
	var out []string
	for w := range whens {
		if w != "" {
			out = append(out, w)
		}
	}
	slices.Sort(out)
	if len(out) == 0 {
		return nil
	}
	var filled []string
	last := out[len(out)-1]
	for t, w := time.Unix(instantOf(bucket, out[0]), 0).UTC(), out[0]; w < last; w = momentOf(bucket, t) {
		if filled = append(filled, w); len(filled) > maxDays || w == "" {
			return out
		}
		switch bucket {
		case ofHour:
			t = t.Add(time.Hour)
		case string(policy.Week):
			t = t.AddDate(0, 0, 7)
		case string(policy.Month):
			t = t.AddDate(0, 1, 0)
		default:
			t = t.AddDate(0, 0, 1)
		}
	}
	return append(filled, last)
}

// momentOf writes the bucket that begins at an instant, as answers do.
func momentOf(bucket string, t time.Time) string {
	switch bucket {
	case ofHour:
		return t.Format(time.RFC3339)
	case string(policy.Month):
		return t.Format("2006-01")
	case string(policy.Week):
		year, week := t.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week)
	}
	return dayOf(t)
}

// instantOf is when a bucket begins, in Unix seconds; of those that are named
// by their last day, when that does. 0 where it is none.
func instantOf(bucket, s string) int64 {
	var t time.Time
	var err error
	switch bucket {
	case ofHour:
		t, err = time.Parse(time.RFC3339, s)
	case string(policy.Month):
		t, err = time.Parse("2006-01", s)
	case string(policy.Week):
		var year, week int
		if _, err = fmt.Sscanf(s, "%d-W%d", &year, &week); err == nil {
			// ISO 8601: the week of January 4 is the first.
			t = time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC)
			t = t.AddDate(0, 0, -(int(t.Weekday())+6)%7+7*(week-1))
		}
	default:
		t, err = time.Parse(time.DateOnly, s)
	}
	if err != nil || t.IsZero() {
		return 0
	}
	return t.Unix()
}

func timeLabel(bucket, s string) string {
	if bucket == ofHour {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC().Format("2006-01-02 15:04")
		}
	}
	return s
}
