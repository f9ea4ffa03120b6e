package schemas_test

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"testing"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

func builtin(t *testing.T) []*policy.Schema {
	t.Helper()
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatalf("the documents are at fault:\n%v", err)
	}
	return pol.Schemas()
}

func TestEveryBuiltInEventIsThere(t *testing.T) {
	var got []string
	for _, s := range builtin(t) {
		got = append(got, s.Family+"/"+s.Event)
	}
	want := []string{
		"licensing/activation", "ops/admin_audit", "ops/app_log", "web/http_access",
		"ops/login", "web/page_view", "web/user_action",
	}
	if !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func TestEveryEventHasTwoExamples(t *testing.T) {
	for _, s := range builtin(t) {
		if len(s.Examples) < 2 {
			t.Errorf("event %s has %d examples", s.Event, len(s.Examples))
		}
		// Between them the examples show every field.
		shown := make([]bool, len(s.Fields))
		for _, e := range s.Examples {
			values, problems := s.Decode(e)
			if len(problems) > 0 {
				t.Errorf("an example of %s is refused: %v", s.Event, problems)
				continue
			}
			for i, v := range values {
				shown[i] = shown[i] || !v.IsNull()
			}
		}
		for i, f := range s.Fields {
			if !shown[i] {
				t.Errorf("no example of %s shows the field %s", s.Event, f.Name)
			}
		}
	}
}

var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
}

var mail = regexp.MustCompile(`@[a-z.]+`)

// Examples are copied into terminals and slides.
func TestExamplesNameNobody(t *testing.T) {
	for _, s := range builtin(t) {
		for _, e := range s.Examples {
			for _, m := range mail.FindAll(e, -1) {
				if !bytes.HasSuffix(m, []byte("example.org")) {
					t.Errorf("an example of %s has an address that is not of example.org", s.Event)
				}
			}
			values, _ := s.Decode(e)
			for i, f := range s.Fields {
				if f.Identifier != "ip" || values[i].Kind() != event.String {
					continue
				}
				ip := netip.MustParseAddr(values[i].Str())
				if !slices.ContainsFunc(documentation, func(p netip.Prefix) bool { return p.Contains(ip) }) {
					t.Errorf("an example of %s has an address that is not for documentation", s.Event)
				}
			}
		}
	}
}
