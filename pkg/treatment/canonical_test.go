package treatment_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

func TestCanonicalFormsAreTheVectors(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	count, want := 0, -1
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		if rest, ok := strings.CutPrefix(line, "# count: "); ok {
			want, _ = strconv.Atoi(rest)
		}
		if line == "" || line[0] == '#' {
			continue
		}
		part := strings.Split(line, "\t")
		if len(part) != 3 {
			t.Fatalf("vector %q does not have three parts", line)
		}
		count++
		in, err := strconv.Unquote(part[1])
		if err != nil {
			t.Fatalf("vector %q: %v", line, err)
		}
		got, err := treatment.Canonical(part[0], in)
		switch {
		case part[2] == "!":
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%s: accepted", line)
			}
		case err != nil:
			t.Errorf("%s: refused: %v", line, err)
		case strconv.QuoteToASCII(got) != part[2]:
			t.Errorf("%s: got %s", line, strconv.QuoteToASCII(got))
		}
	}
	if count != want {
		t.Errorf("%d vectors, the file says %d", count, want)
	}
}

// spelling writes a canonical value in another of its spellings.
func spelling(t *rapid.T, kind, s string) string {
	switch kind {
	case "ip":
		addr := netip.MustParseAddr(s)
		forms := []string{addr.String(), addr.StringExpanded(), strings.ToUpper(addr.StringExpanded()), " " + s}
		if addr.Is4() {
			b := addr.As4()
			forms = append(forms, "::ffff:"+s, fmt.Sprintf("::FFFF:%x%02x:%x%02x", b[0], b[1], b[2], b[3]))
		} else {
			forms = append(forms, s+"%eth0")
		}
		return rapid.SampledFrom(forms).Draw(t, "spelling")
	case "cookie", "text":
		return rapid.SampledFrom([]string{s, norm.NFD.String(s), norm.NFC.String(s)}).Draw(t, "spelling")
	}
	forms := []string{s, " " + s, s + "\n", strings.ToUpper(s), norm.NFD.String(s), strings.ToUpper(norm.NFD.String(s))}
	if kind != "machine_code" && kind != "license_key" && strings.Contains(s, "@") {
		forms = append(forms, s+".")
	}
	return rapid.SampledFrom(forms).Draw(t, "spelling")
}

func TestEverySpellingHasOneCanonicalForm(t *testing.T) {
	// Letters whose capitals come back to them. The few that do not (dotless
	// i, long s, final sigma) have spellings that no software takes for one.
	letters := []rune("abcdefghijklmnopqrstuvwxyz0123456789äöüéñçåøłžșбвгдαβγδεאבג漢字")
	word := rapid.StringOfN(rapid.SampledFrom(letters), 1, 12, -1)
	inputs := map[string]*rapid.Generator[string]{
		"ip": rapid.OneOf(
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 4, 4), func(b []byte) string { return netip.AddrFrom4([4]byte(b)).String() }),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) string {
				b[0] = 0x20 // global unicast: no IPv4-mapped address
				return netip.AddrFrom16([16]byte(b)).String()
			}),
		),
		"email":        rapid.Map(word, func(s string) string { return s + ".x+y@bücher.example.org" }),
		"account":      word,
		"machine_code": word,
		"license_key":  word,
		"cookie":       rapid.String(),
		"text":         rapid.String(),
	}
	for kind, input := range inputs {
		t.Run(kind, rapid.MakeCheck(func(t *rapid.T) {
			s := input.Draw(t, "value")
			want, err := treatment.Canonical(kind, s)
			if err != nil {
				t.Fatalf("a value of kind %s was refused", kind)
			}
			if again, err := treatment.Canonical(kind, want); err != nil || again != want {
				t.Fatalf("%s: the canonical form is not its own canonical form", kind)
			}
			if got, err := treatment.Canonical(kind, spelling(t, kind, s)); err != nil || got != want {
				t.Fatalf("%s: a spelling has another canonical form (%v)", kind, err)
			}
		}))
	}
}

func TestCanonicalFormsOfAnythingAreStable(t *testing.T) {
	for _, kind := range []string{"ip", "email", "account", "machine_code", "license_key", "cookie", "name", "text", ""} {
		t.Run("kind "+kind, rapid.MakeCheck(func(t *rapid.T) {
			want, err := treatment.Canonical(kind, rapid.String().Draw(t, "value"))
			if err != nil || want == "" {
				return
			}
			if got, err := treatment.Canonical(kind, want); err != nil || got != want {
				t.Fatalf("the canonical form is not its own canonical form (%v)", err)
			}
		}))
	}
}

func TestPartsNameTheFieldAndNeverTheValue(t *testing.T) {
	fields := []policy.Field{{Name: "client_ip", Identifier: "ip"}, {Name: "language"}}
	parts, err := treatment.Parts(fields, []event.Value{event.StringValue("::ffff:192.0.2.1"), event.StringValue("en")})
	if err != nil || len(parts) != 3 || parts[0] != treatment.Version || parts[1] != "192.0.2.1" {
		t.Fatalf("%d parts, error %v", len(parts), err)
	}
	if parts, err := treatment.Parts(fields, make([]event.Value, 2)); err != nil || parts != nil {
		t.Errorf("absent values gave %d parts, error %v", len(parts), err)
	}
	_, err = treatment.Parts(fields, []event.Value{event.StringValue("qqsecretqq"), event.StringValue("en")})
	if !errors.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "client_ip") || strings.Contains(err.Error(), "qq") {
		t.Errorf("the error does not name the field, or names more")
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"ada@example.org", "192.0.2.1", "xn--bcher-kva.example", "\u0130", "a@[::1]", "@", "a@xn--"} {
		f.Add("email", s)
		f.Add("ip", s)
		f.Add("account", s)
	}
	f.Fuzz(func(t *testing.T, kind, s string) {
		got, err := treatment.Canonical(kind, s)
		if err != nil || got == "" {
			return
		}
		if again, err := treatment.Canonical(kind, got); err != nil || again != got {
			t.Error("the canonical form is not its own canonical form")
		}
	})
}
