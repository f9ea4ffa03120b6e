package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// dialect is the only value of $schema.
const dialect = "https://json-schema.org/draft/2020-12/schema"

// maxTextLength bounds maxLength, in code points.
const maxTextLength = 65536

// maxWhole is the largest whole number that every JSON reader keeps (RFC 7493,
// section 2.2).
const maxWhole = 1<<53 - 1

var (
	rootKeywords = []string{
		"$schema", "$id", "title", "description", "type", "properties",
		"required", "additionalProperties", "examples", "x-lethe",
	}
	propertyKeywords = []string{
		"type", "description", "enum", "const", "minLength", "maxLength",
		"pattern", "minimum", "maximum", "format", "x-lethe",
	}
	categoryPattern = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)
)

// schemaReader reads one schema document and collects what is wrong with it.
type schemaReader struct {
	problems *Problems
	schema   *Schema
}

// readSchema returns nil when the document is too broken to be a schema.
func readSchema(doc document, problems *Problems) *Schema {
	at := place{file: doc.file}
	root, line, err := parseJSON(doc.text)
	if err != nil {
		at.line = line
		problems.add(at, "is not valid JSON: %v", err)
		return nil
	}
	at.line = root.line
	if root.kind != '{' {
		problems.add(at, "a schema is a JSON object")
		return nil
	}
	s := &Schema{File: doc.file, Family: path.Base(path.Dir(doc.file)), at: at}
	if s.Family == "." {
		s.Family = ""
	}
	r := schemaReader{problems: problems, schema: s}
	before := len(*problems)
	r.root(root, at)
	if len(*problems) > before && (s.Event == "" || s.Version == 0 || len(s.Fields) == 0) {
		return nil
	}
	s.sortFields()
	if len(*problems) == before {
		r.examples(root.get("examples"), at)
	}
	return s
}

func (r *schemaReader) root(root *node, at place) {
	s := r.schema
	r.closed(root, at, rootKeywords)
	if n := r.need(root, at, "$schema", '"'); n != nil && n.text != dialect {
		r.problems.add(at.in("$schema", n.line), "must be %q", dialect)
	}
	if n := root.get("$id"); n != nil && (n.kind != '"' || n.text == "") {
		r.problems.add(at.in("$id", n.line), "must be a string")
	}
	s.Title = r.prose(root, at, "title")
	s.Description = r.prose(root, at, "description")
	if n := r.need(root, at, "type", '"'); n != nil && n.text != "object" {
		r.problems.add(at.in("type", n.line), "must be \"object\"")
	}
	if n := root.get("additionalProperties"); n == nil || n.kind != 'f' {
		line := at.line
		if n != nil {
			line = n.line
		}
		r.problems.add(at.in("additionalProperties", line), "must be false: a field without a class is never accepted")
	}
	r.identity(root, at)
	if n := r.need(root, at, "properties", '{'); n != nil {
		r.properties(n, at.in("properties", n.line))
	}
	if n := root.get("required"); n != nil {
		r.required(n, at.in("required", n.line))
	}
	r.need(root, at, "examples", '[')
}

// identity reads the event's name and version, which the file's name repeats.
func (r *schemaReader) identity(root *node, at place) {
	s := r.schema
	n := r.need(root, at, "x-lethe", '{')
	if n == nil {
		return
	}
	in := at.in("x-lethe", n.line)
	s.at = in
	r.closed(n, in, []string{"event", "version"})
	if name := r.need(n, in, "event", '"'); name != nil {
		if event.CheckSymbol(name.text) {
			s.Event = name.text
		} else {
			r.problems.add(in.in("event", name.line), "must be lower-case letters, digits and _, at most 48, a letter first")
		}
	}
	if version := r.need(n, in, "version", '0'); version != nil {
		v, err := strconv.Atoi(version.text)
		if err == nil && v >= 1 && v <= 999 {
			s.Version = v
		} else {
			r.problems.add(in.in("version", version.line), "must be a whole number from 1 to 999")
		}
	}
	if s.Event != "" && s.Version != 0 {
		if want := fmt.Sprintf("%s.v%d.json", s.Event, s.Version); path.Base(s.File) != want {
			r.problems.add(in, "the file of this event and version is called %s", want)
		}
	}
}

func (r *schemaReader) properties(n *node, at place) {
	if len(n.members) == 0 {
		r.problems.add(at, "an event has at least one field")
	}
	if len(n.members) > maxFields {
		r.problems.add(at, "an event has at most %d fields", maxFields)
		n.members = n.members[:maxFields]
	}
	for _, m := range n.members {
		in := at.in(m.name, m.line)
		if !event.CheckSymbol(m.name) {
			r.problems.add(in, "a field's name is lower-case letters, digits and _, at most 48, a letter first")
			continue
		}
		if m.val.kind != '{' {
			r.problems.add(in, "must be an object")
			continue
		}
		r.property(m.name, m.val, in)
	}
}

func (r *schemaReader) required(n *node, at place) {
	if n.kind != '[' {
		r.problems.add(at, "must be an array of field names")
		return
	}
	seen := map[string]bool{}
	for _, e := range n.elems {
		i := slices.IndexFunc(r.schema.Fields, func(f Field) bool { return f.Name == e.text })
		switch {
		case e.kind != '"':
			r.problems.add(place{file: at.file, line: e.line, path: at.path}, "must be an array of field names")
		case seen[e.text]:
			r.problems.add(place{file: at.file, line: e.line, path: at.path}, "names %s twice", e.text)
		case i < 0:
			r.problems.add(place{file: at.file, line: e.line, path: at.path}, "names %s, which is not a property", e.text)
		default:
			seen[e.text] = true
			r.schema.Fields[i].Required = true
		}
	}
}

