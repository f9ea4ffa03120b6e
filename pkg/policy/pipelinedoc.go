package policy

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What a pipeline document says, before it is held against schemas and
// classes. Each part remembers where it stands.
type pipelineDoc struct {
	Pipeline
	at      place
	epochs  *epochsDoc
	events  []eventDoc
	metrics []metricDoc
}

type epochsDoc struct {
	at     place
	length string
	anchor string
}

type eventDoc struct {
	name   string
	at     place
	tables []tableDoc
}

type tableDoc struct {
	name    string
	at      place
	class   string
	classAt place
	time    string
	timeAt  place
	tokens  []tokenDoc
	fields  []fieldDoc
}

type tokenDoc struct {
	name    string
	at      place
	from    [][]string
	unless  []string
	subject bool
}

type fieldDoc struct {
	name       string
	at         place
	treatments []treatmentDoc
}

// A treatmentDoc is one verb with what it aims at and the column it fills.
type treatmentDoc struct {
	at      place
	verb    Verb
	arg     string // of token: the column; of the others: what they aim at
	as      string
	subject bool
	ipv4    int
	ipv6    int
}

type metricDoc struct {
	name       string
	at         place
	title      string
	about      string
	table      string
	value      string
	subject    string
	public     bool
	k          int
	kAt        place
	of         []string
	ofAt       place
	dimensions []string
	buckets    []string
	bucketsAt  place
	zone       string
	zoneAt     place
	noise      string
	noiseAt    place
	dominance  string
	dominateAt place
	where      []conditionDoc
}

type conditionDoc struct {
	column string
	at     place
	in     []string
}

// kDefault and kFloor are how many subjects stand behind a number: unless the
// document says otherwise, and whatever it says.
const (
	kDefault = 11
	kFloor   = 5
)

// pipeline reads a document whose first name is pipeline.
func (r *yamlReader) pipeline(root *yaml.Node) *pipelineDoc {
	at := place{file: r.file, line: root.Line}
	top := r.closed(root, at, "pipeline", "title", "purpose", "legal_basis", "domain", "subjects",
		"recipients", "transfers", "description", "epochs", "events", "metrics")
	p := &pipelineDoc{at: top["pipeline"].at}
	p.Name = r.need(top, "pipeline", at)
	p.Title = r.need(top, "title", at)
	p.Purpose = r.need(top, "purpose", at)
	p.LegalBasis = r.need(top, "legal_basis", at)
	p.Domain = r.need(top, "domain", at)
	p.Description = r.optional(top, "description")
	p.Transfers = r.optional(top, "transfers")
	p.Recipients = r.texts(top, "recipients")
	p.Subjects = r.texts(top, "subjects")
	if len(p.Recipients) == 0 {
		r.problems.add(at, "has no recipients: say who sees the data")
	}
	if len(p.Subjects) == 0 {
		r.problems.add(at, "has no subjects: say whose data it is")
	}
	if e, ok := top["epochs"]; ok {
		m := r.closed(e.val, e.at, "length", "anchor")
		p.epochs = &epochsDoc{at: e.at, length: r.optional(m, "length"), anchor: r.optional(m, "anchor")}
	}
	if e, ok := top["events"]; ok {
		for _, ev := range r.open(e.val, e.at, "events") {
			p.events = append(p.events, r.event(ev))
		}
	}
	if e, ok := top["metrics"]; ok {
		for _, m := range r.open(e.val, e.at, "metrics") {
			p.metrics = append(p.metrics, r.metric(m))
		}
	}
	return p
}

func (r *yamlReader) event(e entry) eventDoc {
	doc := eventDoc{name: e.name, at: e.at}
	m := r.closed(e.val, e.at, "tables")
	tables, ok := m["tables"]
	if !ok {
		r.problems.add(e.at, "has no tables")
		return doc
	}
	for _, t := range r.open(tables.val, tables.at, "tables") {
		doc.tables = append(doc.tables, r.table(t))
	}
	return doc
}

func (r *yamlReader) table(e entry) tableDoc {
	m := r.closed(e.val, e.at, "class", "time", "tokens", "fields")
	doc := tableDoc{name: e.name, at: e.at, class: r.need(m, "class", e.at), classAt: m["class"].at, time: "exact", timeAt: m["time"].at}
	if t, ok := m["time"]; ok {
		doc.time = r.text(t)
		if !slices.Contains([]string{"", "exact", "hour", "day"}, doc.time) {
			r.problems.add(t.at, "must be exact, hour or day")
		}
	}
	if t, ok := m["tokens"]; ok {
		for _, tok := range r.open(t.val, t.at, "tokens") {
			doc.tokens = append(doc.tokens, r.token(tok))
		}
	}
	fields, ok := m["fields"]
	if !ok {
		r.problems.add(e.at, "has no fields")
		return doc
	}
	for _, f := range r.open(fields.val, fields.at, "fields") {
		doc.fields = append(doc.fields, fieldDoc{name: f.name, at: f.at, treatments: r.treatments(f)})
	}
	return doc
}

