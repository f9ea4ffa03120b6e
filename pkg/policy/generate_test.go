package policy_test

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"
)

// property is what a generator knows of one field, read from the schema
// document itself and not through the package under test.
type property struct {
	Type      string   `json:"type"`
	Enum      []string `json:"enum"`
	Const     any      `json:"const"`
	Format    string   `json:"format"`
	Pattern   string   `json:"pattern"`
	MinLength int      `json:"minLength"`
	MaxLength *int     `json:"maxLength"`
	Minimum   *float64 `json:"minimum"`
	Maximum   *float64 `json:"maximum"`
}

type schemaDocument struct {
	Properties map[string]property `json:"properties"`
	Required   []string            `json:"required"`
}

// documents generates texts that may or may not be an event: mostly objects
// that are nearly right, because what is plainly wrong finds little.
func (s schemaDocument) documents() *rapid.Generator[string] {
	names := sortedNames(s.Properties)
	good, near := map[string]*rapid.Generator[string]{}, map[string]*rapid.Generator[string]{}
	for _, n := range names {
		good[n], near[n] = s.Properties[n].good(), s.Properties[n].near()
	}
	required := map[string]bool{}
	for _, n := range s.Required {
		required[n] = true
	}
	return rapid.Custom(func(t *rapid.T) string {
		// One document in three has nothing wrong on purpose.
		wrong := rapid.IntRange(0, 2).Draw(t, "wrong")
		twist := ""
		if wrong == 1 {
			twist = rapid.SampledFrom([]string{"near", "near", "near", "missing", "extra", "twice", "wild", "bytes"}).Draw(t, "twist")
		}
		victim := rapid.SampledFrom(names).Draw(t, "victim")
		var members []string
		for _, n := range names {
			if !required[n] && n != victim && !rapid.Bool().Draw(t, "given") {
				continue
			}
			gen := good[n]
			switch {
			case twist == "missing" && n == victim:
				continue
			case twist == "near" && n == victim:
				gen = near[n]
			case twist == "wild" && n == victim:
				gen = anyValue
			}
			members = append(members, memberName(t, n)+space(t)+":"+space(t)+gen.Draw(t, n))
		}
		switch twist {
		case "extra":
			members = append(members, rapid.SampledFrom([]string{`"extra"`, `""`, `"Client_IP"`, `"é"`, `"` + victim + ` "`}).Draw(t, "name")+":"+anyValue.Draw(t, "extra"))
		case "twice":
			members = append(members, memberName(t, victim)+":"+good[victim].Draw(t, "twice"))
		}
		if len(members) > 1 && rapid.Bool().Draw(t, "rotated") {
			members = append(members[1:], members[0])
		}
		text := space(t) + "{" + space(t) + strings.Join(members, ","+space(t)) + space(t) + "}" + space(t)
		if twist == "bytes" {
			text = mangle(t, text)
		}
		return text
	})
}

// mangle spoils a text in one place.
func mangle(t *rapid.T, text string) string {
	i := rapid.IntRange(0, len(text)-1).Draw(t, "at")
	switch rapid.IntRange(0, 3).Draw(t, "how") {
	case 0:
		return text[:i]
	case 1:
		return text[:i] + text[i+1:]
	case 2:
		return text + rapid.SampledFrom([]string{",", "{}", "x", "\x00", "}"}).Draw(t, "tail")
	}
	b := rapid.SampledFrom([]byte("\"\\{}[],:0-.eE \n\x00\x7f\x80\xc3\xff")).Draw(t, "byte")
	return text[:i] + string([]byte{b}) + text[i+1:]
}

func memberName(t *rapid.T, n string) string {
	if rapid.IntRange(0, 15).Draw(t, "escape") == 0 {
		return fmt.Sprintf(`"\u%04x%s"`, n[0], n[1:])
	}
	return `"` + n + `"`
}

func space(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", "", " ", "\t", "\r\n", "\f"}).Filter(func(s string) bool { return s != "\f" }).Draw(t, "space")
}

// quote writes a JSON string, in one of the ways there are.
func quote(s string) string {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		return `"` + s + `"`
	}
	return string(b)
}

func just(texts ...string) *rapid.Generator[string] { return rapid.SampledFrom(texts) }

// good generates values that the schema accepts, nearly always.
func (p property) good() *rapid.Generator[string] {
	switch {
	case p.Const != nil:
		return just(fmt.Sprintf("%#v", p.Const))
	case p.Type == "boolean":
		return just("true", "false")
	case p.Type == "integer":
		return rapid.Map(rapid.Int64Range(int64(*p.Minimum), int64(*p.Maximum)), func(n int64) string { return fmt.Sprint(n) })
	case p.Type == "number":
		return rapid.Map(rapid.Float64Range(*p.Minimum, *p.Maximum), func(f float64) string { return fmt.Sprint(f) })
	case len(p.Enum) > 0:
		return rapid.Map(rapid.SampledFrom(p.Enum), quote)
	case p.Format != "":
		return rapid.Map(rapid.SampledFrom(validFormats[p.Format]), quote)
	case p.Pattern != "":
		return rapid.Map(rapid.StringMatching(strings.NewReplacer("^", "", "$", "", "*", "{0,3}").Replace(p.Pattern)), quote)
	}
	return rapid.Map(rapid.StringN(p.MinLength, min(*p.MaxLength, p.MinLength+6), -1), quote)
}

