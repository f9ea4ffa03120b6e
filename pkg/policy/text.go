package policy

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text reads a JSON string. Without an escape the result shares the memory of
// the data.
func (d *decoder) text() (string, bool) {
	if !d.take('"') {
		return "", d.not(notJSON)
	}
	start, i := d.i, d.i
	ascii := true
	for i < len(d.s) && special[d.s[i]] != endsRun {
		if special[d.s[i]] == beyondASCII {
			ascii = false
		}
		i++
	}
	d.i = i
	if i == len(d.s) || d.s[i] < ' ' {
		return "", d.not(notJSON)
	}
	if d.s[i] == '\\' {
		return d.escaped(start)
	}
	d.i++
	s := d.s[start:i]
	if !ascii && !utf8.ValidString(s) {
		return "", d.not(notText)
	}
	return s, true
}

// special says which bytes a string cannot run on over.
var special = func() (t [256]byte) {
	for c := range t {
		switch {
		case c < ' ' || c == '"' || c == '\\':
			t[c] = endsRun
		case c >= utf8.RuneSelf:
			t[c] = beyondASCII
		}
	}
	return t
}()

const (
	endsRun     = 1
	beyondASCII = 2
)

// escaped reads on from the first backslash of a string that began at start.
func (d *decoder) escaped(start int) (string, bool) {
	var b strings.Builder
	b.Grow(2 * (d.i - start + 8))
	b.WriteString(d.s[start:d.i])
	for d.i < len(d.s) {
		c := d.s[d.i]
		switch {
		case c == '"':
			d.i++
			s := b.String()
			if !utf8.ValidString(s) {
				return "", d.not(notText)
			}
			return s, true
		case c < ' ':
			return "", d.not(notJSON)
		case c != '\\':
			b.WriteByte(c)
			d.i++
			continue
		}
		if d.i+1 >= len(d.s) {
			break
		}
		kind := d.s[d.i+1]
		d.i += 2
		switch kind {
		case '"', '\\', '/':
			b.WriteByte(kind)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, ok := d.codePoint()
			if !ok {
				return "", false
			}
			b.WriteRune(r)
		default:
			return "", d.not(notJSON)
		}
	}
	return "", d.not(notJSON)
}

// codePoint reads what follows \u: four hexadecimal digits, and the other half
// where they are the first half of a surrogate pair. Half a pair is no
// character (RFC 7493, section 2.1) and is refused.
func (d *decoder) codePoint() (rune, bool) {
	r, ok := d.hex()
	if !ok {
		return 0, d.not(notJSON)
	}
	if !utf16.IsSurrogate(r) {
		return r, true
	}
	if !strings.HasPrefix(d.s[d.i:], `\u`) {
		return 0, d.not(notText)
	}
	d.i += 2
	low, ok := d.hex()
	if !ok {
		return 0, d.not(notJSON)
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, d.not(notText)
	}
	return r, true
}

func (d *decoder) hex() (rune, bool) {
	if len(d.s)-d.i < 4 {
		return 0, false
	}
	var r rune
	for range 4 {
		c := d.s[d.i]
		switch {
		case isDigit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
		d.i++
	}
	return r, true
}
