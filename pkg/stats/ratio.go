package stats

import (
	"context"
	"encoding/json"
	"math/big"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// ratioDecimals is how exactly a ratio is shown.
const ratioDecimals = 4

// ratio answers with one metric divided by another, both asked alike.
func (s *Stats) ratio(ctx context.Context, who access.Principal, m *policy.Metric, q Question) (Answer, error) {
	if q.Top > 0 {
		return Answer{}, fault.Invalid.Errorf("a ratio has no top: its values do not add up")
	}
	var parts [2]Answer
	for i, part := range m.Parts {
		p, err := q.plan(part, who)
		if err != nil {
			return Answer{}, err
		}
		if part.Value == policy.Distinct {
			parts[i], err = s.distinct(ctx, p)
		} else {
			parts[i], err = s.additive(ctx, p)
		}
		if err != nil {
			return Answer{}, err
		}
	}
	// Where no days are named, what adds up is divided by, or divides, what
	// was counted in one bucket: over its days.
	for i, other := range []int{1, 0} {
		a := parts[other]
		if a.First == "" || parts[i].First != "" || !q.From.IsZero() || !q.To.IsZero() {
			continue
		}
		narrowed, err := s.sameDays(ctx, who, m.Parts[i], q, a)
		if err != nil {
			return Answer{}, err
		}
		narrowed.From, narrowed.To = parts[i].From, parts[i].To
		parts[i].Total = narrowed.Total
		if len(q.By) > 0 && !timed(m, q.By) {
			parts[i].Rows = narrowed.Rows
		}
	}
	a := parts[0]
	a.Metric, a.K = m.Name, max(parts[0].K, parts[1].K)
	if a.First == "" {
		a.Bucket, a.First, a.Last = parts[1].Bucket, parts[1].First, parts[1].Last
	}
	a.Total = divide(parts[0].Total, parts[1].Total)
	a.Beside = nil
	below := map[string]Number{}
	for _, r := range parts[1].Rows {
		below[rowID(parts[1].By, r)] = r.Number
	}
	a.Rows, a.HiddenRows = []Row{}, 0
	for _, r := range parts[0].Rows {
		n, ok := below[rowID(a.By, r)]
		if !ok {
			continue
		}
		r.Number = divide(r.Number, n)
		if r.Hidden {
			a.HiddenRows++
		}
		a.Rows = append(a.Rows, r)
	}
	a.Cells = append(a.Cells, parts[1].Cells...)
	if a.AsOf != nil && parts[1].AsOf != nil && parts[1].AsOf.Before(*a.AsOf) {
		a.AsOf = parts[1].AsOf
	}
	a.Notes = []string{"A ratio of two numbers, each of which is published by itself: " + m.Parts[0].Name + " divided by " + m.Parts[1].Name + "."}
	for _, part := range parts {
		for _, n := range part.Notes {
			a.Notes = appendNew(a.Notes, n)
		}
	}
	return a, nil
}

// sameDays asks for one part over the days that the other's total is about.
func (s *Stats) sameDays(ctx context.Context, who access.Principal, m *policy.Metric, q Question, other Answer) (Answer, error) {
	p, err := q.plan(m, who)
	if err != nil {
		return Answer{}, err
	}
	p.from, p.to, p.explain = other.First, nextDay(other.Last), false
	if m.Value == policy.Distinct {
		return s.distinct(ctx, p)
	}
	return s.additive(ctx, p)
}

func timed(m *policy.Metric, by []string) bool {
	for _, name := range by {
		for _, b := range bucketsOf(m) {
			if string(b) == name {
				return true
			}
		}
	}
	return false
}

func rowID(by []string, r Row) string {
	b, err := json.Marshal([]any{r.By, r.Other})
	if err != nil {
		panic("stats: a row must marshal: " + err.Error())
	}
	return string(b)
}

// divide divides exactly, and rounds once.
func divide(above, below Number) Number {
	if above.Hidden || below.Hidden || above.Value == nil || below.Value == nil {
		return hidden
	}
	x, ok := new(big.Rat).SetString(string(*above.Value))
	y, ok2 := new(big.Rat).SetString(string(*below.Value))
	if !ok || !ok2 || y.Sign() == 0 {
		return hidden
	}
	v := json.Number(x.Quo(x, y).FloatString(ratioDecimals))
	return Number{Value: &v}
}

func appendNew(notes []string, n string) []string {
	for _, other := range notes {
		if other == n {
			return notes
		}
	}
	return append(notes, n)
}
