package main_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// refusedCalls are requests with a person's marks that are refused, whole or in
// part, each for a reason of its own.
func refusedCalls(t testing.TB, c canary) []call {
	t.Helper()
	now := time.Now().UTC()
	at := now.Format(time.RFC3339Nano)
	action := func(more map[string]any) map[string]any {
		d := map[string]any{"user": c.email, "action": "opened", "details": c.text()}
		for k, v := range more {
			d[k] = v
		}
		return d
	}
	one := func(name string, body []byte) call {
		return call{name: name, role: "publisher", method: http.MethodPost, path: "/v1/events", contentType: "application/json", body: body}
	}
	data := func(name, event string, d any) call { return one(name, canaryBody(t, "shop", event, c.mark, at, d)) }
	text := func(name, body string) call { return one(name, []byte(body)) }
	with := func(c call, change func(*call)) call { change(&c); return c }
	good := string(canaryBody(t, "shop", "user_action", "", "", action(nil)))

	calls := []call{
		data("a text where a number belongs", "http_access", map[string]any{"client_ip": c.ip(), "status": c.mark}),
		data("an object where a text belongs", "user_action", action(map[string]any{"user": map[string]any{c.mark: c.email}})),
		data("an array where a text belongs", "user_action", action(map[string]any{"session_id": []any{c.email, c.mark}})),
		data("a text where a truth value belongs", "http_access", map[string]any{"client_ip": c.ip(), "status": 200, "dnt": c.email}),
		data("an unknown field that is a mark", "user_action", action(map[string]any{c.mark: c.email})),
		data("an unknown field that is an address", "user_action", action(map[string]any{c.email: 1})),
		data("a value that is none of the list", "activation", map[string]any{"action": c.mark, "product": "p", "license_key": c.mark, "machine_code": c.mark}),
		data("an address that is none", "http_access", map[string]any{"client_ip": c.ip() + c.mark, "status": 200}),
		data("a field that is too long", "user_action", action(map[string]any{"user": strings.Repeat(c.email, 20)})),
		data("a missing field", "user_action", map[string]any{"user": c.email, "session_id": c.mark}),
		data("an unknown event", c.mark, action(nil)),
		data("an unknown event with an address for a name", c.email, action(nil)),
		data("data that is a text", "user_action", c.email),
		one("a service that is no name", canaryBody(t, c.email, "user_action", c.mark, at, action(nil))),
		one("a time that is none", canaryBody(t, "shop", "user_action", c.mark, c.mark, action(nil))),
		one("a time in the future", canaryBody(t, "shop", "user_action", c.mark, now.Add(time.Hour).Format(time.RFC3339), action(nil))),
		one("an event past its rule", canaryBody(t, "shop", "user_action", c.mark, now.AddDate(-10, 0, 0).Format(time.RFC3339), action(nil))),
		one("an id that is too long", canaryBody(t, "shop", "user_action", strings.Repeat(c.mark, 20), at, action(nil))),
		text("an envelope with an unknown member", `{"event":"user_action","service":"shop","`+c.mark+`":"`+c.email+`","data":{}}`),
		text("a version that is a mark", `{"event":"user_action","service":"shop","version":"`+c.mark+`","data":{}}`),
		text("JSON that is cut short", good[:len(good)-20]),
		text("JSON with something behind it", good+c.mark),
		text("JSON with a bare word", `{"event":"user_action","data":`+c.mark+`}`),
		text("a name that stands twice", `{"event":"user_action","service":"shop","data":{"`+c.mark+`":1,"`+c.mark+`":2}}`),
		text("a text that is not UTF-8", strings.Replace(good, c.email, c.email+"\xff", 1)),
		text("a surrogate alone", strings.Replace(good, c.email, c.email+`\ud800`, 1)),
		text("a text and no event", `"`+c.email+`"`),
		text("deep nesting", strings.Repeat(`{"`+c.mark+`":[`, 100)),
		with(text("lines of which some are broken", good+"\n"+good[:30]+"\n{\""+c.mark+"\":"+c.mark+"}\n"+c.email+"\n"),
			func(c *call) { c.contentType = "application/x-ndjson" }),
		with(one("a CloudEvent of an unknown type", canaryCloudEvent(t, "/users/"+c.mark, c.mark, c.mark, at, action(nil))),
			func(c *call) { c.contentType = "application/cloudevents+json" }),
		with(one("a CloudEvent with a time that is none", canaryCloudEvent(t, "/users/"+c.mark, "user_action", c.mark, c.mark, action(nil))),
			func(c *call) { c.contentType = "application/cloudevents+json" }),
		with(text("a CloudEvent with broken base64", `{"specversion":"1.0","id":"`+c.mark+`","source":"/`+c.email+`","type":"user_action","data_base64":"`+c.mark+`!"}`),
			func(c *call) { c.contentType = "application/cloudevents+json" }),
		with(one("a CloudEvent whose headers are marks", []byte(c.email)), func(k *call) {
			k.headers = []string{"Ce-Specversion", c.mark, "Ce-Id", c.mark, "Ce-Source", c.email, "Ce-Type", c.mark, "Ce-Time", c.mark, "Ce-Subject", c.email}
		}),
		with(one("a CloudEvent whose header is not percent-encoded", []byte("{}")), func(k *call) {
			k.headers = []string{"Ce-Specversion", "1.0", "Ce-Id", "%zz" + c.mark, "Ce-Source", "/shop", "Ce-Type", "user_action"}
		}),
		with(one("a media type that is a mark", []byte(good)), func(k *call) { k.contentType = "application/" + c.mark }),
		with(one("an encoding that is a mark", []byte(good)), func(k *call) { k.headers = []string{"Content-Encoding", c.mark} }),
		with(one("gzip that is none", []byte(good)), func(k *call) { k.headers = []string{"Content-Encoding", "gzip"} }),
		with(one("zstd that is none", []byte(good)), func(k *call) { k.headers = []string{"Content-Encoding", "zstd"} }),
		with(one("gzip that is cut short", cutGzip(good)), func(k *call) { k.headers = []string{"Content-Encoding", "gzip"} }),
		with(one("an idempotency key that is too long", []byte(good)), func(k *call) {
			k.headers = []string{"Idempotency-Key", strings.Repeat(c.mark, 20)}
		}),
		with(one("two idempotency keys", []byte(good)), func(k *call) {
			k.headers = []string{"Idempotency-Key", c.mark, "Idempotency-Key", c.email}
		}),
		with(one("a service in the address that is no name", []byte(good)), func(k *call) { k.path += "?service=" + url.QueryEscape(c.email) }),
	}

	for _, header := range []string{
		"Bearer " + c.mark, "Bearer " + c.email, "Bearer lethe_publisher_" + c.mark, c.mark, "Bearer",
		"Basic " + base64.StdEncoding.EncodeToString([]byte(c.email+":"+c.mark)),
	} {
		calls = append(calls, call{name: "a credential that is none", method: http.MethodPost, path: "/v1/events",
			contentType: "application/json", body: []byte(good), headers: []string{"Authorization", header}})
	}
	m, email := c.mark, url.QueryEscape(c.email)
	for i, path := range []string{
		"/" + m, "/v1/" + m, "/v1/events/" + email, "/v1/stats/" + m, "/v1/stats/" + email, "/v1/../" + m, "//" + m, "/v1/stats//" + m,
		"/v1/stats?" + m + "=" + email,
		"/v1/stats/actions?by=" + m, "/v1/stats/actions?by=" + email, "/v1/stats/actions?from=" + email,
		"/v1/stats/actions?format=" + m, "/v1/stats/actions?" + m + "=1", "/v1/stats/actions?" + email + "=1",
		"/v1/stats/actions?filter." + m + "=" + email, "/v1/stats/actions?filter.action=" + email, "/v1/stats/actions?filter.day=" + email,
		"/v1/stats/requests?by=path&filter.path=" + url.QueryEscape(c.path()), "/v1/stats/requests?filter.status=" + email,
		"/v1/stats/requests?by=path&filter.path=" + email, "/v1/stats/requests?filter.referrer_host=" + m + ".example.org",
		"/v1/stats/actions?from=%zz" + m,
	} {
		calls = append(calls, call{name: fmt.Sprintf("address %d with marks", i), role: "analyst", method: http.MethodGet, path: path})
	}
	for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPut, strings.ToUpper(c.mark)} {
		for _, path := range []string{"/v1/events", "/v1/stats/" + m, "/" + email} {
			calls = append(calls, call{name: "a method that is not taken", role: "publisher", method: method, path: path})
		}
	}
	calls = append(calls,
		call{name: "a role that may not", role: "analyst", method: http.MethodPost, path: "/v1/events", body: []byte(good)},
		call{name: "a role that may not ask", role: "publisher", method: http.MethodGet, path: "/v1/stats/actions?filter.action=" + email},
		call{name: "a host that is a mark", method: http.MethodGet, path: "/readyz", headers: []string{"Host", c.mark + ".example.org"}},
		call{name: "a quarantine of a mark", role: "operator", method: http.MethodGet, path: "/v1/quarantine?" + m + "=" + email},
		call{name: "keys of a mark", role: "operator", method: http.MethodGet, path: "/v1/keys?" + m + "=" + email},
	)
	for i := range calls {
		// Who calls is nobody's business either.
		calls[i].headers = append(calls[i].headers, "User-Agent", c.mark, "Cookie", "sid="+c.mark, "Referer", c.referrer(),
			"X-Forwarded-For", c.ip(), "X-Request-Id", c.mark, "Traceparent", "00-"+c.mark, "From", c.email)
	}
	return calls
}

