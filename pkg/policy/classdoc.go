package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

type classDoc struct {
	Class
	at place
}

// starts are the points in time that a period may run from, and governs the
// stores that a class may rule. ISO/IEC 27555 calls the first a starting point
// and the second a cluster's repository.
var (
	starts  = []string{"collection", "creation", "event", "last_activity", "treatment"}
	governs = []string{"accounts", "audit", "backups", "cells", "events", "key_backups", "quarantine", "raw", "reports"}
)

// promisePattern is a promise's number.
var promisePattern = regexp.MustCompile(`^P[1-9][0-9]?$`)

// classes reads a document whose one name is classes.
func (r *yamlReader) classes(root *yaml.Node) []classDoc {
	at := place{file: r.file, line: root.Line}
	top := r.closed(root, at, "classes")
	e, ok := top["classes"]
	if !ok {
		return nil
	}
	var out []classDoc
	for _, c := range r.open(e.val, e.at, "deletion classes") {
		out = append(out, r.class(c))
	}
	return out
}

func (r *yamlReader) class(e entry) classDoc {
	m := r.closed(e.val, e.at, "cluster", "description", "period", "starts", "lasting", "governs", "promises")
	c := classDoc{at: e.at}
	c.Name = e.name
	c.Cluster = r.need(m, "cluster", e.at)
	c.Description = r.need(m, "description", e.at)
	c.Lasting = r.truth(m, "lasting")
	c.Governs = r.need(m, "governs", e.at)
	if c.Governs != "" && !slices.Contains(governs, c.Governs) {
		r.problems.add(m["governs"].at, "must be one of %s", strings.Join(governs, ", "))
	}
	if (c.Governs == "cells") != (c.Name == CellClass) {
		r.problems.add(e.at, "the class %s, and no other, governs cells", CellClass)
	}
	c.Promises = r.texts(m, "promises")
	for _, p := range c.Promises {
		if !promisePattern.MatchString(p) {
			r.problems.add(m["promises"].at, "a promise is written P1, P2, …")
		}
	}
	if c.Lasting {
		for _, name := range []string{"period", "starts"} {
			if p, ok := m[name]; ok {
				r.problems.add(p.at, "a lasting class has no period and no starting point")
			}
		}
		if c.Governs != "events" && c.Governs != "cells" {
			r.problems.add(e.at, "only events and cells can be lasting")
		}
		return c
	}
	if c.Governs == "cells" {
		r.problems.add(e.at, "cells are lasting: nobody is in them, and what is published cannot be taken back")
	}
	c.Starts = r.need(m, "starts", e.at)
	switch {
	case c.Starts == "":
	case !slices.Contains(starts, c.Starts):
		r.problems.add(m["starts"].at, "must be one of %s", strings.Join(starts, ", "))
	case c.Governs == "events" && c.Starts != "event":
		r.problems.add(m["starts"].at, "the period of a table starts with the event")
	}
	if text := r.need(m, "period", e.at); text != "" {
		p, ok := ParsePeriod(text)
		if !ok {
			r.problems.add(m["period"].at, "must be a length of time such as 30 days, 24 months or 6 years")
		}
		c.Period = p
	}
	return c
}

var periodPattern = regexp.MustCompile(`^([1-9][0-9]{0,4}) (day|week|month|year)s?$`)

// maxPeriod is how long anything that is not lasting may be kept: no rule of
// law that Lethe knows asks for more than 30 years.
const maxPeriod = 30 * 12

// ParsePeriod reads a period as a document and [Period.String] write it: a number
// and a unit.
func ParsePeriod(text string) (Period, bool) {
	m := periodPattern.FindStringSubmatch(text)
	if m == nil {
		return Period{}, false
	}
	n, _ := strconv.Atoi(m[1])
	var p Period
	switch m[2] {
	case "day":
		p.Days = n
	case "week":
		p.Days = 7 * n
	case "month":
		p.Months = n
	case "year":
		p.Months = 12 * n
	}
	return p, p.Months <= maxPeriod && p.Days <= maxPeriod*31
}

// String writes a period the way a document does: "30 days", "24 months",
// "6 years".
func (p Period) String() string {
	n, unit := p.Days, "day"
	switch {
	case p.Months > 24 && p.Months%12 == 0:
		n, unit = p.Months/12, "year"
	case p.Months > 0:
		n, unit = p.Months, "month"
	}
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}

// longestEpoch keeps an epoch within what a time.Duration holds.
const longestEpoch = 100 * 366

// parseEpochs reads the epochs that a pipeline sets itself.
func (doc *epochsDoc) parse(problems *Problems) (length time.Duration, anchor time.Time) {
	if doc.length != "" {
		p, ok := ParsePeriod(doc.length)
		if !ok || p.Months != 0 || p.Days > longestEpoch {
			problems.add(doc.at, "length must be a number of days or weeks")
		}
		length = time.Duration(p.Days) * 24 * time.Hour
	}
	if doc.anchor != "" {
		var err error
		if anchor, err = time.Parse(time.DateOnly, doc.anchor); err != nil {
			if anchor, err = time.Parse(time.RFC3339, doc.anchor); err != nil {
				problems.add(doc.at, "anchor must be a day, YYYY-MM-DD, or an RFC 3339 time")
			}
		}
	}
	return length, anchor.UTC()
}
