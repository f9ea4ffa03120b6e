package lethetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Marks are values that must be found nowhere (P1), each in every form that it
// may hide in: cased, reversed, escaped, encoded, hashed. The zero value is
// empty and ready.
type Marks struct {
	patterns []pattern
	// index holds the places in patterns by their first bytes, and filter a
	// bit for each of those, so that a look at most bytes ends there.
	index  map[uint64][]int32
	filter []uint64
}

type pattern struct {
	label, form string
	bytes       []byte
}

const (
	// headSize is how many bytes of a pattern are looked up at once. No
	// pattern is shorter; what is shorter occurs by chance.
	headSize = 8
	// minMark is the least size of a mark, so that each of its forms is
	// longer than what occurs by chance.
	minMark = 10

	filterBits = 23
)

// Add adds a value: a text, or bytes such as those of a token. The label stands
// for it in findings, which never repeat a value. It panics on a value under
// 10 bytes, which would be found by chance.
func (m *Marks) Add(label, value string) {
	if len(value) < minMark {
		panic("lethetest: a mark needs 10 bytes: " + label)
	}
	if m.index == nil {
		m.index = map[uint64][]int32{}
		m.filter = make([]uint64, 1<<filterBits/64)
	}
	seen := map[string]bool{}
	for _, f := range forms(value) {
		if seen[f.text] || len(f.text) < headSize {
			continue
		}
		seen[f.text] = true
		head := binary.LittleEndian.Uint64([]byte(f.text))
		m.index[head] = append(m.index[head], int32(len(m.patterns)))
		m.patterns = append(m.patterns, pattern{label, f.name, []byte(f.text)})
		h := filterPlace(head)
		m.filter[h/64] |= 1 << (h % 64)
	}
}

func filterPlace(head uint64) uint64 { return head * 0x9E3779B97F4A7C15 >> (64 - filterBits) }

// each calls found for every pattern in data.
func (m *Marks) each(data []byte, found func(p *pattern, offset int)) {
	if m.index == nil {
		return
	}
	for i := 0; i+headSize <= len(data); i++ {
		head := binary.LittleEndian.Uint64(data[i:])
		if h := filterPlace(head); m.filter[h/64]>>(h%64)&1 == 0 {
			continue
		}
		for _, at := range m.index[head] {
			if p := &m.patterns[at]; bytes.HasPrefix(data[i:], p.bytes) {
				found(p, i)
			}
		}
	}
}

// A Finding is a mark that was found. It says which and where, and does not
// repeat it.
type Finding struct {
	Where  string // a name given to Scan, or a file below the root of Dir, and what was opened in it
	Label  string // of the mark
	Form   string // the form that it was in
	Offset int    // in bytes
}

func (f Finding) String() string {
	return fmt.Sprintf("%s, byte %d: %s, %s", f.Where, f.Offset, f.Label, f.Form)
}

// A Scanner looks for marks in bytes, and in what it can open of them:
// ClickHouse's compressed blocks, and gzip, zstd, LZ4, S2 and Snappy frames
// wherever they begin. It is for one goroutine.
type Scanner struct {
	marks    *Marks
	findings []Finding
	opened   map[string]int
	closed   []string
	scanned  int64
}

// NewScanner makes a scanner that has seen nothing.
func NewScanner(m *Marks) *Scanner { return &Scanner{marks: m, opened: map[string]int{}} }

// Findings is what was found, every mark at most once at each place and in
// each form.
func (s *Scanner) Findings() []Finding { return s.findings }

// Opened counts what was opened, by its form: FormLZ4Block and the others.
func (s *Scanner) Opened() map[string]int { return s.opened }

// Closed lists files that should have opened and did not: what is in them was
// not looked at.
func (s *Scanner) Closed() []string { return s.closed }

// Scanned is how many bytes were looked at, those of opened frames included.
func (s *Scanner) Scanned() int64 { return s.scanned }

// maxDepth bounds how often an opened frame is opened again.
const maxDepth = 3

// Scan looks at data, which findings call where.
func (s *Scanner) Scan(where string, data []byte) { s.scan(where, data, 0) }

func (s *Scanner) scan(where string, data []byte, depth int) {
	s.scanned += int64(len(data))
	seen := map[*pattern]bool{}
	s.marks.each(data, func(p *pattern, offset int) {
		if !seen[p] {
			seen[p] = true
			s.findings = append(s.findings, Finding{where, p.label, p.form, offset})
		}
	})
	if depth == maxDepth {
		return
	}
	if text, blocks, whole := openBlocks(data); whole {
		for form, n := range blocks {
			s.opened[form] += n
		}
		s.scan(where+" > blocks", text, depth+1)
	}
	for _, f := range openFrames(data) {
		s.opened[f.form]++
		s.scan(fmt.Sprintf("%s > %s at %d", where, f.form, f.offset), f.text, depth+1)
	}
}

// Dir looks at every file below root: its name and what is in it. A file that
// goes away meanwhile is none.
func (s *Scanner) Dir(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s.Scan(name+" (its name)", []byte(name))
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		}
		before := s.blocksOpened()
		s.Scan(name, data)
		// ClickHouse keeps columns in .bin files, and they are always
		// compressed blocks.
		if filepath.Ext(name) == ".bin" && len(data) > 0 && s.blocksOpened() == before {
			s.closed = append(s.closed, name)
		}
		return nil
	})
}

func (s *Scanner) blocksOpened() int {
	n := 0
	for form, count := range s.opened {
		if slices.Contains(blockForms, form) {
			n += count
		}
	}
	return n
}
