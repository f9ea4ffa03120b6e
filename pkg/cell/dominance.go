package cell

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A guard keeps sums from being one subject's number: those of a unit, of a
// cell of which nobody may have more than the declared share. P19. The empty
// guard is that of a unit without sums.
//
// A subject's share is of what the cell adds up, each row without its sign, so
// that no two cells of which nobody has too much are too much together. A row
// without a token counts as a subject of its own. Tokens of different roots
// may be one subject's: all that is of another root counts as everybody's.
//
// Numbers are floating-point ones, because no sum of them is beyond the largest.
type guard []*policy.Metric

// guard is that of a unit.
func (u *unit) guard() guard {
	return slices.DeleteFunc(slices.Clone(u.metrics), func(m *policy.Metric) bool { return m.Dominance == 0 })
}

// columns are those of a row: what each sum adds of it, whose it is, and
// whether that is known.
func (g guard) columns(r round) []string {
	if len(g) == 0 {
		return nil
	}
	out := []string{
		fmt.Sprintf("_root != %d AND _token != 0 AS _stray", r.root),
		"if(_token = 0, sipHash64(event_id), _token) AS _whose",
	}
	for i, m := range g {
		out = append(out, fmt.Sprintf("abs(toFloat64(ifNull(%s, 0))) AS _a%d", ident(m.Of), i))
	}
	return out
}

// leaves are, of each sum, how much every subject has in a leaf of the level n,
// and how much there is, of all and of strays.
func (g guard) leaves(n int) (out []string) {
	for i := range g {
		out = append(out, fmt.Sprintf("sumMapIf(map(_whose, _a%d), NOT _stray) AS _m%d_%d", i, i, n),
			fmt.Sprintf("sum(_a%d) AS _t%d_%d", i, i, n), fmt.Sprintf("sumIf(_a%d, _stray) AS _o%d_%d", i, i, n))
	}
	return out
}

// merged are the same of what is folded from the level l.
func (g guard) merged(l int, small string) (out []string) {
	for i := range g {
		out = append(out, fmt.Sprintf("sumMapIf(_m%d_%d, %s) AS _m%d_%d", i, l, small, i, l-1),
			fmt.Sprintf("sumIf(_t%d_%d, %s) AS _t%d_%d", i, l, small, i, l-1), fmt.Sprintf("sumIf(_o%d_%d, %s) AS _o%d_%d", i, l, small, i, l-1))
	}
	return out
}

// most is, of each sum, the most that one subject can have, and how much there
// is. Fewer than k subjects need not be asked.
func (g guard) most(l, k int) string {
	var out []string
	for i := range g {
		most := fmt.Sprintf("arrayMax(arrayPushBack(mapValues(_m%d_%d), 0))", i, l)
		if k > 0 {
			most = fmt.Sprintf("if(_n%d < %d, 0, %s)", l, k, most)
		}
		out = append(out, fmt.Sprintf("(%s + _o%d_%d, _t%d_%d)", most, i, l, i, l))
	}
	return "CAST([" + strings.Join(out, ", ") + "], 'Array(Tuple(Float64, Float64))')"
}

// tooMuch is true where one subject may have more than its share of a sum.
func (g guard) tooMuch(l int) string {
	or := []string{"0"}
	for i, m := range g {
		or = append(or, fmt.Sprintf("100 * _g%d[%d].1 > %d * _g%d[%d].2", l, i+1, m.Dominance, l, i+1))
	}
	return "(" + strings.Join(or, " OR ") + ")"
}

// enough is how many of the smallest cells what is left over has to take in
// until nobody can have too much: 0 where all of them are too few. That the
// subject with the most in one has the most in the others is assumed.
func (g guard) enough() string {
	args, and, arrays := []string{"c"}, []string{"1"}, []string{"_least"}
	for i, m := range g {
		args = append(args, fmt.Sprintf("g%d", i), fmt.Sprintf("t%d", i))
		and = append(and, fmt.Sprintf("100 * (_g0[%d].1 + g%d) <= %d * (_g0[%d].2 + t%d)", i+1, i, m.Dominance, i+1, i))
		arrays = append(arrays, fmt.Sprintf("arrayCumSum(c -> c.5[%d].1, _least)", i+1), fmt.Sprintf("arrayCumSum(c -> c.5[%d].2, _least)", i+1))
	}
	return "arrayFirstIndex((" + strings.Join(args, ", ") + ") -> " + strings.Join(and, " AND ") + ", " + strings.Join(arrays, ", ") + ")"
}
