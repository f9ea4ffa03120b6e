package treatment

import (
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// TokenKey names the key that a token is made with. Tokens of two keys are
// unrelated (P2).
type TokenKey struct {
	Domain  string // pseudonymization domain
	Epoch   int64  // key epoch of the domain
	Tenant  string
	Service string
	Kind    string // policy.Column.TokenKinds, or [LastingID]
}

// Tokens makes pseudonyms. The caller implements it over the keyring.
//
// An error of kind fault.NotFound says that the key was destroyed and that no
// token of it can be made any more. Any other error ends the call of Apply
// and is handed through.
type Tokens interface {
	Token(key TokenKey, parts []string) ([event.TokenSize]byte, error)
}

// Rejected is an event that cannot be treated, and why.
type Rejected struct {
	// Index is the event's place in the argument of Apply.
	Index int
	// Code is short and fixed for a reason, such as "ip.client_ip": letters,
	// digits, dots and _.
	Code string
	// Reason is a sentence that names the field and never its value.
	Reason string
}

// Treatment is a policy made ready to be applied.
type Treatment struct {
	events map[string]*plan
	known  map[version]bool
}

type version struct {
	event   string
	version int
}

// plan is what is done with one event.
type plan struct {
	fields  []string // every field that some column reads
	tables  []*tablePlan
	columns int // of all tables together
}

type tablePlan struct {
	*policy.Table
	grain   time.Duration // what occurred_at and the ID are truncated to
	columns []columnPlan
	// lastingID names the domain whose keys make the IDs of lasting rows:
	// that of the identified row, so that the link dies with it. Nil where
	// there is no identified row.
	lastingID *policy.Domain
}

type columnPlan struct {
	policy.Column
	field  int // into plan.fields; of every verb but token
	single func(event.Value) (event.Value, flaw)
	token  *tokenPlan
}

// tokenPlan is a token column. A bridging column has the plan of the column it
// bridges.
type tokenPlan struct {
	from     []alternative
	unless   []int
	bridging bool
}

type alternative struct {
	kind   string // as it stands in the TokenKey
	fields []int
	canon  []string // identifier kind of each field
}

// New prepares a policy. The policy was checked when it was compiled.
func New(pol *policy.Policy) *Treatment {
	t := forTables(pol.Tables())
	for _, s := range pol.Schemas() {
		t.known[version{s.Event, s.Version}] = true
	}
	return t
}

func forTables(tables []*policy.Table) *Treatment {
	t := &Treatment{events: map[string]*plan{}, known: map[version]bool{}}
	for _, table := range tables {
		if table.Name == policy.CellTable {
			continue // nothing that comes in goes there
		}
		p := t.events[table.Event]
		if p == nil {
			p = &plan{}
			t.events[table.Event] = p
		}
		p.add(table)
	}
	for _, p := range t.events {
		for _, lasting := range p.tables {
			if !lasting.Class.Lasting {
				continue
			}
			for _, identified := range p.tables {
				if !identified.Class.Lasting && identified.Domain != nil {
					lasting.lastingID = identified.Domain
					break
				}
			}
		}
	}
	return t
}

func (p *plan) add(table *policy.Table) {
	tp := &tablePlan{Table: table, grain: table.TimeTo}
	if table.Class.Lasting && tp.grain < time.Hour {
		tp.grain = time.Hour // P7: the exact time is gone with the identified row
	}
	for _, c := range table.Columns {
		tp.columns = append(tp.columns, p.column(table, c))
	}
	p.tables = append(p.tables, tp)
	p.columns += len(tp.columns)
}

func (p *plan) column(table *policy.Table, c policy.Column) columnPlan {
	cp := columnPlan{Column: c, field: -1}
	if c.Verb == policy.TokenOf || c.Bridges != "" {
		cp.token = p.tokenPlan(table, c)
		return cp
	}
	if len(c.From) > 0 && len(c.From[0]) > 0 {
		cp.field = p.field(c.From[0][0].Name)
	}
	switch c.Verb {
	case policy.Keep:
		cp.single = keep(c.Kind)
	case policy.Truncate:
		cp.single = truncate(c.IPv4Bits, c.IPv6Bits)
	case policy.Coarsen:
		cp.single = coarsen(c.To, c.Kind)
	case policy.Redact:
		cp.single = redact(c.To)
	default:
		cp.single = drop
	}
	return cp
}

func (p *plan) tokenPlan(table *policy.Table, c policy.Column) *tokenPlan {
	tp := &tokenPlan{bridging: c.Bridges != ""}
	if tp.bridging {
		base, ok := table.Column(c.Bridges)
		if !ok {
			return tp
		}
		c = base
	}
	if table.Class.Lasting || table.Domain == nil {
		return tp // P7: a lasting row has no token, whatever a table says
	}
	for i, fields := range c.From {
		a := alternative{}
		kind := ""
		for _, f := range fields {
			a.fields = append(a.fields, p.field(f.Name))
			a.canon = append(a.canon, f.Identifier)
			kind = f.Identifier
		}
		if i < len(c.TokenKinds) {
			kind = c.TokenKinds[i]
		}
		a.kind = kind
		tp.from = append(tp.from, a)
	}
	for _, name := range c.Unless {
		tp.unless = append(tp.unless, p.field(name))
	}
	return tp
}

// field returns the place of a name in p.fields.
func (p *plan) field(name string) int {
	for i, f := range p.fields {
		if f == name {
			return i
		}
	}
	p.fields = append(p.fields, name)
	return len(p.fields) - 1
}

// A flaw is why a value cannot be treated.
type flaw uint8

const (
	sound flaw = iota
	wrongType
	notAddress
	notMail
	notPrintable
	keyDestroyed
	unknownVersion
)

func (f flaw) rejected(index int, field string) Rejected {
	r := Rejected{Index: index}
	switch f {
	case wrongType:
		r.Code, r.Reason = "type."+field, "field "+field+" is not of the type that the policy says"
	case notAddress:
		r.Code, r.Reason = "ip."+field, "field "+field+" is not an IP address"
	case notMail:
		r.Code, r.Reason = "email."+field, "field "+field+" is not an e-mail address"
	case notPrintable:
		r.Code, r.Reason = "control."+field, "field "+field+" holds control or format characters"
	case keyDestroyed:
		r.Code, r.Reason = "epoch", "its key epoch is destroyed"
	case unknownVersion:
		r.Code, r.Reason = "version", "the policy does not know this event and schema version"
	}
	return r
}

// LastingID is the kind of key that makes the IDs of lasting rows.
const LastingID = "lasting_id"

// Parts is what a token of the given fields is made from: the version of the
// canonical forms and then each value in its own. It is what Apply hands to
// [Tokens], for those who look a person up later. It is nil when a value is
// absent: then there is no such token. The error is of kind fault.Invalid and
// names the field.
func Parts(fields []policy.Field, values []event.Value) ([]string, error) {
	if len(fields) != len(values) || len(fields) == 0 {
		return nil, fault.Invalid.Errorf("a token of %d fields is made from as many values", len(fields))
	}
	a := alternative{}
	for i, f := range fields {
		a.fields = append(a.fields, i)
		a.canon = append(a.canon, f.Identifier)
	}
	parts, failed, fl := a.parts(nil, func(i int) event.Value { return values[i] })
	if fl != sound {
		return nil, fault.Invalid.Errorf("%s", fl.rejected(0, fields[failed].Name).Reason)
	}
	return parts, nil
}

// parts turns the fields of an alternative into what is hashed. It is empty
// when one of them is absent. The version stands in front, so that a token
// made under other forms is never taken for one made under these.
func (a *alternative) parts(into []string, value func(int) event.Value) (_ []string, failed int, _ flaw) {
	into = append(into[:0], Version)
	for i, f := range a.fields {
		text, fl := canonicalValue(a.canon[i], value(f))
		if fl != sound {
			return nil, f, fl
		}
		if text == "" {
			return nil, -1, sound
		}
		into = append(into, text)
	}
	return into, -1, sound
}

// canonicalValue is the canonical text of a value of any kind. Absent is empty.
func canonicalValue(kind string, v event.Value) (string, flaw) {
	switch v.Kind() {
	case event.String:
		if v.Str() == "" {
			return "", sound
		}
		return canonical(kind, v.Str())
	case event.Int:
		return strconv.FormatInt(v.Int(), 10), sound
	case event.Float:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), sound
	case event.Bool:
		return strconv.FormatBool(v.Bool()), sound
	case event.Time:
		return v.Time().Format("2006-01-02T15:04:05.000Z"), sound
	}
	return "", sound
}
