package gateway

import (
	"bytes"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// form is how a body holds events.
type form int

const (
	formJSON   form = iota // an object or an array
	formLines              // NDJSON
	formSniff              // whichever of the two it looks like
	formCloud              // one CloudEvent
	formBatch              // an array of CloudEvents
	formBinary             // the data of one CloudEvent, whose attributes are headers
)

const (
	deep    = "the JSON text is nested too deeply"
	tooMany = "a request holds at most 10000 events"
)

// lenient lets a name that stands twice and bytes that are not UTF-8 pass where
// events are told apart, so that an event with them spoils no other; each event
// is then held to both.
var lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// parse reads a body. Its error is a failure of the whole request.
func (r *reader) parse(as form, body []byte) ([]submission, error) {
	if as == formLines {
		return r.lines(body)
	}
	var subs []submission
	err := fail(http.StatusBadRequest, deep)
	if !tooDeep(body) {
		subs, err = r.text(as, body)
	}
	if err != nil && as == formSniff && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) &&
		bytes.IndexByte(bytes.TrimSpace(body), '\n') > 0 {
		return r.lines(body)
	}
	return subs, err
}

// text reads a body that is one JSON text.
func (r *reader) text(as form, body []byte) ([]submission, error) {
	r.dec.Reset(bytes.NewBuffer(body), lenient...)
	var subs []submission
	switch k := r.dec.PeekKind(); {
	case k == '{' && as != formBatch:
		s, err := r.one(body)
		if err != nil {
			return nil, fail(http.StatusBadRequest, broken(err))
		}
		subs = []submission{s}
	case k == '[' && as != formCloud:
		var err error
		if subs, err = r.array(body); err != nil {
			return nil, err
		}
	default:
		if err := r.dec.SkipValue(); err != nil {
			return nil, fail(http.StatusBadRequest, broken(err))
		}
		return nil, fail(http.StatusBadRequest, "the body is no event and no array of events")
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return nil, fail(http.StatusBadRequest, "something stands behind the JSON text")
	}
	return subs, nil
}

func (r *reader) array(body []byte) ([]submission, error) {
	subs := []submission{}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, fail(http.StatusBadRequest, broken(err))
	}
	for r.dec.PeekKind() != ']' {
		if len(subs) == MaxEvents {
			return nil, fail(http.StatusRequestEntityTooLarge, tooMany)
		}
		s, err := r.one(body)
		if err != nil {
			return nil, fail(http.StatusBadRequest, broken(err))
		}
		subs = append(subs, s)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return nil, fail(http.StatusBadRequest, broken(err))
	}
	return subs, nil
}

// lines reads a body of one event a line. Each line is on its own: one that is
// no JSON is refused, and the others are not. Empty lines are no events.
func (r *reader) lines(body []byte) ([]submission, error) {
	subs := []submission{}
	for len(body) > 0 {
		line := body
		if end := bytes.IndexByte(body, '\n'); end >= 0 {
			line, body = body[:end], body[end+1:]
		} else {
			body = nil
		}
		line = bytes.Trim(line, " \t\r")
		if len(line) == 0 {
			continue
		}
		if len(subs) == MaxEvents {
			return nil, fail(http.StatusRequestEntityTooLarge, tooMany)
		}
		subs = append(subs, r.line(line))
	}
	return subs, nil
}

func (r *reader) line(line []byte) submission {
	if tooDeep(line) {
		return refused(deep)
	}
	r.dec.Reset(bytes.NewBuffer(line), lenient...)
	s, err := r.one(line)
	if err != nil {
		return refused(broken(err))
	}
	if _, err := r.dec.ReadToken(); err != io.EOF {
		return refused("something stands behind the event on its line")
	}
	return s
}
