package treatment

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Version names the canonical forms. It is the first part of every token: other
// forms are another version, and tokens of two versions do not match.
// testdata/vectors.txt holds what the version means.
const Version = "v1"

// Canonical is the one spelling of an identifier that tokens are made from.
// Kind is that of policy.Field.Identifier:
//
//   - ip: as netip prints it, IPv4-mapped IPv6 as IPv4, without a zone. Octets
//     with leading zeros are refused, since half of the world reads them as
//     octal. 6to4 and NAT64 addresses stay what they are.
//   - email: trimmed, NFC, domain as lower-case A-label, local part in lower
//     case. Dots and +tags stay: to some hosts they are different people.
//   - account: an e-mail address where it is one; else trimmed, NFC and lower
//     case, because directories compare login names so and logs write them as
//     they were typed. Two accounts that differ in case alone count as one,
//     which costs less than an erasure that misses rows.
//   - machine_code, license_key: trimmed, NFC and upper case: hexadecimal and
//     keys typed from paper come in either case. Separators stay, since what
//     they separate is the publisher's affair.
//   - cookie, name, text and everything else: NFC.
//
// Control and format characters in an e-mail address, an account, a machine
// code or a license key are refused: what cannot be seen makes two spellings
// look like one. The error is of kind fault.Invalid and does not hold the
// value.
func Canonical(kind, value string) (string, error) {
	text, fl := canonical(kind, value)
	switch fl {
	case sound:
		return text, nil
	case notAddress:
		return "", fault.Invalid.Errorf("the value is not an IP address")
	case notMail:
		return "", fault.Invalid.Errorf("the value is not an e-mail address")
	}
	return "", fault.Invalid.Errorf("the value holds control or format characters")
}

func canonical(kind, value string) (string, flaw) {
	switch kind {
	case "ip":
		return canonicalIP(value)
	case "email":
		text, ok := canonicalMail(value)
		if !ok {
			return "", notMail
		}
		return text, sound
	case "account":
		return canonicalAccount(value)
	case "machine_code", "license_key":
		return canonicalCode(value)
	}
	return norm.NFC.String(value), sound
}

func canonicalIP(value string) (string, flaw) {
	addr, err := netip.ParseAddr(strings.TrimSpace(value))
	if err != nil {
		return "", notAddress
	}
	return addr.Unmap().WithZone("").String(), sound
}

func canonicalAccount(value string) (string, flaw) {
	if strings.Contains(value, "@") {
		if text, ok := canonicalMail(value); ok {
			return text, sound
		}
	}
	value = strings.TrimSpace(value)
	if !printable(value) {
		return "", notPrintable
	}
	return lower(value), sound
}

func canonicalCode(value string) (string, flaw) {
	value = strings.TrimSpace(value)
	if !printable(value) {
		return "", notPrintable
	}
	if isASCII(value) {
		return strings.ToUpper(value), sound
	}
	// NFC of upper case may have another upper case, once.
	for range 2 {
		value = norm.NFC.String(strings.ToUpper(norm.NFC.String(value)))
	}
	return value, sound
}

// lower is NFC in lower case. Lower case of NFC need not be NFC, nor NFC of
// lower case lower case; twice is enough.
func lower(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	for range 2 {
		s = norm.NFC.String(strings.ToLower(norm.NFC.String(s)))
	}
	return s
}

// mailDomain maps as browsers do before a lookup (UTS 46): case, width, the
// ideographic full stop. It is strict about nothing that a log may hold.
var mailDomain = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(true))

// canonicalMail is the canonical form of an address with one @, neither
// display name nor comments nor quoted local part.
func canonicalMail(value string) (string, bool) {
	value = strings.TrimSpace(value)
	if len(value) > 1024 || !printable(value) {
		return "", false
	}
	value = norm.NFC.String(value)
	local, domain, ok := strings.Cut(value, "@")
	if !ok || local == "" || domain == "" || strings.Contains(domain, "@") {
		return "", false
	}
	if strings.ContainsFunc(local, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`"(),:;<>[\]`, r) }) {
		return "", false
	}
	local = lower(local)
	domain = strings.TrimSuffix(domain, ".")
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		literal := strings.ToLower(domain[1 : len(domain)-1])
		text, fl := canonicalIP(strings.TrimPrefix(literal, "ipv6:"))
		return local + "@[" + text + "]", fl == sound
	}
	if plainDomain(domain) {
		return local + "@" + domain, true
	}
	domain, err := mailDomain.ToASCII(domain)
	domain = strings.TrimSuffix(domain, ".")
	if err != nil || domain == "" || strings.HasPrefix(domain, ".") || strings.Contains(domain, "..") {
		return "", false
	}
	return local + "@" + domain, true
}

// plainDomain says whether a domain is in canonical form already: the common
// case, and a tenth of the cost.
func plainDomain(s string) bool {
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			label++
		case c == '.' && label > 0:
			label = 0
		default:
			return false // hyphens and xn-- are for IDNA to judge
		}
		if label > 63 {
			return false
		}
	}
	return label > 0 && len(s) <= 253
}

// printable says whether a text holds no control and no format characters and
// is valid UTF-8.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f {
			return false
		} else if c >= utf8.RuneSelf {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, invisible)
		}
	}
	return true
}

// invisible runes change what a text is and not what it looks like.
func invisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector) ||
		unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
