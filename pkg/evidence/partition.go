package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// A cell is one partition of a table: the rows of one expiry day.
type cell struct {
	table string
	day   event.Day
}

func (p cell) String() string { return p.table + " " + string(p.day) }

func compareCells(a, b cell) int {
	return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.table, b.table))
}

func cellOf(p audit.Partition) cell { return cell{p.Table, p.Day} }

// gone is the last confirmed removal of a partition.
type gone struct {
	at   int
	rows uint64
}

// removals reads which partitions are confirmed gone, and holds each removal to
// its announcement and its day.
func (c *checker) removals() map[cell]gone {
	announced := map[string]audit.Removal{}
	var short shortening
	out := map[cell]gone{}
	months, files := monthly{}, monthly{}
	var unannounced, early []string
	for i, e := range c.entries {
		var removal audit.Removal
		if c.detail(e, audit.KindRemoval, &removal) {
			announced[removal.ID] = removal
			continue
		}
		var removed audit.Removed
		if !c.detail(e, audit.KindRemoved, &removed) {
			continue
		}
		why, ok := announced[removed.Removal]
		if !ok && i < c.base {
			continue // announced before the bundle begins
		}
		for _, p := range removed.Partitions {
			id := cellOf(p)
			if !slices.ContainsFunc(why.Partitions, func(a audit.Partition) bool { return cellOf(a) == id }) {
				unannounced = append(unannounced, id.String())
				continue
			}
			at := c.clockAt(i)
			switch why.Reason {
			case audit.ReasonExpired:
				if end := p.Day.End(); end.After(at) || end.After(why.Cutoff) {
					early = append(early, id.String())
				}
			case audit.ReasonShortened:
				c.shortened(&short, id, why, i)
			case audit.ReasonFiles:
				files.add(at, p.Table, p.Rows)
				continue
			default: // of a copy, which no manifest counts
				continue
			}
			out[id] = gone{i, p.Rows}
			months.add(at, c.classOf(p.Table), p.Rows)
		}
	}
	c.facts.Removals, c.facts.Files = months.list(), files.list()
	if len(unannounced) > 0 {
		c.problem("%s removed without having been announced on record first: %s.", capital(wasWere(len(unannounced), "partition")), verify.Some(unannounced))
	}
	if len(early) > 0 {
		c.problem("%s removed as expired before the expiry day had ended: %s.", capital(wasWere(len(early), "partition")), verify.Some(early))
	}
	c.tellShortened(short)
	return out
}

func wasWere(n int, what string) string {
	if n == 1 {
		return "1 " + what + " was"
	}
	return number(n) + " " + what + "s were"
}

// classOf is the deletion class of a table; a table that the rules no more name
// stands for itself.
func (c *checker) classOf(table string) string {
	for _, t := range c.s.Policy.Tables {
		if t.Name == table {
			return t.Class
		}
	}
	return "table " + table
}

func (c *checker) class(name string) (Class, bool) {
	for _, class := range c.s.Policy.Classes {
		if class.Name == name {
			return class, true
		}
	}
	return Class{}, false
}

// partitions holds every partition that a manifest counted, and that expired,
// to its removal within the grace.
func (c *checker) partitions() {
	removed := c.removals()
	ids := make([]cell, 0, len(c.seen))
	for id := range c.seen {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, compareCells)
	var left, late []string
	due := map[string]bool{}
	n, rows := 0, uint64(0)
	for _, id := range ids {
		if id.day == event.Never || !c.due(id.day) {
			continue
		}
		c.expired = append(c.expired, id)
		due[c.classOf(id.table)] = true
		g, ok := removed[id]
		switch {
		case !ok, c.left[id] && g.at < c.last:
			left = append(left, id.String())
		case c.late(id.day, g.at):
			late = append(late, id.String())
		default:
			n++
			rows += g.rows
		}
	}
	if len(left) > 0 {
		c.problem("%s past rule and grace, and not on record as confirmed gone: %s.", capital(isAre(len(left), "partition")), verify.Some(left))
	}
	if len(late) > 0 {
		c.problem("%s confirmed gone only later than 24 hours after the end of the expiry day: %s.", capital(wasWere(len(late), "partition")), verify.Some(late))
	}
	c.r.Due.Partitions = len(c.expired)
	if n > 0 && len(left)+len(late) == 0 {
		c.proved("Every partition that was counted and expired by %s (%s, %s) is on record as looked for and gone within 24 hours after the end of its expiry day.",
			minute(c.final), count(n, "partition", "partitions"), count(rows, "row", "rows"))
	}
	var quiet []string
	for _, class := range c.s.Policy.Classes {
		if class.Governs == governsEvents && class.Period != lasting && !due[class.Name] {
			quiet = append(quiet, fmt.Sprintf("%s (%s)", class.Name, class.Period))
		}
	}
	if len(quiet) > 0 && len(c.chain.manifests) > 0 {
		c.not("That rows of these deletion classes are removed, none of which had to be gone in this time: %s.", strings.Join(quiet, ", "))
	}
}
