package stats_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

func TestABucketReadsBackAsWhatItWasShownAs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 229*365).Draw(t, "day"))
		monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		for bucket, w := range map[policy.Bucket]struct {
			held        string
			first, last time.Time
		}{
			policy.Day:        {day.Format(time.DateOnly), day, day},
			policy.Week:       {monday.Format(time.DateOnly), monday, monday.AddDate(0, 0, 6)},
			policy.Month:      {day.Format("2006-01"), day.AddDate(0, 0, 1-day.Day()), time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC)},
			policy.Trailing7:  {day.Format(time.DateOnly), day.AddDate(0, 0, -6), day},
			policy.Trailing30: {day.Format(time.DateOnly), day.AddDate(0, 0, -29), day},
		} {
			shown := stats.ShowBucket(bucket, w.held)
			got, ok := stats.ParseBucket(bucket, shown)
			first, last := got.Days()
			if !ok || first != w.first.Format(time.DateOnly) || last != w.last.Format(time.DateOnly) {
				t.Errorf("%s %s reads back as %s to %s, %v", bucket, shown, first, last, ok)
			}
		}
	})
}

func TestOnlyABucketAsShownIsRead(t *testing.T) {
	for _, s := range []string{"", "2026", "2026-W00", "2026-W54", "2025-W53", "2026-W1", "2026-w01", "02026-W1", "2026-W-1",
		"2026-1", "2026-13", "2026-02-30", "2026-03-01T12:00:00Z", "1969-12-31", "9999-W01", "2200-01"} {
		for _, bucket := range policy.Buckets() {
			if w, ok := stats.ParseBucket(bucket, s); ok {
				first, _ := w.Days()
				t.Errorf("%q is read as the %s from %s", s, bucket, first)
			}
		}
	}
	w, ok := stats.ParseBucket(policy.Week, "2026-W53")
	if first, last := w.Days(); !ok || first != "2026-12-28" || last != "2027-01-03" {
		t.Errorf("2026-W53 is %s to %s, %v", first, last, ok)
	}
}

// TestEveryDayBeginsOnce walks through days on which clocks are set, at
// midnight, at one o'clock and by a whole day.
func TestEveryDayBeginsOnce(t *testing.T) {
	for zone, days := range map[string][]string{
		"UTC": {"2026-03-29"}, "Europe/Berlin": {"2026-03-29", "2026-10-25"}, "Africa/Cairo": {"2026-04-24", "2026-10-30"},
		"America/Havana": {"2026-03-08", "2026-11-01"}, "America/Sao_Paulo": {"2018-11-04", "2019-02-17"},
		"Asia/Kathmandu": {"2026-01-01"}, "Pacific/Kiritimati": {"2026-01-01"}, "Pacific/Apia": {"2011-12-29", "2011-12-31"},
	} {
		where, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range days {
			at := stats.BeginningOf(day(d), where)
			if got, ok := stats.DayBeginning(at, where); !ok || got != d {
				t.Errorf("%s of %s begins at %s, which is in %s, %v", d, zone, at, got, ok)
			}
			for _, beside := range []time.Duration{-1, 1, time.Hour, -time.Hour} {
				if _, ok := stats.DayBeginning(at.Add(beside), where); ok {
					t.Errorf("a day of %s begins %s beside where %s does", zone, beside, d)
				}
			}
		}
	}
}
