package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

var discard = slog.New(slog.DiscardHandler)

func TestAConfigThatCannotWorkIsRefused(t *testing.T) {
	for name, config := range map[string]client.Config{
		"no logger":               {Server: "http://127.0.0.1"},
		"no server":               {Log: discard},
		"no scheme":               {Server: "127.0.0.1:80", Log: discard},
		"another scheme":          {Server: "nats://127.0.0.1", Log: discard},
		"a user in the address":   {Server: "http://ada:canary@127.0.0.1", Log: discard},
		"a query":                 {Server: "http://127.0.0.1?a=b", Log: discard},
		"a break in a credential": {Server: "http://127.0.0.1", Credential: "canary\nX: y", Log: discard},
	} {
		_, err := client.New(config)
		if !errors.Is(err, fault.Invalid) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want invalid and no value", name, err)
		}
	}
}

func TestACredentialInTheClearIsWarnedOf(t *testing.T) {
	for server, want := range map[string]bool{
		"http://lethe.example.org": true, "https://lethe.example.org": false,
		"http://127.0.0.1:1": false, "http://[::1]:1": false, "http://localhost": false,
	} {
		var logs bytes.Buffer
		if _, err := client.New(client.Config{Server: server, Credential: "canary", Log: slog.New(slog.NewTextHandler(&logs, nil))}); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(logs.String(), "credential sent without tls"); got != want || strings.Contains(logs.String(), "canary") {
			t.Errorf("%s: warned %v, want %v", server, got, want)
		}
	}
}

// asked returns a client of a server that has one handler.
func asked(t *testing.T, h http.HandlerFunc) *client.Client {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := client.New(client.Config{Server: s.URL + "/base/", Credential: "abc", Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDoSendsAndDecodes(t *testing.T) {
	c := asked(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		json.NewEncoder(w).Encode(map[string]string{
			"asked": r.Method + " " + r.URL.String() + " " + r.Header.Get("Authorization"),
			"body":  r.Header.Get("Content-Type") + " " + string(body),
		})
	})
	for _, tt := range []struct {
		body any
		want string
	}{
		{nil, " "},
		{map[string]int{"a": 1}, `application/json {"a":1}`},
		{[]byte(`{"b":2}`), `application/json {"b":2}`},
		{json.RawMessage(`{"c":3}`), `application/json {"c":3}`},
	} {
		var got struct{ Asked, Body string }
		if err := c.Do(t.Context(), "POST", "/v1/a%2Fb", url.Values{"x": {"y z"}}, tt.body, &got); err != nil {
			t.Fatal(err)
		}
		want := struct{ Asked, Body string }{"POST /base/v1/a%2Fb?x=y+z Bearer abc", tt.want}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	var copied bytes.Buffer
	if err := c.Do(t.Context(), "GET", "/v1/x", nil, nil, &copied); err != nil || !strings.HasPrefix(copied.String(), `{"asked"`) {
		t.Errorf("copied %d bytes, %v", copied.Len(), err)
	}
	if err := c.Do(t.Context(), "GET", "/v1/x", nil, nil, nil); err != nil {
		t.Error(err)
	}
	if err := c.Do(t.Context(), "GET", "/v1/x", nil, func() {}, nil); !errors.Is(err, fault.Invalid) {
		t.Errorf("a body that is no JSON: %v, want invalid", err)
	}
	var wrong []int
	if err := c.Do(t.Context(), "GET", "/v1/x", nil, nil, &wrong); !errors.Is(err, fault.Corrupt) {
		t.Errorf("an answer of another shape: %v, want corrupt", err)
	}
}

func TestAStatusHasItsKind(t *testing.T) {
	for status, want := range map[int]fault.Kind{
		302: fault.Invalid, 400: fault.Invalid, 413: fault.Invalid, 415: fault.Invalid, 422: fault.Invalid, 405: fault.Invalid,
		401: fault.Denied, 403: fault.Denied, 404: fault.NotFound, 410: fault.NotFound, 409: fault.Conflict,
		429: fault.Exhausted, 507: fault.Exhausted,
		408: fault.Unavailable, 502: fault.Unavailable, 503: fault.Unavailable, 504: fault.Unavailable,
		500: "", 501: "",
	} {
		requests := 0
		c := asked(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			if status == 302 {
				w.Header().Set("Location", "/elsewhere")
			}
			fault.WriteStatus(w, status, "field purpose\x1b[31m is missing")
		})
		err := c.Do(t.Context(), "GET", "/v1/x", nil, nil, nil)
		if err == nil || fault.KindOf(err) != want {
			t.Errorf("%d is %v, want kind %q", status, err, want)
			continue
		}
		if !strings.Contains(err.Error(), "field purpose [31m is missing") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%d says %q, want the detail and no control character", status, err)
		}
		if requests != 1 {
			t.Errorf("%d was asked %d times, want once", status, requests)
		}
	}
}

func TestAnotherServersPageIsNotRepeated(t *testing.T) {
	c := asked(t, func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "<h1>canary@example.org</h1>", http.StatusBadGateway)
	})
	err := c.Do(t.Context(), "GET", "/v1/x", nil, nil, nil)
	if !errors.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v, want unavailable and nothing of the page", err)
	}
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	c, err := client.New(client.Config{Server: s.URL, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Do(t.Context(), "GET", "/v1/x", url.Values{"q": {"canary"}}, nil, nil)
	if !errors.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "canary") {
		t.Errorf("error %v, want unavailable and no query", err)
	}
}

func TestACertificateThatIsNotTrustedIsAskedOnce(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	c, err := client.New(client.Config{Server: s.URL, Log: discard})
	if err != nil {
		t.Fatal(err)
	}
	client.SetWait(c, func(context.Context, time.Duration) error {
		t.Error("the request is sent again")
		return nil
	})
	_, err = c.Publish(t.Context(), client.Event{Event: "test", Data: data{Name: "a"}})
	if !errors.Is(err, fault.Unavailable) {
		t.Errorf("error %v, want unavailable", err)
	}
}

func TestAnAccountAddsUp(t *testing.T) {
	var a client.Account
	a.Tally([]client.Receipt{
		{Status: client.Stored}, {Status: client.Stored}, {Status: client.Duplicate}, {Status: client.Expired},
		{Status: client.Refused, Problem: "field status is missing"}, {Status: client.Refused}, {Status: "postponed"},
	})
	a.Refuse("field status is missing")
	want := `{"read":8,"stored":2,"duplicate":1,"expired":1,"refused":{"field status is missing":2,"no reason given":1,"the receipt's status is not known":1}}`
	if got, err := json.Marshal(a); err != nil || string(got) != want {
		t.Errorf("account %s (%v), want %s", got, err, want)
	}
	if got, err := json.Marshal(client.Account{}); err != nil || string(got) != `{"read":0,"stored":0,"duplicate":0,"expired":0,"refused":{}}` {
		t.Errorf("empty account %s (%v)", got, err)
	}
}
