package retention_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }

// site is real stores, used as the users that retention has, and a clock that
// the test moves.
type site struct {
	t     *testing.T
	pol   *policy.Policy
	table *policy.Table
	keys  *keyring.Keyring
	admin *warehouse.Warehouse
	own   *warehouse.Warehouse // as retention's user
	raw   *eventlog.Writer
	clean *eventlog.Writer
	log   *eventlog.Log // as retention's user
	all   *nats.Conn    // as the operator
	now   time.Time
}

func start(t *testing.T) *site {
	t.Helper()
	ctx := t.Context()
	pol := lethetest.BuiltIn(t)
	table, _ := pol.Table("http_access")
	s := &site{t: t, pol: pol, table: table, now: time.Now()}

	engine := lethetest.Engine(t, lethetest.EngineUsers(pol)...)
	open := func(user string) *warehouse.Warehouse {
		w, err := warehouse.Open(ctx, warehouse.Config{
			Addr: []string{"engine"}, Dial: engine.Dial, User: user, Password: lethetest.Password(user), Log: lethetest.Logger(t),
		})
		must(t, err)
		t.Cleanup(func() { _ = w.Close() })
		return w
	}
	s.admin, s.own = open(warehouse.UserAdmin), open(warehouse.UserRetention)
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
	writer := func(stream string) *eventlog.Writer {
		w := eventlog.NewWriter(s.all, eventlog.WriterConfig{Stream: stream, Log: lethetest.Logger(t)})
		t.Cleanup(func() { _ = w.Close(context.Background()) })
		return w
	}
	s.raw, s.clean = writer(eventlog.RawStream), writer(eventlog.CleanStream)
	s.log = eventlog.NewLog(connect("retention"))

	dir := t.TempDir()
	c := keyring.Config{
		Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"),
		Log: lethetest.Logger(t), Now: func() time.Time { return s.now },
	}
	must(t, keyring.Create(ctx, c))
	s.keys, err = keyring.Open(ctx, c)
	must(t, err)
	t.Cleanup(func() { _ = s.keys.Close() })
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run is one run of retention at the test's time.
func (s *site) run() {
	s.t.Helper()
	must(s.t, s.retention().Once(s.t.Context()))
}

func (s *site) retention() *retention.Retention {
	return retention.New(retention.Config{
		Policy: s.pol, Warehouse: s.own, Log: s.log, Keys: s.keys.Retention(),
		Logger: lethetest.Logger(s.t), Metrics: prometheus.NewRegistry(), Now: func() time.Time { return s.now },
	})
}

// sealed is a clean frame and how to open it.
type sealed struct {
	day        event.Day
	aad, bytes []byte
}

// store puts rows of one expiry day into the table, and their frame on the
// clean log.
func (s *site) store(day event.Day, rows int) sealed {
	s.t.Helper()
	ctx := s.t.Context()
	b := warehouse.NewBatch(s.table, day)
	var made []event.Row
	for range rows {
		at := day.Start().Add(time.Hour).AddDate(0, 0, -30)
		made = append(made, event.Row{
			Table: s.table.Name, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at,
			ExpiresAt: day.Start().Add(time.Hour), Values: make([]event.Value, len(s.table.Columns)),
		})
	}
	b.Append(warehouse.Source{Tenant: "acme", Service: "web", Seq: 1, Columns: s.table.ColumnNames()}, made)
	must(s.t, s.admin.Insert(ctx, b, string(day)))
	aad := []byte("header")
	frame, err := s.keys.Pseudonymizer().SealClean(ctx, "acme", s.table.Class.Name, string(day), aad, []byte("body"))
	must(s.t, err)
	_, err = s.clean.Append(ctx, []eventlog.Message{{Topic: event.CleanTopic("acme", "web", s.table.Name, day, 0), Data: event.Pack(aad, frame)}})
	must(s.t, err)
	return sealed{day, aad, frame}
}

// opens says whether a clean frame can still be opened.
func (s *site) opens(f sealed) bool {
	s.t.Helper()
	_, err := s.keys.Loader().OpenClean(s.t.Context(), "acme", s.table.Class.Name, string(f.day), f.aad, f.bytes)
	if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
		s.t.Fatal(err)
	}
	return err == nil
}

