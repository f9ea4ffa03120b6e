package verify

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/folder"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Config is what a Verifier is made of. What is nil is not looked at, and the
// report says so.
type Config struct {
	Policy *policy.Policy
	// Warehouse is of the user verify.
	Warehouse *warehouse.Warehouse
	// KnownUsers of the warehouse are somebody else's business.
	KnownUsers []string
	// EngineDir is the directory of the engine's files, or of an embedded
	// engine. Empty: they are not looked at.
	EngineDir string
	// Streams lists every stream against the policy's: [eventlog.Look].
	Streams func(context.Context) ([]eventlog.Sight, error)
	// Topics counts the frames of a stream by topic: [eventlog.Log.Topics].
	Topics func(ctx context.Context, stream, filter string) (map[string]uint64, error)
	// Keys and Strays describe the keyring: [keyring.Retention] and
	// [keyring.Keyring.Strays].
	Keys   func(context.Context) ([]keyring.KeyInfo, error)
	Strays func(context.Context) ([]keyring.Stray, error)
	// Folders are looked into by the age of what is in them. Seen says since
	// when it is known to exist: pkg/retention's Sightings.
	Folders []Folder
	Seen    func(ctx context.Context, governs string) (folder.Sightings, error)
	// DataDir is the directory of a Lethe of its own, and Own lists what is in
	// it that is Lethe's or that its settings name, as patterns of path.Match.
	DataDir string
	Own     []string
	// Stages asks every running stage for its numbers.
	Stages func(context.Context) ([]eventlog.StageStatus, error)
	// Audit is the log of what went on record, and Inventory the list of
	// partitions that one of its manifests counted, by digest.
	Audit     Audit
	Inventory func(ctx context.Context, digest string) (audit.Inventory, error)
	Holds     hold.Lister

	// Recorder records outcomes of the continuous run, As what a credential
	// asked for.
	Recorder audit.Recorder
	As       func(credential string) audit.Recorder
	Gate     *access.Gate
	Log      *slog.Logger // required
	Metrics  prometheus.Registerer
	Now      func() time.Time // nil is time.Now
	// Pause is how long work under way has to finish before what looked wrong
	// is looked at again. Zero is a second.
	Pause time.Duration
}

// Folder is a directory whose entries have a deletion rule.
type Folder struct {
	// Name is for people: reports, backups, key backups.
	Name, Dir string
	// Governs is the class's: reports, backups, key_backups.
	Governs string
}

// Verifier looks. It may be used by many goroutines: they take turns.
type Verifier struct {
	c       Config
	started time.Time
	m       *metrics
	turn    chan struct{}
	past    past
	record  heldRecord // of whoever has the turn
	still   still      // likewise

	mu   sync.Mutex // guards what the last run of Run recorded
	last recorded
}

// New makes a Verifier.
func New(c Config) *Verifier {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Pause == 0 {
		c.Pause = time.Second
	}
	return &Verifier{c: c, started: c.Now(), m: newMetrics(c.Metrics), turn: make(chan struct{}, 1)}
}

// A check looks at one part of the system.
type check struct {
	// where is what cannot be looked at when the check fails, and promises
	// those that are then not known to hold.
	where    string
	promises []string
	from     source
	do       func(*look) error
}

// A source is what a check needs.
type source struct {
	name string
	has  func(*Config) bool
}

var (
	anything = source{"", func(*Config) bool { return true }}
	tables   = source{"warehouse", func(c *Config) bool { return c.Warehouse != nil }}
	files    = source{"directory of the engine", func(c *Config) bool { return c.EngineDir != "" && c.Warehouse != nil }}
	data     = source{"data directory", func(c *Config) bool { return c.DataDir != "" }}
	streams  = source{"log", func(c *Config) bool { return c.Streams != nil }}
	keys     = source{"keyring", func(c *Config) bool { return c.Keys != nil }}
	strays   = source{"keyring's directory", func(c *Config) bool { return c.Strays != nil }}
	stages   = source{"stage", func(c *Config) bool { return c.Stages != nil }}
	holds    = source{"record of legal holds", func(c *Config) bool { return c.Holds != nil }}
	auditLog = source{"audit log", func(c *Config) bool { return c.Audit != nil }}

	recordOfHolds = source{"audit log, or no record of legal holds,", func(c *Config) bool { return c.Audit != nil && c.Holds != nil }}

	periods = []string{"P4", "P5", "P6", "P7", "P8"}
)

