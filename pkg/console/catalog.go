package console

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// catalogBody is what the page shows.
type catalogBody struct {
	No         *refusal
	Catalog    catalog.Catalog
	Activities []activity
	// What is observed; Report is absent for roles that may not verify.
	Looked bool
	Report *verify.Report
	Drift  []verify.Finding
	Seen   map[string]verify.Look // tables, by name
}

// activity is a processing activity with what it is made of.
type activity struct {
	catalog.Pipeline
	Events  []eventOf
	Tables  []catalog.Table
	Metrics []catalog.Metric
}

// eventOf is an event and the tables that its fields go to.
type eventOf struct {
	catalog.Event
	Tables []string
}

func (o *Console) catalog(v *visit) {
	if !v.enter("catalog") {
		return
	}
	b := catalogBody{Looked: v.sees("retention"), Seen: map[string]verify.Look{}}
	var c asked[catalog.Catalog]
	var looked asked[verify.History]
	asks := []func(){func() { c = get[catalog.Catalog](v, "/v1/catalog", nil) }}
	if b.Looked {
		asks = append(asks, func() { looked = get[verify.History](v, "/v1/verify/history", nil) })
	}
	together(asks...)
	b.No, b.Catalog, b.Report = c.No, c.V, looked.V.Latest
	b.Activities = activities(c.V)
	if b.Report != nil {
		b.Drift = driftOf(*b.Report)
		for _, l := range b.Report.Looked {
			if name, ok := strings.CutPrefix(l.Where, "table "); ok {
				b.Seen[name] = l
			}
		}
	}
	v.render(http.StatusOK, "catalog", "Catalog", b)
}

func activities(c catalog.Catalog) []activity {
	var out []activity
	for _, p := range c.Pipelines {
		a := activity{Pipeline: p}
		for _, e := range c.Events {
			if slices.Contains(p.Events, e.Name) {
				x := eventOf{Event: e}
				if len(e.Fields) > 0 {
					for _, t := range e.Fields[0].Treatments {
						x.Tables = append(x.Tables, t.Table)
					}
				}
				a.Events = append(a.Events, x)
			}
		}
		for _, t := range c.Tables {
			if t.Pipeline == p.Name {
				a.Tables = append(a.Tables, t)
			}
		}
		for _, m := range c.Metrics {
			if slices.Contains(p.Tables, m.Table) {
				a.Metrics = append(a.Metrics, m)
			}
		}
		out = append(out, a)
	}
	return out
}

// record hands on the record of processing in one of its forms.
func (o *Console) record(v *visit) {
	q, file := url.Values{}, "record-of-processing"
	if form := v.r.URL.Query().Get("form"); form == string(catalog.Controller) || form == string(catalog.Processor) {
		q.Set("form", form)
		file += "-" + form
	}
	kind, ending := "text/markdown; charset=utf-8", ".md"
	if v.r.URL.Query().Get("format") == "csv" {
		q.Set("format", "csv")
		kind, ending = "text/csv; charset=utf-8; header=present", ".csv"
	}
	v.pass("/v1/ropa", q, kind, file+ending)
}
