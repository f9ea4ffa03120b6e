package cell

import (
	"context"
	"fmt"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// nowCells is the bucket of cells of what is current.
const nowCells = "now"

// current counts the subjects of a unit whose latest row meets its condition,
// and publishes by how many they became more or fewer.
func (p *Publisher) current(ctx context.Context, b *book, pub *publication) error {
	if !b.now.due(p.elapsed(), p.patience) {
		return nil
	}
	if pub.room() < 1+mostValues*len(b.lead().Dimensions) {
		return nil // it waits, as it did
	}
	before, through, err := p.currentBefore(ctx, b)
	if err != nil {
		return err
	}
	began := p.elapsed()
	states, err := p.latest(ctx, b, through, pub.floor)
	if err != nil {
		return err
	}
	seen := map[value]bool{}
	for _, s := range states {
		seen[s.value] = true
	}
	for v, n := range before {
		if n > 0 && !seen[v] {
			// All rows of it have expired.
			states = append(states, state{value: v})
		}
	}
	told := before.choose(b.lead(), states, func(n int64) int64 { return p.noisy(b.lead(), n) })
	today := pub.today(b.unit)
	for _, s := range told {
		c := coordinates{b.lead().Name, nowCells, today, today, s.cube, nil}
		if s.cube != "" {
			c.told = []string{s.held}
		}
		pub.add(b.unit, c, s.n)
	}
	b.now.lookedAt(began, p.elapsed(), 0)
	if len(told) > 0 {
		pub.then(func(done bool) {
			if !done {
				b.now.again()
			}
		})
	}
	return nil
}

// A value is one of a dimension, or, empty, all of them.
type value struct{ cube, held string }

// A state is what the rows say of a value.
type state struct {
	value
	n      int64 // subjects that are current
	was    int64 // those that were, of the same, when cells were cut last
	looked int64 // subjects that were looked at
}

// standing is what is published of what is current.
type standing map[value]int64

// choose says which states are published, as changes: those by at least k
// subjects to at least k, or to none. Where values are parts of the whole, what
// is left of it is about none or at least k. P19.
func (before standing) choose(m *policy.Metric, states []state, noise func(int64) int64) (told []state) {
	k := int64(m.K)
	sums := map[string]int64{} // by dimension
	for v, n := range before {
		if v.cube != "" {
			sums[v.cube] += n
		}
	}
	few := func(whole, part int64) bool { return whole > 0 && part > 0 && 0 < whole-part && whole-part < k }
	for _, s := range states {
		change := s.n - before[s.value]
		real := change
		if m.Noise.Num > 0 {
			// What is published is not what was counted.
			real, change = s.n-s.was, noise(s.n)-before[s.value]
		}
		switch {
		case real > -k && real < k:
			continue
		case s.n > 0 && s.n < k || s.n == 0 && s.looked > 0 && s.looked < k:
			continue
		}
		n, fits := before[s.value]+change, true
		if s.cube == "" {
			for _, sum := range sums {
				fits = fits && !few(n, sum)
			}
			for v, part := range before {
				fits = fits && (v.cube == "" || !few(n, part))
			}
		} else {
			all := before[value{}]
			fits = !few(all, n) && !few(all, sums[s.cube]+change)
			if fits {
				sums[s.cube] += change
			}
		}
		if fits {
			before[s.value] = n
			told = append(told, state{value: s.value, n: change})
		}
	}
	return told
}

// currentBefore reads what is published. C1.
func (p *Publisher) currentBefore(ctx context.Context, b *book) (out standing, through uint64, err error) {
	q := newQuery()
	q.sql = "SELECT toString(cube) AS _cube, toString(d1) AS _value, toInt64(sum(value)), max(toUInt64(through))\nFROM " + p.cells + "\nWHERE " + strings.Join([]string{
		"tenant = " + q.text(b.tenant), "service = " + q.text(b.service), "metric = " + q.text(b.lead().Name), "bucket = '" + nowCells + "'",
	}, " AND ") + "\nGROUP BY _cube, _value"
	result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return nil, 0, err
	}
	out = standing{}
	for _, row := range result.Rows {
		if len(row) != 4 {
			return nil, 0, errShape
		}
		cube, ok := row[0].(string)
		held, ok2 := row[1].(string)
		n, ok3 := row[2].(int64)
		last, ok4 := row[3].(uint64)
		if !ok || !ok2 || !ok3 || !ok4 {
			return nil, 0, errShape
		}
		out[value{cube, held}] = n
		through = max(through, last)
	}
	return out, through, nil
}