// near generates values at the edge of what the schema accepts.
func (p property) near() *rapid.Generator[string] {
	switch p.Type {
	case "boolean":
		return just("true", "false", "True", "0", "1", `"true"`, "null", "tru", "truee")
	case "integer", "number":
		edges := []string{"0", "-0", "0.0", "-0.0", "1.0", "1e2", "1E+2", "100e-2", "120.0", "1.5", "0.1e1", "-3", "-3.0", "-4", "121", "7.0",
			"1e400", "-1e400", "1e-400", "-1e-400", "1.0000000000000000000000001", "9007199254740992", "-9007199254740992.0", "99999999999999999999",
			"01", "+1", ".5", "1.", "1e", "1e+", "--1", "-", "0x1", "NaN", "Infinity", `"1"`, "null", "1_0", "599.0000", "5.99e2", "0e0", "00", "-01"}
		for _, b := range []float64{*p.Minimum, *p.Maximum} {
			s := fmt.Sprintf("%.3f", b)
			edges = append(edges, s, s+"1", fmt.Sprintf("%.0f", b), fmt.Sprintf("%.0f", b-1), fmt.Sprintf("%.0f", b+1), fmt.Sprintf("%e", b),
				strings.TrimRight(s, "0")+"00000000000000000000000001", "-"+strings.TrimPrefix(s, "-"))
		}
		return just(edges...)
	}
	texts := []*rapid.Generator[string]{escapes, anyValue, rapid.Map(rapid.String(), quote)}
	if p.MaxLength != nil {
		edge := rapid.Custom(func(t *rapid.T) string {
			r := rapid.SampledFrom([]string{"a", "é", "漢", "🙂", `\u00e9`, `\ud83d\ude42`, `\n`}).Draw(t, "rune")
			n := rapid.SampledFrom([]int{0, 1, p.MinLength - 1, p.MinLength, *p.MaxLength - 1, *p.MaxLength, *p.MaxLength + 1}).Draw(t, "length")
			return `"` + strings.Repeat(r, max(n, 0)) + `"`
		})
		texts = append(texts, edge, edge)
	}
	for _, e := range p.Enum {
		texts = append(texts, just(quote(e+" "), quote(strings.ToUpper(e)), quote(e), `"`+fmt.Sprintf(`\u%04x`, firstRune(e))+e[utf8.RuneLen(firstRune(e)):]+`"`))
	}
	if p.Format != "" {
		misses := rapid.Map(rapid.SampledFrom(nearFormats[p.Format]), quote)
		edits := rapid.Custom(func(t *rapid.T) string {
			s := []rune(rapid.SampledFrom(append(validFormats[p.Format], nearFormats[p.Format]...)).Draw(t, "base"))
			for range rapid.IntRange(1, 2).Draw(t, "edits") {
				if len(s) == 0 {
					break
				}
				i := rapid.IntRange(0, len(s)-1).Draw(t, "at")
				r := rapid.SampledFrom([]rune("0129afzZT+-.:@[]%\"\\ é\x00/?#")).Draw(t, "rune")
				switch rapid.IntRange(0, 2).Draw(t, "edit") {
				case 0:
					s[i] = r
				case 1:
					s = append(s[:i], s[i+1:]...)
				case 2:
					s = append(s[:i], append([]rune{r}, s[i:]...)...)
				}
			}
			return quote(string(s))
		})
		texts = append(texts, misses, misses, edits, edits)
	}
	return rapid.OneOf(texts...)
}

func firstRune(s string) rune { r, _ := utf8.DecodeRuneInString(s); return r }

// escapes are strings whose spelling is the point.
var escapes = just(`"\u0000"`, `"\ud800"`, `"\udc00"`, `"\ud83d\ude42"`, `"\ude42\ud83d"`, `"\ud83dx"`, `"\ud83d\n"`, `"\ud83d\u0041"`,
	`"\uD83D\uDE42"`, `"\u00g0"`, `"\u00"`, `"\x41"`, `"\'"`, `"\/"`, `"\b\f\n\r\t"`, "\"\x01\"", "\"\x7f\"", "\"\xff\"", "\"\xc3\"", "\"a\\n\xc3\"",
	"\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\u2028\"", `""`, `"a`, `a"`, `"\"`, `"\\"`, `"\u00e9"`, `"e\u0301"`)

