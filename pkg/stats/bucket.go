package stats

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Time buckets are in UTC: the hour, the day, the ISO 8601 week, the month.
const (
	hour  = "hour"
	day   = "day"
	week  = "week"
	month = "month"
)

var bucketExample = map[string]string{
	hour: "2006-01-02T15:00:00Z", day: "2006-01-02", week: "2006-W01", month: "2006-01",
}

// bucketSQL is the start of the bucket an event falls in, as a Unix time.
func bucketSQL(bucket string) string {
	switch bucket {
	case hour:
		return "toUnixTimestamp(toStartOfHour(occurred_at, 'UTC'))"
	case day:
		return "toUnixTimestamp(toStartOfDay(occurred_at, 'UTC'))"
	case week:
		return "toUnixTimestamp(toDateTime(toMonday(occurred_at, 'UTC'), 'UTC'))"
	case month:
		return "toUnixTimestamp(toDateTime(toStartOfMonth(occurred_at, 'UTC'), 'UTC'))"
	}
	panic("stats: unknown time bucket " + bucket) // New checks them
}

// showBucket writes a bucket, given its start.
func showBucket(bucket string, start time.Time) string {
	switch bucket {
	case hour:
		return start.Format("2006-01-02T15:00:00Z")
	case week:
		year, week := start.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week)
	case month:
		return start.Format("2006-01")
	}
	return start.Format(time.DateOnly)
}

// parseBucket reads what showBucket wrote, and nothing else.
func parseBucket(bucket, s string) (start time.Time, ok bool) {
	var err error
	switch bucket {
	case hour:
		start, err = time.Parse(time.RFC3339, s)
	case month:
		start, err = time.Parse("2006-01", s)
	case week:
		if len(s) != len("2006-W01") || s[4:6] != "-W" {
			return start, false
		}
		var y, w int
		if y, err = strconv.Atoi(s[:4]); err == nil {
			w, err = strconv.Atoi(s[6:])
		}
		// ISO 8601: the week of 4 January is the first.
		start = time.Date(y, 1, 4, 0, 0, 0, 0, time.UTC)
		start = start.AddDate(0, 0, (w-1)*7-(int(start.Weekday())+6)%7)
	default:
		start, err = time.Parse(time.DateOnly, s)
	}
	ok = err == nil && !start.Before(earliest) && start.Before(latest) && showBucket(bucket, start.UTC()) == s
	return start.UTC(), ok
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
