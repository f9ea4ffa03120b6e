package gateway

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// submission is one event as a publisher sent it: first what the envelope says,
// then what admission makes of it. A problem is a sentence for its receipt; a
// submission with a problem is refused.
type submission struct {
	event    string
	version  int // zero: the latest
	service  string
	sole     string // the sender's only service, for events that name none
	id       string // the publisher's own
	occurred string // RFC 3339; empty: now
	dated    string // what the publisher calls that field
	data     []byte
	problem  string
	denied   bool // the problem is that the publisher may not

	schema *policy.Schema
}

func refused(problem string) submission { return submission{problem: problem} }

const (
	notAnObject = "an event is a JSON object"
	tooLarge    = "the event is larger than 1 MiB"
)

// member is a value of an envelope as it was sent, nil where there was none.
type member = jsontext.Value

// envelope is the members of one event, of the native form and of CloudEvents.
type envelope struct {
	event, occurredAt, service, version member
	specversion, typ, source, time      member
	contentType, dataBase64             member
	id, data                            member
	unknown                             bool
	twice                               bool // a member stands twice
}

// open reads the members of the object that dec stands before. Its error is
// that of the JSON text, from where nothing more can be read. The values share
// body, which is what dec reads.
func open(dec *jsontext.Decoder, body []byte) (e envelope, err error) {
	if _, err := dec.ReadToken(); err != nil {
		return e, err
	}
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		if err != nil {
			return e, err
		}
		at := e.member(name.String())
		e.twice = e.twice || *at != nil
		value, err := dec.ReadValue()
		if err != nil {
			return e, err
		}
		end := dec.InputOffset()
		*at = body[end-int64(len(value)) : end]
	}
	e.dropNulls()
	_, err = dec.ReadToken()
	return e, err
}

// dropNulls makes a member that is null absent.
func (e *envelope) dropNulls() {
	for _, m := range []*member{
		&e.event, &e.occurredAt, &e.service, &e.version, &e.specversion, &e.typ, &e.source, &e.time,
		&e.contentType, &e.dataBase64, &e.id, &e.data,
	} {
		if m.Kind() == 'n' {
			*m = nil
		}
	}
}

// member is where the value of a name goes. An extension of a CloudEvent goes
// nowhere.
func (e *envelope) member(name string) *member {
	switch name {
	case "event":
		return &e.event
	case "id":
		return &e.id
	case "occurred_at":
		return &e.occurredAt
	case "service":
		return &e.service
	case "version":
		return &e.version
	case "data":
		return &e.data
	case "specversion":
		return &e.specversion
	case "type":
		return &e.typ
	case "source":
		return &e.source
	case "time":
		return &e.time
	case "datacontenttype":
		return &e.contentType
	case "data_base64":
		return &e.dataBase64
	}
	e.unknown = true
	return new(member)
}

// native reads the members as Lethe's own form. The event and the service have
// defaults.
func (e envelope) native(defaults submission) submission {
	s := defaults
	s.dated = "occurred_at"
	s.data = e.data
	if e.unknown || e.typ != nil || e.source != nil || e.time != nil || e.contentType != nil || e.dataBase64 != nil {
		return refused("an event has the members event, service, id, occurred_at, version and data, and no other")
	}
	for _, m := range []struct {
		name string
		raw  member
		to   *string
	}{
		{"event", e.event, &s.event}, {"service", e.service, &s.service},
		{"id", e.id, &s.id}, {"occurred_at", e.occurredAt, &s.occurred},
	} {
		if m.raw == nil {
			continue
		}
		text, ok := unquote(m.raw)
		if !ok || text == "" {
			return refused(m.name + " is not a string with something in it")
		}
		*m.to = text
	}
	if e.version != nil {
		n, err := strconv.Atoi(string(e.version))
		if err != nil || n < 1 {
			return refused("version is not a positive integer")
		}
		s.version = n
	}
	switch {
	case s.event == "":
		return refused("event is missing")
	case e.data == nil:
		return refused("data is missing")
	}
	return s
}

// unquote reads a JSON string.
func unquote(v member) (string, bool) {
	if v.Kind() != '"' {
		return "", false
	}
	b, err := jsontext.AppendUnquote(nil, v)
	return string(b), err == nil
}

// reader turns bodies into submissions.
type reader struct {
	dec      jsontext.Decoder
	defaults submission // what an event that does not say has
	// interpret makes a submission of an envelope.
	interpret func(e envelope, whole []byte, defaults submission) submission
}

// one reads the value that the decoder stands before as an event. The error is
// as of open.
func (r *reader) one(body []byte) (submission, error) {
	if k := r.dec.PeekKind(); k != '{' {
		if err := r.dec.SkipValue(); err != nil {
			return submission{}, err
		}
		return refused(notAnObject), nil
	}
	begin := r.dec.InputOffset()
	e, err := open(&r.dec, body)
	if err != nil {
		return submission{}, err
	}
	whole := body[begin:r.dec.InputOffset()]
	whole = whole[bytes.IndexByte(whole, '{'):] // space or a comma stands before
	if len(whole) > MaxEvent {
		return refused(tooLarge), nil
	}
	if e.twice {
		return refused("a member of the event stands twice"), nil
	}
	return r.interpret(e, whole, r.defaults), nil
}

// broken is what is wrong with a JSON text, without any of it.
func broken(err error) string {
	at := ""
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		at = ", at byte " + strconv.FormatInt(syntax.ByteOffset, 10)
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "a name stands twice in one object" + at
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "the JSON text is cut short"
	}
	return "this is not JSON" + at
}

// tooDeep says whether brackets nest deeper than any event's do. It counts
// those in strings right and does not care whether the rest is JSON.
func tooDeep(body []byte) bool {
	const most = 64
	depth, quoted := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > most {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
