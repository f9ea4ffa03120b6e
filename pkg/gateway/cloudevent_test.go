package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	ce "github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/cloudevents/sdk-go/v2/binding"
)

// cloud is an app_log event as a CloudEvent.
func cloud(message, typ string) string {
	return fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":"shop","id":%q,"data":{"level":"info","message":%q}}`, typ, message, message)
}

func TestCloudEventsOfTheirOwnSDKAreTaken(t *testing.T) {
	s := setup(t)
	make := func(message string) *ce.Event {
		e := ce.New()
		e.SetID(message)
		e.SetSource("shop")
		e.SetType("lethe.app_log.v1")
		e.SetTime(time.Now())
		e.SetSubject("a subject, which is ignored")
		e.SetExtension("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if err := e.SetData("application/json", map[string]string{"level": "info", "message": message}); err != nil {
			t.Fatal(err)
		}
		return &e
	}
	send := func(req *http.Request) answer {
		t.Helper()
		req.Header.Set("Authorization", "Bearer "+s.all)
		return s.do(req)
	}
	request := func() *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.http.URL+"/v1/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	for _, mode := range []string{"binary", "structured"} {
		ctx := binding.WithForceBinary(context.Background())
		if mode == "structured" {
			ctx = binding.WithForceStructured(context.Background())
		}
		req := request()
		if err := cehttp.WriteRequest(ctx, binding.ToMessage(make(mode)), req); err != nil {
			t.Fatal(err)
		}
		if a := send(req); a.statuses() != "stored" {
			t.Errorf("%s: status %d: %s", mode, a.status, a.text)
		}
	}
	req, err := cehttp.NewHTTPRequestFromEvents(t.Context(), s.http.URL+"/v1/events", []ce.Event{*make("batch-1"), *make("batch-2")})
	if err != nil {
		t.Fatal(err)
	}
	if a := send(req); a.statuses() != "stored stored" {
		t.Errorf("batch: status %d: %s", a.status, a.text)
	}
	for _, e := range s.stored() {
		if !e.Identified {
			t.Error("an event with id and time is not identified")
		}
	}
	if got := len(s.messages()); got != 4 {
		t.Errorf("%d events are stored", got)
	}
}

func TestWhatACloudEventMustSay(t *testing.T) {
	s := setup(t)
	base := cloud("m", "app_log")
	for _, tt := range []struct{ name, body, want string }{
		{"as it should be", base, ""},
		{"data in base64", strings.Replace(base, `"data":{"level":"info","message":"m"}`, `"data_base64":"eyJsZXZlbCI6ImluZm8iLCJtZXNzYWdlIjoibSJ9"`, 1), ""},
		{"an extension", strings.Replace(base, `"id"`, `"comexampleextension":{"any":1},"id"`, 1), ""},
		{"an extension that is called event", strings.Replace(base, `"id"`, `"event":"x","id"`, 1), ""},
		{"an old version", strings.Replace(base, `"1.0"`, `"0.3"`, 1), "specversion is not 1.0"},
		{"no id", strings.Replace(base, `"id":"m"`, `"x":"y"`, 1), "id is missing"},
		{"no source", strings.Replace(base, `"source":"shop"`, `"x":"y"`, 1), "source is missing"},
		{"no type", strings.Replace(base, `"type":"app_log"`, `"x":"y"`, 1), "type is missing"},
		{"no data", strings.Replace(base, `"data":`, `"datum":`, 1), "data is missing"},
		{"data twice", strings.Replace(base, `"data":`, `"data_base64":"e30=","data":`, 1), "both"},
		{"bad base64", strings.Replace(base, `"data":{"level":"info","message":"m"}`, `"data_base64":"%%"`, 1), "not base64"},
		{"XML", strings.Replace(base, `"id"`, `"datacontenttype":"text/xml","id"`, 1), "datacontenttype is not JSON"},
		{"a bad time", strings.Replace(base, `"id"`, `"time":"soon","id"`, 1), "time is not a date"},
		{"an id that is a number", strings.Replace(base, `"id":"m"`, `"id":1`, 1), "id is not a string"},
		{"an unknown type", cloud("m", "com.example.someevent"), "event names no schema"},
		{"an unknown version", cloud("m", "app_log.v7"), "event names no schema of that version"},
		{"a source without a name", strings.Replace(base, `"source":"shop"`, `"source":"/here/shop"`, 1), "service is missing"},
	} {
		a := s.request("POST", "", "application/cloudevents+json", tt.body)
		if a.status != 200 || len(a.receipts) != 1 || (a.receipts[0].Status == "refused") != (tt.want != "") || !strings.Contains(a.receipts[0].Problem, tt.want) {
			t.Errorf("%s: status %d: %s", tt.name, a.status, a.text)
		}
	}
	for contentType, body := range map[string]string{
		"application/cloudevents+json":       "[" + base + "]",
		"application/cloudevents-batch+json": base,
	} {
		if a := s.post(contentType, body); a.status != http.StatusBadRequest {
			t.Errorf("%s of the other shape: status %d", contentType, a.status)
		}
	}
}

