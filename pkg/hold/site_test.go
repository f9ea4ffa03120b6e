package hold_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// site is logs, a keyring and a warehouse, all real, each used as the user that
// each part has in a running Lethe.
type site struct {
	t      *testing.T
	pol    *policy.Policy
	engine *embedded.Engine
	nats   *embedded.NATS
	keys   *keyring.Keyring
	clean  *eventlog.Writer

	rows, retention *warehouse.Warehouse
	log             *eventlog.Log    // as the operator
	bucket          *eventlog.Bucket // as compliance
	store           *hold.Store
	now             time.Time

	n int // events made, for ids
}

func start(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, pol: compile(t), now: time.Now().UTC().Truncate(time.Millisecond)}
	s.engine = lethetest.Engine(t, lethetest.EngineUsers(s.pol)...)
	s.must(warehouse.Apply(t.Context(), s.as(warehouse.UserAdmin), s.pol))
	s.rows, s.retention = s.as(warehouse.UserHold), s.as(warehouse.UserRetention)

	s.nats = lethetest.NATS(t, lethetest.NATSUsers()...)
	operator := s.connect("operator")
	applyStreams(t, operator)
	s.log = eventlog.NewLog(operator)
	s.clean = s.writer("pseudonymizer", eventlog.CleanStream)
	s.bucket = eventlog.OpenBucket(s.connect("compliance"), eventlog.HoldBucket)
	s.store = hold.NewStore(s.bucket)

	dir := t.TempDir()
	cfg := keyring.Config{Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"), Log: lethetest.Logger(t)}
	s.must(keyring.Create(t.Context(), cfg))
	var err error
	s.keys, err = keyring.Open(t.Context(), cfg)
	s.must(err)
	t.Cleanup(func() { _ = s.keys.Close() })
	return s
}

