package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Problem is one thing that is wrong with one document. Problems are about
// documents, never about events, so a Sentence may quote what stands there.
type Problem struct {
	File     string // path within its layer
	Line     int    // from 1; 0 when the whole document is meant
	Field    string // dotted path: events.login.tables.login.class
	Sentence string
}

func (p Problem) String() string {
	switch {
	case p.Line == 0 && p.Field == "":
		return fmt.Sprintf("%s: %s", p.File, p.Sentence)
	case p.Field == "":
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Sentence)
	case p.Line == 0:
		return fmt.Sprintf("%s: %s: %s", p.File, p.Field, p.Sentence)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Field, p.Sentence)
}

// Problems is every problem of a set of documents, by file and line. It is an
// error of kind fault.Invalid.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) Unwrap() error { return fault.Invalid }

// orNil sorts and returns the problems as an error, or nil when there are none.
func (ps Problems) orNil() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Sentence, b.Sentence))
	})
	return slices.Compact(ps)
}

// A place is where a problem can stand: a file, a line and a path.
type place struct {
	file string
	line int
	path string
}

func (at place) in(name string, line int) place {
	if at.path != "" {
		name = at.path + "." + name
	}
	return place{file: at.file, line: line, path: name}
}

// add records a problem at a place.
func (ps *Problems) add(at place, format string, args ...any) {
	*ps = append(*ps, Problem{File: at.file, Line: at.line, Field: at.path, Sentence: fmt.Sprintf(format, args...)})
}
