package stats

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// query is one SQL statement and its parameters. Every value that a person
// chose is a parameter; the text holds names of the policy, numbers, and
// nothing else.
type query struct {
	sql    string
	params map[string]any
	table  string // as the statement names it
}

// The parts of an answer that one statement returns, by its first column.
const (
	partCell    = "cell"    // one combination of dimensions
	partService = "service" // one service (and root), all cells
	partHidden  = "hidden"  // one service, cells that are hidden
	partShown   = "shown"   // one service, cells that are shown
)

// maxParts bounds the rows of the parts that are not cells: services times
// roots times three.
const maxParts = 30_000

// columns of every row the statement returns, in front of the dimensions.
const (
	colPart    = iota
	colService // of every part but cells
	colHidden
	colRows    // rows of the table
	colPeople  // subjects behind them, summed over services
	colMost    // the largest count of subjects in any one service
	colCounted // subjects that a "current" metric counts, else as people
	colMostCounted
	colOverall // subjects that a "current" metric counts in the total
	colDimensions
)

// newQuery writes the statement that answers a plan for a principal.
//
// It is one statement, so that rows and total are of one moment: what is
// loaded between two could show in their difference. From the inside out:
//
//	_row    one row per event: its cell, its service, its token
//	_last   (current only) one per cell, service and subject: its latest row
//	_part   one per cell and service: rows, and the set of subjects
//	_cell   the same, and whether the cell has to hide
//	top     cells; and the union of sets over all, hidden and shown cells
//
// A token is bridged to the epoch before, where the row carries it, so that a
// subject on both sides of an epoch's edge is one. The root is the epoch whose
// token is used. Within a rule's period there is one root (policy.Domain); were
// there more, they are never added up where it matters: a cell's k is the
// most in any one service and root.
//
// The first epoch is looked up first, in a statement within the statement. A
// late event of an older epoch that is loaded between the two makes two roots
// of one for this once: the number may come out too high, its k never does.
func newQuery(p *plan, who access.Principal, table string) (query, error) {
	q := query{params: map[string]any{}, table: table}
	m := p.metric

	where, err := q.where(p, who)
	if err != nil {
		return query{}, err
	}
	meets := "1"
	if m.Value == policy.Current {
		own, err := conditions(m)
		if err != nil {
			return query{}, err
		}
		if len(own) > 0 {
			meets = q.all(own)
		}
	}
	first, row := q.rows(p, where, meets)
	part := q.parts(p, row)
	cell := q.cells(p, part)
	q.sql = first + q.top(p, cell)
	return q, nil
}

// where is the condition on the rows that a question is about.
func (q *query) where(p *plan, who access.Principal) (string, error) {
	m := p.metric
	// P14: the tenant is the principal's, always.
	and := []string{"tenant = " + q.text(who.Tenant)}
	if len(who.Services) > 0 {
		var list []string
		for _, s := range who.Services {
			list = append(list, q.text(s))
		}
		and = append(and, "service IN ("+strings.Join(list, ", ")+")")
	}
	if !p.from.IsZero() {
		and = append(and, "occurred_at >= fromUnixTimestamp64Milli("+q.param("Int64", strconv.FormatInt(ceilMilli(p.from), 10))+")")
	}
	if !p.to.IsZero() {
		and = append(and, "occurred_at < fromUnixTimestamp64Milli("+q.param("Int64", strconv.FormatInt(ceilMilli(p.to), 10))+")")
	}
	if m.Value != policy.Current { // there, it is about the latest row
		own, err := conditions(m)
		if err != nil {
			return "", err
		}
		if len(own) > 0 {
			and = append(and, q.all(own))
		}
	}
	if len(p.where) > 0 {
		and = append(and, q.all(p.where))
	}
	return strings.Join(and, " AND "), nil
}

// all is true where every filter passes.
func (q *query) all(filters []filter) string {
	var and []string
	for _, f := range filters {
		expr := f.sql()
		var or []string
		for _, v := range f.values {
			switch {
			case f.Bucket != "" || f.column.Kind == event.Int:
				v = q.param("Int64", v)
			case f.column.Kind == event.Bool:
				v = q.param("Bool", v)
			default:
				v = q.text(v)
			}
			or = append(or, expr+" = "+v)
		}
		test := strings.Join(or, " OR ")
		if f.column.Nullable && test != "" {
			test = "ifNull(" + test + ", 0)"
		}
		if f.null {
			test = strings.TrimSuffix("isNull("+expr+") OR "+test, " OR ")
		}
		and = append(and, "("+test+")")
	}
	return strings.Join(and, " AND ")
}

