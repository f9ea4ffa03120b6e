package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/folder"
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

// plain is a name that somebody else chose, if it may be shown.
func plain(name string) string {
	if folder.PlainName(name) && name != "" {
		return name
	}
	return "(a name that is not shown)"
}

// some names a few things and counts the rest.
func some(names []string) string {
	const shown = 5
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
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
