package logformat_test

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/logformat"
)

// read returns what a log yields. An input that cannot be read fails the test.
func read(t *testing.T, format, log string, opt logformat.Options) (lines []logformat.Line, problems []logformat.Problem) {
	t.Helper()
	for line, problem := range logformat.Read(format, strings.NewReader(log), opt) {
		switch {
		case problem == nil:
			lines = append(lines, line)
		case problem.Err != nil:
			t.Fatal(problem.Err)
		default:
			problems = append(problems, *problem)
		}
	}
	return lines, problems
}

// one reads a log of one sound line and returns its time and data.
func one(t *testing.T, format, log string) (time.Time, map[string]any) {
	t.Helper()
	lines, problems := read(t, format, log, logformat.Options{})
	if len(lines) != 1 || len(problems) != 0 {
		t.Fatalf("%d lines and %v, want one line", len(lines), problems)
	}
	var data map[string]any
	if err := json.Unmarshal(lines[0].Data, &data); err != nil {
		t.Fatal(err)
	}
	return lines[0].OccurredAt, data
}

func TestFormatsAreListedInOrder(t *testing.T) {
	want := []string{"combined", "common", "nginx-json"}
	if diff := cmp.Diff(want, logformat.Formats()); diff != "" {
		t.Error(diff)
	}
}

