package treatment_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

// treat runs one value through one column.
func treat(t testing.TB, c policy.Column, v event.Value) (event.Value, string) {
	t.Helper()
	c.Name, c.From = "out", [][]policy.Field{{{Name: "in", Kind: v.Kind()}}}
	table := &policy.Table{Name: "t", Event: "e", Class: &policy.Class{Period: policy.Period{Days: 30}}, Columns: []policy.Column{c}}
	tr := treatment.ForTables([]*policy.Table{table})
	tr.Knows("e", 1)
	rows, rejected, err := tr.Apply(header("e"), []event.Raw{raw(now, false, map[string]event.Value{"in": v})}, now, &keys{})
	if err != nil {
		t.Fatal(err)
	}
	if len(rejected) > 0 {
		return event.Value{}, rejected[0].Code
	}
	return rows[0].Row().Values[0], ""
}

func TestAnAddressLosesItsLastBits(t *testing.T) {
	for _, c := range []struct {
		in         string
		ipv4, ipv6 int
		want       string
	}{
		{"192.0.2.77", 0, 0, "192.0.2.0/24"},
		{"192.0.2.77", 16, 0, "192.0.0.0/16"},
		{" 192.0.2.77:8080", 0, 0, "192.0.2.0/24"},
		{"::ffff:192.0.2.77", 0, 0, "192.0.2.0/24"},
		{"[::ffff:c000:24d]:443", 0, 0, "192.0.2.0/24"},
		{"2001:db8:1:2:3:4:5:6", 0, 0, "2001:db8:1::/48"},
		{"2001:db8:1:2:3:4:5:6", 0, 32, "2001:db8::/32"},
		{"fe80::1%eth0", 0, 0, "fe80::/48"},
		{"[2001:db8:1:2::1]", 0, 0, "2001:db8:1::/48"},
		// 6to4: 48 bits would be all of 192.0.2.77.
		{"2002:c000:24d::1", 0, 0, "2002:c000:200::/40"},
		{"2002:c000:24d::1", 16, 0, "2002:c000::/32"},
		{"unknown", 0, 0, ""},
		{"192.0.2.077", 0, 0, ""},
		{"_hidden", 0, 0, ""},
	} {
		got, code := treat(t, policy.Column{Kind: event.String, Verb: policy.Truncate, To: "ip", IPv4Bits: c.ipv4, IPv6Bits: c.ipv6}, str(c.in))
		if code != "" || got.Str() != c.want {
			t.Errorf("%s with %d and %d bits became %q %s, want %q", c.in, c.ipv4, c.ipv6, got.Str(), code, c.want)
		}
	}
	if _, code := treat(t, policy.Column{Kind: event.String, Verb: policy.Truncate}, event.IntValue(7)); code != "type.in" {
		t.Errorf("a number was truncated as an address: %q", code)
	}
}

func TestNumbersAndTimesBecomeCoarse(t *testing.T) {
	at := time.Date(2026, 11, 21, 23, 59, 59, 999e6, time.UTC)
	for _, c := range []struct {
		to   string
		kind event.Kind
		in   event.Value
		want event.Value
		code string
	}{
		{"hour", event.Time, event.TimeValue(at), event.TimeValue(at.Truncate(time.Hour)), ""},
		{"day", event.Time, event.TimeValue(at), event.TimeValue(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)), ""},
		{"day", event.Time, event.TimeValue(time.Unix(-1, 0)), event.TimeValue(time.Unix(-86400, 0)), ""},
		{"hour", event.Time, str("noon"), event.Value{}, "type.in"},
		{"step:10", event.Int, event.IntValue(19), event.IntValue(10), ""},
		{"step:10", event.Int, event.IntValue(-1), event.IntValue(-10), ""},
		{"step:10", event.Int, event.IntValue(-10), event.IntValue(-10), ""},
		{"step:10", event.Int, event.IntValue(math.MaxInt64), event.IntValue(math.MaxInt64 - 7), ""},
		{"step:10", event.Int, event.IntValue(math.MinInt64), event.IntValue(math.MinInt64 + 8), ""},
		{"step:0.5", event.Float, event.FloatValue(1.7), event.FloatValue(1.5), ""},
		{"step:5", event.Float, event.FloatValue(-1), event.FloatValue(-5), ""},
		{"step:5", event.Float, event.IntValue(7), event.FloatValue(5), ""},
		{"step:5", event.Float, event.FloatValue(math.Inf(1)), event.Value{}, ""},
		{"step:5", event.Float, event.FloatValue(math.NaN()), event.Value{}, ""},
		{"step:0.5", event.Int, event.IntValue(7), event.Value{}, "type.in"},
		{"step:5", event.Int, str("7"), event.Value{}, "type.in"},
		{"step:0", event.Int, event.IntValue(7), event.Value{}, ""},
		{"nonsense", event.String, str("x"), event.Value{}, ""}, // unknown means no
		{"user_agent_family", event.String, str("curl/8"), str("curl"), ""},
		{"host", event.String, str("https://example.org/x"), str("example.org"), ""},
		{"host", event.String, str("example.org"), event.Value{}, ""},
	} {
		got, code := treat(t, policy.Column{Kind: c.kind, Verb: policy.Coarsen, To: c.to}, c.in)
		if code != c.code || got != c.want {
			t.Errorf("%s made another %s of a %s than expected (%q)", c.to, got.Kind(), c.in.Kind(), code)
		}
	}
}

func TestAStepIsAMultipleAtOrBelow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(-1<<53, 1<<53).Draw(t, "n")
		got, _ := treat(&testing.T{}, policy.Column{Kind: event.Int, Verb: policy.Coarsen, To: "step:17"}, event.IntValue(n))
		if got.Int()%17 != 0 || got.Int() > n || n-got.Int() >= 17 {
			t.Fatalf("%d became %d", n, got.Int())
		}
	})
}

func TestAnUnknownVerbKeepsNothing(t *testing.T) {
	for _, verb := range []policy.Verb{policy.Drop, "", "publish"} {
		if v, code := treat(t, policy.Column{Kind: event.String, Verb: verb}, str("x")); !v.IsNull() || code != "" {
			t.Errorf("the verb %q kept something", verb)
		}
	}
}

func TestAWholeNumberMayBecomeAFractionAndNothingElse(t *testing.T) {
	if v, code := treat(t, policy.Column{Kind: event.Float, Verb: policy.Keep}, event.IntValue(7)); code != "" || v.Float() != 7 {
		t.Errorf("a whole number did not become a fraction: %q", code)
	}
	for _, v := range []event.Value{str("7"), event.FloatValue(7), event.BoolValue(true)} {
		if _, code := treat(t, policy.Column{Kind: event.Int, Verb: policy.Keep}, v); code != "type.in" {
			t.Errorf("a %s became an integer", v.Kind())
		}
	}
}
