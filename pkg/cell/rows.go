package cell

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// query is one statement and its parameters. The text holds names of the
// policy, days, numbers, and nothing else.
type query struct {
	sql    string
	params map[string]any
}

func newQuery() *query { return &query{params: map[string]any{}} }

// text adds a string and returns how the statement refers to it.
func (q *query) text(s string) string {
	name := "p" + strconv.Itoa(len(q.params))
	q.params[name] = s
	return "{" + name + ":String}"
}

// A scope is some of the rows of a unit: of one place, over a span of days,
// through a sequence of the clean log.
type scope struct {
	place
	first, last string
	through     uint64
}

// where keeps the rows of a scope. What has expired is out of sight: the user
// of the warehouse stands behind the read barrier (P4).
func (u *unit) where(q *query, s scope) string {
	and := []string{
		"tenant = " + q.text(s.tenant), "service = " + q.text(s.service),
		// The time in an id is that of the event, to the second, and rows lie
		// in the order of ids. A day is anywhere within 14 hours of UTC.
		"event_id >= " + idAt(dateOf(s.first).Add(-day)), "event_id < " + idAt(dateOf(s.last).Add(2*day)),
		"log_seq <= " + formatUint(s.through),
		u.day() + " >= '" + s.first + "'", u.day() + " <= '" + s.last + "'",
	}
	return strings.Join(append(and, u.conditions(q)...), " AND ")
}

const day = 24 * time.Hour

func idAt(at time.Time) string {
	id := event.NewID(at, [16]byte{})
	return fmt.Sprintf("toFixedString(unhex('%x'), %d)", id[:], len(id))
}

// day is the day of a row, as text, in the zone of the unit.
func (u *unit) day() string {
	return "toString(toDate(occurred_at, '" + u.zone() + "'))"
}

// conditions are those of a metric, but of what is current: there they say
// what counts, and every row says what was last.
func (u *unit) conditions(q *query) []string {
	if u.lead().Value == policy.Current {
		return nil
	}
	return u.own(q)
}

func (u *unit) own(q *query) []string {
	var and []string
	for _, c := range u.lead().Where {
		col, _ := u.table.Column(c.Column)
		var or []string
		for _, v := range c.In {
			if col.Kind == event.Int || col.Kind == event.Bool {
				or = append(or, ident(c.Column)+" = "+v) // the policy holds it to its kind
			} else {
				or = append(or, ident(c.Column)+" = "+q.text(v))
			}
		}
		test := "(" + strings.Join(or, " OR ") + ")"
		if col.Nullable {
			test = "ifNull(" + test + ", 0)"
		}
		and = append(and, test)
	}
	return and
}

// told is the value of a dimension as cells tell it. An absent value is "", and
// what is longer than a line is told by its beginning.
func (u *unit) told(d policy.Dimension) string {
	if d.Hour {
		return "formatDateTime(occurred_at, '%Y-%m-%dT%H:00:00Z', 'UTC')"
	}
	col, _ := u.table.Column(d.Column)
	text := "CAST(" + ident(d.Column) + ", 'String')"
	switch {
	case col.Nullable:
		return "ifNull(toString(" + ident(d.Column) + "), '')"
	case col.Kind == event.String:
		return fmt.Sprintf("if(lengthUTF8(%s) > %d, concat(substringUTF8(%s, 1, %d), '…'), %s)", text, longest, text, longest-1, text)
	}
	return text
}

// longest is how many characters of a value are told.
const longest = 200

// noToken is an absent token.
var noToken = "toFixedString('', " + strconv.Itoa(event.TokenSize) + ")"

// subject writes who is behind a row: its root, the epoch that its token counts
// in, and the token. A row that bears the token of the epoch before too counts
// by that one, where there are rows of that epoch: first is the first epoch
// among the rows. So a subject on both sides of an epoch's edge is one. Subjects
// of different roots are never added up.
//
// Of a token the first eight bytes are told apart, which are as random as all
// of it, and in less than half of the time (BenchmarkPublish). Should those of
// two people ever be equal, they count as one: too few, and never too many.
// Zero is an absent token: nobody.
func (u *unit) subject(first string) (columns []string) {
	m := u.lead()
	if m.Subject == "" {
		return []string{"toInt64(0) AS _root", "toUInt64(0) AS _token"}
	}
	bridge, ok := u.bridge()
	if !ok {
		return []string{"epoch AS _root", "reinterpretAsUInt64(" + ident(m.Subject) + ") AS _token"}
	}
	return []string{
		"(epoch > " + first + " AND " + ident(bridge) + " != " + noToken + ") AS _bridged",
		"epoch - toInt64(_bridged) * " + strconv.FormatInt(m.Table.Domain.Step(), 10) + " AS _root",
		"reinterpretAsUInt64(if(_bridged, " + ident(bridge) + ", " + ident(m.Subject) + ")) AS _token",
	}
}

func formatUint(n uint64) string { return strconv.FormatUint(n, 10) }

// ident quotes a name of the policy, which is lower-case letters, digits and _.
func ident(name string) string { return "`" + name + "`" }

// dim is the alias of a dimension. Names of the policy begin with a letter, so
// no alias with an underscore hides a column.
func dim(i int) string { return "_d" + strconv.Itoa(i) }

func dims(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = dim(i)
	}
	return out
}
