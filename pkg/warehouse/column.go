package warehouse

import (
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// values is one treated column of a batch.
type values interface {
	add(event.Value)
	addNull()
	reset()
	// data is a slice that the driver takes for the column's type. It is
	// valid until the next add or reset.
	data() any
}

func newValues(c policy.Column) values {
	switch {
	case c.Kind == event.String && c.LowCardinality:
		return &words{}
	case c.Kind == event.String:
		return &texts{}
	case c.Kind == event.Token:
		return &tokens{}
	case c.Kind == event.Int, c.Kind == event.Time:
		return &integers{kind: c.Kind, nullable: c.Nullable}
	case c.Kind == event.Float:
		return &floats{nullable: c.Nullable}
	case c.Kind == event.Bool:
		return &bools{nullable: c.Nullable}
	}
	panic("warehouse: no column holds a " + c.Kind.String())
}

// dictionary holds few distinct strings. The driver keeps a dictionary of boxed
// strings, so each distinct one is boxed once and not once a row, which is
// most of what such a column would cost.
type dictionary struct {
	boxes map[string]any
	last  string
	box   any
	all   []any
}

func (c *dictionary) add(s string) {
	if c.box == nil || s != c.last {
		box, ok := c.boxes[s]
		if !ok {
			if c.boxes == nil {
				c.boxes = map[string]any{}
			}
			box = s
			c.boxes[s] = box
		}
		c.last, c.box = s, box
	}
	c.all = append(c.all, c.box)
}

// maxBoxes bounds what a dictionary keeps from one batch to the next.
const maxBoxes = 10_000

func (c *dictionary) reset() {
	c.all = c.all[:0]
	if len(c.boxes) > maxBoxes {
		c.boxes, c.box = nil, nil
	}
}

func (c *dictionary) data() any { return c.all }

// numbers holds Int64, and DateTime64(3) as Unix milliseconds.
type numbers struct{ all []int64 }

func (c *numbers) add(n int64) { c.all = append(c.all, n) }
func (c *numbers) reset()      { c.all = c.all[:0] }
func (c *numbers) data() any   { return c.all }

// fixed holds fixed strings, one after the other.
type fixed struct {
	bytes []byte
	size  int
	parts [][]byte
}

func (c *fixed) add(b []byte) {
	c.size = len(b)
	c.bytes = append(c.bytes, b...)
}

func (c *fixed) reset() { c.bytes = c.bytes[:0] }

func (c *fixed) data() any {
	c.parts = c.parts[:0]
	for b := c.bytes; len(b) > 0; b = b[c.size:] {
		c.parts = append(c.parts, b[:c.size:c.size])
	}
	return c.parts
}

// words is a LowCardinality(String).
type words struct{ dictionary }

func (c *words) addNull() { c.dictionary.add("") }
func (c *words) add(v event.Value) {
	if v.Kind() != event.String {
		c.addNull()
		return
	}
	c.dictionary.add(v.Str())
}

// texts is a String.
type texts struct{ all []string }

func (c *texts) addNull() { c.all = append(c.all, "") }
func (c *texts) add(v event.Value) {
	if v.Kind() != event.String {
		c.addNull()
		return
	}
	c.all = append(c.all, v.Str())
}
func (c *texts) reset() {
	clear(c.all) // what they point into is a whole frame
	c.all = c.all[:0]
}
func (c *texts) data() any { return c.all }

// tokens is a FixedString(20); an absent token is all zeros.
type tokens struct{ all []string }

func (c *tokens) addNull() { c.all = append(c.all, "") } // the driver fills with zeros
func (c *tokens) add(v event.Value) {
	if v.Kind() != event.Token {
		c.addNull()
		return
	}
	c.all = append(c.all, v.Token())
}
func (c *tokens) reset() {
	clear(c.all)
	c.all = c.all[:0]
}
func (c *tokens) data() any { return c.all }

// integers is an Int64 or a DateTime64(3).
type integers struct {
	kind     event.Kind
	nullable bool
	cells[int64]
}

func (c *integers) data() any { return c.cells.data(c.nullable) }
func (c *integers) add(v event.Value) {
	if v.Kind() != c.kind {
		c.addNull()
		return
	}
	if c.kind == event.Time {
		c.cells.add(v.Time().UnixMilli())
		return
	}
	c.cells.add(v.Int())
}

// floats is a Float64. An integer is a number too.
type floats struct {
	nullable bool
	cells[float64]
}

func (c *floats) data() any { return c.cells.data(c.nullable) }
func (c *floats) add(v event.Value) {
	switch v.Kind() {
	case event.Float:
		c.cells.add(v.Float())
	case event.Int:
		c.cells.add(float64(v.Int()))
	default:
		c.addNull()
	}
}

// bools is a Bool.
type bools struct {
	nullable bool
	cells[bool]
}

func (c *bools) data() any { return c.cells.data(c.nullable) }
func (c *bools) add(v event.Value) {
	if v.Kind() != event.Bool {
		c.addNull()
		return
	}
	c.cells.add(v.Bool())
}

// cells are values of which some may be null.
type cells[T any] struct {
	all   []T
	nulls []bool
	ptrs  []*T
}

func (c *cells[T]) add(v T) {
	c.all = append(c.all, v)
	c.nulls = append(c.nulls, false)
}

func (c *cells[T]) addNull() {
	var zero T
	c.all = append(c.all, zero)
	c.nulls = append(c.nulls, true)
}

func (c *cells[T]) reset() { c.all, c.nulls = c.all[:0], c.nulls[:0] }

func (c *cells[T]) data(nullable bool) any {
	if !nullable {
		return c.all
	}
	c.ptrs = c.ptrs[:0]
	for i := range c.all {
		if c.nulls[i] {
			c.ptrs = append(c.ptrs, nil)
		} else {
			c.ptrs = append(c.ptrs, &c.all[i])
		}
	}
	return c.ptrs
}
