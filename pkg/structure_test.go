// Package structure holds the import rules of the tree as a test. Reading the
// table answers an auditor's question: which code can turn a token back into
// a person?
package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/lethe-pipeline/lethe/"

// mayImport says which of our packages each package may import, in dependency
// order: a package imports only what stands above it. "*" is everything above.
// Test files may also import pkg/lethetest and what it imports.
var mayImport = []struct {
	pkg  string
	deps string
}{
	{"pkg/fault", ""},
	{"pkg/crashpoint", ""}, // a no-op unless built with -tags crashpoints
	{"pkg/metric", ""},     // one way to register a metric
	{"pkg/event", "fault"},
	{"pkg/policy", "fault event"},
	{"schemas", ""},
	{"pipelines", ""},
	{"pkg/treatment", "fault event policy"},
	{"pkg/catalog", "policy"},
	{"pkg/eventlog", "fault metric event policy"},
	{"pkg/warehouse", "fault event policy"},
	{"pkg/keyring", "fault"}, // domains and classes reach it as names
	{"pkg/audit", "fault metric event eventlog crashpoint"},
	{"pkg/folder", "fault"},
	{"pkg/access", "fault policy"},
	{"pkg/gateway", "fault event policy eventlog access keyring crashpoint"},
	{"pkg/pseudonymizer", "fault event policy eventlog treatment keyring crashpoint metric"},
	{"pkg/loader", "fault event policy eventlog warehouse keyring crashpoint metric"},
	{"pkg/hold", "fault metric event policy eventlog warehouse keyring audit access"},
	{"pkg/cell", "fault metric event policy eventlog warehouse crashpoint"},                                       // seals through an interface; opens nothing
	{"pkg/retention", "fault metric event policy eventlog warehouse keyring audit folder hold loader crashpoint"}, // reads the loader's books
	{"pkg/stats", "fault event policy warehouse access"},
	{"pkg/sqldoor", "fault warehouse access"},
	{"pkg/verify", "fault metric event policy eventlog warehouse keyring audit folder hold access"},
	{"pkg/evidence", "fault event policy audit verify access"},
	{"pkg/operation", "fault policy catalog eventlog warehouse access audit"},
	{"pkg/console", "fault event policy access audit catalog stats verify evidence operation hold"}, // shows; decides nothing
	{"pkg/logformat", "fault"},
	{"pkg/client", "fault"},
	{"pkg/config", "fault"},
	{"pkg/process", ""},
	{"pkg/openapi", "fault event policy catalog audit access gateway hold stats verify evidence operation process"}, // describes what they serve
	{"pkg/embedded", "process"},
	{"pkg/lethetest", "*"},
	{"pkg/assembly", "*"},
	{"services/lethe", "*"},
	{"services", "assembly"},
}

// outside says who alone may import a package from elsewhere: it and what is
// below it.
var outside = map[string][]string{
	"github.com/ClickHouse/":            {"pkg/warehouse", "pkg/sqldoor"}, // the SQL door in its tests alone
	"github.com/nats-io/nats.go":        {"pkg/eventlog", "pkg/embedded", "pkg/assembly", "pkg/lethetest"},
	"github.com/nats-io/nats-server/v2": {"pkg/embedded"},
	"github.com/spf13/viper":            {"pkg/config"},
	"github.com/ebitengine/purego":      {"pkg/embedded"},
	"filippo.io/age":                    {"pkg/keyring"},
	"crypto/hpke":                       {"pkg/keyring"},
	"github.com/spf13/cobra":            {"services/lethe"},
	"golang.org/x/mod":                  {"pkg/audit", "pkg/evidence"},
	"log":                               {},
}

// pure packages touch no clock, disk or network: time is an argument.
var pure = []string{"pkg/fault", "pkg/event", "pkg/policy", "pkg/treatment", "pkg/catalog"}

