package assembly_test

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	cut "github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
	"github.com/lethe-pipeline/lethe/schemas"
)

const tenant = "acme"

// site is a whole Lethe on real stores, each part as the user that it has in a
// running one, and one clock for all of them, which the test moves.
type site struct {
	t    testing.TB
	dir  string
	log  *slog.Logger
	said *lethetest.Buffer // warnings and errors of every part
	pol  *policy.Policy

	nats   *embedded.NATS
	engine *embedded.Engine
	keys   *keyring.Keyring
	audit  *audit.Log
	holds  *hold.Store
	keeper *hold.Keeper
	copier *hold.Copier
	gate   *access.Gate
	bucket *eventlog.Bucket // the loader's, as the operator
	all    *eventlog.Log    // as the operator

	// admin may do everything, reader as one of the test's own: see withReader;
	// verify is that user.
	admin, reader, verify *warehouse.Warehouse
	publisher             *cut.Publisher

	door       *http.ServeMux // the gateway's
	credential string
	retained   *retention.Retention // of the last run

	// stops end what runs, the last first. Stores stay when flow is stopped.
	stores, flow []func()

	mu  sync.Mutex
	now time.Time // guarded by mu
}

// newSite starts every store and every part. The clock stands at now.
func newSite(t testing.TB, pol *policy.Policy, now time.Time) *site {
	t.Helper()
	s := &site{t: t, dir: scratch(t), said: &lethetest.Buffer{}, pol: pol, now: now}
	s.log = slog.New(slog.NewTextHandler(s.said, &slog.HandlerOptions{Level: slog.LevelWarn}))
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the last that the parts said:\n" + s.said.Tail(40))
		}
	})
	t.Cleanup(s.stop)
	s.start()
	return s
}

// scratch is a directory in memory where the system has one: what is tested is
// what is deleted, and not the disk.
func scratch(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lethe-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// clock is the clock of every part.
func (s *site) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// pass moves the clock, and Lethe's with it, as a wall clock would.
func (s *site) pass(to time.Time) {
	s.t.Helper()
	s.mu.Lock()
	s.now = to
	s.mu.Unlock()
	_, err := s.admin.Advance(s.t.Context(), to)
	s.must(err)
}

// compile compiles the built-in documents under the layers.
func compile(t testing.TB, layers ...fs.FS) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(append([]fs.FS{schemas.FS, pipelines.FS}, layers...)...)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// run starts a service and returns what stops it.
func (s *site) run(name string, service process.Service) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- service.Run(ctx, sync.OnceFunc(func() { close(ready) })) }()
	select {
	case <-ready:
	case err := <-done:
		cancel()
		s.t.Fatalf("starting %s: %v", name, err)
	}
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("running %s: %v", name, err)
		}
	})
}

// start starts everything in the order of assembly.Everything.
func (s *site) start() {
	s.t.Helper()
	s.startStores()
	s.startFlow()
}

// restart is every process stopped and started again, by another policy.
func (s *site) restart(pol *policy.Policy) {
	s.t.Helper()
	s.stop()
	s.pol = pol
	s.start()
}

func (s *site) stop() {
	s.stopFlow()
	unwind(&s.stores)
}

func (s *site) stopFlow() { unwind(&s.flow) }

func unwind(stops *[]func()) {
	for i := len(*stops) - 1; i >= 0; i-- {
		(*stops)[i]()
	}
	*stops = nil
}

func (s *site) startStores() {
	s.t.Helper()
	ctx := s.t.Context()
	var err error
	s.nats, err = embedded.NewNATS(embedded.NATSConfig{Dir: filepath.Join(s.dir, "nats"), Users: lethetest.NATSUsers(), Log: s.log})
	s.must(err)
	s.stores = append(s.stores, s.run("nats", s.nats))
	operator := s.connect("operator", &s.stores)
	js, err := jetstream.New(operator)
	s.must(err)
	s.must(eventlog.Apply(ctx, js, eventlog.Streams(s.pol, eventlog.Limits{})))
	s.all, s.bucket = eventlog.NewLog(operator), eventlog.OpenBucket(operator, eventlog.LoaderBucket)

	s.engine = lethetest.NewEngine(s.t, filepath.Join(s.dir, "clickhouse"), withReader(s.pol)...)
	s.stores = append(s.stores, s.run("clickhouse", s.engine))
	s.admin = s.as(lethetest.Overseer, &s.stores)
	s.must(warehouse.Apply(ctx, s.admin, s.pol))
	s.reader, s.verify = s.as(readerUser, &s.stores), s.as(warehouse.UserVerify, &s.stores)

	s.openAudit()
	c := keyring.Config{
		Dir: filepath.Join(s.dir, "keys"), KEKFile: filepath.Join(s.dir, "kek"), Log: s.log, Now: s.clock,
		Record: recordKeys(s.recorder("pseudonymizer", &s.stores)),
	}
	if _, err := os.Stat(c.Dir); err != nil {
		s.must(keyring.Create(ctx, c))
	}
	s.keys, err = keyring.Open(ctx, c)
	s.must(err)
	s.stores = append(s.stores, func() { _ = s.keys.Close() })
}

