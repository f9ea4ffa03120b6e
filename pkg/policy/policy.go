package policy

import (
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// Policy is every schema and pipeline, resolved against each other. It is
// never modified after [Compile] returns.
type Policy struct {
	digest    string
	documents Documents
	schemas   []*Schema
	pipelines []*Pipeline
	classes   []*Class
	tables    []*Table
	metrics   []*Metric
}

// Digest names the policy: hex SHA-256 over the documents it was compiled
// from. Equal documents give equal digests.
func (p *Policy) Digest() string { return p.digest }

// Documents returns what the policy was compiled from.
func (p *Policy) Documents() Documents { return p.documents }

// Schemas returns every schema version, by event and version.
func (p *Policy) Schemas() []*Schema { return slices.Clone(p.schemas) }

// Pipelines returns every pipeline by name.
func (p *Policy) Pipelines() []*Pipeline { return slices.Clone(p.pipelines) }

// Classes returns every deletion class by name.
func (p *Policy) Classes() []*Class { return slices.Clone(p.classes) }

// Tables returns every table by name: those of events, and [CellTable].
func (p *Policy) Tables() []*Table { return slices.Clone(p.tables) }

// Metrics returns every metric by name.
func (p *Policy) Metrics() []*Metric { return slices.Clone(p.metrics) }

// Schema returns one version of an event's schema.
func (p *Policy) Schema(name string, version int) (*Schema, bool) {
	for _, s := range p.schemas {
		if s.Event == name && s.Version == version {
			return s, true
		}
	}
	return nil, false
}

// Latest returns the newest version of an event's schema.
func (p *Policy) Latest(name string) (*Schema, bool) {
	var latest *Schema
	for _, s := range p.schemas {
		if s.Event == name {
			latest = s // sorted by version
		}
	}
	return latest, latest != nil
}

// Table returns a table by name.
func (p *Policy) Table(name string) (*Table, bool) {
	return named(p.tables, name, func(t *Table) string { return t.Name })
}

// Class returns a deletion class by name.
func (p *Policy) Class(name string) (*Class, bool) {
	return named(p.classes, name, func(c *Class) string { return c.Name })
}

// Metric returns a metric by name.
func (p *Policy) Metric(name string) (*Metric, bool) {
	return named(p.metrics, name, func(m *Metric) string { return m.Name })
}

// TablesOf returns the tables that an event's rows go to, by name.
func (p *Policy) TablesOf(name string) []*Table {
	var out []*Table
	for _, t := range p.tables {
		if t.Event == name {
			out = append(out, t)
		}
	}
	return out
}

// Expired says whether an event that occurred at the given time is past every
// deletion rule that it falls under: nothing of it may be stored any more.
// Lasting tables do not count; what has left its identified row never comes
// in through the other door.
func (p *Policy) Expired(name string, occurred, now time.Time) bool {
	for _, t := range p.TablesOf(name) {
		if !t.Class.Lasting && now.Before(t.Class.ExpiresAt(occurred)) {
			return false
		}
	}
	return true
}

func named[T any](all []*T, name string, of func(*T) string) (*T, bool) {
	i, ok := slices.BinarySearchFunc(all, name, func(t *T, n string) int { return strings.Compare(of(t), n) })
	if !ok {
		return nil, false
	}
	return all[i], true
}

// FieldClass says what a field says about a person.
type FieldClass string

const (
	Plain      FieldClass = "plain"      // says nothing about a person
	Quasi      FieldClass = "quasi"      // singles out in combination
	Identifier FieldClass = "identifier" // singles out alone
	Sensitive  FieldClass = "sensitive"  // must not be read by anyone
	FreeText   FieldClass = "free_text"  // may hold anything
)

// Field is one property of a schema.
type Field struct {
	Name        string
	Description string
	Kind        event.Kind // String, Int, Float, Bool or Time
	Required    bool
	Category    string     // Fideslang data category, user.device.ip_address
	Class       FieldClass // what it says about a person
	// Identifier says what kind of identifier it is and so how it is
	// canonicalized before it becomes a token: ip, email, account,
	// machine_code, license_key, cookie, text. Empty for other classes.
	Identifier string
	Enum       []string // the only values, for an enumerated string
}

// Pipeline is one pipeline document: why data is kept and by what right.
type Pipeline struct {
	Name        string
	Title       string
	Purpose     string
	LegalBasis  string
	Domain      string // pseudonymization domain
	Recipients  []string
	Description string
	Subjects    []string // categories of data subjects, Art. 30(1)(c) GDPR
	Transfers   string   // to third countries, Art. 30(1)(e); empty is none
}

// Class is a deletion class in the sense of ISO/IEC 27555: a standard period
// and the starting point it runs from.
type Class struct {
	Name        string
	Cluster     string // the cluster of PII, in words
	Description string
	Period      Period
	// Starts is the starting point: "event" for tables, else "collection",
	// "treatment", "creation" or "last_activity".
	Starts   string
	Promises []string // P4, …
	// Lasting classes hold rows that say nothing about a person and stay.
	Lasting bool
	// Governs says what the class rules: "events" for tables, "cells" for
	// published numbers, else "raw", "quarantine", "backups", "key_backups",
	// "reports", "audit", "accounts".
	Governs string
}

// ExpiresAt is the instant from which a row that occurred at the given time
// may not be selected: occurred + period, in UTC calendar arithmetic.
func (c *Class) ExpiresAt(occurred time.Time) time.Time {
	if c.Lasting {
		return event.Never.Start()
	}
	return c.Period.After(occurred.UTC())
}

// Period is a length of time in calendar terms. At most one of the two is set.
type Period struct {
	Days   int
	Months int
}

// After adds the period to an instant. Months clamp to the last day of the
// target month, so that a rule of months is never longer than it says.
func (p Period) After(t time.Time) time.Time {
	if p.Months == 0 {
		return t.AddDate(0, 0, p.Days)
	}
	out := t.AddDate(0, p.Months, 0)
	want := (int(t.Month()) - 1 + p.Months) % 12
	if int(out.Month())-1 != want {
		out = out.AddDate(0, 0, -out.Day())
	}
	return out
}

// Longest is an upper bound of the period as a duration.
func (p Period) Longest() time.Duration {
	return time.Duration(p.Days+31*p.Months) * 24 * time.Hour
}

// Table is one table of rows that expire together by one rule.
type Table struct {
	Name string
	// Event and Pipeline are whose rows the table holds. [CellTable] has
	// neither.
	Event    string
	Pipeline *Pipeline
	Class    *Class
	Domain   *Domain // epochs of its tokens
	// TimeTo is what occurred_at is coarsened to; zero keeps milliseconds.
	TimeTo  time.Duration
	Columns []Column // treated columns, in the order rows carry them
}

// Purpose is what the rows are for.
func (t *Table) Purpose() string {
	if t.Pipeline == nil {
		return "Answer questions about groups"
	}
	return t.Pipeline.Purpose
}

// Column returns a column by name.
func (t *Table) Column(name string) (Column, bool) {
	for _, c := range t.Columns {
		if c.Name == name {
			return c, true
		}
	}
	return Column{}, false
}

// ColumnNames returns the names of the treated columns in order.
func (t *Table) ColumnNames() []string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return names
}

