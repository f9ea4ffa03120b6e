package policy

import (
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// Schema is one version of what a publisher may send of one event: a flat JSON
// object, described in JSON Schema 2020-12 with a closed list of keywords.
type Schema struct {
	Event       string
	Version     int
	Family      string // the directory that the document stands in
	Title       string
	Description string
	File        string
	Fields      []Field  // by name
	Examples    [][]byte // JSON objects that the schema accepts

	at     place
	names  []string       // of Fields
	checks []check        // parallel to Fields
	index  map[string]int // field name → place in Fields
	needed uint64         // bit i: Fields[i] is required
}

// maxFields is what a bit set of seen fields holds.
const maxFields = 64

// FieldNames returns the names of the fields in the order of the values that
// [Schema.Decode] returns. The caller must not modify it.
func (s *Schema) FieldNames() []string { return s.names }

// Field returns a field by name.
func (s *Schema) Field(name string) (Field, bool) {
	i, ok := s.index[name]
	if !ok {
		return Field{}, false
	}
	return s.Fields[i], true
}

// Format is the JSON Schema format of a field, or "".
func (s *Schema) Format(name string) string {
	i, ok := s.index[name]
	if !ok {
		return ""
	}
	return s.checks[i].format
}

// MaxLength is how many code points the text of a field may have, or -1 when
// nothing but its format or its enumeration bounds it.
func (s *Schema) MaxLength(name string) int {
	i, ok := s.index[name]
	if !ok {
		return -1
	}
	return s.checks[i].maxLength
}

// kinds are the types a field may have.
var kinds = map[string]event.Kind{
	"string":  event.String,
	"integer": event.Int,
	"number":  event.Float,
	"boolean": event.Bool,
}

// identifierKinds say how an identifier is canonicalized before it becomes a
// token.
var identifierKinds = []string{
	"account", "cookie", "email", "ip", "license_key", "machine_code", "name", "text",
}

var fieldClasses = []FieldClass{Plain, Quasi, Identifier, Sensitive, FreeText}

// personal says whether a field may never be kept as it came.
func (c FieldClass) personal() bool { return c == Identifier || c == Sensitive || c == FreeText }

// sortFields puts Fields and checks in the order of names, and indexes them.
func (s *Schema) sortFields() {
	order := make([]int, len(s.Fields))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		if s.Fields[a].Name < s.Fields[b].Name {
			return -1
		}
		return 1
	})
	fields, checks := make([]Field, len(order)), make([]check, len(order))
	s.index = make(map[string]int, len(order))
	s.names = make([]string, len(order))
	for i, from := range order {
		fields[i], checks[i] = s.Fields[from], s.checks[from]
		s.names[i] = fields[i].Name
		s.index[fields[i].Name] = i
		if fields[i].Required {
			s.needed |= 1 << i
		}
	}
	s.Fields, s.checks = fields, checks
}
