package cell_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// noon is what time it is at first: today, because the engine goes by the wall
// clock too.
var noon = time.Now().UTC().Truncate(24 * time.Hour).Add(12 * time.Hour)

// ago is the day, in UTC, so many days before noon.
func ago(days int) string { return noon.AddDate(0, 0, -days).Format(time.DateOnly) }

// site is a clean log, a keyring, a warehouse, a loader and a publisher, all
// real, each used as the user that it has in a running Lethe.
type site struct {
	t      testing.TB
	pol    *policy.Policy
	engine *embedded.Engine
	nats   *embedded.NATS
	keys   *keyring.Keyring
	clean  *eventlog.Writer
	log    *eventlog.Log    // as the operator
	bucket *eventlog.Bucket // the loader's

	admin, verify *warehouse.Warehouse
	now           time.Time
	p             *cell.Publisher

	// edge is when the second of two key epochs begins; rows bear both tokens
	// from then on. Zero is long ago.
	edge time.Time
	n    int // rows made, for ids
}

func start(t testing.TB, layers ...fs.FS) *site {
	t.Helper()
	return startWith(t, compile(t, layers...))
}

func startWith(t testing.TB, pol *policy.Policy) *site {
	t.Helper()
	s := &site{t: t, pol: pol, now: noon}
	s.engine = lethetest.Engine(s.t, lethetest.EngineUsers(s.pol)...)
	s.admin, s.verify = s.as(lethetest.Overseer), s.as(lethetest.Overseer)
	s.must(warehouse.Apply(t.Context(), s.admin, s.pol))

	s.nats = lethetest.NATS(s.t, lethetest.NATSUsers()...)
	operator := s.connect("operator")
	js, err := jetstream.New(operator)
	s.must(err)
	s.must(eventlog.Apply(t.Context(), js, eventlog.Streams(s.pol, eventlog.Limits{})))
	s.log = eventlog.NewLog(operator)
	s.clean = s.writer("pseudonymizer")

	dir := t.TempDir()
	c := keyring.Config{Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"), Log: lethetest.Logger(t)}
	s.must(keyring.Create(t.Context(), c))
	s.keys, err = keyring.Open(t.Context(), c)
	s.must(err)
	t.Cleanup(func() { _ = s.keys.Close() })
	s.startLoader()
	s.restart()
	return s
}

// compile is the policy of the tests, with documents laid over it.
func compile(t testing.TB, layers ...fs.FS) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(append([]fs.FS{os.DirFS("testdata/policy")}, layers...)...)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// edited is a layer with the pipeline document changed.
func edited(t testing.TB, replace ...string) fs.FS {
	t.Helper()
	b, err := os.ReadFile("testdata/policy/test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(replace...).Replace(string(b))
	if text == string(b) {
		t.Fatal("nothing was changed")
	}
	return fstest.MapFS{"test.yaml": {Data: []byte(text)}}
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

// exec changes the warehouse behind everybody's back.
func (s *site) exec(sql string) {
	s.t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{"engine"}, DialContext: s.engine.Dial,
		Auth: clickhouse.Auth{Username: lethetest.Overseer, Password: lethetest.Password(lethetest.Overseer)},
	})
	s.must(err)
	defer conn.Close()
	s.must(conn.Exec(s.t.Context(), sql))
}

func (s *site) connect(user string) *nats.Conn {
	s.t.Helper()
	nc, err := s.nats.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
	s.must(err)
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *site) writer(user string) *eventlog.Writer {
	s.t.Helper()
	w := eventlog.NewWriter(s.connect(user), eventlog.WriterConfig{Stream: eventlog.CleanStream, Log: lethetest.Logger(s.t)})
	s.t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

func (s *site) startLoader() {
	s.t.Helper()
	nc := s.connect("loader")
	reader, err := eventlog.OpenReader(s.t.Context(), nc, eventlog.ReaderConfig{
		Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: lethetest.Logger(s.t),
	})
	s.must(err)
	s.bucket = eventlog.OpenBucket(nc, eventlog.LoaderBucket)
	l, err := loader.New(loader.Config{
		Policy: s.pol, Clean: reader, Frames: eventlog.NewLog(nc), Bucket: s.bucket, Keys: s.keys.Loader(),
		Warehouse: s.as(warehouse.UserLoader), Staging: s.as(warehouse.UserRebuild), Log: lethetest.Logger(s.t),
		Now: func() time.Time { return s.now }, MaxWait: time.Millisecond,
	})
	s.must(err)
	lethetest.Start(s.t, "loader", l)
}

// rebuild makes the warehouse anew from the clean log.
func (s *site) rebuild() {
	s.t.Helper()
	s.must(loader.Rebuild(s.t.Context(), s.bucket, nil))
}

// config is that of a publisher in a running Lethe that waits for nothing.
func (s *site) config() cell.Config {
	s.t.Helper()
	nc := s.connect("cells")
	return cell.Config{
		Policy: s.pol, Log: eventlog.NewLog(nc), Appender: s.writer("cells"), Keys: s.keys.Cells(), Warehouse: s.as(warehouse.UserCells),
		Bucket: eventlog.OpenBucket(nc, eventlog.CellBucket), Logger: lethetest.Logger(s.t), Now: func() time.Time { return s.now },
		Settle: time.Nanosecond, Owner: "test",
	}
}

func publisher(t testing.TB, c cell.Config) *cell.Publisher {
	t.Helper()
	p, err := cell.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// restart replaces the publisher by one that knows nothing.
func (s *site) restart() {
	s.p = publisher(s.t, s.config())
	s.p.Hurry()
}

// A person in a test is a number; a visit is one row.
type visit struct {
	tenant, service string
	at              time.Time
	person          int // 0 is nobody: no token
	page            string
	code            int // -1 is none
	state           string
	size            int
}

func (v visit) whole() visit {
	if v.tenant == "" {
		v.tenant = "acme"
	}
	if v.service == "" {
		v.service = "shop"
	}
	if v.page == "" {
		v.page = "/"
	}
	if v.state == "" {
		v.state = "in"
	}
	return v
}

// token is what a person's token would be: different in each service and epoch.
func token(v visit, epoch int64) event.Value {
	if v.person == 0 {
		return event.Value{}
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(fmt.Sprintf("%s %s %d ", v.tenant, v.service, v.person)), uint64(epoch)))
	return event.TokenValue([event.TokenSize]byte(sum[:]))
}

// publish appends visits as clean frames, one for each service and expiry day,
// and returns the sequence of each visit's.
func (s *site) publish(visits ...visit) []uint64 {
	s.t.Helper()
	return s.publishTo("visit", visits...)
}

func (s *site) publishTo(name string, visits ...visit) []uint64 {
	s.t.Helper()
	type part struct {
		tenant, service string
		day             event.Day
	}
	rows := map[part][]event.Clean{}
	from := map[part][]int{}
	var order []part
	for i, v := range visits {
		v = v.whole()
		r := s.row(name, v)
		at := part{v.tenant, v.service, event.DayOf(r.ExpiresAt)}
		if rows[at] == nil {
			order = append(order, at)
		}
		rows[at], from[at] = append(rows[at], event.NewClean(r)), append(from[at], i)
	}
	seqs := make([]uint64, len(visits))
	for _, at := range order {
		for len(rows[at]) > 0 {
			n := min(len(rows[at]), event.MaxFrameEvents)
			seq := s.frame(name, at.tenant, at.service, at.day, rows[at][:n])
			for _, i := range from[at][:n] {
				seqs[i] = seq
			}
			rows[at], from[at] = rows[at][n:], from[at][n:]
		}
	}
	return seqs
}

var columns = []string{"page", "state", "code", "size", "visitor", "visitor_prev"}

func (s *site) row(name string, v visit) event.Row {
	table, _ := s.pol.Table(name)
	s.n++
	at := v.at.Truncate(max(table.TimeTo, time.Millisecond))
	r := event.Row{
		Table: name, ID: event.NewID(at, [16]byte{byte(s.n >> 16), byte(s.n >> 8), byte(s.n), 1}), Identified: true,
		OccurredAt: at, ExpiresAt: table.Class.ExpiresAt(at),
		Values: []event.Value{event.StringValue(v.page), event.StringValue(v.state), {}, event.IntValue(int64(v.size)), {}, {}},
	}
	if v.code >= 0 {
		r.Values[2] = event.IntValue(int64(v.code))
	}
	if table.Class.Lasting {
		return r
	}
	epoch := table.Domain.Epoch(noon)
	before := table.Domain.Previous(epoch)
	if at.Before(s.edge) {
		epoch, before = before, 0
	}
	r.Epoch = table.Domain.Mark(epoch)
	r.Values[4] = token(v, epoch)
	if before != 0 && !s.edge.IsZero() {
		r.Values[5] = token(v, before)
	}
	return r
}

func (s *site) frame(name, tenant, service string, day event.Day, rows []event.Clean) uint64 {
	s.t.Helper()
	return s.frameOf(name, tenant, service, day, columns, rows)
}

func (s *site) frameOf(name, tenant, service string, day event.Day, columns []string, rows []event.Clean) uint64 {
	s.t.Helper()
	table, _ := s.pol.Table(name)
	h := event.CleanHeader{
		Tenant: tenant, Service: service, Table: name, Class: table.Class.KeyName(), Day: day,
		Event: table.Event, Version: 1, Policy: s.pol.Digest(), Count: len(rows), RawSeq: uint64(s.n),
	}
	header := event.Header(h)
	sealed, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), h.Tenant, h.Class, string(h.Day), header, event.CleanBody(columns, rows))
	s.must(err)
	acks, err := s.clean.AppendAtomic(s.t.Context(), []eventlog.Message{
		{Topic: event.CleanTopic(h.Tenant, h.Service, h.Table, h.Day, 0), Data: event.Pack(header, sealed)},
	})
	s.must(err)
	return acks[0].Seq
}

// loaded waits until the loader has everything.
func (s *site) loaded() {
	s.t.Helper()
	info, err := s.log.Info(s.t.Context(), eventlog.CleanStream)
	s.must(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		state, err := s.log.Consumer(s.t.Context(), eventlog.CleanStream, eventlog.CleanConsumer)
		s.must(err)
		if state.Floor >= info.Last {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatal("the loader does not load")
		}
	}
}

// cut publishes until nothing is left that can be, and returns how many cells
// that were.
func (s *site) cut() int {
	s.t.Helper()
	total := 0
	for {
		s.loaded()
		n, err := s.p.Look(s.t.Context())
		s.must(err)
		total += n
		if n == 0 {
			return total
		}
	}
}
