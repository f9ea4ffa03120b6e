package policy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// agreeDocuments is how many documents each schema is compared on.
func agreeDocuments() int {
	if testing.Short() || raceEnabled {
		return 2_000
	}
	return 100_000
}

// validator compiles a schema document with an independent implementation of
// JSON Schema.
func validator(t testing.TB, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.RegisterFormat(&jsonschema.Format{Name: "ip", Validate: func(v any) error {
		if s, ok := v.(string); ok {
			_, err := netip.ParseAddr(s)
			return err
		}
		return nil
	}})
	if err := c.AddResource("urn:test", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// schemaText returns the document that a schema was read from.
func schemaText(t testing.TB, s *policy.Schema) []byte {
	t.Helper()
	if s.Event == "every_keyword" {
		return []byte(everyKeyword)
	}
	text, err := schemas.FS.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestDecodeAgreesWithAStandardValidator(t *testing.T) {
	for _, s := range extended(t).Schemas() {
		t.Run(s.Event, func(t *testing.T) {
			text := schemaText(t, s)
			var doc schemaDocument
			if err := json.Unmarshal(text, &doc); err != nil {
				t.Fatal(err)
			}
			standard := validator(t, text)
			documents := doc.documents()
			accepted, refused := 0, 0
			const checks = 100 // of rapid, by default
			rapid.Check(t, func(rt *rapid.T) {
				for range agreeDocuments() / checks {
					text := documents.Draw(rt, "document")
					if compare(rt, s, standard, doc, text) {
						accepted++
					} else {
						refused++
					}
				}
			})
			// A generator that is always right or always wrong proves nothing.
			if total := accepted + refused; accepted < total/10 || refused < total/10 {
				t.Errorf("of %d documents %d were accepted: the generator is one-sided", total, accepted)
			}
		})
	}
}

// Every listed spelling of every format, right or nearly right, is held to
// every format: the random documents meet each of them too seldom.
func TestFormatsAgreeWithAStandardValidator(t *testing.T) {
	s, _ := extended(t).Latest("every_keyword")
	standard := validator(t, []byte(everyKeyword))
	var doc schemaDocument
	if err := json.Unmarshal([]byte(everyKeyword), &doc); err != nil {
		t.Fatal(err)
	}
	accepted := map[string]int{}
	for name, p := range doc.Properties {
		if p.Format == "" {
			continue
		}
		for format := range validFormats {
			for _, text := range slices.Concat(validFormats[format], nearFormats[format]) {
				if compare(t, s, standard, doc, `{"a_count":1,"a_text":"ab","`+name+`":`+quote(text)+`}`) {
					accepted[p.Format]++
				}
			}
		}
	}
	for format := range validFormats {
		if accepted[format] < 2 {
			t.Errorf("%d spellings of %s are accepted: the lists prove nothing", accepted[format], format)
		}
	}
}

// failer is a test of rapid, or of testing.
type failer interface{ Fatalf(string, ...any) }

// compare fails unless Decode and the standard validator give the same answer
// and the same values. It reports whether the document was accepted.
func compare(t failer, s *policy.Schema, standard *jsonschema.Schema, doc schemaDocument, text string) bool {
	values, problems := s.Decode([]byte(text))
	if (len(problems) == 0) != (values != nil) {
		t.Fatalf("Decode returns %d problems and values %v for %q", len(problems), values != nil, text)
	}
	for _, p := range problems {
		if p.Field != "" && p.Field != "an unknown field" && strings.Trim(p.Field, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Fatalf("a problem names %q", p.Field)
		}
	}
	// The validator takes an exponent of a million for a crash, and of a
	// hundred thousand for an afternoon: TestHugeExponentsAreCheap has those.
	if hugeExponent.MatchString(text) {
		return len(problems) == 0
	}
	var instance any
	err := error(nil)
	if !jsontext.Value(text).IsValid() {
		err = fmt.Errorf("not JSON")
	} else if instance, err = jsonschema.UnmarshalJSON(strings.NewReader(text)); err == nil {
		err = standard.Validate(instance)
	}
	switch {
	case err != nil && len(problems) == 0:
		t.Fatalf("Decode accepts %q; the validator says %v", text, err)
	case err == nil && len(problems) > 0:
		if !stricter(doc, instance) {
			t.Fatalf("Decode refuses %q with %v; the validator accepts it", text, problems)
		}
	case err == nil:
		sameValues(t, s, instance.(map[string]any), values, text)
	}
	return len(problems) == 0
}

var hugeExponent = regexp.MustCompile(`[eE][+-]?0*[1-9][0-9]{4}`)

// stricter says whether an event is one of the exceptions that Decode lists.
func stricter(doc schemaDocument, instance any) bool {
	object, ok := instance.(map[string]any)
	if !ok {
		return false
	}
	for name, v := range object {
		text, _ := v.(string)
		switch doc.Properties[name].Format {
		case "date-time":
			at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(strings.Replace(text, ":60", ":59", 1)))
			if err != nil || at.UTC().Year() < 1900 || at.UTC().Year() > 2299 {
				return true
			}
		case "ipv4":
			if strings.ContainsAny(text, "+-") {
				return true
			}
		case "email": // the same, in an address literal
			_, literal, found := strings.Cut(text, "@[")
			if found && !strings.HasPrefix(literal, "IPv6:") && strings.ContainsAny(literal, "+-") {
				return true
			}
		}
	}
	return false
}

func sameValues(t failer, s *policy.Schema, object map[string]any, values []event.Value, text string) {
	for i, f := range s.Fields {
		want, given := object[f.Name]
		got := values[i]
		var same bool
		switch want := want.(type) {
		case nil:
			same = !given && got.IsNull()
		case bool:
			same = got.Kind() == event.Bool && got.Bool() == want
		case json.Number:
			r, _ := new(big.Rat).SetString(want.String())
			switch f.Kind {
			case event.Int:
				same = got.Kind() == event.Int && r.Cmp(new(big.Rat).SetInt64(got.Int())) == 0
			case event.Float:
				f, _ := r.Float64()
				same = got.Kind() == event.Float && got.Float() == f
			}
		case string:
			same = got.Kind() == event.String && got.Str() == want
			if f.Kind == event.Time {
				leap := strings.Contains(want, ":60")
				at, err := time.Parse(time.RFC3339Nano, strings.ToUpper(strings.Replace(want, ":60", ":59", 1)))
				if leap {
					at = at.Add(time.Second)
				}
				same = err == nil && got.Kind() == event.Time && got.Time().Equal(at.Truncate(time.Millisecond))
			}
		}
		if !same {
			t.Fatalf("field %s of %q is not what was sent", f.Name, text)
		}
	}
}

// The comparison must be able to fail: a validator of another schema is caught.
func TestComparisonFindsAValidatorThatDiffers(t *testing.T) {
	pol := extended(t)
	s, _ := pol.Latest("every_keyword")
	other := strings.Replace(everyKeyword, `"maximum": 120`, `"maximum": 119`, 1)
	standard := validator(t, []byte(other))
	text := `{"a_count": 120, "a_text": "ab"}`
	_, problems := s.Decode([]byte(text))
	instance, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(problems) != 0 || standard.Validate(instance) == nil {
		t.Error("a maximum that differs by one is not noticed")
	}
}