func TestASoundLineIsReadWhole(t *testing.T) {
	at := time.Date(2015, 5, 17, 8, 5, 3, 0, time.UTC)
	tests := []struct {
		name, format, line string
		at                 time.Time
		want               map[string]any
	}{{
		"common", "common",
		`192.0.2.1 - ada [17/May/2015:10:05:03 +0200] "GET /a?b=%20c HTTP/1.0" 200 2326`, at,
		map[string]any{"client_ip": "192.0.2.1", "user": "ada", "method": "GET", "path": "/a?b=%20c",
			"protocol": "HTTP/1.0", "status": 200.0, "bytes": 2326.0},
	}, {
		"common leaves out what is not its own", "common",
		`192.0.2.1 - - [17/May/2015:10:05:03 +0200] "GET / HTTP/1.0" 200 1 "http://example.org/" "curl/8"`, at,
		map[string]any{"client_ip": "192.0.2.1", "method": "GET", "path": "/", "protocol": "HTTP/1.0",
			"status": 200.0, "bytes": 1.0},
	}, {
		"combined", "combined",
		`2001:db8::7 - - [17/May/2015:13:35:03 +0530] "HEAD /x HTTP/2.0" 304 - "https://example.org/from" "Agent (a \"b\" c)"`, at,
		map[string]any{"client_ip": "2001:db8::7", "method": "HEAD", "path": "/x", "protocol": "HTTP/2.0",
			"status": 304.0, "referrer": "https://example.org/from", "user_agent": `Agent (a "b" c)`},
	}, {
		"combined with the forwarded addresses that nginx packages add", "combined",
		`192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0 "-" "-" "unknown, 203.0.113.9:4711, 10.0.0.1"`, at,
		map[string]any{"client_ip": "192.0.2.1", "forwarded_ip": "203.0.113.9", "method": "GET", "path": "/",
			"protocol": "HTTP/1.1", "status": 200.0, "bytes": 0.0},
	}, {
		"a user name with spaces and brackets", "combined",
		`192.0.2.1 - ada [the first] [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0 "-" "-"`, at,
		map[string]any{"client_ip": "192.0.2.1", "user": "ada [the first]", "method": "GET", "path": "/",
			"protocol": "HTTP/1.1", "status": 200.0, "bytes": 0.0},
	}, {
		"an empty user name", "common",
		`192.0.2.1 - "" [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 401 0`, at,
		map[string]any{"client_ip": "192.0.2.1", "method": "GET", "path": "/", "protocol": "HTTP/1.1",
			"status": 401.0, "bytes": 0.0},
	}, {
		"quotes that the server did not escape", "combined",
		`192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET /"a"b HTTP/1.1" 200 0 "-" "an "agent"s agent"`, at,
		map[string]any{"client_ip": "192.0.2.1", "method": "GET", "path": `/"a"b`, "protocol": "HTTP/1.1",
			"status": 200.0, "bytes": 0.0, "user_agent": `an "agent"s agent`},
	}, {
		"escapes and bytes that are not UTF-8", "combined",
		`192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET /\xc3\xa9\xff\x22\x5C HTTP/1.1" 200 0 "-" "a\tb` + "\xfe\x00" + `\q\x"`, at,
		map[string]any{"client_ip": "192.0.2.1", "method": "GET", "path": `/é\xFF"\`, "protocol": "HTTP/1.1",
			"status": 200.0, "bytes": 0.0, "user_agent": `a\x09b\xFE\x00\q\x`},
	}, {
		"a client that was looked up", "common",
		`host.example.org - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0`, at,
		map[string]any{"client_ip": "host.example.org", "method": "GET", "path": "/", "protocol": "HTTP/1.1",
			"status": 200.0, "bytes": 0.0},
	}, {
		"a zone", "common",
		`fe80::1%eth0 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0`, at,
		map[string]any{"client_ip": "fe80::1", "method": "GET", "path": "/", "protocol": "HTTP/1.1",
			"status": 200.0, "bytes": 0.0},
	}, {
		"a user agent whose closing quote is missing", "combined",
		`192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 235 "-" "Agent (compatible; +http://example.org/bot`, at,
		map[string]any{"client_ip": "192.0.2.1", "method": "GET", "path": "/", "protocol": "HTTP/1.1",
			"status": 200.0, "bytes": 235.0, "user_agent": "Agent (compatible; +http://example.org/bot"},
	}, {
		"nginx-json as text", "nginx-json",
		`{"time":"2015-05-17T08:05:03+00:00","msec":"1431849903.229","remote_addr":"192.0.2.1","remote_user":"ada",` +
			`"request":"GET /a?b HTTP/1.1","method":"GET","uri":"/a","status":"401","bytes":"581","referer":"",` +
			`"user_agent":"Agent \u00e9","xff":"198.51.100.7, 10.0.0.1","host":"example.org","request_id":"73b2",` +
			`"request_time":"0.145","proto":"HTTP/1.1"}`, at.Add(229 * time.Millisecond),
		map[string]any{"client_ip": "192.0.2.1", "forwarded_ip": "198.51.100.7", "user": "ada", "method": "GET",
			"path": "/a?b", "protocol": "HTTP/1.1", "status": 401.0, "bytes": 581.0, "user_agent": "Agent é",
			"host": "example.org", "duration_ms": 145.0},
	}, {
		"nginx-json with the names of the variables and numbers", "nginx-json",
		`{"time_iso8601":"2015-05-17T10:05:03+02:00","remote_addr":"2001:db8::7","request_method":"PUT",` +
			`"request_uri":"/a?b","server_protocol":"HTTP/3.0","status":204,"body_bytes_sent":12,` +
			`"http_referer":"https://example.org/","http_user_agent":"-","http_x_forwarded_for":"fe80::1%eth0",` +
			`"request_time":0.001,"http_accept_language":"de","extra":{"a":[1,null]},"remote_user":null}`, at,
		map[string]any{"client_ip": "2001:db8::7", "forwarded_ip": "fe80::1", "method": "PUT", "path": "/a?b",
			"protocol": "HTTP/3.0", "status": 204.0, "bytes": 12.0, "referrer": "https://example.org/",
			"duration_ms": 1.0, "language": "de"},
	}, {
		"nginx-json with a path and its query apart", "nginx-json",
		`{"@timestamp":"2015-05-17T08:05:03Z","remote_addr":"192.0.2.1","method":"GET","uri":"/a","args":"b=1","status":200,"cookie_id":"c0ffee"}`, at,
		map[string]any{"client_ip": "192.0.2.1", "method": "GET", "path": "/a?b=1", "status": 200.0, "cookie_id": "c0ffee"},
	}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, data := one(t, tt.format, tt.line)
			if !got.Equal(tt.at) || got.Location() != time.UTC {
				t.Errorf("time %v, want %v", got, tt.at)
			}
			if diff := cmp.Diff(tt.want, data); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAWeirdRequestLineIsLeftOutAndTheLineKept(t *testing.T) {
	for _, request := range []string{``, `-`, `\x16\x03\x01\x02\x00\x01`, `quit`, `GET`, `t3 12.2.1`,
		`\x03 / HTTP/1.1`, "SSH-2.0-Go", strings.Repeat("A", 40) + " / HTTP/1.1"} {
		t.Run("combined "+request, func(t *testing.T) {
			_, data := one(t, "combined", `192.0.2.1 - - [17/May/2015:08:05:03 +0000] "`+request+`" 400 0 "-" "-"`)
			want := map[string]any{"client_ip": "192.0.2.1", "status": 400.0, "bytes": 0.0}
			if diff := cmp.Diff(want, data); diff != "" {
				t.Error(diff)
			}
		})
	}
	_, data := one(t, "nginx-json",
		`{"msec":"1431849903.229","remote_addr":"192.0.2.1","request":"\u0016\u0003","method":"","uri":"","status":"400"}`)
	if diff := cmp.Diff(map[string]any{"client_ip": "192.0.2.1", "status": 400.0}, data); diff != "" {
		t.Error(diff)
	}
}

func TestAnUnusualRequestIsARequest(t *testing.T) {
	tests := []struct{ line, method, path, protocol string }{
		{`GET /`, "GET", "/", ""},
		{`GET /a b  c HTTP/1.1`, "GET", "/a b  c", "HTTP/1.1"},
		{`OPTIONS * HTTP/1.1`, "OPTIONS", "*", "HTTP/1.1"},
		{`CONNECT example.org:443 HTTP/1.1`, "CONNECT", "example.org:443", "HTTP/1.1"},
		{`GET http://example.org/ HTTP/1.1`, "GET", "http://example.org/", "HTTP/1.1"},
		{`VERSION-CONTROL / HTTP/2`, "VERSION-CONTROL", "/", "HTTP/2"},
	}
	for _, tt := range tests {
		_, data := one(t, "common", `192.0.2.1 - - [17/May/2015:08:05:03 +0000] "`+tt.line+`" 200 0`)
		want := map[string]any{"client_ip": "192.0.2.1", "status": 200.0, "bytes": 0.0, "method": tt.method, "path": tt.path}
		if tt.protocol != "" {
			want["protocol"] = tt.protocol
		}
		if diff := cmp.Diff(want, data); diff != "" {
			t.Errorf("%s: %s", tt.line, diff)
		}
	}
}

func TestAVisitorsChoiceIsPassedOn(t *testing.T) {
	for members, want := range map[string]map[string]any{
		`"http_dnt":"1","http_sec_gpc":1`:   {"dnt": true, "gpc": true},
		`"dnt":true,"sec_gpc":"0"`:          {"dnt": true},
		`"dnt":false,"gpc":null`:            {},
		`"http_dnt":"-","http_sec_gpc":"1"`: {"gpc": true},
		`"http_dnt":"0","http_sec_gpc":""`:  {},
	} {
		_, data := one(t, "nginx-json", `{"msec":1431849903,"remote_addr":"192.0.2.1","status":200,`+members+`}`)
		want["client_ip"], want["status"] = "192.0.2.1", 200.0
		if diff := cmp.Diff(want, data); diff != "" {
			t.Errorf("%s: %s", members, diff)
		}
	}
}

func TestALongPathIsCutAtFourThousandAndNinetySixCodePoints(t *testing.T) {
	path := "/" + strings.Repeat("é", 5000)
	_, data := one(t, "common", `192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET `+path+` HTTP/1.1" 200 0`)
	if got := data["path"].(string); len([]rune(got)) != 4096 || !strings.HasPrefix(path, got) {
		t.Errorf("%d code points, want the first 4096", len([]rune(got)))
	}
}

func TestALineThatIsNotSoundIsRefusedWithItsField(t *testing.T) {
	combined := func(stamp, rest string) string {
		return `192.0.2.1 - - [` + stamp + `] ` + rest
	}
	const stamp, request = "17/May/2015:08:05:03 +0000", `"GET / HTTP/1.1" `
	object := func(s string) string {
		return `{"remote_addr":"192.0.2.1","status":200,"msec":"1431849903.229"` + s + `}`
	}
	tests := []struct{ format, line, reason string }{
		{"combined", "word", "line does not have the fields of its format"},
		{"combined", `- - - [` + stamp + `] "GET / HTTP/1.1" 200 0`, "field client_ip is missing"},
		{"combined", `192.0.2.1 - -`, "field time is missing"},
		{"combined", `192.0.2.1 - - [` + stamp, "field time is missing"},
		{"combined", `192.0.2.1 - [` + stamp + `] "GET / HTTP/1.1" 200 0`, "field user is missing"},
		{"combined", combined("17/May/2015:08:05:03", request+"200 0"), "field time is not a time"},
		{"combined", combined("17/Foo/2015:08:05:03 +0000", request+"200 0"), "field time is not a time"},
		{"combined", combined("31/Feb/2015:08:05:03 +0000", request+"200 0"), "field time is not a time"},
		{"combined", combined("30/Jun/2015:23:59:60 +0000", request+"200 0"), "field time is not a time"},
		{"combined", combined("17/May/2015:08:05:03 +9999", request+"200 0"), "field time is not a time"},
		{"combined", combined("01/Jan/1970:00:00:00 +0000", request+"200 0"), "field time is out of range"},
		{"combined", combined("07/Feb/2106:06:28:16 +0000", request+"200 0"), "field time is out of range"},
		{"combined", combined(stamp, ""), "field request is missing"},
		{"combined", combined(stamp, `"GET / HTTP/1.1 200 0`), "field request has no closing quote"},
		{"combined", combined(stamp, request), "field status is missing"},
		{"combined", combined(stamp, request+"- 0"), "field status is missing"},
		{"combined", combined(stamp, request+"+20 0"), "field status is not a whole number"},
		{"combined", combined(stamp, request+"000 0"), "field status is out of range"},
		{"combined", combined(stamp, request+"600 0"), "field status is out of range"},
		{"combined", combined(stamp, request+"0200 0"), "field status is out of range"},
		{"combined", combined(stamp, request+"200 -1"), "field bytes is not a whole number"},
		{"combined", combined(stamp, request+"200 99999999999999999999"), "field bytes is not a whole number"},
		{"nginx-json", object(`,"uri":"` + "\xff" + `"`), "line is not valid UTF-8"},
		{"nginx-json", `[]`, "line is not a JSON object"},
		{"nginx-json", `{`, "line is not a JSON object"},
		{"nginx-json", object("") + "{}", "line is not a JSON object"},
		{"nginx-json", object(`,"status":201`), "line is not a JSON object"},
		{"nginx-json", object(`,"uri":"\ud800"`), "line is not a JSON object"},
		{"nginx-json", object(`,"uri":["a"]`), "field uri is neither text nor a number"},
		{"nginx-json", object(`,"bytes":"many"`), "field bytes is not a whole number"},
		{"nginx-json", object(`,"request_time":"NaN"`), "field duration_ms is not a number"},
		{"nginx-json", object(`,"request_time":-1`), "field duration_ms is not a number"},
		{"nginx-json", `{"status":200,"msec":"1431849903.229"}`, "field client_ip is missing"},
		{"nginx-json", `{"remote_addr":"192.0.2.1","msec":"1431849903.229"}`, "field status is missing"},
		{"nginx-json", `{"remote_addr":"192.0.2.1","status":200}`, "field time is missing"},
		{"nginx-json", `{"remote_addr":"192.0.2.1","status":200,"time":"2015-05-17T08:05:03"}`, "field time is not a time"},
		{"nginx-json", `{"remote_addr":"192.0.2.1","status":200,"time":"0"}`, "field time is out of range"},
	}
	for _, tt := range tests {
		lines, problems := read(t, tt.format, tt.line, logformat.Options{})
		want := []logformat.Problem{{Number: 1, Reason: tt.reason}}
		if diff := cmp.Diff(want, problems); diff != "" || len(lines) != 0 {
			t.Errorf("%s: %d lines, %s", tt.reason, len(lines), diff)
		}
	}
}

func TestEverySpellingOfAnInstantIsTheSame(t *testing.T) {
	want := time.Date(2015, 5, 17, 8, 5, 3, 0, time.UTC)
	for _, s := range []string{`"2015-05-17T10:05:03+02:00"`, `"2015-05-17T08:05:03Z"`, `"2015-05-17T06:35:03.000-0130"`,
		`"17/May/2015:08:05:03 +0000"`, `1431849903`, `"1431849903.000"`, `1431849903000`} {
		got, _ := one(t, "nginx-json", `{"remote_addr":"192.0.2.1","status":200,"time":`+s+`}`)
		if !got.Equal(want) {
			t.Errorf("%s is %v, want %v", s, got, want)
		}
	}
}

func TestOneBadLineDoesNotCostTheNext(t *testing.T) {
	const sound = `192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0`
	pad := func(n int) string { return sound + strings.Repeat(" ", n-len(sound)) }
	log := strings.Join([]string{
		"\xef\xbb\xbf" + sound,                 // 1: a byte order mark
		"",                                     // 2: skipped
		sound + "\r",                           // 3: CRLF
		"   \r",                                // 4: skipped
		pad(logformat.MaxLine) + "\r",          // 5: as long as can be
		pad(logformat.MaxLine + 1),             // 6: too long
		pad(3*logformat.MaxLine) + "x",         // 7: too long
		strings.Repeat("\x00", 200000) + sound, // 8: truncated while open
		"garbage",                              // 9: refused
		sound,                                  // 10: no newline at the end
	}, "\n")
	lines, problems := read(t, "common", log, logformat.Options{})
	var numbers []int
	for _, l := range lines {
		numbers = append(numbers, l.Number)
	}
	if diff := cmp.Diff([]int{1, 3, 5, 8, 10}, numbers); diff != "" {
		t.Error(diff)
	}
	want := []logformat.Problem{{Number: 6, Reason: "line too long"}, {Number: 7, Reason: "line too long"},
		{Number: 9, Reason: "line does not have the fields of its format"}}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Error(diff)
	}
}

func TestAnInputThatFailsIsNotAnInputThatEnds(t *testing.T) {
	const sound = `192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0` + "\n"
	broken := errors.New("broken")
	for _, tail := range []string{"", "half a li", strings.Repeat("x", 2*logformat.MaxLine)} {
		r := io.MultiReader(strings.NewReader(sound+tail), iotest.ErrReader(broken))
		var lines int
		var last *logformat.Problem
		for _, problem := range logformat.Read("common", r, logformat.Options{}) {
			if last = problem; problem == nil {
				lines++
			}
		}
		if lines != 1 || last == nil || !errors.Is(last.Err, broken) {
			t.Errorf("%d lines and then %+v, want one and the error", lines, last)
		}
		if _, err := logformat.Newest("common", io.MultiReader(strings.NewReader(sound+tail), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("Newest returns %v, want the error", err)
		}
	}
}

func TestAnUnknownFormatIsRefused(t *testing.T) {
	var all []error
	for _, problem := range logformat.Read("uncommon", strings.NewReader("a\nb\n"), logformat.Options{}) {
		all = append(all, problem.Err)
	}
	if len(all) != 1 || !errors.Is(all[0], fault.Invalid) {
		t.Errorf("errors %v, want one that is invalid", all)
	}
	if _, err := logformat.Newest("uncommon", strings.NewReader("")); !errors.Is(err, fault.Invalid) {
		t.Errorf("Newest returns %v, want invalid", err)
	}
}

func TestReadingStopsWhenTheCallerDoes(t *testing.T) {
	log := strings.Repeat("garbage\n"+`192.0.2.1 - - [17/May/2015:08:05:03 +0000] "GET / HTTP/1.1" 200 0`+"\n", 3)
	for stop := 1; stop <= 6; stop++ {
		seen := 0
		for range logformat.Read("common", strings.NewReader(log), logformat.Options{}) {
			if seen++; seen == stop {
				break
			}
		}
		if seen != stop {
			t.Errorf("%d values, want %d", seen, stop)
		}
	}
}