// Verb names a treatment.
type Verb string

const (
	Keep     Verb = "keep"
	Drop     Verb = "drop"
	TokenOf  Verb = "token"
	Truncate Verb = "truncate"
	Coarsen  Verb = "coarsen"
	Redact   Verb = "redact"
	// Publish makes the columns of [CellTable].
	Publish Verb = "publish"
)

// Column is one treated column of a table: the outcome of one treatment.
// A dropped field has no column.
type Column struct {
	Name        string
	Description string
	Kind        event.Kind
	// LowCardinality columns hold few distinct strings.
	LowCardinality bool
	// Nullable columns tell absent from zero. Strings and tokens never do:
	// absent is empty.
	Nullable bool
	Verb     Verb
	// From holds the alternatives in order; the first whose fields are all
	// present is used. Every verb but token has one alternative of one field.
	From [][]Field
	// To says what a coarsen, redact or truncate aims at:
	// coarsen: user_agent_family, host, hour, day, step:<n>;
	// redact: text, path; truncate: ip.
	To string
	// IPv4Bits and IPv6Bits are what truncate keeps.
	IPv4Bits, IPv6Bits int
	// TokenKinds names the field kind of each alternative of a token.
	TokenKinds []string
	// Unless names boolean fields that forbid the token when true (P13).
	Unless []string
	// Bridges names the token column of which this one holds the token of
	// the epoch before, while the domain says so. Empty for others.
	Bridges string
}

