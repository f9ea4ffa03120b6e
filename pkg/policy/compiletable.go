package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// reservedColumns are those that every row has before its treated ones.
var reservedColumns = []string{
	"tenant", "service", "event", "event_id", "occurred_at", "received_at",
	"expires_at", "expiry_day", "epoch", "log_seq", "identified",
}

// reservedTables are those that Lethe keeps for itself.
var reservedTables = []string{"clock", CellTable}

// smallText is the length up to which plain text is taken to have few
// different values, and shortText that of a country, a language or a region,
// in code points.
const (
	smallText = 64
	shortText = 8
)

// tableCompiler resolves one table of one event.
type tableCompiler struct {
	*compiler
	doc     tableDoc
	table   *Table
	fields  map[string]Field
	formats map[string]string
	columns map[string]place
	bridges []string
}

// table returns nil when the table has no class to stand on.
func (c *compiler) table(doc *pipelineDoc, e eventDoc, td tableDoc) *Table {
	if slices.Contains(reservedTables, td.name) {
		c.problems.add(td.at, "the name %s is Lethe's own", td.name)
	}
	if other, twice := c.tables[td.name]; twice {
		c.problems.add(td.at, "event %s has a table called %s too", other.Event, td.name)
		c.unclear[td.name] = true
		return nil
	}
	class, ok := c.classes[td.class]
	switch {
	case td.class == "":
		return nil
	case !ok:
		c.problems.add(td.classAt, "no deletion class is called %s", td.class)
		return nil
	case class.Governs != "events":
		c.problems.add(td.classAt, "the deletion class %s governs %s, not events", class.Name, class.Governs)
		return nil
	}
	t := &Table{
		Name:     td.name,
		Event:    e.name,
		Pipeline: &doc.Pipeline,
		Class:    class,
		Domain:   c.domain(doc, class),
		TimeTo:   map[string]time.Duration{"hour": time.Hour, "day": 24 * time.Hour}[td.time],
	}
	tc := tableCompiler{compiler: c, doc: td, table: t,
		fields: c.unions[e.name], formats: c.formats[e.name], columns: map[string]place{}}
	for _, tok := range td.tokens {
		tc.token(tok)
	}
	tc.treatments()
	if class.Lasting && t.TimeTo == 0 {
		c.problems.add(td.at, "is lasting and keeps the exact time: say time: hour or time: day")
	}
	for _, name := range tc.bridges {
		t.bridge(name)
	}
	c.tables[td.name] = t
	return t
}

// defaultAnchor is where epochs are counted from.
var defaultAnchor = time.Date(2020, time.January, 1, 0, 0, 0, 0, time.UTC)

// maxDomain is how long a name the keyring takes.
const maxDomain = 64

// domain returns the pseudonymization domain of a class in a pipeline. The
// tables of one domain and class share it.
func (c *compiler) domain(doc *pipelineDoc, class *Class) *Domain {
	d := &Domain{Anchor: defaultAnchor, Length: forGood}
	if !class.Lasting {
		d.Bridge = class.Period.Longest() + slack
		d.Length = 2 * d.Bridge
		if doc.epochs != nil {
			c.epochs(doc.epochs, class, d)
		}
	}
	d.name(doc.Domain, class.Name)
	if len(d.Name) > maxDomain {
		c.problems.add(doc.at, "the domain %s and the class %s have names that are too long together: with the length of an epoch, more than %d characters",
			doc.Domain, class.Name, maxDomain)
	}
	if other, ok := c.domains[doc.Domain+"/"+class.Name]; ok {
		if *other != *d {
			c.problems.add(doc.at, "the domain %s has other epochs in another pipeline", doc.Domain)
		}
		return other
	}
	c.domains[doc.Domain+"/"+class.Name] = d
	return d
}

func (c *compiler) epochs(doc *epochsDoc, class *Class, d *Domain) {
	length, anchor := doc.parse(&c.problems)
	if !anchor.IsZero() {
		d.Anchor = anchor
	}
	if length == 0 {
		return
	}
	if length < 2*d.Bridge {
		c.problems.add(doc.at, "an epoch of %s is too short for the class %s: it lasts at least twice the period and two days, %d days",
			doc.length, class.Name, int(2*d.Bridge/(24*time.Hour)))
		return
	}
	d.Length = length
}

// token adds a column for a token that is made from several fields or from the
// first of several alternatives.
func (c *tableCompiler) token(doc tokenDoc) {
	col := Column{Name: doc.name, Kind: event.Token, Verb: TokenOf, Unless: doc.unless}
	var sources []string
	for _, alternative := range doc.from {
		var fields []Field
		for _, name := range alternative {
			f, ok := c.fields[name]
			switch {
			case !ok:
				c.problems.add(doc.at, "is made from %s, which is not a field of %s", name, c.table.Event)
				continue
			case f.Kind != event.String:
				c.problems.add(doc.at, "is made from %s, which is not text", name)
				continue
			case f.Class == FreeText:
				c.problems.add(doc.at, "is made from %s, which is free text and would never be the same twice", name)
			}
			fields = append(fields, f)
		}
		if len(fields) == 0 {
			continue
		}
		kind := tokenKind(fields)
		if len(kind) > 48 {
			c.problems.add(doc.at, "joins fields whose names are together longer than 48 characters")
		}
		col.From = append(col.From, fields)
		col.TokenKinds = append(col.TokenKinds, kind)
		sources = append(sources, strings.Join(alternative, " with "))
	}
	for _, name := range doc.unless {
		if f, ok := c.fields[name]; !ok || f.Kind != event.Bool && f.Kind != event.Null {
			c.problems.add(doc.at, "unless names %s, which is not a boolean field of %s", name, c.table.Event)
		}
	}
	col.Description = "token of " + strings.Join(sources, ", else ")
	if len(doc.unless) > 0 {
		col.Description += "; absent when " + strings.Join(doc.unless, " or ") + " is true"
	}
	c.add(col, doc.at)
	if doc.subject {
		c.bridges = append(c.bridges, doc.name)
	}
}

