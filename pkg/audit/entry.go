package audit

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// Kind says what an entry is about. It is the last part of the topic that the
// entry is recorded on.
type Kind string

// The kinds, and the type of each one's detail.
const (
	KindKey      Kind = "key"      // Key
	KindRemoval  Kind = "removal"  // Removal: what is about to be removed
	KindRemoved  Kind = "removed"  // Removed: what was
	KindManifest Kind = "manifest" // Manifest: what is there
	KindRun      Kind = "run"      // Run: a retention run that ended
	KindClock    Kind = "clock"    // Clock
	KindHold     Kind = "hold"     // Hold
	KindPolicy   Kind = "policy"   // Policy
	KindVerify   Kind = "verify"   // Verify
	KindTree     Kind = "tree"     // Tree: the first entry of a year's tree, or the end of one
	KindGap      Kind = "gap"      // Gap
	KindRefused  Kind = "refused"  // Refused
	KindAccess   Kind = "access"   // Access
	KindLog      Kind = "log"      // Began: under which key the log is, and what of it was lost
)

// An Entry is one thing on record: who did what, when. It holds no personal
// value: an entry cannot be erased before its tree is.
type Entry struct {
	ID     string          `json:"id"` // random
	At     time.Time       `json:"at"` // by the clock of who recorded it
	Kind   Kind            `json:"kind"`
	By     string          `json:"by"` // a service, or the id of a credential
	Detail json.RawMessage `json:"detail"`
}

// A Recorder puts an entry on record and returns when it is on disk. An error
// means that it may not be, and what was to be done must not be.
type Recorder interface {
	Record(ctx context.Context, kind Kind, detail any) error
}

// Key is the making or destruction of a key, or a use of the rights power.
type Key struct {
	Verb   string `json:"verb"`
	Key    string `json:"key,omitempty"`
	Power  string `json:"power,omitempty"`
	Caller string `json:"caller,omitempty"`
}

// Partition is what a table holds of one expiry day, counted through a
// sequence of the clean log.
type Partition struct {
	Table string    `json:"table"`
	Day   event.Day `json:"day"`
	// Rows have a sequence up to the floor. New is how many came in since the
	// floor of the manifest before, by the loader's word, or, where a manifest
	// has none of that, how many of the rows have a sequence after it.
	Rows uint64 `json:"rows"`
	New  uint64 `json:"new,omitempty"`
}

// A Removal announces the partitions that a run is about to remove.
type Removal struct {
	ID    string `json:"id"`
	Since uint64 `json:"since"` // floor of the manifest before
	Floor uint64 `json:"floor"`
	// Reason is why: see [ReasonExpired].
	Reason string `json:"reason"`
	// Cutoff is the instant that decided: rows of days that ended by then, or,
	// where a rule became shorter, rows that occurred before it.
	Cutoff     time.Time   `json:"cutoff,omitzero"`
	Partitions []Partition `json:"partitions"`
}

// Removed confirms partitions of a removal: they were looked for and are gone.
type Removed struct {
	Removal    string      `json:"removal"`
	Partitions []Partition `json:"partitions"`
}

// A Manifest says what is in the tables after a run. For each partition,
// what the manifest before found, and what came since, without what was
// removed, must be what is found.
type Manifest struct {
	Since uint64 `json:"since"` // floor of the manifest before; 0 in the first
	Floor uint64 `json:"floor"` // rows up to this sequence are counted
	// Lines are the partitions that changed, or do not add up.
	Lines []Line `json:"lines"`
	// Partitions and Rows count everything found; Inventory is the SHA-256,
	// in hex, of the list of it (see [Inventory]).
	Partitions int    `json:"partitions"`
	Rows       uint64 `json:"rows"`
	Inventory  string `json:"inventory"`
	// Before is the inventory of the manifest before; empty in the first.
	Before string `json:"before,omitempty"`
	// Clock is Lethe's, when the manifest was made.
	Clock time.Time `json:"clock,omitzero"`
	// Arrived is the digest of another inventory: what the loader says that it
	// has stored of every partition through the floor, whatever became of it,
	// since it began to count behind the sequence ArrivedSince. What came in is
	// the difference to that of the manifest before, so the tables have no say
	// in it. Where either manifest has none, what came in was counted in the
	// tables.
	Arrived      string `json:"arrived,omitempty"`
	ArrivedSince uint64 `json:"arrived_since,omitempty"`
}

// A Line is one partition of a manifest.
type Line struct {
	Table   string    `json:"table"`
	Day     event.Day `json:"day"`
	Opening uint64    `json:"opening"` // found by the manifest before
	In      uint64    `json:"in"`
	Removed uint64    `json:"removed"`
	Found   uint64    `json:"found"`
}

// AddsUp says whether the line explains itself.
func (l Line) AddsUp() bool {
	return l.Opening+l.In-l.Removed == l.Found && l.Opening+l.In >= l.Removed
}

