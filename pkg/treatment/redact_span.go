package treatment

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A span is a stretch of text and what stands in its stead.
type span struct {
	start, end int
	mark       string
}

// findSpans finds what is recognized from its middle: URLs by "://", paths by
// their first slash, e-mail addresses by "@". The spans are in order and do not
// overlap.
func findSpans(s string) []span {
	urls := urlSpans(s)
	if !strings.Contains(s, "@") {
		return urls
	}
	var mails []span
	for i := 0; i < len(s); {
		n := strings.IndexByte(s[i:], '@')
		if n < 0 {
			break
		}
		at := i + n
		floor := 0
		if len(mails) > 0 {
			floor = mails[len(mails)-1].end
		}
		i = at + 1
		for i < len(s) && s[i] == '@' {
			i++
		}
		m := span{mailStart(s, at, floor), mailEnd(s, i), markMail}
		switch {
		case len(mails) > 0 && at == floor: // a@b@c
			mails[len(mails)-1].end = m.end
		case m.start < at && m.end > i:
			mails = append(mails, m)
		default:
			continue
		}
		i = max(i, m.end)
	}
	return merge(urls, mails)
}

// merge joins two lists. Spans that overlap become one: a URL where the address
// lies within it, else an address.
func merge(urls, mails []span) []span {
	all := append(urls, mails...)
	slices.SortStableFunc(all, func(a, b span) int { return a.start - b.start })
	out := all[:0]
	for _, s := range all {
		if n := len(out); n > 0 && s.start < out[n-1].end {
			if s.mark == markMail && s.end > out[n-1].end || out[n-1].mark == markMail {
				out[n-1].mark = markMail
			}
			out[n-1].end = max(out[n-1].end, s.end)
			continue
		}
		out = append(out, s)
	}
	return out
}

// mailStart is where the local part before s[at] begins. It takes every
// character that a local part may hold and all of other scripts, and from a
// quoted local part everything between the quotes.
func mailStart(s string, at, floor int) int {
	i := at
	if i > floor && s[i-1] == ' ' && spacedDomain(s, at) {
		i-- // "ada @ example.org"
	}
	if i > floor && s[i-1] == '"' {
		if q := strings.LastIndexByte(s[floor:i-1], '"'); q >= 0 {
			return floor + q
		}
	}
	start := i
	for i > floor && localByte(s[i-1]) {
		i--
	}
	if i == start {
		return at
	}
	return i
}

// localByte says whether a local part may hold a byte.
func localByte(c byte) bool {
	return c > ' ' && c != 0x7f && strings.IndexByte(`<>()[],;"`, c) < 0 || c == box
}

// mailEnd is where the domain that begins at s[i] ends.
func mailEnd(s string, i int) int {
	begin := i
	if i < len(s) && s[i] == ' ' && spacedDomain(s, i-1) {
		i++
	}
	if i < len(s) && s[i] == '[' {
		if n := strings.IndexByte(s[i:min(len(s), i+maxIPv6)], ']'); n > 0 {
			return i + n + 1
		}
	}
	start := i
	for i < len(s) {
		c := s[i]
		if isAlnum(c) || c == '-' || c == '.' || c == '_' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c < utf8.RuneSelf || !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.So) {
			break
		}
		i += size
	}
	for i > start && (s[i-1] == '.' || s[i-1] == '-') {
		i--
	}
	if i == start {
		return begin
	}
	return i
}

// spacedDomain says whether what follows the @ at s[at] after at most one space
// is a name with a dot in it. Without that, "lunch @ noon" is no address.
func spacedDomain(s string, at int) bool {
	i := at + 1
	if i < len(s) && s[i] == ' ' {
		i++
	}
	dot := false
	for start := i; i < len(s) && (isWord(s[i]) || s[i] == '-' || s[i] == '.'); i++ {
		dot = dot || s[i] == '.' && i > start && i+1 < len(s) && isWord(s[i+1])
	}
	return dot
}

// urlSpans finds URLs and paths. Of a URL only the redacted path and the names
// in its query are left.
func urlSpans(s string) []span {
	if !strings.Contains(s, "/") {
		return nil
	}
	var out []span
	for i := 0; i < len(s); {
		n := strings.IndexByte(s[i:], '/')
		if n < 0 {
			break
		}
		slash := i + n
		i = slash + 1
		switch {
		case slash > 0 && s[slash-1] == ':' && i < len(s) && s[i] == '/':
			start := slash - 1
			for start > 0 && slash-start < 18 && (isAlnum(s[start-1]) || strings.IndexByte("+-.", s[start-1]) >= 0) {
				start--
			}
			end := urlEnd(s, i+1)
			if start == slash-1 || end == i+1 {
				continue
			}
			mark := markURL
			if path := redactPath(s[start:end]); path != "/" {
				mark += path
			}
			out = append(out, span{start, end, mark})
			i = end
		case slash == 0 || strings.IndexByte(" \t\r\n\"'`(=<[{", s[slash-1]) >= 0:
			end := urlEnd(s, i)
			if path := redactPath(s[slash:end]); path != s[slash:end] {
				out = append(out, span{slash, end, path})
			}
			i = end
		}
	}
	return out
}

// urlEnd is where a URL in running text ends: at white space, quotes and
// brackets, and before the punctuation of the sentence.
func urlEnd(s string, i int) int {
	start := i
	for i < len(s) && (s[i] > ' ' || s[i] == box) && strings.IndexByte("\"'`<>{}", s[i]) < 0 {
		i++
	}
	for i > start && strings.IndexByte(".,;:!?)]", s[i-1]) >= 0 {
		i--
	}
	return i
}
