package cell

import (
	"context"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A number is what subjects are counted in: a bucket of time, all of it or one
// value of one dimension.
type number struct {
	metric      string
	window      window
	cube, value string // of the dimension; both empty for all
}

// numbers are those that are published, of one table at one place, and what is
// about to be.
type numbers struct {
	metric  *policy.Metric // that is counted
	k       int64
	noise   func(int64) int64
	kin     func(metric string) (wider, finer bool)
	of      map[bucket]*values
	through map[window]uint64 // of the metric that is counted
}

type bucket struct {
	metric string
	window window
}

// values are the numbers of one bucket.
type values struct {
	all  int64
	by   map[string]map[string]int64 // by dimension and value
	sums map[string]int64            // by dimension, of its values
}

func (ns *numbers) all(metric string, w window) int64 {
	if v := ns.of[bucket{metric, w}]; v != nil {
		return v.all
	}
	return 0
}

func (ns *numbers) get(x number) int64 {
	v := ns.of[bucket{x.metric, x.window}]
	switch {
	case v == nil:
		return 0
	case x.cube == "":
		return v.all
	}
	return v.by[x.cube][x.value]
}

func (ns *numbers) set(x number, n int64) {
	at := bucket{x.metric, x.window}
	v := ns.of[at]
	if v == nil {
		v = &values{by: map[string]map[string]int64{}, sums: map[string]int64{}}
		ns.of[at] = v
	}
	if x.cube == "" {
		v.all = n
		return
	}
	if v.by[x.cube] == nil {
		v.by[x.cube] = map[string]int64{}
	}
	v.sums[x.cube] += n - v.by[x.cube][x.value]
	v.by[x.cube][x.value] = n
}

// published reads what is published of the buckets that share a day with any
// of some. C1.
func (p *Publisher) published(ctx context.Context, b *book, due []window) (*numbers, error) {
	first, last := due[0].first, due[0].last
	for _, w := range due {
		first, last = min(first, w.first), max(last, w.last)
	}
	q := newQuery()
	q.sql = "SELECT toString(metric) AS _metric, toString(bucket) AS _bucket, toString(first_day) AS _first, toString(last_day) AS _last," +
		" toString(cube) AS _cube, toString(d1) AS _value, toInt64(sum(value)), max(toUInt64(through))\nFROM " + p.cells + "\nWHERE " + strings.Join([]string{
		"tenant = " + q.text(b.tenant), "service = " + q.text(b.service),
		"event_id >= " + idAt(dateOf(first).Add(-33*day)), "event_id < " + idAt(dateOf(last).Add(2*day)), // a bucket has 31 days at most
		"toString(last_day) >= '" + first + "'", "toString(first_day) <= '" + last + "'", b.unit.mine(),
	}, " AND ") + "\nGROUP BY _metric, _bucket, _first, _last, _cube, _value"
	result, err := p.c.Warehouse.Rows(ctx, q.sql, q.params)
	if err != nil {
		return nil, err
	}
	out := &numbers{
		metric: b.lead(), k: int64(b.k()), kin: kin(p.c.Policy, b.lead()), of: map[bucket]*values{}, through: map[window]uint64{},
		noise: func(n int64) int64 { return p.noisy(b.lead(), n) },
	}
	for _, row := range result.Rows {
		if len(row) != 8 {
			return nil, errShape
		}
		var texts [6]string
		for i := range texts {
			var ok bool
			if texts[i], ok = row[i].(string); !ok {
				return nil, errShape
			}
		}
		n, ok := row[6].(int64)
		through, ok2 := row[7].(uint64)
		if !ok || !ok2 {
			return nil, errShape
		}
		w := window{policy.Bucket(texts[1]), texts[2], texts[3]}
		out.set(number{texts[0], w, texts[4], texts[5]}, n)
		if texts[0] == b.lead().Name && texts[4] == "" {
			out.through[w] = through
		}
	}
	return out, nil
}

// kin says of the metrics of a table how their subjects lie to those of one
// metric: all of its own are among theirs (wider), all of theirs among its own
// (finer), both or neither. Of a metric that the policy no longer has nobody
// knows.
func kin(pol *policy.Policy, m *policy.Metric) func(string) (wider, finer bool) {
	return func(name string) (wider, finer bool) {
		o, ok := pol.Metric(name)
		if !ok {
			return true, true
		}
		if o.Table != m.Table || o.Subject != m.Subject || o.Value != policy.Distinct {
			return false, false
		}
		return implies(m, o), implies(o, m)
	}
}

// implies says whether every row that a counts is one that b counts.
func implies(a, b *policy.Metric) bool {
	return !slices.ContainsFunc(b.Where, func(want policy.Condition) bool {
		return !slices.ContainsFunc(a.Where, func(have policy.Condition) bool {
			return have.Column == want.Column && !slices.ContainsFunc(have.In, func(v string) bool { return !slices.Contains(want.In, v) })
		})
	})
}

// choose says which counts are published, as what is to be added to what there
// is, and whether any was held back because of another number.
func (ns *numbers) choose(counts []count) (told []count, held bool) {
	for _, c := range counts {
		before := ns.get(c.number)
		more := c.n - before
		if noise := ns.metric.Noise; noise.Num > 0 {
			// What is published is not what was counted. Who came since is.
			if c.fresh < ns.k {
				continue
			}
			more = max(ns.noise(c.n)-before, 0)
		} else if more < ns.k {
			continue
		}
		if !ns.fits(c.number, before+more) {
			held = true
			continue
		}
		ns.set(c.number, before+more)
		told = append(told, count{c.number, more, c.fresh})
	}
	return told, held
}

// fits says whether a number can be n. P19: where the subjects of one published
// number are all among those of another, the difference is a number too, about
// those who are not. None may be about 1 to k-1. The same holds for what is left
// of a number when the values of a dimension, or the days of a bucket, are
// taken away.
func (ns *numbers) fits(x number, n int64) bool {
	few := func(whole, part int64) bool { return part > 0 && whole > 0 && 0 < whole-part && whole-part < ns.k }
	for at, v := range ns.of {
		wider, finer := ns.kin(at.metric)
		same := at == bucket{x.metric, x.window}
		if wider && x.window.within(at.window) { // its subjects are among these
			if !(same && x.cube == "") && few(v.all, n) || x.cube != "" && !same && few(v.by[x.cube][x.value], n) {
				return false
			}
		}
		if finer && at.window.within(x.window) { // these are among its subjects
			switch {
			case x.cube != "":
				if !same && few(n, v.by[x.cube][x.value]) {
					return false
				}
			case !same && few(n, v.all):
				return false
			default:
				for _, by := range v.by {
					for _, part := range by {
						if few(n, part) {
							return false
						}
					}
				}
			}
		}
	}
	own := ns.of[bucket{x.metric, x.window}]
	if x.cube != "" {
		return own == nil || !few(own.all, own.sums[x.cube]-own.by[x.cube][x.value]+n)
	}
	if own != nil {
		for _, sum := range own.sums {
			if few(n, sum) {
				return false
			}
		}
	}
	return ns.fitsDays(x, n, few)
}

// fitsDays is what fits says of the days of a bucket.
func (ns *numbers) fitsDays(x number, n int64, few func(whole, part int64) bool) bool {
	sum := func(w window) (days int64) {
		for at, v := range ns.of {
			if at.metric == x.metric && at.window.bucket == policy.Day && at.window != x.window && at.window.within(w) {
				days += v.all
			}
		}
		return days
	}
	if x.window.bucket != policy.Day {
		return !few(n, sum(x.window))
	}
	for at, v := range ns.of {
		if at.metric == x.metric && at.window.bucket != policy.Day && x.window.within(at.window) && few(v.all, sum(at.window)+n) {
			return false
		}
	}
	return true
}
