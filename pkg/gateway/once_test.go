package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
)

func TestTheSameRequestAgainIsStoredOnce(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		headers    []string
		once       bool
	}{
		{"with a key", "[" + line("a", "") + "," + line("b", "") + "]", []string{"Idempotency-Key", "k1"}, true},
		{"with ids", "[" + line("a", `"id":"1",`) + "," + line("b", `"id":"2",`) + "]", nil, true},
		{"with ids, and something refused", "[" + line("a", `"id":"1",`) + ",7," + line("b", `"id":"2",`) + "]", nil, true},
		{"control: with neither", "[" + line("a", "") + "," + line("b", "") + "]", nil, false},
		{"control: with one id of two", "[" + line("a", `"id":"1",`) + "," + line("b", "") + "]", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := setup(t)
			first := s.post("application/json", tt.body, tt.headers...)
			s.clock.Pass(time.Second)
			again := s.post("application/json", tt.body, tt.headers...)
			status, stored := "stored", 4
			if tt.once {
				status, stored = "duplicate", 2
			}
			for i, r := range again.receipts {
				if first.receipts[i].Status != "refused" && r.Status != status {
					t.Errorf("receipt %d: %s", i, r.Status)
				}
			}
			if n := len(s.messages()); n != stored {
				t.Errorf("%d events are stored, want %d", n, stored)
			}
		})
	}
}

