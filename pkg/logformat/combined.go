package logformat

import "strings"

// parseCommon reads the Common Log Format:
//
//	host ident user [time] "request" status bytes
//
// What follows the size is not part of the format and is left out.
func parseCommon(line []byte, a *access) (reason string) {
	_, reason = parseHead(string(line), a)
	return reason
}

// parseCombined reads the Combined Log Format, which adds "referer" and "user
// agent". A third quoted value is read as X-Forwarded-For, which is where the
// log format "main" of nginx's own packages has it; anything after is left out.
//
// A missing closing quote at the end of the line is forgiven: the value is
// what there is of it.
func parseCombined(line []byte, a *access) (reason string) {
	rest, reason := parseHead(string(line), a)
	if reason != "" {
		return reason
	}
	var forwarded string
	for _, field := range [...]*string{&a.referrer, &a.userAgent, &forwarded} {
		quoted, ok := strings.CutPrefix(rest, ` "`)
		if !ok {
			break
		}
		var value string
		value, rest, _ = closeQuote(quoted)
		*field = text(unescape(value))
	}
	a.forwardedIP = forwardedIP(forwarded)
	return ""
}

// parseHead reads what the two formats share, and returns the rest.
func parseHead(s string, a *access) (rest, reason string) {
	client, rest, ok := strings.Cut(s, " ")
	if !ok {
		return "", "line does not have the fields of its format"
	}
	if a.clientIP = clientIP(unescape(client)); a.clientIP == "" {
		return "", "field client_ip is missing"
	}
	user, rest, reason := parseTime(rest, a)
	if reason != "" {
		return "", reason
	}
	// Apache writes an empty name as two quotes.
	if user != `""` {
		a.user = text(unescape(user))
	}

	quoted, ok := strings.CutPrefix(rest, ` "`)
	if !ok {
		return "", "field request is missing"
	}
	request, rest, closed := closeQuote(quoted)
	if !closed {
		return "", "field request has no closing quote"
	}
	method, path, protocol := requestLine(unescape(request))
	a.method, a.path, a.protocol = method, clean(path), protocol

	status, rest := word(rest)
	if reason := a.setStatus(status); reason != "" {
		return "", reason
	}
	bytes, rest := word(rest)
	return rest, a.setBytes(bytes)
}

// parseTime reads "ident user [time]", and returns the user and what follows
// the time. A user's name may hold spaces and brackets, so the time is the
// first thing in brackets that is one.
func parseTime(s string, a *access) (user, rest, reason string) {
	reason = "field time is missing"
	for from := 0; ; {
		i := strings.Index(s[from:], " [")
		if i < 0 {
			return "", "", reason
		}
		open := from + i
		stamp, rest, closed := strings.Cut(s[open+2:], "]")
		if !closed {
			return "", "", reason
		}
		if a.at, reason = instant(stamp); reason != "" {
			from = open + 2
			continue
		}
		_, user, ok := strings.Cut(s[:open], " ")
		if !ok {
			return "", "", "field user is missing"
		}
		return user, rest, ""
	}
}

// closeQuote splits s after the quote that ends it. That quote is not escaped
// and stands before a space or the end: some servers do not escape the quotes
// inside a value. Without one, all of s is the value.
func closeQuote(s string) (value, rest string, closed bool) {
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"' && (i+1 == len(s) || s[i+1] == ' '):
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// word returns the next word of s, which begins with a space, and what follows
// it.
func word(s string) (value, rest string) {
	s, ok := strings.CutPrefix(s, " ")
	if !ok {
		return "", s
	}
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
