package pseudonymizer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
)

func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }

// noon is what time it is for every test.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// site is three logs and a keyring, all real, each used as the user that the
// pseudonymizer has in a running Lethe.
type site struct {
	t    testing.TB
	pol  *policy.Policy
	keys *keyring.Keyring
	now  time.Time

	raw    *eventlog.Writer // the gateway's
	clean  *eventlog.Writer
	aside  *eventlog.Writer
	frames *eventlog.Log
	all    *eventlog.Log // the operator's
	nats   *embedded.NATS

	sent map[event.ID]bool // what must be in http_access or in quarantine
	last uint64            // raw sequence
}

func start(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, now: noon, sent: map[event.ID]bool{}}
	s.pol = lethetest.BuiltIn(t)
	s.nats = lethetest.NATS(t, lethetest.NATSUsers()...)
	operator := s.connect("operator")
	js, err := jetstream.New(operator)
	s.must(err)
	s.must(eventlog.Apply(t.Context(), js, eventlog.Streams(s.pol, eventlog.Limits{})))
	s.all = eventlog.NewLog(operator)
	s.raw = s.writer("gateway", eventlog.RawStream)
	s.clean = s.writer("pseudonymizer", eventlog.CleanStream)
	s.aside = s.writer("pseudonymizer", eventlog.QuarantineStream)
	s.frames = eventlog.NewLog(s.connect("pseudonymizer"))
	dir := t.TempDir()
	cfg := keyring.Config{
		Dir: filepath.Join(dir, "keys"), KEKFile: filepath.Join(dir, "kek"), Log: lethetest.Logger(t),
		Now: func() time.Time { return s.now },
	}
	s.must(keyring.Create(t.Context(), cfg))
	s.keys, err = keyring.Open(t.Context(), cfg)
	s.must(err)
	t.Cleanup(func() { s.keys.Close() })
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) connect(user string) *nats.Conn {
	s.t.Helper()
	nc, err := s.nats.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
	s.must(err)
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *site) writer(user, stream string) *eventlog.Writer {
	w := eventlog.NewWriter(s.connect(user), eventlog.WriterConfig{Stream: stream, Log: lethetest.Logger(s.t)})
	s.t.Cleanup(func() { _ = w.Close(context.Background()) })
	return w
}

// visit is a synthetic access event.
func (s *site) visit(client string, occurred time.Time) event.Raw {
	return event.NewRaw(event.Contents{
		ID: event.NewID(occurred, event.RandomPayload()), OccurredAt: occurred, ReceivedAt: s.now,
		Fields: []string{"client_ip", "status", "path"},
		Values: []event.Value{event.StringValue(client), event.IntValue(200), event.StringValue("/users/12345")},
	})
}

// visits are n sound events.
func (s *site) visits(n int) []event.Raw {
	var out []event.Raw
	for i := range n {
		out = append(out, s.visit(fmt.Sprintf("192.0.2.%d", i%250+1), s.now.Add(-time.Duration(i)*time.Second)))
	}
	return out
}

// publish appends one raw frame, as the gateway does.
func (s *site) publish(raws []event.Raw, edit ...func(*event.RawHeader)) {
	s.t.Helper()
	h := event.RawHeader{Tenant: "acme", Service: "shop", Event: "http_access", Version: 1, Policy: s.pol.Digest(), Count: len(raws)}
	for _, e := range edit {
		e(&h)
	}
	s.publishBody(h, event.RawBody(raws))
	for _, r := range raws {
		s.sent[r.ID()] = true
	}
}

func (s *site) publishBody(h event.RawHeader, body []byte) {
	s.t.Helper()
	header := event.Header(h)
	sealed, err := s.keys.Gateway().SealRaw(s.t.Context(), h.Tenant, s.now, header, body)
	s.must(err)
	s.append(event.RawTopic(h.Tenant, h.Service, h.Event, 3), event.Pack(header, sealed))
}

func (s *site) append(topic string, data []byte) {
	s.t.Helper()
	acks, err := s.raw.Append(s.t.Context(), []eventlog.Message{{Topic: topic, Data: data}})
	s.must(err)
	s.last = acks[0].Seq
}

// config is a pseudonymizer's on the real logs. Tests wrap what they want to
// fail.
func (s *site) config() pseudonymizer.Config {
	s.t.Helper()
	r, err := eventlog.OpenReader(s.t.Context(), s.connect("pseudonymizer"), eventlog.ReaderConfig{
		Stream: eventlog.RawStream, Durable: eventlog.RawConsumer, Log: lethetest.Logger(s.t),
	})
	s.must(err)
	s.t.Cleanup(func() { _ = r.Close() })
	return pseudonymizer.Config{
		Policy: s.pol, Raw: r, Clean: s.clean, Quarantine: s.aside, Frames: s.frames,
		Keys: s.keys.Pseudonymizer(), Log: lethetest.Logger(s.t), Now: func() time.Time { return s.now },
	}
}

// run runs a pseudonymizer until it acknowledged everything that was published,
// or stop says so, and returns it and its error.
func (s *site) run(cfg pseudonymizer.Config) (*pseudonymizer.Pseudonymizer, error) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	cfg.Raw = &watched{Reader: cfg.Raw, through: s.last, stop: cancel}
	p, err := pseudonymizer.New(cfg)
	s.must(err)
	return p, p.Run(ctx, func() {})
}

// flow is run without an error.
func (s *site) flow(cfg pseudonymizer.Config) *pseudonymizer.Pseudonymizer {
	s.t.Helper()
	p, err := s.run(cfg)
	s.must(err)
	return p
}

