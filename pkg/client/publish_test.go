package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestEveryEventGetsItsOwnReceipt(t *testing.T) {
	s := newServer(t)
	c, _ := s.client()
	got, err := c.Publish(t.Context(),
		client.Event{Event: "test", Data: data{Name: "a"}},
		client.Event{Event: "test", Data: data{Name: "b", Do: "refuse"}},
		client.Event{Event: "test", Data: json.RawMessage(`{"name":"c","do":"expire"}`)},
		client.Event{Event: "test", Data: []byte(`{"name":"d<&>"}`)})
	if err != nil {
		t.Fatal(err)
	}
	want := []client.Receipt{
		{Index: 0, ID: "id0", Status: client.Stored},
		{Index: 1, Status: client.Refused, Problem: "field client_ip is missing"},
		{Index: 2, ID: "id2", Status: client.Expired},
		{Index: 3, ID: "id3", Status: client.Stored},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	s.checkWorld(map[string]int{"a": 1, "d<&>": 1})
	if r := s.requests[0]; r.service != "web" || r.authorization != "Bearer lethe-test-credential" || r.key == "" {
		t.Errorf("the request lacks its service, credential or key: %d events", r.events)
	}
}

func TestAnEventSentAgainIsCountedOnce(t *testing.T) {
	for name, fate := range map[string][]misfortune{
		"lost":               {lost},
		"landed":             {landed},
		"cut short":          {cutShort},
		"busy":               {busy},
		"no space":           {noSpace},
		"throttled":          {throttled},
		"internal":           {internal},
		"everything at once": {lost, landed, busy, cutShort, internal, landed},
	} {
		for _, withID := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ids %v", name, withID), func(t *testing.T) {
				s := newServer(t)
				s.next = fate
				c, _ := s.client()
				events, world := numbered(20, 1, withID)
				receipts, err := c.Publish(t.Context(), events...)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range receipts {
					if r.Status != client.Stored && r.Status != client.Duplicate {
						t.Errorf("event %d is %s", r.Index, r.Status)
					}
				}
				s.checkWorld(world)
				for _, r := range s.requests {
					if r.key != s.requests[0].key {
						t.Error("two attempts have different keys")
					}
				}
			})
		}
	}
}

// keyless takes the idempotency key off every request.
type keyless struct{ http.RoundTripper }

func (k keyless) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Idempotency-Key")
	return k.RoundTripper.RoundTrip(r)
}

