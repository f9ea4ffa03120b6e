package policy

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// A yamlReader reads one YAML document strictly: an unknown name, a name
// twice, an anchor, an alias, a tag and a second document are problems, because
// each of them can make a document mean something else than it seems to say.
type yamlReader struct {
	problems *Problems
	file     string
}

// An entry is one name of a mapping with what stands under it.
type entry struct {
	name string
	at   place
	val  *yaml.Node
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// root returns the mapping that the document is, or nil.
func (r *yamlReader) root(text []byte) *yaml.Node {
	at := place{file: r.file}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, extra yaml.Node
	if err := dec.Decode(&doc); err != nil {
		why := strings.TrimPrefix(err.Error(), "yaml: ")
		if errors.Is(err, io.EOF) {
			at.line, why = 1, "it is empty"
		}
		if m := yamlLine.FindStringSubmatch(why); m != nil {
			at.line, _ = strconv.Atoi(m[1])
			why = strings.Replace(why, m[0], "", 1)
		}
		r.problems.add(at, "is not valid YAML: %s", why)
		return nil
	}
	if err := dec.Decode(&extra); !errors.Is(err, io.EOF) {
		at.line = extra.Line
		r.problems.add(at, "holds more than one document")
		return nil
	}
	n := doc.Content[0]
	at.line = n.Line
	if !r.plain(n, at) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.problems.add(at, "a document is a mapping")
		return nil
	}
	return n
}

// plain refuses anchors, aliases and tags, at any depth.
func (r *yamlReader) plain(n *yaml.Node, at place) bool {
	at.line = n.Line
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.problems.add(at, "anchors and aliases are not allowed: write it out where it holds")
		return false
	case n.Style&yaml.TaggedStyle != 0:
		r.problems.add(at, "tags are not allowed")
		return false
	}
	ok := true
	for _, c := range n.Content {
		ok = r.plain(c, at) && ok
	}
	return ok
}

// open reads a mapping whose names the document chooses, such as tables. They
// are symbols.
func (r *yamlReader) open(n *yaml.Node, at place, what string) []entry {
	if n.Kind != yaml.MappingNode {
		r.problems.add(at, "must list %s by name", what)
		return nil
	}
	var entries []entry
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		in := at.in(name.Value, name.Line)
		switch {
		case name.Kind != yaml.ScalarNode || !event.CheckSymbol(name.Value):
			r.problems.add(at.in(name.Value, name.Line), "a name is lower-case letters, digits and _, at most 48, a letter first")
		case seen[name.Value]:
			r.problems.add(in, "stands here twice")
		default:
			seen[name.Value] = true
			entries = append(entries, entry{name: name.Value, at: in, val: n.Content[i+1]})
		}
	}
	return entries
}

// closed reads a mapping whose names Lethe chooses.
func (r *yamlReader) closed(n *yaml.Node, at place, names ...string) map[string]entry {
	entries := map[string]entry{}
	if n.Kind != yaml.MappingNode {
		r.problems.add(at, "must be a mapping of %s", strings.Join(names, ", "))
		return entries
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		in := at.in(name.Value, name.Line)
		_, twice := entries[name.Value]
		switch {
		case !slices.Contains(names, name.Value):
			r.problems.add(in, "is not understood here: this may say %s", strings.Join(names, ", "))
		case twice:
			r.problems.add(in, "stands here twice")
		default:
			entries[name.Value] = entry{name: name.Value, at: in, val: n.Content[i+1]}
		}
	}
	return entries
}

// text reads a scalar that is not empty. It may span lines.
func (r *yamlReader) text(e entry) string {
	if e.val.Kind != yaml.ScalarNode || e.val.Tag == "!!null" || strings.TrimSpace(e.val.Value) == "" {
		r.problems.add(e.at, "must be text")
		return ""
	}
	return strings.TrimSpace(e.val.Value)
}

// need reads a text that must be there.
func (r *yamlReader) need(entries map[string]entry, name string, at place) string {
	e, ok := entries[name]
	if !ok {
		r.problems.add(at, "has no %s", name)
		return ""
	}
	return r.text(e)
}

// optional reads a text that may be absent.
func (r *yamlReader) optional(entries map[string]entry, name string) string {
	if e, ok := entries[name]; ok {
		return r.text(e)
	}
	return ""
}

// truth reads a boolean; absent is false.
func (r *yamlReader) truth(entries map[string]entry, name string) bool {
	e, ok := entries[name]
	if !ok {
		return false
	}
	if e.val.Kind != yaml.ScalarNode || e.val.Tag != "!!bool" {
		r.problems.add(e.at, "must be true or false")
		return false
	}
	return e.val.Value == "true"
}

// whole reads a whole number; absent is fallback.
func (r *yamlReader) whole(entries map[string]entry, name string, fallback int) int {
	e, ok := entries[name]
	if !ok {
		return fallback
	}
	n, err := strconv.Atoi(e.val.Value)
	if e.val.Kind != yaml.ScalarNode || err != nil {
		r.problems.add(e.at, "must be a whole number")
		return fallback
	}
	return n
}

// texts reads a list of texts; absent is nil.
func (r *yamlReader) texts(entries map[string]entry, name string) []string {
	e, ok := entries[name]
	if !ok {
		return nil
	}
	return r.list(e)
}

func (r *yamlReader) list(e entry) []string {
	if e.val.Kind != yaml.SequenceNode {
		r.problems.add(e.at, "must be a list")
		return nil
	}
	var out []string
	for _, n := range e.val.Content {
		out = append(out, r.text(entry{at: place{file: e.at.file, line: n.Line, path: e.at.path}, val: n}))
	}
	return out
}