func (r *yamlReader) token(e entry) tokenDoc {
	m := r.closed(e.val, e.at, "from", "unless", "subject")
	doc := tokenDoc{name: e.name, at: e.at, unless: r.texts(m, "unless"), subject: r.truth(m, "subject")}
	from, ok := m["from"]
	if !ok || from.val.Kind != yaml.SequenceNode || len(from.val.Content) == 0 {
		r.problems.add(e.at, "has no from: list the alternatives, each a list of fields")
		return doc
	}
	for _, n := range from.val.Content {
		alternative := r.list(entry{at: place{file: r.file, line: n.Line, path: from.at.path}, val: n})
		if len(alternative) > 0 {
			doc.from = append(doc.from, alternative)
		}
	}
	return doc
}

// treatments reads what happens to one field: a word, one treatment, or a list
// of them where the field fills several columns.
func (r *yamlReader) treatments(e entry) []treatmentDoc {
	if e.val.Kind != yaml.SequenceNode {
		return r.treatment(e)
	}
	if len(e.val.Content) == 0 {
		r.problems.add(e.at, "has no treatment: write drop where nothing is kept")
	}
	var out []treatmentDoc
	for _, n := range e.val.Content {
		at := e.at
		at.line = n.Line
		out = append(out, r.treatment(entry{name: e.name, at: at, val: n})...)
	}
	if len(out) > 1 {
		for _, t := range out {
			if t.verb == Drop || t.verb == Keep {
				r.problems.add(t.at, "%s stands alone", t.verb)
			}
		}
	}
	return out
}

func (r *yamlReader) treatment(e entry) []treatmentDoc {
	verbs := []string{string(Coarsen), string(Redact), string(TokenOf), string(Truncate)}
	if e.val.Kind == yaml.ScalarNode {
		v := Verb(e.val.Value)
		if v != Keep && v != Drop {
			r.problems.add(e.at, "must be keep, drop, or one of %s with what it aims at", strings.Join(verbs, ", "))
			return nil
		}
		return []treatmentDoc{{at: e.at, verb: v}}
	}
	m := r.closed(e.val, e.at, append(verbs, "as", "subject", "ipv4", "ipv6")...)
	t := treatmentDoc{at: e.at, as: r.optional(m, "as"), subject: r.truth(m, "subject"),
		ipv4: r.whole(m, "ipv4", 24), ipv6: r.whole(m, "ipv6", 48)}
	for _, v := range verbs {
		arg, ok := m[v]
		if !ok {
			continue
		}
		if t.verb != "" {
			r.problems.add(e.at, "says both %s and %s", t.verb, v)
			return nil
		}
		t.verb, t.arg = Verb(v), r.text(arg)
	}
	if t.verb == "" {
		r.problems.add(e.at, "has no treatment: one of %s", strings.Join(verbs, ", "))
		return nil
	}
	for name, verb := range map[string]Verb{"subject": TokenOf, "ipv4": Truncate, "ipv6": Truncate} {
		if at, ok := m[name]; ok && t.verb != verb {
			r.problems.add(at.at, "belongs to %s", verb)
		}
	}
	if at, ok := m["as"]; ok && (t.verb == TokenOf || t.verb == Truncate) {
		r.problems.add(at.at, "is not needed: %s names its column itself", t.verb)
	}
	if t.arg == "" {
		return nil
	}
	return []treatmentDoc{t}
}

func (r *yamlReader) metric(e entry) metricDoc {
	m := r.closed(e.val, e.at, "title", "description", "table", "value", "of", "subject", "public", "k", "dimensions", "buckets", "zone", "noise", "dominance", "where")
	doc := metricDoc{
		name: e.name, at: e.at,
		title: r.need(m, "title", e.at), about: r.need(m, "description", e.at), value: r.need(m, "value", e.at),
		subject: r.optional(m, "subject"), public: r.truth(m, "public"),
		k: r.whole(m, "k", kDefault), kAt: m["k"].at,
		ofAt: m["of"].at, dimensions: r.texts(m, "dimensions"),
		buckets: r.texts(m, "buckets"), bucketsAt: m["buckets"].at,
		zone: r.optional(m, "zone"), zoneAt: m["zone"].at, noise: r.optional(m, "noise"), noiseAt: m["noise"].at,
		dominance: r.optional(m, "dominance"), dominateAt: m["dominance"].at,
	}
	if of, ok := m["of"]; ok && of.val.Kind == yaml.SequenceNode {
		doc.of = r.list(of)
	} else if ok {
		doc.of = []string{r.text(of)}
	}
	if doc.value == string(Ratio) {
		for _, name := range []string{"table", "subject", "public", "k", "dimensions", "buckets", "zone", "noise", "dominance", "where"} {
			if other, ok := m[name]; ok {
				r.problems.add(other.at, "is that of the metrics that a ratio is of")
			}
		}
		return doc
	}
	doc.table = r.need(m, "table", e.at)
	if w, ok := m["where"]; ok {
		for _, c := range r.open(w.val, w.at, "columns") {
			doc.where = append(doc.where, conditionDoc{column: c.name, at: c.at, in: r.list(c)})
		}
	}
	if _, ok := m["k"]; ok && doc.public {
		r.problems.add(doc.kAt, "a public metric has no k")
	}
	return doc
}