// latest counts, over all values and by each single dimension, the subjects
// whose latest row there meets the condition.
func (p *Publisher) latest(ctx context.Context, b *book, through, floor uint64) ([]state, error) {
	u, q := b.unit, newQuery()
	where := "tenant = " + q.text(b.tenant) + " AND service = " + q.text(b.service) + " AND log_seq <= " + formatUint(floor)
	meets := strings.Join(u.own(q), " AND ")
	// When, then in what frame, then whether it does not count, as one number
	// of which the largest is the latest. So of two rows of one moment and
	// frame, the one that says gone decides.
	columns := append(u.subject("_first"), "bitShiftLeft(toUInt128(toUnixTimestamp64Milli(occurred_at)), 65)"+
		" + bitShiftLeft(toUInt128(log_seq), 1) + if("+meets+", 0, 1) AS _state",
		"log_seq <= "+formatUint(through)+" AS _old")
	sets := []string{"(_root, _token)"}
	which, held := "toUInt8(0)", "''"
	for i, d := range u.lead().Dimensions {
		columns = append(columns, u.told(d)+" AS "+dim(i))
		sets = append(sets, "(_root, _token, "+dim(i)+")")
		which = fmt.Sprintf("if(grouping(%s) = 0, toUInt8(%d), %s)", dim(i), i+1, which)
		held = fmt.Sprintf("if(grouping(%s) = 0, %s, %s)", dim(i), dim(i), held)
	}
	last := "SELECT " + which + " AS _which, " + held + " AS _value, _root, bitAnd(max(_state), 1) = 0 AS _is," +
		" max(_old) AND bitAnd(maxIf(_state, _old), 1) = 0 AS _was" +
		"\nFROM (SELECT " + strings.Join(columns, ", ") + "\nFROM " + u.from + "\nWHERE " + where + ")" +
		"\nWHERE _token != 0\nGROUP BY GROUPING SETS (" + strings.Join(sets, ", ") + ")"
	parts := "SELECT _which, _value, _root, toInt64(countIf(_is)) AS _n, toInt64(countIf(_was)) AS _n_was, toInt64(count()) AS _looked\nFROM (" + last + ")\nGROUP BY _which, _value, _root"
	q.sql = "WITH (SELECT min(epoch) FROM " + u.from + " WHERE " + where + ") AS _first\n" +
		"SELECT _which, _value, argMax(_n, _looked), argMax(_n_was, _looked), max(_looked) AS _most\nFROM (" + parts + ")\nGROUP BY _which, _value" +
		fmt.Sprintf("\nHAVING _most >= %d\nORDER BY _which, _most DESC, _value\nLIMIT %d BY _which", u.k(), mostValues)
	result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return nil, err
	}
	var out []state
	for _, row := range result.Rows {
		if len(row) != 5 {
			return nil, errShape
		}
		at, ok := row[0].(uint8)
		v, ok2 := row[1].(string)
		n, ok3 := row[2].(int64)
		was, ok4 := row[3].(int64)
		looked, ok5 := row[4].(int64)
		if !ok || !ok2 || !ok3 || !ok4 || !ok5 || int(at) > len(u.lead().Dimensions) {
			return nil, errShape
		}
		s := state{n: n, was: was, looked: looked}
		if at > 0 {
			s.value = value{u.lead().Dimensions[at-1].Name, v}
		}
		out = append(out, s)
	}
	return out, nil
}
