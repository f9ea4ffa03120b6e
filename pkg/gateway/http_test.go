package gateway_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
)

func TestEventsComeInEveryForm(t *testing.T) {
	s := setup(t)
	gz := func(body string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(body))
		_ = w.Close()
		return b.String()
	}
	zs := func(body string) string {
		w, _ := zstd.NewWriter(nil)
		return string(w.EncodeAll([]byte(body), nil))
	}
	var want []string
	for _, tt := range []struct {
		name, contentType, body string
		stored                  []string
		headers                 []string
	}{
		{"object", "application/json", line("a1", ""), []string{"a1"}, nil},
		{"object with charset", "application/json; charset=UTF-8", line("a2", ""), []string{"a2"}, nil},
		{"array", "application/json", " [ " + line("b1", "") + " ,\n" + line("b2", "") + "] ", []string{"b1", "b2"}, nil},
		{"empty array", "application/json", "[]", nil, nil},
		{"lines", "application/x-ndjson", line("c1", "") + "\n\r\n" + line("c2", "") + "\r\n" + line("c3", ""), []string{"c1", "c2", "c3"}, nil},
		{"jsonl", "application/jsonl", line("c4", "") + "\n", []string{"c4"}, nil},
		{"nothing said, object", "", line("d1", ""), []string{"d1"}, nil},
		{"nothing said, lines", "", line("d2", "") + "\n" + line("d3", ""), []string{"d2", "d3"}, nil},
		{"gzip", "application/json", gz(line("e1", "")), []string{"e1"}, []string{"Content-Encoding", "gzip"}},
		{"zstd", "application/json", zs(line("e2", "")), []string{"e2"}, []string{"Content-Encoding", "zstd"}},
		{"version", "application/json", line("f1", `"version":1,`), []string{"f1"}, nil},
		{"nulls", "application/json", line("f2", `"version":null,"id":null,"occurred_at":null,"service":null,`), []string{"f2"}, nil},
		{"a CloudEvent among others", "application/json", "[" + line("g1", "") + "," + cloud("g2", "app_log") + "]", []string{"g1", "g2"}, nil},
	} {
		a := s.post(tt.contentType, tt.body, tt.headers...)
		if a.status != http.StatusOK || strings.Trim(a.statuses(), "stored ") != "" || len(a.receipts) != len(tt.stored) {
			t.Errorf("%s: status %d, receipts %s", tt.name, a.status, a.text)
		}
		for _, r := range a.receipts {
			if len(r.ID) != 27 {
				t.Errorf("%s: a receipt without an ID", tt.name)
			}
		}
		want = append(want, tt.stored...)
	}
	got := s.messages()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("stored %v", got)
	}
}

