package policy

import (
	"regexp"
	"strconv"
	"unicode/utf8"

	"github.com/lethe-pipeline/lethe/pkg/event"
)

// A check is what a schema says about the value of one field, compiled.
type check struct {
	at        place
	kind      event.Kind
	enum      map[string]struct{}
	constant  *event.Value
	minLength int // code points
	maxLength int // code points; -1 is none
	pattern   *regexp.Regexp
	format    string
	text      func(string) bool // of the format; nil when there is none
	least     number
	most      number
}

// ofText checks a string and returns it as the value of its kind, or says what
// is wrong.
func (c *check) ofText(s string) (event.Value, string) {
	if c.constant != nil && s != c.constant.Str() {
		return event.Value{}, "must have the one value that the schema allows"
	}
	if c.enum != nil {
		if _, ok := c.enum[s]; !ok {
			return event.Value{}, "is not one of the values that the schema lists"
		}
	}
	if c.minLength > 0 || c.maxLength >= 0 && len(s) > c.maxLength {
		n := utf8.RuneCountInString(s)
		if n < c.minLength {
			if n == 0 {
				return event.Value{}, "is empty"
			}
			return event.Value{}, "is shorter than " + strconv.Itoa(c.minLength) + " characters"
		}
		if c.maxLength >= 0 && n > c.maxLength {
			return event.Value{}, "is longer than " + strconv.Itoa(c.maxLength) + " characters"
		}
	}
	if c.pattern != nil && !c.pattern.MatchString(s) {
		return event.Value{}, "does not have the form that the schema asks for"
	}
	if c.format == dateTime {
		at, ok := parseDateTime(s)
		if !ok {
			return event.Value{}, formatSentence[dateTime]
		}
		return event.TimeValue(at), ""
	}
	if c.text != nil && !c.text(s) {
		return event.Value{}, formatSentence[c.format]
	}
	return event.StringValue(s), ""
}

// ofNumber checks a number whose grammar is known to be right.
func (c *check) ofNumber(s string) (event.Value, string) {
	n, _ := parseNumber(s)
	if c.kind == event.Int && !n.isWhole() {
		return event.Value{}, wrongKind[event.Int]
	}
	if n.compare(c.least) < 0 {
		return event.Value{}, "is less than " + c.least.text
	}
	if n.compare(c.most) > 0 {
		return event.Value{}, "is more than " + c.most.text
	}
	if c.kind == event.Int {
		v, _ := n.whole() // bounded by 2^53
		if c.constant != nil && v != c.constant.Int() {
			return event.Value{}, "must have the one value that the schema allows"
		}
		return event.IntValue(v), ""
	}
	f, _ := n.float() // bounded by what a float64 holds
	return event.FloatValue(f), ""
}