func TestWhatMakesARequestAnother(t *testing.T) {
	s := setup(t)
	other := s.credential(principal("shop", "web"))
	body := line("a", "")
	key := []string{"Idempotency-Key", "k"}
	for _, tt := range []struct {
		name, want string
		send       func() answer
	}{
		{"the first", "stored", func() answer { return s.post("application/json", body, key...) }},
		{"the same", "duplicate", func() answer { return s.post("application/json", body, key...) }},
		{"another key", "stored", func() answer { return s.post("application/json", body, "Idempotency-Key", "l") }},
		{"another body", "stored", func() answer { return s.post("application/json", body+" ", key...) }},
		{"another service", "stored", func() answer { return s.request("POST", "?service=web", "application/json", body, key...) }},
		{"another credential", "stored", func() answer {
			return s.post("application/json", body, append(key, "Authorization", "Bearer "+other)...)
		}},
	} {
		if got := tt.send().statuses(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// A frame's name says which events it holds. With an ordinal in its place, the
// second frame of a request would be taken for the first once the first frame's
// events have expired, and be lost.
func TestAFrameIsNotTakenForOneThatHeldOtherEvents(t *testing.T) {
	var failing *flaky
	s := setup(t, func(_ *site, c *gateway.Config) {
		failing = &flaky{Appender: c.Raw}
		c.Raw = failing
	})
	old := s.clock.Now().Add(-90 * 24 * time.Hour).Add(time.Hour)
	body := "[" + line("old", fmt.Sprintf(`"id":"1","occurred_at":%q,`, old.Format(time.RFC3339))) + "," +
		strings.Replace(line("young", `"id":"2",`), "app_log", "app_log", 1) + "]"
	body = strings.Replace(body, `"id":"1"`, `"service":"web","id":"1"`, 1) // a frame of its own
	failing.set(func(msgs []eventlog.Message) []eventlog.Message { return msgs[:1] })
	if a := s.post("application/json", body); a.status != http.StatusServiceUnavailable {
		t.Fatalf("status %d", a.status)
	}
	failing.set(nil)
	s.clock.Pass(2 * time.Hour)
	if a := s.post("application/json", body); a.statuses() != "expired stored" {
		t.Errorf("receipts %s", a.text)
	}
	if got := s.messages(); !slices.Equal(got, []string{"old", "young"}) {
		t.Errorf("stored %v", got)
	}
}

func TestTheSameIDTwiceInARequestIsOneEvent(t *testing.T) {
	s := setup(t)
	a := s.post("application/x-ndjson", strings.Join([]string{
		line("a", `"id":"1",`), line("b", `"id":"1",`), line("c", `"id":"1","service":"web",`), `{"event":"app_log","id":"2","data":{}}`, line("d", `"id":"2",`),
	}, "\n"))
	if a.statuses() != "stored duplicate stored refused stored" {
		t.Errorf("receipts %s", a.text)
	}
	if a.receipts[0].ID != a.receipts[1].ID || a.receipts[0].ID == a.receipts[2].ID {
		t.Error("IDs do not say which events are one")
	}
}

func TestAnEventKeepsItsIDFromRequestToRequest(t *testing.T) {
	s := setup(t)
	at := s.clock.Now().Format(time.RFC3339)
	ev := line("a", fmt.Sprintf(`"id":"1","occurred_at":%q,`, at))
	one := s.post("application/json", "["+ev+"]")
	two := s.post("application/json", "["+ev+","+line("b", `"id":"2",`)+"]")
	if one.receipts[0].ID != two.receipts[0].ID {
		t.Error("the same event has two IDs")
	}
	for _, e := range s.stored() {
		if e.Identified != (e.ID.String() == one.receipts[0].ID) {
			t.Error("an event is identified exactly when it has an id and a time")
		}
	}
}

// flaky is a log that fails.
type flaky struct {
	gateway.Appender
	mu sync.Mutex
	// land picks the messages that are stored although the append fails. Nil
	// fails nothing.
	land func([]eventlog.Message) []eventlog.Message
}

func (f *flaky) set(land func([]eventlog.Message) []eventlog.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.land = land
}

func (f *flaky) Append(ctx context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.land == nil {
		return f.Appender.Append(ctx, msgs)
	}
	if landed := f.land(msgs); len(landed) > 0 {
		if _, err := f.Appender.Append(ctx, landed); err != nil {
			return nil, err
		}
	}
	return make([]eventlog.Ack, len(msgs)), fault.Unavailable.Errorf("injected")
}

func TestAnAppendThatFailedIsAnsweredSoThatItCanBeSentAgain(t *testing.T) {
	all := func(m []eventlog.Message) []eventlog.Message { return m }
	for _, tt := range []struct {
		name   string
		land   func([]eventlog.Message) []eventlog.Message
		key    string
		stored int
	}{
		{"lost", func([]eventlog.Message) []eventlog.Message { return nil }, "k", 2},
		{"landed", all, "k", 2},
		{"half landed", func(m []eventlog.Message) []eventlog.Message { return m[:1] }, "k", 2},
		{"control: landed, without a key", all, "", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f *flaky
			s := setup(t, func(_ *site, c *gateway.Config) {
				f = &flaky{Appender: c.Raw, land: tt.land}
				c.Raw = f
			})
			body := "[" + line("a", "") + "," + line("b", `"service":"web",`) + "]"
			a := s.post("application/json", body, "Idempotency-Key", tt.key)
			if a.status != http.StatusServiceUnavailable || !strings.Contains(a.text, "Idempotency-Key") {
				t.Errorf("status %d: %s", a.status, a.text)
			}
			f.set(nil)
			if a := s.post("application/json", body, "Idempotency-Key", tt.key); a.status != http.StatusOK {
				t.Errorf("again: status %d", a.status)
			}
			if n := len(s.messages()); n != tt.stored {
				t.Errorf("%d events are stored, want %d", n, tt.stored)
			}
		})
	}
}

func TestNothingAnsweredForIsLostWhenTheGatewayStops(t *testing.T) {
	s := setup(t)
	var mu sync.Mutex
	answered := map[string]bool{}
	first := make(chan struct{}, 1000)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for round := 0; ; round++ {
				message := fmt.Sprintf("%d-%d", i, round)
				a := s.post("application/json", line(message, ""))
				if a.status == http.StatusServiceUnavailable {
					return
				}
				if a.statuses() != "stored" {
					t.Errorf("status %d: %s", a.status, a.text)
					return
				}
				mu.Lock()
				answered[message] = true
				mu.Unlock()
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 200 {
		<-first
	}
	s.stop()
	wg.Wait()
	got := s.messages()
	if len(got) != len(answered) {
		t.Errorf("%d events are stored and %d were answered for", len(got), len(answered))
	}
	for _, m := range got {
		if !answered[m] {
			t.Errorf("event %s is stored and was not answered for", m)
		}
	}
}

func TestPublishersMaySpeakNATS(t *testing.T) {
	s := setup(t)
	ask := func(topic, body, key string) answer {
		t.Helper()
		msg := &nats.Msg{Subject: topic, Data: []byte(body), Header: nats.Header{}}
		if key != "" {
			msg.Header.Set("Nats-Msg-Id", key)
		}
		reply, err := s.nc.RequestMsg(msg, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var p fault.Problem
		if err := json.Unmarshal(reply.Data, &p); err != nil {
			t.Fatal(err)
		}
		if p.Status != 0 {
			return answer{status: p.Status, text: string(reply.Data)}
		}
		return read(t, http.StatusOK, nil, reply.Data)
	}
	const topic = "lethe.publish.acme.shop.app_log"
	data := `{"level":"info","message":"m"}`
	for _, tt := range []struct {
		name, topic, body, key, statuses string
		status                           int
	}{
		{"data", topic, data, "", "stored", 200},
		{"an array of data and events", topic, "[" + data + "," + line("n", "") + "," + cloud("o", "app_log") + "]", "", "stored stored stored", 200},
		{"with an id", topic, data, "k", "stored", 200},
		{"with the same id", topic, data, "k", "duplicate", 200},
		{"another event than the topic's", topic, strings.Replace(line("n", ""), "app_log", "login", 1), "", "refused", 200},
		{"another service than the topic's", topic, line("n", `"service":"web",`), "", "", 403},
		{"bad data", topic, `{"level":"info"}`, "", "refused", 200},
		{"an unknown event", "lethe.publish.acme.shop.nothing", data, "", "refused", 200},
		{"no topic", "lethe.publish.acme.Shop.app_log", data, "", "", 400},
		{"no JSON", topic, `{"level"`, "", "", 400},
	} {
		a := ask(tt.topic, tt.body, tt.key)
		if a.status != tt.status || a.statuses() != tt.statuses {
			t.Errorf("%s: status %d: %s", tt.name, a.status, a.text)
		}
	}
	if n := len(s.messages()); n != 5 {
		t.Errorf("%d events are stored, want 5", n)
	}
}

// The clock decides which dated events are admitted, and it goes on between
// two attempts. What has no date must not be stored twice for that, and what
// has one is known by its id.
func TestTheSameRequestAgainIsStoredOnceThoughTheClockWentOn(t *testing.T) {
	s := setup(t)
	dated := func(message string, at time.Time) string {
		return line(message, fmt.Sprintf(`"occurred_at":%q,`, at.Format(time.RFC3339)))
	}
	body := "[" + line("undated", "") + "," +
		dated("soon", s.clock.Now().Add(gateway.MaxAhead+time.Minute)) + "," +
		dated("past", s.clock.Now().Add(-time.Hour)) + "]"
	first := s.post("application/json", body, "Idempotency-Key", "k1")
	if first.statuses() != "stored refused stored" {
		t.Fatalf("receipts %s", first.text)
	}
	s.clock.Pass(2 * time.Minute)
	again := s.post("application/json", body, "Idempotency-Key", "k1")
	if again.statuses() != "duplicate stored stored" {
		t.Errorf("receipts %s", again.text)
	}
	ids := map[string]map[string]bool{}
	for _, e := range s.stored() {
		for i, f := range e.Fields {
			if f != "message" {
				continue
			}
			m := e.Values[i].Str()
			if ids[m] == nil {
				ids[m] = map[string]bool{}
			}
			ids[m][e.ID.String()] = true
			if m != "undated" && !e.Identified {
				t.Errorf("the event %s is not recognized when it comes again", m)
			}
		}
	}
	for _, m := range []string{"undated", "soon", "past"} {
		if len(ids[m]) != 1 {
			t.Errorf("the event %s is %d events", m, len(ids[m]))
		}
	}
}
