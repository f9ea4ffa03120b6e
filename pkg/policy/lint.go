package policy

import (
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// permitted are the treatments that a class of field may have. What is not
// here is refused.
var permitted = map[FieldClass][]Verb{
	Plain:      {Keep, Drop, TokenOf, Coarsen, Redact},
	Quasi:      {Keep, Drop, TokenOf, Coarsen, Redact},
	Identifier: {Drop, TokenOf, Truncate},
	Sensitive:  {Drop, TokenOf},
	FreeText:   {Drop, Coarsen, Redact},
}

var classWords = map[FieldClass]string{
	Plain:      "plain",
	Quasi:      "a quasi-identifier",
	Identifier: "an identifier",
	Sensitive:  "sensitive",
	FreeText:   "free text",
}

// forbidden says why a treatment may not be given to a field, or "".
func (c *tableCompiler) forbidden(f Field, doc treatmentDoc) string {
	if f.Class == "" || f.Kind == event.Null {
		return "" // the schema's own problem
	}
	// P1: a personal value never leaves treatment as it came.
	if doc.verb == Keep && f.Class.personal() {
		return "is " + classWords[f.Class] + " and may not be kept as it came"
	}
	if !slices.Contains(permitted[f.Class], doc.verb) {
		return "is " + classWords[f.Class] + ": " + string(doc.verb) + " is not a treatment for it"
	}
	if why := c.lasting(f, doc); why != "" {
		return why
	}
	return c.fits(f, doc)
}

// lasting says why a treatment may not fill a column of a lasting table. P7:
// what stays says nothing about a person, so nothing of it may come from an
// identifier or from free text.
func (c *tableCompiler) lasting(f Field, doc treatmentDoc) string {
	if !c.table.Class.Lasting || doc.verb == Drop || doc.verb == TokenOf {
		return ""
	}
	switch {
	case f.Class.personal():
		return "is " + classWords[f.Class] + ": a lasting table keeps nothing of it"
	case f.Class == Quasi && doc.verb == Keep && f.Kind == event.String && len(f.Enum) == 0 && !c.bounded(f.Name, shortText):
		return "is a quasi-identifier: a lasting table keeps it only coarsened, enumerated or at most 8 characters long"
	case f.Class == Quasi && doc.verb == Keep && (f.Kind == event.Int || f.Kind == event.Float):
		return "is a quasi-identifier: a lasting table keeps a number only in steps"
	case f.Class == Quasi && doc.verb == Redact:
		return "is a quasi-identifier: redacting does not make it coarse enough for a lasting table"
	case f.Kind == event.Time && doc.verb == Keep:
		return "is an exact time: a lasting table keeps it only to the hour or the day"
	}
	return ""
}

// fits says why a treatment cannot be done to this type of field, or "".
func (c *tableCompiler) fits(f Field, doc treatmentDoc) string {
	text := f.Kind == event.String
	switch doc.verb {
	case TokenOf:
		if !text {
			return "is not text, and a token is made from text"
		}
	case Truncate:
		if format := c.formats[f.Name]; f.Identifier != "ip" || !slices.Contains([]string{"ip", "ipv4", "ipv6"}, format) {
			return "is not an IP address: truncate is for fields with format ip and identifier ip"
		}
		// P3: at least the last 8 bits of IPv4 and 80 of IPv6 go.
		if doc.ipv4 < 0 || doc.ipv4 > 24 || doc.ipv6 < 0 || doc.ipv6 > 48 {
			return "keeps too much of an address: at most 24 bits of IPv4 and 48 of IPv6"
		}
	case Redact:
		if doc.arg != "text" && doc.arg != "path" {
			return "redact aims at text or path"
		}
		if !text {
			return "is not text, and only text can be redacted"
		}
	case Coarsen:
		return fitsCoarsen(f, doc.arg)
	}
	return ""
}

func fitsCoarsen(f Field, to string) string {
	_, stepped := step(to)
	switch {
	case to == coarsenFamily || to == coarsenHost:
		if f.Kind != event.String {
			return "is not text: " + to + " is for text"
		}
	case to == coarsenHour || to == coarsenDay:
		if f.Kind != event.Time {
			return "is not a time: " + to + " is for fields with format date-time"
		}
	case stepped:
		if f.Kind != event.Int && f.Kind != event.Float {
			return "is not a number: step is for numbers"
		}
	default:
		return "coarsen aims at user_agent_family, host, hour, day or step:N"
	}
	return ""
}
