package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

const tenant = "acme"

// site is a gateway before a real log and a real keyring.
type site struct {
	t       testing.TB
	dir     string
	nats    *embedded.NATS
	nc      *nats.Conn
	keys    *keyring.Keyring
	store   *access.Store
	raw     gateway.Appender
	gateway *gateway.Gateway
	http    *httptest.Server
	reg     *prometheus.Registry
	logged  *locked
	all     string // credential of a publisher that may send for every service
	stop    func() // stops the gateway and waits
	clock   *lethetest.Clock
}

var builtin = sync.OnceValues(func() (*policy.Policy, error) {
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		return nil, err
	}
	return policy.Compile(docs)
})

// setup opens a gateway. Change changes its configuration first.
func setup(t testing.TB, change ...func(*site, *gateway.Config)) *site {
	t.Helper()
	pol, err := builtin()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: t.TempDir(), reg: prometheus.NewRegistry(), logged: &locked{}, clock: lethetest.NewClock(time.Now().UTC())}
	s.nats = lethetest.NATS(t)
	s.nc, err = s.nats.Connect("test", "test", nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.nc.Close)
	js, err := jetstream.New(s.nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := eventlog.Apply(t.Context(), js, eventlog.Streams(pol, eventlog.Limits{})); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewJSONHandler(s.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	kc := keyring.Config{Dir: filepath.Join(s.dir, "keys"), KEKFile: filepath.Join(s.dir, "kek"), Log: log}
	if err := keyring.Create(t.Context(), kc); err != nil {
		t.Fatal(err)
	}
	if s.keys, err = keyring.Open(t.Context(), kc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.keys.Close() })
	if s.store, err = access.Open(filepath.Join(s.dir, "credentials.json")); err != nil {
		t.Fatal(err)
	}
	s.all = s.credential(access.Principal{Role: access.Publisher, Tenant: tenant})
	w := eventlog.NewWriter(s.nc, eventlog.WriterConfig{Stream: eventlog.RawStream, Log: log, Metrics: s.reg})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.Close(ctx) // answers whoever is left
	})
	s.raw = w
	cfg := gateway.Config{
		Policy: pol, Raw: w, Keys: s.keys.Gateway(), Gate: access.NewGate(s.store, log), Log: log, Metrics: s.reg,
		Now: s.clock.Now,
		Requests: func(answer func(context.Context, eventlog.Request) []byte) (func(context.Context) error, error) {
			return eventlog.Serve(s.nc, event.PublishTopics, "gateway", log, answer)
		},
	}
	for _, c := range change {
		c(s, &cfg)
	}
	s.gateway = gateway.New(cfg)
	mux := http.NewServeMux()
	s.gateway.Routes(mux)
	s.http = httptest.NewServer(mux)
	t.Cleanup(s.http.Close)
	s.run()
	return s
}

func (s *site) run() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- s.gateway.Run(ctx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-done:
		s.t.Fatal(err)
	}
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("running the gateway: %v", err)
		}
	})
	s.t.Cleanup(s.stop)
}

func (s *site) credential(p access.Principal) string {
	s.t.Helper()
	c, err := s.store.Create(s.t.Context(), p, access.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return c.Reveal()
}

// answer is what came back.
type answer struct {
	status   int
	text     string
	receipts []gateway.Receipt
	header   http.Header
}

// statuses is each receipt's, in order.
func (a answer) statuses() string {
	var all []string
	for i, r := range a.receipts {
		if r.Index != i {
			all = append(all, "out-of-order")
		}
		all = append(all, r.Status)
	}
	return strings.Join(all, " ")
}

// post sends a body; headers are name and value in turn.
func (s *site) post(contentType, body string, headers ...string) answer {
	s.t.Helper()
	return s.request("POST", "?service=shop", contentType, body, headers...)
}

func (s *site) request(method, query, contentType, body string, headers ...string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+"/v1/events"+query, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.all)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return s.do(req)
}

func (s *site) do(req *http.Request) answer {
	s.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return read(s.t, resp.StatusCode, resp.Header, text)
}

func read(t testing.TB, status int, header http.Header, text []byte) answer {
	t.Helper()
	a := answer{status: status, text: string(text), header: header}
	if status == http.StatusOK {
		var body gateway.Answer
		if err := json.Unmarshal(text, &body); err != nil || body.Receipts == nil {
			t.Fatalf("the answer is no receipts: %v", err)
		}
		a.receipts = body.Receipts
	} else if header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d is not answered with a problem document", status)
	}
	return a
}

// stored opens every frame of the raw log and returns its events.
func (s *site) stored() (events []event.Contents) {
	s.t.Helper()
	l := eventlog.NewLog(s.nc)
	info, err := l.Info(s.t.Context(), eventlog.RawStream)
	if err != nil {
		s.t.Fatal(err)
	}
	for m, err := range l.Range(s.t.Context(), eventlog.RawStream, 1, info.Last) {
		if err != nil {
			s.t.Fatal(err)
		}
		header, sealed, err := event.Unpack(m.Data)
		if err != nil {
			s.t.Fatal(err)
		}
		var h event.RawHeader
		if err := event.ParseHeader(header, &h); err != nil {
			s.t.Fatal(err)
		}
		body, err := s.keys.Pseudonymizer().OpenRaw(s.t.Context(), h.Tenant, header, sealed)
		if err != nil {
			s.t.Fatal(err)
		}
		raws, err := event.ParseRawBody(body)
		if err != nil || len(raws) != h.Count {
			s.t.Fatalf("a frame of %d holds %d, err %v", h.Count, len(raws), err)
		}
		if m.Topic != event.RawTopic(h.Tenant, h.Service, h.Event, 0) {
			s.t.Errorf("a frame of %s stands on topic %s", h.Event, m.Topic)
		}
		for _, r := range raws {
			events = append(events, *event.Open(r))
		}
	}
	return events
}

// messages is the message field of every stored app_log event.
func (s *site) messages() (all []string) {
	for _, e := range s.stored() {
		for i, f := range e.Fields {
			if f == "message" {
				all = append(all, e.Values[i].Str())
			}
		}
	}
	return all
}

// locked is a buffer for a log that many goroutines write.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// line is an app_log event in the native form. More is further members, each
// with a comma behind it.
func line(message, more string) string {
	m, _ := json.Marshal(message)
	return `{"event":"app_log",` + more + `"data":{"level":"info","message":` + string(m) + `}}`
}
