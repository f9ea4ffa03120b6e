package retention_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// life is a world, and what must be true of it.
type life struct {
	*world
	t *rapid.T
	r *retention.Retention
	// rows that were loaded, and have not been due at any run since.
	kept map[row]bool
	// known are the frames of the clean log by sequence, whatever was purged.
	known map[uint64]frame
}

type frame struct {
	row
	key string
}

// arrive puts a frame of one row on the clean log, of something that happened
// some days ago.
func (l *life) arrive(table *policy.Table, ago time.Duration) {
	occurred := l.now.Add(-ago)
	expires := table.Class.ExpiresAt(occurred)
	if !l.now.Before(expires) {
		return // refused at the door
	}
	day := event.DayOf(expires)
	seq, ok := l.seal(table, day)
	if !ok {
		return
	}
	l.known[seq] = frame{
		row{warehouse.DefaultDatabase, table.Name, day, occurred, seq},
		"clean/" + table.Class.KeyName() + "/" + string(day),
	}
}

// insert loads frames through a sequence, as the loader does: once, and none
// whose key is gone or which was purged.
func (l *life) insert(through uint64) {
	there := map[uint64]bool{}
	for _, r := range l.rows {
		there[r.seq] = true
	}
	for _, m := range l.streams[eventlog.CleanStream] {
		f := l.known[m.Seq]
		if m.Seq <= l.floors[eventlog.CleanConsumer] || m.Seq > through || there[m.Seq] {
			continue
		}
		if k := l.keys[f.key]; !k.Live() {
			continue
		}
		l.rows = append(l.rows, f.row)
		if !slices.Contains(l.brought, f.row) {
			l.brought = append(l.brought, f.row)
		}
		if !l.due(f.row) {
			l.kept[f.row] = true
		}
	}
}

// load has the loader insert and confirm.
func (l *life) load(through uint64) {
	l.insert(through)
	l.floors[eventlog.CleanConsumer] = max(through, l.floors[eventlog.CleanConsumer])
}

// due says whether a row may not be on disk by the present policy and clock.
func (l *life) due(r row) bool {
	now := l.clock
	if l.now.After(now) {
		now = l.now
	}
	if retention.Ended(r.day, now) {
		return true
	}
	t, ok := l.pol.Table(r.table)
	return ok && !t.Class.Lasting && retention.Ended(event.DayOf(t.Class.ExpiresAt(r.occurred)), now)
}

// run is a run that may die at a step or meet a store that fails.
func (l *life) run(point, deed string, after int) (whole bool) {
	for r := range l.kept {
		if l.due(r) {
			delete(l.kept, r)
		}
	}
	l.fail = func(d string) error {
		if d == deed {
			if after--; after < 0 {
				return fault.Unavailable.Errorf("the store is away")
			}
		}
		return nil
	}
	defer func() { l.fail = func(string) error { return nil } }()
	reached := after
	l.r.SetStep(func(at string) {
		if at == point {
			if reached--; reached < 0 {
				panic(at)
			}
		}
	})
	defer func() {
		if p := recover(); p != nil {
			if p != point {
				panic(p)
			}
			l.restart()
		}
	}()
	return l.r.Once(l.t.Context()) == nil
}

// restart is a new process.
func (l *life) restart() {
	c := l.config()
	l.r = retention.New(c)
}

// check is what must be true after a run to which nothing happened and which
// the loader kept up with.
func (l *life) check(loaded bool) {
	for r := range l.kept {
		if !slices.Contains(l.rows, r) {
			l.t.Fatalf("a row of table %s, expiry day %s, is gone before its time (%v)", r.table, r.day, l.now)
		}
	}
	for _, r := range l.rows {
		grace := l.now.Add(-policy.Grace)
		if l.due(r) && (loaded || retention.Ended(r.day, grace)) {
			l.t.Fatalf("a row of table %s, expiry day %s, is there after its time (%v)", r.table, r.day, l.now)
		}
	}
	for _, k := range l.keys {
		due := l.pol.KeyExpiry(k.Class, event.DayOf(k.Start))
		if k.Live() && (loaded && retention.Ended(due, l.now) || retention.Ended(event.DayOf(k.Start), l.now.Add(-policy.Grace))) {
			l.t.Fatalf("key %s lives after its time (%v)", k.ID, l.now)
		}
	}
	for _, m := range l.streams[eventlog.CleanStream] {
		if day := l.known[m.Seq].day; loaded && retention.Ended(day, l.now) {
			l.t.Fatalf("frames of expiry day %s are there after their time (%v)", day, l.now)
		}
	}
	l.addsUp()
}

func (l *life) addsUp() {
	sums, err := l.sums()
	if err != nil {
		l.t.Fatal(err)
	}
	for i, s := range sums {
		for _, w := range s.Wrong {
			l.t.Fatalf("manifest %d of %d: %s", i, len(sums), w.Sentence)
		}
		if s.Begins != (i == 0) {
			l.t.Fatalf("manifest %d begins a chain: %v", i, s.Begins)
		}
	}
}

// stores is every deed of a store that may fail, and steps every step at which
// a process may die.
var (
	stores = []string{
		"clock", "advance", "partitions", "count", "drop", "drop answered", "drop early", "drop early answered", "early", "early answered", "removing", "info", "last", "range",
		"topics", "purge", "consumer", "keys", "destroy", "holds", "get", "names", "put", "update", "update answered", "delete",
		"record", "record answered", "arrived",
	}
	steps = []string{
		"clock", "looked", "settled", "announced", "asked", "removed", "confirmed", "rows", "key_destroyed", "clean_keys", "clean_purged",
		"raw_keys", "quarantine", "epochs", "folders", "holds", "inventory", "manifest_recorded", "manifest", "run",
	}
)

