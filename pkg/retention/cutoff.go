package retention

import (
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// ended says whether an expiry day is over. Lasting rows have a day that never
// is.
func ended(day event.Day, now time.Time) bool {
	return day != event.Never && !day.End().After(now)
}

// lastEnded is the last UTC day that is over.
func lastEnded(now time.Time) event.Day { return event.DayOf(now.UTC().AddDate(0, 0, -1)) }

// late says whether something that was due at the end of a UTC day, or since a
// later instant, has waited for all of its grace but the last hour.
func late(due event.Day, since, now time.Time) bool {
	begin := due.End()
	if since.After(begin) {
		begin = since
	}
	return !now.Before(begin.Add(policy.Grace - lastHour))
}

// period is the longest rule of the classes that govern a store.
func (r *Retention) period(governs string) (longest policy.Period, ok bool) {
	for _, c := range r.c.Policy.Classes() {
		if c.Governs == governs && c.Period.Longest() > longest.Longest() {
			longest, ok = c.Period, true
		}
	}
	return longest, ok
}

// treatedPeriod is how old a raw hour is when its key is destroyed once it is
// treated.
func (r *Retention) treatedPeriod() policy.Period {
	for _, c := range r.c.Policy.Classes() {
		if c.Governs == "raw" && c.Starts == "treatment" {
			return c.Period
		}
	}
	return policy.Period{Days: 3}
}
