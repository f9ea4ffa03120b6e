package treatment

import (
	"encoding/base64"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// redact leaves text without what can be recognized in it. To is "path" for
// paths and URLs, "text" for everything else.
func redact(to string) func(event.Value) (event.Value, flaw) {
	of := redactText
	if to == "path" {
		of = redactPath
	}
	return func(v event.Value) (event.Value, flaw) {
		if v.Kind() != event.String {
			return event.Value{}, wrongType
		}
		return event.StringValue(of(v.Str())), sound
	}
}

// markEncoded stands for a text that is encoded more often than maxLayers.
const markEncoded = "[encoded]"

// redactText takes e-mail addresses, IP and hardware addresses, hosts and
// queries of URLs, the values of key=value pairs, passwords and credentials,
// tokens and long numbers out of free text. Text in which nothing is found
// stays as it came; in all other text escapes and compatibility forms are
// undone.
func redactText(s string) string {
	if ordinaryText(s) {
		return s
	}
	var b strings.Builder
	changed := false
	piece := func(text string) bool {
		plain, ok := plainText(text)
		if !ok {
			return false
		}
		out, found := scanText(plain)
		changed = changed || found
		b.WriteString(out)
		return true
	}
	// URLs and paths come out before escapes are undone: an undone escape
	// would end a value in its middle.
	done := 0
	for _, u := range urlSpans(s) {
		if !piece(s[done:u.start]) {
			return markEncoded
		}
		b.WriteString(u.mark)
		done, changed = u.end, true
	}
	if !piece(s[done:]) {
		return markEncoded
	}
	if !changed {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return b.String()
}

// ordinary bytes cannot be part of anything that scanText looks for, as long
// as no run of them is too long to be a word.
var ordinary = func() (t [256]bool) {
	for _, c := range []byte(" \t\n\r!\"#$'*,-.;?@_`ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz~^|<>()") {
		t[c] = c != '@'
	}
	return t
}()

// ordinaryText is the fast way for what most log lines are: words.
func ordinaryText(s string) bool {
	run := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case !ordinary[c]:
			return false
		case !isRun(c):
			run = 0
			if c == '(' && i+3 < len(s) && (s[i+3] == ')' || i+4 < len(s) && s[i+4] == ')') {
				return false // "(at)", "(dot)"
			}
			continue
		case c|0x20 == 'b' && (i == 0 || !isWord(s[i-1])) && schemeLength(s[i:]) > 0:
			return false
		}
		if run++; run >= minMixed {
			return false
		}
	}
	return true
}

// textScan is one pass over a text.
type textScan struct {
	s    string
	out  []byte
	done int // s[:done] is in out
}

// mark writes what is left of s up to start, then a mark for s[start:end].
func (t *textScan) mark(start, end int, mark string) {
	if start > t.done {
		t.out = append(t.out, t.s[t.done:start]...)
	}
	t.out = append(t.out, mark...)
	t.done = end
}

func scanText(s string) (_ string, changed bool) {
	t := &textScan{s: s}
	spans := findSpans(s)
	for i := 0; i < len(s); {
		if len(spans) > 0 && i >= spans[0].start {
			t.mark(spans[0].start, spans[0].end, spans[0].mark)
			i, spans = spans[0].end, spans[1:]
			continue
		}
		limit := len(s)
		if len(spans) > 0 {
			limit = spans[0].start
		}
		if end := t.at(i, limit); end > i {
			i = end
			continue
		}
		i++
	}
	if t.out == nil {
		return s, false
	}
	out := append(t.out, s[t.done:]...)
	for i, c := range out {
		if c == box {
			out[i] = ' '
		}
	}
	return string(out), true
}

// at handles what begins at s[i], if anything, and returns where it ends.
func (t *textScan) at(i, limit int) int {
	s := t.s[:limit]
	c := s[i]
	switch {
	case c == '=' || c == ':':
		if start, end, mark := pairValue(s, i); end > start {
			t.mark(start, end, mark)
			return end
		}
		if c == '=' {
			return i
		}
	case isDigit(c) && (i == 0 || !isDigit(s[i-1])):
		if keep, end := matchClock(s, i); end > i {
			if end > keep {
				t.mark(keep, end, "") // a fraction beyond milliseconds
			}
			return end
		}
	case (c|0x20 == 'b') && (i == 0 || !isWord(s[i-1])):
		if n := schemeLength(s[i:]); n > 0 {
			end := valueEnd(s, i+n)
			t.mark(i+n, end, markSecret)
			return end
		}
	}
	mark, end := match(s, i, minTextRun)
	if end == i {
		return i
	}
	if mark == markID {
		mark = markSecret
	}
	start := i
	if mark == markIP {
		if c == ':' && !strings.HasPrefix(s[i:], "::") {
			start++ // the colon before an address is not part of it
		}
		if start > t.done && (s[start-1] == '[' || s[start-1] == box) && end < len(s) && (s[end] == ']' || s[end] == box) {
			start, end = start-1, matchPort(s, end+1)
		}
	}
	t.mark(start, end, mark)
	return end
}