// TestWhateverHappensNothingStaysAndNothingYoungerGoes draws histories of days,
// skipped days, arrivals, loaders that lag, policies that change, processes
// that die and stores that fail. P4, P5, P6, P7, P8.
func TestWhateverHappensNothingStaysAndNothingYoungerGoes(t *testing.T) {
	policies := []*policy.Policy{
		lethetest.BuiltIn(t),
		changed(t, "access", "period: 30 days", "period: 10 days"),
		changed(t, "access", "period: 30 days", "period: 1 month"),
		changed(t, "login", "period: 12 months", "period: 2 months"),
	}
	rapid.Check(t, func(rt *rapid.T) {
		begin := time.Date(2027, 12, 30, 5, 0, 0, 0, time.UTC)
		l := &life{world: newWorld(policies[0], begin), t: rt, kept: map[row]bool{}, known: map[uint64]frame{}}
		if rapid.Bool().Draw(rt, "the loader counts") {
			l.countFromHere()
		}
		l.restart()
		tables := []string{"http_access", "app_log", "login", "activation_lasting"}
		for i := range tables {
			if _, ok := l.pol.Table(tables[i]); !ok {
				tables[i] = lastingTable(t, l.pol)
			}
		}
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			switch rapid.SampledFrom([]string{"arrive", "arrive", "wait", "wait", "load", "insert", "run", "die", "fail", "policy", "upgrade", "stall"}).Draw(rt, "what") {
			case "arrive":
				table, _ := l.pol.Table(rapid.SampledFrom(tables).Draw(rt, "table"))
				for range rapid.IntRange(1, 3).Draw(rt, "frames") {
					l.arrive(table, time.Duration(rapid.IntRange(0, 24*70).Draw(rt, "hours ago"))*time.Hour)
				}
			case "wait":
				l.now = l.now.Add(time.Duration(rapid.SampledFrom([]int{1, 11, 24, 24, 24, 49, 24 * 9, 24 * 40}).Draw(rt, "hours")) * time.Hour)
			case "load":
				l.load(l.floors[eventlog.CleanConsumer] + rapid.Uint64Range(0, 4).Draw(rt, "frames"))
				l.floors[eventlog.CleanConsumer] = min(l.floors[eventlog.CleanConsumer], l.last[eventlog.CleanStream])
			case "insert":
				l.insert(l.floors[eventlog.CleanConsumer] + rapid.Uint64Range(0, 4).Draw(rt, "frames"))
			case "run":
				if l.run("", "", 0) {
					l.check(false)
				}
			case "die":
				l.run(rapid.SampledFrom(steps).Draw(rt, "step"), "", rapid.IntRange(0, 2).Draw(rt, "after"))
			case "fail":
				l.run("", rapid.SampledFrom(stores).Draw(rt, "deed"), rapid.IntRange(0, 4).Draw(rt, "after"))
			case "stall":
				l.stalls, l.failing = !l.stalls, rapid.Bool().Draw(rt, "failing")
			case "upgrade":
				if l.books == nil {
					l.load(l.last[eventlog.CleanStream])
					l.countFromHere()
				}
			case "policy":
				l.pol = policies[rapid.IntRange(0, len(policies)-1).Draw(rt, "policy")]
				l.restart()
			}
		}
		l.load(l.last[eventlog.CleanStream])
		l.stalls = false
		l.restart() // which puts a manifest on record
		if !l.run("", "", 0) {
			rt.Fatalf("a run to which nothing happened failed: %v", l.r.Once(rt.Context()))
		}
		l.check(true)
		if sums, _ := l.sums(); sums[len(sums)-1].Manifest.Rows != uint64(len(l.rows)) {
			rt.Fatalf("the last manifest counts %d rows, and %d are there", sums[len(sums)-1].Manifest.Rows, len(l.rows))
		}
	})
}

// TestWithoutRetentionThingsStay is the control of the property.
func TestWithoutRetentionThingsStay(t *testing.T) {
	pol := lethetest.BuiltIn(t)
	w := newWorld(pol, time.Date(2027, 12, 30, 5, 0, 0, 0, time.UTC))
	l := &life{world: w, kept: map[row]bool{}, known: map[uint64]frame{}}
	table, _ := pol.Table("http_access")
	l.arrive(table, 0)
	l.load(1)
	l.now = l.now.AddDate(0, 2, 0)
	if len(l.rows) != 1 || !l.due(l.rows[0]) || len(l.keys) != 1 {
		t.Fatalf("the row is not there, or not due: %v", l.rows)
	}
	l.restart()
	if err := l.r.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(l.rows) != 0 || len(l.streams[eventlog.CleanStream]) != 0 {
		t.Errorf("after a run there are %d rows", len(l.rows))
	}
	for _, k := range l.keys {
		if k.Kind == keyring.KindClean && k.Live() {
			t.Errorf("after a run %s lives", k.ID)
		}
	}
}

func lastingTable(t testing.TB, pol *policy.Policy) string {
	t.Helper()
	for _, table := range pol.Tables() {
		if table.Class.Lasting {
			return table.Name
		}
	}
	t.Fatal("the policy has no lasting table")
	return ""
}