// checks are made in this order; a check may lean on what those before it saw.
var checks = []check{
	{"stages", periods, stages, (*look).readStages},
	{"clock", periods, tables, (*look).readClock},
	{"legal holds", drifted, holds, (*look).readHolds},
	{"keyring", append([]string{"P1"}, periods...), keys, (*look).readKeys},
	{"streams", []string{"P1", "P18", "P21"}, streams, (*look).readStreams},
	{"policies that were applied", drifted, auditLog, (*look).readPolicies},

	{"clock", periods, tables, (*look).checkClock},
	{"retention", periods, anything, (*look).checkRetention},
	{"tables", append([]string{"P21"}, periods...), tables, (*look).checkTables},
	{"parts of tables", periods, tables, (*look).checkParts},
	{"engine", drifted, tables, (*look).checkEngine},
	{"users of the warehouse", scope, tables, (*look).checkUsers},
	{"legal holds", append([]string{"P10"}, flow...), recordOfHolds, (*look).checkHoldRecord},
	{"copies for legal holds", unlisted, tables, (*look).checkHeld},
	{"what legal holds cover", flow, tables, (*look).checkCopied},
	{"files of the engine", unlisted, files, (*look).checkFiles},
	{"streams", []string{"P1", "P18", "P21"}, streams, (*look).checkStreams},
	{"keys", append([]string{"P1"}, periods...), keys, (*look).checkKeys},
	{"directory of the keyring", secret, strays, (*look).checkStrays},
	{"folders", []string{"P6", "P12"}, anything, (*look).checkFolders},
	{"data directory", unlisted, data, (*look).checkData},
	{"audit log", record, auditLog, (*look).checkAudit},
	{"manifests", []string{"P10", "P18"}, auditLog, (*look).checkLedger},
}

// leaning is how many of the first checks only read what the others need.
const leaning = 6

