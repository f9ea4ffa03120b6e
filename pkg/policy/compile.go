package policy

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// Compile resolves the documents against each other. When they are at fault
// the error is [Problems], which holds every problem and not only the first.
func Compile(docs Documents) (*Policy, error) {
	c := compiler{
		policy:  &Policy{digest: docs.Digest(), documents: docs},
		classes: map[string]*Class{},
		tables:  map[string]*Table{},
		metrics: map[string]place{},
		domains: map[string]*Domain{},
		unions:  map[string]map[string]Field{},
		formats: map[string]map[string]string{},
		treated: map[string]place{},

		declared: map[string]bool{},
		unclear:  map[string]bool{},
		broken:   map[string]bool{},
	}
	var pipelines []*pipelineDoc
	for _, doc := range docs.all {
		if doc.isSchema() {
			s := readSchema(doc, &c.problems)
			if s != nil {
				c.policy.schemas = append(c.policy.schemas, s)
			}
			if name, _, _ := strings.Cut(path.Base(doc.file), "."); s == nil || s.Event != name {
				c.broken[name] = true
			}
			continue
		}
		if p := c.read(doc); p != nil {
			pipelines = append(pipelines, p)
		}
	}
	c.events()
	for _, p := range pipelines {
		for _, e := range p.events {
			for _, t := range e.tables {
				c.declared[t.name] = true
			}
		}
	}
	for _, p := range pipelines {
		c.pipeline(p)
	}
	// Metrics may stand in another pipeline than their table.
	var ratios []metricDoc
	for _, p := range pipelines {
		for _, m := range p.metrics {
			if c.file == "" {
				c.file = m.at.file
			}
			if m.value == string(Ratio) {
				ratios = append(ratios, m)
			} else {
				c.metric(m)
			}
		}
	}
	for _, m := range ratios {
		c.ratio(m)
	}
	c.cellTable()
	for _, s := range c.policy.schemas {
		if _, ok := c.treated[s.Event]; !ok && !c.unread {
			c.problems.add(s.at, "no pipeline says what is done with the event %s", s.Event)
		}
	}
	if err := c.problems.orNil(); err != nil {
		return nil, err
	}
	return c.finish(), nil
}

// A compiler holds what has been resolved so far.
type compiler struct {
	policy   *Policy
	problems Problems
	classes  map[string]*Class
	tables   map[string]*Table
	metrics  map[string]place
	domains  map[string]*Domain
	// unions and formats join the versions of an event: field name → the
	// field of the newest version that has it, and its format.
	unions  map[string]map[string]Field
	formats map[string]map[string]string
	treated map[string]place // event → the pipeline's entry for it

	// One mistake is one problem. These are the names that a document means
	// to declare and could not be resolved: whoever uses one is not at fault.
	declared map[string]bool // tables
	unclear  map[string]bool // tables that two events claim, and table.column
	broken   map[string]bool // events
	unread   bool            // a pipeline document could not be read at all
	file     string          // that declares the first metric
}

// read reads a YAML document and says what it is by the name it begins with.
func (c *compiler) read(doc document) *pipelineDoc {
	r := yamlReader{problems: &c.problems, file: doc.file}
	root := r.root(doc.text)
	if root == nil {
		c.unread = true
		return nil
	}
	has := func(name string) bool {
		for i := 0; i+1 < len(root.Content); i += 2 {
			if root.Content[i].Kind == yaml.ScalarNode && root.Content[i].Value == name {
				return true
			}
		}
		return false
	}
	switch {
	case has("classes"):
		for _, class := range r.classes(root) {
			if _, twice := c.classes[class.Name]; twice {
				c.problems.add(class.at, "the deletion class %s is declared twice", class.Name)
				continue
			}
			c.classes[class.Name] = &class.Class
		}
	case has("pipeline"):
		return r.pipeline(root)
	default:
		c.problems.add(place{file: doc.file, line: root.Line}, "a document begins with pipeline or with classes")
	}
	return nil
}

// events joins the versions of each event.
func (c *compiler) events() {
	slices.SortStableFunc(c.policy.schemas, func(a, b *Schema) int {
		return cmp.Or(cmp.Compare(a.Event, b.Event), cmp.Compare(a.Version, b.Version))
	})
	for i, s := range c.policy.schemas {
		if i > 0 {
			if before := c.policy.schemas[i-1]; before.Event == s.Event && before.Version == s.Version {
				c.problems.add(s.at, "%s declares version %d of %s too", before.File, s.Version, s.Event)
			}
		}
		union, formats := c.unions[s.Event], c.formats[s.Event]
		if union == nil {
			union, formats = map[string]Field{}, map[string]string{}
			c.unions[s.Event], c.formats[s.Event] = union, formats
		}
		for j, f := range s.Fields {
			if older, ok := union[f.Name]; ok {
				c.sameField(older, f, s.checks[j].at)
			}
			union[f.Name] = f
			formats[f.Name] = s.checks[j].format
		}
	}
}

