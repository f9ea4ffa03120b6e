package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A route is what the document says of one route beside what the gate and the
// types say. Write fills in parameters, body, answers and failures.
type route struct {
	pattern string
	id      string // operationId: verb and noun
	summary string // one line, no full stop
	write   func(b *builder, o *Operation)
}

// A table is the routes of one part of Lethe. Its tag groups them.
type table struct {
	tag, about string
	routes     []route
}

var tables = []table{publishing, statistics, compliance, holds, credentials, operating, serving}

// LeftOut are paths that the document leaves out on purpose, and why: a path
// alone, or all that begins with it where it ends in a slash.
var LeftOut = map[string]string{
	"/console/": "The console is pages for people (HTML), and no interface of programs.",
	"/v1/sql/":  "SQL speaks ClickHouse's HTTP protocol: docs/sql.md.",
}

// leftOut says whether a route is not to be described. A pattern without a
// method stands behind others of the same path, and tells which methods there
// are.
func leftOut(pattern string) bool {
	method, path, _ := cutPattern(pattern)
	for prefix := range LeftOut {
		if path == prefix || path+"/" == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return method == ""
}

// Check compares the descriptions with the routes of a gate that has all of
// Lethe's, both ways, and says in sentences where they differ.
func Check(routes []access.Route) []string {
	described, there := map[string]bool{}, map[string]bool{}
	for _, t := range tables {
		for _, r := range t.routes {
			described[r.pattern] = true
		}
	}
	var out []string
	for _, r := range routes {
		there[r.Pattern] = true
		switch {
		case leftOut(r.Pattern) && described[r.Pattern]:
			out = append(out, fmt.Sprintf("%s is described and left out: take it out of a table of pkg/openapi, or out of openapi.LeftOut", r.Pattern))
		case !leftOut(r.Pattern) && !described[r.Pattern]:
			out = append(out, fmt.Sprintf("%s has no description: write one into the table of pkg/openapi that it belongs to (doc.go there says how), "+
				"or leave it out in openapi.LeftOut, with the reason", r.Pattern))
		}
	}
	for _, t := range tables {
		for _, r := range t.routes {
			if !there[r.pattern] {
				out = append(out, fmt.Sprintf("%s is described in pkg/openapi, table %s, and there is no such route", r.pattern, t.tag))
			}
		}
	}
	return out
}

// New describes routes under a policy. A route without a description is left
// out, and so is a description without a route: a process describes what it
// serves.
func New(pol *policy.Policy, routes []access.Route) *Document { return build(pol, routes).doc }

func build(pol *policy.Policy, routes []access.Route) *builder {
	b := newBuilder(pol)
	rules := map[string]access.Route{}
	for _, r := range routes {
		rules[r.Pattern] = r
	}
	for _, t := range tables {
		used := false
		for _, r := range t.routes {
			rule, there := rules[r.pattern]
			if !there {
				continue
			}
			used = true
			method, path, _ := cutPattern(r.pattern)
			if b.doc.Paths[path] == nil {
				b.doc.Paths[path] = Path{}
			}
			b.doc.Paths[path][strings.ToLower(method)] = b.operation(t.tag, r, rule)
		}
		if used {
			b.doc.Tags = append(b.doc.Tags, Tag{t.tag, t.about})
		}
	}
	return b
}

// Encode writes the document, indented.
func (d *Document) Encode() []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		panic("openapi: the document must marshal: " + err.Error())
	}
	return out.Bytes()
}

func cutPattern(pattern string) (method, path string, found bool) {
	if method, path, found = strings.Cut(pattern, " "); found {
		return method, path, true
	}
	return "", pattern, false
}

// A builder makes a document.
type builder struct {
	shapes
	policy *policy.Policy
	doc    *Document
}

func newBuilder(pol *policy.Policy) *builder {
	b := &builder{policy: pol, shapes: shapes{map[string]any{}, map[string]reflect.Type{}, map[reflect.Type]bool{}}}
	why := ""
	for _, path := range sorted(LeftOut) {
		why += fmt.Sprintf("\n\nNot described here: `%s`. %s", path, LeftOut[path])
	}
	b.doc = &Document{
		OpenAPI: "3.1.1",
		Info: Info{
			Title:       "Lethe",
			Version:     "1",
			Summary:     "An event pipeline that forgets on schedule, and proves it.",
			Description: about + why,
			License:     License{"Apache License 2.0", "Apache-2.0"},
		},
		Servers: []Server{{"/", "The Lethe that this document comes from."}},
		Paths:   map[string]Path{},
		Components: Components{
			Schemas:    b.components,
			Responses:  map[string]*Response{},
			Parameters: commonParameters,
			Security: map[string]SecurityScheme{credential: {
				Type: "http", Scheme: "bearer", Format: "lethe_<role>_<id>_<secret>",
				Description: "A credential (docs/access.md), as RFC 6750 says. The roles that an operation opens to stand " +
					"in its security requirement, one each: one of them is enough.",
			}},
		},
	}
	problem := Media{Schema: b.of(reflect.TypeFor[fault.Problem]())}
	for name, r := range commonResponses {
		r.Content = map[string]Media{problemType: problem}
		b.doc.Components.Responses[name] = &r
	}
	return b
}

// operation describes a route that has a rule.
func (b *builder) operation(tag string, r route, rule access.Route) *Operation {
	o := &Operation{
		Tags: []string{tag}, Summary: r.summary, ID: r.id, Access: rule,
		Responses: map[string]*Response{}, Security: []map[string][]string{},
	}
	r.write(b, o)
	o.Responses["default"] = &Response{Ref: responseRef + "Problem"}
	if rule.Public {
		return o
	}
	for _, role := range rule.Roles {
		o.Security = append(o.Security, map[string][]string{credential: {string(role)}})
	}
	for _, name := range sorted(commonParameters) {
		o.Parameters = append(o.Parameters, Parameter{Ref: "#/components/parameters/" + name})
	}
	for status, name := range map[string]string{"401": "Unauthorized", "403": "Forbidden", "429": "TooMany", "503": "Unavailable"} {
		if o.Responses[status] == nil {
			o.Responses[status] = &Response{Ref: responseRef + name}
		}
	}
	o.Description = strings.TrimSpace(o.Description + "\n\n" + rules(rule))
	return o
}

// rules says in words what the gate's rule is.
func rules(r access.Route) string {
	text := "Opens to: " + joined(r.Roles) + "."
	if len(r.Recorded) > 0 {
		text += " On record before it is served, when asked by: " + joined(r.Recorded) + "."
	}
	if r.Installation {
		return text + " About all tenants: a credential of another tenant than `default`, or one limited to services or products, is refused."
	}
	text += " About the credential's tenant."
	if len(r.Honors) > 0 {
		return text + " Keeps to the credential's limits of: " + joined(r.Honors) + "; one with other limits is refused."
	}
	return text + " A credential limited to services, products or masks is refused."
}

func joined[S ~string](all []S) string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return strings.Join(out, ", ")
}

func sorted[V any](m map[string]V) []string {
	var out []string
	for name := range m {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
