package evidence_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// world is a Lethe that keeps its promises, as far as its record tells: a real
// audit log, and the counts of tables that nobody has. Each day it makes keys,
// takes rows, and runs retention.
type world struct {
	t   testing.TB
	pol *policy.Policy
	log *audit.Log
	rng *rand.Rand

	now   time.Time
	ids   int
	seq   uint64 // of the audit stream
	batch []audit.Sequenced

	floor, since uint64 // of the clean log
	rows, fresh  map[cell]uint64
	before       audit.Inventory
	digest       string // of before, "" before the first manifest
	inventories  map[string]audit.Inventory
	keys         map[string]time.Time // live ones, and when they end

	// What goes wrong.
	skip   func(day event.Day) bool // no run that day
	keep   func(p cell) bool        // a partition that no run removes
	forget func(key string) bool    // a key that no run destroys
	report func(*verify.Report)
	deaf   bool // nothing can be recorded
	moving int  // lists of partitions that are gone when they are asked for
}

type cell struct {
	table string
	day   event.Day
}

const origin = "lethe.example.org/audit"

func newWorld(t testing.TB, dir string, from event.Day) *world {
	w := &world{
		t: t, pol: lethetest.BuiltIn(t), rng: rand.New(rand.NewPCG(1, 2)), now: from.Start(),
		rows: map[cell]uint64{}, fresh: map[cell]uint64{},
		inventories: map[string]audit.Inventory{}, keys: map[string]time.Time{},
	}
	c := audit.Config{Dir: dir, Origin: origin, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now }}
	if err := audit.Create(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var err error
	if w.log, err = audit.Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.log.Close() })
	w.record(audit.KindLog, "audit", audit.Began{Key: w.log.VerifierKey()})
	w.apply("", audit.Kept{})
	return w
}

// apply puts a policy on record: the built-in one, or, with a digest, another
// that has a longer or shorter rule.
func (w *world) apply(digest string, other audit.Kept) {
	w.t.Helper()
	p := audit.Policy{Digest: w.pol.Digest()}
	if digest != "" {
		p.Digest = digest
	}
	for _, t := range w.pol.Tables() {
		k := audit.Kept{Table: t.Name, Days: t.Class.Period.Days, Months: t.Class.Period.Months}
		if t.Name == other.Table {
			k = other
		}
		p.Kept = append(p.Kept, k)
	}
	w.record(audit.KindPolicy, "lethe", p)
}

// shorten removes the rows of logins of a day as past a rule that became
// shorter.
func (w *world) shorten(day event.Day, cutoff time.Time) {
	w.t.Helper()
	id := cell{"login", day}
	p := audit.Partition{Table: id.table, Day: id.day, Rows: w.rows[id], New: w.fresh[id]}
	r := audit.Removal{ID: "shorter-" + string(day), Since: w.since, Floor: w.floor, Reason: audit.ReasonShortened, Cutoff: cutoff, Partitions: []audit.Partition{p}}
	w.record(audit.KindRemoval, "retention", r)
	w.record(audit.KindRemoved, "retention", audit.Removed{Removal: r.ID, Partitions: r.Partitions})
	delete(w.rows, id)
	w.manifest(map[cell]audit.Partition{id: p})
}

// loginCutoff is that of the rule of logins.
func (w *world) loginCutoff() time.Time {
	w.t.Helper()
	login, ok := w.pol.Table("login")
	if !ok {
		w.t.Fatal("there is no table of logins")
	}
	return login.Class.Period.Cutoff(w.now)
}

// record puts an entry on the stream; flush, into the tree.
func (w *world) record(kind audit.Kind, by string, detail any) {
	w.t.Helper()
	d, err := json.Marshal(detail)
	if err != nil {
		w.t.Fatal(err)
	}
	w.ids++
	w.seq++
	w.now = w.now.Add(time.Second)
	data, err := json.Marshal(audit.Entry{ID: fmt.Sprintf("entry-%d", w.ids), At: w.now, Kind: kind, By: by, Detail: d})
	if err != nil {
		w.t.Fatal(err)
	}
	w.batch = append(w.batch, audit.Sequenced{Seq: w.seq, Data: data})
}

func (w *world) flush() {
	w.t.Helper()
	if err := w.log.Append(w.t.Context(), w.batch); err != nil {
		w.t.Fatal(err)
	}
	w.batch = nil
}

