package client

import (
	"context"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// The statuses of a receipt.
const (
	// Stored: the event is on the server's disk.
	Stored = "stored"
	// Duplicate: it was there already, and is counted once.
	Duplicate = "duplicate"
	// Expired: it is older than its deletion rule keeps it, and was not stored.
	Expired = "expired"
	// Refused: it is not as its schema says, and was not stored.
	Refused = "refused"
)

// A Receipt is the server's answer about one event.
type Receipt struct {
	// Index is the event's place in the call of Publish, from 0.
	Index int `json:"index"`
	// ID is the ksuid under which the event is stored.
	ID string `json:"id,omitempty"`
	// Status is one of Stored, Duplicate, Expired and Refused.
	Status string `json:"status"`
	// Problem says why an event was refused. It names a field.
	Problem string `json:"problem,omitempty"`
}

// Publish sends events in one request, and returns a receipt for each, in
// their order. It sends the request again when that may help; see the package
// comment. An event that cannot be written as JSON is a fault.Invalid, and
// nothing is sent.
func (c *Client) Publish(ctx context.Context, events ...Event) ([]Receipt, error) {
	if len(events) == 0 {
		return nil, nil
	}
	b := make(batch, len(events))
	for i, ev := range events {
		var err error
		if b[i], err = ev.encode(); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	receipts, f := c.publish(ctx, b)
	if f != nil {
		return nil, fmt.Errorf("publishing %d events: %w", len(b), f.err)
	}
	return receipts, nil
}

// PublishBody sends a body that the server reads as it is: contentType is
// application/json, application/x-ndjson or one of the CloudEvents types. It
// is sent again as by Publish, under one idempotency key. The receipts are
// those of the server, in its order.
func (c *Client) PublishBody(ctx context.Context, contentType string, body []byte) ([]Receipt, error) {
	receipts, f := c.post(ctx, posting{body: body, contentType: contentType, key: crand.Text(), events: -1})
	if f != nil {
		return nil, fmt.Errorf("publishing: %w", f.err)
	}
	return receipts, nil
}

// A posting is a request for receipts.
type posting struct {
	body        []byte
	contentType string
	encoding    string
	key         string
	events      int // how many receipts there must be; negative when not known
}

// compressAbove is the size of a body, in bytes, below which compressing it
// saves no packet.
const compressAbove = 1 << 10

// publish sends a batch until it is answered, refused for good, or MaxRetry
// and ctx are used up.
func (c *Client) publish(ctx context.Context, b batch) ([]Receipt, *failure) {
	return c.post(ctx, posting{body: b.body(), contentType: "application/json", key: b.idempotencyKey(), events: len(b)})
}

func (c *Client) post(ctx context.Context, p posting) ([]Receipt, *failure) {
	if len(p.body) > compressAbove {
		p.body, p.encoding = c.zstd.EncodeAll(p.body, nil), "zstd"
	}
	for attempt := 1; ; attempt++ {
		receipts, f := c.attempt(ctx, p)
		if f == nil {
			return receipts, nil
		}
		if ctx.Err() != nil {
			return nil, &failure{err: context.Cause(ctx)}
		}
		if !f.again || attempt > c.config.MaxRetry {
			return nil, f
		}
		pause := f.after + backOff(attempt)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < pause {
			return nil, f
		}
		c.log.Warn("publishing delayed", "attempt", attempt, "pause", pause, "err", f.err)
		if err := c.wait(ctx, pause); err != nil {
			return nil, &failure{err: err}
		}
	}
}

// backOff returns the pause after an attempt, counted from 1: a random part
// of 100 ms, 200 ms, 400 ms and so on up to 10 s. It is random from zero, so
// that publishers that failed together do not come back together.
func backOff(attempt int) time.Duration {
	limit := 10 * time.Second
	if attempt < 8 {
		limit = min(limit, 100*time.Millisecond<<(attempt-1))
	}
	return rand.N(limit) + 1
}

// attempt sends a posting once.
func (c *Client) attempt(ctx context.Context, p posting) ([]Receipt, *failure) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	var query url.Values
	if c.config.Service != "" {
		query = url.Values{"service": {c.config.Service}}
	}
	r, err := c.request(ctx, http.MethodPost, "/v1/events", query, p.body)
	if err != nil {
		return nil, &failure{err: err}
	}
	r.Header.Set("Content-Type", p.contentType)
	r.Header.Set("Idempotency-Key", p.key)
	if p.encoding != "" {
		r.Header.Set("Content-Encoding", p.encoding)
	}
	answer, f := c.send(r)
	if f != nil {
		return nil, f
	}
	defer answer.Body.Close()

	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		// The events may well be stored; the next attempt will tell.
		return nil, &failure{err: fault.Unavailable.Errorf("reading the receipts: %w", err), again: true}
	}
	receipts, err := readReceipts(raw, p.events)
	if err != nil {
		return nil, &failure{err: err, status: answer.StatusCode}
	}
	return receipts, nil
}

// readReceipts returns the n receipts of an answer in the order of the events.
// An answer that leaves an event out is not one to build on. A negative n
// stands for however many there are.
func readReceipts(raw []byte, n int) ([]Receipt, error) {
	var answer struct {
		Receipts []Receipt `json:"receipts"`
	}
	if json.Unmarshal(raw, &answer) != nil {
		return nil, fault.Corrupt.Errorf("the answer holds no receipts")
	}
	if n < 0 {
		n = len(answer.Receipts)
	}
	if len(answer.Receipts) != n {
		return nil, fault.Corrupt.Errorf("the server answered %d events with %d receipts", n, len(answer.Receipts))
	}
	ordered, seen := make([]Receipt, n), make([]bool, n)
	for _, r := range answer.Receipts {
		if r.Index < 0 || r.Index >= n || seen[r.Index] {
			return nil, fault.Corrupt.Errorf("the receipts do not have the indexes of the events")
		}
		ordered[r.Index], seen[r.Index] = r, true
	}
	return ordered, nil
}
