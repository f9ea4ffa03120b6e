package stats

import (
	"context"
	"encoding/json"
	"math/big"
	"slices"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// ratioDecimals is how exactly a ratio is shown.
const ratioDecimals = 4

// ratio answers with one metric divided by another, both asked alike. P19: each
// of them is published by itself, so nothing is shown that was not before.
func (s *Stats) ratio(ctx context.Context, p *plan, q Question) (Answer, error) {
	var parts [2]*plan
	var counted []*plan // that count subjects
	for i, m := range p.metric.Parts {
		part, err := q.plan(m, p.who)
		if err != nil {
			return Answer{}, err
		}
		parts[i] = part
		if m.Value == policy.Distinct {
			counted = append(counted, part)
		}
	}
	_, timed := p.time()
	if len(counted) > 0 && p.open() && !timed {
		// Both are about the days of one bucket.
		windows, err := s.newest(ctx, counted...)
		if err != nil {
			return Answer{}, err
		}
		for _, w := range windows {
			parts[0].from, parts[0].to = w.first, w.end()
			parts[1].from, parts[1].to = w.first, w.end()
		}
	}
	var found [2]found
	a, k := p.begin(), -1
	a.Notes = append(a.Notes, "A ratio of two numbers, each of which is published by itself: "+parts[0].metric.Name+" divided by "+parts[1].metric.Name+".")
	for i, part := range parts {
		of, err := s.answer(ctx, part)
		if err != nil {
			return Answer{}, err
		}
		found[i] = of.found
		a.Cells = append(a.Cells, of.Cells...)
		for _, n := range of.Notes {
			if !slices.Contains(a.Notes, n) {
				a.Notes = append(a.Notes, n)
			}
		}
		if of.First != "" {
			a.Bucket, a.First, a.Last = of.Bucket, of.First, of.Last
		}
		if i == 0 || of.AsOf == nil || a.AsOf != nil && of.AsOf.Before(*a.AsOf) {
			a.AsOf = of.AsOf
		}
		if m := part.metric; !m.Public && (k < 0 || of.K < k) {
			k = of.K
		}
	}
	a.K = max(k, 0)
	if len(counted) == 0 || !p.open() || !timed {
		a.Total = divide(found[0].total, found[1].total)
	}
	above, below := byID(found[0].rows), byID(found[1].rows)
	all := found[0].rows
	for _, e := range found[1].rows {
		if above[id(e.by)] == nil {
			all = append(all, e)
		}
	}
	a.Rows = p.rows(all, func(e entry) Number { return divide(above[id(e.by)], below[id(e.by)]) })
	a.count()
	return a, nil
}

func byID(all []entry) map[string]*int64 {
	out := map[string]*int64{}
	for _, e := range all {
		out[id(e.by)] = &e.n
	}
	return out
}

// divide divides exactly, and rounds once: half away from zero.
func divide(above, below *int64) Number {
	if above == nil || below == nil || *below == 0 {
		return hidden
	}
	r := new(big.Rat).Quo(new(big.Rat).SetInt64(*above), new(big.Rat).SetInt64(*below))
	v := json.Number(r.FloatString(ratioDecimals))
	return Number{Value: &v}
}
