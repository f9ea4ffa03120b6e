package gateway

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

var (
	errTooLong  = fail(http.StatusRequestEntityTooLarge, "the body is longer than 10 MiB, or than 32 MiB decompressed")
	errCutShort = fail(http.StatusBadRequest, "the body is cut short")
	errTooSlow  = fail(http.StatusRequestTimeout, "the body took too long to arrive")
	errEncoding = fail(http.StatusUnsupportedMediaType, "Content-Encoding is neither gzip nor zstd")
	errPacked   = fail(http.StatusBadRequest, "the body is not compressed as Content-Encoding says")
	errBusy     = fail(http.StatusTooManyRequests, "too many bytes are being read")
)

// readBody reads the body of a request and decompresses it, within bounds: of
// its own length on the wire and decompressed, of all bodies held at once, and
// of time. Release gives the bytes back.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request) (body []byte, release func(), err error) {
	held := &holding{g: g}
	defer func() {
		if err != nil {
			held.release()
		}
	}()
	if r.ContentLength > MaxBody {
		return nil, nil, errTooLong
	}
	// A recorder in a test has no deadlines; a connection has.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.cfg.ReadTimeout))
	wire := http.MaxBytesReader(w, r.Body, MaxBody)
	expect := int(max(r.ContentLength, 0))
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case "", "identity":
		body, err = held.read(wire, expect)
	case "gzip":
		z := gzips.Get().(*gzip.Reader)
		defer gzips.Put(z)
		if err := z.Reset(wire); err != nil {
			return nil, nil, bodyError(err, true)
		}
		body, err = held.read(z, 4*expect)
	case "zstd":
		z := zstds.Get().(*zstd.Decoder)
		defer zstds.Put(z)
		defer func() { _ = z.Reset(nil) }() // lets go of the body
		if err := z.Reset(wire); err != nil {
			return nil, nil, bodyError(err, true)
		}
		body, err = held.read(z, 4*expect)
	default:
		return nil, nil, errEncoding
	}
	if err != nil {
		return nil, nil, bodyError(err, r.Header.Get("Content-Encoding") != "")
	}
	g.met.bytes.Add(float64(len(body)))
	return body, held.release, nil
}

var (
	gzips = sync.Pool{New: func() any { return new(gzip.Reader) }}
	zstds = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(2*MaxDecoded))
		if err != nil {
			panic("gateway: a decoder without input must open: " + err.Error())
		}
		return d
	}}
)

// bodyError is what the publisher is told of a body that could not be read.
func bodyError(err error, packed bool) error {
	var own *failure
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &long), errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return errTooLong
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTooSlow
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errCutShort
	case packed:
		return errPacked
	}
	return errCutShort
}

// holding is the bytes of one body, counted against those of all.
type holding struct {
	g *Gateway
	n int64
}

// read reads all of in, which is about expect bytes long, growing only as
// bytes come: a length that was announced is not a length that was sent.
func (h *holding) read(in io.Reader, expect int) ([]byte, error) {
	buf := make([]byte, 0, min(max(expect+1, 512), 64<<10))
	if !h.grow(int64(cap(buf))) {
		return nil, errBusy
	}
	for {
		n, err := in.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > MaxDecoded:
			return nil, errTooLong
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		}
		if len(buf) == cap(buf) {
			larger := min(2*cap(buf), MaxDecoded+1)
			if !h.grow(int64(larger - cap(buf))) {
				return nil, errBusy
			}
			buf = append(make([]byte, 0, larger), buf...)
		}
	}
}

func (h *holding) grow(n int64) bool {
	if h.g.bytes.Add(n) > h.g.cfg.MaxBytes {
		h.g.bytes.Add(-n)
		return false
	}
	h.n += n
	return true
}

func (h *holding) release() {
	h.g.bytes.Add(-h.n)
	h.n = 0
}