// The control of the test above: what the key protects from does happen.
func TestWithoutItsKeyALandedEventIsCountedTwice(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{landed}
	c, _ := s.client(func(config *client.Config) {
		config.HTTP = &http.Client{Transport: keyless{http.DefaultTransport}}
	})
	events, world := numbered(20, 2, false)
	if _, err := c.Publish(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	s.checkWorld(world)
}

func TestAnotherProcessWithTheSameIDsHasTheSameKey(t *testing.T) {
	s := newServer(t)
	events, world := numbered(20, 1, true)
	for range 2 {
		c, _ := s.client()
		if _, err := c.Publish(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
	}
	s.checkWorld(world)
	if s.requests[0].key != s.requests[1].key {
		t.Error("equal requests whose events all have ids have different keys")
	}

	// The control: one event without an id, and every call is its own.
	events[7].ID = ""
	for range 2 {
		c, _ := s.client()
		if _, err := c.Publish(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
	}
	if s.requests[2].key == s.requests[3].key {
		t.Error("two calls whose events lack an id have the same key")
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{lost, busy, throttled}
	c, pauses := s.client()
	events, _ := numbered(1, 1, false)
	if _, err := c.Publish(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	p := *pauses
	if len(p) != 3 || p[0] >= 7*time.Second || p[1] < 7*time.Second || p[2] < 7*time.Second {
		t.Errorf("pauses %v, want a short one and then over 7s twice", p)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "0": 0, "120": 2 * time.Minute, "999999": 10 * time.Minute,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
		"Fri, 02 Jan 2099 03:04:00 GMT": 10 * time.Minute,
	} {
		if got := client.RetryAfter(s, now); got != want {
			t.Errorf("Retry-After %q is %v, want %v", s, got, want)
		}
	}
}

func TestThePauseGrowsAndStaysBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempt := rapid.IntRange(1, math.MaxInt32).Draw(t, "attempt")
		limit := 10 * time.Second
		if attempt < 8 {
			limit = 100 * time.Millisecond << (attempt - 1)
		}
		if d := client.BackOff(attempt); d <= 0 || d > limit {
			t.Fatalf("the pause after attempt %d is %v, over %v", attempt, d, limit)
		}
	})
}

func TestAServerThatStaysDownIsAFailureOfItsKind(t *testing.T) {
	for fate, want := range map[misfortune]fault.Kind{
		lost: fault.Unavailable, cutShort: fault.Unavailable, busy: fault.Unavailable,
		throttled: fault.Exhausted, noSpace: fault.Exhausted, internal: "",
	} {
		s := newServer(t)
		s.next = []misfortune{fate, fate, fate, fate, fate}
		c, pauses := s.client(func(config *client.Config) { config.MaxRetry = 3 })
		events, _ := numbered(2, 1, false)
		_, err := c.Publish(t.Context(), events...)
		if err == nil || fault.KindOf(err) != want {
			t.Errorf("misfortune %d is %v, want kind %q", fate, err, want)
		}
		if len(*pauses) != 3 {
			t.Errorf("misfortune %d: %d pauses, want 3", fate, len(*pauses))
		}
	}
}

func TestWhatTryingAgainCannotMendIsTriedOnce(t *testing.T) {
	for fate, want := range map[misfortune]fault.Kind{garbled: fault.Corrupt, incomplete: fault.Corrupt} {
		s := newServer(t)
		s.next = []misfortune{fate}
		c, _ := s.client()
		events, _ := numbered(2, 1, false)
		_, err := c.Publish(t.Context(), events...)
		if !errors.Is(err, want) || len(s.requests) != 1 {
			t.Errorf("misfortune %d is %v after %d requests, want %q after one", fate, err, len(s.requests), want)
		}
	}
	s := newServer(t)
	s.maxBatch = 1
	c, _ := s.client(func(config *client.Config) { config.MaxRetry = -1 })
	events, _ := numbered(2, 1, false)
	if _, err := c.Publish(t.Context(), events...); !errors.Is(err, fault.Invalid) || len(s.requests) != 1 {
		t.Errorf("too large a request is %v after %d requests", err, len(s.requests))
	}
	s.next = []misfortune{busy}
	if _, err := c.Publish(t.Context(), events[0]); !errors.Is(err, fault.Unavailable) || len(s.requests) != 2 {
		t.Errorf("with MaxRetry -1: %v after %d requests, want one", err, len(s.requests)-1)
	}
}

func TestPublishingEndsWithItsContext(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{busy, busy, busy}
	c, _ := s.client()
	ctx, cancel := context.WithCancel(t.Context())
	client.SetWait(c, func(ctx context.Context, _ time.Duration) error {
		cancel()
		return ctx.Err()
	})
	events, _ := numbered(1, 1, false)
	if _, err := c.Publish(ctx, events...); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want canceled", err)
	}
	if len(s.requests) != 1 {
		t.Errorf("%d requests, want 1", len(s.requests))
	}
}

func TestAPauseBeyondTheDeadlineIsNotBegun(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{busy}
	c, pauses := s.client()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
	defer cancel()
	events, _ := numbered(1, 1, false)
	if _, err := c.Publish(ctx, events...); !errors.Is(err, fault.Unavailable) || len(*pauses) != 0 {
		t.Errorf("error %v after %d pauses, want unavailable after none", err, len(*pauses))
	}
}

func TestOnlyLargeRequestsAreCompressed(t *testing.T) {
	s := newServer(t)
	c, _ := s.client()
	small := client.Event{Event: "test", Data: data{Name: "small"}}
	large := client.Event{Event: "test", Data: data{Name: "large", Pad: strings.Repeat("x", 5000)}}
	for _, ev := range []client.Event{small, large} {
		if _, err := c.Publish(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	if s.requests[0].encoding != "" || s.requests[1].encoding != "zstd" {
		t.Errorf("encodings %q and %q, want none and zstd", s.requests[0].encoding, s.requests[1].encoding)
	}
	s.checkWorld(map[string]int{"small": 1, "large": 1})
}

// secret panics on no value of its own, and fails to marshal with it.
type secret struct{}

func (secret) MarshalJSON() ([]byte, error) { return nil, errors.New("canary@example.org") }

func TestAnEventThatIsNoJSONIsNotSentAndNotShown(t *testing.T) {
	s := newServer(t)
	c, _ := s.client()
	for name, ev := range map[string]client.Event{
		"no name":       {Data: data{}},
		"no data":       {Event: "test"},
		"a marshaler":   {Event: "test", Data: secret{}},
		"not JSON":      {Event: "test", Data: []byte(`{"a":canary@example.org}`)},
		"not UTF-8":     {Event: "test", Data: json.RawMessage("{\"a\":\"canary@example.org\xff\"}")},
		"not a number":  {Event: "test", Data: math.NaN()},
		"the year 9999": {Event: "test", Data: data{}, OccurredAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, err := c.Publish(t.Context(), client.Event{Event: "test", Data: data{Name: "a"}}, ev)
		if !errors.Is(err, fault.Invalid) || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "event 1") {
			t.Errorf("%s: %v, want invalid, event 1 and no value", name, err)
		}
	}
	if len(s.requests) != 0 {
		t.Errorf("%d requests, want none", len(s.requests))
	}
	if r, err := c.Publish(t.Context()); r != nil || err != nil {
		t.Errorf("publishing nothing returns %v, %v", r, err)
	}
}

func TestLogsNameNoEventAndNoCredential(t *testing.T) {
	s := newServer(t)
	s.next = []misfortune{lost, landed, busy, internal}
	c, _ := s.client()
	ev := client.Event{Event: "test", ID: "canary-id", Data: data{Name: "canary@example.org"}}
	if _, err := c.Publish(t.Context(), ev); err != nil {
		t.Fatal(err)
	}
	logs := s.logs.String()
	if strings.Contains(logs, "canary") || strings.Contains(logs, "lethe-test-credential") {
		t.Error("a log line shows an event or the credential")
	}
	if n := strings.Count(logs, "publishing delayed"); n != 4 {
		t.Errorf("%d log lines, want 4", n)
	}
}