// rows gives every event of the question its cell, service, root and token.
func (q *query) rows(p *plan, where, meets string) (first, row string) {
	m := p.metric
	var cols []string
	for i, d := range p.by {
		cols = append(cols, d.sql()+" AS "+dim(i))
	}
	cols = append(cols, "service AS _service")
	root, token := "toInt64(0)", ""
	if m.Subject != "" {
		root, token = "epoch", ident(m.Subject)
		if bridge, ok := bridgeOf(m); ok {
			first = "WITH (SELECT min(epoch) FROM " + q.table + " WHERE " + where + ") AS _first\n"
			cols = append(cols, "(epoch > _first AND "+ident(bridge)+" != "+noToken+") AS _bridged")
			root = "epoch - toInt64(_bridged) * " + strconv.FormatInt(m.Table.Domain.Step(), 10)
			token = "if(_bridged, " + ident(bridge) + ", " + token + ")"
		}
		cols = append(cols, token+" AS _token")
	}
	cols = append(cols, root+" AS _root")
	if m.Value == policy.Current {
		// When, then in what frame, then whether it does not count, as one
		// number of which the largest is the latest. So of two rows of one
		// moment and frame, the one that says gone decides.
		cols = append(cols, "bitShiftLeft(toUInt128(toUnixTimestamp64Milli(occurred_at)), 65)"+
			" + bitShiftLeft(toUInt128(log_seq), 1) + if("+meets+", 0, 1) AS _state")
	}
	return first, "SELECT " + strings.Join(cols, ", ") + "\nFROM " + q.table + "\nWHERE " + where
}

// parts has one row per cell, service and root, with the set of subjects.
func (q *query) parts(p *plan, row string) string {
	group := append(dims(p), "_service", "_root")
	cols := slices.Clone(group)
	switch {
	case p.metric.Subject == "":
		cols = append(cols, "count() AS _rows")
	case p.metric.Value == policy.Current:
		// _last: the latest row of each subject, in its cell and overall.
		subject := strings.Join(group, ", ") + ", _token"
		row = "SELECT " + subject + ", count() AS _n, max(_state) AS _last\nFROM (" + row + ")\nGROUP BY " + subject
		if len(p.by) == 0 {
			row = "SELECT *, _last AS _last_overall\nFROM (" + row + ")"
		} else {
			// Into one row per subject and out again: a window over the
			// subjects would sort them all, which takes twice as long.
			in, out := dims(p), make([]string, len(p.by))
			for i, name := range in {
				out[i] = "_cell." + strconv.Itoa(i+3) + " AS " + name
			}
			row = "SELECT _service, _root, _token, max(_last) AS _last_overall, arrayJoin(groupArray(tuple(_n, _last, " +
				strings.Join(in, ", ") + "))) AS _cell\nFROM (" + row + ")\nGROUP BY _service, _root, _token"
			row = "SELECT _service, _root, _token, _last_overall, _cell.1 AS _n, _cell.2 AS _last, " + strings.Join(out, ", ") +
				"\nFROM (" + row + ")"
		}
		cols = append(cols, "sum(_n) AS _rows",
			"uniqExactIfState(_token, _token != "+noToken+") AS _people",
			"uniqExactIfState(_token, _token != "+noToken+" AND bitAnd(_last, 1) = 0) AS _counted",
			"uniqExactIfState(_token, _token != "+noToken+" AND bitAnd(_last_overall, 1) = 0) AS _overall")
	default:
		cols = append(cols, "count() AS _rows", "uniqExactIfState(_token, _token != "+noToken+") AS _people")
	}
	return "SELECT " + strings.Join(cols, ", ") + "\nFROM (" + row + ")\nGROUP BY " + strings.Join(group, ", ")
}

