package verify

import (
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// A Report is what one verification found by looking.
type Report struct {
	// Holds is whether every promise that is enforced holds.
	Holds bool `json:"holds"`
	// At is when it looked, by the wall clock; Clock is Lethe's clock, which
	// decides what is past its rule.
	At       time.Time `json:"at"`
	Clock    time.Time `json:"clock"`
	Policy   string    `json:"policy"`
	Promises []Promise `json:"promises"`
	Rules    []Rule    `json:"rules"`
	// Uncopied is what legal holds cover, has expired, and is not copied.
	Uncopied []Uncopied `json:"uncopied,omitempty"`
	// Notes break no promise and are worth knowing.
	Notes []Finding `json:"notes"`
	// Looked says what was looked at, so that a reader sees what was not.
	Looked []Look `json:"looked"`
}

// A Promise is one row of docs/promises.md on the running system.
type Promise struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Enforced is false for a promise that nothing keeps yet: Holds is then
	// false too, and does not count.
	Enforced bool `json:"enforced"`
	Holds    bool `json:"holds"`
	// Note says which part of an enforced promise nothing keeps yet.
	Note string `json:"note,omitempty"`
	// How says what was looked at to know; empty where a running system shows
	// nothing of it, and the promise is kept by how Lethe is made and tested.
	How      string    `json:"how,omitempty"`
	Findings []Finding `json:"findings"`
}

// A Finding is one thing that breaks a promise.
type Finding struct {
	// Where is a place: "table http_access", "stream LETHE_RAW", "reports".
	Where string `json:"where"`
	// Sentence says what is wrong there, for people.
	Sentence string `json:"sentence"`
}

// A Rule is one deletion rule at one place.
type Rule struct {
	Class    string   `json:"class"`
	Cluster  string   `json:"cluster"`
	Period   string   `json:"period"`
	Starts   string   `json:"starts"`
	Promises []string `json:"promises"`
	Where    string   `json:"where"`
	// Cutoff is the instant before which nothing may be selected; Oldest is
	// when the oldest thing found there happened or was made, absent where
	// nothing was found.
	Cutoff time.Time  `json:"cutoff,omitzero"`
	Oldest *time.Time `json:"oldest,omitempty"`
	// Found is how many of Unit (rows, frames, keys, files, entries) are there,
	// Hidden how many of them are past their rule and wait for their removal,
	// rows behind the read barrier, and Overdue how many are past rule and
	// grace. Files, which nothing hides, have no grace but the time between
	// two runs of retention.
	Unit    string `json:"unit"`
	Found   uint64 `json:"found"`
	Hidden  uint64 `json:"hidden"`
	Overdue uint64 `json:"overdue"`
	// Holds are the legal holds that cover some of it.
	Holds []string `json:"holds,omitempty"`
	// LastRun and NextRun are of the job that removes it.
	LastRun time.Time `json:"last_run,omitzero"`
	NextRun time.Time `json:"next_run,omitzero"`
	// Late is by how many seconds the first of it is past its deadline.
	Late int64 `json:"late_seconds,omitempty"`
}

// Uncopied are rows of one table and expiry day that a legal hold may cover and
// that were not looked at for it: the day has ended, so that only the hold keeps
// them.
type Uncopied struct {
	Hold  string    `json:"hold"` // its id
	Table string    `json:"table"`
	Day   event.Day `json:"day"`
	Rows  uint64    `json:"rows"`
	// Removed is from when on the engine's own back-stop removes them: then they
	// can be had of their frames only.
	Removed time.Time `json:"removed"`
}

// A Look is one place that was looked at, and how.
type Look struct {
	Where string `json:"where"`
	How   string `json:"how"`
	// Found counts what was there.
	Found uint64 `json:"found"`
	// Not says why a place was not looked at.
	Not string `json:"not,omitempty"`
}
