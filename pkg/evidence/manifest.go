package evidence

import (
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/audit"
)

// counted is a manifest and the index of its entry.
type counted struct {
	audit.Manifest
	at int
}

// chain is what the manifests say of the tables.
type chain struct {
	manifests []counted
	// base and last are the indexes of the entries of the first and the last
	// manifest.
	base, last int
	// seen are the partitions that any manifest counted rows of, and left
	// those of the last.
	seen, left map[cell]bool
}

// inventory holds the list of partitions in the bundle to the last manifest. It
// is part of whether the file is intact: the list itself is not in the log.
func (c *checker) inventory() {
	c.seen, c.left = map[cell]bool{}, map[cell]bool{}
	details(c, audit.KindManifest, func(at int, _ entry, m audit.Manifest) {
		c.chain.manifests = append(c.chain.manifests, counted{m, at})
	})
	n := len(c.chain.manifests)
	if n == 0 {
		if len(c.b.Inventory) > 0 {
			c.broken("The bundle lists partitions, and no manifest on record counted any.")
		}
		return
	}
	c.base, c.last = c.chain.manifests[0].at, c.chain.manifests[n-1].at
	last := c.chain.manifests[n-1]
	// The digest is over less than a list can say: what a list is made again
	// without must not be in it.
	if v := audit.NewInventory(c.b.Inventory); !slices.Equal(v, c.b.Inventory) || v.Digest() != last.Inventory {
		c.broken("The list of partitions in the bundle is not the one that the last manifest, %s, counted.", c.entries[last.at])
	}
	for _, p := range c.b.Inventory {
		c.seen[cellOf(p)], c.left[cellOf(p)] = true, true
	}
}

// manifests walks the list of partitions back to what the first manifest found,
// and from there adds up what is on record.
func (c *checker) manifests() {
	if len(c.chain.manifests) == 0 {
		if c.facts.Days > 0 {
			c.problem("No manifest of what the tables hold is on record.")
		} else {
			c.not("What the tables hold: no manifest of them is on record yet.")
		}
		return
	}
	first := c.chain.manifests[0]
	opening, whole := c.walkBack()
	var ledger audit.Ledger
	var wrong []string
	begins := 0
	for i, e := range c.entries {
		sum, err := ledger.Apply(e.Entry)
		if err != nil || sum == nil {
			continue // unreadable entries are a problem already
		}
		c.facts.Manifests++
		if sum.Begins && i != first.at {
			begins++
		}
		for _, w := range sum.Wrong {
			wrong = append(wrong, w.Sentence)
			c.facts.Wrong = append(c.facts.Wrong, Wrong{sum.At, w.Sentence})
		}
		if i == first.at && !sum.Begins && whole {
			ledger.Start(opening)
		}
	}
	if begins > 0 {
		c.problem("The manifests begin anew %s: what was there before cannot be followed.", count(begins, "time", "times"))
	}
	if len(wrong) > 0 {
		c.problem("%s in the manifests %s not add up: rows came, went or moved without a record of it. %s", capital(count(len(wrong), "thing", "things")), doDoes(len(wrong)), someSentences(wrong))
	}
	if !whole && begins == 0 && len(wrong) == 0 {
		c.problem("The list of partitions, walked back by the manifests, is not what the first of them found.")
	}
	n := len(c.chain.manifests)
	last := c.chain.manifests[n-1]
	switch {
	case begins > 0 || len(wrong) > 0 || !whole:
	case n == 1:
		c.proved("The list of %s with %s in this bundle is the one that the only manifest, of %s, counted.",
			count(last.Partitions, "partition", "partitions"), count(last.Rows, "row", "rows"), dayOf(c.entries[last.at].At))
	default:
		c.proved("%s of the tables, from %s to %s, follow from each other for every table and expiry day: what was there, and what came, without what was confirmed removed, is what was found. The last counted %s in %s; they are listed in this bundle.",
			count(n, "manifest", "manifests"), dayOf(c.entries[first.at].At), dayOf(c.entries[last.at].At), count(last.Rows, "row", "rows"), count(last.Partitions, "partition", "partitions"))
	}
}

// walkBack undoes the lines of each manifest, from the list of partitions in
// the bundle to what the first manifest found. It notes every partition that it
// meets. False says that the first manifest found something else.
func (c *checker) walkBack() (audit.Inventory, bool) {
	rows := map[cell]uint64{}
	for _, p := range c.b.Inventory {
		rows[cellOf(p)] = p.Rows
	}
	all := c.chain.manifests
	whole := true
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		for _, l := range m.Lines {
			if i == 0 {
				break // what it opened with was removed before the bundle begins
			}
			id := cell{l.Table, l.Day}
			if l.Opening > 0 || l.Found > 0 {
				c.seen[id] = true
			}
			rows[id] = l.Opening
		}
		if i > 0 && m.Before == "" {
			whole = false // and what was before it is not known
		}
	}
	parts := make([]audit.Partition, 0, len(rows))
	for id, n := range rows {
		parts = append(parts, audit.Partition{Table: id.table, Day: id.day, Rows: n})
	}
	v := audit.NewInventory(parts)
	for _, p := range v {
		c.seen[cellOf(p)] = true
	}
	return v, whole && v.Digest() == all[0].Inventory
}

// someSentences is the first few of many sentences.
func someSentences(all []string) string {
	out := ""
	for i, s := range all {
		if i == enough {
			return out + "And " + number(len(all)-i) + " more."
		}
		out += s + " "
	}
	return out[:len(out)-1]
}

func doDoes(n int) string {
	if n == 1 {
		return "does"
	}
	return "do"
}
