package policy

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a zone is known wherever Lethe runs

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// implied are what every cell is told by, without being listed.
var implied = []string{"service", "day", "week", "month"}

// metric resolves a metric that is not a ratio.
func (c *compiler) metric(doc metricDoc) {
	if other, twice := c.metrics[doc.name]; twice {
		c.problems.add(doc.at, "%s:%d declares the metric %s too", other.file, other.line, doc.name)
		return
	}
	c.metrics[doc.name] = doc.at
	m := &Metric{Name: doc.name, Title: doc.title, Description: doc.about, Value: ValueOf(doc.value),
		Subject: doc.subject, Public: doc.public, K: doc.k, Zone: time.UTC}
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
	c.of(doc, m)
	c.dimensions(doc, m)
	c.time(doc, m)
	c.noise(doc, m)
	c.dominance(doc, m)
	c.policy.metrics = append(c.policy.metrics, m)
	c.sameCube(doc, m)
	c.oneTable(doc, m)
}

// of resolves the column that a sum adds up.
func (c *compiler) of(doc metricDoc, m *Metric) {
	if m.Value != Sum {
		if len(doc.of) > 0 {
			c.problems.add(doc.ofAt, "belongs to sum and ratio")
		}
		return
	}
	if len(doc.of) != 1 {
		c.problems.add(doc.at, "is a sum: say of which column")
		return
	}
	m.Of = doc.of[0]
	if col, ok := m.Table.Column(m.Of); !c.unclear[m.Table.Name+"."+m.Of] && (!ok || col.Kind != event.Int) {
		c.problems.add(doc.ofAt, "is the sum of %s, which is not a column of whole numbers of table %s", m.Of, m.Table.Name)
	}
}

// maxDimensions is for how many [CellTable] has columns.
const maxDimensions = 8

func (c *compiler) dimensions(doc metricDoc, m *Metric) {
	if len(doc.dimensions) > maxDimensions {
		c.problems.add(doc.at, "has more than %d dimensions", maxDimensions)
	}
	for _, name := range doc.dimensions {
		if slices.Contains(implied, name) {
			c.problems.add(doc.at, "need not list the dimension %s: every cell has it", name)
			continue
		}
		if _, twice := m.Dimension(name); twice {
			c.problems.add(doc.at, "names the dimension %s twice", name)
			continue
		}
		if c.unclear[m.Table.Name+"."+name] {
			continue
		}
		if d, why := dimension(m, name); why != "" {
			c.problems.add(doc.at, "%s", why)
		} else if name, ok := m.revealing(d); ok {
			c.problems.add(doc.at, "is public and has the dimension %s, which comes from %s: only plain fields can be shown without k", d.Name, name)
		} else {
			m.Dimensions = append(m.Dimensions, d)
		}
	}
}

// time resolves when days begin, and in which buckets subjects are counted.
func (c *compiler) time(doc metricDoc, m *Metric) {
	if doc.zone != "" {
		zone, err := time.LoadLocation(doc.zone)
		if err != nil || doc.zone == "Local" {
			c.problems.add(doc.zoneAt, "is not the name of a time zone, such as Europe/Berlin")
		} else {
			m.Zone = zone
		}
	}
	if m.Value != Distinct {
		if len(doc.buckets) > 0 {
			c.problems.add(doc.bucketsAt, "belongs to distinct: what is counted otherwise is counted by day")
		}
		return
	}
	fits := func(b Bucket) bool {
		return m.Table.Class.Period.Months > 0 || b.Days() <= m.Table.Class.Period.Days
	}
	if doc.bucketsAt.line == 0 {
		m.Buckets = slices.DeleteFunc(Buckets(), func(b Bucket) bool { return !fits(b) })
		return
	}
	for _, name := range doc.buckets {
		switch b := Bucket(name); {
		case !slices.Contains(Buckets(), b):
			c.problems.add(doc.bucketsAt, "may hold day, week, month, trailing_7 and trailing_30")
		case slices.Contains(m.Buckets, b):
			c.problems.add(doc.bucketsAt, "names %s twice", b)
		case !fits(b):
			c.problems.add(doc.bucketsAt, "has %s, up to %d days: rows of table %s are gone after %s", b, b.Days(), m.Table.Name, m.Table.Class.Period)
		default:
			m.Buckets = append(m.Buckets, b)
		}
	}
}

var noisePattern = regexp.MustCompile(`^([1-9][0-9]{0,3})(?:/([1-9][0-9]{0,3}))?$`)

