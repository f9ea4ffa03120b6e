package stats_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// TestATenantSeesItsOwnCellsAlone: P14, P15.
func TestATenantSeesItsOwnCellsAlone(t *testing.T) {
	l := newLab(t)
	a, b := newTenant(), newTenant()
	l.put(t, a, published{metric: "visits", first: "2026-03-02", value: 7})
	l.put(t, b, published{metric: "visits", first: "2026-03-02", value: 9},
		published{metric: "visits", first: "2026-03-02", value: 8, service: "app"})
	for _, c := range []struct {
		who  access.Principal
		want string
	}{
		{principal(a), "7"}, {principal(b), "17"}, {principal(b, "app"), "8"}, {principal(b, "app", "web"), "17"}, {principal(b, "other"), "hidden"},
	} {
		if got := show(l.ask(t, c.who, stats.Question{Metric: "visits"}).Total); got != c.want {
			t.Errorf("%s, services %v: %s, want %s", c.who.Tenant, c.who.Services, got, c.want)
		}
	}
	limited := l.ask(t, principal(b, "app"), stats.Question{Metric: "visits", By: []string{"service"}, Filters: filters("service", "app", "service", "web"), Explain: true})
	if diff := cmp.Diff([]string{"app 8", "= 8"}, lines(limited)); diff != "" || len(limited.Cells) != 1 {
		t.Errorf("who may ask about app is told (-want +got):\n%s and %d cells", diff, len(limited.Cells))
	}
	for name, p := range map[string]access.Principal{
		"no tenant":   principal(""),
		"a publisher": {Role: access.Publisher, Tenant: a},
		"nobody":      {Tenant: a},
	} {
		if _, err := l.stats.Ask(t.Context(), p, stats.Question{Metric: "visits"}); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestACredentialLimitedToProductsSeesCellsThatTellThem: P15.
func TestACredentialLimitedToProductsSeesCellsThatTellThem(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen", "/a"}, value: 10},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "ink", "/a"}, value: 20},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "nib", "/a"}, value: 40, cut: cutAt.AddDate(1, 0, 0)},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200"}, value: 80},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen"}, value: 160},
		counted("trailing_30", "2026-02-01", "2026-03-02", 100),
		counted("trailing_30", "2026-02-01", "2026-03-02", 50, "product", "pen"),
		counted("trailing_30", "2026-02-01", "2026-03-02", 60, "product", "ink"),
		counted("trailing_30", "2026-02-02", "2026-03-03", 70, "product", "nib"),
		counted("trailing_30", "2026-02-01", "2026-03-02", 90, "path", "/a"),
		published{metric: "present", bucket: "now", first: "2026-03-02", value: 33, cube: "product", told: []string{"pen"}},
	)
	limited := func(products ...string) access.Principal {
		p := principal(tenant)
		p.Products = products
		return p
	}
	one, two := limited("pen"), limited("pen", "ink")
	for _, c := range []struct {
		name   string
		who    access.Principal
		q      stats.Question
		want   []string
		beside string
	}{
		{"one product", one, stats.Question{Metric: "visits"}, []string{"= 170"}, ""},
		{"two products", two, stats.Question{Metric: "visits", By: []string{"product"}}, []string{"ink 20", "pen 170", "= 190"}, ""},
		{"another's product", one, stats.Question{Metric: "visits", Filters: filters("product", "nib")}, []string{"= hidden"}, ""},
		{"a path", one, stats.Question{Metric: "visits", Filters: filters("path", "/a")}, []string{"= 10"}, "160"},
		{"subjects of one", one, stats.Question{Metric: "visitors"}, []string{"= 50"}, ""},
		{"subjects of one of two", two, stats.Question{Metric: "visitors", Filters: filters("product", "ink")}, []string{"= 60"}, ""},
		{"subjects of two, one by one", two, stats.Question{Metric: "visitors", By: []string{"product"}}, []string{"ink 60", "pen 50", "= hidden"}, ""},
		{"who is current", one, stats.Question{Metric: "present"}, []string{"= 33"}, ""},
		{"a ratio", one, stats.Question{Metric: "visits_per_visitor"}, []string{"= 3.4000"}, ""},
	} {
		a := l.ask(t, c.who, c.q)
		if diff := cmp.Diff(c.want, lines(a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		if beside := ""; a.Beside != nil {
			if beside = string(*a.Beside); beside != c.beside {
				t.Errorf("%s: beside it lie %s", c.name, beside)
			}
		}
	}
	for name, q := range map[string]stats.Question{
		"a metric that tells no product":     {Metric: "beats"},
		"subjects that tell no product":      {Metric: "regulars"},
		"a ratio that tells no product":      {Metric: "regular_share"},
		"subjects of two products":           {Metric: "visitors"},
		"subjects of products by path":       {Metric: "visitors", By: []string{"path"}},
		"subjects of products, of one path":  {Metric: "visitors", Filters: filters("path", "/a")},
		"current machines of products by it": {Metric: "present", By: []string{"status"}},
	} {
		if _, err := l.stats.Ask(t.Context(), two, q); !errors.Is(err, fault.Denied) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAMaskedDimensionComesBackMasked: P15. The dimension path stands on the
// field place, and either name masks it.
func TestAMaskedDimensionComesBackMasked(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen", "/a"}, value: 10},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen", "/b"}, value: 20},
		published{metric: "visits", first: "2026-03-02", told: []string{"come"}, value: 40},
		counted("trailing_30", "2026-02-01", "2026-03-02", 100),
		counted("trailing_30", "2026-02-01", "2026-03-02", 50, "path", "/a"),
		counted("trailing_30", "2026-02-01", "2026-03-02", 60, "status", "200"),
	)
	for _, field := range []string{"path", "place"} {
		who := principal(tenant)
		who.Masked = []string{field}
		for name, c := range map[string]struct {
			q    stats.Question
			want []string
		}{
			"by it":              {stats.Question{Metric: "visits", By: []string{"path"}}, []string{"masked 70", "= 70"}},
			"by it and another":  {stats.Question{Metric: "visits", By: []string{"path", "status"}}, []string{"masked 200 30", "masked (other) 40", "= 70"}},
			"top of another":     {stats.Question{Metric: "visits", By: []string{"path", "status"}, Top: 1}, []string{"masked 200 30", "masked (other) 40", "= 70"}},
			"not by it":          {stats.Question{Metric: "visits", By: []string{"status"}}, []string{"200 30", "(other) 40", "= 70"}},
			"subjects by it":     {stats.Question{Metric: "visitors", By: []string{"path"}}, []string{"masked 100", "= 100"}},
			"subjects by both":   {stats.Question{Metric: "visitors", By: []string{"path", "status"}}, []string{"masked 200 60", "= 100"}},
			"a ratio of it":      {stats.Question{Metric: "visits_per_visitor", By: []string{"path"}}, []string{"masked 0.7000", "= 0.7000"}},
			"with a service too": {stats.Question{Metric: "visits", By: []string{"service", "path"}}, []string{"web masked 70", "= 70"}},
		} {
			if diff := cmp.Diff(c.want, lines(l.ask(t, who, c.q))); diff != "" {
				t.Errorf("%s masked, %s (-want +got):\n%s", field, name, diff)
			}
		}
		for name, q := range map[string]stats.Question{
			"filtered":           {Metric: "visits", Filters: filters("path", "/a")},
			"subjects filtered":  {Metric: "visitors", Filters: filters("path", "/a")},
			"a ratio filtered":   {Metric: "visits_per_visitor", Filters: filters("path", "/a")},
			"its largest":        {Metric: "visits", By: []string{"path"}, Top: 1},
			"cells, one by one":  {Metric: "visits", Explain: true},
			"cells of its ratio": {Metric: "visits_per_visitor", Explain: true},
		} {
			if _, err := l.stats.Ask(t.Context(), who, q); !errors.Is(err, fault.Denied) {
				t.Errorf("%s masked, %s: %v", field, name, err)
			}
		}
		if a := l.ask(t, who, stats.Question{Metric: "nights", Explain: true}); a.Cells == nil {
			t.Error("cells that do not tell what is masked are not listed")
		}
	}
	who := principal(tenant)
	who.Masked, who.Products = []string{"product"}, []string{"pen"}
	if diff := cmp.Diff([]string{"masked 30", "= 30"}, lines(l.ask(t, who, stats.Question{Metric: "visits", By: []string{"product"}}))); diff != "" {
		t.Errorf("limited to products, whose names are masked (-want +got):\n%s", diff)
	}
	who.Masked, who.Products = []string{"service"}, nil
	if diff := cmp.Diff([]string{"masked 70", "= 70"}, lines(l.ask(t, who, stats.Question{Metric: "visits", By: []string{"service"}}))); diff != "" {
		t.Errorf("services masked (-want +got):\n%s", diff)
	}
}

