package openapi

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// shapes are the schemas of Go types, made when they are first asked for. Structs
// become components, everything else stands where it is used.
type shapes struct {
	components map[string]any
	types      map[string]reflect.Type // of the components that are of types
	named      map[reflect.Type]bool   // whose words stand in the document
}

const schemaRef = "#/components/schemas/"

var (
	timeType = reflect.TypeFor[time.Time]()
	dayType  = reflect.TypeFor[event.Day]()
	rawType  = reflect.TypeFor[json.RawMessage]()
	numType  = reflect.TypeFor[json.Number]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	jsonType = reflect.TypeFor[json.Marshaler]()
)

// of is the schema of what encoding/json makes of a value of a type.
func (s *shapes) of(t reflect.Type) *Schema {
	switch {
	case t.Kind() == reflect.Pointer:
		return nullable(s.of(t.Elem()))
	case t == timeType:
		return &Schema{Type: "string", Format: "date-time"}
	case t == dayType:
		return &Schema{Type: "string", Format: "date"}
	case t == rawType:
		return &Schema{}
	case t == numType:
		return &Schema{Type: "number"}
	case t.Implements(textType), t.Implements(jsonType):
		// What has a form of its own is text in every type of Lethe's.
		return &Schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.component(t)
	case reflect.Slice, reflect.Array:
		return &Schema{Type: "array", Items: s.of(t.Elem())}
	case reflect.Map:
		return &Schema{Type: "object", Additional: s.of(t.Elem())}
	case reflect.String:
		s.named[t] = true
		return &Schema{Type: "string", Enum: words.values(t)}
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Float64:
		return &Schema{Type: "number", Format: "double"}
	case reflect.Int64:
		return &Schema{Type: "integer", Format: "int64"}
	case reflect.Uint64:
		return &Schema{Type: "integer", Minimum: new(int)}
	case reflect.Int:
		return &Schema{Type: "integer"}
	case reflect.Interface:
		return &Schema{}
	}
	panic("openapi: there is no schema for the type " + t.String())
}

func nullable(s *Schema) *Schema {
	if name, ok := s.Type.(string); ok {
		s.Type = []string{name, "null"}
		return s
	}
	return &Schema{AnyOf: []*Schema{s, {Type: "null"}}}
}

// component refers to the schema of a struct.
func (s *shapes) component(t reflect.Type) *Schema {
	name := componentName(t)
	if other, made := s.types[name]; made && other != t {
		panic("openapi: two types are called " + name + "; name one in typeNames")
	}
	if _, made := s.types[name]; !made {
		s.types[name], s.named[t] = t, true
		c := &Schema{Type: "object", Description: words.of(t, ""), Properties: Properties{}}
		s.fields(c, t)
		if slices.Contains(strictTypes, t) {
			c.Additional = false
		}
		s.components[name] = c
	}
	return &Schema{Ref: schemaRef + name}
}

// fields adds the members that encoding/json makes of a struct's fields.
func (s *shapes) fields(c *Schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			s.fields(c, f.Type)
			continue
		case name == "":
			name = f.Name
		}
		optional := strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero")
		ft := f.Type
		if optional && ft.Kind() == reflect.Pointer {
			ft = ft.Elem() // what is nil is left out
		}
		schema := s.of(ft)
		if change := fieldSchemas[qualified(t)+"."+f.Name]; change != nil {
			if schema = change(s); schema == nil {
				continue
			}
		}
		if text := words.of(t, f.Name); text != "" {
			schema.Description = text
		}
		// An outer field hides one of the same name that is embedded.
		c.Properties = slices.DeleteFunc(c.Properties, func(p Property) bool { return p.Name == name })
		c.Required = slices.DeleteFunc(c.Required, func(n string) bool { return n == name })
		c.Properties = append(c.Properties, Property{name, schema})
		if !optional {
			c.Required = append(c.Required, name)
		}
	}
}

// qualified is a type's name with that of its package.
func qualified(t reflect.Type) string { return t.String() }

// componentName is a type's name in the document.
func componentName(t reflect.Type) string {
	if name := typeNames[qualified(t)]; name != "" {
		return name
	}
	pkg, name, _ := strings.Cut(qualified(t), ".")
	pkg = strings.ToUpper(pkg[:1]) + pkg[1:]
	if pkg == name {
		return name
	}
	return pkg + name
}