// days lets the world live through whole days. The trees grow once a week.
func (w *world) days(n int) *world {
	w.t.Helper()
	for range n {
		day := event.DayOf(w.now)
		w.makeKeys(day)
		if w.skip == nil || !w.skip(day) {
			w.run(day)
		}
		w.take(day)
		w.now = day.End()
		if w.now.Weekday() == time.Monday {
			w.flush()
		}
	}
	w.flush()
	return w
}

func (w *world) makeKeys(day event.Day) {
	for hour := 0; hour < 24; hour += 8 {
		at := day.Start().Add(time.Duration(hour) * time.Hour)
		w.makeKey("raw/acme/"+at.Format("2006-01-02T15"), at.Add(73*time.Hour))
	}
	for _, c := range w.pol.Classes() {
		if c.Governs != "events" {
			continue
		}
		expires := event.DayOf(c.ExpiresAt(day.Start()))
		if name := "clean/" + c.KeyName() + "/" + string(expires); expires != event.Never {
			w.makeKey(name, expires.End())
		} else if _, ok := w.keys[name]; !ok {
			w.makeKey(name, event.Never.End())
		}
	}
	w.makeKey("quarantine/acme/"+string(day), day.Start().AddDate(0, 0, 31))
	for _, t := range w.pol.Tables() {
		epoch := t.Domain.Epoch(day.Start())
		name := fmt.Sprintf("epoch/%s/%d", t.Domain.Name, epoch)
		if end, ok := w.pol.EpochExpiry(t.Domain.Name, epoch); ok && w.keys[name].IsZero() {
			w.makeKey(name, end)
		}
	}
}

func (w *world) makeKey(name string, ends time.Time) {
	w.keys[name] = ends
	w.record(audit.KindKey, "pseudonymizer", audit.Key{Verb: "create", Key: name})
}

// take lets rows of the day into the tables, and some that come late.
func (w *world) take(day event.Day) {
	for _, t := range w.pol.Tables() {
		if t.Name == policy.CellTable {
			continue // a table like any other that lasts
		}
		for _, ago := range []int{0, 1, w.rng.IntN(40)} {
			occurred := day.Start().AddDate(0, 0, -ago)
			expires := t.Class.ExpiresAt(occurred)
			if !expires.After(w.now) {
				continue // past its rule: refused
			}
			n := uint64(w.rng.IntN(200))
			c := cell{t.Name, event.DayOf(expires)}
			if _, sealed := w.keys["clean/"+t.Class.KeyName()+"/"+string(c.day)]; !sealed && c.day != event.Never {
				w.makeKey("clean/"+t.Class.KeyName()+"/"+string(c.day), c.day.End())
			}
			w.rows[c] += n
			w.fresh[c] += n
			w.floor += n/100 + 1
		}
	}
}

// run is a retention run.
func (w *world) run(day event.Day) {
	w.now = w.now.Add(10 * time.Minute)
	clock := w.now
	removed := map[cell]audit.Partition{}
	var due []cell
	for c := range w.rows {
		if c.day != event.Never && !c.day.End().After(clock) && (w.keep == nil || !w.keep(c)) {
			due = append(due, c)
		}
	}
	slices.SortFunc(due, func(a, b cell) int {
		return strings.Compare(a.table+string(a.day), b.table+string(b.day))
	})
	if len(due) > 0 {
		r := audit.Removal{ID: "removal-" + string(day), Since: w.since, Floor: w.floor, Reason: audit.ReasonExpired, Cutoff: clock}
		for _, c := range due {
			removed[c] = audit.Partition{Table: c.table, Day: c.day, Rows: w.rows[c], New: w.fresh[c]}
			r.Partitions = append(r.Partitions, removed[c])
		}
		w.record(audit.KindRemoval, "retention", r)
		w.record(audit.KindRemoved, "retention", audit.Removed{Removal: r.ID, Partitions: r.Partitions})
		for _, c := range due {
			delete(w.rows, c)
		}
	}
	ended := 0
	for _, name := range slices.Sorted(maps.Keys(w.keys)) {
		if w.keys[name].After(clock) || w.forget != nil && w.forget(name) {
			continue
		}
		w.record(audit.KindKey, "pseudonymizer", audit.Key{Verb: "destroy", Key: name, Power: "retention"})
		delete(w.keys, name)
		ended++
	}
	w.manifest(removed)
	w.record(audit.KindRun, "retention", audit.Run{Clock: clock, Policy: w.pol.Digest(), Floor: w.floor, Partitions: len(due), Keys: ended})
}