// watched stops the pseudonymizer when a sequence is acknowledged.
type watched struct {
	pseudonymizer.Reader
	through uint64
	stop    func()
}

func (w *watched) AckThrough(ctx context.Context, seq uint64) error {
	err := w.Reader.AckThrough(ctx, seq)
	if err == nil && seq >= w.through {
		w.stop()
	}
	return err
}

// world is what the clean log and quarantine hold.
type world struct {
	rows    map[event.ID]int // rows of http_access
	headers []event.CleanHeader
	waiting []pseudonymizer.Waiting
}

func (s *site) world() world {
	s.t.Helper()
	w := world{rows: map[event.ID]int{}}
	info, err := s.all.Info(s.t.Context(), eventlog.CleanStream)
	s.must(err)
	for m, err := range s.all.Range(s.t.Context(), eventlog.CleanStream, info.First, info.Last) {
		s.must(err)
		header, sealed, err := event.Unpack(m.Data)
		s.must(err)
		var h event.CleanHeader
		s.must(event.ParseHeader(header, &h))
		body, err := s.keys.Loader().OpenClean(s.t.Context(), h.Tenant, h.Class, string(h.Day), header, sealed)
		s.must(err)
		_, rows, err := event.ParseCleanBody(body)
		s.must(err)
		if len(rows) != h.Count || m.Topic != event.CleanTopic(h.Tenant, h.Service, h.Table, h.Day, shard(m.Topic)) {
			s.t.Errorf("clean frame %d is not what its header says", m.Seq)
		}
		for _, r := range rows {
			if event.DayOf(r.ExpiresAt) != h.Day {
				s.t.Errorf("clean frame %d holds a row of another day", m.Seq)
			}
			if h.Table == "http_access" {
				w.rows[r.ID]++
			}
		}
		w.headers = append(w.headers, h)
	}
	p, err := pseudonymizer.New(s.config())
	s.must(err)
	w.waiting, err = p.Waiting(s.t.Context())
	s.must(err)
	return w
}

func shard(topic string) (n int) {
	_, _ = fmt.Sscanf(topic[strings.LastIndexByte(topic, '.')+1:], "%d", &n)
	return n
}

// check holds the world to what was sent: each event once on the clean log, or
// waiting, and nothing else (P18).
func (s *site) check(waiting int) world {
	s.t.Helper()
	w := s.world()
	missing, twice, strange, set := 0, 0, 0, 0
	for id, n := range w.rows {
		if !s.sent[id] {
			strange++
		}
		if n > 1 {
			twice++
		}
	}
	for id := range s.sent {
		if w.rows[id] == 0 {
			missing++
		}
	}
	for _, f := range w.waiting {
		set += f.Count
	}
	if missing != waiting || set != waiting || twice > 0 || strange > 0 {
		s.t.Errorf("of %d events %d are not on the clean log, %d wait in quarantine (want %d), %d are stored twice, %d were never sent",
			len(s.sent), missing, set, waiting, twice, strange)
	}
	return w
}

// once fails the first call of do, after it took effect or before.
type once struct {
	mu     sync.Mutex
	landed bool  // the deed is done, and only the answer is lost
	err    error // what it says; nil is that the store does not answer
	failed bool
	calls  int
}

var errFault = fault.Unavailable.Errorf("the answer is lost")

func (o *once) do(deed func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls++
	if o.failed {
		return deed()
	}
	o.failed = true
	if o.landed {
		if err := deed(); err != nil {
			return err
		}
	}
	if o.err != nil {
		return o.err
	}
	return errFault
}

type faultyClean struct {
	pseudonymizer.AtomicWriter
	*once
}

func (f faultyClean) AppendAtomic(ctx context.Context, msgs []eventlog.Message) (acks []eventlog.Ack, err error) {
	err = f.do(func() error { acks, err = f.AtomicWriter.AppendAtomic(ctx, msgs); return err })
	return acks, err
}

type faultyAside struct {
	pseudonymizer.Writer
	*once
}

func (f faultyAside) Append(ctx context.Context, msgs []eventlog.Message) (acks []eventlog.Ack, err error) {
	err = f.do(func() error { acks, err = f.Writer.Append(ctx, msgs); return err })
	return acks, err
}

type faultyAck struct {
	pseudonymizer.Reader
	*once
}

func (f faultyAck) AckThrough(ctx context.Context, seq uint64) error {
	return f.do(func() error { return f.Reader.AckThrough(ctx, seq) })
}

type faultyDelete struct {
	pseudonymizer.Frames
	*once
}

func (f faultyDelete) Delete(ctx context.Context, stream string, seq uint64) error {
	return f.do(func() error { return f.Frames.Delete(ctx, stream, seq) })
}

// errDied is the process ending, as far as one that goes on can show it.
var errDied = errors.New("the process died")

// nameless appends without message ids.
type nameless struct{ pseudonymizer.AtomicWriter }

func (n nameless) AppendAtomic(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	msgs = slices.Clone(msgs)
	for i := range msgs {
		msgs[i].ID = ""
	}
	return n.AtomicWriter.AppendAtomic(ctx, msgs)
}

// forgetful does not know where to resume.
type forgetful struct{ frames pseudonymizer.Frames }

func (forgetful) LastRawSeq(context.Context) (uint64, error) { return 0, nil }
func (f forgetful) Info(ctx context.Context, stream string) (eventlog.StreamState, error) {
	return f.frames.Info(ctx, stream)
}
func (f forgetful) Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error] {
	return f.frames.Range(ctx, stream, first, last)
}
func (f forgetful) Delete(ctx context.Context, stream string, seq uint64) error {
	return f.frames.Delete(ctx, stream, seq)
}
