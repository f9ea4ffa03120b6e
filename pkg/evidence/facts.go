package evidence

import (
	"cmp"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
)

// facts are what the readable report shows besides sentences.
type facts struct {
	Days      int // that retention should have run on
	Manifests int
	Wrong     []Wrong // in the manifests
	Removals  []Monthly
	Files     []Monthly // What is the folder, Rows are files
	Keys      []Monthly
	Holds     []Held
	Policies  []Applied
	Clocks    []audit.Clock
}

// Monthly counts what ended in one calendar month of Lethe's clock.
type Monthly struct {
	Month string // 2006-01
	// What is a deletion class, or a kind of keys.
	What string
	// Count is of partitions or of keys; Rows is what partitions held.
	Count int
	Rows  uint64
}

// Held is one legal hold as the entries tell of it.
type Held struct {
	ID       string
	Reason   string
	Added    time.Time
	Deadline event.Day
	State    string // the last verb: add, copied, release, ended
	Rows     uint64
	Frames   uint64
	late     bool
}

// Applied is a policy and when it was applied.
type Applied struct {
	At time.Time
	audit.Policy
	entry int // index
}

// Wrong is something in a manifest that does not add up.
type Wrong struct {
	At       time.Time
	Sentence string
}

// monthly sums by month and by what.
type monthly map[[2]string]*Monthly

func (m monthly) add(at time.Time, what string, rows uint64) {
	id := [2]string{at.UTC().Format("2006-01"), what}
	if m[id] == nil {
		m[id] = &Monthly{Month: id[0], What: what}
	}
	m[id].Count++
	m[id].Rows += rows
}

func (m monthly) list() []Monthly {
	out := make([]Monthly, 0, len(m))
	for _, v := range m {
		out = append(out, *v)
	}
	slices.SortFunc(out, func(a, b Monthly) int { return cmp.Or(cmp.Compare(a.Month, b.Month), cmp.Compare(a.What, b.What)) })
	return out
}
