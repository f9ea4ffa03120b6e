package cell

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// dayCells is the bucket of cells that add up.
const dayCells = "day"

// A weight is what waits of a day or a span.
type weight struct {
	rows, k     int64 // k subjects at most in any one root
	before      int64 // subjects in cells so far
	epoch, root int64 // see [round]
}

// enough says whether so much may be cut. An open day waits for more, so that
// it is not cut into many rounds that each fold a lot: none is so small that a
// day has more than a few dozen.
func (u *unit) enough(w weight, open bool) bool {
	if u.k() == 0 { // nobody is counted: rows are
		return w.rows > 0 && (!open || w.rows >= w.before/16)
	}
	need := int64(u.k())
	if open {
		need = max(need, step(w.before, need))
	}
	return w.k >= need
}

// missing is how many rows at least have to come to an open day before there can
// be enough: none brings more than one subject.
func (u *unit) missing(w weight, open bool) int64 {
	if u.k() == 0 || !open || u.enough(w, open) {
		return 0
	}
	return max(int64(u.k()), step(w.before, int64(u.k()))) - w.k
}

// step is how many subjects more an open bucket waits for.
func step(before, k int64) int64 {
	if before < 5*k {
		return 2 * before
	}
	return before / 4
}

// sums cuts what waits of an additive unit at a place, as far as there is room.
func (p *Publisher) sums(ctx context.Context, b *book, pub *publication) error {
	if len(b.days) == 0 {
		return nil
	}
	covered, err := p.covered(ctx, b, b.earliest())
	if err != nil {
		return err
	}
	today := pub.today(b.unit)
	for _, d := range slices.Sorted(maps.Keys(b.days)) {
		s := b.days[d]
		if !s.due(p.elapsed(), p.patience) {
			continue
		}
		if s.seq <= covered[d] {
			delete(b.days, d) // another process cut them, or this one before it was started
			continue
		}
		began := p.elapsed()
		r := round{scope: scope{b.place, d, d, pub.floor}, waiting: covered}
		w, err := p.weigh(ctx, b.unit, &r)
		if err != nil {
			return err
		}
		s.weight, s.weighed, s.open, b.pooled = w, true, d >= today, false
		enough := b.unit.enough(w, s.open)
		if enough {
			var fits bool
			if enough, fits, err = p.cut(ctx, b.unit, r, pub); err != nil || !fits {
				return err // it waits, as it did
			}
		}
		if enough {
			pub.then(func(done bool) { b.settled(done, d) })
		}
		s.lookedAt(began, p.elapsed(), b.unit.missing(w, s.open))
		switch {
		case w.rows == 0 && !s.open: // expired, or of no interest
			delete(b.days, d)
		case enough:
			s.weight = weight{} // not a remainder
		}
	}
	return p.remainders(ctx, b, covered, pub)
}

// remainders cuts what waits of days that are over and have too few subjects
// each: the days of a month, from the earliest on, become one cell as soon as
// they have enough together.
func (p *Publisher) remainders(ctx context.Context, b *book, covered map[string]uint64, pub *publication) error {
	if b.pooled {
		return nil
	}
	for _, few := range b.remainders(pub.today(b.unit)) {
		for len(few) > 0 {
			n, fits, err := p.pool(ctx, b, few, covered, pub)
			if err != nil || !fits {
				return err
			}
			if n == 0 {
				break
			}
			pooled := few[:n]
			pub.then(func(done bool) { b.settled(done, pooled...) })
			few = few[n:]
		}
	}
	b.pooled = true
	return nil
}

// pool cuts the fewest days, from the first on, that have enough subjects
// together, and says how many they are: 0 where all have too few.
func (p *Publisher) pool(ctx context.Context, b *book, few []string, covered map[string]uint64, pub *publication) (n int, fits bool, err error) {
	var most int64 // no union has more
	for i, d := range few {
		most += b.days[d].weight.k
		if most < int64(b.unit.k()) {
			continue
		}
		r := round{scope: scope{b.place, few[0], d, pub.floor}, waiting: covered}
		w, err := p.weigh(ctx, b.unit, &r)
		if err != nil {
			return 0, false, err
		}
		if !b.unit.enough(w, false) {
			continue
		}
		told, fits, err := p.cut(ctx, b.unit, r, pub)
		if err != nil || !fits || told {
			return i + 1, fits, err
		}
	}
	return 0, true, nil
}

