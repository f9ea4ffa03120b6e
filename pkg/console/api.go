package console

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// API is Lethe's own HTTP surface, asked for a person with that person's
// credential. It is all the console has: what it shows was decided and put on
// record by the gate like any other request.
type API interface {
	// Do asks once. An error means that there is no answer; a refusal is an
	// answer.
	Do(ctx context.Context, c Call) (Answer, error)
}

// A Call is one request to the API.
type Call struct {
	Method, Path string
	Query        url.Values
	Body         []byte // JSON; empty is none
	Credential   string
	Purpose      string
	// From is the request of the person's browser. Its address is the one that
	// the gate judges.
	From *http.Request
}

// An Answer is what the API answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// maxAnswer bounds one answer, in bytes: evidence of years, and not what ends
// the process.
const maxAnswer = 256 << 20

// request makes the call as a request to an address.
func (c Call) request(ctx context.Context, base string) (*http.Request, error) {
	target := base + c.Path
	if len(c.Query) > 0 {
		target += "?" + c.Query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, c.Method, target, bytes.NewReader(c.Body))
	if err != nil {
		return nil, fault.Invalid.Errorf("the path of a call is not one")
	}
	r.Header.Set("Authorization", "Bearer "+c.Credential)
	r.Header.Set("Accept", "application/json")
	if c.Purpose != "" {
		r.Header.Set(access.PurposeHeader, c.Purpose)
	}
	if len(c.Body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header["X-Forwarded-For"] = c.From.Header.Values("X-Forwarded-For")
	return r, nil
}

// InProcess asks the routes of this process, without a socket.
func InProcess(mux http.Handler) API { return inProcess{mux} }

type inProcess struct{ mux http.Handler }

func (a inProcess) Do(ctx context.Context, c Call) (Answer, error) {
	r, err := c.request(ctx, "http://localhost")
	if err != nil {
		return Answer{}, err
	}
	// As the server would have it.
	r.RequestURI, r.RemoteAddr, r.TLS = r.URL.RequestURI(), c.From.RemoteAddr, c.From.TLS
	w := &kept{header: http.Header{}}
	a.mux.ServeHTTP(w, r)
	if w.tooLong {
		return Answer{}, fault.Exhausted.Errorf("the answer is too long to be shown; ask for it with the command line")
	}
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return Answer{w.status, w.header, w.body.Bytes()}, nil
}

// kept keeps an answer.
type kept struct {
	header  http.Header
	status  int
	body    bytes.Buffer
	tooLong bool
}

func (k *kept) Header() http.Header { return k.header }

func (k *kept) WriteHeader(status int) {
	if k.status == 0 {
		k.status = status
	}
}

func (k *kept) Write(p []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	if k.body.Len()+len(p) > maxAnswer {
		k.tooLong = true
		return 0, io.ErrShortWrite
	}
	return k.body.Write(p)
}

// Remote asks another process over HTTP.
func Remote(base string, client *http.Client) API {
	return remote{strings.TrimSuffix(base, "/"), client}
}

type remote struct {
	base   string
	client *http.Client
}

func (a remote) Do(ctx context.Context, c Call) (Answer, error) {
	r, err := c.request(ctx, a.base)
	if err != nil {
		return Answer{}, err
	}
	// The other process believes it where it trusts this one as a proxy.
	if from, _, err := net.SplitHostPort(c.From.RemoteAddr); err == nil {
		r.Header.Add("X-Forwarded-For", from)
	}
	resp, err := a.client.Do(r)
	if err != nil {
		return Answer{}, fault.Unavailable.Errorf("the service that answers this cannot be reached")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Answer{}, fault.Unavailable.Errorf("the answer of the service did not arrive whole")
	case len(body) > maxAnswer:
		return Answer{}, fault.Exhausted.Errorf("the answer is too long to be shown; ask for it with the command line")
	}
	return Answer{resp.StatusCode, resp.Header, body}, nil
}

// Split asks one API for what is below a path, and another for all else.
func Split(below string, there, rest API) API { return split{below, there, rest} }

type split struct {
	below       string
	there, rest API
}

func (a split) Do(ctx context.Context, c Call) (Answer, error) {
	if c.Path == a.below || strings.HasPrefix(c.Path, a.below+"/") {
		return a.there.Do(ctx, c)
	}
	return a.rest.Do(ctx, c)
}
