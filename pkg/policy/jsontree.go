package policy

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// A node is one JSON value of a schema document, with the line it stands on.
// Schema documents are read through nodes, because a decoder into structs
// forgets lines and lets unknown keywords pass.
type node struct {
	kind    jsontext.Kind
	line    int
	text    string // of a string or a number
	members []member
	elems   []*node
	raw     []byte // the value as it stands
}

type member struct {
	name string
	line int
	val  *node
}

func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.val
		}
	}
	return nil
}

// parseJSON reads one JSON document. The problem names the line.
func parseJSON(text []byte) (*node, int, error) {
	p := jsonParser{text: text, dec: jsontext.NewDecoder(bytes.NewReader(text))}
	n, err := p.value()
	if err == nil {
		if _, err = p.dec.ReadToken(); errors.Is(err, io.EOF) {
			return n, 0, nil
		}
		if err == nil {
			err = errors.New("holds more than one value")
		}
	}
	offset := p.dec.InputOffset()
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		offset = syntactic.ByteOffset
		err = syntactic.Err
	}
	return nil, p.lineAt(offset), err
}

type jsonParser struct {
	text []byte
	dec  *jsontext.Decoder
}

func (p *jsonParser) lineAt(offset int64) int {
	offset = min(offset, int64(len(p.text)))
	return 1 + bytes.Count(p.text[:offset], []byte{'\n'})
}

func (p *jsonParser) value() (*node, error) {
	tok, err := p.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	end := p.dec.InputOffset()
	n := &node{kind: tok.Kind(), line: p.lineAt(end)}
	start := end - 1
	switch tok.Kind() {
	case '"', '0':
		n.text = tok.String()
	case '{':
		for p.dec.PeekKind() != '}' {
			name, err := p.dec.ReadToken()
			if err != nil {
				return nil, err
			}
			m := member{name: name.String(), line: p.lineAt(p.dec.InputOffset())}
			if m.val, err = p.value(); err != nil {
				return nil, err
			}
			n.members = append(n.members, m)
		}
	case '[':
		for p.dec.PeekKind() != ']' {
			elem, err := p.value()
			if err != nil {
				return nil, err
			}
			n.elems = append(n.elems, elem)
		}
	}
	if n.kind == '{' || n.kind == '[' {
		if _, err := p.dec.ReadToken(); err != nil {
			return nil, err
		}
		n.raw = p.text[start:p.dec.InputOffset()]
	}
	return n, nil
}
