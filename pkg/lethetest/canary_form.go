package lethetest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A form is one way in which a mark may stand somewhere.
type form struct{ name, text string }

// forms returns every form of a mark that a scan looks for. Some may be equal.
func forms(mark string) []form {
	lower, upper := asciiCase(mark, 'A', 'Z'), asciiCase(mark, 'a', 'z')
	reversed := []byte(mark)
	slices.Reverse(reversed)
	out := []form{
		{"as it is", mark},
		{"in lower case", lower},
		{"in upper case", upper},
		{"reversed", string(reversed)},
		{"hex", hex.EncodeToString([]byte(mark))},
		{"hex in upper case", strings.ToUpper(hex.EncodeToString([]byte(mark)))},
		{"URL query", url.QueryEscape(mark)},
		{"URL path", url.PathEscape(mark)},
		{"percent", eachByte(mark, "%%%02X")},
		{"percent in lower case", eachByte(mark, "%%%02x")},
		{"escaped bytes", eachByte(mark, `\x%02x`)},
		{"escaped bytes in upper case", eachByte(mark, `\x%02X`)},
		{"HTML", html.EscapeString(mark)},
		{"numbers, as Go prints bytes", strings.TrimSuffix(eachByte(mark, "%d "), " ")},
		{"numbers, as JSON lists bytes", strings.TrimSuffix(eachByte(mark, "%d,"), ",")},
		{"quoted", unquoted(strconv.QuoteToASCII(mark))},
	}
	if utf8.ValidString(mark) {
		text, _ := json.Marshal(mark) // a string always marshals
		out = append(out,
			form{"JSON", unquoted(string(text))},
			form{"JSON escapes", eachUnit(mark, `\u%04x`)},
			form{"JSON escapes in upper case", eachUnit(mark, `\u%04X`)},
			form{"HTML entities", eachUnit(mark, "&#%d;")},
			form{"UTF-16, little end first", eachUTF16(mark, 0)},
			form{"UTF-16, big end first", eachUTF16(mark, 1)},
		)
	}
	out = append(out, based(mark)...)
	for _, text := range []string{mark, lower, upper} {
		out = append(out, digests(text)...)
	}
	return out
}

// asciiCase swaps the case of ASCII letters between first and last, and leaves
// bytes that are no text alone.
func asciiCase(s string, first, last byte) string {
	b := []byte(s)
	for i, c := range b {
		if first <= c && c <= last {
			b[i] = c ^ 0x20
		}
	}
	return string(b)
}

func unquoted(s string) string { return s[1 : len(s)-1] }

func eachByte(s, format string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, format, s[i])
	}
	return b.String()
}

func eachUnit(s, format string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, format, u)
	}
	return b.String()
}

// eachUTF16 writes UTF-16 with the low byte of each unit at its place low.
func eachUTF16(s string, low int) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		unit := [2]byte{}
		unit[low], unit[1-low] = byte(u), byte(u>>8)
		b = append(b, unit[:]...)
	}
	return string(b)
}

// based returns a mark in base64 and base32, at each offset that it may have
// from the beginning of what was encoded.
func based(mark string) []form {
	var out []form
	for offset := range 3 {
		out = append(out,
			form{fmt.Sprintf("base64 at offset %d", offset), inside(base64.RawStdEncoding.EncodeToString, mark, offset, 6)},
			form{fmt.Sprintf("base64url at offset %d", offset), inside(base64.RawURLEncoding.EncodeToString, mark, offset, 6)})
	}
	for offset := range 5 {
		text := inside(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString, mark, offset, 5)
		out = append(out,
			form{fmt.Sprintf("base32 at offset %d", offset), text},
			form{fmt.Sprintf("base32 in lower case at offset %d", offset), strings.ToLower(text)})
	}
	return out
}

// inside is the part of an encoding that depends on the mark alone, when the
// mark stands offset bytes from the beginning. Each character holds some bits.
func inside(encode func([]byte) string, mark string, offset, bits int) string {
	text := encode(append(make([]byte, offset), mark...))
	return text[(offset*8+bits-1)/bits : (offset+len(mark))*8/bits]
}

// digestSize is how much of a digest is looked for: whoever cuts one short
// leaves at least this much of it, in bytes.
const digestSize = 12

// digests returns hashes of a text without a key. They name whoever is known
// to whoever asks, so they are as good as the text.
func digests(text string) []form {
	md5sum, sha1sum := md5.Sum([]byte(text)), sha1.Sum([]byte(text))
	sha256sum, sha512sum := sha256.Sum256([]byte(text)), sha512.Sum512([]byte(text))
	var out []form
	for _, d := range []struct {
		name string
		sum  []byte
	}{{"MD5", md5sum[:]}, {"SHA-1", sha1sum[:]}, {"SHA-256", sha256sum[:]}, {"SHA-512", sha512sum[:]}} {
		sum := d.sum[:digestSize]
		out = append(out,
			form{d.name, string(sum)},
			form{d.name + " in hex", hex.EncodeToString(sum)},
			form{d.name + " in hex in upper case", strings.ToUpper(hex.EncodeToString(sum))},
			form{d.name + " in base64", base64.RawStdEncoding.EncodeToString(sum)},
			form{d.name + " in base64url", base64.RawURLEncoding.EncodeToString(sum)})
	}
	return out
}
