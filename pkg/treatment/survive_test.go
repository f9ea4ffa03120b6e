package treatment_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/treatment"
)

// Identifiers are made of letters that the text around them lacks, so that
// whatever is found of one in the output came from it.
var (
	rare      = []rune("qxzjkv")
	rareWord  = rapid.StringOfN(rapid.SampledFrom(rare), 4, 12, -1)
	around    = rapid.StringOfN(rapid.SampledFrom([]rune("ghilmnorst  ")), 0, 20, -1)
	boundary  = rapid.SampledFrom([]string{" ", ", ", "; ", ": ", " (", " <", "'", "\"", " = ", "\n", "\t"})
	plantMail = rapid.Custom(func(t *rapid.T) string {
		local := rareWord.Draw(t, "local") + rapid.SampledFrom([]string{"", ".", "+", "-", "_", "'"}).Draw(t, "sep") + rareWord.Draw(t, "local")
		return local + "@" + rareWord.Draw(t, "domain") + "." + rareWord.Draw(t, "domain") + rapid.SampledFrom([]string{"", ".qxz"}).Draw(t, "domain")
	})
	plantIPv4 = rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.ByteRange(100, 255), 4, 4).Draw(t, "octets")
		s := netip.AddrFrom4([4]byte(b)).String()
		return rapid.SampledFrom([]string{s, s + ":443", s + "/32", "[" + s + "]", "::ffff:" + s, strings.ReplaceAll(s, ".", "-")}).Draw(t, "form")
	})
	plantIPv6 = rapid.Custom(func(t *rapid.T) string {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")
		b[0], b[8] = 0x20, 0x99
		addr := netip.AddrFrom16([16]byte(b))
		s := addr.String()
		return rapid.SampledFrom([]string{
			s, addr.StringExpanded(), strings.ToUpper(addr.StringExpanded()), "[" + s + "]", "[" + s + "]:443", s + "/128", s + "%qx0",
		}).Draw(t, "form")
	})
	plantToken = rapid.Custom(func(t *rapid.T) string {
		return rapid.StringOfN(rapid.SampledFrom([]rune("qxzjkvQXZJKV0123456789")), 24, 64, -1).Draw(t, "token") + "7"
	})
	plantPhone = rapid.Custom(func(t *rapid.T) string {
		d := rapid.StringOfN(rapid.SampledFrom([]rune("0123456789")), 9, 15, -1).Draw(t, "digits")
		sep := rapid.SampledFrom([]string{"", " ", "-", "."}).Draw(t, "sep")
		return "+" + strings.Join([]string{d[:2], d[2:5], d[5:]}, sep)
	})
)

// disguise writes an identifier so that software reads what a person does.
func disguise(t *rapid.T, s string) string {
	percent := func(s string, all bool) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			if all || strings.IndexByte("@.:+", c) >= 0 {
				fmt.Fprintf(&b, "%%%02X", c)
			} else {
				b.WriteByte(c)
			}
		}
		return b.String()
	}
	switch rapid.SampledFrom([]string{"none", "percent", "all", "twice", "wide", "hidden", "entity", "json"}).Draw(t, "disguise") {
	case "percent":
		return percent(s, false)
	case "all":
		return percent(s, true)
	case "twice":
		return url.QueryEscape(url.QueryEscape(s))
	case "wide":
		return strings.Map(func(r rune) rune {
			if r > ' ' && r < 0x7f {
				return r - ' ' + 0xFF00
			}
			return r
		}, s)
	case "hidden":
		return strings.Join(strings.Split(s, ""), rapid.SampledFrom([]string{"\u200b", "\u00ad", "\u2060", "\ufeff", "\ufe0f"}).Draw(t, "with"))
	case "entity":
		return strings.ReplaceAll(s, "@", "&#64;")
	case "json":
		return strings.ReplaceAll(s, "@", `\u0040`)
	}
	return s
}

