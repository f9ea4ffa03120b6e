package cell

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

const (
	// maxRows and maxBytes bound what is appended at once: a batch holds
	// 1,000 frames.
	maxRows  = 50_000
	maxBytes = 24 << 20
)

// A publication is the cells that are appended for one place at once.
type publication struct {
	place
	// after is the last frame of cells of the place: the warehouse, of which
	// everything here was read, has everything through it. floor is the
	// sequence through which it has everything else.
	after, floor uint64
	at           time.Time

	cells []cell
	size  int // about what they measure in frames
	done  []func(done bool)
}

// coordinates say what a cell is about.
type coordinates struct {
	metric, bucket, first, last, cube string
	told                              []string // of the cube, the first
}

type cell struct {
	coordinates
	value int64
	k     int
	mark  mark
}

func (p *publication) today(u *unit) string { return dayOf(p.at, u.lead().Zone) }

// room is how many cells may still be added. Where texts are long it is none
// before that.
func (p *publication) room() int {
	if p.size > maxBytes {
		return 0
	}
	return maxRows - len(p.cells)
}

func (p *publication) add(u *unit, at coordinates, n int64) {
	p.cells, p.size = append(p.cells, cell{at, n, u.k(), u.mark}), p.size+at.size()
}

// then is told what became of what was added.
func (p *publication) then(f func(done bool)) { p.done = append(p.done, f) }

func (p *publication) settle(done bool) {
	for _, f := range p.done {
		f(done)
	}
}

// messageID is that of one frame. It is made of the place and of what the
// publication follows: of all that anybody may want to append behind one frame,
// the log takes one, whoever cut it and from whatever rows. What is refused is
// cut anew from what there is then.
func (p *publication) messageID(frame int) string {
	sum := sha256.Sum256(framed("lethe/cell/frame/v1", p.tenant, p.service, strconv.FormatUint(p.after, 10)))
	return "cell/" + hex.EncodeToString(sum[:16]) + "/" + strconv.Itoa(frame)
}

// id is the event id of a cell: equal for equal coordinates behind one frame.
// Its time is the first day's, so that cells of a day lie together.
func (p *publication) id(c cell) event.ID {
	parts := append([]string{"lethe/cell/id/v1", p.tenant, p.service, strconv.FormatUint(p.after, 10),
		c.metric, c.bucket, c.first, c.last, c.cube}, c.told...)
	sum := sha256.Sum256(framed(parts...))
	var payload [16]byte
	copy(payload[copy(payload[:], sum[:16-markSize]):], c.mark.bytes())
	return event.NewID(dateOf(c.first), payload)
}

// framed joins parts so that other parts make other bytes.
func framed(parts ...string) []byte {
	var b []byte
	for _, s := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

// messages makes the frames, sealed.
func (p *Publisher) messages(ctx context.Context, pub *publication) ([]eventlog.Message, error) {
	columns := p.table.ColumnNames()
	expires := p.table.Class.ExpiresAt(pub.at)
	var rows []event.Clean
	var out []eventlog.Message
	size := 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		h := event.CleanHeader{
			Tenant: pub.tenant, Service: pub.service, Table: p.table.Name, Class: p.table.Class.KeyName(), Day: event.DayOf(expires),
			Policy: p.c.Policy.Digest(), Count: len(rows),
		}
		header := event.Header(h)
		sealed, err := p.c.Keys.SealClean(ctx, h.Tenant, h.Class, string(h.Day), header, event.CleanBody(columns, rows))
		if err != nil {
			return err
		}
		out = append(out, eventlog.Message{Topic: topic(pub.place), ID: pub.messageID(len(out)), Data: event.Pack(header, sealed)})
		rows, size = nil, 0
		return nil
	}
	for _, c := range pub.cells {
		rows = append(rows, event.NewClean(event.Row{
			Table: p.table.Name, ID: pub.id(c), Identified: true, OccurredAt: pub.at, ExpiresAt: expires,
			Values: c.row(columns, pub.floor),
		}))
		size += c.size()
		if len(rows) == event.MaxFrameEvents || size >= event.MaxFrameBytes {
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return out, flush()
}

// topic is where all cells of a place are appended, so that the last of them
// is the last on it.
func topic(at place) string {
	return event.CleanTopic(at.tenant, at.service, policy.CellTable, event.Never, 0)
}

// row is a cell as the table has it.
func (c cell) row(columns []string, through uint64) []event.Value {
	by := map[string]event.Value{
		policy.ColumnMetric: event.StringValue(c.metric), policy.ColumnBucket: event.StringValue(c.bucket),
		policy.ColumnFirst: event.StringValue(c.first), policy.ColumnLast: event.StringValue(c.last),
		policy.ColumnCube: event.StringValue(c.cube), policy.ColumnLevel: event.IntValue(int64(len(c.told))),
		policy.ColumnValue: event.IntValue(c.value), policy.ColumnK: event.IntValue(int64(c.k)), policy.ColumnThrough: event.IntValue(int64(through)),
	}
	for i, v := range c.told {
		by[policy.ColumnTold(i)] = event.StringValue(v)
	}
	out := make([]event.Value, len(columns))
	for i, name := range columns {
		v, ok := by[name]
		if !ok {
			v = event.StringValue("") // what is not told
		}
		out[i] = v
	}
	return out
}

// size is about what a cell measures in a frame.
func (c coordinates) size() int {
	n := 80 + len(c.metric) + len(c.bucket) + len(c.first) + len(c.last) + len(c.cube)
	for _, v := range c.told {
		n += len(v)
	}
	return n
}
