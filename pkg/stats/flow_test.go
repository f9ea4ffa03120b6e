package stats_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// flow is a lab in which the real publisher cuts real rows. What stands between
// it and the warehouse, the log with its loader and the keyring, is played: a
// frame is in the warehouse as soon as it is appended.
type flow struct {
	*lab
	publisher *cell.Publisher
	retention *warehouse.Warehouse

	seq    uint64
	last   map[string]uint64 // by topic
	taken  map[string]bool   // ids of messages
	leases map[string]eventlog.Entry

	edge  string    // of key epochs
	today time.Time // when the days of the test end
	later time.Duration
	facts []fact // that are in no cell, in the order they came
	ever  []fact // all there ever were
	cells []modelCell
	known map[string]int // how many cells of a round are in cells

	untold int      // rounds of which no sum was told
	frames []loaded // the cells, as they were appended
}

// A loaded frame is one that was appended.
type loaded struct {
	seq uint64
	eventlog.Message
}

// newFlow makes a flow with an edge of key epochs at noon some days ago.
func newFlow(t testing.TB, ago int) *flow {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	f := &flow{
		edge: today.AddDate(0, 0, -ago).Add(12 * time.Hour).Format(time.RFC3339), today: today, last: map[string]uint64{}, taken: map[string]bool{},
		leases: map[string]eventlog.Entry{}, known: map[string]int{},
	}
	f.lab = newLabOf(t, f.policy(t))
	f.asOf = func(ctx context.Context) (time.Time, error) { return cell.AsOf(ctx, f, f.now()) }
	f.retention = f.open(warehouse.UserRetention)
	f.restart(t)
	return f
}

// policy is that of the tests, with its edge of epochs, and changed.
func (f *flow) policy(t testing.TB, replace ...string) *policy.Policy {
	t.Helper()
	docs := maps.Clone(documents)
	text := strings.NewReplacer(append([]string{"2026-03-01T12:00:00Z", f.edge}, replace...)...).Replace(string(docs["shop.yaml"].Data))
	docs["shop.yaml"] = &fstest.MapFile{Data: []byte(text)}
	return compiled(t, docs)
}

func (f *flow) now() time.Time { return f.today.Add(12*time.Hour + f.later) }