// Verify looks at everything and says which promises hold. What is found wrong
// is looked at twice, because work under way looks like a fault. A place that
// cannot be looked at is a finding, and the rest is looked at all the same. An
// error means that ctx ended first.
func (v *Verifier) Verify(ctx context.Context) (Report, error) {
	select {
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return Report{}, fmt.Errorf("waiting for a verification that is under way: %w", ctx.Err())
	}
	wall := v.c.Now().UTC().Truncate(time.Millisecond)
	l := &look{ctx: ctx, c: &v.c, started: v.started, wall: wall, now: wall, seen: &seen{rows: map[string]map[event.Day]uint64{}}, record: &v.record, still: &v.still}
	results := make([]result, len(checks))
	var wrong []int
	for i, c := range checks {
		if results[i] = l.make(c); len(results[i].findings) > 0 {
			wrong = append(wrong, i)
		}
	}
	if len(wrong) > 0 && pause(ctx, v.c.Pause) {
		// What others lean on is read anew with whatever was wrong.
		l.again = true
		for i := range checks {
			if i < leaning || slices.Contains(wrong, i) {
				results[i] = l.make(checks[i])
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return Report{}, fmt.Errorf("verifying: %w", err)
	}
	r := l.report(results)
	v.m.observe(r, v.c.Now())
	v.past.add(r)
	return r, nil
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// look is one verification while it is made.
type look struct {
	ctx     context.Context
	c       *Config
	started time.Time // of the Verifier
	wall    time.Time
	// now decides about expiry: the later of the wall clock and Lethe's.
	now    time.Time
	again  bool // the second time
	record *heldRecord
	still  *still
	*seen
	result
}

// seen is what checks leave for those after them.
type seen struct {
	clock  time.Time // Lethe's, as it stands in the warehouse
	own    time.Time // Lethe's, as it would stand if nobody had set it by hand
	holds  []hold.Hold
	keys   []keyring.KeyInfo
	stages []eventlog.StageStatus
	sights []eventlog.Sight
	// through is the last of the audit stream when it was first looked at.
	through uint64
	// rows are those of tables by expiry day, of days that have not ended.
	rows map[string]map[event.Day]uint64
	// untreated is about when the first raw frame came that is not treated;
	// zero when all are.
	untreated        time.Time
	lastRun, nextRun time.Time
	// shortened is when the rules in force became shorter, by "class access"
	// or "table login", where that was not long ago.
	shortened map[string]time.Time
}

// result is what one check found.
type result struct {
	findings []broken
	rules    []Rule
	looked   []Look
	notes    []Finding
	uncopied []Uncopied
}

// broken is a finding and the promises that it breaks.
type broken struct {
	promises []string
	Finding
}

// make makes one check.
func (l *look) make(c check) result {
	l.result = result{}
	if !c.from.has(l.c) {
		l.looked = append(l.looked, Look{Where: c.where, Not: "no " + c.from.name + " is in reach of this process"})
		return l.result
	}
	if err := c.do(l); err != nil && l.ctx.Err() == nil {
		l.unseen(c.promises, c.where, err)
	}
	return l.result
}

// unseen is a place that could not be looked at.
func (l *look) unseen(promises []string, where string, err error) {
	if k := fault.KindOf(err); k == "" || k == fault.Corrupt {
		// What comes from deep below is for the log and not for a report.
		l.c.Log.Error("place not looked at", "place", where, "err", err)
		err = fault.Unavailable.Errorf("the log of this process says why")
	}
	l.broken(promises, where, "could not be looked at: %v", err)
}

func (l *look) broken(promises []string, where, format string, args ...any) {
	l.findings = append(l.findings, broken{promises, Finding{where, fmt.Sprintf(format, args...)}})
}

func (l *look) note(where, format string, args ...any) {
	l.notes = append(l.notes, Finding{where, fmt.Sprintf(format, args...)})
}

func (l *look) lookedAt(where, how string, found int) {
	l.looked = append(l.looked, Look{Where: where, How: how, Found: uint64(found)})
}

// removed is the first instant of which nothing that was due before it may
// still be there: the grace has ended for the days before.
func (l *look) removed() time.Time { return event.DayOf(l.now.Add(-policy.Grace)).Start() }

// overdue says whether what was due at an instant should be gone.
func (l *look) overdue(due time.Time) bool { return due.Before(l.removed()) }

// report puts the results together.
func (l *look) report(results []result) Report {
	r := Report{
		Holds: true, At: l.wall, Clock: l.now, Policy: l.c.Policy.Digest(),
		Promises: Promises(), Rules: []Rule{}, Notes: []Finding{}, Looked: []Look{},
	}
	for _, res := range results {
		r.Rules = append(r.Rules, res.rules...)
		r.Notes = append(r.Notes, res.notes...)
		r.Uncopied = append(r.Uncopied, res.uncopied...)
		r.Looked = append(r.Looked, res.looked...)
		for _, f := range res.findings {
			f.put(r.Promises)
		}
	}
	for i := range r.Rules {
		if r.Rules[i].Class != "audit" { // trees go by the sequencer
			r.Rules[i].LastRun, r.Rules[i].NextRun = l.lastRun, l.nextRun
		}
	}
	for i := range r.Promises {
		p := &r.Promises[i]
		p.Holds = p.Enforced && len(p.Findings) == 0
		r.Holds = r.Holds && (p.Holds || !p.Enforced)
	}
	return r
}

// put adds a finding to each of its promises, and to P21 where none of them is
// enforced: no finding is without weight.
func (f broken) put(all []Promise) {
	weighs := false
	for i := range all {
		if slices.Contains(f.promises, all[i].ID) {
			if !slices.Contains(all[i].Findings, f.Finding) {
				all[i].Findings = append(all[i].Findings, f.Finding)
			}
			weighs = weighs || all[i].Enforced
		}
	}
	if !weighs {
		broken{drifted, f.Finding}.put(all)
	}
}