// anyValue is any JSON, and some that is none.
var anyValue = rapid.OneOf(
	just("null", "true", "false", "0", "-1.5e3", `"x"`, "[]", "{}", "[1,[2,{}],\"a\"]", `{"a":1,"a":2}`, `{"a":{"b":[null]}}`, "[1,]", "{,}", "[", "nul", "nulll", "",
		`{"a":1,}`, `{"a"}`, `{a:1}`, "[\"\xff\"]", `["\ud800"]`, `{"\ud800":1}`, "'x'", strings.Repeat("[", 20)+strings.Repeat("]", 20)),
	escapes,
)

var validFormats = map[string][]string{
	"date-time": {"2026-03-04T05:06:07Z", "2026-03-04t05:06:07z", "2026-03-04T05:06:07.123456789+02:00", "1990-12-31T23:59:60Z", "1990-12-31T15:59:60-08:00",
		"2024-02-29T00:00:00-00:00", "1937-01-01T12:00:27.87+00:20", "2026-03-04T05:06:07.1234567890123Z", "2026-12-31T23:59:59.999-23:59"},
	"email": {"ada@example.org", "a.b+c@mail.example.org", `"odd one"@example.org`, "x@[192.0.2.1]", "x@[IPv6:2001:db8::1]", "!#$%&'*+-/=?^_`{|}~@example.org", "a@b"},
	"ip":    {"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.7", "fe80::1%eth0", "::", "2001:DB8:0:0:0:0:0:1"},
	"ipv4":  {"192.0.2.1", "0.0.0.0", "255.255.255.255"},
	"ipv6":  {"2001:db8::1", "::", "::ffff:192.0.2.7", "2001:DB8:0:0:0:0:0:1"},
	"uri":   {"https://www.example.org/a?b=c#d", "urn:lethe:x", "mailto:ada@example.org", "http://[2001:db8::1]:80/"},
	"uuid":  {"123e4567-e89b-12d3-a456-426614174000", "123E4567-E89B-12D3-A456-426614174000"},
}

var nearFormats = map[string][]string{
	"date-time": {"", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:60Z", "2026-01-01T23:59:61Z", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z",
		"2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60", "2026-01-01T00:00:00+0100", "2026-1-01T00:00:00Z", "02026-01-01T00:00:00Z", "2026-01-01T00:00Z",
		"0000-01-01T00:00:00Z", "1899-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2026-01-01T+1:00:00Z", "2026-01-01T00:00:00+-1:00", "２０26-01-01T00:00:00Z", "2026-W01-1T00:00:00Z",
		"1990-12-31T23:59:60+01:00", "1991-01-01T00:59:60+01:00", "1900-01-01T00:30:00+01:00"},
	"email": {"", "@", "a@", "@b", "a@@b", "a b@c", "a..b@c", ".a@b", "a.@b", "a@-b", "a@b-", "a@b..c", "a@b.", "a@[1.2.3]", "a@[IPv6:zz]", "a@[]", `"@b`, `""@b`, `"a\"b"@c`, "é@b", "a@é",
		strings.Repeat("a", 64) + "@b", strings.Repeat("a", 65) + "@b", "a@" + strings.Repeat("b", 63), "a@" + strings.Repeat("b", 64), "a@" + strings.Repeat("b.", 126) + "c", "ada.example.org", "a@b@c"},
	"ip":   {"", "192.0.2", "192.0.2.256", "192.0.02.1", "1.2.3.4.5", ":::", "2001:db8::1::2", "12345::", "fe80::1%", "fe80::1%é%25", "192.0.2.1%eth0", "[::1]", "192.0.2.1:80", " 192.0.2.1", "::ffff:192.0.2.256", "::1%a/b", "0x7f.0.0.1", "2130706433"},
	"ipv4": {"", "192.0.2", "192.0.2.256", "192.0.02.1", "1.2.3.4.5", "+1.2.3.4", "-0.2.3.4", "1.2.3.-4", "1.2.3.4 ", "1.2.3.４", "::1", "1..2.3", "1.2.3.00"},
	"ipv6": {"", "192.0.2.1", "fe80::1%eth0", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::g", "::ffff:1.2.3", "[::1]", "::1/64"},
	"uri":  {"", "/relative", "//host/path", "http://", "http://[::1", "http://::1/", "http://exa mple.org", "http://a:b", "http://[fe80::1%25eth0]/", "%zz", "a b:", "1http://x", "http://x/%zz", ":", "x:", "http://[::1]extra/", "\x00:", "http://a/b c"},
	"uuid": {"", "123e4567e89b12d3a456426614174000", "123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-4266141740000", "g23e4567-e89b-12d3-a456-426614174000", "{123e4567-e89b-12d3-a456-426614174000}", "123e456-7e89b-12d3-a456-426614174000"},
}
