package main_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
)

// TestTheRulesInTheDocsAreThoseOfTheGate, of the SQL door and of NATS: P15. With
// -update, they are written anew.
func TestTheRulesInTheDocsAreThoseOfTheGate(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- rules -->\n", "<!-- end of rules -->"
	file := filepath.Join("..", "..", "docs", "access.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), begin)
	have, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("%s has no place for the rules", file)
	}
	rules := up(t).rules()
	want := "\n" + access.Matrix(rules) + "\nAt `sql.listen`, with the same rules:\n\n" + access.Matrix(listenerRules(rules)) +
		"\nOn NATS, at `nats.listen`:\n\n" + natsTable() + "\n" + situationTable(rules) + "\n"
	if have == want {
		return
	}
	if !*update {
		t.Fatalf("%s does not show the rules of the doors; run make derive. They are:\n%s", file, want)
	}
	if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listenerRules are those of the listener of SQL, by its own paths.
func listenerRules(rules []access.Route) []access.Route {
	var out []access.Route
	for _, inner := range slices.Sorted(maps.Keys(sqldoor.ListenerPaths())) {
		for _, r := range rules {
			method, path, _ := strings.Cut(r.Pattern, " ")
			if path == sqldoor.ListenerPaths()[inner] {
				r.Pattern = method + " " + inner
				out = append(out, r)
			}
		}
	}
	return out
}

// natsTable shows what the permissions of publishers are.
func natsTable() string {
	var b strings.Builder
	who := assembly.NATSPublisher()
	fmt.Fprintf(&b, "| topic, as the user `%s` | may request | may listen |\n|---|---|---|\n", who.Name)
	for _, topic := range who.Publish {
		fmt.Fprintf(&b, "| `%s` | yes | – |\n", topic)
	}
	for _, topic := range who.Subscribe {
		fmt.Fprintf(&b, "| `%s` | – | yes |\n", topic)
	}
	b.WriteString("| any other | – | – |\n")
	return b.String()
}

// situationTable shows what becomes of whom in every situation.
func situationTable(rules []access.Route) string {
	var b strings.Builder
	b.WriteString("| who shows | on a route, at every listener | on NATS |\n|---|---|---|\n")
	for _, s := range situations {
		seen := map[int]bool{}
		for _, r := range rules {
			if !r.Public {
				seen[s.want(r)] = true
			}
		}
		what := "as the table says"
		switch {
		case len(seen) > 1:
			what = "as the table says where the last column allows it, else 403"
		case !seen[0]:
			what = fmt.Sprint(slices.Collect(maps.Keys(seen))[0])
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.about, what, s.nats)
	}
	return b.String()
}
