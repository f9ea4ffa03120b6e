package retention_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
	"github.com/lethe-pipeline/lethe/schemas"
)

func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }

// site is real stores, used as the users that retention has, and clocks that
// the test moves.
type site struct {
	t       testing.TB
	pol     *policy.Policy
	table   *policy.Table
	keys    *keyring.Keyring
	admin   *warehouse.Warehouse
	own     *warehouse.Warehouse // as retention's user
	engine  *embedded.Engine
	raw     *eventlog.Writer
	clean   *eventlog.Writer
	bad     *eventlog.Writer // quarantine
	log     *eventlog.Log    // as retention's user
	all     *nats.Conn       // as the operator
	loader  *eventlog.Reader
	config  retention.Config // of the next retention
	now     time.Time
	elapsed time.Duration
}

func start(t testing.TB) *site {
	t.Helper()
	ctx := t.Context()
	pol := lethetest.BuiltIn(t)
	table, _ := pol.Table("http_access")
	s := &site{t: t, pol: pol, table: table, now: time.Now()}

	s.engine = lethetest.Engine(t, lethetest.EngineUsers(pol)...)
	s.admin, s.own = s.as(lethetest.Overseer), s.as(warehouse.UserRetention)
	must(t, warehouse.Apply(ctx, s.admin, pol))

	server := lethetest.NATS(t, lethetest.NATSUsers()...)
	connect := func(user string) *nats.Conn {
		nc, err := server.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
		must(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	s.all = connect("operator")
	js, err := jetstream.New(s.all)
	must(t, err)
	must(t, eventlog.Apply(ctx, js, eventlog.Streams(pol, eventlog.Limits{})))
	writer := func(nc *nats.Conn, stream string) *eventlog.Writer {
		w := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: stream, Log: lethetest.Logger(t)})
		t.Cleanup(func() { _ = w.Close(context.Background()) })
		return w
	}
	s.raw, s.clean, s.bad = writer(s.all, eventlog.RawStream), writer(s.all, eventlog.CleanStream), writer(s.all, eventlog.QuarantineStream)
	s.loader, err = eventlog.OpenReader(ctx, s.all, eventlog.ReaderConfig{
		Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: lethetest.Logger(t),
	})
	must(t, err)
	t.Cleanup(func() { _ = s.loader.Close() })

	dir := t.TempDir()
	c := keyring.Config{
		Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"),
		Log: lethetest.Logger(t), Now: func() time.Time { return s.now },
	}
	must(t, keyring.Create(ctx, c))
	s.keys, err = keyring.Open(ctx, c)
	must(t, err)
	t.Cleanup(func() { _ = s.keys.Close() })

	own := connect("retention")
	s.log = eventlog.NewLog(own)
	s.config = retention.Config{
		Warehouse: s.own, Log: s.log, Keys: s.keys.Retention(),
		Holds:    hold.NewStore(eventlog.OpenBucket(own, eventlog.HoldBucket)),
		Bucket:   eventlog.OpenBucket(own, eventlog.RetentionBucket),
		Recorder: audit.NewRecorder(writer(own, eventlog.AuditStream), "retention", func() time.Time { return s.now }),
		Logger:   lethetest.Logger(t),
		Now:      func() time.Time { return s.now },
		Elapsed:  func() time.Duration { return s.elapsed },
		MaxJump:  100 * 365 * 24 * time.Hour,
		Owner:    "test", // what a crashed run leaves is taken over at once
	}
	return s
}

// as connects to the engine as one of its users.
func (s *site) as(user string) *warehouse.Warehouse {
	s.t.Helper()
	w, err := warehouse.Open(s.t.Context(), warehouse.Config{
		Addr: []string{"engine"}, Dial: s.engine.Dial, User: user, Password: lethetest.Password(user), Log: lethetest.Logger(s.t),
	})
	must(s.t, err)
	s.t.Cleanup(func() { _ = w.Close() })
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// changed is the built-in policy with one line of its classes changed.
func changed(t testing.TB, class, from, to string) *policy.Policy {
	t.Helper()
	files := fstest.MapFS{}
	must(t, fs.WalkDir(pipelines.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(pipelines.FS, path)
		if before, after, ok := strings.Cut(string(text), "\n  "+class+":\n"); ok && strings.Contains(string(text), "classes:") {
			text = []byte(before + "\n  " + class + ":\n" + strings.Replace(after, from, to, 1))
		}
		files[path] = &fstest.MapFile{Data: text}
		return err
	}))
	docs, err := policy.Load(schemas.FS, files)
	must(t, err)
	pol, err := policy.Compile(docs)
	must(t, err)
	if c, ok := pol.Class(class); !ok || c.Period.String() != strings.TrimPrefix(to, "period: ") {
		t.Fatalf("the class %s did not change to %q", class, to)
	}
	return pol
}

// run is one run of retention at the test's time.
func (s *site) run() {
	s.t.Helper()
	must(s.t, s.retention().Once(s.t.Context()))
}

func (s *site) retention() *retention.Retention {
	c := s.config
	c.Policy, c.Metrics = s.pol, prometheus.NewRegistry()
	return retention.New(c)
}

// crash is a run that dies at a step.
func (s *site) crash(point string) {
	s.t.Helper()
	r := s.retention()
	r.SetStep(func(at string) {
		if at == point {
			panic(point)
		}
	})
	defer func() {
		if recover() != point {
			s.t.Fatalf("the run did not come to %s", point)
		}
	}()
	err := r.Once(s.t.Context())
	s.t.Fatalf("the run ended with %v and did not come to %s", err, point)
}