// cells says of each part whether its cell has to hide. P19.
func (q *query) cells(p *plan, part string) string {
	m := p.metric
	over := " OVER (PARTITION BY " + strings.Join(dims(p), ", ") + ")"
	if len(p.by) == 0 {
		over = " OVER ()"
	}
	cols := "*"
	hide := "0"
	if m.Subject != "" {
		cols += ", finalizeAggregation(_people) AS _people_here"
		most := "max(_people_here)" + over
		hide = most + " < " + strconv.Itoa(m.K)
		if m.Value == policy.Current {
			// None of at least k is a number about at least k; one of
			// at least k is a number about one.
			cols += ", finalizeAggregation(_counted) AS _counted_here"
			hide = "if(sum(_counted_here)" + over + " = 0, " + most + ", max(_counted_here)" + over + ") < " + strconv.Itoa(m.K)
		}
		if m.Public {
			hide = "0"
		}
	}
	return "SELECT " + cols + ", toUInt8(" + hide + ") AS _hide\nFROM (" + part + ")"
}

// top returns the cells, and the unions over them.
func (q *query) top(p *plan, cell string) string {
	m := p.metric
	people, most, counted, mostCounted, overall := "0", "0", "0", "0", "0"
	cells := "grouping(_service) = 1"
	if m.Subject != "" {
		people = "if(" + cells + ", sum(_people_here), uniqExactIfMerge(_people))"
		most = "if(" + cells + ", max(_people_here), uniqExactIfMerge(_people))"
		counted, mostCounted, overall = people, most, people
		if m.Value == policy.Current {
			counted = "if(" + cells + ", sum(_counted_here), uniqExactIfMerge(_counted))"
			mostCounted = "if(" + cells + ", max(_counted_here), uniqExactIfMerge(_counted))"
			overall = "uniqExactIfMerge(_overall)"
		}
	}
	part := fmt.Sprintf("multiIf(%s, '%s', grouping(_hide) = 1, '%s', _hide, '%s', '%s')", cells, partCell, partService, partHidden, partShown)
	cols := []string{part + " AS _part", "toString(_service)", "_hide", "toUInt64(sum(_rows))"}
	for _, n := range []string{people, most, counted, mostCounted, overall} {
		cols = append(cols, "toUInt64("+n+")")
	}
	for i := range p.by {
		cols = append(cols, "CAST(toString("+dim(i)+"), 'Nullable(String)')")
	}
	set := strings.Join(append(dims(p), "_hide"), ", ")
	return "SELECT " + strings.Join(cols, ", ") + "\nFROM (" + cell + ")\nGROUP BY GROUPING SETS ((" + set +
		"), (_hide, _service, _root), (_service, _root))\nORDER BY _part = '" + partCell + "'\nLIMIT " + strconv.Itoa(MaxRows+maxParts+1)
}

// param adds a parameter of a ClickHouse type and returns how the text refers
// to it.
func (q *query) param(kind, value string) string {
	name := "p" + strconv.Itoa(len(q.params))
	q.params[name] = value
	return "{" + name + ":" + kind + "}"
}

// text adds a string. It travels as hexadecimal digits, so that no rule of
// escaping, on either side, can ever matter.
func (q *query) text(s string) string {
	return "unhex(" + q.param("String", hex.EncodeToString([]byte(s))) + ")"
}

// noToken is an absent token.
var noToken = "toFixedString('', " + strconv.Itoa(event.TokenSize) + ")"

// sql is the expression of a dimension's value.
func (d dimension) sql() string {
	if d.Bucket != "" {
		return bucketSQL(d.Bucket)
	}
	return ident(d.Column)
}

func dims(p *plan) []string {
	out := make([]string, 0, len(p.by)+2)
	for i := range p.by {
		out = append(out, dim(i))
	}
	return out
}

// dim is the alias of a dimension. Names of the policy begin with a letter, so
// no alias with an underscore hides a column.
func dim(i int) string { return "_d" + strconv.Itoa(i) }

// ident quotes a name of the policy, which is lower-case letters, digits and _.
func ident(name string) string { return "`" + name + "`" }

// bridgeOf finds the column that holds a subject's token of the epoch before.
func bridgeOf(m *policy.Metric) (string, bool) {
	for _, c := range m.Table.Columns {
		if c.Bridges == m.Subject {
			return c.Name, true
		}
	}
	return "", false
}
