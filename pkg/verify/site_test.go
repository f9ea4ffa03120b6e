package verify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/verify"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }

// saboteur may do everything to the engine.
const saboteur = lethetest.Overseer

// site is a whole Lethe behind the door: real stores, real keys, retention, the
// audit log and its sequencer, and a clock that the test moves.
type site struct {
	t         testing.TB
	pol       *policy.Policy
	engine    *embedded.Engine
	engineDir string
	dir       string
	admin     *warehouse.Warehouse
	js        jetstream.JetStream // as the operator, who may do everything
	all       *nats.Conn
	connect   func(user string) *nats.Conn
	clean     *eventlog.Writer
	raw       *eventlog.Writer
	loader    *eventlog.Reader
	keys      *keyring.Keyring
	record    *audit.Writer
	log       *audit.Log
	holds     *hold.Store
	retention *retention.Retention
	config    verify.Config

	mu  sync.Mutex // guards now
	now time.Time
}

func start(t testing.TB) *site { return startAs(t, nil) }

// startAs starts an engine whose users somebody has changed.
func startAs(t testing.TB, change func(*embedded.EngineUser)) *site {
	t.Helper()
	return startWith(t, lethetest.BuiltIn(t), change)
}

func startWith(t testing.TB, pol *policy.Policy, change func(*embedded.EngineUser)) *site {
	t.Helper()
	s := &site{t: t, pol: pol, dir: t.TempDir(), now: time.Now().UTC()}
	s.startEngine(change)
	s.startLogs()
	s.startAudit()
	s.startKeys()

	nc := s.connect("retention")
	folders := func(name string) string { return filepath.Join(s.dir, name) }
	s.holds = hold.NewStore(eventlog.OpenBucket(s.all, eventlog.HoldBucket))
	s.retention = retention.New(retention.Config{
		Policy: s.pol, Warehouse: s.as(warehouse.UserRetention), Log: eventlog.NewLog(nc), Keys: s.keys.Retention(),
		Holds: s.holds, Bucket: eventlog.OpenBucket(nc, eventlog.RetentionBucket),
		Folders: []retention.Folder{
			{Name: "reports", Dir: folders("reports"), Governs: "reports"},
			{Name: "backups", Dir: folders("backups"), Governs: "backups"},
			{Name: "key backups", Dir: folders("key-backups"), Governs: "key_backups"},
		},
		Recorder: s.record.As("retention"), Logger: lethetest.Logger(t), Metrics: prometheus.NewRegistry(),
		Now: s.clock, MaxJump: 100 * 365 * 24 * time.Hour,
	})

	look := s.connect("compliance")
	js, err := jetstream.New(look)
	must(t, err)
	bucket := eventlog.OpenBucket(look, eventlog.RetentionBucket)
	s.config = verify.Config{
		Policy: s.pol, Warehouse: s.as(warehouse.UserVerify), KnownUsers: []string{saboteur}, EngineDir: s.engineDir,
		Streams: func(ctx context.Context) ([]eventlog.Sight, error) {
			return eventlog.Look(ctx, js, eventlog.Streams(s.pol, eventlog.Limits{}))
		},
		Topics: eventlog.NewLog(look).Topics,
		Keys:   s.keys.Retention().List,
		Strays: s.keys.Strays,
		Folders: []verify.Folder{
			{Name: "reports", Dir: folders("reports"), Governs: "reports"},
			{Name: "backups", Dir: folders("backups"), Governs: "backups"},
			{Name: "key backups", Dir: folders("key-backups"), Governs: "key_backups"},
		},
		Seen: retention.Sightings(bucket), DataDir: s.dir, Own: []string{"clickhouse", "audit", "keys", "kek.txt", "reports", "backups", "key-backups"},
		Stages: func(context.Context) ([]eventlog.StageStatus, error) {
			return []eventlog.StageStatus{{Stage: "retention", Numbers: s.retention.Numbers()}}, nil
		},
		Audit: s.log,
		Inventory: func(ctx context.Context, digest string) (audit.Inventory, error) {
			return audit.LoadInventory(ctx, bucket, digest)
		},
		Holds:    hold.NewStore(eventlog.OpenBucket(look, eventlog.HoldBucket)),
		Recorder: s.record.As("verify"),
		As:       func(credential string) audit.Recorder { return s.record.As(credential) },
		Log:      lethetest.Logger(t), Metrics: prometheus.NewRegistry(), Now: s.clock,
		Pause: 100 * time.Millisecond,
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *site) startEngine(change func(*embedded.EngineUser)) {
	users := lethetest.EngineUsers(s.pol)
	for i := range users {
		if change != nil {
			change(&users[i])
		}
	}
	s.engineDir = filepath.Join(s.dir, "clickhouse")
	s.engine = lethetest.NewEngine(s.t, s.engineDir, users...)
	lethetest.Start(s.t, "engine", s.engine)
	must(s.t, warehouse.Apply(s.t.Context(), s.as(warehouse.UserAdmin), s.pol))
	s.admin = s.as(saboteur)
}

func (s *site) as(user string) *warehouse.Warehouse {
	s.t.Helper()
	w, err := warehouse.Open(s.t.Context(), warehouse.Config{
		Addr: []string{"engine"}, Dial: s.engine.Dial, User: user, Password: lethetest.Password(user), Log: lethetest.Logger(s.t),
	})
	must(s.t, err)
	s.t.Cleanup(func() { _ = w.Close() })
	return w
}

func (s *site) startLogs() {
	server := lethetest.NATS(s.t, lethetest.NATSUsers()...)
	s.connect = func(user string) *nats.Conn {
		nc, err := server.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
		must(s.t, err)
		s.t.Cleanup(nc.Close)
		return nc
	}
	s.all = s.connect("operator")
	js, err := jetstream.New(s.all)
	must(s.t, err)
	s.js = js
	must(s.t, eventlog.Apply(s.t.Context(), js, eventlog.Streams(s.pol, eventlog.Limits{})))
	s.raw, s.clean = s.writer(eventlog.RawStream), s.writer(eventlog.CleanStream)
	s.loader, err = eventlog.OpenReader(s.t.Context(), s.all, eventlog.ReaderConfig{Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: lethetest.Logger(s.t)})
	must(s.t, err)
	s.t.Cleanup(func() { _ = s.loader.Close() })
}

func (s *site) writer(stream string) *eventlog.Writer {
	w := eventlog.NewWriter(s.all, eventlog.WriterConfig{Stream: stream, Log: lethetest.Logger(s.t)})
	s.t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

func (s *site) startAudit() {
	ctx := s.t.Context()
	s.record = audit.NewRecorder(s.writer(eventlog.AuditStream), "test", s.clock)
	c := audit.Config{Dir: filepath.Join(s.dir, "audit"), Origin: "lethe.example.org/audit", Log: lethetest.Logger(s.t), Now: s.clock}
	must(s.t, audit.Create(ctx, c))
	log, err := audit.Open(ctx, c)
	must(s.t, err)
	s.t.Cleanup(func() { _ = log.Close() })
	s.log = log
	nc := s.connect("compliance")
	reader, err := eventlog.OpenReader(ctx, nc, eventlog.ReaderConfig{Stream: eventlog.AuditStream, Durable: eventlog.AuditConsumer, Log: lethetest.Logger(s.t)})
	must(s.t, err)
	s.t.Cleanup(func() { _ = reader.Close() })
	q, err := audit.NewSequencer(audit.SequencerConfig{Reader: reader, Log: log, Stream: eventlog.NewLog(nc), Logger: lethetest.Logger(s.t)})
	must(s.t, err)
	lethetest.Start(s.t, "sequencer", q)
}

func (s *site) startKeys() {
	record := s.record.As("pseudonymizer")
	c := keyring.Config{
		Dir: filepath.Join(s.dir, "keys"), KEKFile: filepath.Join(s.dir, "kek.txt"), Log: lethetest.Logger(s.t), Now: s.clock,
		Record: func(ctx context.Context, u keyring.Use) error {
			return record.Record(ctx, audit.KindKey, audit.Key{Verb: u.Verb, Key: u.Key, Power: string(u.Power), Caller: u.Caller})
		},
	}
	must(s.t, keyring.Create(s.t.Context(), c))
	keys, err := keyring.Open(s.t.Context(), c)
	must(s.t, err)
	s.t.Cleanup(func() { _ = keys.Close() })
	s.keys = keys
}

// table is a table of the policy.
func (s *site) table(name string) *policy.Table {
	s.t.Helper()
	t, ok := s.pol.Table(name)
	if !ok {
		s.t.Fatalf("there is no table %s", name)
	}
	return t
}

// store brings rows that happened at an instant: their frame on the clean log,
// sealed, and the rows in the table, as the loader does.
func (s *site) store(table string, at time.Time, rows int) event.Day {
	s.t.Helper()
	ctx, t := s.t.Context(), s.table(table)
	expires := t.Class.ExpiresAt(at)
	day := event.DayOf(expires)
	seq := s.frame(t, day)
	b := warehouse.NewBatch(t, day)
	var made []event.Row
	for range rows {
		made = append(made, event.Row{
			Table: table, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, ExpiresAt: expires, Values: make([]event.Value, len(t.Columns)),
		})
	}
	b.Append(warehouse.Source{Tenant: "acme", Service: "web", Seq: seq, Columns: t.ColumnNames()}, made)
	must(s.t, s.admin.Insert(ctx, b, fmt.Sprintf("%s-%d", table, seq)))
	return day
}

// frame puts a sealed frame on the clean log, as loaded, and returns its
// sequence.
func (s *site) frame(t *policy.Table, day event.Day) uint64 {
	s.t.Helper()
	ctx := s.t.Context()
	frame, err := s.keys.Pseudonymizer().SealClean(ctx, "acme", t.Class.KeyName(), string(day), []byte("header"), []byte("body"))
	must(s.t, err)
	out, err := s.clean.Append(ctx, []eventlog.Message{{Topic: event.CleanTopic("acme", "web", t.Name, day, 0), Data: event.Pack([]byte("header"), frame)}})
	must(s.t, err)
	msgs, err := s.loader.Fetch(ctx, 10, 1<<20, 5*time.Second)
	must(s.t, err)
	must(s.t, s.loader.AckThrough(ctx, msgs[len(msgs)-1].Seq))
	return out[0].Seq
}

// run is one run of retention, and the way of what it records into the tree.
func (s *site) run() {
	s.t.Helper()
	must(s.t, s.retention.Once(s.t.Context()))
	s.settle()
}

func (s *site) settle() {
	s.t.Helper()
	info, err := eventlog.NewLog(s.all).Info(s.t.Context(), eventlog.AuditStream)
	must(s.t, err)
	must(s.t, s.log.Wait(s.t.Context(), info.Last))
}

// sql runs a statement as the saboteur, who knows no rules.
func (s *site) sql(statements ...string) {
	s.t.Helper()
	for _, statement := range statements {
		if text, ok := s.trySQL(statement); !ok {
			s.t.Fatalf("%s: %s", statement, text)
		}
	}
}

// trySQL is sql of one statement that may fail.
func (s *site) trySQL(statement string) (text string, ok bool) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://engine/", strings.NewReader(statement))
	must(s.t, err)
	r.SetBasicAuth(saboteur, lethetest.Password(saboteur))
	client := &http.Client{Transport: &http.Transport{DialContext: s.engine.DialHTTP, DisableKeepAlives: true}}
	answer, err := client.Do(r)
	must(s.t, err)
	body, err := io.ReadAll(answer.Body)
	must(s.t, errors.Join(err, answer.Body.Close()))
	return string(body), answer.StatusCode == http.StatusOK
}

func (s *site) file(age time.Duration, parts ...string) {
	s.t.Helper()
	path := filepath.Join(append([]string{s.dir}, parts...)...)
	must(s.t, os.MkdirAll(filepath.Dir(path), 0o700))
	must(s.t, os.WriteFile(path, []byte("content"), 0o600))
	at := s.clock().Add(-age)
	must(s.t, os.Chtimes(path, at, at))
}

func (s *site) remove(parts ...string) {
	s.t.Helper()
	must(s.t, os.RemoveAll(filepath.Join(append([]string{s.dir}, parts...)...)))
}

func (s *site) verify() verify.Report {
	s.t.Helper()
	return s.verifyWith(func(*verify.Config) {})
}

func (s *site) verifyWith(change func(*verify.Config)) verify.Report {
	s.t.Helper()
	c := s.config
	c.Metrics = prometheus.NewRegistry()
	change(&c)
	r, err := verify.New(c).Verify(s.t.Context())
	must(s.t, err)
	return r
}

// holds fails the test unless everything does.
func (s *site) healthy(when string) verify.Report {
	s.t.Helper()
	r := s.verify()
	if all := sentences(r); len(all) > 0 || !r.Holds {
		s.t.Fatalf("%s, Lethe is well and verify says:\n%s", when, strings.Join(all, "\n"))
	}
	return r
}

// sentences are all findings, each with its promises and its place.
func sentences(r verify.Report) []string {
	by := map[verify.Finding][]string{}
	for _, p := range r.Promises {
		for _, f := range p.Findings {
			by[f] = append(by[f], p.ID)
		}
	}
	var out []string
	for f, promises := range by {
		out = append(out, fmt.Sprintf("%s | %s | %s", f.Where, strings.Join(promises, " "), f.Sentence))
	}
	slices.Sort(out)
	return out
}

// waiting makes a stream look as if a single frame lay on it, and waited.
func waiting(look func(context.Context) ([]eventlog.Sight, error), stream string, first, last time.Time) func(context.Context) ([]eventlog.Sight, error) {
	return func(ctx context.Context) ([]eventlog.Sight, error) {
		all, err := look(ctx)
		for i := range all {
			if all[i].Name != stream {
				continue
			}
			all[i].State = eventlog.StreamState{First: 1, Last: 1000, Messages: 1000, FirstAt: first, LastAt: last}
			for j := range all[i].Readers {
				all[i].Readers[j].Pending = 1
			}
		}
		return all, err
	}
}