func cutGzip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()[:b.Len()/2]
}

// rawRequests are bytes that are no HTTP, or barely.
func rawRequests(c canary) map[string]string {
	host := "Host: " + c.mark + ".example.org\r\n"
	return map[string]string{
		"a version of HTTP that is none":     "GET /" + c.mark + " HTTP/" + c.mark + "\r\n" + host + "\r\n",
		"a header that is none":              "GET / HTTP/1.1\r\n" + host + c.mark + " " + c.email + "\r\n\r\n",
		"a host that is none":                "GET /" + c.mark + " HTTP/1.1\r\nHost: " + c.email + " " + c.mark + "\r\n\r\n",
		"a length that is none":              "POST /v1/events HTTP/1.1\r\n" + host + "Content-Length: " + c.mark + "\r\n\r\n",
		"an encoding of transfer unheard of": "POST /v1/events HTTP/1.1\r\n" + host + "Transfer-Encoding: " + c.mark + "\r\n\r\n",
		"headers without an end":             "GET / HTTP/1.1\r\n" + host + "X-Note: " + strings.Repeat(c.mark, 3000) + "\r\n\r\n",
		"an address that cannot be read":     "GET /%zz" + c.mark + " HTTP/1.1\r\n" + host + "\r\n",
		"a greeting":                         c.email + "\r\n\r\n",
		"a body that is cut short":           fmt.Sprintf("POST /v1/events HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"event\":\"%s", host, c.mark),
	}
}