// property reads one field. It is added even when something is wrong with it,
// so that pipelines which treat it raise no second problem.
func (r *schemaReader) property(name string, n *node, at place) {
	r.closed(n, at, propertyKeywords)
	f := Field{Name: name, Description: r.prose(n, at, "description")}
	c := check{at: at, maxLength: -1}
	if t := r.need(n, at, "type", '"'); t != nil {
		kind, ok := kinds[t.text]
		if !ok {
			r.problems.add(at.in("type", t.line), "must be string, integer, number or boolean")
		}
		f.Kind, c.kind = kind, kind
	}
	r.class(n, at, &f)
	switch c.kind {
	case event.String:
		r.text(n, at, &f, &c)
	case event.Int, event.Float:
		r.bounds(n, at, &c)
	}
	r.applies(n, at, c.kind)
	if k := n.get("const"); k != nil {
		r.constant(k, at.in("const", k.line), &c)
	}
	r.schema.Fields = append(r.schema.Fields, f)
	r.schema.checks = append(r.schema.checks, c)
}

// class reads what a field says about a person.
func (r *schemaReader) class(n *node, at place, f *Field) {
	x := n.get("x-lethe")
	if x == nil {
		r.problems.add(at, "has no class: say under x-lethe what it tells about a person (plain, quasi, identifier, sensitive or free_text)")
		return
	}
	in := at.in("x-lethe", x.line)
	if x.kind != '{' {
		r.problems.add(in, "must be an object")
		return
	}
	r.closed(x, in, []string{"category", "class", "identifier"})
	class := x.get("class")
	switch {
	case class == nil:
		r.problems.add(in, "has no class: one of plain, quasi, identifier, sensitive, free_text")
	case class.kind != '"' || !slices.Contains(fieldClasses, FieldClass(class.text)):
		r.problems.add(in.in("class", class.line), "must be plain, quasi, identifier, sensitive or free_text")
	default:
		f.Class = FieldClass(class.text)
	}
	if category := r.need(x, in, "category", '"'); category != nil {
		f.Category = category.text
		if !categoryPattern.MatchString(f.Category) {
			r.problems.add(in.in("category", category.line), "must be a Fideslang data category such as user.device.ip_address")
		}
	}
	identifier := x.get("identifier")
	switch {
	case f.Class == Identifier && identifier == nil:
		r.problems.add(in, "an identifier says what kind it is: %s", strings.Join(identifierKinds, ", "))
	case identifier == nil:
	case f.Class != Identifier:
		r.problems.add(in.in("identifier", identifier.line), "only a field of class identifier has a kind of identifier")
	case identifier.kind != '"' || !slices.Contains(identifierKinds, identifier.text):
		r.problems.add(in.in("identifier", identifier.line), "must be one of %s", strings.Join(identifierKinds, ", "))
	default:
		f.Identifier = identifier.text
	}
	if f.Class == Identifier && f.Kind != event.String && f.Kind != event.Null {
		r.problems.add(in, "an identifier is a string")
	}
}

// applies refuses keywords that say nothing about the type: JSON Schema lets
// them pass, and whoever wrote them meant something.
func (r *schemaReader) applies(n *node, at place, kind event.Kind) {
	for _, m := range n.members {
		var ok bool
		switch m.name {
		case "enum", "minLength", "maxLength", "pattern", "format":
			ok = kind == event.String
		case "minimum", "maximum":
			ok = kind == event.Int || kind == event.Float
		default:
			ok = true
		}
		if !ok && kind != event.Null {
			r.problems.add(at.in(m.name, m.line), "says nothing about a field of this type")
		}
	}
}

// examples holds each example to the schema itself.
func (r *schemaReader) examples(n *node, at place) {
	at = at.in("examples", n.line)
	if len(n.elems) == 0 {
		r.problems.add(at, "an event has at least one example")
	}
	for _, e := range n.elems {
		in := place{file: at.file, line: e.line, path: at.path}
		if e.kind != '{' {
			r.problems.add(in, "an example is an object")
			continue
		}
		for _, p := range second(r.schema.Decode(e.raw)) {
			r.problems.add(in, "the example is refused: %s", p)
		}
		r.schema.Examples = append(r.schema.Examples, e.raw)
	}
}

func second[A, B any](_ A, b B) B { return b }

// closed refuses members that are not in the list.
func (r *schemaReader) closed(n *node, at place, names []string) {
	for _, m := range n.members {
		if !slices.Contains(names, m.name) {
			r.problems.add(at.in(m.name, m.line), "is not understood here: a schema may say %s", strings.Join(names, ", "))
		}
	}
}

// need returns a member that must be there and of a kind, or nil.
func (r *schemaReader) need(n *node, at place, name string, kind byte) *node {
	v := n.get(name)
	if v == nil {
		r.problems.add(at, "has no %s", name)
		return nil
	}
	if byte(v.kind) != kind {
		r.problems.add(at.in(name, v.line), "must be %s", map[byte]string{
			'"': "a string", '0': "a number", '{': "an object", '[': "an array",
		}[kind])
		return nil
	}
	return v
}

// prose reads a sentence for people. It is mandatory and not empty.
func (r *schemaReader) prose(n *node, at place, name string) string {
	v := r.need(n, at, name, '"')
	if v == nil {
		return ""
	}
	if strings.TrimSpace(v.text) == "" {
		r.problems.add(at.in(name, v.line), "is empty")
	}
	return v.text
}