func applyStreams(t *testing.T, operator *nats.Conn) {
	t.Helper()
	js, err := jetstream.New(operator)
	if err == nil {
		err = eventlog.Apply(t.Context(), js, eventlog.Streams(nil, eventlog.Limits{}))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compile is a policy with one table whose rows expire after 30 days, and one
// whose rows stay.
func compile(t *testing.T) *policy.Policy { return compileWith(t, "30 days") }

// compileWith is the same with another period.
func compileWith(t *testing.T, period string) *policy.Policy {
	t.Helper()
	const name = "classes.yaml"
	files := os.DirFS("../warehouse/testdata/policy")
	classes, err := fs.ReadFile(files, name)
	if err != nil {
		t.Fatal(err)
	}
	docs, err := policy.Load(files, fstest.MapFS{
		name: {Data: bytes.Replace(classes, []byte("period: 30 days"), []byte("period: "+period), 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
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

func (s *site) connect(user string) *nats.Conn {
	s.t.Helper()
	nc, err := s.nats.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
	s.must(err)
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *site) writer(user, stream string) *eventlog.Writer {
	s.t.Helper()
	w := eventlog.NewWriter(s.connect(user), eventlog.WriterConfig{Stream: stream, Log: lethetest.Logger(s.t)})
	s.t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

// config is that of a copier as it is in a running Lethe.
func (s *site) config() hold.CopierConfig {
	s.t.Helper()
	nc := s.connect("compliance")
	return hold.CopierConfig{
		Policy: s.pol, Bucket: eventlog.OpenBucket(nc, eventlog.HoldBucket), Log: eventlog.NewLog(nc),
		Appender: s.writer("compliance", eventlog.HoldStream), Keys: s.keys.Hold(), Warehouse: s.rows,
		Recorder: audit.NewRecorder(s.writer("compliance", eventlog.AuditStream), "compliance", nil),
		Logger:   lethetest.Logger(s.t), Now: func() time.Time { return s.now },
	}
}

func copier(t *testing.T, c hold.CopierConfig) *hold.Copier {
	t.Helper()
	out, err := hold.NewCopier(c)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// copy runs a copier until there is nothing to copy.
func (s *site) copy() {
	s.t.Helper()
	s.must(copier(s.t, s.config()).Copy(s.t.Context()))
}

// publish appends n events of one service and one moment as one clean frame,
// and returns its sequence.
func (s *site) publish(service string, at time.Time, n int) uint64 {
	s.t.Helper()
	return s.publishAs("acme", service, at, n, "")
}

func (s *site) publishAs(tenant, service string, at time.Time, n int, path string) uint64 {
	s.t.Helper()
	table, _ := s.pol.Table("visit")
	var rows []event.Clean
	for i := range n {
		s.n++
		// A millisecond from one to the next.
		at := at.Add(time.Duration(i) * time.Millisecond)
		rows = append(rows, event.NewClean(event.Row{
			Table: table.Name, ID: event.NewID(at, [16]byte{byte(s.n >> 16), byte(s.n >> 8), byte(s.n), 1}), Identified: true,
			OccurredAt: at, ExpiresAt: table.Class.ExpiresAt(at),
			Values: []event.Value{event.IntValue(int64(i)), event.StringValue(path)},
		}))
	}
	h := event.CleanHeader{
		Tenant: tenant, Service: service, Table: table.Name, Class: table.Class.KeyName(), Day: event.DayOf(table.Class.ExpiresAt(at)),
		Event: table.Event, Version: 1, Policy: s.pol.Digest(), Count: n, RawSeq: uint64(s.n),
	}
	header := event.Header(h)
	sealed, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), h.Tenant, h.Class, string(h.Day), header, event.CleanBody([]string{"status", "path"}, rows))
	s.must(err)
	acks, err := s.clean.AppendAtomic(s.t.Context(), []eventlog.Message{
		{Topic: event.CleanTopic(h.Tenant, h.Service, h.Table, h.Day, 0), Data: event.Pack(header, sealed)},
	})
	s.must(err)
	return acks[0].Seq
}

// load runs a loader until everything is loaded.
func (s *site) load() {
	s.t.Helper()
	nc := s.connect("loader")
	reader, err := eventlog.OpenReader(s.t.Context(), nc, eventlog.ReaderConfig{
		Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: lethetest.Logger(s.t),
	})
	s.must(err)
	l, err := loader.New(loader.Config{
		Policy: s.pol, Clean: reader, Frames: eventlog.NewLog(nc), Bucket: eventlog.OpenBucket(nc, eventlog.LoaderBucket), Keys: s.keys.Loader(),
		Warehouse: s.as(warehouse.UserLoader), Staging: s.as(warehouse.UserRebuild), Log: lethetest.Logger(s.t),
		Now: func() time.Time { return s.now }, MaxWait: time.Millisecond,
	})
	s.must(err)
	ctx, stop := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, func() {}) }()
	info, err := s.log.Info(s.t.Context(), eventlog.CleanStream)
	s.must(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		state, err := s.log.Consumer(s.t.Context(), eventlog.CleanStream, eventlog.CleanConsumer)
		s.must(err)
		if state.Floor >= info.Last {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the loader does not load")
		}
	}
	stop()
	s.must(<-done)
	nc.Close()
}

// add stores a hold over everything, as changed.
func (s *site) add(change func(*hold.Hold)) hold.Hold {
	s.t.Helper()
	h := hold.Hold{
		ID: hold.NewID(), Reason: "A claim, file 2026/17", By: "officer", Added: s.now, Tenant: "acme",
		Deadline: event.DayOf(s.now.AddDate(1, 0, 0)), State: hold.Active,
	}
	h.Name = "case-" + h.ID[:8]
	table, _ := s.pol.Table("visit")
	h.Rules = map[string]string{table.Name: table.Class.KeyName()}
	if change != nil {
		change(&h)
	}
	s.must(h.Validate(s.pol, s.now))
	s.must(s.store.Add(s.t.Context(), h))
	return h
}

func (s *site) get(h hold.Hold) hold.Hold {
	s.t.Helper()
	got, err := s.store.Get(s.t.Context(), h.ID)
	s.must(err)
	return got
}

// heldRows are the rows that a hold keeps: "sequence id".
func (s *site) heldRows(h hold.Hold) []string {
	s.t.Helper()
	r, err := s.rows.Rows(s.t.Context(), "SELECT log_seq, lower(hex(event_id)), tenant, toString(hold_until) FROM lethe_hold.visit"+
		" WHERE hold = {hold:String} ORDER BY log_seq, event_id", map[string]any{"hold": h.ID})
	s.must(err)
	var out []string
	for _, row := range r.Rows {
		if row[2] != h.Tenant || row[3] != string(h.Deadline) {
			s.t.Errorf("a held row is not the hold's")
		}
		out = append(out, fmt.Sprint(row[0], " ", row[1]))
	}
	return out
}

// heldFrames opens the frames that a hold keeps and returns their rows in the
// words of heldRows, and how many frames there are.
func (s *site) heldFrames(h hold.Hold) (rows []string, frames int) {
	s.t.Helper()
	info, err := s.log.Info(s.t.Context(), eventlog.HoldStream)
	s.must(err)
	for msg, err := range s.log.Range(s.t.Context(), eventlog.HoldStream, info.First, info.Last) {
		s.must(err)
		if msg.Topic != event.HoldTopic(h.ID, "visit") {
			continue
		}
		header, columns, found, err := hold.Open(s.t.Context(), s.keys.Loader(), msg.Data)
		s.must(err)
		if header.Hold != h.ID || header.Until != h.Deadline || header.Count != len(found) || !slices.Equal(columns, []string{"status", "path"}) {
			s.t.Errorf("the header of a held frame does not say what it is: %+v", header)
		}
		frames++
		for _, r := range found {
			rows = append(rows, fmt.Sprintf("%d %x", header.CleanSeq, r.ID[:]))
		}
	}
	slices.Sort(rows)
	return rows, frames
}

// recorded are the entries about holds, in order.
func (s *site) recorded() []audit.Hold {
	s.t.Helper()
	info, err := s.log.Info(s.t.Context(), eventlog.AuditStream)
	s.must(err)
	var out []audit.Hold
	for msg, err := range s.log.Range(s.t.Context(), eventlog.AuditStream, 1, info.Last) {
		s.must(err)
		var e audit.Entry
		s.must(json.Unmarshal(msg.Data, &e))
		var h audit.Hold
		s.must(json.Unmarshal(e.Detail, &h))
		out = append(out, h)
	}
	return out
}
