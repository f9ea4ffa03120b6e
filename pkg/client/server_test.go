package client_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A misfortune is what happens to a request.
type misfortune int

const (
	none       misfortune = iota
	lost                  // the connection drops before anything is stored
	landed                // it drops after all is stored
	cutShort              // it drops in the middle of the receipts
	busy                  // 503 with Retry-After
	noSpace               // 507
	throttled             // 429 with Retry-After
	internal              // 500
	garbled               // 200 with something else than receipts
	incomplete            // 200 with a receipt missing
)

// A request is what the server saw of one.
type request struct {
	key, service, authorization, encoding string
	events                                int
}

// A server keeps the contract of POST /v1/events over memory: an identical
// request with the same idempotency key, or whose events all have ids, is
// recognized and stored once.
type server struct {
	t    *testing.T
	url  string
	logs *bytes.Buffer // what the client logged, at every level

	mu       sync.Mutex
	next     []misfortune   // of the requests to come; none after the last
	stored   map[string]int // how often each event is, by its name in the data
	door     map[string]bool
	requests []request
	maxBatch int           // events above which a request is too large
	hold     chan struct{} // when not nil, requests wait until it is closed
}

func newServer(t *testing.T) *server {
	s := &server{t: t, stored: map[string]int{}, door: map[string]bool{}, logs: &bytes.Buffer{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/events", s.publish)
	h := httptest.NewServer(mux)
	t.Cleanup(h.Close)
	s.url = h.URL
	return s
}

// client returns a client of the server that does not pause between attempts,
// and where it notes the pauses.
func (s *server) client(change ...func(*client.Config)) (*client.Client, *[]time.Duration) {
	s.t.Helper()
	config := client.Config{
		Server:     s.url,
		Credential: "lethe-test-credential",
		Service:    "web",
		Log:        slog.New(slog.NewTextHandler(&lockedWriter{w: s.logs}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&config)
	}
	c, err := client.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	var mu sync.Mutex
	pauses := new([]time.Duration)
	client.SetWait(c, func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		*pauses = append(*pauses, d)
		return ctx.Err()
	})
	return c, pauses
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func (s *server) publish(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if r.Header.Get("Content-Encoding") == "zstd" {
		var d *zstd.Decoder
		if d, err = zstd.NewReader(nil); err == nil {
			defer d.Close()
			body, err = d.DecodeAll(body, nil)
		}
	}
	if s.hold != nil {
		<-s.hold
	}
	var events []struct {
		Event, ID, Service string
		OccurredAt         *time.Time `json:"occurred_at"`
		Data               struct{ Name, Do string }
	}
	if err != nil || json.Unmarshal(body, &events) != nil || r.Header.Get("Content-Type") != "application/json" {
		fault.WriteStatus(w, http.StatusBadRequest, "the body is not a JSON array of events")
		return
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now := none
	if len(s.next) > 0 {
		now, s.next = s.next[0], s.next[1:]
	}
	key := r.Header.Get("Idempotency-Key")
	s.requests = append(s.requests, request{key, r.URL.Query().Get("service"), r.Header.Get("Authorization"),
		r.Header.Get("Content-Encoding"), len(events)})
	switch {
	case s.maxBatch > 0 && len(events) > s.maxBatch:
		fault.WriteStatus(w, http.StatusRequestEntityTooLarge, "the request is too large")
		return
	case now == lost:
		panic(http.ErrAbortHandler)
	case now == busy, now == throttled:
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(map[misfortune]int{busy: 503, throttled: 429}[now])
		return
	case now == noSpace, now == internal:
		fault.WriteStatus(w, map[misfortune]int{noSpace: 507, internal: 500}[now], "come back later")
		return
	case now == garbled:
		io.WriteString(w, "<html>")
		return
	}

	recognizable := key != ""
	if !recognizable {
		recognizable = true
		for _, ev := range events {
			recognizable = recognizable && ev.ID != ""
		}
	}
	door := fmt.Sprintf("%s %x", key, sha256.Sum256(body))
	known := recognizable && s.door[door]
	if recognizable {
		s.door[door] = true
	}
	receipts := make([]client.Receipt, 0, len(events))
	for i, ev := range events {
		rec := client.Receipt{Index: i, ID: fmt.Sprint("id", i), Status: client.Stored}
		switch {
		case known:
			rec.Status = client.Duplicate
		case ev.Data.Do == "refuse":
			rec = client.Receipt{Index: i, Status: client.Refused, Problem: "field client_ip is missing"}
		case ev.Data.Do == "expire":
			rec.Status = client.Expired
		default:
			s.stored[ev.Data.Name]++
		}
		// The order of receipts is not part of the contract.
		receipts = append([]client.Receipt{rec}, receipts...)
	}
	if now == landed {
		panic(http.ErrAbortHandler)
	}
	if now == incomplete {
		receipts = receipts[1:]
	}
	b, err := json.Marshal(map[string]any{"receipts": receipts})
	if err != nil {
		s.t.Error(err)
	}
	if now == cutShort {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		w.Write(b[:len(b)/2])
		panic(http.ErrAbortHandler)
	}
	w.Write(b)
}

// checkWorld holds the server to every event being stored as often as counted.
func (s *server) checkWorld(want map[string]int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, n := range want {
		if s.stored[name] != n {
			s.t.Errorf("event %s is stored %d times, want %d", name, s.stored[name], n)
		}
	}
	if len(s.stored) != len(want) {
		s.t.Errorf("%d events are stored, want %d", len(s.stored), len(want))
	}
}

// data is what a test's events say.
type data struct {
	Name string `json:"name"`
	Do   string `json:"do,omitempty"`
	Pad  string `json:"pad,omitempty"`
}

// numbered returns n events, with ids when withID says so, and what a server
// holds when each is stored times.
func numbered(n, times int, withID bool) ([]client.Event, map[string]int) {
	var events []client.Event
	world := map[string]int{}
	for i := range n {
		ev := client.Event{Event: "test", OccurredAt: time.Unix(1.8e9, int64(i)), Data: data{Name: fmt.Sprint("e", i)}}
		if withID {
			ev.ID = fmt.Sprint("c", i)
		}
		events = append(events, ev)
		world[fmt.Sprint("e", i)] = times
	}
	return events, world
}
