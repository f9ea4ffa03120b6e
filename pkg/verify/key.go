package verify

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

func (l *look) readKeys() error {
	all, err := l.c.Keys(l.ctx)
	l.keys = all
	return err
}

// tally counts the live keys of one rule.
type tally struct {
	rule  Rule
	first time.Time // earliest deadline
	name  string    // of the key that has it
}

// checkKeys holds every live key to its deadline. Expiry is a key destroyed: a
// key that outlives its rule is everything that it sealed, wherever a copy
// lies.
func (l *look) checkKeys() error {
	tallies := map[string]*tally{}
	var unknown []string
	live := 0
	for _, k := range l.keys {
		if !k.Live() {
			continue
		}
		live++
		if l.c.Audit != nil {
			if at, ok := l.c.Audit.Destroyed(k.ID); ok {
				l.broken(l.promisesOf(k), "key "+k.ID, "was destroyed on %s, as is on record, and is there again: somebody put it back from a copy. Destroy it, and look for the copy", instant(at))
			}
		}
		class, place, due, known := l.keyRule(k)
		if !known {
			unknown = append(unknown, k.ID)
			continue
		}
		id := class.Name + "\x00" + place
		t := tallies[id]
		if t == nil {
			t = &tally{rule: rule(class, place, "keys", l.now)}
			t.rule.Holds = l.coveringClass(class)
			tallies[id] = t
		}
		own := time.Time{}
		if k.Kind == keyring.KindClean {
			own = event.DayOf(k.Start).Start()
		}
		t.add(l, k, l.due(class, due, own))
	}
	for _, id := range sorted(tallies) {
		t := tallies[id]
		l.rules = append(l.rules, t.rule)
		if t.rule.Overdue > 0 {
			l.broken(t.rule.Promises, t.rule.Where, "has %s of class %s that should have been destroyed: what was sealed under them can still be opened, wherever a copy lies. The first, %s, was due on %s",
				plural(t.rule.Overdue, "key"), t.rule.Class, t.name, event.DayOf(t.first))
		}
	}
	if len(unknown) > 0 {
		l.broken(unlisted, "keys", "has %s of no class and no domain that is known, and nothing will destroy them: %s", plural(uint64(len(unknown)), "key"), Some(unknown))
	}
	l.lookedAt("keys", "every key of the keyring, by its name, age and state", len(l.keys))
	return nil
}

func (t *tally) add(l *look, k keyring.KeyInfo, due time.Time) {
	t.rule.Found++
	if made := k.Created; !made.IsZero() && (t.rule.Oldest == nil || made.Before(*t.rule.Oldest)) {
		t.rule.Oldest = &made
	}
	if due.IsZero() {
		return
	}
	if t.first.IsZero() || due.Before(t.first) {
		t.first, t.name = due, k.ID
	}
	t.rule.past(due, l.now)
	switch {
	case l.overdue(due):
		t.rule.Overdue++
		t.rule.Hidden++
	case !due.After(l.now):
		t.rule.Hidden++
	}
}

// keyRule is the class that a key comes under, where, and the instant when it
// is due; zero for one that stays.
func (l *look) keyRule(k keyring.KeyInfo) (class *policy.Class, place string, due time.Time, known bool) {
	switch k.Kind {
	case keyring.KindRaw:
		class = l.governing("raw", true)
		if class == nil {
			return nil, "", time.Time{}, false
		}
		due = class.Period.After(k.Start)
		if treated := l.governing("raw", false); treated != class && l.treated(k) {
			return treated, "keys of treated frames", treated.Period.After(k.Start.Add(time.Hour)), true
		}
		return class, "keys of raw frames", due, true
	case keyring.KindQuarantine:
		if class = l.governing("quarantine", true); class == nil {
			return nil, "", time.Time{}, false
		}
		return class, "keys of quarantined frames", class.Period.After(event.DayOf(k.Start).End()), true
	case keyring.KindClean:
		return l.cleanRule(k)
	case keyring.KindEpoch:
		end, ok := l.c.Policy.EpochExpiry(k.Domain, k.Epoch)
		if !ok {
			return nil, "", time.Time{}, false
		}
		class = l.classOfDomain(k.Domain)
		if class == nil {
			class = &policy.Class{Name: k.Domain, Cluster: "Tokens of an earlier policy", Promises: []string{"P5"}}
		}
		// An epoch ends with a day: what is due at its first instant after is
		// due that day.
		return class, "keys of tokens", end.Add(-time.Nanosecond), true
	case keyring.KindEventID:
		return &policy.Class{Name: "event-id", Cluster: "The key of event ids", Lasting: true, Promises: []string{"P18"}}, "key of event ids", time.Time{}, true
	}
	return nil, "", time.Time{}, false
}

