package catalog

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"strings"
)

// CSV writes one form of the record as a table (RFC 4180), the controller's
// where none is named. Its first row names the columns, with the letters of the
// article. The controller's has a row for each field in each table, the
// processor's one for each activity. A cell that a spreadsheet would take for a
// formula begins with an apostrophe.
func (c Catalog) CSV(form Form) []byte {
	r := c.record(form)
	rows := r.controllerRows
	if form == Processor {
		rows = r.processorRows
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	for _, row := range rows() {
		for i := range row {
			row[i] = inert(row[i])
		}
		_ = w.Write(row) // a buffer takes everything
	}
	w.Flush()
	return b.Bytes()
}

// inert keeps a spreadsheet from computing a cell.
func inert(cell string) string {
	if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r") {
		return "'" + cell
	}
	return cell
}

func (r record) controllerRows() [][]string {
	out := [][]string{{
		"controller (a)", "representative (a)", "data protection officer (a)", "activity", "purpose (b)", "legal basis",
		"data subjects (c)", "recipients (d)", "transfers to third countries (e)", "event", "field", "category of data (c)", "class",
		"table", "what is kept of it (g)", "deletion class", "erased after (f)",
	}}
	for _, p := range r.Pipelines {
		for _, e := range r.EventsOf(p) {
			for _, f := range e.Fields {
				for _, t := range f.Treatments {
					out = append(out, []string{
						cmp.Or(r.Who.Controller, r.Missing), cmp.Or(r.Who.Representative, r.Missing), cmp.Or(r.Who.Officer, r.Missing),
						p.Title, p.Purpose, p.LegalBasis, strings.Join(p.Subjects, "; "), strings.Join(p.Recipients, "; "), cmp.Or(p.Transfers, "none"),
						e.Name, f.Name, f.Category, f.Class, t.Table, t.Treatment, r.classOf(t.Table), r.Rule(r.classOf(t.Table)),
					})
				}
			}
		}
	}
	return out
}

func (r record) processorRows() [][]string {
	out := [][]string{{
		"processor (a)", "controllers (a)", "data protection officer (a)", "category of processing (b)", "purpose", "data subjects",
		"transfers to third countries (c)", "security measures (d)",
	}}
	for _, p := range r.Pipelines {
		out = append(out, []string{
			cmp.Or(r.Who.Processor, r.Missing), cmp.Or(strings.Join(r.Who.Controllers, "; "), "each tenant"), cmp.Or(r.Who.Officer, r.Missing),
			p.Title, p.Purpose, strings.Join(p.Subjects, "; "), cmp.Or(p.Transfers, "none"),
			"pseudonymized in the domain " + p.Domain + "; sealed on disk; keys destroyed at the end of the rule; numbers about groups alone",
		})
	}
	return out
}

// classOf is the deletion class of a table.
func (r record) classOf(table string) string {
	for _, t := range r.Tables {
		if t.Name == table {
			return t.Class
		}
	}
	return ""
}
