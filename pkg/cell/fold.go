package cell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A round is rows that are cut together: all that wait of one unit and place,
// over a span of days.
type round struct {
	scope
	// waiting says of each day of the span through which sequence rows are in
	// cells: those behind it wait.
	waiting map[string]uint64
	// epoch is the first among the rows of the span, and root the one in which
	// most of the subjects who wait are counted.
	epoch, root int64
}

// waits is true of a row that is in no cell yet.
func (u *unit) waits(r round) string {
	var at, through []string
	var one uint64
	for _, d := range days(r.first, r.last) {
		one = r.waiting[d]
		at, through = append(at, "'"+d+"'"), append(through, fmt.Sprintf("toUInt64(%d)", one))
	}
	if len(at) == 1 {
		return "log_seq > " + formatUint(one)
	}
	return "log_seq > transform(" + u.day() + ", [" + strings.Join(at, ", ") + "], [" + strings.Join(through, ", ") + "], toUInt64(0))"
}

// A cut is a cell without its coordinates in time.
type cut struct {
	told   []string // of the first dimensions; the rest is folded
	values []int64  // one for each metric of the unit
}

// cells writes the statement that cuts a round into cells by the first n
// dimensions, at most most+1. It is one statement from rows to cells, so that neither a token
// nor a number about fewer than k subjects leaves the engine. P19.
//
// From the inside out: rows; leaves, which tell every dimension, each with its
// set of subjects; and level by level, the last dimension first, the leaves of
// at least k subjects put aside as cells, and the others of one prefix
// together, as one leaf of the level above. What is left over at the top is a
// cell too where it has k subjects. Where it has fewer, it takes in the cell
// with the fewest subjects: whoever adds up all cells and takes those away that
// tell something is left with at least k.
//
// A leaf of which one subject has too much is folded like one of too few
// ([guard]), and what is left over takes in cells until nobody has.
func (u *unit) cells(r round, n, most int, g guard) *query {
	q := newQuery()
	columns := append(u.subject(strconv.FormatInt(r.epoch, 10)), g.columns(r)...)
	for i, d := range u.lead().Dimensions[:n] {
		columns = append(columns, u.told(d)+" AS "+dim(i))
	}
	// Rows are counted in any case: the first value.
	values := []string{"toInt64(count())"}
	for i, m := range u.metrics {
		if m.Value == policy.Sum {
			columns = append(columns, fmt.Sprintf("toInt64(ifNull(%s, 0)) AS _of%d", ident(m.Of), i))
			values = append(values, fmt.Sprintf("toInt64(sum(_of%d))", i))
		}
	}
	rows := "SELECT " + strings.Join(columns, ", ") + "\nFROM " + u.from + "\nWHERE " + u.where(q, r.scope) + " AND " + u.waits(r)
	leaves := "[" + strings.Join(values, ", ") + "] AS _v" + strconv.Itoa(n)

	k := u.k()
	if k == 0 {
		q.sql = fmt.Sprintf("SELECT toUInt8(%d), %s, %s\nFROM (%s)\n%s\nHAVING count() > 0\nLIMIT %d",
			n, array(dims(n)), leaves, rows, groupBy(n), most+1)
		return q
	}
	// Only tokens of one root are counted: a lower bound, and exact but where
	// keys changed out of turn.
	subjects := fmt.Sprintf("uniqExactIfState(_token, _root = %d AND _token != 0)", r.root)
	sql := fmt.Sprintf("SELECT %s, CAST([], '%s') AS _c%d\nFROM (%s)\n%s",
		strings.Join(slices.Concat(dims(n), []string{subjects + " AS _s" + strconv.Itoa(n), leaves}, g.leaves(n)), ", "), cellsType, n, rows, groupBy(n))
	for l := n; l > 0; l-- {
		sql = fmt.Sprintf("SELECT *, finalizeAggregation(_s%d) AS _n%d, %s AS _g%d\nFROM (%s)", l, l, g.most(l, k), l, sql)
		small := fmt.Sprintf("(_n%d < %d OR %s)", l, k, g.tooMuch(l))
		kept := fmt.Sprintf("if(%s, _c%d, arrayPushBack(_c%d, tuple(toUInt8(%d), %s, _v%d, _n%d, _g%d)))", small, l, l, l, array(dims(l)), l, l, l)
		sql = fmt.Sprintf("SELECT %s\nFROM (%s)\n%s", strings.Join(slices.Concat(dims(l-1), []string{
			fmt.Sprintf("uniqExactIfMergeStateIf(_s%d, %s) AS _s%d", l, small, l-1),
			fmt.Sprintf("sumForEachIf(_v%d, %s) AS _v%d", l, small, l-1),
			fmt.Sprintf("groupArrayArray(%s) AS _c%d", kept, l-1)}, g.merged(l, small)), ", "), sql, groupBy(l-1))
	}
	sql = "SELECT _v0, _c0, finalizeAggregation(_s0) AS _n0, " + g.most(0, 0) + " AS _g0, arraySort(c -> (c.4, c.1, c.2), _c0) AS _least, " +
		g.enough() + " AS _takes\nFROM (" + sql + ")"
	sql = fmt.Sprintf("SELECT arrayJoin(multiIf(_v0[1] = 0, _c0,"+
		" _n0 >= %d AND NOT %s, arrayPushBack(_c0, tuple(toUInt8(0), emptyArrayString(), _v0, _n0, _g0)),"+
		" _takes = 0, CAST([], '%s'),"+
		" arrayPushBack(arraySlice(_least, _takes + 1), tuple(toUInt8(0), emptyArrayString(),"+
		" arrayReduce('sumForEach', arrayPushFront(arrayMap(c -> c.3, arraySlice(_least, 1, _takes)), _v0)), _n0, _g0)))) AS _cell"+
		"\nFROM (%s)", k, g.tooMuch(0), cellsType, sql)
	q.sql = fmt.Sprintf("SELECT _cell.1, _cell.2, _cell.3\nFROM (%s)\nLIMIT %d", sql, most+1)
	return q
}

// Of a cell that is not cut yet: its level, what it tells, its values, how many
// subjects it has, and what [guard.most] says of it.
const cellsType = "Array(Tuple(UInt8, Array(String), Array(Int64), UInt64, Array(Tuple(Float64, Float64))))"

func array(columns []string) string {
	if len(columns) == 0 {
		return "emptyArrayString()"
	}
	return "[" + strings.Join(columns, ", ") + "]"
}

func groupBy(n int) string {
	if n == 0 {
		return ""
	}
	return "GROUP BY " + strings.Join(dims(n), ", ")
}

// cutsOf reads what the statement of [unit.cells] returned.
func (u *unit) cutsOf(rows [][]any) ([]cut, error) {
	out := make([]cut, 0, len(rows))
	for _, row := range rows {
		if len(row) != 3 {
			return nil, errShape
		}
		level, ok := row[0].(uint8)
		told, ok2 := row[1].([]string)
		values, ok3 := row[2].([]int64)
		if !ok || !ok2 || !ok3 || int(level) != len(told) {
			return nil, errShape
		}
		c := cut{told: told}
		at := 1
		for _, m := range u.metrics {
			v := values[0]
			if m.Value == policy.Sum {
				v = values[at]
				at++
			}
			c.values = append(c.values, v)
		}
		out = append(out, c)
	}
	return out, nil
}