// cleanRule is the rule of a key of clean frames, or of a legal hold's copies.
func (l *look) cleanRule(k keyring.KeyInfo) (*policy.Class, string, time.Time, bool) {
	day := event.DayOf(k.Start)
	if id, ok := hold.KeyHold(k.Class); ok {
		class := &policy.Class{Name: "hold", Cluster: "Copies for legal holds", Promises: []string{"P5"}}
		return class, "keys of copies for legal holds", day.Start(), l.holdNamed(id) != ""
	}
	name, _, _, err := policy.ParseKeyName(k.Class)
	if err != nil {
		return nil, "", time.Time{}, false
	}
	class, ok := l.c.Policy.Class(name)
	if !ok {
		// Its class has left the policy, and its day is its own.
		class = &policy.Class{Name: name, Cluster: "A class of an earlier policy", Promises: []string{"P5"}}
	}
	if day == event.Never {
		return class, "keys of clean frames", time.Time{}, true
	}
	return class, "keys of clean frames", l.c.Policy.KeyExpiry(k.Class, day).Start(), true
}

// treated says whether the frames of a raw key's hour were all treated: none
// waits that may have come in it. A frame is on the log some time after it was
// sealed, by another clock, so the hour after it counts too.
func (l *look) treated(k keyring.KeyInfo) bool {
	return l.c.Streams != nil && (l.untreated.IsZero() || k.Start.Add(2*time.Hour).Before(l.untreated))
}

// governing is the class with the longest, or the shortest, period of those
// that govern a store.
func (l *look) governing(store string, longest bool) *policy.Class {
	var found *policy.Class
	for _, c := range l.c.Policy.Classes() {
		if c.Governs == store && (found == nil || (c.Period.Longest() > found.Period.Longest()) == longest) {
			found = c
		}
	}
	return found
}

// classOfDomain is the class whose tables' tokens a domain holds. Its name
// says so, also of an earlier policy.
func (l *look) classOfDomain(domain string) *policy.Class {
	for _, t := range l.c.Policy.Tables() {
		if t.Domain != nil && t.Domain.Name == domain {
			return t.Class
		}
	}
	_, name, _ := strings.Cut(domain, "/")
	name, _, _ = strings.Cut(name, "@")
	class, _ := l.c.Policy.Class(name)
	return class
}

func (l *look) promisesOf(k keyring.KeyInfo) []string {
	if class, _, _, known := l.keyRule(k); known {
		return append(slices.Clone(class.Promises), "P12")
	}
	return []string{"P5", "P12"}
}

// checkStrays looks for what is in the keyring's directory and should not be.
func (l *look) checkStrays() error {
	const where = "directory of the keyring"
	all, err := l.c.Strays(l.ctx)
	if err != nil {
		return err
	}
	l.lookedAt(where, "every file in it against the keys that the keyring knows", len(all))
	unknown := map[string]uint64{}
	for _, s := range all {
		switch s.Kind {
		case keyring.StrayReturned:
			l.broken(append([]string{"P12"}, secret...), where, "holds the file of key %s, which was destroyed: it was put back from a copy, or its destruction was not finished. Start the keyring again, which finishes it, and look for the copy", s.Key)
		case keyring.StrayUnknown:
			l.broken(secret, where, "holds a file of key %s that this keyring did not write", s.Key)
		case keyring.StrayMissing:
			l.broken(append([]string{"P18"}, secret...), where, "lacks the file of key %s; once the keyring starts again it knows nothing of the key", s.Key)
		default:
			// Below the top there are the keyring's own folders alone.
			dir, _, below := strings.Cut(s.File, "/")
			if !below {
				dir = "."
			}
			unknown[dir]++
		}
	}
	for _, dir := range sorted(unknown) {
		l.broken(secret, where, "holds %s in %s that no keyring has, copies of keys perhaps: the files of a keyring are named after its keys", plural(unknown[dir], "file"), dir)
	}
	return nil
}

// rule begins the rule of a class at a place.
func rule(c *policy.Class, where, unit string, now time.Time) Rule {
	r := Rule{
		Class: c.Name, Cluster: c.Cluster, Period: "stays", Starts: c.Starts,
		Promises: slices.Clone(c.Promises), Where: where, Unit: unit,
	}
	if !c.Lasting && c.Period != (policy.Period{}) {
		r.Period, r.Cutoff = c.Period.String(), cutoff(c.Period, now)
	} else if !c.Lasting {
		r.Period = "its own"
	}
	return r
}

// past says that something of the rule was due at an instant.
func (r *Rule) past(due, now time.Time) {
	if !due.IsZero() {
		r.Late = max(r.Late, int64(now.Sub(due)/time.Second))
	}
}

func sorted[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, cmp.Compare[K])
	return keys
}
