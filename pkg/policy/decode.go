package policy

import (
	"github.com/lethe-pipeline/lethe/pkg/event"
)

// A FieldProblem says what is wrong with one field of an event. It never holds
// a value, and a name only when the schema declares it or a misspelt field
// could have it.
type FieldProblem struct {
	Field    string // "" when the event as a whole is meant
	Sentence string
}

func (p FieldProblem) String() string {
	if p.Field == "" {
		return "the event " + p.Sentence
	}
	return p.Field + " " + p.Sentence
}

// maxProblems is how many problems of one event are worth telling.
const maxProblems = 20

// unknownField stands for a member name that is not repeated, because a name
// may be a value in disguise.
const unknownField = "an unknown field"

// maxDepth is how deep values may nest where none may nest at all.
const maxDepth = 64

// Decode holds the data of one event to the schema and returns its values in
// the order of Fields, or what is wrong with it. An absent field is null.
//
// The data is one JSON object (RFC 8259) in valid UTF-8, without a name twice
// and without half a surrogate pair. What passes is what a JSON Schema 2020-12
// validator that asserts formats lets pass, with these exceptions, each of them
// stricter than the library that a property test compares it with
// (santhosh-tekuri/jsonschema):
//
//   - date-time: a sign before a number of hours, minutes or seconds is
//     refused, and so is a year before 1900 or after 2299, because such an
//     instant is a mistake and few tables can hold it.
//   - ipv4, and an IPv4 address in brackets as the domain of an email: a sign
//     before a number is refused.
//
// The format ip is Lethe's own: any address that [net/netip.ParseAddr] reads,
// a zone included.
//
// The check is compiled into the decoder, because a generic validator costs
// three times the rest of the flow. Strings of the result share one copy of
// the data.
func (s *Schema) Decode(data []byte) ([]event.Value, []FieldProblem) {
	d := decoder{s: string(data), schema: s}
	if !d.object() {
		return nil, []FieldProblem{{Sentence: d.broken}}
	}
	if missing := s.needed &^ d.seen; missing != 0 {
		for i := range s.Fields {
			if missing&(1<<i) != 0 {
				d.problem(s.Fields[i].Name, "is missing")
			}
		}
	}
	if len(d.problems) > 0 {
		return nil, d.problems
	}
	return d.values, nil
}

type decoder struct {
	s        string
	i        int
	schema   *Schema
	values   []event.Value
	seen     uint64 // bit i: Fields[i] was given
	problems []FieldProblem
	broken   string // why the data is not JSON
}

func (d *decoder) problem(field, sentence string) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, FieldProblem{Field: field, Sentence: sentence})
	}
}

// not ends decoding: the data is not what JSON is.
func (d *decoder) not(why string) bool {
	if d.broken == "" {
		d.broken = why
	}
	return false
}

const (
	notJSON   = "is not valid JSON"
	notObject = "is not a JSON object"
	notText   = "holds text that is not valid UTF-8"
	tooDeep   = "nests values too deeply"
)

// object reads the whole data. False means that it is not a JSON object.
func (d *decoder) object() bool {
	d.space()
	if d.i >= len(d.s) {
		return d.not(notJSON)
	}
	if d.s[d.i] != '{' {
		if !d.skip(0) || !d.end() {
			return d.not(notJSON)
		}
		return d.not(notObject)
	}
	d.i++
	d.values = make([]event.Value, len(d.schema.Fields))
	d.space()
	if d.take('}') {
		return d.end()
	}
	for {
		name, ok := d.text()
		if !ok {
			return false
		}
		if d.space(); !d.take(':') {
			return d.not(notJSON)
		}
		d.space()
		if !d.member(name) {
			return false
		}
		d.space()
		switch {
		case d.take(','):
			d.space()
		case d.take('}'):
			return d.end()
		default:
			return d.not(notJSON)
		}
	}
}

// end says whether nothing but white space is left.
func (d *decoder) end() bool {
	if d.space(); d.i != len(d.s) {
		return d.not(notJSON)
	}
	return true
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) take(c byte) bool {
	if d.i < len(d.s) && d.s[d.i] == c {
		d.i++
		return true
	}
	return false
}

