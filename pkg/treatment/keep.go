package treatment

import "github.com/lethe-pipeline/lethe/pkg/event"

// keep leaves a value as it came. The column's kind was made from the field's;
// the two differ only for a frame of another schema version.
func keep(kind event.Kind) func(event.Value) (event.Value, flaw) {
	return func(v event.Value) (event.Value, flaw) { return as(kind, v) }
}

// as is a value in the kind that its column stores. A whole number may become
// a fraction; nothing else changes its kind.
func as(kind event.Kind, v event.Value) (event.Value, flaw) {
	switch {
	case v.Kind() == kind || v.IsNull():
		return v, sound
	case kind == event.Float && v.Kind() == event.Int:
		return event.FloatValue(float64(v.Int())), sound
	}
	return event.Value{}, wrongType
}
