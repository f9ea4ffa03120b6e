package keyring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A message between a remote caller and the keyring is a sequence of fields,
// each behind its length as a varint. It is what frames of 64 KiB need, and
// nothing more: base64 in JSON would cost as much as opening them.

const (
	wirePath  = "/v1/"
	wireType  = "application/vnd.lethe.fields"
	faultName = "Lethe-Fault"
	// destroyedFault tells ErrDestroyed from other keys that are not found.
	destroyedFault = "destroyed"
	// maxMessage bounds a message. Callers with more ask more than once.
	maxMessage = 32 << 20
	// maxBatch is how many bytes of frames a caller puts in one message.
	maxBatch = 8 << 20
)

func appendField[S ~string | ~[]byte](b []byte, s S) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendInt(b []byte, n int64) []byte {
	return appendField(b, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// appendTime sends an instant in whole seconds: keys have no finer periods.
func appendTime(b []byte, t time.Time) []byte { return appendInt(b, t.Unix()) }

// fields reads a message. The first malformed field ends it: what follows is
// empty, and err says so.
type fields struct {
	b   []byte
	err error
}

var errMessage = fault.Invalid.Errorf("malformed message to or from the keyring")

func (f *fields) bytes() []byte {
	if f.err != nil {
		return nil
	}
	n, size := binary.Uvarint(f.b)
	if size <= 0 || n > uint64(len(f.b)-size) {
		f.b, f.err = nil, errMessage
		return nil
	}
	field := f.b[size : size+int(n) : size+int(n)]
	f.b = f.b[size+int(n):]
	return field
}

func (f *fields) string() string { return string(f.bytes()) }

func (f *fields) int() int64 {
	b := f.bytes()
	if len(b) != 8 {
		if f.err == nil {
			f.b, f.err = nil, errMessage
		}
		return 0
	}
	return int64(binary.BigEndian.Uint64(b))
}

func (f *fields) time() time.Time { return time.Unix(f.int(), 0) }

// more says whether a field is left to read.
func (f *fields) more() bool { return f.err == nil && len(f.b) > 0 }

// rest reads the fields that are left.
func (f *fields) rest() [][]byte {
	var rest [][]byte
	for f.more() {
		if b := f.bytes(); f.err == nil {
			rest = append(rest, b)
		}
	}
	return rest
}

// done is the error of a message that was malformed or had more in it than was
// read. Unknown means no.
func (f *fields) done() error {
	if f.err == nil && len(f.b) > 0 {
		f.err = errMessage
	}
	return f.err
}

// readMessage reads a body of at most maxMessage bytes, in one allocation when
// its length was announced.
func readMessage(body io.Reader, length int64) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 && length <= maxMessage {
		b.Grow(int(length) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(body, maxMessage+1))
	if err == nil && n > maxMessage {
		err = fault.Exhausted.Errorf("the message is larger than %d bytes", maxMessage)
	}
	return b.Bytes(), err
}

// writeFault answers with an error: its kind in a header, its text as a
// problem document unless the text has to stay inside.
func writeFault(w http.ResponseWriter, err error) {
	kind := string(fault.KindOf(err))
	if errors.Is(err, ErrDestroyed) {
		kind = destroyedFault
	}
	if kind != "" {
		w.Header().Set(faultName, kind)
	}
	fault.WriteProblem(w, err)
}

// readFault turns an answer's header and text back into an error that
// errors.Is knows.
func readFault(kind, detail string) error {
	switch k := fault.Kind(kind); k {
	case destroyedFault:
		return fmt.Errorf("%s: %w", strings.TrimSuffix(detail, ": "+ErrDestroyed.Error()), ErrDestroyed)
	case fault.Invalid, fault.Denied, fault.NotFound, fault.Conflict,
		fault.Exhausted, fault.Unavailable, fault.Corrupt:
		return k.Errorf("%s", detail)
	default:
		return fmt.Errorf("the keyring answers: %s", detail)
	}
}
