package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// buckets are the stretches of time that a metric may be split by. A table
// that keeps only the day has no hours.
var buckets = []string{"hour", "day", "week", "month"}

func (c *compiler) metric(doc metricDoc) {
	if other, twice := c.metrics[doc.name]; twice {
		c.problems.add(doc.at, "%s:%d declares the metric %s too", other.file, other.line, doc.name)
		return
	}
	c.metrics[doc.name] = doc.at
	m := &Metric{Name: doc.name, Title: doc.title, Description: doc.about, Value: ValueOf(doc.value),
		Subject: doc.subject, Public: doc.public, K: doc.k}
	if doc.table == "" {
		return
	}
	t, ok := c.tables[doc.table]
	if !ok {
		if c.declared[doc.table] {
			return // its own problem is told
		}
		c.problems.add(doc.at, "no table is called %s", doc.table)
		return
	}
	if c.unclear[doc.table] {
		return
	}
	m.Table = t
	c.subject(doc, m)
	for _, w := range doc.where {
		c.condition(w, m)
	}
	if m.Value == Current && len(m.Where) == 0 {
		c.problems.add(doc.at, "counts who is current, but no where says what current means")
	}
	for _, name := range doc.dimensions {
		if slices.ContainsFunc(m.Dimensions, func(d Dimension) bool { return d.Name == name }) {
			c.problems.add(doc.at, "names the dimension %s twice", name)
			continue
		}
		if c.unclear[t.Name+"."+name] {
			continue
		}
		if d, why := dimension(t, name); why != "" {
			c.problems.add(doc.at, "%s", why)
		} else if name, ok := m.revealing(d); ok {
			c.problems.add(doc.at, "is public and has the dimension %s, which comes from %s: only plain fields can be shown without k", d.Name, name)
		} else {
			m.Dimensions = append(m.Dimensions, d)
		}
	}
	c.policy.metrics = append(c.policy.metrics, m)
}

// subject holds a metric to P19: a number about people has people counted
// behind it.
func (c *compiler) subject(doc metricDoc, m *Metric) {
	switch m.Value {
	case "": // said already
	case Count, Distinct, Current:
	default:
		c.problems.add(doc.at, "value must be count, distinct or current")
	}
	if m.Public {
		m.K = 0
		if doc.subject != "" {
			c.problems.add(doc.at, "is public and has a subject: a number about people is not public")
		}
		if m.Value == Distinct || m.Value == Current {
			c.problems.add(doc.at, "counts subjects and so cannot be public")
		}
		return
	}
	if m.K < kFloor {
		c.problems.add(doc.kAt, "must be at least %d", kFloor)
	}
	if doc.subject == "" {
		c.problems.add(doc.at, "has no subject: name the token column that counts people, or say public: true where the rows describe none")
		return
	}
	if c.unclear[m.Table.Name+"."+doc.subject] {
		return
	}
	if col, ok := m.Table.Column(doc.subject); !ok || col.Verb != TokenOf || col.Bridges != "" {
		c.problems.add(doc.at, "has the subject %s, which is not a token of table %s", doc.subject, m.Table.Name)
	}
}

func (c *compiler) condition(doc conditionDoc, m *Metric) {
	col, ok := m.Table.Column(doc.column)
	if c.unclear[m.Table.Name+"."+doc.column] {
		return
	}
	if !ok {
		c.problems.add(doc.at, "is not a column of table %s", m.Table.Name)
		return
	}
	if why := shown(col); why != "" {
		c.problems.add(doc.at, "cannot be a condition: %s", why)
		return
	}
	if len(doc.in) == 0 {
		c.problems.add(doc.at, "lists no value")
	}
	for _, v := range doc.in {
		if !canHold(col, v) {
			c.problems.add(doc.at, "is compared with %q, which the column never holds", v)
		}
	}
	m.Where = append(m.Where, Condition{Column: doc.column, In: doc.in})
}

// canHold says whether a kept column can hold a value written as text.
func canHold(col Column, v string) bool {
	switch col.Kind {
	case event.Int:
		_, err := strconv.ParseInt(v, 10, 64)
		return err == nil
	case event.Bool:
		return v == "true" || v == "false"
	}
	enum := col.From[0][0].Enum
	return col.Verb != Keep || len(enum) == 0 || slices.Contains(enum, v)
}

// dimension resolves a dimension, or says why there is none.
func dimension(t *Table, name string) (Dimension, string) {
	if slices.Contains(buckets, name) {
		if name == "hour" && t.TimeTo > time.Hour {
			return Dimension{}, "has the dimension hour, but table " + t.Name + " keeps only the day"
		}
		return Dimension{Name: name, Bucket: name}, ""
	}
	if name == "service" {
		return Dimension{Name: name, Column: name}, ""
	}
	col, ok := t.Column(name)
	if !ok {
		return Dimension{}, "has the dimension " + name + ", which is not a column of table " + t.Name
	}
	if why := shown(col); why != "" {
		return Dimension{}, "cannot have the dimension " + name + ": " + why
	}
	return Dimension{Name: name, Column: name}, ""
}

// revealing says whether a dimension of a public metric comes from a field that
// is not plain, and from which. P19: nothing hides a rare value of it.
func (m *Metric) revealing(d Dimension) (string, bool) {
	col, ok := m.Table.Column(d.Column)
	if !m.Public || !ok {
		return "", false
	}
	for _, f := range col.sources() {
		if f.Class != Plain {
			return f.Name, true
		}
	}
	return "", false
}

// shown says why the values of a column may not be seen by an analyst, or "".
// A redacted path is shown: what is left of it are names that the publisher's
// software chose, and fewer than k subjects hide it.
func shown(col Column) string {
	switch {
	case col.Verb == TokenOf:
		return "it is a token"
	case col.Verb == Truncate:
		return "it comes from an identifier"
	case col.Verb == Redact && col.To != "path":
		return "it is free text"
	case col.Kind == event.Float || col.Kind == event.Time:
		return "it is " + strings.Replace(col.Kind.String(), "number", "a measured number", 1) + ", and every value would stand alone"
	}
	return ""
}