// sameField refuses a field that means different things in two versions: both
// fill the same column and the same token.
func (c *compiler) sameField(older, newer Field, at place) {
	for _, d := range []struct{ what, old, now string }{
		{"type", older.Kind.String(), newer.Kind.String()},
		{"class", string(older.Class), string(newer.Class)},
		{"identifier", older.Identifier, newer.Identifier},
	} {
		if d.old != d.now {
			c.problems.add(at, "has another %s than in the version before: give the field another name", d.what)
		}
	}
}

func (c *compiler) pipeline(doc *pipelineDoc) {
	p := &doc.Pipeline
	for _, name := range []struct{ what, text string }{{"pipeline", p.Name}, {"domain", p.Domain}} {
		if name.text != "" && !event.CheckSymbol(name.text) {
			c.problems.add(place{file: doc.at.file, line: doc.at.line, path: name.what},
				"must be lower-case letters, digits and _, at most 48, a letter first")
		}
	}
	for _, other := range c.policy.pipelines {
		if other.Name == p.Name && p.Name != "" {
			c.problems.add(doc.at, "another document is called %s too", p.Name)
		}
	}
	c.policy.pipelines = append(c.policy.pipelines, p)
	for _, e := range doc.events {
		if _, ok := c.unions[e.name]; !ok {
			if c.broken[e.name] {
				continue
			}
			c.problems.add(e.at, "no schema declares the event %s", e.name)
			continue
		}
		if other, twice := c.treated[e.name]; twice {
			c.problems.add(e.at, "%s:%d treats the event %s too", other.file, other.line, e.name)
			continue
		}
		c.treated[e.name] = e.at
		c.event(doc, e)
	}
}

func (c *compiler) event(doc *pipelineDoc, e eventDoc) {
	var tables []*Table
	ruled := false
	for _, td := range e.tables {
		t := c.table(doc, e, td)
		if t == nil {
			continue
		}
		tables = append(tables, t)
		ruled = ruled || !t.Class.Lasting
	}
	// Without a rule nothing says when the event is over.
	if len(tables) == len(e.tables) && !ruled {
		c.problems.add(e.at, "has no table with a deletion rule: a lasting table stands beside one that expires")
	}
	// P5: a token is gone when the shortest rule that it falls under is.
	for _, a := range tables {
		for _, b := range tables {
			if a.Class.Lasting || b.Class.Lasting || a.Class.Period.Longest() <= b.Class.Period.Longest() {
				continue
			}
			for _, col := range a.Columns {
				if other, ok := b.Column(col.Name); ok && col.Verb == TokenOf && other.Verb == TokenOf && col.Bridges == "" {
					at := e.tables[slices.IndexFunc(e.tables, func(t tableDoc) bool { return t.name == a.Name })].at
					c.problems.add(at, "keeps the token %s for %s, longer than table %s, which lets go of it after %s",
						col.Name, a.Class.Period, b.Name, b.Class.Period)
				}
			}
		}
	}
}

// finish sorts what names are looked up in, and adds what follows.
func (c *compiler) finish() *Policy {
	p := c.policy
	p.classes = slices.SortedFunc(maps.Values(c.classes), func(a, b *Class) int { return cmp.Compare(a.Name, b.Name) })
	p.tables = slices.SortedFunc(maps.Values(c.tables), func(a, b *Table) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.pipelines, func(a, b *Pipeline) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.metrics, func(a, b *Metric) int { return cmp.Compare(a.Name, b.Name) })
	for _, m := range p.metrics {
		if m.Subject != "" { // no ratio has one
			m.Table.bridge(m.Subject)
		}
	}
	return p
}

// bridge puts a column that holds the token of the epoch before right behind a
// token column.
func (t *Table) bridge(name string) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	if i < 0 || slices.ContainsFunc(t.Columns, func(c Column) bool { return c.Bridges == name }) {
		return
	}
	col := t.Columns[i]
	col.Name = name + bridgeSuffix
	col.Bridges = name
	col.Description = "the " + name + " of the key epoch before, while that may be needed"
	t.Columns = slices.Insert(t.Columns, i+1, col)
}

const bridgeSuffix = "_prev"