// survives finds three characters in a row of an identifier in a text.
func survives(identifier, text string) bool {
	text = strings.ToLower(text)
	if plain, err := url.PathUnescape(text); err == nil {
		text = plain
	}
	for part := range strings.FieldsFuncSeq(strings.ToLower(identifier), func(r rune) bool { return strings.ContainsRune("@.:+-_'[]%/ ", r) }) {
		for i := 0; i+3 <= len(part); i++ {
			if strings.Contains(text, part[i:i+3]) {
				return true
			}
		}
	}
	return false
}

func TestNoPartOfAnIdentifierSurvivesInText(t *testing.T) {
	for name, plant := range map[string]*rapid.Generator[string]{
		"mail": plantMail, "ipv4": plantIPv4, "ipv6": plantIPv6, "token": plantToken, "phone": plantPhone,
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s := plant.Draw(t, "identifier")
			text := around.Draw(t, "before") + boundary.Draw(t, "left") + disguise(t, s) + boundary.Draw(t, "right") + around.Draw(t, "after")
			if out := treatment.RedactText(text); survives(s, out) {
				t.Fatalf("of %q in %q there is left %q", s, text, out)
			}
		}))
	}
}

func TestNoPartOfAnIdentifierSurvivesInAPath(t *testing.T) {
	forms := []string{"/a/%s/b", "/a/%s", "%s", "/a/b;x=%s/c", "/a?q=%s", "/a?%s", "/a?%s=1", "/a?b=1&c=%s&d", "/a#%s", "https://%s@host.example/x", "https://h.example/%s?x", "/a/x=%s", "/a/b%%2F%s"}
	for name, plant := range map[string]*rapid.Generator[string]{
		"mail": plantMail, "ipv4": plantIPv4, "ipv6": plantIPv6, "token": plantToken, "phone": plantPhone,
	} {
		t.Run(name, rapid.MakeCheck(func(t *rapid.T) {
			s, _, _ := strings.Cut(plant.Draw(t, "identifier"), "/")
			path := fmt.Sprintf(rapid.SampledFrom(forms).Draw(t, "form"), disguise(t, s))
			if out := treatment.RedactPath(path); survives(s, out) {
				t.Fatalf("of %q in %q there is left %q", s, path, out)
			}
		}))
	}
}

func TestNoValueOfAQuerySurvives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rareWord.Draw(t, "value")
		path := "/a?" + url.Values{"name": {around.Draw(t, "text") + secret}, "next": {"/x?y=" + secret}}.Encode()
		if out := treatment.RedactPath(path); survives(secret, out) {
			t.Fatalf("of %q in %q there is left %q", secret, path, out)
		}
	})
}

// The control: the tests above see an identifier that nobody took out.
func TestSurvivalIsSeen(t *testing.T) {
	if !survives("qxzjkv@zzkj.qxz", "user qxzjkv logged in") || !survives("203.0.113.7", "/a/203%2E0.113.7") || survives("qxzjkv@zzkj.qxz", "user [email]") {
		t.Error("what survives is not seen, so the tests of survival show nothing")
	}
}

func TestTheFastWaysAnswerAsTheSlowOnes(t *testing.T) {
	words := []string{"abc", "A", "bearer", "Bearer", "basic", "b", "x", "deadbeef", "face", "(at)", "(dot)", " ", " ", "-", "_", ".", ",", "internationalization", "/", "12", "3", "@", "'", "?", "~"}
	rapid.Check(t, func(t *rapid.T) {
		s := strings.Join(rapid.SliceOf(rapid.SampledFrom(words)).Draw(t, "words"), "")
		if treatment.OrdinaryText(s) && treatment.SlowText(s) != s {
			t.Fatalf("%q is ordinary text, and the slow way changes it", s)
		}
		if treatment.OrdinaryPath(s) && treatment.RedactPath(s+"?") != s+"?" {
			t.Fatalf("%q is an ordinary path, and the slow way changes it", s)
		}
	})
}

