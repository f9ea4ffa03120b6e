package event

import (
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Day is a UTC calendar day, written 2006-01-02. Days order as strings.
type Day string

// Never is the expiry day of rows that say nothing about a person and stay:
// the last day that a ClickHouse Date can hold.
const Never Day = "2149-06-06"

const dayLayout = "2006-01-02"

// DayOf returns the UTC day of an instant.
func DayOf(t time.Time) Day { return Day(t.UTC().Format(dayLayout)) }

// ParseDay reads a day.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(dayLayout, s)
	if err != nil || t.Format(dayLayout) != s {
		return "", fault.Invalid.Errorf("a day is written YYYY-MM-DD")
	}
	return Day(s), nil
}

// Start is the first instant of the day.
func (d Day) Start() time.Time {
	t, _ := time.Parse(dayLayout, string(d))
	return t
}

// End is the first instant after the day.
func (d Day) End() time.Time { return d.Start().AddDate(0, 0, 1) }
