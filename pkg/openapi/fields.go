package openapi

import (
	"reflect"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// strictTypes are those of requests, which take no member that they do not
// know.
var strictTypes = []reflect.Type{
	reflect.TypeFor[access.Request](), reflect.TypeFor[access.Rotation](), reflect.TypeFor[hold.Request](),
}

// fieldSchemas are those of fields whose types say less than is so, and nil of
// those that no answer has.
var fieldSchemas map[string]func(*shapes) *Schema

func init() { // the table names functions that lead back to it
	fieldSchemas = map[string]func(*shapes) *Schema{
		"gateway.Receipt.Status": func(*shapes) *Schema {
			return &Schema{Type: "string", Enum: []string{gateway.Stored, gateway.Duplicate, gateway.Expired, gateway.Refused}}
		},
		"stats.Listed.Value": func(s *shapes) *Schema { return s.of(reflect.TypeFor[policy.ValueOf]()) },
		"stats.Row.By": func(*shapes) *Schema {
			return &Schema{Type: "object", Additional: &Schema{Type: []string{"string", "integer", "boolean", "null"}}}
		},
		"evidence.Bundle.Statement": func(s *shapes) *Schema { return s.of(reflect.TypeFor[evidence.Statement]()) },
		"hold.Hold.Floor":           untold, "hold.Hold.Upto": untold, "hold.Hold.Began": untold,
		// An entry of a later version may have a kind that this one does not
		// know.
		"audit.Entry.Kind":          kindOfEntry,
		"evidence.ListedEntry.Kind": kindOfEntry,
		"audit.Entry.Detail": func(*shapes) *Schema {
			return &Schema{Type: "object", Description: "What there is to say of an entry of its kind (docs/evidence.md)."}
		},
	}
}

func untold(*shapes) *Schema { return nil }

func kindOfEntry(*shapes) *Schema {
	return &Schema{Type: "string", Description: "What the entry is about: one of the kinds that the parameter kind takes, or one of a later version."}
}
