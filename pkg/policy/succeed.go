package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Weight says who needs to know of a change.
type Weight string

const (
	// Note is a change that asks nothing of anyone.
	Note Weight = "note"
	// Tell is a change that people must be told of before it acts: data is
	// kept longer, for something else, or in a form that says more.
	Tell Weight = "tell"
	// Break is a change that publishers, analysts or data on the logs do not
	// survive as they are.
	Break Weight = "break"
)

// Change is one difference between a policy and the one it would replace.
type Change struct {
	Weight   Weight
	Where    string // "class access", "table login", "event login v1", …
	Sentence string
}

func (c Change) String() string { return c.Where + " " + c.Sentence }

// Succeeds compares a policy with the one it would replace, and returns what
// is different in the eyes of the people in the data, of analysts and of
// publishers. Equal policies give nothing. Titles and descriptions are not
// compared.
//
// A shorter period acts at once; a longer one is always worth telling, because
// the shorter one was a promise. In tables it applies to later events only.
func Succeeds(old, new *Policy) []Change {
	var d changes
	d.pipelines(old, new)
	d.classes(old, new)
	d.tables(old, new)
	d.metrics(old, new)
	d.schemas(old, new)
	slices.SortStableFunc(d, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Sentence, b.Sentence))
	})
	return d
}

type changes []Change

func (d *changes) add(w Weight, where, format string, args ...any) {
	*d = append(*d, Change{Weight: w, Where: where, Sentence: fmt.Sprintf(format, args...)})
}

// pair calls both with what has the same name in two lists, and with nil where
// one of them has none.
func pair[T any](old, new []*T, name func(*T) string, both func(a, b *T)) {
	index := map[string]*T{}
	for _, b := range new {
		index[name(b)] = b
	}
	for _, a := range old {
		both(a, index[name(a)])
		delete(index, name(a))
	}
	for _, b := range new {
		if _, left := index[name(b)]; left {
			both(nil, b)
		}
	}
}

func (d *changes) pipelines(old, new *Policy) {
	pair(old.pipelines, new.pipelines, func(p *Pipeline) string { return p.Name }, func(a, b *Pipeline) {
		switch {
		case b == nil:
			d.add(Note, "pipeline "+a.Name, "is gone")
			return
		case a == nil:
			d.add(Tell, "pipeline "+b.Name, "is added: a purpose that data was not used for before")
			return
		}
		where := "pipeline " + a.Name
		if a.Purpose != b.Purpose {
			d.add(Tell, where, "has another purpose")
		}
		if a.LegalBasis != b.LegalBasis {
			d.add(Tell, where, "has another legal basis")
		}
		if a.Transfers != b.Transfers {
			d.add(Tell, where, "says something else about transfers to third countries")
		}
		if a.Domain != b.Domain {
			d.add(Break, where, "has another pseudonymization domain: tokens before and after are unrelated")
		}
		for _, r := range missing(b.Recipients, a.Recipients) {
			d.add(Tell, where, "has another recipient: %s", r)
		}
		for _, s := range missing(b.Subjects, a.Subjects) {
			d.add(Tell, where, "is about other people: %s", s)
		}
	})
}

