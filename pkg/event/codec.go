package event

import (
	"encoding/binary"
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
	b := appendNames(make([]byte, 0, 64+256*len(events)), fields)
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
	return compress(b)
}

// ParseRawBody is the inverse of RawBody.
func ParseRawBody(body []byte) ([]Raw, error) {
	r, err := expand(body)
	if err != nil {
		return nil, err
	}
	fields := r.names()
	n := r.count()
	events := make([]Raw, 0, n)
	for range n {
		c := Contents{Fields: fields}
		c.ID = r.id()
		c.OccurredAt = r.time()
		c.ReceivedAt = r.time()
		c.Identified = r.byte()&flagIdentified != 0
		c.Values = r.values(len(fields))
		if r.bad {
			break
		}
		events = append(events, Raw{open: func() *Contents { return &c }})
	}
	return events, r.end()
}

// CleanBody encodes rows of one table.
func CleanBody(columns []string, rows []Clean) []byte {
	b := appendNames(make([]byte, 0, 64+128*len(rows)), columns)
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
	return compress(b)
}

// ParseCleanBody is the inverse of CleanBody. The rows' Table is left to the
// caller, who has the header.
func ParseCleanBody(body []byte) (columns []string, rows []Row, err error) {
	r, err := expand(body)
	if err != nil {
		return nil, nil, err
	}
	columns = r.names()
	n := r.count()
	rows = make([]Row, 0, n)
	for range n {
		var row Row
		row.ID = r.id()
		row.OccurredAt = r.time()
		row.ExpiresAt = r.time()
		row.Epoch = r.varint()
		row.Identified = r.byte()&flagIdentified != 0
		row.Values = r.values(len(columns))
		if r.bad {
			break
		}
		rows = append(rows, row)
	}
	return columns, rows, r.end()
}

func flags(identified bool) byte {
	if identified {
		return flagIdentified
	}
	return 0
}

func compress(b []byte) []byte {
	out := make([]byte, 1, 1+s2.MaxEncodedLen(len(b)))
	out[0] = bodyS2
	enc := s2.Encode(out[1:cap(out)], b)
	if len(enc) >= len(b) {
		out[0] = bodyPlain
		return append(out[:1], b...)
	}
	return out[:1+len(enc)]
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
		return &reader{b: b[1:]}, nil
	case bodyS2:
		n, err := s2.DecodedLen(b[1:])
		if err != nil || n > maxBody {
			return nil, errBody
		}
		out, err := s2.Decode(nil, b[1:])
		if err != nil {
			return nil, errBody
		}
		return &reader{b: out}, nil
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
type reader struct {
	b   []byte
	bad bool
}

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

func (r *reader) str() string { return string(r.take(r.count())) }

func (r *reader) names() []string {
	n := r.count()
	names := make([]string, 0, n)
	for range n {
		names = append(names, r.str())
	}
	return names
}

func (r *reader) id() (id ID) {
	copy(id[:], r.take(len(id)))
	return id
}

func (r *reader) time() time.Time { return time.UnixMilli(r.varint()).UTC() }

func (r *reader) values(n int) []Value {
	if n > len(r.b) {
		r.bad = true
		return nil
	}
	values := make([]Value, n)
	for i := range values {
		k := Kind(r.byte())
		switch k {
		case Null:
		case String:
			values[i] = Value{kind: k, str: r.str()}
		case Token:
			values[i] = Value{kind: k, str: string(r.take(TokenSize))}
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
			return nil
		}
	}
	return values
}

func (r *reader) end() error {
	if r.bad || len(r.b) != 0 {
		return errBody
	}
	return nil
}
