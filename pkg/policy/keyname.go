package policy

import (
	"regexp"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// KeyName is the name under which the clean keys of a class are made:
// "access-30d", "activation-24m", "admin_audit-6y", and "lasting" for a class
// without a period. It carries the period, so that what is sealed for one
// expiry day under an earlier rule is told from what is sealed under this one:
// the two days of occurrence are far apart, and a shorter rule ends the earlier
// key early.
func (c *Class) KeyName() string {
	if c.Lasting {
		return c.Name
	}
	return c.Name + "-" + c.Period.short()
}

// short writes a period in one word: 30d, 24m, 6y. Equal periods have equal
// words.
func (p Period) short() string {
	switch {
	case p.Months > 24 && p.Months%12 == 0:
		return strconv.Itoa(p.Months/12) + "y"
	case p.Months > 0:
		return strconv.Itoa(p.Months) + "m"
	}
	return strconv.Itoa(p.Days) + "d"
}

var keyNamePattern = regexp.MustCompile(`^([a-z][a-z0-9_]{0,47})(?:-([1-9][0-9]{0,4})([dmy]))?$`)

// ParseKeyName reads what [Class.KeyName] wrote. A name without a period is
// that of a lasting class, or of a key that was made before names carried one:
// its period is zero and lasting is true. Anything that KeyName does not write
// is [fault.Invalid].
func ParseKeyName(name string) (class string, period Period, lasting bool, err error) {
	m := keyNamePattern.FindStringSubmatch(name)
	if m == nil {
		return "", Period{}, false, fault.Invalid.Errorf("that is not the name of a clean key")
	}
	if m[2] == "" {
		return m[1], Period{}, true, nil
	}
	n, _ := strconv.Atoi(m[2])
	switch m[3] {
	case "d":
		period.Days = n
	case "m":
		period.Months = n
	case "y":
		period.Months = 12 * n
	}
	if period.short() != m[2]+m[3] {
		return "", Period{}, false, fault.Invalid.Errorf("that is not the name of a clean key")
	}
	return m[1], period, false, nil
}

// Latest is the last UTC day on which something can have occurred that a rule
// of this period ends on the given day or before: for every instant o,
// DayOf(p.After(o)) ≤ day exactly when DayOf(o) ≤ p.Latest(day).
func (p Period) Latest(day event.Day) event.Day {
	t := day.Start()
	if p.Months == 0 {
		return event.DayOf(t.AddDate(0, 0, -p.Days))
	}
	// After keeps the day of the month or clamps it to the month's last. So
	// the last day of a month answers to the last day of the other, and so
	// does a day that the other month does not have.
	last := time.Date(t.Year(), t.Month()-time.Month(p.Months)+1, 0, 0, 0, 0, 0, time.UTC)
	if t.AddDate(0, 0, 1).Month() != t.Month() || t.Day() > last.Day() {
		return event.DayOf(last)
	}
	return event.DayOf(last.AddDate(0, 0, t.Day()-last.Day()))
}

// Grace is how long after the end of its UTC expiry day something may still be
// on disk. Nobody can select it then.
const Grace = 24 * time.Hour

// Cutoff is the instant before which everything is past a rule of this period
// whose UTC expiry day has ended: what occurred before it may not be on disk
// any more.
func (p Period) Cutoff(now time.Time) time.Time {
	return p.Latest(event.DayOf(now.UTC().AddDate(0, 0, -1))).End()
}

// KeyExpiry is the expiry day of what is sealed under a clean key, by this
// policy: the key's own day, or an earlier one where the class's period is
// shorter than the one in the key's name. Every row sealed there has expired
// when the day it returns has ended; none of a period that stayed the same
// expires earlier than it did. A longer period changes nothing: it is for later
// events only. Keys of a class that this policy does not have, of a lasting one
// and of a name without a period keep their day.
func (p *Policy) KeyExpiry(keyName string, day event.Day) event.Day {
	name, old, lasting, err := ParseKeyName(keyName)
	if err != nil || lasting || day == event.Never {
		return day
	}
	class, ok := p.Class(name)
	if !ok || class.Lasting || class.Period == old {
		return day
	}
	return min(day, event.DayOf(class.Period.After(old.Latest(day).Start())))
}
