package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// maxAnswer is the largest answer that is decoded, in bytes. Copying to an
// io.Writer has no limit.
const maxAnswer = 64 << 20

// Do asks for a path of the server and decodes the answer.
//
// The path is escaped where it needs to be, and begins with a slash. The body
// is sent as JSON: a []byte or json.RawMessage as it is, nil not at all, and
// anything else marshalled. The answer is decoded from JSON into a pointer,
// copied to an io.Writer, or dropped when into is nil.
//
// Nothing is sent twice; Do fails when the server does. Errors have the kinds
// that the package comment lists. An answer that does not decode is
// fault.Corrupt.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	raw, err := jsonBody(body)
	if err != nil {
		return err
	}
	r, err := c.request(ctx, method, path, query, raw)
	if err != nil {
		return err
	}
	if raw != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, f := c.send(r)
	if f != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("asking for %s: %w", path, context.Cause(ctx))
		}
		return fmt.Errorf("asking for %s: %w", path, f.err)
	}
	defer answer.Body.Close()

	switch into := into.(type) {
	case nil:
		return nil
	case io.Writer:
		if _, err := io.Copy(into, answer.Body); err != nil {
			return fault.Unavailable.Errorf("copying the answer to %s: %w", path, err)
		}
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fault.Unavailable.Errorf("reading the answer to %s: %w", path, err)
	case len(b) > maxAnswer:
		return fault.Exhausted.Errorf("the answer to %s is over %d bytes", path, maxAnswer)
	case json.Unmarshal(b, into) != nil:
		// The decoder's own error may repeat a value.
		return fault.Corrupt.Errorf("the answer to %s is not the JSON that was expected", path)
	}
	return nil
}

// jsonBody returns what to send for a body, or nil.
func jsonBody(body any) ([]byte, error) {
	switch body := body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return body, nil
	case json.RawMessage:
		return body, nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fault.Invalid.Errorf("the body cannot be written as JSON")
	}
	return b, nil
}

// bodyReader returns what http.NewRequest needs to see to know a body's length
// and to read it twice.
func bodyReader(body []byte) io.Reader {
	if body == nil {
		return nil
	}
	return bytes.NewReader(body)
}
