package logformat_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/lethe-pipeline/lethe/pkg/logformat"
)

// httpAccess is the data object of schema http_access.v1.
type httpAccess struct {
	ClientIP    string   `json:"client_ip"`
	ForwardedIP *string  `json:"forwarded_ip"`
	User        *string  `json:"user"`
	Method      *string  `json:"method"`
	Path        *string  `json:"path"`
	Protocol    *string  `json:"protocol"`
	Status      int      `json:"status"`
	Bytes       *int64   `json:"bytes"`
	Referrer    *string  `json:"referrer"`
	UserAgent   *string  `json:"user_agent"`
	Host        *string  `json:"host"`
	Duration    *float64 `json:"duration_ms"`
	Language    *string  `json:"language"`
	CookieID    *string  `json:"cookie_id"`
	DNT         bool     `json:"dnt"`
	GPC         bool     `json:"gpc"`
}

// reasons is the closed list that a refusal is from.
var reasons = map[string]bool{
	"line too long": true, "line is not valid UTF-8": true, "line is not a JSON object": true,
	"line does not have the fields of its format": true,
	"field client_ip is missing":                  true, "field user is missing": true, "field time is missing": true,
	"field time is not a time": true, "field time is out of range": true,
	"field request is missing": true, "field request has no closing quote": true,
	"field status is missing": true, "field status is not a whole number": true, "field status is out of range": true,
	"field bytes is not a whole number": true, "field duration_ms is not a number": true,
}

// checkLog holds whatever a log yields to what the package promises.
func checkLog(t *testing.T, format string, log []byte) {
	expected := 0
	for line := range bytes.SplitSeq(log, []byte("\n")) {
		line = bytes.TrimLeft(line, "\x00")
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		if len(bytes.TrimSpace(line)) > 0 {
			expected++
		}
	}
	got, number, seen := 0, 0, map[string]bool{}
	for line, problem := range logformat.Read(format, bytes.NewReader(log), logformat.Options{}) {
		got++
		if problem != nil {
			if problem.Err != nil || problem.Number <= number ||
				!reasons[problem.Reason] && !strings.HasSuffix(problem.Reason, " is neither text nor a number") {
				t.Fatalf("problem %+v after line %d", problem, number)
			}
			number = problem.Number
			continue
		}
		if line.Number <= number || line.Event != "http_access" || seen[line.ID] {
			t.Fatalf("line %d of event %q after line %d, or an id again", line.Number, line.Event, number)
		}
		number, seen[line.ID] = line.Number, true
		if b, err := hex.DecodeString(line.ID); err != nil || len(b) != 16 {
			t.Fatal("an id is not 32 hexadecimal digits")
		}
		if y := line.OccurredAt.Year(); line.OccurredAt.Location() != time.UTC || y < 1990 || y > 2105 {
			t.Fatalf("a line of the year %d", y)
		}
		// This decoder is strict: UTF-8, no name twice, no member unknown.
		var data httpAccess
		if err := json.Unmarshal(line.Data, &data, json.RejectUnknownMembers(true)); err != nil {
			t.Fatalf("data is not as its schema says: %v", err)
		}
		if data.ClientIP == "" || data.Status < 100 || data.Status > 599 ||
			data.Bytes != nil && *data.Bytes < 0 || data.Duration != nil && *data.Duration < 0 {
			t.Fatal("data is not as its schema says")
		}
		for _, s := range []*string{&data.ClientIP, data.ForwardedIP, data.User, data.Method, data.Path, data.Protocol,
			data.Referrer, data.UserAgent, data.Host, data.Language, data.CookieID} {
			if s != nil && (*s == "" || utf8.RuneCountInString(*s) > 4096 || strings.ContainsFunc(*s, func(r rune) bool { return r < ' ' })) {
				t.Fatal("a text is empty, too long, or has a control character")
			}
		}
	}
	// A byte order mark inside a log is not blank, and counts.
	if got < expected && !bytes.Contains(log, []byte("\xef\xbb\xbf")) || got > expected+bytes.Count(log, []byte("\xef\xbb\xbf")) {
		t.Fatalf("%d values of %d lines", got, expected)
	}
}

func FuzzCombined(f *testing.F) {
	for _, seed := range []string{
		`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a?b=%20 HTTP/1.1" 200 203023 "http://example.org/" "Mozilla/5.0 (X11)"`,
		`2001:db8::1 - ada@example.org [21/Nov/2026:21:10:15 +0100] "GET /\x22onmouseover='x' HTTP/1.1" 404 153 "-" "a \"b\" c"`,
		`192.0.2.1 - - [20/May/2015:12:05:17 +0000] "GET / HTTP/1.1" 200 235 "-" "Agent (compatible; +http://example.org/bot.html`,
		`192.0.2.1 - - [20/May/2015:12:05:17 +0000] "\x16\x03\x01\xff" 400 - "-" "-" "unknown, [2001:db8::9]:443"` + "\r\n\n\x00\x00x",
		`fe80::1%eth0 - "" [01/Jan/1970:00:00:00 +0000] "-" 408 0`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		checkLog(t, "combined", log)
		checkLog(t, "common", log)
	})
}

func FuzzNginxJSON(f *testing.F) {
	for _, seed := range []string{
		`{"time":"2026-11-21T21:10:15+00:00","msec":"1795295415.229","remote_addr":"192.0.2.1","remote_user":"","request":"GET / HTTP/1.1","method":"GET","uri":"/","status":"200","bytes":"6","referer":"","user_agent":"curl/7.88.1","xff":"","host":"127.0.0.1","request_time":"0.000","proto":"HTTP/1.1"}`,
		`{"time_iso8601":"2026-11-21T21:10:15+02:00","remote_addr":"2001:db8::1","request_method":"GET","request_uri":"/\"\\\u0000","status":200,"body_bytes_sent":1,"http_x_forwarded_for":"fe80::1%eth0, 192.0.2.3","request_time":1.5}`,
		`{"@timestamp":1795295415000,"client":"host.example.org","status":599,"args":"a","uri":"/","x":{"y":[null,true]}}`,
		`{"status":200,"status":201}` + "\n" + `{"msec":"` + "\xff" + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		checkLog(t, "nginx-json", log)
	})
}
