package retention_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// world is every store of retention in memory.
type world struct {
	mu sync.Mutex // held by each deed of a store: two processes share them

	now     time.Time
	elapsed time.Duration
	pol     *policy.Policy

	clock   time.Time
	rows    []row
	floors  map[string]uint64 // of consumers
	streams map[string][]eventlog.Received
	last    map[string]uint64
	keys    map[string]keyring.KeyInfo
	entries map[string]eventlog.Entry // the bucket
	rev     uint64
	holds   []hold.Hold
	// brought are the rows that the loader stored, once each, whatever became
	// of them, and books the sequence behind which it counts them; nil while it
	// does not.
	brought []row
	books   *uint64
	// removals are those of single rows that were asked for. While the engine
	// stalls it does none of them, and while it is failing it says why.
	removals        []removal
	stalls, failing bool
	givenUp         int
	// fail is asked before every deed of a store, by its name.
	fail func(deed string) error
}

type row struct {
	database, table string
	day             event.Day
	occurred        time.Time
	seq             uint64
}

func newWorld(pol *policy.Policy, now time.Time) *world {
	return &world{
		now: now, pol: pol, clock: time.Unix(0, 0).UTC(),
		floors: map[string]uint64{}, streams: map[string][]eventlog.Received{}, last: map[string]uint64{},
		keys: map[string]keyring.KeyInfo{}, entries: map[string]eventlog.Entry{},
		fail: func(string) error { return nil },
	}
}

func (w *world) config() retention.Config {
	return retention.Config{
		Policy: w.pol, Warehouse: memoryWarehouse{w}, Log: memoryLog{w}, Keys: memoryKeys{w}, Holds: memoryHolds{w},
		Bucket: memoryBucket{w}, Arrived: w.arrived, Recorder: memoryRecorder{w}, Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Now: func() time.Time { return w.now }, Elapsed: func() time.Duration { return w.elapsed },
		MaxJump: 100 * 365 * 24 * time.Hour, Owner: "test",
	}
}

// arrived is the loader's books.
func (w *world) arrived(_ context.Context, confirmed uint64) (loader.Arrived, error) {
	defer w.enter()()
	if err := w.fail("arrived"); err != nil {
		return loader.Arrived{}, err
	}
	if w.books == nil {
		return loader.Arrived{}, fault.NotFound.Errorf("no books")
	}
	a := loader.Arrived{Since: *w.books, Through: max(confirmed, w.floors[eventlog.CleanConsumer])}
	n := map[warehouse.Partition]uint64{}
	for _, r := range w.brought {
		if r.seq > a.Since && r.seq <= a.Through {
			n[warehouse.Partition{Database: r.database, Table: r.table, Day: r.day}]++
		}
	}
	for p, rows := range n {
		p.Rows = rows
		a.Rows = append(a.Rows, p)
	}
	return a, nil
}

// bring has the loader store rows and confirm them.
func (w *world) bring(rows ...row) {
	w.rows, w.brought = append(w.rows, rows...), append(w.brought, rows...)
	for _, r := range rows {
		w.floors[eventlog.CleanConsumer] = max(w.floors[eventlog.CleanConsumer], r.seq)
	}
}

// countFromHere begins the loader's books where the loader is.
func (w *world) countFromHere() {
	at := w.floors[eventlog.CleanConsumer]
	w.books = &at
}

// enter begins a deed of a store, and returns its end.
func (w *world) enter() (leave func()) {
	w.mu.Lock()
	return w.mu.Unlock
}

// append puts a message on a stream.
func (w *world) append(stream, topic string, data []byte) uint64 {
	w.last[stream]++
	w.streams[stream] = append(w.streams[stream], eventlog.Received{Seq: w.last[stream], Topic: topic, Data: data, At: w.now})
	return w.last[stream]
}

// seal puts a frame of one row on the clean log and makes its key. It says
// whether it could.
func (w *world) seal(table *policy.Table, day event.Day) (seq uint64, ok bool) {
	class := table.Class.KeyName()
	id := "clean/" + class + "/" + string(day)
	if k, there := w.keys[id]; there && !k.Live() {
		return 0, false
	}
	w.keys[id] = keyring.KeyInfo{ID: id, Kind: keyring.KindClean, Class: class, Start: day.Start(), Created: w.now}
	header := event.Header(event.CleanHeader{Tenant: "acme", Service: "web", Table: table.Name, Class: class, Day: day, Count: 1})
	return w.append(eventlog.CleanStream, event.CleanTopic("acme", "web", table.Name, day, 0), event.Pack(header, nil)), true
}