// tokenKind names the kind of field that a token is made from. Tokens of two
// kinds are unrelated, so that an account called like a cookie is not the
// cookie.
func tokenKind(fields []Field) string {
	kinds := make([]string, len(fields))
	for i, f := range fields {
		kinds[i] = f.Identifier
		if kinds[i] == "" {
			kinds[i] = f.Name
		}
	}
	return strings.Join(kinds, "_")
}

// treatments resolves what happens to each field, which must be each field of
// the event, once.
func (c *tableCompiler) treatments() {
	seen := map[string]bool{}
	for _, fd := range c.doc.fields {
		f, ok := c.fields[fd.name]
		if !ok {
			c.problems.add(fd.at, "is not a field of %s", c.table.Event)
			continue
		}
		seen[fd.name] = true
		for _, td := range fd.treatments {
			c.treatment(f, td)
		}
	}
	var missing []string
	for name := range c.fields {
		if !seen[name] {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		c.problems.add(c.doc.at, "does not say what happens to %s: write drop for what is not kept", strings.Join(missing, ", "))
	}
}

func (c *tableCompiler) treatment(f Field, doc treatmentDoc) {
	col := Column{Name: f.Name, Kind: f.Kind, Verb: doc.verb, From: [][]Field{{f}}, To: doc.arg}
	if doc.as != "" {
		col.Name = doc.as
	}
	if doc.verb == TokenOf || doc.verb == Truncate {
		col.Name = doc.arg
	}
	if why := c.forbidden(f, doc); why != "" {
		c.problems.add(doc.at, "%s", why)
		c.unclear[c.table.Name+"."+col.Name] = true
		return
	}
	switch doc.verb {
	case Drop:
		return
	case Keep:
		col.Description = f.Description
		col.LowCardinality = f.Kind == event.String &&
			(len(f.Enum) > 0 || c.bounded(f.Name, shortText) || f.Class == Plain && c.bounded(f.Name, smallText))
	case TokenOf:
		col.Kind, col.To = event.Token, ""
		col.TokenKinds = []string{tokenKind([]Field{f})}
		col.Description = "token of " + f.Name
		if doc.subject {
			c.bridges = append(c.bridges, col.Name)
		}
	case Truncate:
		col.To = "ip"
		col.IPv4Bits, col.IPv6Bits = doc.ipv4, doc.ipv6
		col.Description = fmt.Sprintf("network of %s: its first %d bits, of an IPv6 address %d", f.Name, doc.ipv4, doc.ipv6)
	case Coarsen:
		col.LowCardinality = doc.arg == coarsenFamily
		col.Description = coarsened[doc.arg] + " of " + f.Name
		if step, ok := strings.CutPrefix(doc.arg, coarsenStep); ok {
			col.Description = f.Name + ", in steps of " + step
		}
	case Redact:
		col.Description = f.Name + ", with what may name a person taken out"
	}
	switch col.Kind {
	case event.Int, event.Float, event.Bool, event.Time:
		col.Nullable = !f.Required
	}
	c.add(col, doc.at)
}

// bounded says whether every version holds a field's text to a length.
func (c *tableCompiler) bounded(name string, length int) bool {
	for _, s := range c.policy.schemas {
		if s.Event != c.table.Event {
			continue
		}
		if _, ok := s.index[name]; ok && (s.MaxLength(name) < 0 || s.MaxLength(name) > length) {
			return false
		}
	}
	return true
}

func (c *tableCompiler) add(col Column, at place) {
	before := len(c.problems)
	switch other, twice := c.columns[col.Name]; {
	case !event.CheckSymbol(col.Name):
		c.problems.add(at, "a column's name is lower-case letters, digits and _, at most 48, a letter first")
	case slices.Contains(reservedColumns, col.Name):
		c.problems.add(at, "every row has a column %s already: use another name", col.Name)
	case col.Verb == TokenOf && len(col.Name)+len(bridgeSuffix) > 48:
		c.problems.add(at, "a token's name has at most %d characters", 48-len(bridgeSuffix))
	case strings.HasSuffix(col.Name, bridgeSuffix):
		c.problems.add(at, "names ending in %s are kept for the tokens of the epoch before", bridgeSuffix)
	case twice:
		c.problems.add(at, "line %d fills the column %s too", other.line, col.Name)
	default:
		c.columns[col.Name] = at
		c.table.Columns = append(c.table.Columns, col)
	}
	if c.table.Class.Lasting && col.Verb == TokenOf {
		c.problems.add(at, "a lasting table holds no token")
	}
	if len(c.problems) > before {
		c.unclear[c.table.Name+"."+col.Name] = true
	}
}

// What coarsen aims at.
const (
	coarsenFamily = "user_agent_family"
	coarsenHost   = "host"
	coarsenHour   = "hour"
	coarsenDay    = "day"
	coarsenStep   = "step:"
)

var coarsened = map[string]string{
	coarsenFamily: "browser family",
	coarsenHost:   "host",
	coarsenHour:   "hour",
	coarsenDay:    "day",
}

// step reads the number of step:N.
func step(to string) (int, bool) {
	text, ok := strings.CutPrefix(to, coarsenStep)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil && n > 0
}