// missing returns what is in a and not in b.
func missing(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

func (d *changes) classes(old, new *Policy) {
	pair(old.classes, new.classes, func(c *Class) string { return c.Name }, func(a, b *Class) {
		switch {
		case a == nil:
			d.add(Note, "class "+b.Name, "is added")
			return
		case b == nil:
			d.add(Break, "class "+a.Name, "is gone: nothing would delete what is kept under it")
			return
		}
		where := "class " + a.Name
		if a.Governs != b.Governs {
			d.add(Break, where, "governs %s, not %s", b.Governs, a.Governs)
		}
		if a.Starts != b.Starts {
			d.add(Tell, where, "counts from %s, not from %s", orNone(b.Starts), orNone(a.Starts))
		}
		d.kept(where, a, b)
		for _, p := range missing(a.Promises, b.Promises) {
			d.add(Tell, where, "lets go of promise %s", p)
		}
	})
}

// kept compares two rules by how long they keep a row.
func (d *changes) kept(where string, a, b *Class) {
	switch {
	case b.Outlasts(a) && b.Governs == "events":
		d.add(Tell, where, "keeps data longer: %s, not %s; this applies to later events only", b.kept(), a.kept())
	case b.Outlasts(a):
		d.add(Tell, where, "keeps data longer: %s, not %s; this applies to what is there too", b.kept(), a.kept())
	case a.Outlasts(b):
		d.add(Note, where, "keeps data shorter: %s, not %s; this acts at once", b.kept(), a.kept())
	}
}

// Outlasts says whether there is anything that a class keeps longer than
// another does.
func (c *Class) Outlasts(other *Class) bool {
	if c.Lasting || other.Lasting {
		return !other.Lasting
	}
	return c.Period.outlasts(other.Period)
}

// outlasts compares days with months by the longest and the shortest that
// months can be, so that what is longer at some time of the year is longer.
func (p Period) outlasts(q Period) bool {
	switch {
	case p.Months > 0 && q.Months > 0:
		return p.Months > q.Months
	case p.Months > 0:
		return p.Months/12*366+p.Months%12*31 > q.Days
	case q.Months > 0:
		return p.Days > q.Months/12*365+q.Months%12*28
	}
	return p.Days > q.Days
}

func (c *Class) kept() string {
	if c.Lasting {
		return "for good"
	}
	return c.Period.String()
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

func (d *changes) tables(old, new *Policy) {
	pair(old.tables, new.tables, func(t *Table) string { return t.Name }, func(a, b *Table) {
		switch {
		case a == nil:
			d.add(Tell, "table "+b.Name, "is added: it keeps data about %s for %s", b.Event, b.Class.kept())
			return
		case b == nil:
			d.add(Break, "table "+a.Name, "is gone")
			return
		}
		where := "table " + a.Name
		if a.Event != b.Event {
			d.add(Break, where, "holds %s, not %s", b.Event, a.Event)
		}
		if a.Class.Name != b.Class.Name {
			d.add(Note, where, "has the deletion class %s, not %s", b.Class.Name, a.Class.Name)
			d.kept(where, a.Class, b.Class)
		}
		if b.TimeTo < a.TimeTo {
			d.add(Tell, where, "keeps a more exact time")
		} else if b.TimeTo > a.TimeTo {
			d.add(Note, where, "keeps a less exact time")
		}
		d.epochs(where, a.Domain, b.Domain)
		d.columns(where, a, b)
	})
}

// epochs says what becomes of tokens. Rows carry which epoch of which domain
// they are of, so nobody is shown behind too few people (P19).
func (d *changes) epochs(where string, a, b *Domain) {
	of := func(d *Domain) string { name, _, _ := strings.Cut(d.Name, "/"); return name }
	switch {
	case of(a) != of(b):
		d.add(Break, where, "has other key epochs: tokens before and after are unrelated")
	case a.Name != b.Name || !a.Anchor.Equal(b.Anchor):
		d.add(Note, where, "has other key epochs: a subject seen before and after counts twice until what came before has expired")
	}
}

func (d *changes) columns(where string, a, b *Table) {
	for _, col := range a.Columns {
		if _, ok := b.Column(col.Name); !ok && col.Bridges == "" {
			d.add(Break, where, "lacks the column %s", col.Name)
		}
	}
	for _, now := range b.Columns {
		if now.Bridges != "" {
			continue
		}
		before, ok := a.Column(now.Name)
		if !ok {
			w := Note
			if slices.ContainsFunc(now.sources(), func(f Field) bool { return f.Class != Plain }) {
				w = Tell
			}
			d.add(w, where, "has a column %s: %s of %s", now.Name, now.Verb, strings.Join(now.fieldNames(), ", "))
			continue
		}
		d.treatment(where, before, now)
	}
}

// strength orders treatments by how little they leave.
var strength = map[Verb]int{Keep: 0, Redact: 1, Coarsen: 1, Truncate: 2, TokenOf: 3, Drop: 4}

func (d *changes) treatment(where string, a, b Column) {
	where += ", column " + a.Name
	if a.Kind != b.Kind {
		d.add(Break, where, "holds a %s, not a %s", b.Kind, a.Kind)
	}
	switch {
	case strength[b.Verb] < strength[a.Verb]:
		d.add(Tell, where, "is treated more weakly: %s, not %s", b.Verb, a.Verb)
		return
	case strength[b.Verb] > strength[a.Verb]:
		d.add(Note, where, "is treated more strongly: %s, not %s", b.Verb, a.Verb)
		return
	case a.Verb != b.Verb || a.To != b.To:
		d.add(Tell, where, "is treated in another way: %s %s, not %s %s", b.Verb, b.To, a.Verb, a.To)
	}
	if b.IPv4Bits > a.IPv4Bits || b.IPv6Bits > a.IPv6Bits {
		d.add(Tell, where, "keeps more of an address: /%d and /%d, not /%d and /%d", b.IPv4Bits, b.IPv6Bits, a.IPv4Bits, a.IPv6Bits)
	} else if b.IPv4Bits < a.IPv4Bits || b.IPv6Bits < a.IPv6Bits {
		d.add(Note, where, "keeps less of an address: /%d and /%d, not /%d and /%d", b.IPv4Bits, b.IPv6Bits, a.IPv4Bits, a.IPv6Bits)
	}
	if x, y := alternatives(a), alternatives(b); x != y {
		d.add(Tell, where, "is made from %s, not from %s", y, x)
	}
	for _, u := range missing(a.Unless, b.Unless) {
		d.add(Tell, where, "is filled although %s is true", u)
	}
}

// sources returns every field that a column is made from.
func (c Column) sources() []Field { return slices.Concat(c.From...) }

func (c Column) fieldNames() []string {
	var names []string
	for _, f := range c.sources() {
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

func alternatives(c Column) string {
	var out []string
	for _, a := range c.From {
		var names []string
		for _, f := range a {
			names = append(names, f.Name)
		}
		out = append(out, strings.Join(names, " with "))
	}
	return strings.Join(out, ", else ")
}

func (d *changes) metrics(old, new *Policy) {
	pair(old.metrics, new.metrics, func(m *Metric) string { return m.Name }, func(a, b *Metric) {
		switch {
		case a == nil:
			d.add(Note, "metric "+b.Name, "is added")
			return
		case b == nil:
			d.add(Break, "metric "+a.Name, "is gone")
			return
		}
		where := "metric " + a.Name
		if b.Public && !a.Public {
			d.add(Tell, where, "is public: nobody is counted behind its numbers")
		} else if b.K < a.K && !b.Public {
			d.add(Tell, where, "shows numbers about %d subjects, not %d", b.K, a.K)
		} else if b.K > a.K && !a.Public {
			d.add(Note, where, "shows numbers about %d subjects, not %d", b.K, a.K)
		}
		if measures(a) != measures(b) {
			d.add(Break, where, "measures something else")
		}
		if b.Noise != a.Noise {
			d.add(Note, where, "has other noise in the cells to come")
		}
		if a.Dominance > 0 && b.Dominance > a.Dominance {
			d.add(Tell, where, "shows sums of which one subject has up to %d%%, not %d%%", b.Dominance, a.Dominance)
		}
		if a.Value.Additive() && a.Cube() != b.Cube() {
			d.add(Note, where, "is cut otherwise from here on: by %s, not %s", cutBy(b), cutBy(a))
		}
		for _, dim := range b.Dimensions {
			if _, ok := a.Dimension(dim.Name); !ok {
				d.add(Note, where, "has the dimension %s", dim.Name)
			}
		}
		for _, dim := range a.Dimensions {
			if _, ok := b.Dimension(dim.Name); !ok {
				d.add(Break, where, "lacks the dimension %s", dim.Name)
			}
		}
	})
}

// measures writes what a metric measures, so that equal metrics are equal.
func measures(m *Metric) string {
	if m.Value == Ratio {
		return m.Parts[0].Name + " / " + m.Parts[1].Name
	}
	return fmt.Sprintf("%s %s of %s by %s in %s where %s", m.Value, m.Of, m.Table.Name, m.Subject, m.Zone, conditions(m))
}

func cutBy(m *Metric) string {
	if len(m.Dimensions) == 0 {
		return "service and day alone"
	}
	return strings.ReplaceAll(m.Cube(), ",", ", ")
}

// conditions writes what a metric keeps, so that equal conditions are equal.
func conditions(m *Metric) string {
	var out []string
	for _, c := range m.Where {
		in := slices.Clone(c.In)
		slices.Sort(in)
		out = append(out, fmt.Sprintf("%s in %q", c.Column, in))
	}
	slices.Sort(out)
	return strings.Join(out, " and ")
}

func (d *changes) schemas(old, new *Policy) {
	name := func(s *Schema) string { return fmt.Sprintf("event %s v%d", s.Event, s.Version) }
	pair(old.schemas, new.schemas, name, func(a, b *Schema) {
		switch {
		case a == nil:
			d.add(Note, name(b), "is added")
			return
		case b == nil:
			d.add(Break, name(a), "is gone: publishers that send it are refused, and frames that hold it cannot be treated")
			return
		}
		for _, f := range a.Fields {
			now, ok := b.Field(f.Name)
			switch {
			case !ok:
				d.add(Break, name(a), "lacks the field %s: make another version", f.Name)
			case now.Kind != f.Kind:
				d.add(Break, name(a), "field %s holds a %s, not a %s: make another version", f.Name, now.Kind, f.Kind)
			case now.Required && !f.Required:
				d.add(Break, name(a), "field %s is required: make another version", f.Name)
			}
			if ok && (now.Class != f.Class || now.Identifier != f.Identifier) {
				d.add(Tell, name(a), "field %s is classed %s, not %s", f.Name, now.Class, f.Class)
			}
			if ok && len(missing(f.Enum, now.Enum)) > 0 && len(now.Enum) > 0 {
				d.add(Break, name(a), "field %s takes fewer values: make another version", f.Name)
			}
		}
		for _, f := range b.Fields {
			if _, ok := a.Field(f.Name); ok {
				continue
			}
			if f.Required {
				d.add(Break, name(b), "requires the field %s: make another version", f.Name)
			} else if f.Class == Plain {
				d.add(Note, name(b), "may say %s", f.Name)
			} else {
				d.add(Tell, name(b), "may say %s, which is %s", f.Name, f.Class)
			}
		}
	})
}
