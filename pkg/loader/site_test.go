package loader_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// site is a clean log, a keyring and a warehouse, all real, each used as the
// user that the loader has in a running Lethe, and a model of what must be in
// the warehouse.
type site struct {
	t      testing.TB
	pol    *policy.Policy
	engine *embedded.Engine
	nats   *embedded.NATS
	keys   *keyring.Keyring
	writer *eventlog.Writer

	admin, rows, staging *warehouse.Warehouse
	bucket               *eventlog.Bucket
	frames               *eventlog.Log
	reading              *nats.Conn // of the loader that ran last

	n     int // events made, for ids
	model map[string]uint64
}

// noon is what time it is for every test.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func compile(t testing.TB, dir string) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func start(t *testing.T) *site {
	t.Helper()
	return startWith(t, compile(t, "../warehouse/testdata/policy"))
}

func startWith(t testing.TB, pol *policy.Policy) *site {
	t.Helper()
	s := &site{t: t, pol: pol, model: map[string]uint64{}}
	s.startEngine()
	s.startLog()
	s.startKeys()
	return s
}

func (s *site) startEngine() {
	s.t.Helper()
	s.engine = lethetest.Engine(s.t, lethetest.EngineUsers(s.pol)...)
	s.admin, s.rows, s.staging = s.as(lethetest.Overseer), s.as(warehouse.UserLoader), s.as(warehouse.UserRebuild)
	s.must(warehouse.Apply(s.t.Context(), s.admin, s.pol))
}

func (s *site) as(user string) *warehouse.Warehouse {
	s.t.Helper()
	w, err := warehouse.Open(s.t.Context(), warehouse.Config{
		Addr: []string{"engine"}, Dial: s.engine.Dial,
		User: user, Password: lethetest.Password(user), Log: lethetest.Logger(s.t),
	})
	s.must(err)
	s.t.Cleanup(func() { _ = w.Close() })
	return w
}

func (s *site) startLog() {
	s.t.Helper()
	s.nats = lethetest.NATS(s.t, lethetest.NATSUsers()...)
	operator := s.connect("operator")
	js, err := jetstream.New(operator)
	s.must(err)
	s.must(eventlog.Apply(s.t.Context(), js, eventlog.Streams(s.pol, eventlog.Limits{})))
	s.writer = eventlog.NewWriter(s.connect("pseudonymizer"), eventlog.WriterConfig{Stream: eventlog.CleanStream, Log: lethetest.Logger(s.t)})
	s.t.Cleanup(func() { _ = s.writer.Close(context.Background()) })
	nc := s.connect("loader")
	s.bucket, s.frames = eventlog.OpenBucket(nc, eventlog.LoaderBucket), eventlog.NewLog(nc)
}

func (s *site) connect(user string) *nats.Conn {
	s.t.Helper()
	nc, err := s.nats.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
	s.must(err)
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *site) startKeys() {
	s.t.Helper()
	dir := s.t.TempDir()
	cfg := keyring.Config{Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"), Log: lethetest.Logger(s.t)}
	s.must(keyring.Create(s.t.Context(), cfg))
	keys, err := keyring.Open(s.t.Context(), cfg)
	s.must(err)
	s.keys = keys
	s.t.Cleanup(func() { _ = keys.Close() })
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// config is that of a loader over the stores as they are.
func (s *site) config() loader.Config {
	s.t.Helper()
	// A process has one reader, and its end closes the connection.
	if s.reading != nil {
		s.reading.Close()
	}
	s.reading = s.connect("loader")
	reader, err := eventlog.OpenReader(s.t.Context(), s.reading, eventlog.ReaderConfig{
		Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: lethetest.Logger(s.t),
	})
	s.must(err)
	return loader.Config{
		Policy: s.pol, Clean: reader, Frames: s.frames, Bucket: s.bucket, Keys: s.keys.Loader(),
		Warehouse: s.rows, Staging: s.staging, Log: lethetest.Logger(s.t),
		Now: func() time.Time { return noon }, MaxRows: 20, MaxWait: 20 * time.Millisecond,
	}.FoldAt(1)
}

// An ev is an event of the test's.
type ev struct {
	at     time.Time
	id     event.ID
	named  bool
	table  string // visit unless set
	status int64
}

// events makes n events of one moment that are like no other.
func (s *site) events(n int, at time.Time, named bool) []ev {
	var out []ev
	for range n {
		s.n++
		payload := [16]byte{byte(s.n >> 16), byte(s.n >> 8), byte(s.n), 1}
		out = append(out, ev{at: at, id: event.NewID(at, payload), named: named, table: "visit", status: int64(s.n)})
	}
	return out
}

func (s *site) table(name string) *policy.Table {
	s.t.Helper()
	table, ok := s.pol.Table(name)
	if !ok {
		s.t.Fatalf("the test policy has no table %s", name)
	}
	return table
}

func rowsOf(s *site, evs ...ev) []event.Row {
	var out []event.Row
	for _, e := range evs {
		out = append(out, event.Row{
			Table: e.table, ID: e.id, OccurredAt: e.at, ExpiresAt: s.table(e.table).Class.ExpiresAt(e.at), Identified: e.named,
			Values: []event.Value{event.IntValue(e.status), event.StringValue("GET")},
		})
	}
	return out
}

// publish appends events as clean frames, one for each table and expiry day,
// and notes what must come of them. The frames' raw sequence is raw; 0 is a
// redriven one.
func (s *site) publish(raw uint64, evs ...ev) (seqs []uint64) {
	s.t.Helper()
	type part struct {
		table string
		day   event.Day
	}
	by := map[part][]event.Clean{}
	of := map[part][]ev{}
	var order []part
	for _, e := range evs {
		row := rowsOf(s, e)[0]
		p := part{e.table, event.DayOf(row.ExpiresAt)}
		if by[p] == nil {
			order = append(order, p)
		}
		by[p] = append(by[p], event.NewClean(row))
		of[p] = append(of[p], e)
	}
	for _, p := range order {
		table := s.table(p.table)
		h := event.CleanHeader{
			Tenant: "acme", Service: "shop", Table: p.table, Class: table.Class.Name, Day: p.day,
			Event: table.Event, Version: 1, Policy: s.pol.Digest(), Count: len(by[p]), RawSeq: raw,
		}
		if raw == 0 {
			h.QuarantineSeq = 1
		}
		seq := s.append(h, event.CleanBody([]string{"status", "method"}, by[p]))
		seqs = append(seqs, seq)
		for _, e := range of[p] {
			key := key(e)
			if e.named {
				if _, ok := s.model[key]; ok {
					continue // the first frame wins
				}
			} else {
				key += fmt.Sprintf(" %d", len(s.model)) // like no other
			}
			s.model[key] = seq
		}
	}
	return seqs
}

// key is what the model calls an event.
func key(e ev) string {
	return fmt.Sprintf("%s %s %v", e.table, hex.EncodeToString(e.id[:]), e.named)
}

// append seals a body and puts the frame on the clean log.
func (s *site) append(h event.CleanHeader, body []byte) uint64 {
	s.t.Helper()
	header := event.Header(h)
	sealed, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), h.Tenant, h.Class, string(h.Day), header, body)
	s.must(err)
	return s.appendRaw(event.CleanTopic(h.Tenant, h.Service, h.Table, h.Day, 0), event.Pack(header, sealed))
}

