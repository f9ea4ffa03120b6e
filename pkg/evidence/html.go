package evidence

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/verify"
)

//go:embed report.html.tmpl
var reportText string

var reportTemplate = template.Must(template.New("report").Funcs(template.FuncMap{
	"day":    dayOf,
	"minute": minute,
	"time":   instant,
	"number": numberOf,
	"join":   func(all []string) string { return strings.Join(all, ", ") },
	"words":  func(name string) string { return strings.ReplaceAll(name, "_", " ") },
	"short":  short,
	// promised names the promises of a rule, and says of which nothing keeps
	// them.
	"promised": func(ids []string, r verify.Report) string {
		out := make([]string, len(ids))
		for i, id := range ids {
			out[i] = id
			if slices.ContainsFunc(r.Promises, func(p verify.Promise) bool { return p.ID == id && !p.Enforced }) {
				out[i] += " (not enforced)"
			}
		}
		return strings.Join(out, ", ")
	},
}).Parse(reportText))

// page is what the template sees.
type page struct {
	Result  Result
	Verdict string
	Mark    string // of the verdict: good, open, bad
	Root    string // of the newest tree
	Policy  Policy
	Report  verify.Report
	Facts   facts
	Grids   []grid
	Wrong   []Wrong
}

// grid is a table of months and classes.
type grid struct {
	Title   string
	Text    string
	Columns []string
	Rows    []gridRow
}

type gridRow struct {
	Name  string
	Cells []string
}

// maxWrong is how many lines that do not add up a page shows. The bundle has
// them all.
const maxWrong = 500

// HTML renders a bundle, checked with the options, as a page for people. It
// needs nothing from anywhere else, and prints. What it can return is what
// [Check] can.
func HTML(bundle []byte, o Options) ([]byte, error) {
	c, err := check(bundle, o)
	if err != nil {
		return nil, err
	}
	p := page{
		Result: c.r, Verdict: c.r.Verdict(), Policy: c.s.Policy, Report: c.s.Report, Facts: c.facts,
		Wrong: c.facts.Wrong[:min(len(c.facts.Wrong), maxWrong)],
	}
	switch {
	case !c.r.OK:
		p.Mark = "bad"
	case c.r.Due == Due{}:
		p.Mark = "open"
	default:
		p.Mark = "good"
	}
	if n := len(c.heads); n > 0 {
		p.Root = c.heads[n-1].root.String()
	}
	for _, g := range []struct {
		title, text string
		counts      []Monthly
		cell        func(Monthly) string
	}{
		{"Rows removed", "Rows of expired partitions that were looked for and confirmed gone, and in how many partitions, by deletion class and by the month of Lethe's clock.", c.facts.Removals,
			func(m Monthly) string { return fmt.Sprintf("%s in %s", number(m.Rows), number(m.Count)) }},
		{"Files removed", "Entries of folders that were removed, by the month of Lethe's clock.", c.facts.Files,
			func(m Monthly) string { return number(m.Rows) }},
		{"Keys destroyed", "Keys whose destruction is on record, by what they were for and by the month of Lethe's clock.", c.facts.Keys,
			func(m Monthly) string { return number(m.Count) }},
	} {
		if len(g.counts) > 0 {
			columns, rows := lay(g.counts, g.cell)
			p.Grids = append(p.Grids, grid{g.title, g.text, columns, rows})
		}
	}
	var out bytes.Buffer
	if err := reportTemplate.Execute(&out, p); err != nil {
		return nil, fmt.Errorf("writing the report: %w", err)
	}
	return out.Bytes(), nil
}

// Verdict is the result in one sentence.
func (r Result) Verdict() string {
	switch {
	case r.OK && r.Due == Due{}:
		return fmt.Sprintf("This evidence is intact and shows no problem. It cannot show yet that the deletion rules are kept: it begins on %s, and nothing had to be gone by its end.", minute(r.From))
	case r.OK:
		return fmt.Sprintf("This evidence is intact, and it shows that the deletion rules were kept: %s of rows and %s had to be gone since %s, and all are on record as gone in time.",
			count(r.Due.Partitions, "partition", "partitions"), count(r.Due.Keys, "key", "keys"), minute(r.From))
	case r.Intact && len(r.Problems) == 1:
		return "This evidence is intact, and it shows a problem."
	case r.Intact:
		return fmt.Sprintf("This evidence is intact, and it shows %d problems.", len(r.Problems))
	}
	return "This file is not what its checkpoint stands for. Nothing that it says can be relied on."
}

// lay sets counts out by month and by what.
func lay(counts []Monthly, text func(Monthly) string) (columns []string, rows []gridRow) {
	for _, m := range counts {
		if !slices.Contains(columns, m.What) {
			columns = append(columns, m.What)
		}
	}
	slices.Sort(columns)
	for _, m := range counts { // by month
		if len(rows) == 0 || rows[len(rows)-1].Name != m.Month {
			rows = append(rows, gridRow{m.Month, slices.Repeat([]string{"–"}, len(columns))})
		}
		rows[len(rows)-1].Cells[slices.Index(columns, m.What)] = text(m)
	}
	return columns, rows
}

// instant writes a time, and a dash for none.
func instant(at any) string {
	t, ok := at.(time.Time)
	if p, isPointer := at.(*time.Time); isPointer && p != nil {
		t, ok = *p, true
	}
	if !ok || t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

func numberOf(n any) string {
	switch n := n.(type) {
	case int:
		return number(n)
	case uint64:
		return number(n)
	}
	return fmt.Sprint(n)
}
