package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A failure is an attempt that did not succeed, with what is needed to decide
// about another.
type failure struct {
	err    error
	status int           // 0 when there was no answer
	again  bool          // another attempt may succeed
	after  time.Duration // what Retry-After asks for, or 0
}

// maxProblem is how much of a problem document is read, in bytes, and more
// than any server of ours writes.
const maxProblem = 64 << 10

// failed turns an answer that is not a 2xx into a failure. The text is that of
// the problem document, which names fields and never values; of any other
// body, such as a proxy's page, nothing is repeated.
func failed(answer *http.Response) *failure {
	status := answer.StatusCode
	f := &failure{status: status, after: retryAfter(answer.Header.Get("Retry-After"), time.Now())}
	switch {
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests:
		f.again = true
	case status == http.StatusNotImplemented, status == http.StatusHTTPVersionNotSupported:
	case status >= 500:
		f.again = true
	}

	sentence := fmt.Sprintf("the server answered %d %s", status, http.StatusText(status))
	if kind, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && kind == "application/problem+json" {
		var problem fault.Problem
		body, err := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
		if err == nil && json.Unmarshal(body, &problem) == nil {
			if detail := printable(problem.Detail); detail != "" {
				sentence += ": " + detail
			}
		}
	}
	if kind := kindOf(status); kind != "" {
		f.err = kind.Errorf("%s", sentence)
	} else {
		f.err = errors.New(sentence)
	}
	return f
}

// kindOf is the kind that an HTTP status stands for, or "".
func kindOf(status int) fault.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Denied
	case http.StatusNotFound, http.StatusGone:
		return fault.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return fault.Conflict
	case http.StatusTooManyRequests, http.StatusInsufficientStorage:
		return fault.Exhausted
	case http.StatusRequestTimeout, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fault.Unavailable
	}
	if status < 500 {
		return fault.Invalid
	}
	return ""
}

// printable makes a server's sentence fit for a terminal and a log line.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > 1000 {
		s = string(runes[:1000])
	}
	return strings.TrimSpace(s)
}

// maxAfter is the longest pause that a Retry-After is believed for.
const maxAfter = 10 * time.Minute

// retryAfter reads a number of seconds or a date, and returns 0 for neither.
func retryAfter(s string, now time.Time) time.Duration {
	var d time.Duration
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		d = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxAfter)
}