func TestAnOrdinaryHostIsItsOwnALabel(t *testing.T) {
	host := rapid.StringMatching(`[a-z0-9-]{0,5}(\.[a-z0-9:A_-]{0,5}){0,4}`)
	ordinary := 0
	rapid.Check(t, func(t *rapid.T) {
		s := host.Draw(t, "host")
		if !treatment.OrdinaryHost(s) {
			return
		}
		ordinary++
		if _, err := netip.ParseAddr(s); err == nil {
			t.Fatalf("%q is an ordinary host, and an address", s)
		}
		if a, err := treatment.SlowHost(s); err != nil || a != s {
			t.Fatalf("%q is an ordinary host, and the slow way makes it %q, %v", s, a, err)
		}
	})
	if ordinary == 0 {
		t.Fatal("no host was ordinary; nothing was tested")
	}
}

func TestHostsAndAgentsShowNothingOfTheirText(t *testing.T) {
	known := treatment.Families()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), plantMail, rareWord).Draw(t, "text")
		if f := treatment.Family(s); s != "" && !slices.Contains(known, f) {
			t.Fatal("a user agent became a name that is not known")
		}
		for _, u := range []string{s, "https://" + s, "https://" + s + "@example.org/" + s, "https://example.org/" + s, "https://example.org:" + s} {
			if h := treatment.HostOf(u); strings.Contains(h, "@") || strings.ContainsAny(h, "/:? ") || len(h) > 253 {
				t.Fatalf("%q became the host %q", u, h)
			}
		}
	})
}

// naughty returns the strings of the big list of naughty strings, and some of
// our own.
func naughty(t testing.TB) []string {
	own := []string{"", "@", "@@@@", "%", "%%", "%4", "\\", "\\u", "&#", "&#x;", "&#99999999999;", "::", ":::::::", "....", "1.1.1.1.1.1", "[", "]:1", "=", "==", "a=", "=a", "?", "/?#", "\x00", "\xff\xfe", "\u202e@\u202e",
		strings.Repeat("@", 5000), strings.Repeat("a@", 5000), strings.Repeat("1.", 5000), strings.Repeat("a:", 5000), strings.Repeat("%25", 5000), strings.Repeat("\"", 5000), strings.Repeat("/", 5000), strings.Repeat("a-", 5000), strings.Repeat("\ufdfa", 2000), "eyJ.", "://", "a://", "bearer ", "basic "}
	dir := os.Getenv("LETHE_TEST_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(dir, "hostile", "blns", "blns.json"))
	if err != nil {
		t.Logf("the big list of naughty strings is not on this machine; %d strings of our own were tried", len(own))
		return own
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return append(own, list...)
}

func TestNaughtyStringsAreTreated(t *testing.T) {
	for _, s := range naughty(t) {
		treatment.RedactText(s)
		treatment.RedactPath(s)
		treatment.HostOf(s)
		treatment.HostOf("https://" + s)
		treatment.Family(s)
		for _, kind := range []string{"ip", "email", "account", "machine_code", "text"} {
			_, _ = treatment.Canonical(kind, s)
		}
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range naughty(f) {
		if len(s) < 200 {
			f.Add(s, s)
		}
	}
	f.Add("GET https://ada@x.example/u?a=%20 ", " password: x")
	f.Fuzz(func(t *testing.T, before, after string) {
		const planted = "qxzjkv.zzqq@kkqq.qxz"
		for _, s := range []string{before, before + after} {
			treatment.RedactText(s)
			treatment.RedactPath(s)
			treatment.HostOf(s)
			treatment.Family(s)
		}
		// An address on a line of its own is found, whatever the others hold.
		if survives(planted, before+after) {
			return
		}
		out := treatment.RedactText(before + "\n" + planted + "\n" + after)
		if survives(planted, out) {
			t.Errorf("of the planted address there is left something in %q", out)
		}
	})
}
