package treatment

import (
	"net/netip"
	"strings"
)

// What makes a run of characters somebody's number, id or secret rather than a
// word. The figures are where words end: a year has four digits and a port
// five, few words are twenty letters long.
const (
	minDigits    = 5   // in a path: an order, an account, a postcode
	minTextRun   = 6   // in text, where ports and durations are common
	minNumber    = 7   // with separators: a phone, a card, a date of birth
	minHex       = 12  // a short object id; a git hash in a message is 7 to 11
	minMixed     = 20  // a token in any base
	maxWord      = 32  // letters of one case in a row
	maxIPv6      = 64  // no spelling of an address is longer
	maxRun       = 256 // of a run is looked at to tell what it is
	maxSeparator = 2   // between the digits of one number: "(030) 12"
)

// numberSeparators stand between the digits of one number; a plus is a space in
// a query.
const numberSeparators = " .-()/+\x1a"

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isHex(c byte) bool   { return isDigit(c) || 'a' <= c|0x20 && c|0x20 <= 'f' }
func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isAlnum(c byte) bool { return isDigit(c) || isAlpha(c) }

// isWord bytes continue a word. Bytes of other scripts do.
func isWord(c byte) bool { return isAlnum(c) || c == '_' || c >= 0x80 }

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}

// match looks for an address, a number or a token that begins at s[i], and
// returns what to write in its stead and where it ends; end is i when there is
// none. Digits is how long a bare run of digits may not be.
func match(s string, i, digits int) (mark string, end int) {
	c := s[i]
	if !isAlnum(c) && c != ':' {
		return "", i
	}
	if end := matchIP(s, i); end > i {
		return markIP, end
	}
	if i == 0 || !isAlnum(s[i-1]) {
		if end := matchID(s, i); end > i {
			return markID, end
		}
	}
	if isHex(c) && (i == 0 || !isHex(s[i-1])) {
		if end := matchHex(s, i); end > i {
			return markID, end
		}
	}
	if isDigit(c) && (i == 0 || !isDigit(s[i-1])) {
		if end := matchNumber(s, i, digits); end > i {
			return markNumber, end
		}
	}
	return "", i
}

// identifying says whether match finds anything in s.
func identifying(s string) bool {
	for i := range len(s) {
		if _, end := match(s, i, minDigits); end > i {
			return true
		}
	}
	return false
}

// hasIP says whether an IP address stands anywhere in s.
func hasIP(s string) bool {
	for i := range len(s) {
		if matchIP(s, i) > i {
			return true
		}
	}
	return false
}

// matchIP matches an IP or hardware address.
func matchIP(s string, i int) int {
	c := s[i]
	if c == ':' || isHex(c) && (i == 0 || !isHex(s[i-1])) {
		if end := matchIPv6(s, i); end > i {
			return end
		}
	}
	if isHex(c) && (i == 0 || !isAlnum(s[i-1])) {
		if end := matchMAC(s, i); end > i {
			return end
		}
	}
	if isDigit(c) && (i == 0 || !isDigit(s[i-1])) {
		return matchIPv4(s, i)
	}
	return i
}

// matchIPv4 matches four or more groups of one to three digits with one kind of
// separator: dots, or the hyphens and underscores that reverse DNS names write
// for them. Values above 255 match too. A port or a prefix length is part of
// it: behind a carrier's NAT the port singles out.
func matchIPv4(s string, i int) int {
	var sep byte
	groups, end := 0, i
	for j := i; ; {
		start := j
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		if n := j - start; n < 1 || n > 3 {
			break
		}
		groups, end = groups+1, j
		if j >= len(s) || s[j] != '.' && s[j] != '-' && s[j] != '_' || sep != 0 && s[j] != sep {
			break
		}
		sep = s[j]
		j++
	}
	if groups < 4 {
		return i
	}
	return matchPort(s, end)
}

// matchPort continues an address over ":8080" or "/24".
func matchPort(s string, i int) int {
	if i < len(s) && (s[i] == ':' || s[i] == '/') {
		j := i + 1
		for j < len(s) && j < i+6 && isDigit(s[j]) {
			j++
		}
		if j > i+1 {
			return j
		}
	}
	return i
}

// matchIPv6 matches an address in any spelling, with or without zone, and what
// is too much like one to be anything else (five groups of hex or more). A
// group that is part of a word counts only when there are digits, so that
// core::fmt stays.
func matchIPv6(s string, i int) int {
	if s[i] == ':' && i > 0 && s[i-1] == ':' {
		return i
	}
	start := i
	if s[i] == ':' && !(i+1 < len(s) && s[i+1] == ':') {
		start++ // "peer:2001:db8::1"
	}
	end, colons := start, 0
	for end < len(s) && end < start+maxIPv6 && (isHex(s[end]) || s[end] == ':' || s[end] == '.') {
		if s[end] == ':' {
			colons++
		}
		end++
	}
	if colons < 2 {
		return i
	}
	partial := i > 0 && isWord(s[i-1])
	if end < len(s) && isWord(s[end]) {
		partial = true
		for end > start && s[end-1] != ':' {
			end--
		}
	}
	for end > start && (s[end-1] == '.' || s[end-1] == ':' && (end-2 < start || s[end-2] != ':')) {
		end--
	}
	text := s[start:end]
	if text == "" || text == "::" || partial && !strings.ContainsAny(text, "0123456789") {
		return i
	}
	if !isIPv6(text) {
		// An embedded IPv4 address may be followed by a port.
		cut := strings.LastIndexByte(text, ':')
		if !manyGroups(text) && !(strings.Contains(text, ".") && isIPv6(text[:cut])) {
			return i
		}
	}
	if end < len(s) && s[end] == '%' {
		for end++; end < len(s) && (isWord(s[end]) || s[end] == '.' || s[end] == '-'); end++ {
		}
	}
	if end < len(s) && s[end] == '/' {
		return matchPort(s, end)
	}
	return end
}