// restart replaces the publisher by one that knows nothing.
func (f *flow) restart(t testing.TB) {
	t.Helper()
	var err error
	f.publisher, err = cell.New(cell.Config{
		Policy: f.pol, Log: f, Appender: f, Keys: f, Warehouse: f.open(warehouse.UserCells), Bucket: f, Logger: lethetest.Logger(t),
		Now: f.now, Settle: time.Nanosecond, Brief: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// adopt goes on with another policy.
func (f *flow) adopt(t testing.TB, pol *policy.Policy) {
	t.Helper()
	f.pol = pol
	if err := warehouse.Apply(t.Context(), f.admin, pol); err != nil {
		t.Fatal(err)
	}
	f.gate, f.mux = access.NewGate(f.lab.store, lethetest.Logger(t)), http.NewServeMux()
	f.stats = f.newStats(pol)
	f.stats.Routes(f.mux)
	f.restart(t)
}

// rebuild makes the cells in the warehouse anew from their frames.
func (f *flow) rebuild(t *testing.T) {
	t.Helper()
	if err := f.retention.DropIn(t.Context(), warehouse.DefaultDatabase, policy.CellTable, event.Never); err != nil {
		t.Fatal(err)
	}
	if r, err := f.admin.Rows(t.Context(), "SELECT count() FROM "+f.admin.Table(policy.CellTable), nil); err != nil || r.Rows[0][0] != uint64(0) {
		t.Fatalf("the cells are there: %v %v", r, err)
	}
	for _, m := range f.frames {
		if err := f.load(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	f.restart(t)
}

// What the publisher needs of a log, a keyring and a bucket.

func (f *flow) Consumer(context.Context, string, string) (eventlog.ConsumerState, error) {
	return eventlog.ConsumerState{Floor: f.seq}, nil
}

func (f *flow) Last(_ context.Context, _, topic string) (eventlog.Received, error) {
	if f.last[topic] == 0 {
		return eventlog.Received{}, fault.NotFound.Errorf("nothing is on that topic")
	}
	return eventlog.Received{Seq: f.last[topic]}, nil
}

func (f *flow) SealClean(_ context.Context, _, _, _ string, _, plain []byte) ([]byte, error) {
	return slices.Clone(plain), nil
}

func (f *flow) AppendAtomic(ctx context.Context, msgs []eventlog.Message) (acks []eventlog.Ack, err error) {
	for _, m := range msgs {
		if f.taken[m.ID] {
			return nil, fault.Conflict.Errorf("a message of that id is there")
		}
	}
	for _, m := range msgs {
		f.taken[m.ID] = true
		f.seq++
		f.last[m.Topic] = f.seq
		frame := loaded{f.seq, m}
		f.frames = append(f.frames, frame)
		if err := f.load(ctx, frame); err != nil {
			return nil, err
		}
		acks = append(acks, eventlog.Ack{Seq: f.seq})
	}
	return acks, nil
}

func (f *flow) load(ctx context.Context, m loaded) error {
	header, body, err := event.Unpack(m.Data)
	if err != nil {
		return err
	}
	var h event.CleanHeader
	if err := event.ParseHeader(header, &h); err != nil {
		return err
	}
	columns, rows, err := event.ParseCleanBody(body)
	if err != nil {
		return err
	}
	b := warehouse.NewBatch(f.lab.cells, h.Day)
	b.Append(warehouse.Source{Tenant: h.Tenant, Service: h.Service, Seq: m.seq, Columns: columns}, rows)
	return f.admin.Insert(ctx, b, "")
}

func (f *flow) Get(_ context.Context, name string) (eventlog.Entry, error) {
	e, ok := f.leases[name]
	if !ok {
		return e, fault.NotFound.Errorf("there is no such entry")
	}
	return e, nil
}

func (f *flow) Update(_ context.Context, name string, value []byte, revision uint64) (uint64, error) {
	if f.leases[name].Revision != revision {
		return 0, fault.Conflict.Errorf("the entry has another revision")
	}
	f.leases[name] = eventlog.Entry{Name: name, Value: value, Revision: revision + 1}
	return revision + 1, nil
}

// store puts facts into the warehouse as rows, each person's in a partition of
// its own, so that one can be erased.
func (f *flow) store(t *testing.T, tenant string, facts ...fact) {
	t.Helper()
	table, _ := f.pol.Table("visit")
	batches := map[event.Day]*warehouse.Batch{}
	for _, x := range facts {
		f.seq++
		x.seq = f.seq
		f.facts, f.ever = append(f.facts, x), append(f.ever, x)
		at, err := time.Parse(time.RFC3339, x.told[5])
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Duration(f.seq) * time.Millisecond)
		expires := partitionOf(x.person).Start()
		epoch := table.Domain.Epoch(at)
		r := event.Row{Table: table.Name, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, ExpiresAt: expires, Epoch: table.Domain.Mark(epoch)}
		for _, c := range table.Columns {
			var v event.Value
			switch c.Name {
			case "visitor":
				v = token(x, epoch)
			case "visitor_prev":
				if table.Domain.Bridged(at) {
					v = token(x, table.Domain.Previous(epoch))
				}
			case "status":
				n, _ := strconv.ParseInt(x.told[1], 10, 64)
				v = event.IntValue(n)
			case "spent":
				v = event.IntValue(x.spent)
			case "secure":
				if x.told[4] != "" {
					v = event.BoolValue(x.told[4] == "true")
				}
			default:
				v = event.StringValue(x.told[slices.Index(cube, c.Name)])
			}
			r.Values = append(r.Values, v)
		}
		day := event.DayOf(expires)
		if batches[day] == nil {
			batches[day] = warehouse.NewBatch(table, day)
		}
		batches[day].Append(warehouse.Source{Tenant: tenant, Service: x.service, Seq: x.seq, Columns: table.ColumnNames()}, []event.Row{r})
	}
	for _, b := range batches {
		if err := f.admin.Insert(t.Context(), b, ""); err != nil {
			t.Fatal(err)
		}
	}
}

func partitionOf(person int) event.Day {
	return event.DayOf(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, person))
}

func token(x fact, epoch int64) event.Value {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", x.service, x.person, epoch))
	return event.TokenValue([event.TokenSize]byte(sum[:]))
}

// erase takes a person's rows out of the warehouse.
func (f *flow) erase(t *testing.T, person int) {
	t.Helper()
	if err := f.retention.DropIn(t.Context(), warehouse.DefaultDatabase, "visit", partitionOf(person)); err != nil {
		t.Fatal(err)
	}
	f.forget(func(x fact) bool { return x.person == person })
}

// expire moves Lethe's clock on, so that rows of the first days are past their
// rule.
func (f *flow) expire(t *testing.T, days int) {
	t.Helper()
	f.today = f.today.AddDate(0, 0, days)
	if _, err := f.retention.Advance(t.Context(), f.today.Add(12*time.Hour)); err != nil {
		t.Fatal(err)
	}
	f.forget(func(x fact) bool {
		at, _ := time.Parse(time.RFC3339, x.told[5])
		return !at.AddDate(0, 0, 31).After(f.today.Add(12 * time.Hour).Add(-time.Second))
	})
}

// rows is how many rows can be seen.
func (f *flow) rows(t *testing.T) uint64 {
	t.Helper()
	r, err := f.open(warehouse.UserCells).Rows(t.Context(), "SELECT count() FROM "+f.admin.Table("visit"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.Rows[0][0].(uint64)
}

// forget takes facts that are in no cell away: they will be in none.
func (f *flow) forget(gone func(fact) bool) {
	f.facts = slices.DeleteFunc(f.facts, gone)
}

// publish cuts until nothing is left that can be.
func (f *flow) publish(t testing.TB) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = f.publisher.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// cut publishes, and finds out which facts are in which cell: those of each
// round are cut by the model, too.
func (f *flow) cut(t *testing.T, tenant string) {
	t.Helper()
	f.publish(t)
	r, err := f.admin.Rows(t.Context(), "SELECT toString(service), toString(metric), toString(bucket), toString(first_day), toString(last_day), toString(cube), level, value, k, through,"+
		" [toString(d1), toString(d2), toString(d3), toString(d4), toString(d5), toString(d6)] FROM "+f.admin.Table(f.lab.cells.Name)+
		" WHERE tenant = {tenant:String} ORDER BY log_seq, through, metric DESC, level DESC, d1, d2, d3, d4, d5, d6", map[string]any{"tenant": tenant})
	if err != nil {
		t.Fatal(err)
	}
	rounds := map[string][]modelCell{}
	var order []string
	for _, row := range r.Rows {
		c := modelCell{published: published{
			service: row[0].(string), metric: row[1].(string), bucket: row[2].(string), first: row[3].(string), last: row[4].(string),
			cube: row[5].(string), value: row[7].(int64), k: int(row[8].(int64)), told: row[10].([]string)[:row[6].(int64)],
		}, through: uint64(row[9].(int64))}
		name := "numbers" // of people
		switch c.metric {
		case "visits", "income":
			name = fmt.Sprint(c.service, c.bucket, c.first, c.last, c.through)
			c.bucket, c.cube, c.dims = "", "", strings.Split(c.cube, ",")
		case "visitors":
		default:
			continue
		}
		if rounds[name] == nil {
			order = append(order, name)
		}
		rounds[name] = append(rounds[name], c)
	}
	for _, name := range order {
		all := rounds[name]
		if n := f.known[name]; n == len(all) {
			continue
		} else if name == "numbers" {
			all = all[n:]
		} else if n > 0 {
			t.Fatalf("a round was cut before, and has %d cells now, not %d", len(all), n)
		}
		f.known[name] = len(rounds[name])
		f.cells = append(f.cells, f.assign(t, all)...)
	}
	f.facts = slices.DeleteFunc(f.facts, func(x fact) bool { return x.cut })
}

// assign finds the facts of the cells of a round.
func (f *flow) assign(t *testing.T, all []modelCell) []modelCell {
	t.Helper()
	one := all[0]
	if one.metric == "visitors" {
		return all
	}
	var facts []fact
	for i, x := range f.facts {
		if x.service == one.service && one.first <= x.day && x.day <= one.last && x.seq <= one.through && !x.cut {
			f.facts[i].cut = true
			facts = append(facts, x)
		}
	}
	g := guard{fold: true, absorb: true, k: one.k, share: 80, dims: one.dims}
	cells, sums := g.cut(facts)
	if !sums {
		f.untold++
	}
	want := map[string]modelCell{}
	for _, c := range cells {
		c.published.value = int64(len(c.facts))
		want[fmt.Sprintf("visits %q", c.told)] = c
		if sums {
			_, c.published.value = spent(c.facts)
			want[fmt.Sprintf("income %q", c.told)] = c
		}
	}
	if len(want) != len(all) {
		t.Errorf("%s, %s to %s: %d cells are published, want %d", one.service, one.first, one.last, len(all), len(want))
	}
	for i, c := range all {
		as, ok := want[fmt.Sprintf("%s %q", c.metric, c.told)]
		if !ok || as.value != c.value {
			t.Errorf("%s, %s to %s: a cell of %s that tells %q is %d, want %d", c.service, c.first, c.last, c.metric, c.told, c.value, as.value)
		}
		all[i].facts = as.facts
	}
	return all
}
