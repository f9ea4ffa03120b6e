package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// An ear hears everything that a running Lethe says to the outside.
type ear struct {
	r *running

	// mu guards said, which only grows.
	mu   sync.Mutex
	said []saying
}

type saying struct {
	where string
	what  []byte
}

func (e *ear) hear(where string, what []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said = append(e.said, saying{where, what})
}

// scan looks at everything heard.
func (e *ear) scan(s *lethetest.Scanner) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, say := range e.said {
		s.Scan(say.where, say.what)
	}
}

// A call is an HTTP request of a test. Its name stands for it in findings.
type call struct {
	name         string
	role         string // whose credential it carries; empty: none
	method, path string
	contentType  string
	body         []byte
	headers      []string // names and values in turn
}

// do makes a call, hears the answer with its headers, and returns status and
// body. The test ends when there is no answer.
func (e *ear) do(c call) (int, []byte) {
	e.r.t.Helper()
	status, body, err := e.try(c)
	if err != nil {
		e.r.t.Fatalf("%s: no answer: %v", c.name, err)
	}
	return status, body
}

// try is do for calls that may get no answer, and for many goroutines.
func (e *ear) try(c call) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, e.r.HTTP+c.path, bytes.NewReader(c.body))
	if err != nil {
		return 0, nil, errors.New("the request cannot be made")
	}
	if c.role != "" {
		req.Header.Set("Authorization", "Bearer "+e.r.Credential(c.role))
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	for i := 0; i+1 < len(c.headers); i += 2 {
		if c.headers[i] == "Host" {
			req.Host = c.headers[i+1]
			continue
		}
		req.Header.Add(c.headers[i], c.headers[i+1])
	}
	resp, err := direct.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which may have marks
		}
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	head, err := httputil.DumpResponse(resp, false)
	if err != nil {
		return 0, nil, err
	}
	e.hear("answer to "+c.name, append(head, body...))
	return resp.StatusCode, body, nil
}

// direct follows no redirect: where an answer points is part of the answer.
var direct = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// raw sends bytes that no client would, and hears what comes back.
func (e *ear) raw(name, request string) {
	e.r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.r.HTTP, "http://"))
	if err != nil {
		e.r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(conn, request); err != nil {
		e.r.t.Fatalf("%s: %v", name, err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(conn) // a connection may be cut: what came before counts
	e.hear("answer to "+name, answer)
}

// run runs a command of the CLI, which may fail, and hears what it prints.
func (e *ear) run(name string, args ...string) string {
	e.r.t.Helper()
	stdout, stderr, err := e.r.Try(args...)
	e.hear("output of "+name, fmt.Appendf(nil, "%s\n%s\n%v", stdout, stderr, err))
	return stdout
}
