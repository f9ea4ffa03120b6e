package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The reasons of a [Removal]. The first two are of rows that the manifests
// count; the others are on record and enter no sum.
const (
	// ReasonExpired: the expiry day has ended.
	ReasonExpired = "expired"
	// ReasonShortened: the rows are past a rule that became shorter than it
	// was when they came. Cutoff says which rows.
	ReasonShortened = "shortened"
	// ReasonCopy: an expired partition of the copy that a rebuild is making.
	ReasonCopy = "copy"
	// ReasonFiles: entries of a folder. Table names the folder, Day is the UTC
	// day they were made, and Rows counts the entries.
	ReasonFiles = "files"
)

// place is one partition.
type place struct {
	table string
	day   event.Day
}

func compare(a, b place) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.day, b.day)) }

// A Ledger adds up what is on record about the tables. It takes entries in
// order, and says of each manifest whether it follows from the one before: what
// was there, and what came in, without what was removed, must be what is there.
//
// A removal counts when it is confirmed, and with what the confirmation says
// is gone. A partition that is announced again was not removed when it was
// announced before: that announcement can be confirmed no longer, so nothing
// counts twice.
//
// A Ledger belongs to one goroutine. The zero Ledger is one that knows nothing
// of what was before its first entry: it takes the first manifest as it is.
type Ledger struct {
	last    *Manifest
	pending map[place]Pending
	removed map[place]Partition
	// dropped are those of removed of which a whole day went.
	dropped map[place]bool
	// have is what the partitions held at the last manifest. Where it is not
	// whole, those that no line has named are not in it.
	have  map[place]uint64
	whole bool
	// follows says that every removal since the last manifest was seen.
	follows bool
}

// Pending is one partition of a removal that was announced and not confirmed.
type Pending struct {
	Removal   Removal
	Partition Partition
}

// A Sum is what a [Ledger] says of a manifest.
type Sum struct {
	At       time.Time
	Manifest Manifest
	// Begins says that the manifest continues no other: it is the first, or
	// the inventory of the one before was lost.
	Begins bool
	// Wrong is what does not add up; empty when all does.
	Wrong []Wrong
}

// Wrong is one thing in a manifest that does not add up. Table is empty for the
// manifest as a whole.
type Wrong struct {
	Table    string
	Day      event.Day
	Sentence string
}

// Start makes the ledger begin with an inventory: what the tables held at the
// last manifest before the first entry.
func (l *Ledger) Start(v Inventory) {
	l.have, l.whole, l.follows = map[place]uint64{}, true, true
	for _, p := range v {
		l.have[place{p.Table, p.Day}] = p.Rows
	}
}

// Apply takes the next entry. For a manifest it says whether it adds up, for
// entries of other kinds nil. A detail that cannot be read is [fault.Corrupt].
func (l *Ledger) Apply(e Entry) (*Sum, error) {
	read := func(into any) error {
		if json.Unmarshal(e.Detail, into) != nil {
			return fault.Corrupt.Errorf("an entry of kind %s is not readable", e.Kind)
		}
		return nil
	}
	switch e.Kind {
	case KindRemoval:
		var r Removal
		if err := read(&r); err != nil {
			return nil, err
		}
		l.announce(r)
	case KindRemoved:
		var r Removed
		if err := read(&r); err != nil {
			return nil, err
		}
		l.confirm(r)
	case KindManifest:
		var m Manifest
		if err := read(&m); err != nil {
			return nil, err
		}
		return l.manifest(e.At, m), nil
	}
	return nil, nil
}

func (l *Ledger) announce(r Removal) {
	if r.Reason != ReasonExpired && r.Reason != ReasonShortened {
		return
	}
	if l.pending == nil {
		l.pending = map[place]Pending{}
	}
	header := r
	header.Partitions = nil
	for _, p := range r.Partitions {
		l.pending[place{p.Table, p.Day}] = Pending{header, p}
	}
}

func (l *Ledger) confirm(r Removed) {
	for _, p := range r.Partitions {
		at := place{p.Table, p.Day}
		said, ok := l.pending[at]
		if !ok || said.Removal.ID != r.Removal {
			continue
		}
		delete(l.pending, at)
		if l.removed == nil {
			l.removed, l.dropped = map[place]Partition{}, map[place]bool{}
		}
		l.dropped[at] = l.dropped[at] || said.Removal.Reason == ReasonExpired
		sum := l.removed[at]
		l.removed[at] = Partition{
			Table: p.Table, Day: p.Day,
			Rows: sum.Rows + min(p.Rows, said.Partition.Rows),
			New:  sum.New + min(p.New, said.Partition.New),
		}
	}
}

// Pending lists what was announced since the last manifest and not confirmed,
// by table and day.
func (l *Ledger) Pending() []Pending {
	var out []Pending
	for _, at := range slices.SortedFunc(maps.Keys(l.pending), compare) {
		out = append(out, l.pending[at])
	}
	return out
}

// Last is the last manifest, nil before the first.
func (l *Ledger) Last() *Manifest { return l.last }

// Removed says what was confirmed since the last manifest, by table and day.
func (l *Ledger) Removed() []Partition {
	var out []Partition
	for _, at := range slices.SortedFunc(maps.Keys(l.removed), compare) {
		out = append(out, l.removed[at])
	}
	return out
}

// Dropped says whether the removal of an expiry day that had ended was confirmed
// since the last manifest.
func (l *Ledger) Dropped(table string, day event.Day) bool { return l.dropped[place{table, day}] }

