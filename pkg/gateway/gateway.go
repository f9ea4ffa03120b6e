package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

const (
	// MaxBody is the most bytes of a request's body on the wire.
	MaxBody = 10 << 20
	// MaxDecoded is the most bytes of a body after decompression.
	MaxDecoded = 32 << 20
	// MaxEvents is the most events of one request.
	MaxEvents = 10_000
	// MaxEvent is the most bytes of one event as it was sent.
	MaxEvent = 1 << 20
	// MaxAhead is how far in the future an event may have occurred, because
	// clocks disagree.
	MaxAhead = 5 * time.Minute

	defaultRequests = 256
	defaultBytes    = 256 << 20
	defaultRead     = 30 * time.Second
	defaultStore    = 20 * time.Second
)

// Appender appends to the raw log; [eventlog.Writer] is one.
type Appender interface {
	Append(context.Context, []eventlog.Message) ([]eventlog.Ack, error)
}

// Keys is what the gateway does with keys; keyring.Gateway is one.
type Keys interface {
	SealRaw(ctx context.Context, tenant string, at time.Time, aad, plain []byte) ([]byte, error)
	EventIDs(ctx context.Context, tenant, service string, clientIDs []string) ([][16]byte, error)
	MessageID(ctx context.Context, tenant string, parts ...[]byte) (string, error)
}

// Config is what a Gateway needs. The first five are required.
type Config struct {
	Policy *policy.Policy
	Raw    Appender
	Keys   Keys
	Gate   *access.Gate
	Log    *slog.Logger

	Metrics prometheus.Registerer // nil counts for Numbers alone
	// Requests serves NATS requests with answer until stop. Nil serves none.
	Requests func(answer func(context.Context, eventlog.Request) []byte) (stop func(context.Context) error, err error)
	// Free says how many bytes are free on the disk that the raw log is on.
	// With fewer than Reserve, events are refused before the log stops. Nil,
	// or a Reserve of zero, watches nothing.
	Free    func() (uint64, error)
	Reserve uint64

	// Shards is how many parts the raw log's topics are spread over. Zero
	// means 1.
	Shards int
	// Concurrency is how many requests are served at once; more are answered
	// 429. Zero means 256.
	Concurrency int
	// MaxBytes is how many bytes of bodies are held at once. Zero means
	// 256 MiB.
	MaxBytes int64
	// ReadTimeout is how long a body may take to arrive, and StoreTimeout how
	// long the log may take. Zero means 30 s and 20 s.
	ReadTimeout, StoreTimeout time.Duration
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// A Gateway takes events and appends them to the raw log.
type Gateway struct {
	cfg   Config
	met   metrics
	space spaceGuard

	slots  chan struct{} // one token for each request being served
	bytes  atomic.Int64  // of bodies held
	frames atomic.Uint64 // made so far; picks the shard

	// mu guards open and grows inFlight only while open, so that nothing
	// begins after Run has begun to wait.
	mu       sync.Mutex
	open     bool
	inFlight sync.WaitGroup
}

// New makes a gateway. It refuses everything until Run. It panics when a
// required field is missing, or the registry has its metrics already.
func New(cfg Config) *Gateway {
	if cfg.Policy == nil || cfg.Raw == nil || cfg.Keys == nil || cfg.Gate == nil || cfg.Log == nil {
		panic("gateway: a policy, a raw log, keys, a gate and a log are needed")
	}
	cfg.Shards = max(cfg.Shards, 1)
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = defaultRequests
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = defaultBytes
	}
	if cfg.ReadTimeout <= 0 {
		cfg.ReadTimeout = defaultRead
	}
	if cfg.StoreTimeout <= 0 {
		cfg.StoreTimeout = defaultStore
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Gateway{
		cfg:   cfg,
		met:   newMetrics(cfg.Metrics),
		space: spaceGuard{free: cfg.Free, reserve: cfg.Reserve},
		slots: make(chan struct{}, cfg.Concurrency),
	}
}

// Routes registers POST /v1/events, for publishers.
func (g *Gateway) Routes(mux *http.ServeMux) {
	g.cfg.Gate.Handle(mux, "POST /v1/events", []access.Role{access.Publisher}, g.serve)
	mux.HandleFunc("/v1/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", http.MethodPost)
		fault.WriteStatus(w, http.StatusMethodNotAllowed, "events are sent with POST")
	})
}

// Run opens the gateway until ctx ends, and returns when the requests that it
// has by then are answered. It is a process.Service.
func (g *Gateway) Run(ctx context.Context, ready func()) error {
	g.mu.Lock()
	g.open = true
	g.mu.Unlock()
	stop := func(context.Context) error { return nil }
	if g.cfg.Requests != nil {
		var err error
		if stop, err = g.cfg.Requests(g.answer); err != nil {
			return fmt.Errorf("serving requests: %w", err)
		}
	}
	ready()
	<-ctx.Done()
	g.mu.Lock()
	g.open = false
	g.mu.Unlock()
	g.inFlight.Wait()
	// Their answers are on their way before the connection may close.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return stop(grace)
}

// enter begins a request, or says why it may not begin. Leave ends it.
func (g *Gateway) enter() (leave func(), err error) {
	select {
	case g.slots <- struct{}{}:
	default:
		return nil, fail(http.StatusTooManyRequests, "too many requests are being served")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.open {
		<-g.slots
		return nil, fail(http.StatusServiceUnavailable, "the gateway is not open; nothing was stored")
	}
	g.inFlight.Add(1)
	return func() {
		<-g.slots
		g.inFlight.Done()
	}, nil
}

// Numbers are the gateway's counters since it was made.
func (g *Gateway) Numbers() map[string]float64 { return g.met.numbers() }
