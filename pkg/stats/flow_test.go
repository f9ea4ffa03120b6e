package stats_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/fstest"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
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

	today time.Time // when the days of the test end
	facts []fact    // that are in no cell, in the order they came
	ever  []fact    // all there ever were
	cells []modelCell
	known map[string]int // how many cells of a round are in cells
}

// newFlow makes a flow with an edge of key epochs at noon some days ago.
func newFlow(t testing.TB, ago int) *flow {
	today := time.Now().UTC().Truncate(24 * time.Hour)
	edge := today.AddDate(0, 0, -ago).Add(12 * time.Hour).Format(time.RFC3339)
	docs := maps.Clone(documents)
	docs["shop.yaml"] = &fstest.MapFile{Data: bytes.ReplaceAll(docs["shop.yaml"].Data, []byte("2026-03-01T12:00:00Z"), []byte(edge))}
	f := &flow{
		lab: newLabOf(t, compiled(t, docs)), today: today, last: map[string]uint64{}, taken: map[string]bool{},
		leases: map[string]eventlog.Entry{}, known: map[string]int{},
	}
	f.retention = f.open(warehouse.UserRetention)
	var err error
	f.publisher, err = cell.New(cell.Config{
		Policy: f.pol, Log: f, Appender: f, Keys: f, Warehouse: f.open(warehouse.UserCells), Bucket: f, Logger: lethetest.Logger(t),
		Now: func() time.Time { return f.today.Add(12 * time.Hour) }, Settle: time.Nanosecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
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
		header, body, err := event.Unpack(m.Data)
		if err != nil {
			return nil, err
		}
		var h event.CleanHeader
		if err := event.ParseHeader(header, &h); err != nil {
			return nil, err
		}
		columns, rows, err := event.ParseCleanBody(body)
		if err != nil {
			return nil, err
		}
		b := warehouse.NewBatch(f.lab.cells, h.Day)
		b.Append(warehouse.Source{Tenant: h.Tenant, Service: h.Service, Seq: f.seq, Columns: columns}, rows)
		if err := f.admin.Insert(ctx, b, ""); err != nil {
			return nil, err
		}
		acks = append(acks, eventlog.Ack{Seq: f.seq})
	}
	return acks, nil
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

// cut publishes, and finds out which facts
// are in which cell: each in the one that tells most of it, among those of the
// round that it waited for.
func (f *flow) cut(t *testing.T, tenant string) {
	t.Helper()
	f.publish(t)
	r, err := f.admin.Rows(t.Context(), "SELECT toString(service), toString(metric), toString(bucket), toString(first_day), toString(last_day), toString(cube), level, value, through,"+
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
			cube: row[5].(string), value: row[7].(int64), told: row[9].([]string)[:row[6].(int64)],
		}}
		name := "numbers" // of people
		switch c.metric {
		case "visits", "income":
			name = fmt.Sprint(c.service, c.bucket, c.first, c.last, row[8])
			c.bucket, c.cube = "", ""
		case "visitors":
		default:
			continue
		}
		if rounds[name] == nil {
			order = append(order, name)
		}
		c.through = uint64(row[8].(int64))
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

func (f *flow) assign(t *testing.T, all []modelCell) []modelCell {
	t.Helper()
	if all[0].metric == "visitors" {
		return all
	}
	visits, income := all[:len(all)/2], all[len(all)/2:] // cut together, and so alike
	one := visits[0]
	for i, x := range f.facts {
		if x.service != one.service || x.day < one.first || x.day > one.last || x.seq > one.through || x.cut {
			continue
		}
		at := slices.IndexFunc(visits, func(c modelCell) bool { return slices.Equal(c.told, x.told[:len(c.told)]) }) // the deepest comes first
		if at < 0 {
			t.Fatalf("a row of %s on %s is in no cell of its round", x.service, x.day)
		}
		f.facts[i].cut = true
		visits[at].facts = append(visits[at].facts, x)
	}
	if !fits(visits, income) && !absorbed(visits, income) {
		t.Errorf("the cells of %s on %s are not what its rows make", one.service, one.first)
	}
	for i := range visits {
		income[i].facts = visits[i].facts
	}
	return all
}

// fits says whether the numbers of cells are those of their facts.
func fits(visits, income []modelCell) bool {
	for i, c := range visits {
		var spent int64
		for _, x := range c.facts {
			spent += x.spent
		}
		if int64(len(c.facts)) != c.value || spent != income[i].value || !slices.Equal(c.told, income[i].told) {
			return false
		}
	}
	return true
}

// absorbed moves what would have been the smallest cell into what was left at
// the top, if that is what the publisher did: a cell that tells something else
// than its own told then has those facts.
func absorbed(visits, income []modelCell) bool {
	top := len(visits) - 1
	if len(visits[top].told) > 0 {
		return false
	}
	for i, c := range visits[:top] {
		for level := len(c.told) + 1; level <= len(cube); level++ {
			groups := map[string][]fact{}
			for _, x := range c.facts {
				name := fmt.Sprint(x.told[:level])
				groups[name] = append(groups[name], x)
			}
			for _, name := range sorted(groups) {
				before, there := c.facts, visits[top].facts
				visits[i].facts = slices.DeleteFunc(slices.Clone(before), func(x fact) bool { return fmt.Sprint(x.told[:level]) == name })
				visits[top].facts = append(slices.Clone(there), groups[name]...)
				if fits(visits, income) {
					return true
				}
				visits[i].facts, visits[top].facts = before, there
			}
		}
	}
	return false
}