// covered says of each day of a unit at a place through which sequence its rows
// are in cells. C1. It reads published cells and nothing else: there is no
// other record of what was cut that could be lost, or differ from them.
//
// Cells of the same table count whatever their metric is called. Those whose
// days began in another zone count for the days on either side too.
func (p *Publisher) covered(ctx context.Context, b *book, from string) (map[string]uint64, error) {
	q := newQuery()
	q.sql = "SELECT toString(first_day) AS _first, toString(last_day) AS _last," +
		fmt.Sprintf(" substring(event_id, %d, 2) != unhex('%x') AS _other, max(toUInt64(through))", zoneAt, b.unit.mark.zone) + "\nFROM " + p.cells + "\nWHERE " + strings.Join([]string{
		"tenant = " + q.text(b.tenant), "service = " + q.text(b.service),
		"event_id >= " + idAt(dateOf(from).Add(-33*day)), // a cell is of one month
		"bucket = '" + dayCells + "'", b.unit.mine(),
	}, " AND ") + "\nGROUP BY _first, _last, _other"
	result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, row := range result.Rows {
		if len(row) != 4 {
			return nil, errShape
		}
		first, ok := row[0].(string)
		last, ok2 := row[1].(string)
		other, ok3 := row[2].(uint8)
		through, ok4 := row[3].(uint64)
		if !ok || !ok2 || !ok3 || !ok4 {
			return nil, errShape
		}
		if other != 0 {
			first, last = addDays(first, -1), addDays(last, 1)
		}
		for _, d := range days(first, last) {
			out[d] = max(out[d], through)
		}
	}
	return out, nil
}

// weigh looks at what waits of a round, and says in it which root counts.
func (p *Publisher) weigh(ctx context.Context, u *unit, r *round) (weight, error) {
	q := newQuery()
	where := u.where(q, r.scope)
	columns := append(u.subject("_first"), u.waits(*r)+" AS _waits")
	// The first epoch is looked up first: were a row of an earlier one loaded
	// in between, it would be behind the scope's sequence.
	q.sql = "WITH (SELECT min(epoch) FROM " + u.from + " WHERE " + where + ") AS _first\n" +
		"SELECT toInt64(_root), toInt64(countIf(_waits)), toInt64(uniqExactIf(_token, _waits AND _token != 0)) AS _k," +
		" toInt64(uniqExactIf(_token, NOT _waits AND _token != 0)), toInt64(countIf(NOT _waits)), toInt64(_first)" +
		"\nFROM (SELECT " + strings.Join(columns, ", ") + "\nFROM " + u.from + "\nWHERE " + where + ")" +
		"\nGROUP BY _root\nORDER BY _k DESC, _root"
	result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return weight{}, err
	}
	var w weight
	var rowsBefore int64
	for i, row := range result.Rows {
		if len(row) != 6 {
			return weight{}, errShape
		}
		var n [6]int64
		for j := range n {
			var ok bool
			if n[j], ok = row[j].(int64); !ok {
				return weight{}, errShape
			}
		}
		if i == 0 {
			w.root, w.k, w.epoch = n[0], n[2], n[5]
		}
		w.rows += n[1]
		w.before = max(w.before, n[3])
		rowsBefore += n[4]
	}
	if u.k() == 0 {
		w.before = rowsBefore
	}
	r.root, r.epoch = w.root, w.epoch
	return w, nil
}

// cut cuts a round, C2, and says whether anything of it is told, and whether
// there was room for it. A round of too many cells, or one that is more than the
// engine can hold, or of which one subject would have too much of a sum, folds
// one dimension more. Where one has too much of the whole, its counts are told
// and its sums never: what there is to be told of them is that one's.
func (p *Publisher) cut(ctx context.Context, u *unit, r round, pub *publication) (told, fits bool, err error) {
	most := maxRows / len(u.metrics)
	all, g := len(u.lead().Dimensions), u.guard()
	// Without a guard a statement costs half as much, and finds out as well how
	// many dimensions are too many.
	probing := false
	for n := all; ; n-- {
		if n < 0 { // somebody has too much of the whole
			n, g = all, nil
		}
		with := g
		if probing {
			with = nil
		}
		q := u.cells(r, n, most, with)
		result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
		if n > 0 && (errors.Is(err, fault.Exhausted) || err == nil && len(result.Rows) > most) {
			probing = len(g) > 0
			continue
		}
		if err != nil {
			return false, false, err
		}
		if probing {
			probing = false
			n++ // the same once more
			continue
		}
		if len(result.Rows) == 0 && len(g) > 0 {
			continue
		}
		cuts, err := u.cutsOf(result.Rows)
		if err != nil {
			return false, false, err
		}
		cells, size := u.sumCells(r, cuts, len(g) > 0)
		if n > 0 && size > maxBytes {
			continue
		}
		if len(cells) > pub.room() || pub.size+size > maxBytes {
			return false, false, nil
		}
		if len(cells) == 0 {
			return false, true, nil
		}
		for _, d := range days(r.first, r.last) {
			r.waiting[d] = pub.floor // for what else is cut of the same days
		}
		for _, c := range cells {
			pub.add(u, c.coordinates, p.noisy(c.of, c.n))
		}
		return true, true, nil
	}
}

// A sumCell is a cell of one metric, without noise.
type sumCell struct {
	coordinates
	of *policy.Metric
	n  int64
}

// sumCells are the cells of a round: of sums about people those that were guarded.
func (u *unit) sumCells(r round, cuts []cut, guarded bool) (cells []sumCell, size int) {
	for _, c := range cuts {
		for i, m := range u.metrics {
			if m.Dominance > 0 && !guarded {
				continue
			}
			at := coordinates{m.Name, dayCells, r.first, r.last, m.Cube(), c.told}
			cells, size = append(cells, sumCell{at, m, c.values[i]}), size+at.size()
		}
	}
	return cells, size
}
