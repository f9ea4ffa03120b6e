package logformat

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A field is a place in an nginx-json line. The format has no fixed names:
// each site writes its own log_format, mostly naming a field after the
// variable in it, with or without the prefix http_.
type field int

const (
	fieldMsec field = iota
	fieldTime
	fieldClient
	fieldForwarded
	fieldUser
	fieldRequest
	fieldMethod
	fieldRequestURI
	fieldURI
	fieldQuery
	fieldProtocol
	fieldStatus
	fieldBytes
	fieldReferrer
	fieldUserAgent
	fieldHost
	fieldSeconds
	fieldMilliseconds
	fieldLanguage
	fieldCookie
	fieldDNT
	fieldGPC
	fields
)

// spellings are the names of each field, the one to prefer first.
var spellings = [fields][]string{
	fieldMsec:         {"msec"},
	fieldTime:         {"time_iso8601", "@timestamp", "timestamp", "time", "ts", "time_local"},
	fieldClient:       {"remote_addr", "client_ip", "clientip", "remote_ip", "client", "ip"},
	fieldForwarded:    {"http_x_forwarded_for", "x_forwarded_for", "xff", "forwarded_for"},
	fieldUser:         {"remote_user", "user"},
	fieldRequest:      {"request", "request_line"},
	fieldMethod:       {"request_method", "method"},
	fieldRequestURI:   {"request_uri"},
	fieldURI:          {"uri", "path", "url"},
	fieldQuery:        {"args", "query_string", "query"},
	fieldProtocol:     {"server_protocol", "protocol", "proto"},
	fieldStatus:       {"status", "status_code"},
	fieldBytes:        {"body_bytes_sent", "bytes", "bytes_sent", "size"},
	fieldReferrer:     {"http_referer", "referer", "http_referrer", "referrer"},
	fieldUserAgent:    {"http_user_agent", "user_agent", "useragent", "agent"},
	fieldHost:         {"host", "http_host", "server_name"},
	fieldSeconds:      {"request_time"},
	fieldMilliseconds: {"duration_ms", "request_time_ms"},
	fieldLanguage:     {"http_accept_language", "accept_language", "language"},
	fieldCookie:       {"cookie_id", "cookie_uid", "uid_got"},
	fieldDNT:          {"http_dnt", "dnt"},
	fieldGPC:          {"http_sec_gpc", "sec_gpc", "gpc"},
}

// A spelling is a field and how much its name is to be preferred: 0 the most.
type spelling struct {
	field field
	rank  int
}

var fieldNames = func() map[string]spelling {
	m := map[string]spelling{}
	for f, names := range spellings {
		for rank, name := range names {
			m[name] = spelling{field(f), rank}
		}
	}
	return m
}()

// nginxJSON reads lines that nginx writes with escape=json. It holds the
// decoder and the values of the line in hand.
type nginxJSON struct {
	src    bytes.Reader
	dec    *jsontext.Decoder
	values [fields]string
	ranks  [fields]int
}

func newNginxJSON() parser {
	n := &nginxJSON{}
	n.dec = jsontext.NewDecoder(&n.src)
	return n.parse
}

// parse reads one line. escape=json leaves bytes that are not UTF-8 as they
// are, so such a line is not JSON at all and has a reason of its own.
func (n *nginxJSON) parse(line []byte, a *access) (reason string) {
	if !utf8.Valid(line) {
		return reasonUTF8
	}
	if reason := n.collect(line); reason != "" {
		return reason
	}
	v := &n.values

	// msec is the same instant as the others, with its milliseconds.
	stamp := v[fieldMsec]
	if stamp == "" {
		stamp = v[fieldTime]
	}
	if a.at, reason = instant(stamp); reason != "" {
		return reason
	}
	if a.clientIP = clientIP(v[fieldClient]); a.clientIP == "" {
		return "field client_ip is missing"
	}
	if reason := a.setStatus(v[fieldStatus]); reason != "" {
		return reason
	}
	if reason := a.setBytes(v[fieldBytes]); reason != "" {
		return reason
	}
	if reason := a.setDuration(v[fieldSeconds], 1000); reason != "" {
		return reason
	}
	if reason := a.setDuration(v[fieldMilliseconds], 1); reason != "" {
		return reason
	}
	n.setRequest(a)
	a.forwardedIP = forwardedIP(v[fieldForwarded])
	a.user = text(v[fieldUser])
	a.referrer = text(v[fieldReferrer])
	a.userAgent = text(v[fieldUserAgent])
	a.host = text(v[fieldHost])
	a.language = text(v[fieldLanguage])
	a.cookieID = text(v[fieldCookie])
	// P13: a visitor's choice is part of what the log says.
	a.dnt, a.gpc = v[fieldDNT] == "1", v[fieldGPC] == "1"
	return ""
}

// collect fills in the values of the fields that the line has. A field is text
// or a number; true is 1, and null or false is a field the line does not have. A name that appears
// twice has no meaning that readers agree on, and makes the line no object
// (RFC 7493, section 2.3).
func (n *nginxJSON) collect(line []byte) (reason string) {
	n.values = [fields]string{}
	n.src.Reset(line)
	n.dec.Reset(&n.src)
	if tok, err := n.dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return reasonJSON
	}
	for n.dec.PeekKind() != '}' {
		tok, err := n.dec.ReadToken()
		if err != nil {
			return reasonJSON
		}
		sp, known := fieldNames[tok.String()]
		if !known {
			if n.dec.SkipValue() != nil {
				return reasonJSON
			}
			continue
		}
		tok, err = n.dec.ReadToken()
		if err != nil {
			return reasonJSON
		}
		switch tok.Kind() {
		case '"', '0':
			n.keep(sp, tok.String())
		case 't':
			n.keep(sp, "1")
		case 'f', 'n':
		default:
			return "field " + spellings[sp.field][0] + " is neither text nor a number"
		}
	}
	if _, err := n.dec.ReadToken(); err != nil {
		return reasonJSON
	}
	if _, err := n.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return reasonJSON
	}
	return ""
}

// keep notes a value, unless one with a better name is there. An empty value
// is none.
func (n *nginxJSON) keep(sp spelling, value string) {
	if value == "" || value == "-" {
		return
	}
	if n.values[sp.field] == "" || sp.rank < n.ranks[sp.field] {
		n.values[sp.field] = value
		n.ranks[sp.field] = sp.rank
	}
}

// setRequest fills in what was asked for. Fields of their own come before the
// request line, except for $uri: nginx has decoded and rewritten that one, and
// the request line is what the client sent.
func (n *nginxJSON) setRequest(a *access) {
	v := &n.values
	method, path, protocol := requestLine(v[fieldRequest])
	if isMethod(v[fieldMethod]) {
		method = v[fieldMethod]
	}
	if isProtocol(v[fieldProtocol]) {
		protocol = v[fieldProtocol]
	}
	switch uri := v[fieldURI]; {
	case v[fieldRequestURI] != "":
		path = v[fieldRequestURI]
	case path != "" || uri == "":
	case v[fieldQuery] != "" && !strings.Contains(uri, "?"):
		path = uri + "?" + v[fieldQuery]
	default:
		path = uri
	}
	a.method, a.path, a.protocol = method, clean(path), protocol
}