func (w *world) manifest(removed map[cell]audit.Partition) {
	var found []audit.Partition
	for c, n := range w.rows {
		found = append(found, audit.Partition{Table: c.table, Day: c.day, Rows: n})
	}
	v := audit.NewInventory(found)
	opening := map[cell]uint64{}
	touched := map[cell]bool{}
	for _, p := range w.before {
		opening[cell{p.Table, p.Day}] = p.Rows
	}
	for c := range w.fresh {
		touched[c] = true
	}
	for c := range removed {
		touched[c] = true
	}
	m := audit.Manifest{Since: w.since, Floor: w.floor, Lines: []audit.Line{}, Partitions: len(v), Rows: v.Rows(), Inventory: v.Digest(), Before: w.digest}
	for c := range touched {
		l := audit.Line{Table: c.table, Day: c.day, Opening: opening[c], In: w.fresh[c], Removed: removed[c].Rows, Found: w.rows[c]}
		if l.Opening+l.In+l.Removed+l.Found > 0 {
			m.Lines = append(m.Lines, l)
		}
	}
	slices.SortFunc(m.Lines, func(a, b audit.Line) int {
		return strings.Compare(a.Table+string(a.Day), b.Table+string(b.Day))
	})
	w.record(audit.KindManifest, "retention", m)
	w.since, w.before, w.digest = w.floor, v, v.Digest()
	w.fresh = map[cell]uint64{}
	w.inventories[w.digest] = v
}

// maker makes evidence of the world. What it records goes into the tree at
// once.
func (w *world) maker() *evidence.Maker {
	w.t.Helper()
	m, err := evidence.New(w.config())
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

func (w *world) config() evidence.Config {
	return evidence.Config{
		Policy: w.pol, Audit: w.log, Version: "test", Now: func() time.Time { return w.now },
		Recorder:  func(by string) evidence.Recorder { return recorder{w, by} },
		Verify:    func(context.Context) (verify.Report, error) { return w.verify(), nil },
		Inventory: w.inventory,
	}
}

type recorder struct {
	w  *world
	by string
}

func (r recorder) RecordSeq(_ context.Context, kind audit.Kind, detail any) (uint64, error) {
	if r.w.deaf {
		return 0, fault.Unavailable.Errorf("the stream does not answer")
	}
	r.w.record(kind, r.by, detail)
	r.w.flush()
	return r.w.seq, nil
}

func (w *world) inventory(_ context.Context, digest string) (audit.Inventory, error) {
	v, ok := w.inventories[digest]
	if w.moving > 0 {
		w.moving--
		ok = false
	}
	if !ok {
		return nil, fault.NotFound.Errorf("no such inventory")
	}
	return v, nil
}

// verify is the report of a Lethe where all is well.
func (w *world) verify() verify.Report {
	r := verify.Report{
		Holds: true, At: w.now, Clock: w.now, Policy: w.pol.Digest(),
		Looked: []verify.Look{
			{Where: "warehouse", How: "every table, part, detached part and shadow copy", Found: uint64(len(w.rows))},
			{Where: "backups", How: "the folder", Not: "no folder is configured"},
		},
	}
	r.Notes = []verify.Finding{{Where: "backups", Sentence: "There is none."}}
	for i := range 22 {
		p := verify.Promise{ID: fmt.Sprintf("P%d", i+1), Title: "A promise", Enforced: i < 8, Holds: i < 8, Findings: []verify.Finding{}}
		if i < 6 {
			p.How = "every row"
		}
		if i == 4 {
			p.Note = "The other half is not enforced yet."
		}
		r.Promises = append(r.Promises, p)
	}
	for _, t := range w.pol.Tables() {
		oldest := w.now.AddDate(0, 0, -20)
		rule := verify.Rule{
			Class: t.Class.Name, Cluster: t.Class.Cluster, Period: t.Class.Period.String(), Starts: t.Class.Starts,
			Promises: t.Class.Promises, Where: "table " + t.Name, Oldest: &oldest, Unit: "rows", Found: 5, LastRun: w.now,
		}
		if !t.Class.Lasting {
			rule.Cutoff = w.now.AddDate(0, -t.Class.Period.Months, -t.Class.Period.Days)
		}
		r.Rules = append(r.Rules, rule)
	}
	if w.report != nil {
		w.report(&r)
	}
	return r
}

func (w *world) bundle(r evidence.Request) []byte {
	w.t.Helper()
	r.By = "officer-1"
	b, err := w.maker().Bundle(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// newest is the checkpoint that stands for everything in the log.
func (w *world) newest() string {
	trees := w.log.Trees()
	return trees[len(trees)-1].Checkpoint
}
