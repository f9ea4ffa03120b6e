package policy_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

func TestAKeysNameCarriesThePeriod(t *testing.T) {
	pol := builtin(t)
	want := map[string]string{
		"access": "access-30d", "app_log": "app_log-90d", "activation": "activation-24m",
		"login": "login-12m", "admin_audit": "admin_audit-6y", "lasting": "lasting",
	}
	for class, name := range want {
		c, ok := pol.Class(class)
		if !ok || c.KeyName() != name {
			t.Errorf("keys of %s are not named %s", class, name)
			continue
		}
		back, period, lasting, err := policy.ParseKeyName(name)
		if err != nil || back != class || period != c.Period || lasting != c.Lasting {
			t.Errorf("%s is read as %s %v %v, %v", name, back, period, lasting, err)
		}
	}
	for _, bad := range []string{"", "-30d", "access-", "access-030d", "access-30", "access-2y", "access-36m", "access-30d-30d", "Access-30d", "a.b-30d", "access-0d", "access-30w"} {
		if _, _, _, err := policy.ParseKeyName(bad); err == nil {
			t.Errorf("%q is read as the name of a key", bad)
		}
	}
}

// period draws one of either kind.
func period(t *rapid.T, label string) policy.Period {
	if rapid.Bool().Draw(t, label+" in months") {
		return policy.Period{Months: rapid.IntRange(1, 100).Draw(t, label)}
	}
	return policy.Period{Days: rapid.IntRange(1, 3000).Draw(t, label)}
}

// instant draws a time, with month ends and the days beside them often.
func instant(t *rapid.T) time.Time {
	year, month := rapid.IntRange(1970, 2110).Draw(t, "year"), rapid.IntRange(1, 12).Draw(t, "month")
	day := rapid.OneOf(rapid.IntRange(1, 31), rapid.SampledFrom([]int{0, 1, 2, 28, 29, 30, 31})).Draw(t, "day")
	ms := rapid.OneOf(rapid.SampledFrom([]int{0, 1, 86_399_999}), rapid.IntRange(0, 86_399_999)).Draw(t, "ms")
	return time.Date(year, time.Month(month), day, 0, 0, 0, ms*1_000_000, time.UTC)
}

func TestLatestIsTheLastDayThatAPeriodEndsBy(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, at := period(t, "period"), instant(t)
		day := event.DayOf(p.After(at).AddDate(0, 0, rapid.IntRange(-3, 3).Draw(t, "off")))
		if got, want := event.DayOf(at) <= p.Latest(day), event.DayOf(p.After(at)) <= day; got != want {
			t.Fatalf("%v after %v is %v, and the latest day for %s is %s", p, at, p.After(at), day, p.Latest(day))
		}
	})
}

// withPeriod is a policy whose class access has another period.
func withPeriod(p policy.Period) *policy.Policy {
	return policy.OfClasses(&policy.Class{Name: "access", Period: p, Governs: "events", Starts: "event"})
}

func TestNothingOutlivesTheKeyAndNoKeyDiesBeforeItsRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, old, now := instant(t), period(t, "old"), period(t, "new")
		before := &policy.Class{Name: "access", Period: old}
		sealed := event.DayOf(old.After(o))
		day := withPeriod(now).KeyExpiry(before.KeyName(), sealed)
		if day > sealed {
			t.Fatalf("a key of %s lives until %s", sealed, day)
		}
		if old == now && day != sealed {
			t.Fatalf("the same period moves %s to %s", sealed, day)
		}
		if expires := min(event.DayOf(now.After(o)), sealed); expires > day {
			t.Fatalf("a row of %v expires on %s, its key on %s", o, expires, day)
		}
		// No looser than it must be: the last day that the key can hold rows
		// of is what decides.
		if last := old.Latest(sealed).Start(); old != now && day != min(sealed, event.DayOf(now.After(last))) {
			t.Fatalf("the key lives until %s", day)
		}
	})
}

func TestAKeyThatTellsNoPeriodKeepsItsDay(t *testing.T) {
	pol := withPeriod(policy.Period{Days: 7})
	const day = event.Day("2026-12-21")
	for name, want := range map[string]event.Day{
		"access-30d": "2026-11-28", "access-7d": day, "access-3d": day, // longer: later events only
		"access": day, "unknown-30d": day, "no name": day,
	} {
		if got := pol.KeyExpiry(name, day); got != want {
			t.Errorf("what is sealed under %s for %s expires on %s, want %s", name, day, got, want)
		}
	}
	if got := pol.KeyExpiry("access-30d", event.Never); got != event.Never {
		t.Errorf("what never expires expires on %s", got)
	}
	lasting := policy.OfClasses(&policy.Class{Name: "access", Lasting: true})
	if got := lasting.KeyExpiry("access-30d", day); got != day {
		t.Errorf("a class that became lasting moves its keys to %s", got)
	}
}
