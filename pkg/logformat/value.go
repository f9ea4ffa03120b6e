package logformat

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText is the longest text that a field may have, in code points.
const maxText = 4096

// clean returns s as text that any reader can take: bytes that are not UTF-8
// and control characters become \xHH, as both servers write them, and what is
// over maxText is cut off.
func clean(s string) string {
	i := 0
	for i < len(s) && s[i] >= ' ' && s[i] < 0x7f {
		i++
	}
	if i == len(s) {
		return s[:min(len(s), maxText)]
	}
	var b strings.Builder
	b.WriteString(s[:i])
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r < ' ' || r == 0x7f {
			const digits = "0123456789ABCDEF"
			b.WriteString(`\x`)
			b.WriteByte(digits[s[i]>>4])
			b.WriteByte(digits[s[i]&15])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return cut(b.String(), maxText)
}

// cut returns the first n code points of s.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// text returns a field's value, or "" where a log says that it has none.
func text(s string) string {
	if s == "-" {
		return ""
	}
	return clean(s)
}

// clientIP returns the address of a client. What is not an address, such as a
// host name, is passed on: whoever holds the event to its schema refuses it
// there.
func clientIP(s string) string {
	if ip, ok := address(s); ok {
		return ip
	}
	return text(s)
}

// forwardedIP returns the first address of an X-Forwarded-For value: the
// client as the first proxy saw it. "unknown" and obfuscated names (RFC 7239,
// section 6) are no addresses.
func forwardedIP(s string) string {
	for part := range strings.SplitSeq(s, ",") {
		if ip, ok := address(strings.TrimSpace(part)); ok {
			return ip
		}
	}
	return ""
}

// address takes an IP address out of the forms that servers and proxies write:
// bare, in brackets, with a port, or with a zone. A zone names an interface of
// the machine that logged it and says nothing elsewhere (RFC 4007, section 6).
// The spelling is otherwise kept.
func address(s string) (string, bool) {
	s = strings.Trim(s, `"`)
	if bare, _, zoned := strings.Cut(s, "%"); zoned {
		// "fe80::1%eth0" and "[fe80::1%eth0]:443".
		if rest, bracketed := strings.CutPrefix(bare, "["); bracketed {
			bare = rest
		}
		_, err := netip.ParseAddr(bare)
		return bare, err == nil
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return s, true
	}
	if rest, bracketed := strings.CutPrefix(s, "["); bracketed {
		bare, _, closed := strings.Cut(rest, "]")
		_, err := netip.ParseAddr(bare)
		return bare, closed && err == nil
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().String(), true
	}
	return "", false
}

// requestLine takes a request line apart. Anything may be logged as one, so
// what does not look like a request leaves all three empty: TLS sent to a
// plain port, a scanner's probe, "-".
func requestLine(s string) (method, path, protocol string) {
	method, path, ok := strings.Cut(s, " ")
	if !ok || !isMethod(method) {
		return "", "", ""
	}
	// A target that is not encoded may hold spaces, so the protocol is what
	// follows the last one.
	if i := strings.LastIndexByte(path, ' '); i >= 0 && isProtocol(path[i+1:]) {
		path, protocol = path[:i], path[i+1:]
	}
	if protocol == "" && !strings.HasPrefix(path, "/") {
		return "", "", ""
	}
	return method, path, protocol
}

// isMethod accepts the registered methods and others of their shape. RFC 9110
// allows any token; the rest of those are scanners' noise.
func isMethod(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c != '-' && c != '_') {
			return false
		}
	}
	return true
}

// isProtocol accepts HTTP/ and a version: "HTTP/1.1", "HTTP/2".
func isProtocol(s string) bool {
	v, ok := strings.CutPrefix(s, "HTTP/")
	digit := func(i int) bool { return v[i] >= '0' && v[i] <= '9' }
	switch {
	case !ok:
		return false
	case len(v) == 1:
		return digit(0)
	case len(v) == 3:
		return digit(0) && v[1] == '.' && digit(2)
	}
	return false
}

// The years in which a log's clock is believed. There was no web server before
// 1990, and 32-bit seconds, which a table may count in, end in 2106.
var (
	earliest = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2106, 1, 1, 0, 0, 0, 0, time.UTC)
)

// clf is the time of the Common Log Format.
const clf = "02/Jan/2006:15:04:05 -0700"

// instant reads a time in any of the spellings that servers use: that of the
// Common Log Format, ISO 8601 with an offset, or seconds or milliseconds since
// 1970. A time without an offset is no instant.
func instant(s string) (at time.Time, reason string) {
	if s == "" || s == "-" {
		return time.Time{}, "field time is missing"
	}
	at, ok := parseInstant(s)
	if !ok {
		return time.Time{}, "field time is not a time"
	}
	if at.Before(earliest) || !at.Before(latest) {
		return time.Time{}, "field time is out of range"
	}
	return at.UTC(), ""
}

func parseInstant(s string) (time.Time, bool) {
	if at, ok := parseEpoch(s); ok {
		return at, true
	}
	for _, layout := range [...]string{clf, time.RFC3339, "2006-01-02T15:04:05-0700"} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// parseEpoch reads "1795295415.229", and 1795295415229, which no seconds reach
// in this range of years. It counts in integers: a float would move the
// milliseconds.
func parseEpoch(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	n, ok := wholeNumber(whole)
	if !ok || n > 1e14 {
		return time.Time{}, false
	}
	if n >= 1e11 {
		return time.UnixMilli(n), true
	}
	var nanos int64
	if fraction != "" {
		if len(fraction) > 9 {
			fraction = fraction[:9]
		}
		f, ok := wholeNumber(fraction)
		if !ok {
			return time.Time{}, false
		}
		nanos = f
		for range 9 - len(fraction) {
			nanos *= 10
		}
	}
	return time.Unix(n, nanos), true
}

// unescape undoes what Apache (ap_escape_logitem) and nginx do to a value: \",
// \\, \xHH and the C names of control characters. An escape that neither
// writes stays as it is.
func unescape(s string) string {
	i := strings.IndexByte(s, '\\')
	if i < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:i]...)
	for i < len(s) {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			i++
			continue
		}
		switch c := s[i+1]; c {
		case '"', '\\':
			b = append(b, c)
		case 'b':
			b = append(b, '\b')
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case 'v':
			b = append(b, '\v')
		case 'x':
			if i+4 > len(s) {
				b = append(b, `\x`...)
				break
			}
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err != nil {
				b = append(b, `\x`...)
				break
			}
			b = append(b, byte(n))
			i += 2
		default:
			b = append(b, '\\', c)
		}
		i += 2
	}
	return string(b)
}
