package sqldoor

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// maxStatement bounds a statement, in bytes.
	maxStatement = 64 << 10
	// maxValues bounds the values of its parameters, together.
	maxValues = 64 << 10
)

// asked is what is taken from a request. Everything else that a client sent is
// left behind.
type asked struct {
	text     string
	values   url.Values // param_name: the values of parameters
	settings url.Values // and how the answer is to be sent
	id       string     // as the client calls it; empty for none
	encoding []string   // which it accepts
}

// passed are the parameters of an address that the engine hears of beside
// [warehouse.SQLChangeable]: about the form of the answer.
var passed = []string{"default_format", "compress", "client_protocol_version", "wait_end_of_query"}

var (
	parameterName = regexp.MustCompile(`^param_[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	idPattern     = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// parse takes from a request what is wanted of it. It puts the body back.
func parse(r *http.Request) (asked, error) {
	q := asked{values: url.Values{}, settings: url.Values{}, encoding: r.Header.Values("Accept-Encoding")}
	parameters, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, fault.Invalid.Errorf("the query of the address is not readable")
	}
	body, err := readBody(r)
	if err != nil {
		return q, err
	}
	size := 0
	for name, all := range parameters {
		switch {
		case name == "query":
			// As the engine does: what the address begins, the body ends.
			q.text = all[0]
		case len(all) > 1:
			return q, fault.Invalid.Errorf("a parameter of the address is given twice")
		case name == "decompress" && all[0] != "0" && len(body) > 0:
			return q, fault.Invalid.Errorf("decompress is not taken; compress the body as Content-Encoding says")
		case name == "query_id":
			q.id = all[0]
		case parameterName.MatchString(name):
			q.values[name] = all
			size += len(all[0])
		case beyond(name, all[0]):
			// Drivers ask for the time that their caller has, and more. What
			// holds is the limit.
		case slices.Contains(passed, name) || slices.Contains(warehouse.SQLChangeable(), name):
			q.settings[name] = all
		}
		// Others are ignored: a session, a database, another user, settings
		// that are not the client's to choose.
	}
	if !idPattern.MatchString(q.id) {
		q.id = ""
	}
	if q.text != "" && len(body) > 0 {
		q.text += "\n"
	}
	q.text += string(body)
	switch {
	case strings.TrimSpace(q.text) == "":
		return q, fault.Invalid.Errorf("there is no statement, neither in query nor in the body")
	case len(q.text) > maxStatement:
		return q, errLong
	case size > maxValues:
		return q, fault.Invalid.Errorf("the values of the parameters have more than %d bytes", maxValues)
	case !utf8.ValidString(q.text):
		return q, fault.Invalid.Errorf("the statement is not UTF-8")
	}
	return q, nil
}

// beyond says whether a setting is a limit above the one that holds.
func beyond(name, value string) bool {
	most, ok := warehouse.SQLLimits()[name]
	if !ok {
		return false
	}
	n, err := strconv.ParseFloat(value, 64)
	return err == nil && !(n >= 1 && n <= float64(most))
}

var errLong = fault.Invalid.Errorf("the statement has more than %d bytes", maxStatement)

// readBody returns the body as it was before it was compressed.
func readBody(r *http.Request) ([]byte, error) {
	if r.Method == http.MethodGet {
		return nil, nil
	}
	// External tables travel in parts; there is nothing to join them with.
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); strings.HasPrefix(kind, "multipart/") {
		return nil, fault.Invalid.Errorf("a body of many parts is not taken: send the statement alone")
	}
	raw, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, errLong
	case err != nil:
		return nil, fault.Invalid.Errorf("the body did not arrive whole")
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	var plain io.Reader = bytes.NewReader(raw)
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip":
		if plain, err = gzip.NewReader(plain); err != nil {
			return nil, errEncoding
		}
	case "zstd":
		z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(8<<20))
		if err != nil {
			return nil, errEncoding
		}
		defer z.Close()
		plain = z
	default:
		return nil, fault.Invalid.Errorf("the body is compressed by something else than gzip or zstd")
	}
	text, err := io.ReadAll(io.LimitReader(plain, maxStatement+1))
	if err != nil {
		return nil, errEncoding
	}
	return text, nil
}

var errEncoding = fault.Invalid.Errorf("the body is not compressed as its Content-Encoding says")