func isIPv6(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && !addr.Is4()
}

// manyGroups says whether text has five or more groups of up to four
// hexadecimal digits.
func manyGroups(text string) bool {
	if strings.Count(text, ":") < 4 {
		return false
	}
	for group := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ':' || r == '.' }) {
		if len(group) > 4 {
			return false
		}
	}
	return true
}

// matchMAC matches a hardware address with hyphens or dots; one with colons is
// five groups of hex.
func matchMAC(s string, i int) int {
	for _, form := range [...]struct {
		sep           byte
		groups, width int
	}{{'-', 6, 2}, {'.', 3, 4}} {
		size := form.groups*(form.width+1) - 1
		if len(s) < i+size || i+size < len(s) && isWord(s[i+size]) {
			continue
		}
		ok := true
		for j := 0; ok && j < size; j++ {
			if j%(form.width+1) == form.width {
				ok = s[i+j] == form.sep
			} else {
				ok = isHex(s[i+j])
			}
		}
		if ok {
			return i + size
		}
	}
	return i
}

// matchID matches a UUID, a JSON Web Token or any other run of base64 or hex
// that is too long to be a word.
func matchID(s string, i int) int {
	end := i
	for end < len(s) && end < i+maxRun && isRun(s[end]) {
		end++
	}
	isToken := strings.HasPrefix(s[i:], "eyJ") && end < len(s) && s[end] == '.' // RFC 7519
	if !isToken && (end-i < minMixed || madeOfWords(s[i:end])) {
		return i
	}
	for end < len(s) && (isRun(s[end]) || isToken && s[end] == '.') {
		end++
	}
	return end
}

// isRun bytes are those of base64 in any alphabet, of hex and of UUIDs.
func isRun(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '+' || c == '/' }

// matchHex matches hexadecimal digits that are too many for a word.
func matchHex(s string, i int) int {
	end, digits := i, 0
	for end < len(s) && isHex(s[end]) {
		if isDigit(s[end]) {
			digits++
		}
		end++
	}
	if end-i >= minHex && 0 < digits && digits < end-i {
		return end
	}
	return i
}

// madeOfWords says whether a run is words joined by separators or capitals: no
// digits, in one case or with capitals in front, and of four letters or more on
// average. Of random base64 of minMixed characters one in five thousand is.
func madeOfWords(s string) bool {
	words, letters := 0, 0
	lower, upper := 0, 0 // of the word at hand
	end := func() bool {
		ok := lower+upper <= maxWord && (upper == 0 || lower == 0 || upper == 1)
		if lower+upper > 0 {
			words++
		}
		letters += lower + upper
		lower, upper = 0, 0
		return ok
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z':
			lower++
		case 'A' <= c && c <= 'Z':
			if lower > 0 && !end() {
				return false
			}
			upper++
		case c == '-' || c == '_' || c == '/':
			if !end() {
				return false
			}
		default:
			return false
		}
	}
	return end() && letters >= 4*words
}

// matchNumber matches a run of digits, or digits with separators between them,
// that are too many for a quantity.
func matchNumber(s string, i, run int) int {
	end, total, longest := i, 0, 0
	for j := i; j < len(s); {
		start := j
		for j < len(s) && isDigit(s[j]) {
			j++
		}
		if j == start {
			break
		}
		total += j - start
		longest = max(longest, j-start)
		end = j
		for n := 0; n < maxSeparator && j < len(s) && strings.IndexByte(numberSeparators, s[j]) >= 0; n++ {
			j++
		}
	}
	if total >= minNumber || longest >= run {
		return end
	}
	return i
}

// matchClock matches "2026-11-21T12:30:45.123Z", with a space for the T, and
// "12:30:45": the numbers of a log line that are nobody's. Keep is where the
// milliseconds end; a longer fraction would be room for a number.
func matchClock(s string, i int) (keep, end int) {
	j := i
	if shape(s, j, "dddd-dd-dd") && j+10 < len(s) && (s[j+10] == 'T' || s[j+10] == ' ') {
		if s[j] != '1' && s[j] != '2' {
			return i, i
		}
		j += 11
		if !shape(s, j, "dd:dd") {
			return i, i
		}
		if end = j + 5; shape(s, end, ":dd") {
			end += 3
		}
	} else if shape(s, j, "dd:dd:dd") {
		end = j + 8
	} else {
		return i, i
	}
	if end < len(s) && (isDigit(s[end]) || s[end] == ':') {
		return i, i
	}
	keep = end
	if end+1 < len(s) && (s[end] == '.' || s[end] == ',') && isDigit(s[end+1]) {
		for end++; end < len(s) && isDigit(s[end]); end++ {
		}
		keep = min(end, keep+4)
	}
	return keep, end
}

// shape says whether s has the given shape at i; d stands for a digit.
func shape(s string, i int, form string) bool {
	if i+len(form) > len(s) {
		return false
	}
	for j := range len(form) {
		if c := s[i+j]; form[j] == 'd' && !isDigit(c) || form[j] != 'd' && c != form[j] {
			return false
		}
	}
	return true
}