// Run is a retention run that ended.
type Run struct {
	Clock      time.Time `json:"clock"` // Lethe's clock, which every cut-off came from
	Policy     string    `json:"policy"`
	Floor      uint64    `json:"floor"` // of the loader
	Partitions int       `json:"partitions"`
	Keys       int       `json:"keys"`
	Frames     uint64    `json:"frames"`
	Files      int       `json:"files"`
	// LostFrames are raw frames whose key ended at the cap before they were
	// treated, and clean frames whose key ended before they were loaded.
	LostFrames uint64 `json:"lost_frames"`
	Failures   int    `json:"failures"`
}

// MaxJump is by how much Lethe's clock moves at once without a [Clock] that
// accepts it on record. A run whose clock is further ahead than that of its own
// entry's time was led by a clock that nobody accepted.
const MaxJump = 7 * 24 * time.Hour

// Clock is a jump of Lethe's clock that was refused or accepted.
type Clock struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Accepted bool      `json:"accepted"`
	// ByHand says that To stands in the table of Lethe's clock, and that it was
	// not retention that put it there.
	ByHand bool `json:"by_hand,omitempty"`
	// Rejected says that an operator said that what stood there, From, was
	// wrong: the clock goes back to To, which is Lethe's own.
	Rejected bool `json:"rejected,omitempty"`
	// Back says that somebody took the table of Lethe's clock back, from From to
	// To, and that it was moved to where it had stood.
	Back bool `json:"back,omitempty"`
}

// Hold is what became of a legal hold.
type Hold struct {
	Verb string `json:"verb"` // add, copied, release, ended
	ID   string `json:"id"`
	// Name, Reason and what the hold covers are those of an add. No tables or
	// services are all; From and To bound when events occurred.
	Name     string    `json:"name,omitempty"`
	Reason   string    `json:"reason,omitempty"`
	Tables   []string  `json:"tables,omitempty"`
	Services []string  `json:"services,omitempty"`
	From     time.Time `json:"from,omitzero"`
	To       time.Time `json:"to,omitzero"`

	Deadline event.Day `json:"deadline,omitempty"`
	Floor    uint64    `json:"floor,omitempty"`
	Rows     uint64    `json:"rows,omitempty"`
	Frames   uint64    `json:"frames,omitempty"`
}

// Policy is a policy that was applied.
type Policy struct {
	Digest   string   `json:"digest"`
	Replaces string   `json:"replaces,omitempty"`
	Changes  []string `json:"changes,omitempty"`
	// Tell are the changes that people must be told of.
	Tell []string `json:"tell,omitempty"`
	// Kept is for how long the policy keeps rows, by table, so that a later
	// reader can tell which period was in force. Absent in entries that an
	// earlier version recorded.
	Kept []Kept `json:"kept,omitempty"`
}

// Kept is for how long rows of a table are kept. Those that stay have no period.
type Kept struct {
	Table  string `json:"table"`
	Days   int    `json:"days,omitempty"`
	Months int    `json:"months,omitempty"`
}

// Verify is the outcome of a verification.
type Verify struct {
	Holds  bool     `json:"holds"`
	Broken []string `json:"broken,omitempty"` // promises
	// Report is the SHA-256, in hex, of the report.
	Report string `json:"report"`
}

// Access is a request that was decided on: who may or may not have what, by
// which route, for which purpose. It holds nothing of the request itself but a
// keyed hash.
type Access struct {
	Route   string `json:"route"`
	Role    string `json:"role"`
	Tenant  string `json:"tenant"`
	Purpose string `json:"purpose,omitempty"`
	Allowed bool   `json:"allowed"`
	// Reason is the rule by which it was denied.
	Reason string `json:"reason,omitempty"`
	// Credential is the id of the one that is made, rotated or revoked.
	Credential string `json:"credential,omitempty"`
	// Statement is the keyed hash of a statement of SQL, and Length how many
	// bytes its text has.
	Statement string `json:"statement,omitempty"`
	Length    int    `json:"length,omitempty"`
}

// Tree is one calendar year's tree. The first entry of each says which year it
// is of and, with Previous, ties it to the one before. An entry with Ended says
// that the tree of Year was kept for as long as its rule says and is about to
// be removed, and what its Size and Checkpoint were.
type Tree struct {
	Year       int    `json:"year"`
	Size       int64  `json:"size,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"` // signed note
	// Previous is the last checkpoint of the tree before; empty in the first.
	Previous string `json:"previous,omitempty"`
	Ended    bool   `json:"ended,omitempty"`
}

// Gap is a range of sequences of the audit stream, both included, at which
// nothing was found when their turn came: what was recorded there was taken
// away before it was in a tree.
type Gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// Refused is a message of the audit stream that is no entry, or one that its
// topic or its kind does not allow.
type Refused struct {
	Seq    uint64 `json:"seq"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // of the message, in hex
	Reason string `json:"reason"`
}