func TestABadEventSpoilsNoOther(t *testing.T) {
	s := setup(t)
	events := []struct{ text, status, problem string }{
		{line("one", ""), "stored", ""},
		{`7`, "refused", "an event is a JSON object"},
		{`null`, "refused", "an event is a JSON object"},
		{`[]`, "refused", "an event is a JSON object"},
		{`{}`, "refused", "event is missing"},
		{`{"event":"app_log"}`, "refused", "data is missing"},
		{`{"event":"nothing","data":{}}`, "refused", "event names no schema"},
		{line("two", `"version":9,`), "refused", "event names no schema of that version"},
		{line("two", `"version":1.5,`), "refused", "version is not a positive integer"},
		{line("two", `"id":7,`), "refused", "id is not a string with something in it"},
		{line("two", `"id":"",`), "refused", "id is not a string with something in it"},
		{line("two", `"id":"`+strings.Repeat("x", 257)+`",`), "refused", "id is longer than 256 bytes"},
		{line("two", `"service":"No Name",`), "refused", "service is not a name"},
		{line("two", `"occurred_at":"yesterday",`), "refused", "occurred_at is not a date and time"},
		{line("two", `"secret_member":"x",`), "refused", "and no other"},
		{`{"event":"app_log","data":{"level":"info"}}`, "refused", "message is missing"},
		{`{"event":"app_log","data":{"level":"loud","message":"x"}}`, "refused", "level"},
		{`{"event":"app_log","data":{"level":"info","message":"x","extra":1}}`, "refused", "extra"},
		{`{"event":"app_log","data":[]}`, "refused", ""},
		{line(strings.Repeat("x", 9000), ""), "refused", "message"},
		{line("three", ""), "stored", ""},
	}
	var texts []string
	for _, e := range events {
		texts = append(texts, e.text)
	}
	for contentType, body := range map[string]string{
		"application/json":     "[" + strings.Join(texts, ",") + "]",
		"application/x-ndjson": strings.Join(texts, "\n"),
	} {
		a := s.post(contentType, body)
		if a.status != http.StatusOK || len(a.receipts) != len(events) {
			t.Fatalf("%s: status %d, %d receipts", contentType, a.status, len(a.receipts))
		}
		for i, r := range a.receipts {
			if r.Status != events[i].status || !strings.Contains(r.Problem, events[i].problem) || (r.Status == "refused") != (r.ID == "") {
				t.Errorf("%s: event %d: %+v, want %s %q", contentType, i, r, events[i].status, events[i].problem)
			}
			if r.Status == "refused" && r.Problem == "" {
				t.Errorf("%s: event %d is refused without a reason", contentType, i)
			}
		}
	}
	if got := s.messages(); len(got) != 4 {
		t.Errorf("%d events are stored, want 4", len(got))
	}
}

func TestALineThatIsNoJSONIsRefusedByItself(t *testing.T) {
	s := setup(t)
	body := strings.Join([]string{line("one", ""), `{"event":`, "nonsense", line("two", "") + " 7", line("three", "")}, "\n")
	if a := s.post("application/x-ndjson", body); a.statuses() != "stored refused refused refused stored" {
		t.Errorf("receipts %s", a.text)
	}
	// The same in an array refuses all of it, because what follows is a guess.
	if a := s.post("application/json", "["+line("four", "")+", nonsense]"); a.status != http.StatusBadRequest {
		t.Errorf("status %d", a.status)
	}
	if got := s.messages(); !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("stored %v", got)
	}
}

