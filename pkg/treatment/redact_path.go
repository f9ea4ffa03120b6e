package treatment

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxParams    = 32 // of a query are told apart
	maxParamName = 32
	hexDigits    = "0123456789ABCDEF"
)

// redactPath leaves the shape of a path or URL: its segments, with a mark for
// what is recognized in them, and the names of its query. Scheme, user, host,
// fragment, path parameters (";jsessionid=…") and every value of the query are
// gone. Segments are decoded before looking and encoded again after.
func redactPath(s string) string {
	if ordinaryPath(s) {
		return s
	}
	if strings.Contains(s, "&#") {
		s = unescapeEntities(s) // its # begins no fragment, its & no parameter
	}
	s, _, _ = strings.Cut(s, "#")
	if scheme, rest, ok := strings.Cut(s, "://"); ok && isScheme(scheme) {
		if i := strings.IndexAny(rest, `/?\`); i >= 0 {
			s = rest[i:]
		} else {
			s = "/"
		}
	}
	path, query, asked := strings.Cut(s, "?")
	b := make([]byte, 0, len(s))
	for i, seg := range strings.Split(path, "/") {
		if i > 0 {
			b = append(b, '/')
		}
		b = appendSegment(b, seg)
	}
	if asked {
		b = appendQuery(append(b, '?'), query)
	}
	return string(b)
}

// ordinaryPath is the fast way for a path of words: nothing encoded, no query,
// too few digits for an address or a number and no run that is no word.
func ordinaryPath(s string) bool {
	digits, run, longest := 0, 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
			run++
		case isAlpha(c), c == '-', c == '_':
			run++
		case c == '/', c == '.':
			run = 0
		default:
			return false
		}
		longest = max(longest, run)
	}
	return digits <= 3 && longest < minMixed && (digits == 0 || longest < minHex)
}

// appendSegment writes one segment of a path, or several where its slashes were
// encoded.
func appendSegment(b []byte, seg string) []byte {
	if ordinaryPath(seg) {
		return append(b, seg...)
	}
	plain, ok := plainText(seg)
	plain, _, _ = strings.Cut(plain, ";")
	switch {
	case !ok:
		return append(b, markEncoded...)
	case strings.ContainsFunc(plain, unreadable):
		return append(b, markBinary...)
	}
	if i := strings.IndexAny(plain, "?#"); i >= 0 {
		plain = plain[:i]
	}
	for i, piece := range strings.FieldsFunc(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
		if i > 0 {
			b = append(b, '/')
		}
		b = appendPiece(b, piece)
	}
	return b
}

func unreadable(r rune) bool { return unicode.IsControl(r) && r != box || r == utf8.RuneError }

func appendPiece(b []byte, s string) []byte {
	switch {
	case strings.HasPrefix(s, "@") && !strings.Contains(s[1:], "@"):
		return append(b, markName...) // "/@ada": a handle
	case strings.Contains(s, "@"):
		return append(b, markMail...)
	case hasIP(s):
		return append(b, markIP...)
	case strings.ContainsAny(s, " \x1a"):
		return append(b, markValue...) // a sentence is content, not a place
	}
	if name, _, ok := strings.Cut(s, "="); ok {
		return append(appendParam(b, name), '=')
	}
	for i := 0; i < len(s); {
		if mark, end := match(s, i, minDigits); end > i {
			b = append(b, mark...)
			i = end
			continue
		}
		b = appendEncoded(b, s[i])
		i++
	}
	return b
}

// appendQuery writes the names of a query. A value without a name is a value.
func appendQuery(b []byte, query string) []byte {
	n := 0
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		if n++; n > 1 {
			b = append(b, '&')
		}
		if n > maxParams {
			return append(b, markMore...)
		}
		name, _, ok := strings.Cut(pair, "=")
		if !ok {
			b = append(b, markValue...)
			continue
		}
		b = append(appendParam(b, name), '=')
	}
	return b
}

// appendParam writes the name of a parameter when it looks like one that a
// programmer chose, and a mark when it does not.
func appendParam(b []byte, name string) []byte {
	plain, ok := plainText(name)
	if !ok || !paramName(plain) {
		return append(b, markName...)
	}
	return append(b, plain...)
}

func paramName(s string) bool {
	if s == "" || len(s) > maxParamName || !isAlpha(s[0]) && s[0] != '_' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && strings.IndexByte("_-.[]", c) < 0 {
			return false
		}
	}
	return !identifying(s)
}

// appendEncoded writes a byte of a segment as RFC 3986 allows it there.
func appendEncoded(b []byte, c byte) []byte {
	if isAlnum(c) || strings.IndexByte("-._~!$&'()*+,:", c) >= 0 {
		return append(b, c)
	}
	return append(b, '%', hexDigits[c>>4], hexDigits[c&15])
}
