package hold

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// TestNoFrameOfACoveredRowIsLeftOut: what coversDay passes over holds no row
// that the hold covers, whatever the rule and however coarse the row's time.
func TestNoFrameOfACoveredRowIsLeftOut(t *testing.T) {
	left := 0
	rapid.Check(t, func(t *rapid.T) {
		at := func(label string) time.Time {
			return time.UnixMilli(rapid.Int64Range(1_500_000_000_000, 2_500_000_000_000).Draw(t, label)).UTC()
		}
		class := &policy.Class{Name: "some"}
		if n := rapid.IntRange(1, 2400).Draw(t, "period"); rapid.Bool().Draw(t, "months") {
			class.Period.Months = n%120 + 1
		} else {
			class.Period.Days = n
		}
		occurred := at("occurred")
		var h Hold
		if rapid.Bool().Draw(t, "from") {
			h.From = occurred.Add(time.Duration(rapid.Int64Range(-100, 100).Draw(t, "since")) * 12 * time.Hour)
		}
		if rapid.Bool().Draw(t, "to") {
			h.To = occurred.Add(time.Duration(rapid.Int64Range(-100, 100).Draw(t, "until")) * 12 * time.Hour)
		}
		row := occurred.Truncate([]time.Duration{time.Millisecond, time.Hour, 24 * time.Hour}[rapid.IntRange(0, 2).Draw(t, "coarse")])
		day := event.DayOf(class.ExpiresAt(occurred))
		switch covered := h.coversDay(class.KeyName(), day); {
		case !covered && h.CoversTime(row):
			t.Fatalf("a frame of %s is left out, with a row that is covered", day)
		case !covered:
			left++
		}
	})
	if left == 0 {
		t.Error("no frame was ever left out")
	}
	if !(Hold{From: time.Now()}).coversDay("no period in this name", "2001-01-01") {
		t.Error("a frame of which nothing is known is left out")
	}
}
