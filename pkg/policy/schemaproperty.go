package policy

import (
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// text reads the keywords of a string.
func (r *schemaReader) text(n *node, at place, f *Field, c *check) {
	if e := n.get("enum"); e != nil {
		r.enum(e, at.in("enum", e.line), f, c)
	}
	if k := n.get("minLength"); k != nil {
		c.minLength = r.length(k, at.in("minLength", k.line))
	}
	if k := n.get("maxLength"); k != nil {
		c.maxLength = r.length(k, at.in("maxLength", k.line))
		if c.maxLength < c.minLength {
			r.problems.add(at.in("maxLength", k.line), "is below minLength")
		}
	}
	if k := n.get("pattern"); k != nil {
		in := at.in("pattern", k.line)
		re, err := regexp.Compile(k.text)
		if k.kind != '"' || err != nil {
			r.problems.add(in, "must be a regular expression in RE2 syntax")
		} else {
			c.pattern = re
		}
	}
	if k := n.get("format"); k != nil {
		test, ok := formats[k.text]
		if k.kind != '"' || !ok {
			r.problems.add(at.in("format", k.line), "must be date-time, email, ip, ipv4, ipv6, uri or uuid")
		}
		c.format, c.text = k.text, test
	}
	if c.format == "date-time" {
		f.Kind = event.Time
	}
	bounded := n.get("maxLength") != nil || n.get("enum") != nil || n.get("const") != nil ||
		c.format != "" && c.format != "uri"
	if !bounded {
		r.problems.add(at, "has no maxLength")
	}
}

func (r *schemaReader) enum(n *node, at place, f *Field, c *check) {
	if n.kind != '[' || len(n.elems) == 0 {
		r.problems.add(at, "must be an array of strings")
		return
	}
	c.enum = make(map[string]struct{}, len(n.elems))
	for _, e := range n.elems {
		in := place{file: at.file, line: e.line, path: at.path}
		_, twice := c.enum[e.text]
		switch {
		case e.kind != '"':
			r.problems.add(in, "must be an array of strings")
		case twice:
			r.problems.add(in, "lists %q twice", e.text)
		case utf8.RuneCountInString(e.text) > 256:
			r.problems.add(in, "lists a value of more than 256 characters")
		default:
			c.enum[e.text] = struct{}{}
			f.Enum = append(f.Enum, e.text)
		}
	}
}

func (r *schemaReader) length(n *node, at place) int {
	v, err := strconv.Atoi(n.text)
	if n.kind != '0' || err != nil || v < 0 || v > maxTextLength {
		r.problems.add(at, "must be a whole number from 0 to %d", maxTextLength)
		return 0
	}
	return v
}

// bounds reads minimum and maximum. Both are mandatory: without them a number
// has no type that a table could hold.
func (r *schemaReader) bounds(n *node, at place, c *check) {
	for _, b := range []struct {
		name string
		into *number
	}{{"minimum", &c.least}, {"maximum", &c.most}} {
		k := n.get(b.name)
		if k == nil {
			r.problems.add(at, "has no %s", b.name)
			continue
		}
		in := at.in(b.name, k.line)
		v, ok := parseNumber(k.text)
		if k.kind != '0' || !ok {
			r.problems.add(in, "must be a number")
			continue
		}
		if c.kind == event.Int {
			if whole, ok := v.whole(); !ok || whole > maxWhole || whole < -maxWhole {
				r.problems.add(in, "must be a whole number no further from zero than 2^53-1")
				continue
			}
		} else if _, ok := v.float(); !ok {
			r.problems.add(in, "is more than a 64-bit floating-point number holds")
			continue
		}
		*b.into = v
	}
	if c.most.compare(c.least) < 0 {
		r.problems.add(at, "has a maximum below its minimum")
	}
}

func (r *schemaReader) constant(n *node, at place, c *check) {
	var v event.Value
	switch {
	case c.kind == event.String && n.kind == '"':
		v = event.StringValue(n.text)
	case c.kind == event.Bool && (n.kind == 't' || n.kind == 'f'):
		v = event.BoolValue(n.kind == 't')
	case c.kind == event.Int && n.kind == '0':
		num, _ := parseNumber(n.text)
		whole, ok := num.whole()
		if !ok {
			r.problems.add(at, "must be a whole number")
			return
		}
		v = event.IntValue(whole)
	default:
		r.problems.add(at, "must be a string, an integer or a boolean, as the type says")
		return
	}
	c.constant = &v
}