func (s *site) connect(user string, stops *[]func()) *nats.Conn {
	s.t.Helper()
	nc, err := s.nats.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
	s.must(err)
	*stops = append(*stops, nc.Close)
	return nc
}

func (s *site) as(user string, stops *[]func()) *warehouse.Warehouse {
	s.t.Helper()
	w, err := warehouse.Open(s.t.Context(), warehouse.Config{
		Addr: []string{"engine"}, Dial: s.engine.Dial, User: user, Password: lethetest.Password(user), Log: s.log,
	})
	s.must(err)
	*stops = append(*stops, func() { _ = w.Close() })
	return w
}

func (s *site) writer(nc *nats.Conn, stream string) *eventlog.Writer {
	w := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: stream, Linger: -1, Log: s.log})
	s.flow = append(s.flow, func() { _ = w.Close(context.WithoutCancel(s.t.Context())) })
	return w
}

func (s *site) startFlow() {
	s.t.Helper()
	s.startSequencer()
	s.startLoader()
	s.startCells()
	s.startPseudonymizer()
	s.startGateway()
	s.startHolds()
}

func (s *site) startLoader() {
	s.t.Helper()
	nc := s.connect("loader", &s.flow)
	reader, err := eventlog.OpenReader(s.t.Context(), nc, eventlog.ReaderConfig{
		Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: s.log,
	})
	s.must(err)
	l, err := loader.New(loader.Config{
		Policy: s.pol, Clean: reader, Frames: eventlog.NewLog(nc), Bucket: eventlog.OpenBucket(nc, eventlog.LoaderBucket),
		Keys: s.keys.Loader(), Warehouse: s.as(warehouse.UserLoader, &s.flow), Staging: s.as(warehouse.UserRebuild, &s.flow),
		Log: s.log, Now: s.clock, MaxWait: 5 * time.Millisecond,
	})
	s.must(err)
	s.flow = append(s.flow, s.run("loader", l))
}

func (s *site) startPseudonymizer() {
	s.t.Helper()
	nc := s.connect("pseudonymizer", &s.flow)
	reader, err := eventlog.OpenReader(s.t.Context(), nc, eventlog.ReaderConfig{
		Stream: eventlog.RawStream, Durable: eventlog.RawConsumer, Log: s.log,
	})
	s.must(err)
	p, err := pseudonymizer.New(pseudonymizer.Config{
		Policy: s.pol, Raw: reader, Clean: s.writer(nc, eventlog.CleanStream), Quarantine: s.writer(nc, eventlog.QuarantineStream),
		Frames: eventlog.NewLog(nc), Keys: s.keys.Pseudonymizer(), Log: s.log, Now: s.clock,
	})
	s.must(err)
	s.flow = append(s.flow, s.run("pseudonymizer", p))
}

func (s *site) startGateway() {
	s.t.Helper()
	store, err := access.Open(filepath.Join(s.dir, "credentials.json"))
	s.must(err)
	c, err := store.Create(s.t.Context(), access.Principal{Role: access.Publisher, Tenant: tenant}, access.Options{})
	s.must(err)
	s.credential = c.Reveal()
	s.gate = access.NewGate(store, s.log)
	g := gateway.New(gateway.Config{
		Policy: s.pol, Raw: s.writer(s.connect("gateway", &s.flow), eventlog.RawStream), Keys: s.keys.Gateway(),
		Gate: s.gate, Log: s.log, Metrics: prometheus.NewRegistry(), Now: s.clock,
	})
	s.door = http.NewServeMux()
	g.Routes(s.door)
	s.flow = append(s.flow, s.run("gateway", g))
}
