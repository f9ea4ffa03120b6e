package logformat

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// errTooLong stands for one line that is over MaxLine; reading goes on after
// it.
var errTooLong = errors.New("line too long")

// A scanner cuts a stream into lines. Unlike bufio.Scanner it goes on after a
// line that is too long.
type scanner struct {
	r *bufio.Reader
	// number is that of the line returned last, from 1.
	number int
}

// newScanner leaves room for a longest line and its CRLF.
func newScanner(r io.Reader) *scanner {
	return &scanner{r: bufio.NewReaderSize(r, MaxLine+2)}
}

// next returns the next line that is not blank, without its ending; the bytes
// are valid until the call after. It returns errTooLong for a line over
// MaxLine and io.EOF after the last one.
func (s *scanner) next() ([]byte, error) {
	for {
		atEnd, err := s.skipNULs()
		if err != nil {
			return nil, err
		}
		if atEnd {
			return nil, io.EOF
		}
		line, err := s.r.ReadSlice('\n')
		s.number++
		if errors.Is(err, bufio.ErrBufferFull) {
			if err := s.skipLine(); err != nil {
				return nil, err
			}
			return nil, errTooLong
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("reading the log: %w", err)
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		if s.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(line) > MaxLine {
			return nil, errTooLong
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return line, nil
		}
	}
}

// skipNULs passes over NUL bytes where a line begins, and says whether the
// input ends there. A log that was truncated while its writer had it open
// begins with as many of them as it had bytes, and what follows is sound.
func (s *scanner) skipNULs() (atEnd bool, err error) {
	for {
		b, err := s.r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return false, fmt.Errorf("reading the log: %w", err)
		case b != 0:
			return false, s.r.UnreadByte()
		}
	}
}

// skipLine passes over the rest of a line that did not fit.
func (s *scanner) skipLine() error {
	for {
		_, err := s.r.ReadSlice('\n')
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("reading the log: %w", err)
		}
	}
}