// sums are the sums of all manifests on record.
func (w *world) sums() (out []*audit.Sum, err error) {
	var l audit.Ledger
	for _, m := range w.streams[eventlog.AuditStream] {
		e, err := audit.ParseEntry(m.Data)
		if err != nil {
			return nil, err
		}
		sum, err := l.Apply(e)
		if err != nil {
			return nil, err
		}
		if sum != nil {
			out = append(out, sum)
		}
	}
	return out, nil
}

func (w *world) recorded(kind audit.Kind) (out []audit.Entry) {
	for _, m := range w.streams[eventlog.AuditStream] {
		if e, err := audit.ParseEntry(m.Data); err == nil && e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

type memoryKeys struct{ *world }

func (k memoryKeys) List(context.Context) ([]keyring.KeyInfo, error) {
	defer k.enter()()
	return slices.Collect(maps.Values(k.keys)), k.fail("keys")
}

func (k memoryKeys) Live(ctx context.Context) ([]keyring.KeyInfo, error) {
	all, err := k.List(ctx)
	return slices.DeleteFunc(all, func(k keyring.KeyInfo) bool { return !k.Live() }), err
}

func (k memoryKeys) destroy(id string) error {
	defer k.enter()()
	if err := k.fail("destroy"); err != nil {
		return err
	}
	info := k.keys[id]
	info.ID, info.Destroyed = id, k.now
	k.keys[id] = info
	return nil
}

func (k memoryKeys) DestroyRaw(_ context.Context, tenant string, hour time.Time) error {
	return k.destroy("raw/" + tenant + "/" + hour.UTC().Format("2006-01-02T15"))
}
func (k memoryKeys) DestroyQuarantine(_ context.Context, tenant, day string) error {
	return k.destroy("quarantine/" + tenant + "/" + day)
}
func (k memoryKeys) DestroyClean(_ context.Context, class, day string) error {
	return k.destroy("clean/" + class + "/" + day)
}
func (k memoryKeys) DestroyEpoch(_ context.Context, domain string, epoch int64) error {
	return k.destroy(fmt.Sprint("epoch/", domain, "/", epoch))
}

type memoryHolds struct{ *world }

func (h memoryHolds) List(context.Context) ([]hold.Hold, error) {
	defer h.enter()()
	return slices.Clone(h.holds), h.fail("holds")
}

func (h memoryHolds) End(_ context.Context, id string) error {
	defer h.enter()()
	if err := h.fail("end"); err != nil {
		return err
	}
	for i := range h.holds {
		if h.holds[i].ID == id {
			h.holds[i].State = hold.Ended
		}
	}
	return nil
}

type memoryBucket struct{ *world }

func (b memoryBucket) Get(_ context.Context, name string) (eventlog.Entry, error) {
	defer b.enter()()
	e, ok := b.entries[name]
	if !ok {
		return eventlog.Entry{}, errors.Join(fault.NotFound.Errorf("no entry"), b.fail("get"))
	}
	return e, b.fail("get")
}

func (b memoryBucket) Names(context.Context) ([]string, error) {
	defer b.enter()()
	return slices.Sorted(maps.Keys(b.entries)), b.fail("names")
}

func (b memoryBucket) Put(_ context.Context, name string, value []byte) (uint64, error) {
	defer b.enter()()
	return b.put(name, value)
}

func (b memoryBucket) put(name string, value []byte) (uint64, error) {
	if err := b.fail("put"); err != nil {
		return 0, err
	}
	b.rev++
	b.entries[name] = eventlog.Entry{Name: name, Value: value, Revision: b.rev}
	return b.rev, nil
}

func (b memoryBucket) Update(_ context.Context, name string, value []byte, revision uint64) (uint64, error) {
	defer b.enter()()
	if b.entries[name].Revision != revision {
		return 0, fault.Conflict.Errorf("another revision")
	}
	if err := b.fail("update"); err != nil {
		return 0, err
	}
	if _, err := b.put(name, value); err != nil {
		return 0, err
	}
	return b.rev, b.fail("update answered")
}

func (b memoryBucket) Delete(_ context.Context, name string) error {
	defer b.enter()()
	delete(b.entries, name)
	return b.fail("delete")
}

type memoryRecorder struct{ *world }

func (r memoryRecorder) Record(_ context.Context, kind audit.Kind, detail any) error {
	defer r.enter()()
	if err := r.fail("record"); err != nil {
		return err
	}
	text, err := json.Marshal(detail)
	if err != nil {
		return err
	}
	data, err := json.Marshal(audit.Entry{ID: fmt.Sprint(r.last[eventlog.AuditStream]), At: r.now.UTC(), Kind: kind, By: "retention", Detail: text})
	if err != nil {
		return err
	}
	if _, err := audit.ParseEntry(data); err != nil {
		return err
	}
	r.append(eventlog.AuditStream, eventlog.AuditTopic(string(kind)), data)
	return r.fail("record answered")
}
