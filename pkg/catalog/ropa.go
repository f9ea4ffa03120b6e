package catalog

import (
	"bytes"
	"embed"
	"slices"
	"strings"
	"text/template"
)

//go:embed templates/ropa.md.tmpl
var templates embed.FS

var ropa = template.Must(template.New("ropa.md.tmpl").Funcs(template.FuncMap{
	"join": func(names []string) string { return strings.Join(names, ", ") },
	"cell": cell,
	"or": func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	},
}).ParseFS(templates, "templates/ropa.md.tmpl"))

// cell keeps a text within one cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}

// notStated stands where a name belongs that no document gives.
const notStated = "(not stated)"

// A Form is one of the two records that GDPR Art. 30 knows.
type Form string

// The forms. Both together are a record without a form.
const (
	Controller Form = "controller" // Art. 30(1)
	Processor  Form = "processor"  // Art. 30(2)
)

// ROPA writes the record of processing activities as Markdown: what GDPR Art.
// 30(1) asks of a controller, and what Art. 30(2) asks of a processor.
func (c Catalog) ROPA() []byte { return c.Markdown("") }

// Markdown writes one form of the record, or both where none is named.
func (c Catalog) Markdown(form Form) []byte {
	var b bytes.Buffer
	err := ropa.Execute(&b, c.record(form))
	if err != nil {
		panic("catalog: the template and the catalog disagree: " + err.Error())
	}
	return b.Bytes()
}

// record is what the template sees.
type record struct {
	Catalog
	Who                   Parties
	Missing               string
	Controller, Processor bool
}

func (c Catalog) record(form Form) record {
	r := record{Catalog: c, Missing: notStated, Controller: form != Processor, Processor: form != Controller}
	if c.Parties != nil {
		r.Who = *c.Parties
	}
	return r
}

// EventsOf returns the events of a pipeline, every version.
func (r record) EventsOf(p Pipeline) []Event {
	return slices.DeleteFunc(slices.Clone(r.Events), func(e Event) bool { return !slices.Contains(p.Events, e.Name) })
}

// TablesOf returns the tables of a pipeline.
func (r record) TablesOf(p Pipeline) []Table {
	return slices.DeleteFunc(slices.Clone(r.Tables), func(t Table) bool { return t.Pipeline != p.Name })
}

// MetricsOf returns the metrics over a pipeline's tables.
func (r record) MetricsOf(p Pipeline) []Metric {
	return slices.DeleteFunc(slices.Clone(r.Metrics), func(m Metric) bool { return !slices.Contains(p.Tables, m.Table) })
}

// Rule writes the deletion rule of a class: a period and its starting point.
func (r record) Rule(name string) string {
	for _, c := range r.Classes {
		if c.Name != name {
			continue
		}
		if c.Period == lasting {
			return "stays; says nothing about a person"
		}
		return c.Period + " from " + StartingPoint(c.Starts)
	}
	return ""
}

// StartingPoint says in words from when a period of a deletion rule runs.
func StartingPoint(starts string) string { return startingPoint[starts] }

var startingPoint = map[string]string{
	"event":         "the event",
	"collection":    "collection",
	"creation":      "creation",
	"last_activity": "last activity",
	"treatment":     "treatment",
}