func (s *site) rows(day event.Day) uint64 {
	s.t.Helper()
	parts, err := s.own.Partitions(s.t.Context())
	must(s.t, err)
	for _, p := range parts {
		if p.Table == s.table.Name && p.Day == day {
			return p.Rows
		}
	}
	return 0
}

func (s *site) frames(day event.Day) int {
	s.t.Helper()
	topics, err := s.log.Topics(s.t.Context(), eventlog.CleanStream, event.CleanTopic("acme", "web", s.table.Name, day, 0))
	must(s.t, err)
	return len(topics)
}

// P4: an expired day is gone from the table, from the log, and for whoever
// kept a copy of the frame.
func TestAnExpiredDayIsGoneFromTableAndLogAndNoCopyOpens(t *testing.T) {
	s := start(t)
	past, today, ahead := event.DayOf(s.now.AddDate(0, 0, -1)), event.DayOf(s.now), event.DayOf(s.now.AddDate(0, 0, 5))
	old, current, young := s.store(past, 3), s.store(today, 4), s.store(ahead, 5)

	// The control: before the run everything is there.
	if s.rows(past) != 3 || !s.opens(old) || s.frames(past) != 1 {
		t.Fatal("the expired day was not there to begin with")
	}
	for range 2 { // a run can be done again
		s.run()
		if s.rows(past) != 0 || s.opens(old) || s.frames(past) != 0 {
			t.Errorf("the expired day left %d rows, %d topics, frame opens: %v", s.rows(past), s.frames(past), s.opens(old))
		}
		if s.rows(today) != 4 || !s.opens(current) || s.rows(ahead) != 5 || !s.opens(young) || s.frames(ahead) != 1 {
			t.Error("a day that has not ended was touched")
		}
	}
}

func TestARunThatComesAYearLateCatchesUp(t *testing.T) {
	s := start(t)
	var all []sealed
	for d := range 10 {
		all = append(all, s.store(event.DayOf(s.now.AddDate(0, 0, d)), 1))
	}
	s.now = s.now.AddDate(1, 0, 0)
	s.run()
	for _, f := range all {
		if s.rows(f.day) != 0 || s.opens(f) {
			t.Errorf("expiry day %s outlived its rule", f.day)
		}
	}
}

// broken fails to drop one table's partitions, as a table that is locked would.
type broken struct{ *warehouse.Warehouse }

func (broken) Drop(context.Context, string, event.Day) error { return errors.New("locked") }

func TestWhatCannotBeDroppedKeepsNothingElseAlive(t *testing.T) {
	s := start(t)
	f := s.store(event.DayOf(s.now.AddDate(0, 0, -1)), 1)
	r := retention.New(retention.Config{
		Policy: s.pol, Warehouse: broken{s.own}, Log: s.log, Keys: s.keys.Retention(),
		Logger: lethetest.Logger(t), Metrics: prometheus.NewRegistry(), Now: func() time.Time { return s.now },
	})
	if err := r.Once(t.Context()); err == nil {
		t.Error("a run that left something says that all is well")
	}
	if s.opens(f) || s.frames(f.day) != 0 {
		t.Error("a partition that could not be dropped kept the key and the frames of its day")
	}
	s.run()
	if s.rows(f.day) != 0 {
		t.Error("the next run did not drop it")
	}
}

func TestTheClockNeverGoesBack(t *testing.T) {
	s := start(t)
	at := s.now
	s.now = at.AddDate(0, 0, 3)
	s.run()
	s.now = at.AddDate(0, 0, -30)
	f := s.store(event.DayOf(at.AddDate(0, 0, 1)), 1) // expired by Lethe's clock, not by the wall's
	s.run()
	if s.rows(f.day) != 0 || s.opens(f) {
		t.Error("a clock that was set back gave an expired row its life back")
	}
}

