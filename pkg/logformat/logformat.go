package logformat

import (
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// MaxLine is the length, in bytes and without its ending, above which a line
// is refused. nginx and Apache stop at 8 KiB for a request line and as much
// for each header, so a longer line is not an access-log line.
const MaxLine = 64 << 10

// A Line is one line of a log, ready to publish.
type Line struct {
	// Number is the line's place in its file, from 1, empty lines included.
	Number int
	// Event is the name of the event the line is, such as http_access.
	Event string
	// OccurredAt is when it happened, in UTC, moved by Options.Shift.
	OccurredAt time.Time
	// ID is the client's id for the event: 32 hexadecimal digits that follow
	// from the bytes of the line and its ordinal among equal lines.
	ID string
	// Data is the event's data: a JSON object. The caller may keep it.
	Data []byte
}

// A Problem is a line that cannot be published, or an input that cannot be
// read.
type Problem struct {
	// Number is the line's place in its file, from 1; 0 when Err is set before
	// a first line.
	Number int
	// Reason is one of a closed list of short sentences. It names the field
	// that is wrong and holds nothing from the line.
	Reason string
	// Err is set when reading itself failed. The sequence then ends, and the
	// problem stands for no line.
	Err error
}

// Options say how a log is read. The zero value is a good one.
type Options struct {
	// Shift is added to the time of every line; see ShiftFor.
	Shift time.Duration
	// Ordinals tells equal lines apart. Give the same one to every file of an
	// import, so that a line that two files share counts twice. Nil starts
	// afresh.
	Ordinals *Ordinals
}

// Formats lists the names that Read understands, in order.
func Formats() []string {
	return slices.Sorted(maps.Keys(formats))
}

// A parser fills in an access from one line. It returns the reason for which
// the line is refused, or "". The line is not kept.
type parser func(line []byte, a *access) (reason string)

// formats makes parsers, because a parser may hold buffers of its own.
var formats = map[string]func() parser{
	"common":     func() parser { return parseCommon },
	"combined":   func() parser { return parseCombined },
	"nginx-json": newNginxJSON,
}

// The reasons that are about no field.
const (
	reasonTooLong = "line too long"
	reasonUTF8    = "line is not valid UTF-8"
	reasonJSON    = "line is not a JSON object"
	reasonUnread  = "the input cannot be read"
	reasonFormat  = "the format is not known"
)

// Read yields every line of r that is not empty, either as a Line or as a
// Problem; one of the two is set. Lines end in LF or CRLF, the last one
// possibly in neither. A failing r or an unknown format yields one Problem with
// Err set, as the last value; an unknown format is a fault.Invalid.
func Read(format string, r io.Reader, opt Options) iter.Seq2[Line, *Problem] {
	return func(yield func(Line, *Problem) bool) {
		ordinals := opt.Ordinals
		if ordinals == nil {
			ordinals = NewOrdinals()
		}
		var buf []byte
		each(format, r, func(number int, line []byte, a *access) bool {
			buf = a.appendJSON(buf[:0])
			return yield(Line{
				Number:     number,
				Event:      "http_access",
				OccurredAt: a.at.Add(opt.Shift),
				ID:         ordinals.id(line),
				Data:       slices.Clone(buf),
			}, nil)
		}, func(p *Problem) bool {
			return yield(Line{}, p)
		})
	}
}

// each parses every line of r and hands it to accept or to refuse, until one
// of them returns false.
func each(format string, r io.Reader, accept func(int, []byte, *access) bool, refuse func(*Problem) bool) {
	newParser, ok := formats[format]
	if !ok {
		refuse(&Problem{Reason: reasonFormat, Err: fault.Invalid.Errorf("the format %q is not known", format)})
		return
	}
	parse := newParser()
	sc := newScanner(r)
	var a access
	for {
		line, err := sc.next()
		var reason string
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, errTooLong):
			reason = reasonTooLong
		case err != nil:
			refuse(&Problem{Number: sc.number, Reason: reasonUnread, Err: err})
			return
		default:
			a = access{bytes: absent, duration: absent}
			reason = parse(line, &a)
		}
		if reason != "" {
			if !refuse(&Problem{Number: sc.number, Reason: reason}) {
				return
			}
			continue
		}
		if !accept(sc.number, line, &a) {
			return
		}
	}
}
