package evidence

import (
	"fmt"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// Tolerance is how far an entry's time may lie before that of an entry that
// was recorded earlier: clocks of several processes differ a little, and are
// set right.
const Tolerance = 10 * time.Minute

// An entry is one entry of the bundle and where it stands.
type entry struct {
	audit.Entry
	place Place
}

func (e entry) String() string {
	return fmt.Sprintf("entry %s of %d", number(e.place.Entry), e.place.Year)
}

// read parses the entries, each with the detail that its kind has, and holds
// them to their form.
func (c *checker) read() {
	ids := map[string]entry{}
	var unreadable, repeated, backward []string
	var latest time.Time
	for i, t := range c.b.Trees {
		for j, text := range t.Entries {
			e := entry{place: Place{t.Year, t.From + int64(j)}}
			var err error
			if e.Entry, err = audit.ParseEntry([]byte(text)); err != nil {
				unreadable = append(unreadable, e.String())
			} else {
				if first, ok := ids[e.ID]; ok {
					repeated = append(repeated, fmt.Sprintf("%s as %s", e, first))
				}
				ids[e.ID] = e
				if e.At.Before(latest.Add(-Tolerance)) {
					backward = append(backward, e.String())
				}
				if e.At.After(latest) {
					latest = e.At
				}
				if c.r.From.IsZero() || e.At.Before(c.r.From) {
					c.r.From = e.At
				}
			}
			c.entries = append(c.entries, e)
			if e.place.Entry == 0 {
				var tree audit.Tree
				if !c.detail(e, audit.KindTree, &tree) {
					c.problem("The first entry of %d does not say which tree it begins.", t.Year)
					continue
				}
				c.tie(i, tree)
			}
		}
	}
	c.r.To, c.r.Entries = latest, len(c.entries)
	entries := func(n int) string { return count(n, "entry", "entries") }
	if n := len(unreadable); n > 0 {
		c.problem("The log holds %s that cannot be read: %s.", entries(n), verify.Some(unreadable))
	}
	if n := len(repeated); n > 0 {
		c.problem("The log holds %s a second time: %s.", entries(n), verify.Some(repeated))
	}
	if n := len(backward); n > 0 {
		c.problem("The log holds %s dated more than %s before one that was recorded earlier: %s.", entries(n), period(Tolerance), verify.Some(backward))
	}
}

// detail reads an entry's detail if it is of a kind.
func (c *checker) detail(e entry, kind audit.Kind, into any) bool {
	return e.Kind == kind && jsonv2.Unmarshal(e.Detail, into) == nil
}

// details calls each for every entry of a kind, in order.
func details[T any](c *checker, kind audit.Kind, each func(at int, e entry, detail T)) {
	for i, e := range c.entries {
		var d T
		if c.detail(e, kind, &d) {
			each(i, e, d)
		}
	}
}

// statement looks for the statement on record, and holds the bundle's span to
// it.
func (c *checker) statement() {
	want, found := digest(c.b.Statement), -1
	details(c, audit.KindVerify, func(at int, e entry, v stated) {
		if v.Statement == want && want != "" {
			found = at
		}
	})
	if found < 0 {
		c.broken("The report and the rules in this bundle are not those on record: they were changed, or what was recorded of them was cut off.")
		return
	}
	first := Place{c.b.Trees[0].Year, c.b.Trees[0].From}
	if begins := c.s.Begins; begins != first && (begins.Year != 0 || first.Entry != 0) {
		c.broken("The bundle does not begin with the entry that its statement names: entries were left out at its beginning.")
		return
	}
	c.proved("The report and the rules in this bundle were put on record as %s, on %s, before the bundle was written.", c.entries[found], minute(c.entries[found].At))
}

// period writes a whole number of hours or minutes.
func period(d time.Duration) string {
	if d%time.Hour == 0 {
		return count(int64(d/time.Hour), "hour", "hours")
	}
	return count(int64(d/time.Minute), "minute", "minutes")
}
