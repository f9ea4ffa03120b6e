package cell

import (
	"maps"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A place is one service of one tenant. No cell is of more.
type place struct{ tenant, service string }

// A pace says when something that changed is to be looked at. What it knows is
// of this process alone and only saves work: all of it is found again in the
// warehouse.
type pace struct {
	seq   uint64 // highest sequence of a row that came
	fresh int64  // rows that came since it was looked at
	need  int64  // rows without which another look changes nothing

	waits          bool          // to be looked at
	changed, since time.Duration // when the last and the first of them came
	looked, took   time.Duration // the last look
}

const (
	// noQuiet is for how long a settling place is waited for.
	noQuiet = 30 * time.Second
	// Looks that take long are made seldom: no more than one part in rest of
	// the time is spent on each. What takes less than brief is not counted.
	rest  = 20
	brief = 250 * time.Millisecond
)

// A patience is for how long is waited.
type patience struct{ settle, brief time.Duration }

func (c *pace) came(at time.Duration, seq uint64, rows int64) {
	c.seq, c.fresh, c.changed = max(c.seq, seq), c.fresh+rows, at
	if !c.waits {
		c.waits, c.since = true, at
	}
}

// again has it looked at once more, though no row came.
func (c *pace) again() { c.waits, c.need = true, 0 }

// willBe says whether it is to be looked at without another row.
func (c *pace) willBe() bool { return c.waits && c.fresh >= c.need }

func (c *pace) due(at time.Duration, p patience) bool {
	return c.willBe() && (at-c.changed >= p.settle || at-c.since >= noQuiet) &&
		(c.took < p.brief || at-c.looked >= rest*c.took)
}

func (c *pace) lookedAt(began, ended time.Duration, need int64) {
	c.waits, c.fresh, c.need, c.looked, c.took = false, 0, need, ended, ended-began
}

// A book is what is known of one unit at one place.
type book struct {
	*unit
	place
	days    map[string]*dayBook    // additive: days of which rows wait
	windows map[window]*windowBook // distinct: buckets that may gain subjects
	now     *pace                  // current

	pooled bool // the remainders were looked at since a day was weighed
}

type dayBook struct {
	pace
	weight
	weighed bool
	open    bool // when it was weighed
}

type windowBook struct {
	pace
	open bool // when it was looked at
	held bool // a number was held back
}

func newBook(u *unit, at place) *book {
	b := &book{unit: u, place: at, pooled: true}
	switch u.lead().Value {
	case policy.Distinct:
		b.windows = map[window]*windowBook{}
	case policy.Current:
		b.now = &pace{}
	default:
		b.days = map[string]*dayBook{}
	}
	return b
}

// came takes note of rows of a day. Today is that of the unit's zone.
func (b *book) came(at time.Duration, day, today string, seq uint64, rows int64) {
	switch b.lead().Value {
	case policy.Distinct:
		for _, w := range b.windowsOf(day, today) {
			if b.windows[w] == nil {
				b.windows[w] = &windowBook{}
			}
			b.windows[w].came(at, seq, rows)
		}
	case policy.Current:
		b.now.came(at, seq, rows)
	default:
		if b.days[day] == nil {
			b.days[day] = &dayBook{}
		}
		b.days[day].came(at, seq, rows)
	}
}

// windowsOf are the buckets that a day lies in. Trailing ones are of today and
// of the day before alone.
func (b *book) windowsOf(day, today string) []window {
	var out []window
	for _, kind := range b.lead().Buckets {
		if !trailing(kind) {
			out = append(out, windowOf(kind, day))
			continue
		}
		for _, last := range []string{today, addDays(today, -1)} {
			if w := windowOf(kind, last); w.holds(day) {
				out = append(out, w)
			}
		}
	}
	return out
}

// turn follows the days: what was open and is over is looked at anew, trailing
// buckets of today begin, and what can hold no row any more is forgotten.
func (b *book) turn(at time.Duration, today string, now time.Time) {
	if b.now != nil {
		b.now.again()
	}
	for d, s := range b.days {
		if s.open && d < today {
			s.again()
		}
		if t := b.table.Class; !t.Lasting && t.ExpiresAt(dateOf(d).Add(2*day)).Before(now) {
			delete(b.days, d)
		}
	}
	for w, s := range b.windows {
		switch {
		case trailing(w.bucket) && w.last < addDays(today, -1):
			delete(b.windows, w)
		case s.open && w.last < today:
			s.again()
		}
	}
	for _, kind := range b.lead().Buckets {
		for _, last := range []string{today, addDays(today, -1)} {
			if w := windowOf(kind, last); trailing(kind) && b.windows[w] == nil {
				b.windows[w] = &windowBook{pace: pace{waits: true, changed: at, since: at}}
			}
		}
	}
}

// due says whether anything is to be looked at.
func (b *book) due(at time.Duration, p patience) bool {
	for _, s := range b.days {
		if s.due(at, p) {
			return true
		}
	}
	for _, s := range b.windows {
		if s.due(at, p) {
			return true
		}
	}
	return b.now != nil && b.now.due(at, p) || len(b.days) > 0 && !b.pooled
}

// oldest is since when something waits that will be looked at without another
// row; forever where nothing does.
func (b *book) oldest() time.Duration {
	oldest := forever
	at := func(s *pace) {
		if s.willBe() {
			oldest = min(oldest, s.since)
		}
	}
	for _, s := range b.days {
		at(&s.pace)
	}
	for _, s := range b.windows {
		at(&s.pace)
	}
	if b.now != nil {
		at(b.now)
	}
	if len(b.days) > 0 && !b.pooled {
		return 0
	}
	return oldest
}

func (b *book) earliest() string { return slices.Min(slices.Collect(maps.Keys(b.days))) }

// remainders are the days that are over and were found to have too few, in
// order, by month: whole months of which nothing is still to be weighed.
func (b *book) remainders(today string) [][]string {
	by := map[string][]string{}
	skip := map[string]bool{}
	for d, s := range b.days {
		switch {
		case d >= today:
		case s.waits:
			skip[month(d)] = true
		case s.weighed && s.rows > 0:
			by[month(d)] = append(by[month(d)], d)
		}
	}
	var out [][]string
	for _, m := range slices.Sorted(maps.Keys(by)) {
		if !skip[m] {
			slices.Sort(by[m])
			out = append(out, by[m])
		}
	}
	return out
}

// settled says what became of days whose cells were to be published: done, and
// all that waited is in them; or not, and it is cut again.
func (b *book) settled(done bool, days ...string) {
	for _, d := range days {
		switch s := b.days[d]; {
		case s == nil:
		case !done:
			s.again()
		case !s.waits: // nothing came since
			delete(b.days, d)
		}
	}
}
