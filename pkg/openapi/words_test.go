package openapi

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write words.json anew")

// TestTheWordsAreThoseOfTheSource: what the document says of types and fields
// stands beside them, and nowhere else.
func TestTheWordsAreThoseOfTheSource(t *testing.T) {
	b := built(t)
	want := vocabulary{}
	for dir, types := range b.packages() {
		for name, said := range read(t, dir, types) {
			want[dir+"."+name] = said
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("words.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(wordsFile), text.String()); diff != "" {
		t.Errorf("words.json is not what the source says: run make derive (-file +source):\n%s", diff)
	}
	for _, known := range []string{"pkg/stats.Answer", "pkg/hold.State", "pkg/access.Role"} {
		if said := want[known]; said.Text == "" {
			t.Errorf("the source says nothing of %s; it is not read right", known)
		}
	}
	if roles := want["pkg/access.Role"].Values; len(roles) != 4 {
		t.Errorf("%d roles are found, want 4", len(roles))
	}
}

// packages are the types of the document by the directory of their package.
func (s *shapes) packages() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for t := range s.named {
		if dir, ours := strings.CutPrefix(t.PkgPath(), module); ours {
			if out[dir] == nil {
				out[dir] = map[string]bool{}
			}
			out[dir][t.Name()] = true
		}
	}
	return out
}

// read finds what a package's source says of some types.
func read(t *testing.T, dir string, types map[string]bool) map[string]typeWords {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", filepath.FromSlash(dir), "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no source of %s", dir)
	}
	out := map[string]typeWords{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range source.Decls {
			if d, ok := d.(*ast.GenDecl); ok {
				declared(d, types, out)
			}
		}
	}
	for name, said := range out {
		if reflect.DeepEqual(said, typeWords{}) {
			delete(out, name)
		}
	}
	return out
}

func declared(d *ast.GenDecl, types map[string]bool, out map[string]typeWords) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if !types[spec.Name.Name] {
				continue
			}
			said := out[spec.Name.Name]
			if said.Text = prose(spec.Doc); said.Text == "" {
				said.Text = prose(d.Doc)
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				said.Fields = fieldWords(s)
			}
			out[spec.Name.Name] = said
		case *ast.ValueSpec:
			id, ok := spec.Type.(*ast.Ident)
			if !ok || d.Tok != token.CONST || !types[id.Name] {
				continue
			}
			for _, v := range spec.Values {
				if lit, ok := v.(*ast.BasicLit); ok {
					text, _ := strconv.Unquote(lit.Value)
					said := out[id.Name]
					said.Values = append(said.Values, text)
					out[id.Name] = said
				}
			}
		}
	}
}

func fieldWords(s *ast.StructType) map[string]string {
	out := map[string]string{}
	for _, f := range s.Fields.List {
		text := prose(f.Doc)
		if text == "" {
			text = prose(f.Comment)
		}
		for _, name := range f.Names {
			if text != "" {
				out[name.Name] = text
			}
		}
	}
	return out
}

var link = regexp.MustCompile(`\[([A-Z]\w*|\w+\.[A-Z][\w.]*)\]`)

// prose is a comment on one line for each paragraph, without Go's links.
func prose(c *ast.CommentGroup) string {
	var paragraphs []string
	for _, p := range strings.Split(strings.TrimSpace(c.Text()), "\n\n") {
		paragraphs = append(paragraphs, strings.Join(strings.Fields(p), " "))
	}
	return link.ReplaceAllString(strings.Join(paragraphs, "\n\n"), "$1")
}
