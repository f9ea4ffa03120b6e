package treatment

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxLayers is how many layers of encoding are taken off before looking.
// Browsers and proxies add one, careless ones two. A text with more was made
// to hide something and is replaced as a whole.
const maxLayers = 4

// plainText takes off what a reader, human or machine, would see through:
// percent-encoding, escapes, full-width forms and other compatibility forms,
// characters of no width, digits of other scripts. It is false for a text that
// is encoded more often than maxLayers.
func plainText(s string) (string, bool) {
	for range maxLayers {
		decoded := unescape(s)
		if !isASCII(decoded) {
			decoded = fold(decoded)
		}
		if decoded == s {
			return s, true
		}
		s = decoded
	}
	return s, unescape(s) == s
}

// fold is NFKC without what cannot be seen, with ASCII digits, hyphens, dots
// and spaces for all of their kind.
func fold(s string) string {
	s = norm.NFKC.String(strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf:
			return r
		case invisible(r):
			return -1
		case unicode.Is(unicode.Nd, r):
			return '0' + digitValue(r)
		case unicode.Is(unicode.Pd, r):
			return '-'
		case r == '\u3002' || r == '\u06D4':
			return '.'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
}

// digitValue is the value of a decimal digit. The digits of a script follow
// each other, and every run of them begins with a zero.
func digitValue(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	return 0
}

var words = strings.NewReplacer(
	"(at)", "@", "[at]", "@", "{at}", "@", "(AT)", "@", "[AT]", "@",
	"(dot)", ".", "[dot]", ".", "{dot}", ".", "(DOT)", ".", "[DOT]", ".",
	"&commat;", "@", "&period;", ".", "&colon;", ":",
)

// unescape takes off one layer: %40, %u0040, \x40, \u0040, &#64; and &#x40;.
// What is not a whole escape stays.
func unescape(s string) string {
	if !strings.ContainsAny(s, `%\&([{`) {
		return s
	}
	s = words.Replace(s)
	i := strings.IndexAny(s, `%\&`)
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for i < len(s) {
		r, size := escape(s[i:])
		switch {
		case size == 0:
			b = append(b, s[i])
			i++
		case strings.ContainsRune(separators, r):
			b = append(b, box)
			i += size
		case size == 3 && s[i] == '%': // bytes: %C3%A9 is one rune
			b = append(b, byte(r))
			i += size
		default:
			b = utf8.AppendRune(b, r)
			i += size
		}
	}
	return string(b)
}

// separators end a value or a word where they stand for themselves. Where they
// were escaped they belong to the value, and a box stands for them until the
// value is written.
const (
	separators = " \t\r\n\v\f&;,\"'`<>()[]{}"
	box        = 0x1a
)

// unescapeEntities replaces &#64; and &#x40;.
func unescapeEntities(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] == '&' {
			if r, size := escape(s[i:]); size > 0 {
				b = utf8.AppendRune(b, r)
				i += size
				continue
			}
		}
		b = append(b, s[i])
		i++
	}
	return string(b)
}

// escape reads the escape that s begins with. Size 0 says there is none.
func escape(s string) (r rune, size int) {
	switch s[0] {
	case '%':
		if len(s) >= 6 && (s[1] == 'u' || s[1] == 'U') {
			return hexRune(s, 2, 4)
		}
		return hexRune(s, 1, 2)
	case '\\':
		if len(s) < 2 {
			return 0, 0
		}
		switch s[1] {
		case 'x':
			return hexRune(s, 2, 2)
		case 'u':
			return hexRune(s, 2, 4)
		case 'U':
			return hexRune(s, 2, 8)
		}
	case '&':
		end := strings.IndexByte(s[:min(len(s), 12)], ';')
		if end < 3 || s[1] != '#' {
			return 0, 0
		}
		text, base := s[2:end], 10
		if text[0]|0x20 == 'x' {
			text, base = text[1:], 16
		}
		n, err := strconv.ParseUint(text, base, 31)
		if err != nil {
			return 0, 0
		}
		return rune(n), end + 1
	}
	return 0, 0
}

// hexRune reads n hexadecimal digits of s from i on.
func hexRune(s string, i, n int) (r rune, size int) {
	if len(s) < i+n {
		return 0, 0
	}
	v, err := strconv.ParseUint(s[i:i+n], 16, 32)
	if err != nil || v > unicode.MaxRune {
		return 0, 0
	}
	return rune(v), i + n
}
