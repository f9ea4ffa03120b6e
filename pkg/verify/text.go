package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// instant is a time as sentences have it.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a length of time as people say it.
func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d hours", int(d/time.Hour))
	default:
		return fmt.Sprintf("%d minutes", int(d/time.Minute))
	}
}

// plural is a number of things.
func plural(n uint64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "y") && !strings.ContainsAny(what[max(0, len(what)-2):len(what)-1], "aeiou"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(what, "y"))
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// plainName is what a table, a stream or a user is called that may be called by
// its name, or the id of a hold: a number, an address, and a file's name with
// its ending are none.
var plainName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,63}|[a-z2-7]{26})$`)

// plain is a name that somebody else chose, if it may be shown. Files are not
// called by their names: see [find].
func plain(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return "(a name that is not shown)"
}

// plainTopics are topics, and names of streams, that may be shown.
func plainTopics(topics []string) []string {
	out := slices.Clone(topics)
	for i, t := range out {
		for part := range strings.SplitSeq(t, ".") {
			if part != "*" && part != ">" && !plainName.MatchString(strings.TrimPrefix(part, "$")) {
				out[i] = plain("")
			}
		}
	}
	return out
}

// A find is a file or directory that somebody may have named after a person.
// What is said of it is enough to find it again.
type find struct {
	dir    string // that it is in, of which the name can be shown
	number int    // its place in there, by name and counted from 1
	bytes  int64
	made   time.Time
}

func (f find) String() string {
	dir := f.dir
	if dir == "." {
		dir = "the directory itself"
	}
	if f.made.IsZero() {
		return fmt.Sprintf("number %d in %s", f.number, dir)
	}
	return fmt.Sprintf("number %d in %s (%s, of %s)", f.number, dir, plural(uint64(f.bytes), "byte"), event.DayOf(f.made))
}

// finds says a few and counts the rest.
func finds(all []find) string {
	said := make([]string, len(all))
	for i, f := range all {
		said[i] = f.String()
	}
	return Some(said) + ", by name"
}

// enough is how many examples a sentence names.
const enough = 5

// Some names the first few of many things and counts the rest, for a sentence.
func Some(things []string) string {
	if len(things) <= enough+1 {
		return strings.Join(things, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(things[:enough], ", "), len(things)-enough)
}

// cutoff is the instant before which nothing that comes under a period may be
// selected at an instant.
func cutoff(p policy.Period, now time.Time) time.Time {
	now = now.UTC()
	today := event.DayOf(now)
	// The first day of which something expires today, and how much of it has.
	first := p.Latest(event.DayOf(today.Start().AddDate(0, 0, -1))).End()
	if event.DayOf(p.After(first)) != today {
		return first
	}
	return first.Add(now.Sub(today.Start()))
}
