package policy

import "time"

// OfClasses is a policy of deletion classes alone.
func OfClasses(classes ...*Class) *Policy { return &Policy{classes: classes} }

// OfTable is a policy of one table and its class.
func OfTable(t *Table) *Policy {
	return &Policy{classes: []*Class{t.Class}, tables: []*Table{t}}
}

// NewDomain is the domain of a class in a pipeline domain.
func NewDomain(pipeline, class string, length, bridge time.Duration, anchor time.Time) *Domain {
	d := &Domain{Length: length, Bridge: bridge, Anchor: anchor}
	d.name(pipeline, class)
	return d
}
