package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

// all are rules for every route that is described. What the rules of a running
// Lethe are is for the tests of services/lethe.
func all() []access.Route {
	var out []access.Route
	for _, t := range tables {
		for _, r := range t.routes {
			out = append(out, access.Route{Pattern: r.pattern, Roles: []access.Role{access.Officer}})
		}
	}
	return out
}

func built(t *testing.T) *builder {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return build(pol, all())
}

// parsed is the document as a reader of its JSON has it.
func parsed(t *testing.T) any {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(built(t).doc.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// walk visits every object of a JSON value, with where it is.
func walk(v any, at string, visit func(at string, o map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(at, v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			walk(v[name], at+"/"+strings.NewReplacer("~", "~0", "/", "~1").Replace(name), visit)
		}
	case []any:
		for i, e := range v {
			walk(e, fmt.Sprintf("%s/%d", at, i), visit)
		}
	}
}

func TestNoRouteIsDescribedTwice(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range all() {
		if seen[r.Pattern] {
			t.Errorf("%s stands in two places", r.Pattern)
		}
		seen[r.Pattern] = true
	}
}

func TestDescribingTwiceGivesTheSame(t *testing.T) {
	if !bytes.Equal(built(t).doc.Encode(), built(t).doc.Encode()) {
		t.Error("it does not")
	}
}

func TestEveryReferenceLeadsSomewhereAndEveryComponentIsUsed(t *testing.T) {
	doc := parsed(t).(map[string]any)
	used := map[string]bool{}
	walk(doc, "", func(at string, o map[string]any) {
		ref, ok := o["$ref"].(string)
		if !ok {
			return
		}
		used[ref] = true
		var v any = doc
		for _, step := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			v = v.(map[string]any)[step]
			if v == nil {
				t.Fatalf("%s refers to %s, which is not there", at, ref)
			}
		}
	})
	for _, kind := range []string{"schemas", "responses", "parameters"} {
		for name := range doc["components"].(map[string]any)[kind].(map[string]any) {
			if ref := "#/components/" + kind + "/" + name; !used[ref] {
				t.Errorf("%s is used by nothing", ref)
			}
		}
	}
}

// compiler holds the document, so that a place in it can be compiled as a
// schema.
func compiler(t *testing.T, doc any) *jsonschema.Compiler {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEveryExampleIsWhatItsSchemaSays, the examples of events included.
func TestEveryExampleIsWhatItsSchemaSays(t *testing.T) {
	doc := parsed(t)
	c, examples := compiler(t, doc), 0
	walk(doc, "", func(at string, o map[string]any) {
		example, has := o["example"]
		if _, schema := o["schema"]; !has || !schema {
			return
		}
		examples++
		s, err := c.Compile("openapi.json#" + at + "/schema")
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if err := s.Validate(example); err != nil {
			t.Errorf("%s: %v", at, err)
		}
		if err := s.Validate(map[string]any{"nobody": "says this"}); err == nil {
			t.Errorf("%s takes anything", at)
		}
	})
	if examples < 12 {
		t.Errorf("%d examples, want 12 or more", examples)
	}
}

// TestAnEventIsHeldToItsSchema: the bodies that publishers send, against the
// schemas of the policy.
func TestAnEventIsHeldToItsSchema(t *testing.T) {
	s, err := compiler(t, parsed(t)).Compile("openapi.json#/paths/~1v1~1events/post/requestBody/content/application~1json/schema")
	if err != nil {
		t.Fatal(err)
	}
	const good = `{"event": "http_access", "occurred_at": "2026-11-21T10:00:00Z", "data": {"client_ip": "192.0.2.7", "status": 200}}`
	for name, c := range map[string]struct {
		body string
		fits bool
	}{
		"one":                   {good, true},
		"several":               {"[" + good + "," + good + "]", true},
		"none":                  {"[]", true},
		"the data alone":        {`{"client_ip": "192.0.2.7", "status": 200}`, true},
		"a CloudEvent":          {`{"specversion": "1.0", "type": "http_access", "source": "shop", "id": "1", "data": {"client_ip": "192.0.2.7", "status": 200}}`, true},
		"an unknown event":      {strings.Replace(good, "http_access", "gossip", 1), false},
		"another event's data":  {strings.Replace(good, "http_access", "login", 1), false},
		"a status that is none": {strings.Replace(good, "200", "20", 1), false},
		"an unknown member":     {strings.Replace(good, `"event"`, `"who": 1, "event"`, 1), false},
		"a time that is none":   {strings.Replace(good, "2026-11-21T10", "yesterday", 1), false},
		"text":                  {`"hello"`, false},
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); (err == nil) != c.fits {
			t.Errorf("%s: fits %v, want %v", name, err == nil, c.fits)
		}
	}
}

func TestEveryOperationIsDescribedWhole(t *testing.T) {
	sentence := regexp.MustCompile(`[.:)]$`)
	ids := map[string]string{}
	for path, operations := range built(t).doc.Paths {
		for method, o := range operations {
			at := strings.ToUpper(method) + " " + path
			if o.Summary == "" || strings.HasSuffix(o.Summary, ".") {
				t.Errorf("%s: the summary is one line without a full stop", at)
			}
			if !sentence.MatchString(o.Description) {
				t.Errorf("%s: the description is not made of sentences", at)
			}
			if other := ids[o.ID]; other != "" || o.ID == "" {
				t.Errorf("%s has the id %q, as %q has", at, o.ID, other)
			}
			ids[o.ID] = at
			declared := map[string]bool{}
			for _, p := range o.Parameters {
				if p.Ref == "" && p.Description == "" {
					t.Errorf("%s: the parameter %s is not described", at, p.Name)
				}
				declared[p.In+" "+p.Name] = true
			}
			for _, m := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(path, -1) {
				if !declared["path "+m[1]] {
					t.Errorf("%s: the parameter %s of the path is not described", at, m[1])
				}
			}
			if !slices.ContainsFunc(slices.Collect(maps.Keys(o.Responses)), func(s string) bool { return s[0] == '2' }) {
				t.Errorf("%s: nothing says how it is answered when all goes well", at)
			}
		}
	}
}

// TestADescriptionThatIsMissingIsAskedFor, and one of nothing is found out.
func TestADescriptionThatIsMissingIsAskedFor(t *testing.T) {
	if said := Check(all()); len(said) > 0 {
		t.Errorf("nothing is missing, and it says %q", said)
	}
	for name, c := range map[string]struct {
		routes []access.Route
		says   []string
	}{
		"a route without":   {append(all(), access.Route{Pattern: "GET /v1/gossip"}), []string{"GET /v1/gossip", "table of pkg/openapi", "openapi.LeftOut"}},
		"one without route": {all()[1:], []string{all()[0].Pattern, "there is no such route"}},
	} {
		said := Check(c.routes)
		if len(said) != 1 {
			t.Fatalf("%s: it says %q", name, said)
		}
		for _, want := range c.says {
			if !strings.Contains(said[0], want) {
				t.Errorf("%s: %q does not name %s", name, said[0], want)
			}
		}
	}
	for _, pattern := range []string{"GET /console", "GET /console/", "POST /console/sign-in", "/v1/events"} {
		if said := Check(append(all(), access.Route{Pattern: pattern})); len(said) > 0 {
			t.Errorf("%s is left out on purpose, and it says %q", pattern, said)
		}
	}
}

// TestAProcessDescribesWhatItServes: one of the separate services has few
// routes, and nothing that only others need.
func TestAProcessDescribesWhatItServes(t *testing.T) {
	b := built(t)
	doc := New(b.policy, []access.Route{{Pattern: "GET /healthz", Public: true}, {Pattern: "GET /v1/gossip", Roles: access.Roles()}})
	if len(doc.Paths) != 1 || doc.Paths["/healthz"]["get"] == nil || len(doc.Tags) != 1 {
		t.Errorf("paths %v, tags %v", slices.Collect(maps.Keys(doc.Paths)), doc.Tags)
	}
	if schemas := slices.Collect(maps.Keys(doc.Components.Schemas)); len(schemas) != 1 {
		t.Errorf("it has the schemas %v, and needs that of problems", schemas)
	}
	if o := doc.Paths["/healthz"]["get"]; o.Security == nil || len(o.Security) != 0 {
		t.Error("a public route must say that it needs no credential")
	}
	rules := built(t).doc.Paths["/v1/keys"]["get"]
	if got, _ := json.Marshal(rules.Security); string(got) != `[{"credential":["officer"]}]` {
		t.Errorf("the credential that a route needs is %s", got)
	}
}