// TestRoutesKeepToTheLimitsOfACredential asks over HTTP, through the gate.
func TestRoutesKeepToTheLimitsOfACredential(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	l.put(t, tenant,
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen"}, value: 10},
		published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "ink"}, value: 20, service: "app"},
	)
	who := access.Principal{Role: access.Analyst, Tenant: tenant}
	for _, c := range []struct {
		limit func(*access.Principal)
		path  string
		code  int
		says  string
	}{
		{func(p *access.Principal) {}, "visits", 200, `"total":{"value":30,`},
		{func(p *access.Principal) { p.Services = []string{"app"} }, "visits", 200, `"total":{"value":20,`},
		{func(p *access.Principal) { p.Products = []string{"pen"} }, "visits", 200, `"total":{"value":10,`},
		{func(p *access.Principal) { p.Products = []string{"pen"} }, "beats", 403, "limited to products"},
		{func(p *access.Principal) { p.Masked = []string{"product"} }, "visits?by=product", 200, `"rows":[{"by":{"product":"masked"},"value":30,`},
		{func(p *access.Principal) { p.Masked = []string{"product"} }, "visits?filter.product=pen", 403, "masked"},
		{func(p *access.Principal) { p.Masked = []string{"product"} }, "visits?explain=1", 403, "masked"},
		{func(p *access.Principal) { p.Routes = []string{"GET /v1/stats"} }, "visits", 403, ""},
	} {
		p := who
		c.limit(&p)
		w := l.getAs(t, p, "/v1/stats/"+c.path)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
			t.Errorf("%s with %+v: %d %s", c.path, p.Scope, w.Code, w.Body)
		}
	}
	if w := l.getAs(t, access.Principal{Role: access.Analyst, Tenant: tenant, Scope: access.Scope{Masked: []string{"path"}}}, "/v1/stats"); w.Code != http.StatusOK {
		t.Errorf("the list of metrics: %d", w.Code)
	}
}

