package assembly_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A sample is an event as its publisher sends it. People in it are made up,
// their addresses those of documentation (RFC 5737).
type sample struct {
	Event    string          `json:"event"`
	Service  string          `json:"service"`
	ID       string          `json:"id,omitempty"`
	Occurred time.Time       `json:"occurred_at"`
	Data     json.RawMessage `json:"data"`

	bad bool // no treatment can make a row of it
}

// kinds are the built-in events, who sends them, and how many a day: rows in
// every built-in table, of which an activation has two.
var kinds = []struct {
	event, service string
	daily          int
	data           func(r *rand.Rand) string
}{
	{"http_access", "shop", 300, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"client_ip":"192.0.2.%d","status":200,"method":"GET","path":"/articles/%d"}`, octet(r), r.IntN(1e6))
	}},
	{"page_view", "shop", 200, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"path":"/articles/%d","ip":"198.51.100.%d","language":"sv","cookie_id":"c-%d"}`, r.IntN(40), octet(r), r.IntN(1e6))
	}},
	{"user_action", "shop", 150, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"user":"u%d@example.org","action":"save","ip":"203.0.113.%d"}`, r.IntN(1e6), octet(r))
	}},
	{"app_log", "shop", 75, logLine},
	{"app_log", "desk", 75, logLine},
	{"login", "desk", 60, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"account":"u%d@example.org","outcome":"success","ip":"192.0.2.%d"}`, r.IntN(1e6), octet(r))
	}},
	{"activation", "desk", 60, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"action":"activate","product":"planner","license_key":"key-%d","machine_code":"m-%d","ip":"198.51.100.%d","os":"linux"}`,
			r.IntN(1e6), r.IntN(1e6), octet(r))
	}},
	{"admin_audit", "desk", 40, func(r *rand.Rand) string {
		return fmt.Sprintf(`{"actor":"admin%d","kind":"sudo","command":"systemctl restart part-%d","outcome":"success"}`, r.IntN(9), r.IntN(1e4))
	}},
}

func octet(r *rand.Rand) int { return 1 + r.IntN(254) }

func logLine(r *rand.Rand) string {
	return fmt.Sprintf(`{"level":"info","message":"request %d done","user":"u%d@example.org"}`, r.IntN(1e6), r.IntN(1e6))
}

// traffic makes samples. Users' actions have ids, each like no other, and some
// come again the day after.
type traffic struct {
	r     *rand.Rand
	n     int // samples with an id
	days  int
	again []sample
}

func (f *traffic) sample(kind int, occurred time.Time) sample {
	k := kinds[kind]
	x := sample{Event: k.event, Service: k.service, Occurred: occurred.UTC().Truncate(time.Millisecond), Data: json.RawMessage(k.data(f.r))}
	if k.event == "user_action" {
		f.n++
		x.ID = fmt.Sprintf("action-%d", f.n)
	}
	return x
}

// between is a random instant.
func (f *traffic) between(from, to time.Time) time.Time {
	return from.Add(time.Duration(f.r.Int64N(int64(to.Sub(from)))))
}

// day is what is sent at an instant of a day: what happened that day so far,
// and now and then something else.
func (f *traffic) day(now time.Time, pol *policy.Policy) []sample {
	var out []sample
	midnight := now.Truncate(24 * time.Hour)
	for k := range kinds {
		for range kinds[k].daily {
			out = append(out, f.sample(k, f.between(midnight, now)))
		}
	}
	out = append(out, f.again...)
	f.again = nil
	for _, x := range out {
		if x.ID != "" && f.r.IntN(30) == 0 {
			f.again = append(f.again, x)
		}
	}
	// Late: a service that was cut off for some days sends what it has.
	late, kind := f.between(now.AddDate(0, 0, -28), now.AddDate(0, 0, -1)), f.r.IntN(len(kinds))
	for range 1 + f.r.IntN(8) {
		out = append(out, f.sample(kind, late))
	}
	// Historical: an import of what happened months ago, on a few days.
	if f.r.IntN(8) == 0 {
		kind := f.r.IntN(len(kinds))
		for range 3 {
			at := now.AddDate(0, 0, -f.r.IntN(760))
			for range 10 {
				out = append(out, f.sample(kind, at))
			}
		}
	}
	// On the edge: something that expires within two days.
	access, _ := pol.Class("access")
	edge := now.AddDate(0, 0, -access.Period.Days)
	out = append(out, f.sample(0, f.between(edge, edge.AddDate(0, 0, 2))))
	// Past every rule, and from clocks that are wrong.
	out = append(out, f.sample(1, now.AddDate(0, 0, -31)), f.sample(3, now.AddDate(-2, 0, 0)), f.sample(6, time.Unix(0, 0)),
		f.sample(0, now.Add(24*time.Hour)), f.sample(0, time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC)))
	// Beyond treatment: it waits in quarantine.
	if f.days++; f.days%10 == 0 {
		x := f.sample(3, now.Add(-time.Minute))
		x.Data, x.bad = json.RawMessage(`{"level":"info","message":"done","user":"\u0007"}`), true
		out = append(out, x)
	}
	return out
}

// publish sends samples through the gateway and returns what their receipts
// say: their status, and a problem where there is one.
func (s *site) publish(samples []sample) []string {
	s.t.Helper()
	body, err := json.Marshal(samples)
	s.must(err)
	r := httptest.NewRequest(http.MethodPost, "/v1/events", bytes.NewReader(body)).WithContext(s.t.Context())
	r.Header.Set("Authorization", "Bearer "+s.credential)
	w := httptest.NewRecorder()
	s.door.ServeHTTP(w, r)
	var answer gateway.Answer
	if w.Code != http.StatusOK || json.Unmarshal(w.Body.Bytes(), &answer) != nil || len(answer.Receipts) != len(samples) {
		s.t.Fatalf("publishing %d events: status %d: %s", len(samples), w.Code, w.Body)
	}
	out := make([]string, len(samples))
	for i, r := range answer.Receipts {
		out[i] = r.Status
		if r.Status == gateway.Refused {
			out[i] += ": " + r.Problem
		}
	}
	return out
}

// settle waits until everything that was published is in the warehouse: the
// pseudonymizer's floor has reached the end of the raw log, and then the
// loader's that of the clean log.
func (s *site) settle() {
	s.t.Helper()
	s.floor(eventlog.RawStream, eventlog.RawConsumer)
	s.floor(eventlog.CleanStream, eventlog.CleanConsumer)
}

func (s *site) floor(stream, consumer string) {
	s.t.Helper()
	info, err := s.all.Info(s.t.Context(), stream)
	s.must(err)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c, err := s.all.Consumer(s.t.Context(), stream, consumer)
		s.must(err)
		if c.Floor >= info.Last {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("stream %s is confirmed through %d of %d after a minute", stream, c.Floor, info.Last)
		}
	}
}