// telling are the names after which a secret follows, or a person.
var telling = func() map[string]string {
	names := map[string]string{}
	for _, n := range strings.Fields(`password passwd pwd pass passphrase passcode passwort kennwort
		secret token apikey api_key api-key x-api-key access_key accesskey secret_key private_key
		client_secret access_token refresh_token id_token auth authorization proxy-authorization
		cookie set-cookie session sessionid session_id session-id sid jsessionid phpsessid jwt
		credential credentials pin otp signature sig csrf xsrf nonce license_key licence_key`) {
		names[n] = markSecret
	}
	for _, n := range strings.Fields(`user username user_name login account email e-mail mail name
		first_name last_name full_name phone address customer`) {
		names[n] = markValue
	}
	return names
}()

// headers are those whose value runs to the end of the line.
var headers = map[string]bool{"authorization": true, "proxy-authorization": true, "cookie": true, "set-cookie": true}

// pairValue finds the value of the key=value or "key: value" whose separator is
// s[i]. After a colon only telling names count; after an equals sign every
// value does that is not a plain quantity.
func pairValue(s string, i int) (start, end int, mark string) {
	nameEnd := i
	for nameEnd > 0 && i-nameEnd < 4 && strings.IndexByte(" \"'", s[nameEnd-1]) >= 0 {
		nameEnd--
	}
	nameStart := nameEnd
	for nameStart > 0 && nameEnd-nameStart < 48 && (isAlnum(s[nameStart-1]) || strings.IndexByte("_-.", s[nameStart-1]) >= 0) {
		nameStart--
	}
	name := strings.ToLower(s[nameStart:nameEnd])
	name = name[strings.LastIndexByte(name, '.')+1:]
	mark, tells := telling[name]
	start = i + 1
	switch {
	case name == "", !tells && (s[i] == ':' || nameEnd != i):
		return 0, 0, ""
	case tells:
		for start < len(s) && strings.IndexByte(" =>", s[start]) >= 0 {
			start++
		}
	case start < len(s) && (s[start] == '=' || s[start] == '>'):
		return 0, 0, "" // an operator
	}
	if headers[name] {
		if n := strings.IndexAny(s[start:], "\r\n"); n >= 0 {
			return start, start + n, mark
		}
		return start, len(s), mark
	}
	end = valueEnd(s, start)
	if !tells {
		if quantity(s[start:end]) {
			return 0, 0, ""
		}
		mark = markValue
	}
	return start, end, mark
}

// valueEnd is where the value that begins at s[i] ends: at the closing quote,
// or at white space and what separates pairs.
func valueEnd(s string, i int) int {
	if i < len(s) && (s[i] == '"' || s[i] == '\'' || s[i] == '`') {
		if n := strings.IndexByte(s[i+1:], s[i]); n >= 0 {
			return i + n + 2
		}
		return len(s)
	}
	for i < len(s) && strings.IndexByte(" \t\r\n&;,\"'`<>)]}", s[i]) < 0 {
		i++
	}
	return i
}

// quantity says whether a value is a short number with a unit, a truth value or
// nothing.
func quantity(s string) bool {
	switch strings.ToLower(s) {
	case "", "true", "false", "null", "nil", "none", "yes", "no", "ok", "-":
		return true
	}
	digits, letters := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c) && letters == 0:
			digits++
		case c == '.' && digits > 0, c == '-' && i == 0, c == '%' && i == len(s)-1:
		case isAlpha(c) && digits > 0:
			letters++
		default:
			return false
		}
	}
	return digits > 0 && digits < minTextRun && letters <= 3 && strings.Count(s, ".") < 2
}

// schemeLength is the length of "Bearer " or "Basic " at the beginning of s, if
// a credential follows (RFC 6750, RFC 7617).
func schemeLength(s string) int {
	const bearer, basic = "bearer ", "basic "
	if len(s) > len(bearer) && strings.EqualFold(s[:len(bearer)], bearer) {
		return len(bearer)
	}
	if len(s) > len(basic) && strings.EqualFold(s[:len(basic)], basic) {
		word := strings.TrimRight(s[len(basic):valueEnd(s, len(basic))], "=")
		plain, err := base64.RawStdEncoding.DecodeString(word)
		if err == nil && strings.Contains(string(plain), ":") {
			return len(basic)
		}
	}
	return 0
}
