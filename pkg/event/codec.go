package event

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Bodies are row-wise: a table of field names, then the events. Each value is
// a kind byte and its content. S2 takes out the repetition: measured on 500
// access events it costs half of the fastest zstd at 1.3 times its size, and CPU
// is what the flow is short of (BenchmarkBody).
const (
	bodyPlain = 0
	bodyS2    = 1
)

const (
	flagIdentified = 1 << iota
)

// RawBody encodes events that share their fields.
func RawBody(events []Raw) []byte {
	var fields []string
	if len(events) > 0 {
		fields = events[0].open().Fields
	}
	scratch := scratches.Get().(*scratch)
	defer scratch.free()
	b := appendNames(scratch.plain[:0], fields)
	b = binary.AppendUvarint(b, uint64(len(events)))
	for _, e := range events {
		c := e.open()
		b = append(b, c.ID[:]...)
		b = binary.AppendVarint(b, c.OccurredAt.UnixMilli())
		b = binary.AppendVarint(b, c.ReceivedAt.UnixMilli())
		b = append(b, flags(c.Identified))
		for i := range fields {
			b = appendValue(b, c.Values[i])
		}
	}
	scratch.plain = b
	return scratch.compress()
}

// ParseRawBody is the inverse of RawBody.
func ParseRawBody(body []byte) ([]Raw, error) {
	r, err := expand(body)
	if err != nil {
		return nil, err
	}
	fields := r.names()
	n, values := r.events(len(fields))
	events, contents := make([]Raw, n), make([]Contents, n)
	for i := range contents {
		c := &contents[i]
		c.Fields = fields
		c.ID = r.id()
		c.OccurredAt = r.time()
		c.ReceivedAt = r.time()
		c.Identified = r.byte()&flagIdentified != 0
		c.Values, values = values[:len(fields):len(fields)], values[len(fields):]
		r.values(c.Values)
		events[i] = Raw{open: func() *Contents { return c }}
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	return events, nil
}

// CleanBody encodes rows of one table.
func CleanBody(columns []string, rows []Clean) []byte {
	scratch := scratches.Get().(*scratch)
	defer scratch.free()
	b := appendNames(scratch.plain[:0], columns)
	b = binary.AppendUvarint(b, uint64(len(rows)))
	for _, c := range rows {
		row := c.row()
		b = append(b, row.ID[:]...)
		b = binary.AppendVarint(b, row.OccurredAt.UnixMilli())
		b = binary.AppendVarint(b, row.ExpiresAt.UnixMilli())
		b = binary.AppendVarint(b, row.Epoch)
		b = append(b, flags(row.Identified))
		for i := range columns {
			b = appendValue(b, row.Values[i])
		}
	}
	scratch.plain = b
	return scratch.compress()
}

// ParseCleanBody is the inverse of CleanBody. The rows' Table is left to the
// caller, who has the header.
func ParseCleanBody(body []byte) (columns []string, rows []Row, err error) {
	r, err := expand(body)
	if err != nil {
		return nil, nil, err
	}
	columns = r.names()
	n, values := r.events(len(columns))
	rows = make([]Row, n)
	for i := range rows {
		row := &rows[i]
		row.ID = r.id()
		row.OccurredAt = r.time()
		row.ExpiresAt = r.time()
		row.Epoch = r.varint()
		row.Identified = r.byte()&flagIdentified != 0
		row.Values, values = values[:len(columns):len(columns)], values[len(columns):]
		r.values(row.Values)
	}
	if err := r.end(); err != nil {
		return nil, nil, err
	}
	return columns, rows, nil
}

func flags(identified bool) byte {
	if identified {
		return flagIdentified
	}
	return 0
}

// scratch is memory for one encoding, used again for the next. A body has its
// own memory, of just its size.
type scratch struct {
	plain, compressed []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{} }}

// maxScratch is the size from which memory is not kept.
const maxScratch = 1 << 20

// free gives the memory back, and nobody's values with it.
func (s *scratch) free() {
	if cap(s.compressed) > maxScratch {
		return
	}
	clear(s.plain)
	clear(s.compressed)
	scratches.Put(s)
}