// ValueOf says what a metric measures.
type ValueOf string

const (
	Count ValueOf = "count" // rows
	// Sum adds up a whole-numbered column of the rows.
	Sum      ValueOf = "sum"
	Distinct ValueOf = "distinct" // subjects
	// Current counts subjects whose latest row meets the metric's condition.
	Current ValueOf = "current"
	// Ratio is one metric divided by another.
	Ratio ValueOf = "ratio"
)

// Additive says whether the cells of different days add up.
func (v ValueOf) Additive() bool { return v == Count || v == Sum }

// Metric is a number analysts may ask for.
type Metric struct {
	Name        string
	Title       string
	Description string
	Value       ValueOf
	// Table holds the rows that are counted; nil for a Ratio.
	Table *Table
	// Of is the column that a Sum adds up.
	Of string
	// Parts are the numerator and the denominator of a Ratio.
	Parts [2]*Metric
	// Subject is the token column that counts people or their machines; at
	// least K of them stand behind every cell. Empty when Public.
	Subject string
	Public  bool
	K       int
	Where   []Condition
	// Dimensions are what cells are told by besides tenant, service and time,
	// in the declared order: where a cell would hold fewer than K subjects,
	// the last is folded first. Metrics that count or add up the rows of one
	// table have the same.
	Dimensions []Dimension
	// Buckets are the stretches of time in which a Distinct counts; the other
	// values have none, because they know of days alone.
	Buckets []Bucket
	// Zone is where days begin.
	Zone *time.Location
	// Noise is the ε of the two-sided geometric noise that every cell gets
	// once, as a fraction; the zero value is none.
	Noise Fraction
	// Dominance is the largest share, in percent, that one subject may have of
	// what a cell of a Sum adds up, without signs; 0 of other values, and where
	// nobody is counted. (Hundepool et al., Statistical Disclosure Control,
	// 2012, 4.2.1: the (n,k)-dominance rule with n = 1.)
	Dominance int
}

// Fraction is a non-negative rational number.
type Fraction struct{ Num, Den int64 }

// Dimension returns a dimension by name.
func (m *Metric) Dimension(name string) (Dimension, bool) {
	for _, d := range m.Dimensions {
		if d.Name == name {
			return d, true
		}
	}
	return Dimension{}, false
}

// Cube names how the cells of an additive metric are cut: its dimensions in
// their order. Cells carry it, so that those of an older policy are read as
// they were cut.
func (m *Metric) Cube() string {
	names := make([]string, len(m.Dimensions))
	for i, d := range m.Dimensions {
		names[i] = d.Name
	}
	return strings.Join(names, ",")
}

// Condition keeps rows whose column holds one of the values.
type Condition struct {
	Column string
	In     []string
}

// Dimension is what the cells of a metric are told by: a column, or the hour
// of the day.
type Dimension struct {
	Name   string
	Hour   bool   // the dimension "hour"
	Column string // a treated column that is no token; empty for the hour
}

// Bucket is a stretch of time in which subjects are counted once.
type Bucket string

const (
	Day        Bucket = "day"
	Week       Bucket = "week" // ISO 8601: from Monday
	Month      Bucket = "month"
	Trailing7  Bucket = "trailing_7"  // a day and the 6 before it
	Trailing30 Bucket = "trailing_30" // a day and the 29 before it
)

// Buckets lists every bucket.
func Buckets() []Bucket { return []Bucket{Day, Week, Month, Trailing7, Trailing30} }

// Days is the most days that a bucket has.
func (b Bucket) Days() int {
	return map[Bucket]int{Day: 1, Week: 7, Month: 31, Trailing7: 7, Trailing30: 30}[b]
}