func (d *decoder) member(name string) bool {
	i, ok := d.schema.index[name]
	if !ok {
		if !repeatable(name) {
			name = unknownField
		}
		d.problem(name, "is not part of this event")
		return d.skip(1)
	}
	if d.seen&(1<<i) != 0 {
		d.problem(name, "is given twice")
		return d.skip(1)
	}
	d.seen |= 1 << i
	if d.i >= len(d.s) {
		return d.not(notJSON)
	}
	c := &d.schema.checks[i]
	switch b := d.s[d.i]; {
	case b == '"' && c.kind == event.String:
		text, ok := d.text()
		if !ok {
			return false
		}
		v, sentence := c.ofText(text)
		if sentence != "" {
			d.problem(name, sentence)
		}
		d.values[i] = v
	case (b == '-' || isDigit(b)) && (c.kind == event.Int || c.kind == event.Float):
		start := d.i
		if !d.number() {
			return false
		}
		v, sentence := c.ofNumber(d.s[start:d.i])
		if sentence != "" {
			d.problem(name, sentence)
		}
		d.values[i] = v
	case (b == 't' || b == 'f') && c.kind == event.Bool:
		if !d.skip(1) {
			return false
		}
		v := event.BoolValue(b == 't')
		if c.constant != nil && v != *c.constant {
			d.problem(name, "must have the one value that the schema allows")
		}
		d.values[i] = v
	default:
		d.problem(name, wrongKind[c.kind])
		return d.skip(1)
	}
	return true
}

var wrongKind = map[event.Kind]string{
	event.String: "must be a string",
	event.Int:    "must be a whole number",
	event.Float:  "must be a number",
	event.Bool:   "must be true or false",
}

// skip reads one value of any kind.
func (d *decoder) skip(depth int) bool {
	if depth > maxDepth {
		return d.not(tooDeep)
	}
	if d.i >= len(d.s) {
		return d.not(notJSON)
	}
	switch c := d.s[d.i]; c {
	case '"':
		_, ok := d.text()
		return ok
	case '{', '[':
		return d.skipAll(c, depth)
	case 't':
		return d.word("true")
	case 'f':
		return d.word("false")
	case 'n':
		return d.word("null")
	default:
		return d.number()
	}
}

// skipAll reads an object or an array.
func (d *decoder) skipAll(open byte, depth int) bool {
	d.i++
	d.space()
	if d.take(open + 2) { // ASCII: } is { + 2, and ] is [ + 2
		return true
	}
	// Names are kept only to refuse a second one.
	var names map[string]struct{}
	if open == '{' {
		names = map[string]struct{}{}
	}
	for {
		if open == '{' {
			name, ok := d.text()
			if !ok {
				return false
			}
			if _, twice := names[name]; twice {
				return d.not("gives a name twice")
			}
			names[name] = struct{}{}
			if d.space(); !d.take(':') {
				return d.not(notJSON)
			}
			d.space()
		}
		if !d.skip(depth + 1) {
			return false
		}
		d.space()
		switch {
		case d.take(','):
			d.space()
		case d.take(open + 2):
			return true
		default:
			return d.not(notJSON)
		}
	}
}

func (d *decoder) word(w string) bool {
	if len(d.s)-d.i < len(w) || d.s[d.i:d.i+len(w)] != w {
		return d.not(notJSON)
	}
	d.i += len(w)
	return true
}

// number moves over the characters of a number and checks their grammar.
func (d *decoder) number() bool {
	digits := func() bool {
		start := d.i
		for d.i < len(d.s) && isDigit(d.s[d.i]) {
			d.i++
		}
		return d.i > start
	}
	d.take('-')
	if !d.take('0') && !digits() {
		return d.not(notJSON)
	}
	if d.take('.') && !digits() {
		return d.not(notJSON)
	}
	if d.take('e') || d.take('E') {
		if !d.take('+') {
			d.take('-')
		}
		if !digits() {
			return d.not(notJSON)
		}
	}
	return true
}

// repeatable says whether the name of a member that the schema does not know
// may be repeated in a problem: short, of letters and _ alone, as a misspelt
// field is. A number, an address or an identifier that somebody put in the
// place of a name has something else in it.
func repeatable(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return true
}