// TestTheListIsOfWhatMayBeAsked: P15. Path is made of the field place.
func TestTheListIsOfWhatMayBeAsked(t *testing.T) {
	l := newLab(t)
	who := principal(newTenant())
	all := l.stats.List(who)
	who.Products, who.Masked = []string{"pen"}, []string{"place", "day"}
	limited := l.stats.List(who)
	if len(limited) == 0 || len(limited) >= len(all) {
		t.Fatalf("%d metrics are listed, %d where nothing is limited", len(limited), len(all))
	}
	for _, m := range limited {
		if _, err := l.stats.Ask(t.Context(), who, stats.Question{Metric: m.Name}); err != nil {
			t.Errorf("%s is listed: %v", m.Name, err)
		}
		if ratio := m.Value == string(policy.Ratio); ratio != (len(m.Of) == 2) {
			t.Errorf("%s is made of %v", m.Name, m.Of)
		}
		for _, d := range m.Dimensions {
			if want := d.Name == "path" || d.Name == "day"; d.Masked != want {
				t.Errorf("%s of %s is listed as masked: %v", d.Name, m.Name, d.Masked)
			}
		}
	}
}

func TestAnAnswerBeyondItsLimitIsRefused(t *testing.T) {
	l := newLab(t)
	tenant := newTenant()
	cells := make([]published, stats.MaxRows+1)
	for i := range cells {
		cells[i] = published{metric: "visits", first: "2026-03-02", told: []string{"come", "200", "pen", fmt.Sprintf("/%d", i)}, value: 1}
	}
	l.put(t, tenant, cells...)
	q := stats.Question{Metric: "visits", By: []string{"path"}}
	if _, err := l.stats.Ask(t.Context(), principal(tenant), q); !errors.Is(err, fault.Exhausted) {
		t.Errorf("%d rows: %v", len(cells), err)
	}
	a := l.ask(t, principal(tenant), stats.Question{Metric: "visits", Explain: true})
	if show(a.Total) != fmt.Sprint(len(cells)) || len(a.Cells) != stats.MaxCells || !strings.Contains(a.Notes[len(a.Notes)-1], "More than 1000 cells") {
		t.Errorf("the total is %s, %d cells are listed: %v", show(a.Total), len(a.Cells), a.Notes)
	}
}

// TestTheBuiltInMetricsCanBeAsked makes sure that every metric of the embedded
// policy gives statements that the engine takes.
func TestTheBuiltInMetricsCanBeAsked(t *testing.T) {
	l := newLabOf(t, lethetest.BuiltIn(t))
	n := 0
	for _, m := range l.stats.List(principal("acme")) {
		for _, d := range append(m.Dimensions, stats.ListedDimension{}) {
			q := stats.Question{Metric: m.Name, Explain: true}
			if d.Name != "" {
				q.By = []string{d.Name}
			}
			if a := l.ask(t, principal("acme"), q); len(a.Rows) != 0 || show(a.Total) != "hidden" {
				t.Errorf("%s by %s: %v", m.Name, d.Name, lines(a))
			}
			n++
		}
	}
	if n < 40 {
		t.Errorf("only %d questions; the policy is not whole", n)
	}
}

// TestAnalystsReadPublishedCellsAlone: P19. The control is the table of cells,
// which they read.
func TestAnalystsReadPublishedCellsAlone(t *testing.T) {
	l := newLab(t)
	for _, table := range l.pol.Tables() {
		_, err := l.analyst.Rows(t.Context(), "SELECT count() FROM "+l.analyst.Table(table.Name), nil)
		if table.Name == l.cells.Name && err != nil {
			t.Errorf("the analyst cannot read cells: %v", err)
		} else if table.Name != l.cells.Name && err == nil {
			t.Errorf("the analyst can read rows of table %s", table.Name)
		}
	}
	b := warehouse.NewBatch(l.cells, event.Never)
	b.Append(warehouse.Source{Tenant: "t", Service: "web", Seq: 1, Columns: l.cells.ColumnNames()}, make([]event.Row, 1))
	if err := l.analyst.Insert(t.Context(), b, ""); err == nil {
		t.Error("the analyst can write cells")
	}
}
