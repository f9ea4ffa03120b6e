package logformat

import (
	"math"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// absent marks a number that the line does not have; none of them is negative.
const absent = -1

// access is one request as a log tells it: the data of an http_access event.
// An empty string is a field the line does not have.
type access struct {
	at          time.Time
	clientIP    string
	forwardedIP string
	user        string
	method      string
	path        string
	protocol    string
	status      int
	bytes       int64
	referrer    string
	userAgent   string
	host        string
	duration    float64 // milliseconds
	language    string
	cookieID    string
	dnt         bool // DNT: 1
	gpc         bool // Sec-GPC: 1
}

// appendJSON appends the object that schema http_access.v1 describes.
func (a *access) appendJSON(b []byte) []byte {
	b = append(b, `{"client_ip":`...)
	b = appendText(b, a.clientIP)
	for _, f := range [...]struct{ name, value string }{
		{`,"forwarded_ip":`, a.forwardedIP},
		{`,"user":`, a.user},
		{`,"method":`, a.method},
		{`,"path":`, a.path},
		{`,"protocol":`, a.protocol},
		{`,"referrer":`, a.referrer},
		{`,"user_agent":`, a.userAgent},
		{`,"host":`, a.host},
		{`,"language":`, a.language},
		{`,"cookie_id":`, a.cookieID},
	} {
		if f.value != "" {
			b = append(b, f.name...)
			b = appendText(b, f.value)
		}
	}
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(a.status), 10)
	if a.bytes != absent {
		b = append(b, `,"bytes":`...)
		b = strconv.AppendInt(b, a.bytes, 10)
	}
	if a.duration != absent {
		b = append(b, `,"duration_ms":`...)
		b = strconv.AppendFloat(b, a.duration, 'f', -1, 64)
	}
	if a.dnt {
		b = append(b, `,"dnt":true`...)
	}
	if a.gpc {
		b = append(b, `,"gpc":true`...)
	}
	return append(b, '}')
}

// appendText quotes a value. Its error is about text that is not UTF-8, of
// which clean has left none.
func appendText(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// setStatus reads a three-digit status (RFC 9110, section 15).
func (a *access) setStatus(s string) (reason string) {
	if s == "" || s == "-" {
		return "field status is missing"
	}
	n, ok := wholeNumber(s)
	if !ok {
		return "field status is not a whole number"
	}
	if len(s) != 3 || n < 100 || n > 599 {
		return "field status is out of range"
	}
	a.status = int(n)
	return ""
}

// setBytes reads a size. A log has "-" where nothing was sent.
func (a *access) setBytes(s string) (reason string) {
	if s == "" || s == "-" {
		return ""
	}
	n, ok := wholeNumber(s)
	if !ok {
		return "field bytes is not a whole number"
	}
	a.bytes = n
	return ""
}

// setDuration reads a time in units of scale milliseconds. The result is
// rounded to a microsecond, which is finer than any server logs.
func (a *access) setDuration(s string, scale float64) (reason string) {
	if s == "" || s == "-" {
		return ""
	}
	// ParseFloat also takes infinities, hexadecimal and exponents.
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '.' {
			return "field duration_ms is not a number"
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f > 1e12 {
		return "field duration_ms is not a number"
	}
	a.duration = math.Round(f*scale*1000) / 1000
	return ""
}

// maxWhole is the largest whole number that every JSON reader keeps (RFC 7493,
// section 2.2).
const maxWhole = 1<<53 - 1

// wholeNumber reads decimal digits and nothing else.
func wholeNumber(s string) (int64, bool) {
	if s == "" || len(s) > 19 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
		if n > maxWhole {
			return 0, false
		}
	}
	return n, true
}