func TestARequestThatCannotBeReadIsRefusedWhole(t *testing.T) {
	s := setup(t)
	good := line("x", "")
	bomb := func() string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		zeros := make([]byte, 1<<20)
		for range 40 {
			_, _ = w.Write(zeros)
		}
		_ = w.Close()
		return b.String()
	}()
	zbomb := func() string {
		w, _ := zstd.NewWriter(nil)
		return string(w.EncodeAll(make([]byte, 40<<20), nil))
	}()
	for _, tt := range []struct {
		name, method, query, contentType, body string
		status                                 int
		headers                                []string
	}{
		{"nothing", "POST", "", "application/json", "", 400, nil},
		{"cut short", "POST", "", "application/json", `[` + good, 400, nil},
		{"two texts", "POST", "", "application/json", good + good, 400, nil},
		{"a number", "POST", "", "application/json", "7", 400, nil},
		{"nested", "POST", "", "application/json", strings.Repeat("[", 100), 400, nil},
		{"a form", "POST", "", "application/x-www-form-urlencoded", good, 415, nil},
		{"another charset", "POST", "", "application/json; charset=latin1", good, 415, nil},
		{"a broken type", "POST", "", "json;;;", good, 415, nil},
		{"a CloudEvent in Avro", "POST", "", "application/cloudevents+avro", good, 415, nil},
		{"brotli", "POST", "", "application/json", good, 415, []string{"Content-Encoding", "br"}},
		{"two encodings", "POST", "", "application/json", good, 415, []string{"Content-Encoding", "gzip, gzip"}},
		{"no gzip", "POST", "", "application/json", good, 400, []string{"Content-Encoding", "gzip"}},
		{"no zstd", "POST", "", "application/json", good, 400, []string{"Content-Encoding", "zstd"}},
		{"half a gzip", "POST", "", "application/json", bomb[:200], 400, []string{"Content-Encoding", "gzip"}},
		{"a gzip bomb", "POST", "", "application/json", bomb, 413, []string{"Content-Encoding", "gzip"}},
		{"a zstd bomb", "POST", "", "application/json", zbomb, 413, []string{"Content-Encoding", "zstd"}},
		{"too long", "POST", "", "application/json", strings.Repeat(" ", gateway.MaxBody+1), 413, nil},
		{"too many", "POST", "", "application/json", "[" + strings.Repeat("0,", gateway.MaxEvents) + "0]", 413, nil},
		{"too many lines", "POST", "", "application/x-ndjson", strings.Repeat("0\n", gateway.MaxEvents+1), 413, nil},
		{"a long key", "POST", "", "application/json", good, 400, []string{"Idempotency-Key", strings.Repeat("k", 256)}},
		{"a bad service", "POST", "?service=No+Name", "application/json", good, 400, nil},
		{"GET", "GET", "", "", "", 405, nil},
		{"PUT", "PUT", "", "application/json", good, 405, nil},
		{"DELETE", "DELETE", "", "", "", 405, nil},
	} {
		a := s.request(tt.method, tt.query, tt.contentType, tt.body, tt.headers...)
		if a.status != tt.status {
			t.Errorf("%s: status %d, want %d: %s", tt.name, a.status, tt.status, a.text)
		}
		if a.status == 405 && a.header.Get("Allow") != "POST" {
			t.Errorf("%s: no Allow", tt.name)
		}
	}
	if got := s.stored(); len(got) != 0 {
		t.Errorf("%d events are stored", len(got))
	}
	if a := s.post("application/json", "["+strings.TrimSuffix(strings.Repeat("0,", gateway.MaxEvents), ",")+"]"); a.status != 200 || len(a.receipts) != gateway.MaxEvents {
		t.Errorf("control: as many events as may be: status %d", a.status)
	}
}

func TestAnEventTooLargeIsRefusedByItself(t *testing.T) {
	s := setup(t)
	big := line("x", `"id":"`+strings.Repeat(" ", gateway.MaxEvent)+`",`)
	a := s.post("application/json", "["+big+","+line("y", "")+"]")
	if a.statuses() != "refused stored" {
		t.Errorf("status %d, receipts %s", a.status, a.statuses())
	}
}

func TestWhoMaySendWhat(t *testing.T) {
	s := setup(t)
	one := s.credential(access.Principal{Role: access.Publisher, Tenant: tenant, Services: []string{"shop"}})
	two := s.credential(access.Principal{Role: access.Publisher, Tenant: tenant, Services: []string{"shop", "web"}})
	analyst := s.credential(access.Principal{Role: access.Analyst, Tenant: tenant})
	shop, web := line("s", `"service":"shop",`), line("w", `"service":"web",`)
	for _, tt := range []struct {
		name, credential, query, body string
		status                        int
		statuses                      string
	}{
		{"nobody", "", "", shop, 401, ""},
		{"a credential that opens nothing", one + "x", "", shop, 401, ""},
		{"an analyst", analyst, "", shop, 403, ""},
		{"its service", one, "", shop, 200, "stored"},
		{"its only service, unsaid", one, "", line("s", ""), 200, "stored"},
		{"one of two, unsaid", two, "", line("s", ""), 200, "refused"},
		{"another service", one, "", web, 403, ""},
		{"another service for all", one, "?service=web", line("s", ""), 403, ""},
		{"another service among its own", one, "", "[" + shop + "," + web + "]", 200, "stored refused"},
		{"the event's service before the request's", two, "?service=web", "[" + shop + "," + line("w", "") + "]", 200, "stored stored"},
	} {
		a := s.request("POST", tt.query, "application/json", tt.body, "Authorization", "Bearer "+tt.credential)
		if a.status != tt.status || a.statuses() != tt.statuses {
			t.Errorf("%s: status %d, receipts %s", tt.name, a.status, a.text)
		}
	}
}

