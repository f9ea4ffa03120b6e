package stats_test

import (
	"cmp"
	"slices"
	"strings"
)

// spent is the most that one person paid of some facts, and what all did.
func spent(facts []fact) (most, total int64) {
	of := map[int]int64{}
	for _, f := range facts {
		total += f.spent
		of[f.person] += f.spent
		most = max(most, of[f.person])
	}
	return most, total
}

// guard is what keeps cells from being about too few. The zero value is off.
type guard struct {
	fold, absorb bool
	k            int
	share        int64 // in percent, that one may have of a sum; 0 is off
	dims         []string
}

var guarded = guard{fold: true, absorb: true, k: k, dims: cube}

// few says whether facts are of too few people, or too much of them one's.
func (g guard) few(facts []fact) bool {
	most, total := spent(facts)
	return people(facts) < g.k || g.share > 0 && 100*most > g.share*total
}

// cut makes cells of the facts of one service and round: of leaves, of what is
// folded under each prefix, and of what is left at the top, which takes the
// smallest cells with it when it is too small by itself. Where one has too much
// of all of it, sums are not told.
func (g guard) cut(facts []fact) (cells []modelCell, sums bool) {
	if people(facts) < g.k {
		return nil, false // they wait
	}
	for n := len(g.dims); n >= 0; n-- {
		if cells := g.cutBy(facts, n); len(cells) > 0 {
			return cells, true
		}
	}
	g.share = 0
	return g.cutBy(facts, len(g.dims)), false
}

func (g guard) cutBy(facts []fact, n int) []modelCell {
	var out []modelCell
	add := func(told []string, facts []fact) {
		out = append(out, modelCell{published: published{told: told}, dims: g.dims, facts: facts})
	}
	left := facts
	for level := n; level >= 0 && len(left) > 0; level-- {
		groups := map[string][]fact{}
		for _, f := range left {
			name := strings.Join(f.values(g.dims[:level]), "\x00")
			groups[name] = append(groups[name], f)
		}
		left = nil
		for _, name := range sorted(groups) {
			if all := groups[name]; !g.few(all) || !g.fold {
				add(all[0].values(g.dims[:level]), all)
			} else {
				left = append(left, all...)
			}
		}
	}
	if len(left) == 0 {
		return out
	}
	if !g.absorb {
		add(nil, left)
		return out
	}
	slices.SortFunc(out, func(a, b modelCell) int {
		return cmp.Or(cmp.Compare(people(a.facts), people(b.facts)), cmp.Compare(len(a.told), len(b.told)), slices.Compare(a.told, b.told))
	})
	most, total := spent(left)
	for i, c := range out {
		m, t := spent(c.facts)
		most, total = most+m, total+t // as if one had the most in each
		left = append(left, c.facts...)
		if g.share == 0 || 100*most <= g.share*total {
			out = slices.Clone(out[i+1:])
			add(nil, left)
			return out
		}
	}
	return nil
}

// additive are the cells of visits and income.
func (g guard) additive(facts []fact) []modelCell {
	groups := map[string][]fact{}
	for _, f := range facts {
		groups[f.day+f.service] = append(groups[f.day+f.service], f)
	}
	var out []modelCell
	for _, name := range sorted(groups) {
		cells, _ := g.cut(groups[name])
		for _, c := range cells {
			c.first, c.service = c.facts[0].day, c.facts[0].service
			visits, income := c, c
			visits.metric, visits.value = "visits", int64(len(c.facts))
			income.metric = "income"
			_, income.value = spent(c.facts)
			out = append(out, visits, income)
		}
	}
	return out
}
