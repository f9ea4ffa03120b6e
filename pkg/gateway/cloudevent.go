package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// attributes are those of a CloudEvent (CloudEvents 1.0.2) that mean something
// here. Subject, dataschema and extensions are allowed and ignored.
type attributes struct {
	specversion, id, source, typ, time, contentType string
}

// structured reads the members as a CloudEvent in structured mode.
func (e envelope) structured(defaults submission) submission {
	var a attributes
	for _, m := range []struct {
		name string
		raw  member
		to   *string
	}{
		{"specversion", e.specversion, &a.specversion}, {"id", e.id, &a.id},
		{"source", e.source, &a.source}, {"type", e.typ, &a.typ},
		{"time", e.time, &a.time}, {"datacontenttype", e.contentType, &a.contentType},
	} {
		if m.raw == nil {
			continue
		}
		text, ok := unquote(m.raw)
		if !ok {
			return refused(m.name + " is not a string")
		}
		*m.to = text
	}
	data := []byte(e.data)
	switch {
	case e.data != nil && e.dataBase64 != nil:
		return refused("data and data_base64 are both there")
	case e.dataBase64 != nil:
		text, ok := unquote(e.dataBase64)
		raw, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil {
			return refused("data_base64 is not base64")
		}
		data = raw
	}
	return a.submission(data, defaults)
}

// submission is the event that a CloudEvent stands for.
func (a attributes) submission(data []byte, defaults submission) submission {
	switch {
	case a.specversion != "1.0":
		return refused("specversion is not 1.0")
	case a.id == "":
		return refused("id is missing")
	case a.source == "":
		return refused("source is missing")
	case len(a.source)+1+len(a.id) > maxID:
		return refused("source and id together are longer than 255 bytes")
	case a.typ == "":
		return refused("type is missing")
	case !isJSON(a.contentType):
		return refused("datacontenttype is not JSON")
	case data == nil:
		return refused("data is missing")
	}
	// An id is unique within its source alone.
	s := submission{id: a.source + "\x00" + a.id, occurred: a.time, dated: "time", data: data, service: defaults.service, sole: defaults.sole}
	s.event, s.version = eventOf(a.typ)
	if defaults.event != "" && s.event != defaults.event {
		return refused("type is not the event of the topic")
	}
	if s.service == "" {
		s.service = serviceOf(a.source)
	}
	return s
}

// eventOf reads the type of a CloudEvent: http_access, http_access.v1,
// lethe.http_access.v1.
func eventOf(typ string) (name string, version int) {
	name = strings.TrimPrefix(typ, "lethe.")
	if before, after, ok := strings.Cut(name, ".v"); ok {
		if n, err := strconv.Atoi(after); err == nil && n > 0 {
			return before, n
		}
	}
	return name, 0
}

// serviceOf reads the source of a CloudEvent: a service's name, or nothing. A
// URI is not looked into: what its path ends in may name a person, and a
// service stands in topics (P1).
func serviceOf(source string) string {
	if event.CheckName(source) {
		return source
	}
	return ""
}

// isJSON says whether a media type is JSON; none at all is.
func isJSON(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || !isUTF8(params) {
		return false
	}
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json")
}

func isUTF8(params map[string]string) bool {
	c, ok := params["charset"]
	return !ok || strings.EqualFold(c, "utf-8") || strings.EqualFold(c, "utf8")
}

const headerPrefix = "Ce-"

// isBinary says whether a request is a CloudEvent in binary mode.
func isBinary(h http.Header) bool { return len(h.Values(headerPrefix+"Specversion")) > 0 }

// binaryMode reads the attributes that are headers, percent-encoded as the HTTP
// binding (3.1.3.2) says. The name stands for them all, for telling requests
// with equal bodies apart.
func binaryMode(h http.Header) (a attributes, name []byte, err error) {
	for _, m := range []struct {
		header string
		to     *string
	}{
		{"Specversion", &a.specversion}, {"Id", &a.id}, {"Source", &a.source},
		{"Type", &a.typ}, {"Time", &a.time},
	} {
		values := h.Values(headerPrefix + m.header)
		if len(values) > 1 {
			return a, nil, fail(http.StatusBadRequest, "the header ce-"+strings.ToLower(m.header)+" is there twice")
		}
		if len(values) == 1 {
			text, err := url.PathUnescape(values[0])
			if err != nil {
				return a, nil, fail(http.StatusBadRequest, "the header ce-"+strings.ToLower(m.header)+" is not percent-encoded")
			}
			*m.to = text
		}
		name = binary.AppendUvarint(name, uint64(len(*m.to)))
		name = append(name, *m.to...)
	}
	a.contentType = h.Get("Content-Type")
	return a, name, nil
}