func (s *site) appendRaw(topic string, data []byte) uint64 {
	s.t.Helper()
	acks, err := s.writer.AppendAtomic(s.t.Context(), []eventlog.Message{{Topic: topic, Data: data}})
	s.must(err)
	return acks[0].Seq
}

// running is a loader at work.
type running struct {
	s      *site
	l      *loader.Loader
	cancel context.CancelFunc
	done   chan error
}

// run starts a loader and waits until it is ready or has failed.
func (s *site) run(cfg loader.Config) *running {
	s.t.Helper()
	l, err := loader.New(cfg)
	s.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	r := &running{s: s, l: l, cancel: cancel, done: make(chan error, 1)}
	ready := make(chan struct{})
	go func() { r.done <- l.Run(ctx, func() { close(ready) }) }()
	s.t.Cleanup(cancel)
	select {
	case <-ready:
	case err := <-r.done:
		r.done <- err
	}
	return r
}

// stop asks the loader to stop and returns what Run returned.
func (r *running) stop() error {
	r.s.t.Helper()
	r.cancel()
	return r.wait()
}

// wait returns what Run returned.
func (r *running) wait() error {
	r.s.t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		r.s.t.Fatal("the loader does not stop")
		return nil
	}
}

// until waits until the clean log is confirmed through its end, which is when
// everything is loaded.
func (r *running) until() {
	r.s.t.Helper()
	info, err := r.s.frames.Info(r.s.t.Context(), eventlog.CleanStream)
	r.s.must(err)
	r.eventually("the log is confirmed", func() bool {
		c, err := r.s.frames.Consumer(r.s.t.Context(), eventlog.CleanStream, eventlog.CleanConsumer)
		return err == nil && c.Floor >= info.Last
	})
}

func (r *running) eventually(what string, is func() bool) {
	r.s.t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-r.done:
			r.done <- err
			r.s.t.Fatalf("waiting until %s: the loader ended: %v", what, err)
		default:
		}
		if time.Now().After(deadline) {
			r.s.t.Fatalf("waiting until %s: not within a minute", what)
		}
	}
}

// load runs a loader until everything is loaded, and stops it.
func (s *site) load(cfg loader.Config) map[string]float64 {
	s.t.Helper()
	r := s.run(cfg)
	r.until()
	s.must(r.stop())
	return r.l.Numbers()
}

// stored is what the warehouse holds, in the words of the model. Unnamed
// events are numbered, so that each counts.
func (s *site) stored() map[string]uint64 {
	s.t.Helper()
	out := map[string]uint64{}
	for _, table := range s.pol.Tables() {
		r, err := s.admin.Rows(s.t.Context(), "SELECT lower(hex(event_id)), identified, log_seq FROM "+s.admin.Table(table.Name), nil)
		s.must(err)
		for i, row := range r.Rows {
			key := fmt.Sprintf("%s %s %v", table.Name, row[0], row[1])
			if _, twice := out[key]; twice || !row[1].(bool) {
				key += fmt.Sprintf(" #%d", i)
			}
			out[key] = row[2].(uint64)
		}
	}
	return out
}

// CheckWorld holds the warehouse against the model, every event once, from the
// first frame that held it, and the loader's books against the warehouse.
func (s *site) CheckWorld() {
	s.t.Helper()
	if diff := s.diff(); diff != "" {
		s.t.Fatalf("the warehouse is not what it should be (-want +got):\n%s", diff)
	}
	s.checkBooks()
}

func (s *site) diff() string {
	s.t.Helper()
	bare := func(m map[string]uint64) []string {
		var out []string
		for k, seq := range m {
			// Without the numbers that keep unnamed events apart.
			out = append(out, fmt.Sprintf("%s from %d", strings.Join(strings.Fields(k)[:3], " "), seq))
		}
		slices.Sort(out)
		return out
	}
	return cmp.Diff(bare(maps.Clone(s.model)), bare(s.stored()))
}