// Two events in binary mode may have equal bodies. What tells them apart stands
// in their headers, and must be part of what the log knows them by.
func TestBinaryCloudEventsWithEqualBodiesAreTwo(t *testing.T) {
	s := setup(t)
	send := func(id string) string {
		return s.post("application/json", `{"level":"info","message":"same"}`,
			"ce-specversion", "1.0", "ce-type", "app_log", "ce-source", "shop", "ce-id", id).statuses()
	}
	if got := send("one") + " " + send("two") + " " + send("one"); got != "stored stored duplicate" {
		t.Errorf("receipts %s", got)
	}
	if n := len(s.messages()); n != 2 {
		t.Errorf("%d events are stored", n)
	}
}

// TestConformanceRequests plays the HTTP-binding scenarios of
// github.com/cloudevents/conformance.
func TestConformanceRequests(t *testing.T) {
	text := readData(t, "events", "cloudevents-conformance", "features", "http-protocol-binding.feature")
	s := setup(t)
	blocks := regexp.MustCompile(`(?s)Scenario Outline: (.*?)\(.*?Given an HTTP request\s+"""\n(.*?)\n\s+"""`).FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d scenarios were found, want 2", len(blocks))
	}
	types := map[string][]string{
		"Binary":     {"application/json", "application/json; charset=utf-8"},
		"Structured": {"application/cloudevents+json", "application/cloudevents+json; charset=utf-8"},
	}
	for _, b := range blocks {
		mode, _, _ := strings.Cut(b[1], " ")
		for _, contentType := range types[mode] {
			head, body, _ := strings.Cut(regexp.MustCompile(`(?m)^ {8}`).ReplaceAllString(b[2], ""), "\n\n")
			for _, tt := range []struct {
				when, status string
			}{
				{"2018-04-05T03:56:24Z", "expired"}, // as it is written there
				{s.clock.Now().Format(time.RFC3339), "stored"},
			} {
				change := strings.NewReplacer(
					"<contentType>", contentType,
					"com.example.someevent", "app_log",
					"2018-04-05T03:56:24Z", tt.when,
					`"message": "Hello World!"`, `"level": "info", "message": "Hello World!"`,
					"1234-1234-1234", mode+contentType,
				)
				head, body := change.Replace(head), change.Replace(body)
				head = regexp.MustCompile(`(?m)^Content-Length:.*$`).ReplaceAllString(head, fmt.Sprintf("Content-Length: %d", len(body)))
				req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)))
				if err != nil {
					t.Fatal(err)
				}
				a := s.post(req.Header.Get("Content-Type"), body, flat(req.Header)...)
				if a.statuses() != tt.status {
					t.Errorf("%s, %s: status %d: %s", mode, contentType, a.status, a.text)
				}
			}
		}
	}
	if n := len(s.messages()); n != 4 {
		t.Errorf("%d events are stored, want 4", n)
	}
}

func flat(h http.Header) (all []string) {
	for name, values := range h {
		if strings.HasPrefix(name, "Ce-") {
			all = append(all, name, values[0])
		}
	}
	return all
}

// readData reads a file of the data that is kept beside the repository.
func readData(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{dataDir(t)}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("LETHE_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the test data is not there (LETHE_TEST_DATA); real requests were not played")
	}
	return dir
}
