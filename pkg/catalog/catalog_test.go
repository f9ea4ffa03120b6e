package catalog_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

func builtin(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// P21: what the catalog says is what the policy does, field by field.
func TestEveryFieldSaysWhatBecomesOfItInEveryTable(t *testing.T) {
	pol := builtin(t)
	c := catalog.New(pol)
	for _, e := range c.Events {
		for _, f := range e.Fields {
			if f.Category == "" || f.Class == "" || f.Description == "" {
				t.Errorf("field %s.%s is not described", e.Name, f.Name)
			}
			if len(f.Treatments) != len(pol.TablesOf(e.Name)) {
				t.Errorf("field %s.%s has %d treatments", e.Name, f.Name, len(f.Treatments))
			}
			for _, tr := range f.Treatments {
				if tr.Treatment == "keep" && f.Class != "plain" && f.Class != "quasi" {
					t.Errorf("field %s.%s is %s and kept in %s", e.Name, f.Name, f.Class, tr.Table)
				}
				if tr.Treatment == "drop" {
					table, _ := pol.Table(tr.Table)
					for _, col := range table.Columns {
						for _, alternative := range col.From {
							if slices.ContainsFunc(alternative, func(x policy.Field) bool { return x.Name == f.Name }) {
								t.Errorf("field %s.%s is said to be dropped, and column %s of %s is made from it", e.Name, f.Name, col.Name, tr.Table)
							}
						}
					}
				}
			}
		}
	}
}

func TestTheCatalogKnowsWhatThePolicyKnows(t *testing.T) {
	pol := builtin(t)
	c := catalog.New(pol)
	for what, n := range map[string][2]int{
		"pipelines": {len(c.Pipelines), len(pol.Pipelines())},
		"events":    {len(c.Events), len(pol.Schemas())},
		"tables":    {len(c.Tables), len(pol.Tables()) - 1}, // cells are no table of events
		"metrics":   {len(c.Metrics), len(pol.Metrics())},
		"classes":   {len(c.Classes), len(pol.Classes())},
	} {
		if n[0] != n[1] || n[0] == 0 {
			t.Errorf("%d %s, the policy has %d", n[0], what, n[1])
		}
	}
}

func TestACatalogSurvivesJSON(t *testing.T) {
	c := catalog.New(builtin(t))
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back catalog.Catalog
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, _ := json.Marshal(back)
	if !bytes.Equal(text, again) {
		t.Error("the catalog is another one after a round trip")
	}
	if bytes.Contains(text, []byte(":null")) {
		t.Error("a list is null")
	}
}

func TestTheRecordHoldsWhatArticle30Asks(t *testing.T) {
	c := catalog.New(builtin(t))
	c.Parties = &catalog.Parties{Controller: "Example Ltd, privacy@example.org", Processor: "Example | Hosting"}
	text := string(c.ROPA())
	for _, p := range c.Pipelines {
		for _, want := range append([]string{p.Title, p.Purpose, p.LegalBasis, p.Domain}, slices.Concat(p.Subjects, p.Recipients, p.Categories)...) {
			if !strings.Contains(text, want) {
				t.Errorf("the record does not say %q", want)
			}
		}
	}
	for _, class := range c.Classes {
		if !strings.Contains(text, "`"+class.Name+"`") || !strings.Contains(text, class.Period) {
			t.Errorf("the record does not know the class %s", class.Name)
		}
	}
	for _, letter := range []string{"(a)", "(b)", "(c)", "(d)", "(e)", "(f)", "(g)", "Art. 30(2)", "Example Ltd, privacy@example.org", `Example \| Hosting`, "(not stated)"} {
		if !strings.Contains(text, letter) {
			t.Errorf("the record does not hold %s", letter)
		}
	}
	// A table of Markdown ends where a row has another number of cells.
	var cells int
	for n, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			cells = 0
			continue
		}
		got := strings.Count(line, "|") - strings.Count(line, `\|`)
		if cells != 0 && got != cells {
			t.Errorf("line %d has %d bars, the line before has %d: %s", n+1, got, cells, line)
		}
		cells = got
	}
}

func TestEqualPoliciesGiveEqualBytes(t *testing.T) {
	if !bytes.Equal(catalog.New(builtin(t)).ROPA(), catalog.New(builtin(t)).ROPA()) {
		t.Error("the record differs from run to run")
	}
}

// P21: both forms of Art. 30, alone and as tables.
func TestEachFormOfTheRecordIsThereAlone(t *testing.T) {
	c := catalog.New(builtin(t))
	c.Parties = &catalog.Parties{Controller: "Example Ltd, privacy@example.org", Processor: "=1+1"}
	both, controller, processor := string(c.ROPA()), string(c.Markdown(catalog.Controller)), string(c.Markdown(catalog.Processor))
	if both != string(c.Markdown("")) {
		t.Error("the record without a form is not both")
	}
	if !strings.HasPrefix(both, controller) || !strings.Contains(controller, "Art. 30(1)") || strings.Contains(controller, "Art. 30(2)") {
		t.Error("the controller's form is not its part of the record")
	}
	if strings.Contains(processor, "Art. 30(1)") || !strings.Contains(processor, "Art. 30(2)") || strings.Contains(processor, "as in part 1 |") {
		t.Error("the processor's form is not its part of the record")
	}

	rows := func(form catalog.Form) [][]string {
		t.Helper()
		out, err := csv.NewReader(bytes.NewReader(c.CSV(form))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	fields := 1
	for _, e := range c.Events {
		for _, f := range e.Fields {
			fields += len(f.Treatments)
		}
	}
	table := rows(catalog.Controller)
	if len(table) != fields {
		t.Errorf("the controller's table has %d rows, want %d", len(table), fields)
	}
	for i, row := range table {
		for j, cell := range row {
			if cell == "" {
				t.Errorf("row %d of the controller's table says nothing about %s", i, table[0][j])
			}
		}
	}
	if len(rows("")) != fields {
		t.Error("a table without a form is not the controller's")
	}
	theirs := rows(catalog.Processor)
	if len(theirs) != 1+len(c.Pipelines) {
		t.Errorf("the processor's table has %d rows", len(theirs))
	}
	if theirs[1][0] != "'=1+1" {
		t.Error("a cell may be taken for a formula")
	}
}