func TestTheTimeOfAnEventDecides(t *testing.T) {
	s := setup(t)
	at := func(d time.Duration) string {
		return line("x", fmt.Sprintf(`"occurred_at":%q,`, s.clock.Now().Add(d).Format(time.RFC3339Nano)))
	}
	const day = 24 * time.Hour
	body := strings.Join([]string{
		at(4 * time.Minute), at(6 * time.Minute), at(0), at(-89 * day), at(-91 * day),
		line("x", `"occurred_at":"1970-01-01T00:00:00Z",`), line("x", `"occurred_at":"9999-12-31T23:59:59Z",`), line("x", ""),
	}, "\n")
	a := s.post("application/x-ndjson", body)
	if a.statuses() != "stored refused stored stored expired expired refused stored" {
		t.Errorf("receipts %s", a.text)
	}
	if !strings.Contains(a.receipts[1].Problem, "occurred_at lies more than 5 minutes in the future") {
		t.Errorf("problem %q", a.receipts[1].Problem)
	}
	if a.receipts[4].ID != "" {
		t.Error("what was not stored has an ID")
	}
	events := s.stored()
	if len(events) != 4 {
		t.Fatalf("%d events are stored", len(events))
	}
	for _, e := range events {
		if !e.ReceivedAt.Equal(s.clock.Now().Truncate(time.Millisecond)) || e.Identified {
			t.Error("an event is not as it came")
		}
		if e.ID.Time().Unix() != e.OccurredAt.Unix() {
			t.Error("an ID does not say when its event occurred")
		}
	}
}

func TestNumbersCountWhatWasAnswered(t *testing.T) {
	s := setup(t)
	s.post("application/x-ndjson", line("a", `"id":"1",`)+"\n"+line("b", `"id":"1",`)+"\n{}\n"+line("c", `"occurred_at":"2000-01-01T00:00:00Z",`))
	s.post("application/json", "nonsense")
	got := s.gateway.Numbers()
	for name, want := range map[string]float64{"events": 1, "duplicates": 1, "refused": 1, "expired": 1, "requests": 2, "frames": 1} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// What is wrong inside one event is that event's affair, as long as it is clear
// where the next one begins.
func TestAnEventThatIsJSONOfASortSpoilsNoOther(t *testing.T) {
	for name, bad := range map[string]string{
		"a member twice":         `{"event":"app_log","event":"app_log","data":{"level":"info","message":"bad"}}`,
		"a member twice in data": `{"event":"app_log","data":{"level":"info","message":"bad","message":"bad"}}`,
		"not UTF-8 in data":      "{\"event\":\"app_log\",\"data\":{\"level\":\"info\",\"message\":\"bad\xff\"}}",
		"not UTF-8 outside":      "{\"event\":\"app_log\xff\",\"data\":{\"level\":\"info\",\"message\":\"bad\"}}",
	} {
		t.Run(name, func(t *testing.T) {
			s := setup(t)
			if a := s.post("application/json", "["+line("a", "")+","+bad+","+line("b", "")+"]"); a.statuses() != "stored refused stored" {
				t.Errorf("in an array: %s", a.text)
			}
			if a := s.post("application/x-ndjson", line("c", "")+"\n"+bad+"\n"+strings.Repeat(`{"data":`, 90)+"\n"+line("d", "")); a.statuses() != "stored refused refused stored" {
				t.Errorf("in lines: %s", a.text)
			}
			if got := s.messages(); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
				t.Errorf("%d events are stored, want 4", len(got))
			}
		})
	}
}
