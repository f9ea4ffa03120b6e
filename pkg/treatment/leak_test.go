package treatment_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

// plantFor makes what a field of its kind may hold, and the identifier in it.
func plantFor(t *rapid.T, f policy.Field) (value, identifier string) {
	switch {
	case f.Identifier == "ip":
		b := append(rapid.SliceOfN(rapid.ByteRange(100, 199), 3, 3).Draw(t, f.Name), rapid.ByteRange(200, 255).Draw(t, f.Name))
		value = strings.Join([]string{itoa(b[0]), itoa(b[1]), itoa(b[2]), itoa(b[3])}, ".")
		return value, value
	case f.Identifier == "email":
		value = plantMail.Draw(t, f.Name)
		return value, value
	case f.Class == policy.FreeText:
		identifier = rapid.OneOf(plantMail, plantIPv4, plantIPv6, plantToken).Draw(t, f.Name)
		return around.Draw(t, "before") + " " + identifier + " " + around.Draw(t, "after"), identifier
	}
	value = rapid.OneOf(rareWord, plantMail).Draw(t, f.Name)
	return value, value
}

func itoa(b byte) string { return string([]byte{'0' + b/100, '0' + b/10%10, '0' + b%10}) }

// leaks treats an event whose personal fields hold identifiers, and names the
// columns that show one.
func leaks(t *rapid.T, tr *treatment.Treatment, tables []*policy.Table, name string, fields []policy.Field) (out []string) {
	values := map[string]event.Value{}
	planted := map[string]string{}
	for _, f := range fields {
		switch {
		case f.Kind == event.String && f.Class != policy.Plain && f.Class != policy.Quasi:
			value, identifier := plantFor(t, f)
			values[f.Name], planted[f.Name] = str(value), identifier
		case f.Kind == event.String && len(f.Enum) > 0:
			values[f.Name] = str(f.Enum[0])
		}
	}
	rows, rejected, err := tr.Apply(header(name), []event.Raw{raw(now, true, values)}, now, &keys{})
	if err != nil || len(rejected) > 0 || len(rows) != len(tables) {
		t.Fatalf("%d rows of %d, rejected %+v, %v", len(rows), len(tables), rejected, err)
	}
	for _, c := range rows {
		row := c.Row()
		table := tables[slices.IndexFunc(tables, func(x *policy.Table) bool { return x.Name == row.Table })]
		for i, col := range table.Columns {
			if len(col.From) > 0 && len(col.From[0][0].Enum) > 0 {
				continue // "trace" is no part of an address
			}
			for field, identifier := range planted {
				if col.Verb == policy.Truncate {
					if col.From[0][0].Name != field {
						continue
					}
					identifier = identifier[strings.LastIndexByte(identifier, '.')+1:]
				}
				if v := row.Values[i]; v.Kind() == event.String && survives(identifier, v.Str()) || v.Kind() == event.Token && v.Token() == identifier {
					out = append(out, table.Name+"."+col.Name)
				}
			}
		}
	}
	return out
}

func TestNoIdentifierOfABuiltInEventSurvivesTreatment(t *testing.T) {
	pol := builtIn(t)
	tr := treatment.New(pol)
	for _, s := range pol.Schemas() {
		t.Run(s.Event, rapid.MakeCheck(func(t *rapid.T) {
			if out := leaks(t, tr, pol.TablesOf(s.Event), s.Event, s.Fields); len(out) > 0 {
				t.Fatalf("identifiers show in %v", out) // P1
			}
		}))
	}
}

// The control: a table that keeps what it should not is seen to.
func TestAKeptIdentifierIsSeen(t *testing.T) {
	field := policy.Field{Name: "user", Kind: event.String, Class: policy.Identifier, Identifier: "account"}
	table := &policy.Table{
		Name: "t", Event: "e", Class: &policy.Class{Period: policy.Period{Days: 30}},
		Columns: []policy.Column{{Name: "user", Kind: event.String, Verb: policy.Keep, From: [][]policy.Field{{field}}}},
	}
	tr := treatment.ForTables([]*policy.Table{table})
	tr.Knows("e", 1)
	rapid.Check(t, func(t *rapid.T) {
		if out := leaks(t, tr, []*policy.Table{table}, "e", []policy.Field{field}); len(out) != 1 {
			t.Fatal("a kept identifier is not seen, so the test of survival shows nothing")
		}
	})
}