type source struct {
	path string // pkg/event/raw.go
	dir  string // pkg/event
	test bool
	file *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	fset := token.NewFileSet()
	root := os.DirFS("..")
	for _, top := range []string{"pkg", "services", "schemas", "pipelines"} {
		err := fs.WalkDir(root, top, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			file, err := parser.ParseFile(fset, filepath.Join("..", path), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			out = append(out, source{path: path, dir: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go"), file: file})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(out) < 50 {
		t.Fatalf("only %d sources found; the walk is broken", len(out))
	}
	return out
}

func rule(dir string) (index int, deps string, ok bool) {
	best := -1
	for i, r := range mayImport {
		if dir == r.pkg || strings.HasPrefix(dir, r.pkg+"/") {
			if best < 0 || len(r.pkg) > len(mayImport[best].pkg) {
				best = i
			}
		}
	}
	if best < 0 {
		return 0, "", false
	}
	return best, mayImport[best].deps, true
}

func TestPackagesImportOnlyWhatStandsAboveThem(t *testing.T) {
	for _, s := range sources(t) {
		if s.dir == "pkg" {
			continue
		}
		at, deps, ok := rule(s.dir)
		if !ok {
			t.Errorf("%s: package %s has no rule in mayImport", s.path, s.dir)
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			ours, found := strings.CutPrefix(path, module)
			if !found || s.test {
				continue
			}
			if to, _, ok := rule(ours); ok && to == at {
				continue // within one package's folder
			} else if ok && deps == "*" && to < at {
				continue
			}
			if !slices.Contains(strings.Fields(deps), strings.TrimPrefix(ours, "pkg/")) {
				t.Errorf("%s imports %s; %s may import only: %s", s.path, ours, s.dir, deps)
			}
		}
	}
}

func TestOutsidePackagesAreUsedWhereTheyBelong(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			for prefix, allowed := range outside {
				match := path == prefix || strings.Contains(prefix, ".") && strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
				if !match {
					continue
				}
				if !slices.ContainsFunc(allowed, func(a string) bool { return s.dir == a || strings.HasPrefix(s.dir, a+"/") }) {
					t.Errorf("%s imports %s, which only %v may", s.path, path, allowed)
				}
			}
			if slices.Contains(pure, s.dir) && (path == "os" || path == "net" ||
				path == "net/http" && s.dir != "pkg/fault") {
				t.Errorf("%s imports %s; the package is pure", s.path, path)
			}
		}
	}
}

func TestPurePackagesDoNotLookAtTheClock(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !slices.Contains(pure, s.dir) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since" || sel.Sel.Name == "Sleep") {
					t.Errorf("%s calls time.%s; time is an argument", s.path, sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// TestThereIsOneDoorFromRawToClean: P1, P2.
func TestThereIsOneDoorFromRawToClean(t *testing.T) {
	doors := map[string][]string{
		"Open":     {"pkg/treatment"},
		"NewClean": {"pkg/treatment", "pkg/cell"}, // cells are made of clean rows
	}
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := sel.X.(*ast.Ident)
			if !ok || x.Name != "event" {
				return true
			}
			if allowed, guarded := doors[sel.Sel.Name]; guarded {
				used[sel.Sel.Name] = true
				if !slices.Contains(allowed, s.dir) {
					t.Errorf("%s calls event.%s, which only %v may", s.path, sel.Sel.Name, allowed)
				}
			}
			return true
		})
	}
	for name := range doors {
		if !used[name] {
			t.Errorf("nobody calls event.%s; the rule guards nothing", name)
		}
	}
}

func TestNobodyLogsThroughTheDefaultLogger(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || s.dir == "pkg/assembly" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok && x.Name == "slog" {
					switch sel.Sel.Name {
					case "Default", "Info", "Warn", "Error", "Debug", "InfoContext", "WarnContext", "ErrorContext", "DebugContext", "SetDefault":
						t.Errorf("%s uses slog.%s; loggers are passed in", s.path, sel.Sel.Name)
					}
				}
			}
			return true
		})
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	said := map[string]bool{}
	for _, s := range sources(t) {
		if s.file.Doc != nil && !s.test {
			said[s.dir] = true
		} else if _, ok := said[s.dir]; !ok && !s.test {
			said[s.dir] = false
		}
	}
	for dir, ok := range said {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

// TestEveryPromiseIsWhereItSaysItIs holds docs/promises.md to its own rule: the
// number of what is enforced stands beside the code and in a test, and the
// page leaves none out.
func TestEveryPromiseIsWhereItSaysItIs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "promises.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, line := range strings.Split(string(page), "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(strings.TrimSpace(cells[1]), "P") {
			rows[strings.TrimSpace(cells[1])] = cells[3]
		}
	}
	if len(rows) != 22 {
		t.Errorf("the page has %d promises, want 22", len(rows))
	}
	code, tests := map[string]bool{}, map[string]bool{}
	number := regexp.MustCompile(`\bP[0-9]+\b`)
	for _, s := range sources(t) {
		for _, group := range s.file.Comments {
			for _, p := range number.FindAllString(group.Text(), -1) {
				if s.test {
					tests[p] = true
				} else {
					code[p] = true
				}
			}
		}
	}
	for p, kept := range rows {
		if strings.TrimSpace(kept) == "**not enforced yet**" {
			continue
		}
		if !code[p] && p != "P10" { // kept by policy documents alone
			t.Errorf("%s stands beside no code", p)
		}
		if !tests[p] {
			t.Errorf("%s stands in no test", p)
		}
	}
}