func (c *compiler) noise(doc metricDoc, m *Metric) {
	if doc.noise == "" {
		return
	}
	match := noisePattern.FindStringSubmatch(doc.noise)
	if match == nil {
		c.problems.add(doc.noiseAt, "must be an ε as a fraction of whole numbers under 10,000, such as 1/2")
		return
	}
	m.Noise.Num, _ = strconv.ParseInt(match[1], 10, 64)
	m.Noise.Den = 1
	if match[2] != "" {
		m.Noise.Den, _ = strconv.ParseInt(match[2], 10, 64)
	}
}

// dominanceDefault is for metrics that say nothing.
const dominanceDefault = 80

var dominancePattern = regexp.MustCompile(`^([5-9][0-9])%$`)

// dominance resolves which share of a sum one subject may have. P19: a sum over
// many of whom one has nearly all of it is that one's number.
func (c *compiler) dominance(doc metricDoc, m *Metric) {
	if m.Value == Sum && !m.Public {
		m.Dominance = dominanceDefault
	}
	if doc.dominateAt.line == 0 {
		return
	}
	if m.Dominance == 0 {
		c.problems.add(doc.dominateAt, "belongs to sums about people")
		return
	}
	match := dominancePattern.FindStringSubmatch(doc.dominance)
	if match == nil {
		c.problems.add(doc.dominateAt, "must be a share from 50%% to 99%%, such as 80%%")
		return
	}
	m.Dominance, _ = strconv.Atoi(match[1])
}

// sameCube refuses two ways to cut the rows of one table. P19: a difference of
// two numbers is made of whole cells only where all numbers are sums of the
// same cells.
func (c *compiler) sameCube(doc metricDoc, m *Metric) {
	if !m.Value.Additive() {
		return
	}
	for _, other := range c.policy.metrics {
		if other == m || other.Table != m.Table || !other.Value.Additive() {
			continue
		}
		if m.Cube() != other.Cube() || conditions(m) != conditions(other) || m.K != other.K ||
			m.Subject != other.Subject || m.Public != other.Public || m.Zone.String() != other.Zone.String() {
			c.problems.add(doc.at, "cuts the rows of table %s otherwise than the metric %s: give both the same subject, k, where, dimensions and zone", m.Table.Name, other.Name)
		}
		return
	}
}

// oneTable refuses to count an event through two of its tables. P19: their rows
// are the same events, and are cut into cells apart from each other, so that a
// difference of two numbers could be about fewer than k subjects.
func (c *compiler) oneTable(doc metricDoc, m *Metric) {
	through := slices.IndexFunc(c.policy.metrics, func(o *Metric) bool { return o.Table.Event == m.Table.Event })
	if other := c.policy.metrics[through]; other.Table != m.Table {
		c.problems.add(doc.at, "counts the event %s through table %s, and the metric %s through table %s: give both the same table",
			m.Table.Event, m.Table.Name, other.Name, other.Table.Name)
	}
}

// ratio resolves a metric that divides two others.
func (c *compiler) ratio(doc metricDoc) {
	if other, twice := c.metrics[doc.name]; twice {
		c.problems.add(doc.at, "%s:%d declares the metric %s too", other.file, other.line, doc.name)
		return
	}
	c.metrics[doc.name] = doc.at
	m := &Metric{Name: doc.name, Title: doc.title, Description: doc.about, Value: Ratio}
	if len(doc.of) != 2 {
		c.problems.add(doc.at, "is a ratio: say of which two metrics")
		return
	}
	for i, name := range doc.of {
		at := slices.IndexFunc(c.policy.metrics, func(o *Metric) bool { return o.Name == name && o.Value != Ratio })
		if at < 0 {
			if _, declared := c.metrics[name]; !declared {
				c.problems.add(doc.ofAt, "is a ratio of %s, which is not a metric that counts", name)
			}
			return
		}
		m.Parts[i] = c.policy.metrics[at]
	}
	above, below := m.Parts[0], m.Parts[1]
	if above.Value == Current || below.Value == Current {
		c.problems.add(doc.ofAt, "is a ratio of what is current, which has no days")
	}
	if above.Zone.String() != below.Zone.String() {
		c.problems.add(doc.ofAt, "is a ratio of metrics with days in different zones")
	}
	m.Zone, m.Public, m.K = above.Zone, above.Public && below.Public, max(above.K, below.K)
	for _, d := range above.Dimensions {
		if same, ok := below.Dimension(d.Name); ok && same == d {
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
	case Count, Sum, Distinct, Current:
	default:
		c.problems.add(doc.at, "value must be count, sum, distinct, current or ratio")
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
func dimension(m *Metric, name string) (Dimension, string) {
	t := m.Table
	if name == "hour" {
		switch {
		case t.TimeTo > time.Hour:
			return Dimension{}, "has the dimension hour, but table " + t.Name + " keeps only the day"
		case !m.Value.Additive():
			return Dimension{}, "has the dimension hour, but counts subjects: by day and more"
		}
		return Dimension{Name: name, Hour: true}, ""
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
