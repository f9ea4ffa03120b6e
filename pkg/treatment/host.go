package treatment

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// What stands where something was recognized and taken out.
const (
	markMail   = "[email]"
	markIP     = "[ip]"
	markNumber = "[number]"
	markSecret = "[secret]"
	markID     = "[id]"
	markName   = "[name]"
	markValue  = "[value]"
	markURL    = "[url]"
	markBinary = "[binary]"
	markMore   = "[more]"
)

// hostName maps what a browser would look up to its A-label.
var hostName = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(true))

// hostOf is the host of an absolute URL as a lower-case A-label, without port
// and user. An address is "[ip]", and a label that looks like somebody's id is
// "[id]". What is no URL, or has no host that the public DNS could name, is
// nothing at all: it would be text of the sender's choice.
func hostOf(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || !isScheme(scheme) {
		return ""
	}
	if end := strings.IndexAny(rest, `/?#\`); end >= 0 {
		rest = rest[:end]
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = rest[at+1:]
	}
	if strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return ""
		}
		if _, err := netip.ParseAddr(rest[1:end]); err != nil {
			return ""
		}
		return markIP
	}
	if colon := strings.LastIndexByte(rest, ':'); colon >= 0 {
		if !allDigits(rest[colon+1:]) {
			return ""
		}
		rest = rest[:colon]
	}
	return publicHost(rest)
}

func publicHost(host string) string {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 1024 {
		return ""
	}
	if !ordinaryHost(host) {
		if _, err := netip.ParseAddr(host); err == nil {
			return markIP
		}
		var err error
		if host, err = hostName.ToASCII(host); err != nil {
			return ""
		}
		host = strings.TrimSuffix(host, ".")
	}
	if len(host) > 253 {
		return ""
	}
	if hasIP(host) {
		return markIP // ip-192-0-2-1.example.net
	}
	dot := strings.LastIndexByte(host, '.')
	if dot < 0 || !topLevel(host[dot+1:]) {
		return ""
	}
	identified := false
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return ""
		}
		identified = identified || identifyingLabel(label)
	}
	if !identified {
		return host
	}
	labels := strings.Split(host, ".")
	for i, label := range labels {
		if identifyingLabel(label) {
			labels[i] = markID
		}
	}
	return strings.Join(labels, ".")
}

// ordinaryHost is the fast way for a name that is its own A-label already:
// lower-case letters and digits, single dots and hyphens between them, and a
// letter first, which no address has without a colon.
func ordinaryHost(host string) bool {
	before := byte('.')
	for i := range len(host) {
		c := host[i]
		switch {
		case c >= 'a' && c <= 'z':
		case isDigit(c) && i > 0:
		case (c == '.' || c == '-') && before != '.' && before != '-':
		default:
			return false
		}
		before = c
	}
	return before != '.' && before != '-'
}

func identifyingLabel(label string) bool {
	return !strings.HasPrefix(label, "xn--") && identifying(label)
}

// topLevel says whether a label can stand at the top of the DNS: two letters or
// more, or an A-label.
func topLevel(label string) bool {
	if strings.HasPrefix(label, "xn--") {
		return true
	}
	for i := range len(label) {
		if label[i] < 'a' || label[i] > 'z' {
			return false
		}
	}
	return len(label) >= 2
}

func isScheme(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '+' && s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != "" && len(s) <= 16
}