func TestARawHourIsDestroyedWhenItIsTreatedAndThreeDaysOld(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	aad := []byte("header")
	frame, err := s.keys.Gateway().SealRaw(ctx, "acme", s.now, aad, []byte("body"))
	must(t, err)
	_, err = s.raw.Append(ctx, []eventlog.Message{{Topic: event.RawTopic("acme", "web", "http_access", 0), Data: event.Pack(aad, frame)}})
	must(t, err)
	opens := func() bool {
		t.Helper()
		_, err := s.keys.Pseudonymizer().OpenRaw(ctx, "acme", aad, frame)
		if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
			t.Fatal(err)
		}
		return err == nil
	}
	begin := s.now
	s.now = begin.Add(80 * time.Hour)
	s.run()
	if !opens() {
		t.Fatal("an hour that was not treated was destroyed after three days")
	}
	r, err := eventlog.OpenReader(ctx, s.all, eventlog.ReaderConfig{Stream: eventlog.RawStream, Durable: eventlog.RawConsumer, Log: lethetest.Logger(t)})
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	msgs, err := r.Fetch(ctx, 10, 1<<20, time.Second)
	must(t, err)
	must(t, r.AckThrough(ctx, msgs[len(msgs)-1].Seq))
	s.now = begin.Add(70 * time.Hour)
	s.run()
	if opens() {
		// 80 hours have been seen, and the clock does not go back.
		t.Error("a treated hour of 80 hours outlived its rule")
	}
	info, err := s.log.Info(ctx, eventlog.RawStream)
	must(t, err)
	if info.Messages != 0 {
		t.Errorf("%d frames that nobody can open are still on the raw log", info.Messages)
	}
}

func TestAnUntreatedRawHourIsDestroyedAtTheCap(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	frame, err := s.keys.Gateway().SealRaw(ctx, "acme", s.now, nil, []byte("body"))
	must(t, err)
	_, err = s.raw.Append(ctx, []eventlog.Message{{Topic: event.RawTopic("acme", "web", "http_access", 0), Data: event.Pack(nil, frame)}})
	must(t, err)
	s.now = s.now.AddDate(0, 0, 31)
	s.run()
	if _, err := s.keys.Pseudonymizer().OpenRaw(ctx, "acme", nil, frame); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("a raw hour of 31 days still opens (%v)", err)
	}
}

func TestAnEpochIsDestroyedWhenItsLastTokenHasExpired(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	d := s.table.Domain
	epoch := d.Epoch(s.now)
	key := keyring.TokenKey{Domain: d.Name, Tenant: "acme", Service: "web", Kind: "ip", Epoch: epoch}
	if _, err := s.keys.Pseudonymizer().Tokenizer(ctx, key); err != nil {
		t.Fatal(err)
	}
	last := s.table.Class.Period.After(d.EpochStart(epoch + 1).Add(d.Bridge)) // the last row with a token of the epoch expires
	s.now = last.Add(-time.Hour)
	s.run()
	if _, err := s.keys.Pseudonymizer().Tokenizer(ctx, key); err != nil {
		t.Fatalf("the epoch was destroyed while a row still bore its token: %v", err)
	}
	s.now = last.AddDate(0, 0, 2)
	s.run()
	if _, err := s.keys.Pseudonymizer().Tokenizer(ctx, key); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("the epoch outlived its last token (%v)", err)
	}
}

func TestAQuarantineDayIsDestroyedAfterItsRule(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	frame, err := s.keys.Pseudonymizer().SealQuarantine(ctx, "acme", s.now, nil, []byte("body"))
	must(t, err)
	s.now = s.now.AddDate(0, 0, 29)
	s.run()
	if _, err := s.keys.Pseudonymizer().OpenQuarantine(ctx, "acme", nil, frame); err != nil {
		t.Fatalf("a quarantine frame of 29 days does not open: %v", err)
	}
	s.now = s.now.AddDate(0, 0, 3)
	s.run()
	if _, err := s.keys.Pseudonymizer().OpenQuarantine(ctx, "acme", nil, frame); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("a quarantine frame of 32 days still opens (%v)", err)
	}
}
