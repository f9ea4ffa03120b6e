package stats_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

func TestABucketReadsBackAsWhatItWasShownAs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := time.Date(1970, 1, 5, 0, 0, 0, 0, time.UTC).AddDate(0, 0, rapid.IntRange(0, 229*365).Draw(t, "day"))
		monday := day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		first := time.Date(day.Year(), day.Month(), 1, 0, 0, 0, 0, time.UTC)
		for bucket, start := range map[string]time.Time{
			"hour": day.Add(time.Duration(rapid.IntRange(0, 23).Draw(t, "hour")) * time.Hour),
			"day":  day, "week": monday, "month": first,
		} {
			shown := stats.ShowBucket(bucket, start)
			got, ok := stats.ParseBucket(bucket, shown)
			if !ok || !got.Equal(start) {
				t.Errorf("%s %s reads back as %v, %v", bucket, shown, got, ok)
			}
		}
	})
}

func TestOnlyABucketAsShownIsRead(t *testing.T) {
	for _, s := range []string{"", "2026", "2026-W00", "2026-W54", "2025-W53", "2026-W1", "2026-w01", "02026-W1", "2026-W-1",
		"2026-1", "2026-13", "2026-02-30", "2026-03-01T12:30:00Z", "2026-03-01T12:00:00+01:00", "2026-03-01T12:00:00.1Z",
		"1969-12-31", "9999-W01", "2200-01"} {
		for _, bucket := range []string{"hour", "day", "week", "month"} {
			if start, ok := stats.ParseBucket(bucket, s); ok {
				t.Errorf("%q is read as the %s from %v", s, bucket, start)
			}
		}
	}
	if start, ok := stats.ParseBucket("week", "2026-W53"); !ok || !start.Equal(time.Date(2026, 12, 28, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("2026-W53 begins %v, %v", start, ok)
	}
}

func TestAMetricThatWouldNameSomebodyIsRefused(t *testing.T) {
	table := &policy.Table{Name: "t", Columns: []policy.Column{
		{Name: "who", Kind: event.Token}, {Name: "what", Kind: event.String}, {Name: "weight", Kind: event.Float, Nullable: true},
	}}
	good := policy.Metric{Name: "m", Table: table, Value: policy.Count, Subject: "who", K: 11}
	if err := stats.CheckMetric(&good); err != nil {
		t.Fatal(err) // the control
	}
	for want, change := range map[string]func(*policy.Metric){
		"no subject":      func(m *policy.Metric) { m.Subject = "" },
		"not a token":     func(m *policy.Metric) { m.Subject = "what" },
		"about one":       func(m *policy.Metric) { m.K = 1 },
		"no column":       func(m *policy.Metric) { m.Dimensions = []policy.Dimension{{Name: "who", Column: "who"}} },
		"no column ":      func(m *policy.Metric) { m.Dimensions = []policy.Dimension{{Name: "weight", Column: "weight"}} },
		"no bucket":       func(m *policy.Metric) { m.Dimensions = []policy.Dimension{{Name: "second", Bucket: "second"}} },
		"no column  ":     func(m *policy.Metric) { m.Where = []policy.Condition{{Column: "who", In: []string{""}}} },
		"has no subject ": func(m *policy.Metric) { m.Subject, m.Public, m.Value = "", true, policy.Distinct },
	} {
		m := good
		change(&m)
		if err := stats.CheckMetric(&m); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%s: %v", strings.TrimSpace(want), err)
		}
	}
}