// compress returns the body for what is in plain.
func (s *scratch) compress() []byte {
	if need := s2.MaxEncodedLen(len(s.plain)); cap(s.compressed) < need {
		s.compressed = make([]byte, need)
	}
	form, content := byte(bodyS2), s2.Encode(s.compressed[:cap(s.compressed)], s.plain)
	if len(content) >= len(s.plain) {
		form, content = bodyPlain, s.plain
	}
	body := make([]byte, 1+len(content))
	body[0] = form
	copy(body[1:], content)
	return body
}

// maxBody bounds what a body may expand to: a frame holds one request's events
// and a request is bounded far below this.
const maxBody = 64 << 20

func expand(b []byte) (*reader, error) {
	if len(b) == 0 {
		return nil, errBody
	}
	switch b[0] {
	case bodyPlain:
		return newReader(b[1:]), nil
	case bodyS2:
		n, err := s2.DecodedLen(b[1:])
		if err != nil || n > maxBody {
			return nil, errBody
		}
		out, err := s2.Decode(nil, b[1:])
		if err != nil {
			return nil, errBody
		}
		return newReader(out), nil
	}
	return nil, errBody
}

var errBody = fault.Corrupt.Errorf("the frame body is not readable")

func appendNames(b []byte, names []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(names)))
	for _, n := range names {
		b = binary.AppendUvarint(b, uint64(len(n)))
		b = append(b, n...)
	}
	return b
}

func appendValue(b []byte, v Value) []byte {
	b = append(b, byte(v.kind))
	switch v.kind {
	case String:
		b = binary.AppendUvarint(b, uint64(len(v.str)))
		return append(b, v.str...)
	case Token:
		return append(b, v.str...)
	case Int, Time, Bool:
		return binary.AppendVarint(b, v.num)
	case Float:
		return binary.LittleEndian.AppendUint64(b, uint64(v.num))
	}
	return b
}

// reader reads a body and remembers the first thing that was wrong with it.
// The texts of values share one copy of the body, which lives as long as any of
// them: a frame's events are used together.
type reader struct {
	text string // the whole body
	b    []byte // what is left of it
	bad  bool
}

func newReader(b []byte) *reader { return &reader{text: string(b), b: b} }

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	n, w := binary.Uvarint(r.b)
	if w <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *reader) varint() int64 {
	n, w := binary.Varint(r.b)
	if w <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[w:]
	return n
}

// count reads a number of things that each take at least one byte.
func (r *reader) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

func (r *reader) str() string { return r.string(r.count()) }

func (r *reader) string(n int) string {
	at := len(r.text) - len(r.b)
	return r.text[at : at+len(r.take(n))]
}

func (r *reader) names() []string {
	n := r.count()
	names := make([]string, 0, n)
	for range n {
		names = append(names, string(r.take(r.count())))
	}
	return names
}

func (r *reader) id() (id ID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) time() time.Time { return time.UnixMilli(r.varint()).UTC() }

// events reads how many events there are and makes room for their values.
func (r *reader) events(fields int) (n int, values []Value) {
	n = r.count()
	if n > len(r.b)/(len(ID{})+fields) { // each takes that much or more
		r.bad = true
	}
	if r.bad {
		return 0, nil
	}
	return n, make([]Value, n*fields)
}

func (r *reader) values(values []Value) {
	for i := range values {
		k := Kind(r.byte())
		switch k {
		case Null:
		case String:
			values[i] = Value{kind: k, str: r.str()}
		case Token:
			values[i] = Value{kind: k, str: r.string(TokenSize)}
		case Int, Time, Bool:
			values[i] = Value{kind: k, num: r.varint()}
		case Float:
			if b := r.take(8); b != nil {
				values[i] = Value{kind: k, num: int64(binary.LittleEndian.Uint64(b))}
			}
		default:
			r.bad = true
		}
		if r.bad {
			return
		}
	}
}

func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errBody
	}
	return nil
}