// Next makes the lines of the manifest that follows: before is the inventory of
// the last, found what is there, each partition with what came in since then and
// is in no removal. Partitions that did not change and add up have no line.
func (l *Ledger) Next(before Inventory, found []Partition) []Line {
	all := map[place]*Line{}
	line := func(table string, day event.Day) *Line {
		at := place{table, day}
		if all[at] == nil {
			all[at] = &Line{Table: table, Day: day}
		}
		return all[at]
	}
	for _, p := range before {
		line(p.Table, p.Day).Opening = p.Rows
	}
	for _, p := range l.removed {
		n := line(p.Table, p.Day)
		n.In, n.Removed = p.New, p.Rows
	}
	for _, p := range found {
		n := line(p.Table, p.Day)
		n.In += p.New
		n.Found = p.Rows
	}
	out := []Line{}
	for _, at := range slices.SortedFunc(maps.Keys(all), compare) {
		if n := *all[at]; n.In != 0 || n.Removed != 0 || !n.AddsUp() {
			out = append(out, n)
		}
	}
	return out
}

func (l *Ledger) manifest(at time.Time, m Manifest) *Sum {
	s := &Sum{At: at, Manifest: m, Begins: m.Before == ""}
	wrong := func(table string, day event.Day, format string, args ...any) {
		s.Wrong = append(s.Wrong, Wrong{table, day, fmt.Sprintf(format, args...)})
	}
	switch {
	case s.Begins:
		// A chain that begins without lines is one whose lines would be too
		// many: what it counts from is known by digest alone.
		l.have, l.whole, l.removed, l.follows = map[place]uint64{}, len(m.Lines) > 0 || m.Partitions == 0, nil, false
	case l.last == nil: // the first that is seen, and not the first that is
		if l.have == nil {
			l.have = map[place]uint64{}
		}
	case m.Before != l.last.Inventory:
		wrong("", "", "The manifest continues another one than the manifest before it.")
	case m.Since != l.last.Floor:
		wrong("", "", "The manifest counts from sequence %d, and the one before it ends at %d.", m.Since, l.last.Floor)
	}
	if !s.Begins && l.last != nil && l.last.Arrived != "" && m.Arrived == "" {
		wrong("", "", "The manifest counts what came in in the tables themselves, although the one before it had the loader's word for that: what came and went in between is not known.")
	}
	if m.Floor < m.Since {
		wrong("", "", "The manifest ends at sequence %d, before it begins at %d.", m.Floor, m.Since)
	}
	l.lines(m, wrong)
	l.totals(m, wrong)
	l.last, l.removed, l.dropped, l.pending, l.follows = &m, nil, nil, nil, true
	return s
}

// lines holds each line to itself, to what the manifest before found, and to
// the removals that were confirmed since.
func (l *Ledger) lines(m Manifest, wrong func(string, event.Day, string, ...any)) {
	named := map[place]bool{}
	for _, n := range m.Lines {
		at := place{n.Table, n.Day}
		if named[at] {
			wrong(n.Table, n.Day, "Table %s, expiry day %s: the manifest lists it twice.", n.Table, n.Day)
		}
		named[at] = true
		opening, known := l.have[at]
		if (known || l.whole) && opening != n.Opening {
			wrong(n.Table, n.Day, "Table %s, expiry day %s: the manifest opens with %d rows, and the one before it found %d.", n.Table, n.Day, n.Opening, opening)
		}
		if r := l.removed[at]; l.follows && (r.Rows != n.Removed || r.New > n.In) {
			wrong(n.Table, n.Day, "Table %s, expiry day %s: the manifest counts %d rows as removed, and %d were removed on record.", n.Table, n.Day, n.Removed, r.Rows)
		}
		if !n.AddsUp() {
			wrong(n.Table, n.Day, "Table %s, expiry day %s: %d rows were there, %d came in and %d were removed on record; that leaves %d, and %d are there.",
				n.Table, n.Day, n.Opening, n.In, n.Removed, int64(n.Opening+n.In-n.Removed), n.Found)
		}
		if n.Found > 0 {
			l.have[at] = n.Found
		} else {
			delete(l.have, at)
			if !l.whole {
				l.have[at] = 0
			}
		}
	}
	if !l.follows {
		return
	}
	for _, r := range l.Removed() {
		if !named[place{r.Table, r.Day}] && r.Rows > 0 {
			wrong(r.Table, r.Day, "Table %s, expiry day %s: %d rows were removed on record, and the manifest does not say so.", r.Table, r.Day, r.Rows)
		}
	}
}

// totals holds a manifest's counts and digest to what the lines come to.
func (l *Ledger) totals(m Manifest, wrong func(string, event.Day, string, ...any)) {
	if !l.whole {
		return
	}
	v := l.inventory()
	if v.Digest() != m.Inventory || len(v) != m.Partitions || v.Rows() != m.Rows {
		wrong("", "", "The manifest says that there are %d rows in %d partitions, and its lines come to %d rows in %d, or to other partitions.",
			m.Rows, m.Partitions, v.Rows(), len(v))
		l.have, l.whole = map[place]uint64{}, false // one mistake is one sentence
	}
}

// Inventory is what the tables held at the last manifest, and whether that is
// known.
func (l *Ledger) Inventory() (Inventory, bool) {
	if !l.whole {
		return nil, false
	}
	return l.inventory(), true
}

func (l *Ledger) inventory() Inventory {
	parts := make([]Partition, 0, len(l.have))
	for at, n := range l.have {
		parts = append(parts, Partition{Table: at.table, Day: at.day, Rows: n})
	}
	return NewInventory(parts)
}
