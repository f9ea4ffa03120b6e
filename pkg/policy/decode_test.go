package policy_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

func TestValuesComeInTheOrderOfFields(t *testing.T) {
	s, _ := extended(t).Latest("every_keyword")
	values, problems := s.Decode([]byte(` {"a_text":"\u0061\n","a_count":1.2e1, "a_measure":-0.25,"a_flag":false,"a_time":"2026-03-04T05:06:07.089+01:00"} `))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got := map[string]event.Value{}
	for i, name := range s.FieldNames() {
		got[name] = values[i]
	}
	for name, want := range map[string]bool{
		"a_text":    got["a_text"].Str() == "a\n",
		"a_count":   got["a_count"].Kind() == event.Int && got["a_count"].Int() == 12,
		"a_measure": got["a_measure"].Kind() == event.Float && got["a_measure"].Float() == -0.25,
		"a_flag":    got["a_flag"].Kind() == event.Bool && !got["a_flag"].Bool(),
		"a_time":    got["a_time"].Kind() == event.Time && got["a_time"].Time().Format("15:04:05.000") == "04:06:07.089",
		"a_mail":    got["a_mail"].IsNull(),
	} {
		if !want {
			t.Errorf("field %s is not what was sent", name)
		}
	}
}

func TestEveryProblemOfAnEventIsNamed(t *testing.T) {
	s, _ := builtin(t).Latest("http_access")
	for _, test := range []struct {
		data string
		want []string
	}{
		{`{}`, []string{"client_ip is missing", "status is missing"}},
		{`{"client_ip":"192.0.2.1","status":"200","bytes":-1}`, []string{"status must be a whole number", "bytes is less than 0"}},
		{`{"client_ip":"host.example.org","status":99}`, []string{"client_ip must be an IP address", "status is less than 100"}},
		{`{"client_ip":"192.0.2.1","status":200,"status":200}`, []string{"status is given twice"}},
		{`{"client_ip":"192.0.2.1","status":200,"colour":1,"Ada Lovelace":1}`,
			[]string{"colour is not part of this event", "an unknown field is not part of this event"}},
		{`{"client_ip":null,"status":2e2}`, []string{"client_ip must be a string"}},
		{`{"client_ip":"192.0.2.1","status":200`, []string{"the event is not valid JSON"}},
		{`[]`, []string{"the event is not a JSON object"}},
		{`"x"`, []string{"the event is not a JSON object"}},
		{``, []string{"the event is not valid JSON"}},
		{"{\"client_ip\":\"192.0.2.1\",\"status\":200,\"user\":\"\xff\"}", []string{"the event holds text that is not valid UTF-8"}},
		{`{"client_ip":"192.0.2.1","status":200,"user":"\ud800"}`, []string{"the event holds text that is not valid UTF-8"}},
		{`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, []string{"the event nests values too deeply"}},
		{`{"client_ip":"192.0.2.1","status":200,"x":{"a":1,"a":2}}`, []string{"the event gives a name twice"}},
	} {
		_, problems := s.Decode([]byte(test.data))
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%.60s (-want +got):\n%s", test.data, diff)
		}
	}
}

func TestProblemsNeverHoldAValue(t *testing.T) {
	const mark = "ada-Lovelace-4711"
	for _, s := range builtin(t).Schemas() {
		for _, f := range s.Fields {
			for _, data := range []string{
				`{"` + f.Name + `":"` + mark + `"}`,
				`{"` + f.Name + `":["` + mark + `"]}`,
				`{"` + f.Name + `":{"` + mark + `":1}}`,
				`{"` + mark + `":"` + f.Name + `"}`,
				`{"` + f.Name + `":` + mark + `}`,
				`{"` + f.Name + `":"` + strings.Repeat(mark, 9000) + `"}`,
				`{"` + f.Name + `":4711471147114711}`,
			} {
				_, problems := s.Decode([]byte(data))
				for _, p := range problems {
					if strings.Contains(p.String(), mark) || strings.Contains(p.String(), "4711") {
						t.Errorf("a problem of %s.%s holds the value", s.Event, f.Name)
					}
				}
			}
		}
	}
}

func TestManyProblemsAreNotAllTold(t *testing.T) {
	s, _ := builtin(t).Latest("login")
	var b strings.Builder
	b.WriteString("{")
	for i := range 10_000 {
		b.WriteString(`"x` + strings.Repeat("y", i%40) + `":1,`)
	}
	b.WriteString(`"z":1}`)
	if _, problems := s.Decode([]byte(b.String())); len(problems) > 30 {
		t.Errorf("%d problems are told", len(problems))
	}
}

// Exponents that a big.Rat takes hours for.
func TestHugeExponentsAreCheap(t *testing.T) {
	s, _ := extended(t).Latest("every_keyword")
	for number, want := range map[string]bool{
		"0e999999999999999999999": true, "-0E-99999999999999999999": true,
		"1e999999999999999999999": false, "1e-999999999999999999999": false,
		"100000e-5": true, "0.00000000000000000000000000001e29": true,
		"1" + strings.Repeat("0", 1000) + "e-1000": true, strings.Repeat("9", 100_000): false,
	} {
		_, problems := s.Decode([]byte(`{"a_text":"ab","a_count":` + number + `}`))
		if (len(problems) == 0) != want {
			t.Errorf("%.30s accepted: %v, want %v", number, len(problems) == 0, want)
		}
	}
	values, problems := s.Decode([]byte(`{"a_text":"ab","a_count":0,"a_measure":1e-999999999999}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for i, name := range s.FieldNames() {
		if name == "a_measure" && math.Abs(values[i].Float()) != 0 {
			t.Error("a number too small for a float is not zero")
		}
	}
}

func TestTimesOutsideOfWhatTablesHoldAreRefused(t *testing.T) {
	s, _ := extended(t).Latest("every_keyword")
	for text, want := range map[string]bool{
		"1900-01-01T00:00:00Z": true, "1899-12-31T23:59:59Z": false, "1900-01-01T00:30:00+01:00": false,
		"2299-12-31T23:59:59Z": true, "2300-01-01T00:00:00Z": false, "2299-12-31T23:30:00-01:00": false, "9999-12-31T23:59:59Z": false,
	} {
		_, problems := s.Decode([]byte(`{"a_text":"ab","a_count":1,"a_time":"` + text + `"}`))
		if (len(problems) == 0) != want {
			t.Errorf("%s accepted: %v, want %v", text, len(problems) == 0, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	pol := builtin(f)
	for _, s := range pol.Schemas() {
		for _, e := range s.Examples {
			f.Add(e)
		}
	}
	f.Add([]byte(`{"a":"\ud83d\ude42","b":[1e5,{}]}`))
	schemas := pol.Schemas()
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range schemas {
			values, problems := s.Decode(data)
			if len(problems) == 0 && len(values) != len(s.Fields) {
				t.Fatalf("%s: %d values for %d fields", s.Event, len(values), len(s.Fields))
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range builtin(b).Schemas() {
		b.Run(s.Event, func(b *testing.B) {
			data := s.Examples[0]
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := s.Decode(data); len(problems) > 0 {
					b.Fatal(problems)
				}
			}
		})
	}
}
