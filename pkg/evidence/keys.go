package evidence

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// Names of keys are those of keyring.KeyInfo: kind, name and period, with
// slashes between: "clean/access-30d/2026-12-21", "raw/acme/2026-11-21T22".
const (
	kindClean      = "clean"
	kindRaw        = "raw"
	kindQuarantine = "quarantine"
	kindEpoch      = "epoch"
	holdPrefix     = "hold-"
	hourLayout     = "2006-01-02T15"
)

func splitKey(key string) (kind, name, period string) {
	kind, rest, _ := strings.Cut(key, "/")
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		return kind, rest[:i], rest[i+1:]
	}
	return kind, rest, ""
}

// expiry is the day by whose end, and the grace, a key must be destroyed, where
// its name and the rules tell.
func (c *checker) expiry(key string) (event.Day, bool) {
	kind, _, at := splitKey(key)
	switch kind {
	case kindClean:
		day, err := event.ParseDay(at)
		return day, err == nil && day != event.Never
	case kindRaw:
		hour, err := time.Parse(hourLayout, at)
		p, ok := c.longest("raw")
		return event.DayOf(p.After(hour)), err == nil && ok
	case kindQuarantine:
		day, err := event.ParseDay(at)
		p, ok := c.longest("quarantine")
		return event.DayOf(p.After(day.End())), err == nil && ok
	case kindEpoch:
		return c.epochExpiry(key)
	}
	return "", false
}

// epochExpiry is the day on which the last row expires that bears a token of a
// key's epoch. Of a domain that the rules do not have any more it is the latest
// that the domain's name allows.
func (c *checker) epochExpiry(key string) (event.Day, bool) {
	_, name, at := splitKey(key)
	epoch, err := strconv.ParseInt(at, 10, 64)
	if err != nil || epoch < firstEpoch || epoch > lastEpoch {
		return "", false
	}
	for _, d := range c.s.Policy.Domains {
		class, ok := c.class(d.Class)
		if d.Name != name || !ok || class.Period == lasting || max(d.Days, d.Bridge) > maxDays || min(d.Days, d.Bridge) < 0 {
			continue
		}
		domain := policy.Domain{Name: d.Name, Anchor: d.Anchor, Length: time.Duration(d.Days) * aDay, Bridge: time.Duration(d.Bridge) * aDay}
		p := policy.Period{Days: class.Days, Months: class.Months}
		return event.DayOf(p.After(domain.EpochEnd(epoch).Add(domain.Bridge))), true
	}
	limit, ok := policy.EpochLimit(name, epoch)
	return event.DayOf(limit.Add(-1)), ok
}

// An epoch's number is its first day, counted from 1970: these bound it to the
// years 1970 to 9000, in which days can be reckoned with.
const firstEpoch, lastEpoch = 0, 2_567_000

// longest is the longest period of the classes that govern something.
func (c *checker) longest(governs string) (policy.Period, bool) {
	var longest policy.Period
	for _, class := range c.s.Policy.Classes {
		p := policy.Period{Days: class.Days, Months: class.Months}
		if class.Governs == governs && p.Longest() > longest.Longest() {
			longest = p
		}
	}
	return longest, longest != policy.Period{}
}

// keys holds every key that was made, and every class and day whose rows
// expired, to the destruction of the key, and destroyed keys to staying so.
func (c *checker) keys() {
	var names, again []string
	made, destroyed := map[string]bool{}, map[string]int{}
	tried := 0
	months := monthly{}
	details(c, audit.KindKey, func(at int, _ entry, k audit.Key) {
		_, ended := destroyed[k.Key]
		switch {
		case k.Key == "":
		case k.Verb == "destroy" && !ended:
			destroyed[k.Key] = at
			months.add(c.clockAt(at), c.keysOf(k.Key), 0)
		case k.Verb == "create" && ended:
			again = append(again, k.Key)
		case k.Verb == "create" && !made[k.Key]:
			made[k.Key] = true
			names = append(names, k.Key)
		case k.Verb != "destroy" && ended:
			tried++
		}
	})
	c.facts.Keys = months.list()
	slices.Sort(names)
	var left, late []string
	for _, key := range names {
		day, known := c.expiry(key)
		if !known || !c.due(day) {
			continue
		}
		if at, ok := destroyed[key]; !ok {
			left = append(left, key)
		} else if c.late(day, at) {
			late = append(late, key)
		}
	}
	c.r.Due.Keys = len(left)
	for key := range destroyed {
		if day, known := c.expiry(key); known && c.due(day) {
			c.r.Due.Keys++
		}
	}
	missing, days := c.unsealed(destroyed)
	if len(again) > 0 {
		c.problem("%s made again after a destruction had been put on record: %s.", capital(wasWere(len(again), "key")), verify.Some(again))
	}
	if len(left) > 0 {
		c.problem("No destruction is on record of %s past rule and grace: %s.", count(len(left), "key", "keys"), verify.Some(left))
	}
	if len(late) > 0 {
		c.problem("%s destroyed later than 24 hours after the end of the expiry day: %s.", capital(wasWere(len(late), "key")), verify.Some(late))
	}
	if len(missing) > 0 {
		c.problem("The key is not on record as destroyed in time for %s whose rows expired: %s.", count(len(missing), "deletion class and day", "deletion classes and days"), verify.Some(missing))
	}
	if n := len(destroyed); n > 0 && len(again)+len(left)+len(late) == 0 {
		c.proved("%s destroyed, as the record says, and none of them made again, among them every key of raw frames, of quarantine, of rows and of tokens that was made in this time and is past its rule.", capital(wasWere(n, "key")))
	}
	if days > 0 && len(missing) == 0 {
		c.proved("For %s whose rows expired, the key is on record as destroyed in time, so that frames of those rows, in logs and in backups, cannot be opened without a copy of it.", count(days, "deletion class and day", "deletion classes and days"))
	}
	if tried > 0 {
		c.not("What came of %s of a key after its destruction was on record: the attempt is recorded, not its outcome. With the key gone it fails.", count(tried, "use", "uses"))
	}
}

// unsealed returns the classes and days whose rows expired without a key of
// theirs having been destroyed in time, and how many there are in all.
func (c *checker) unsealed(destroyed map[string]int) (missing []string, all int) {
	type classDay struct {
		class string
		day   event.Day
	}
	inTime := map[classDay]bool{}
	for key, at := range destroyed {
		kind, name, period := splitKey(key)
		day, err := event.ParseDay(period)
		if kind != kindClean || err != nil || c.late(day, at) {
			continue
		}
		if class, _, _, err := policy.ParseKeyName(name); err == nil {
			inTime[classDay{class, day}] = true
		}
	}
	asked := map[classDay]bool{}
	for _, p := range c.expired {
		class, ok := c.class(c.classOf(p.table))
		id := classDay{class.Name, p.day}
		if !ok || class.Period == lasting || asked[id] {
			continue
		}
		asked[id] = true
		if !inTime[id] {
			missing = append(missing, class.Name+" "+string(p.day))
		}
	}
	return missing, len(asked)
}

// keysOf names the kind of a key, and for clean keys the class.
func (c *checker) keysOf(key string) string {
	kind, name, _ := splitKey(key)
	if kind != kindClean {
		return kind
	}
	if strings.HasPrefix(name, holdPrefix) {
		return "legal hold"
	}
	if class, _, _, err := policy.ParseKeyName(name); err == nil {
		return class
	}
	return kind
}