// sealed is a clean frame and how to open it.
type sealed struct {
	class      string
	day        event.Day
	seq        uint64
	aad, bytes []byte
}

// store puts rows of one expiry day, by the table's rule, into the table, and
// their frame on the clean log, and has the loader confirm it.
func (s *site) store(day event.Day, rows int) sealed {
	s.t.Helper()
	f := s.frame(day, rows)
	s.rows(day, s.table.Class.Period.Latest(day).Start().Add(time.Hour), f.seq, rows)
	s.load()
	return f
}

// frame puts a frame on the clean log.
func (s *site) frame(day event.Day, rows int) sealed {
	s.t.Helper()
	ctx := s.t.Context()
	f := sealed{class: s.table.Class.KeyName(), day: day}
	f.aad = event.Header(event.CleanHeader{Tenant: "acme", Service: "web", Table: s.table.Name, Class: f.class, Day: day, Count: rows})
	var err error
	f.bytes, err = s.keys.Pseudonymizer().SealClean(ctx, "acme", f.class, string(day), f.aad, []byte("body"))
	must(s.t, err)
	acks, err := s.clean.Append(ctx, []eventlog.Message{{Topic: event.CleanTopic("acme", "web", s.table.Name, day, 0), Data: event.Pack(f.aad, f.bytes)}})
	must(s.t, err)
	f.seq = acks[0].Seq
	return f
}

// rows puts rows into the table.
func (s *site) rows(day event.Day, occurred time.Time, seq uint64, n int) {
	s.t.Helper()
	s.rowsInto(s.admin, day, occurred, seq, n)
}

func (s *site) rowsInto(w *warehouse.Warehouse, day event.Day, occurred time.Time, seq uint64, n int) {
	s.t.Helper()
	b := warehouse.NewBatch(s.table, day)
	var made []event.Row
	for range n {
		made = append(made, event.Row{
			Table: s.table.Name, ID: event.NewID(occurred, event.RandomPayload()), OccurredAt: occurred,
			ExpiresAt: day.Start().Add(time.Hour), Values: make([]event.Value, len(s.table.Columns)),
		})
	}
	b.Append(warehouse.Source{Tenant: "acme", Service: "web", Seq: seq, Columns: s.table.ColumnNames()}, made)
	must(s.t, w.Insert(s.t.Context(), b, ""))
}

// load has the loader confirm everything.
func (s *site) load() {
	s.t.Helper()
	info, err := s.log.Info(s.t.Context(), eventlog.CleanStream)
	must(s.t, err)
	for last := uint64(0); last < info.Last; {
		msgs, err := s.loader.Fetch(s.t.Context(), 1000, 8<<20, 10*time.Second)
		must(s.t, err)
		if len(msgs) == 0 {
			s.t.Fatal("the clean log gives nothing more")
		}
		last = msgs[len(msgs)-1].Seq
		must(s.t, s.loader.AckThrough(s.t.Context(), last))
	}
}

// opens says whether a clean frame can still be opened.
func (s *site) opens(f sealed) bool {
	s.t.Helper()
	_, err := s.keys.Loader().OpenClean(s.t.Context(), "acme", f.class, string(f.day), f.aad, f.bytes)
	if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
		s.t.Fatal(err)
	}
	return err == nil
}

// there counts the rows of an expiry day.
func (s *site) there(day event.Day) (n uint64) {
	s.t.Helper()
	all, err := s.own.Count(s.t.Context(), s.table.Name, warehouse.Days{From: day, To: day}, 0, 1<<62)
	must(s.t, err)
	for _, p := range all {
		n += p.Rows
	}
	return n
}

// removeByHand removes the rows of an expiry day past everything that records
// it, and returns when they are gone.
func (s *site) removeByHand(day event.Day) {
	s.t.Helper()
	must(s.t, s.own.RemoveEarly(s.t.Context(), s.table.Name, []event.Day{day}, s.now, 1<<62))
	for {
		left, err := s.own.Removing(s.t.Context(), s.table.Name)
		must(s.t, err)
		if left.Parts == 0 {
			return
		}
	}
}

func (s *site) frames(day event.Day) int {
	s.t.Helper()
	topics, err := s.log.Topics(s.t.Context(), eventlog.CleanStream, event.CleanTopic("acme", "web", s.table.Name, day, 0))
	must(s.t, err)
	return len(topics)
}

// recorded are the entries of some kinds, oldest first.
func (s *site) recorded(kinds ...audit.Kind) (out []audit.Entry) {
	s.t.Helper()
	ctx := s.t.Context()
	info, err := s.log.Info(ctx, eventlog.AuditStream)
	must(s.t, err)
	for m, err := range s.log.Range(ctx, eventlog.AuditStream, 1, info.Last) {
		must(s.t, err)
		e, err := audit.ParseEntry(m.Data)
		must(s.t, err)
		for _, k := range kinds {
			if e.Kind == k {
				out = append(out, e)
			}
		}
	}
	return out
}

// wrong is what does not add up on record.
func (s *site) wrong() (out []string) {
	s.t.Helper()
	var l audit.Ledger
	for _, e := range s.recorded(audit.KindRemoval, audit.KindRemoved, audit.KindManifest) {
		sum, err := l.Apply(e)
		must(s.t, err)
		if sum == nil {
			continue
		}
		for _, w := range sum.Wrong {
			out = append(out, w.Sentence)
		}
	}
	return out
}

func (s *site) addsUp() {
	s.t.Helper()
	for _, sentence := range s.wrong() {
		s.t.Error(sentence)
	}
}
