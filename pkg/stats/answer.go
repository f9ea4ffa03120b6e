package stats

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// An Answer is the numbers of one question, in the form that JSON, CSV and
// tables are renderings of: what one shows, all show.
type Answer struct {
	Metric string `json:"metric"`
	// From and To are as they were asked; nil is open.
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	By   []string   `json:"by"`
	// Rows are sorted by time, then by what else the answer is split by; with
	// [Question.Top], the largest value first.
	Rows  []Row  `json:"rows"`
	Total Number `json:"total"`
	// K subjects at least stand behind every cell of the answer: the smallest
	// k under which one was cut. 0 is public.
	K    int    `json:"k"`
	Zone string `json:"zone"`
	// Bucket is in which stretch of time subjects are counted once, and First
	// and Last are its days, where the total is of one bucket.
	Bucket string `json:"bucket,omitempty"`
	First  string `json:"first_day,omitempty"`
	Last   string `json:"last_day,omitempty"`
	// Beside is what lies in cells that may or may not be what the days and
	// filters ask for, because they do not tell: nil when there are none.
	Beside *json.Number `json:"beside,omitempty"`
	// HiddenRows counts rows without a number.
	HiddenRows int `json:"hidden_rows"`
	// AsOf is a moment: whatever had come to the warehouse by then was looked
	// at, and is published or waits for more subjects. It is nil until
	// everything was looked at for the first time.
	AsOf  *time.Time `json:"as_of"`
	Notes []string   `json:"notes"`
	// Cells are those behind the answer, where they were asked for: at most
	// [MaxCells] of each metric, the newest first.
	Cells []Cell `json:"cells,omitzero"`

	found found
}

// A Row is one combination of what an answer is split by.
type Row struct {
	// By holds a string, an int64, a boolean, or nil for an absent number or
	// boolean and for what the row does not tell.
	By map[string]any `json:"by"`
	// Other names what the row does not tell: its cells were too small to, or
	// it holds what is not among the largest.
	Other []string `json:"other,omitempty"`
	Number
}

// A Number is shown or hidden. A hidden one has no value: nothing is published
// for it.
type Number struct {
	// Value is whole, but of a ratio it has four decimals.
	Value  *json.Number `json:"value"`
	Hidden bool         `json:"hidden"`
}

var hidden = Number{Hidden: true}

func shown(n *int64) Number {
	if n == nil {
		return hidden
	}
	return Number{Value: written(n)}
}

func written(n *int64) *json.Number {
	if n == nil {
		return nil
	}
	v := json.Number(strconv.FormatInt(*n, 10))
	return &v
}

// found is what was found for a plan.
type found struct {
	rows   []entry
	total  *int64
	beside *int64
	in     *window // that the total is of
	// noBucket says that subjects are not counted in the days that were asked
	// for.
	noBucket bool
	behind   []selection // the cells of all numbers
}

// entry is a row before it is written.
type entry struct {
	by []place
	n  int64
	k  int // the smallest under which one of its cells was cut
}

// answer finds the numbers of a plan that is not a ratio, and says what has to
// be said about them.
func (s *Stats) answer(ctx context.Context, p *plan) (Answer, error) {
	a := p.begin()
	// First, so that nothing that it speaks of is missing in the numbers.
	at, err := s.cfg.AsOf(ctx)
	if err != nil {
		return Answer{}, err
	}
	a.AsOf = instant(at)
	if err := s.look(ctx, p); err != nil {
		return Answer{}, err
	}
	find := s.additive
	switch p.metric.Value {
	case policy.Distinct:
		find = s.distinct
	case policy.Current:
		find = s.current
	}
	f, err := find(ctx, p)
	if err != nil {
		return Answer{}, err
	}
	rank := map[string]int{}
	if p.top > 0 {
		f.rows, rank = p.keepTop(f.rows)
	}
	a.found = f
	if p.cutUnder != nil {
		a.K = *p.cutUnder
	}
	a.Rows = p.rowsBy(f.rows, rank, func(e entry) Number { return shown(&e.n) })
	a.Total, a.Beside = shown(f.total), written(f.beside)
	if f.in != nil {
		a.Bucket, a.First, a.Last = string(f.in.bucket), f.in.first, f.in.last
	}
	a.count()
	a.Notes = append(a.Notes, p.notes(a)...)
	if p.explain {
		err = s.explain(ctx, p, &a)
	}
	return a, err
}

// begin is an answer without numbers.
func (p *plan) begin() Answer {
	a := Answer{Metric: p.metric.Name, By: []string{}, Rows: []Row{}, Total: hidden, Zone: p.metric.Zone.String(), Notes: []string{}}
	if !p.metric.Public {
		a.K = p.metric.K
	}
	for _, c := range p.by {
		a.By = append(a.By, c.name)
	}
	a.From, a.To = instant(p.fromAt), instant(p.toAt)
	if p.explain {
		a.Cells = []Cell{}
	}
	return a
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (a *Answer) count() {
	for _, r := range a.Rows {
		if r.Hidden {
			a.HiddenRows++
		}
	}
}

// rows writes entries, sorted.
func (p *plan) rows(all []entry, number func(entry) Number) []Row {
	return p.rowsBy(all, nil, number)
}

// rowsBy writes entries, sorted; those of a coordinate that has a rank by it.
func (p *plan) rowsBy(all []entry, rank map[string]int, number func(entry) Number) []Row {
	order, at := p.order(), p.topAt()
	slices.SortFunc(all, func(a, b entry) int {
		for _, i := range order {
			x, y := a.by[i], b.by[i]
			if i == at && x.told && y.told && rank[x.held] != rank[y.held] {
				return cmp.Compare(rank[x.held], rank[y.held])
			}
			if c := p.by[i].compare(x, y); c != 0 {
				return c
			}
		}
		return 0
	})
	out := make([]Row, 0, len(all))
	for _, e := range all {
		r := Row{By: map[string]any{}, Number: number(e)}
		for i, c := range p.by {
			r.By[c.name] = c.show(e.by[i])
			if !e.by[i].told {
				r.Other = append(r.Other, c.name)
			}
		}
		out = append(out, r)
	}
	return out
}

// order is which coordinates rows are sorted by: time first.
func (p *plan) order() []int {
	var time, rest []int
	for i, c := range p.by {
		if c.isTime() || c.dim.Hour {
			time = append(time, i)
		} else {
			rest = append(rest, i)
		}
	}
	return append(time, rest...)
}

// keepTop keeps the p.top largest values of one coordinate, over all rows, and
// adds up the rest of each row's kind where numbers add up.
func (p *plan) keepTop(all []entry) ([]entry, map[string]int) {
	at := p.topAt()
	sums := map[string]int64{}
	for _, e := range all {
		if e.by[at].told {
			sums[e.by[at].held] += e.n
		}
	}
	names := sortedNames(sums)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sums[b], sums[a]) })
	rank := map[string]int{}
	for i, name := range names[:min(len(names), p.top)] {
		rank[name] = i + 1
	}
	var out []entry
	merged := map[string]int{} // where in out
	for _, e := range all {
		if !e.by[at].told || rank[e.by[at].held] == 0 {
			if !p.metric.Value.Additive() {
				continue
			}
			e.by = slices.Clone(e.by)
			e.by[at] = place{}
		}
		if i, ok := merged[id(e.by)]; ok {
			out[i].n += e.n
			continue
		}
		merged[id(e.by)] = len(out)
		out = append(out, e)
	}
	return out, rank
}

// id tells places apart.
func id(by []place) string {
	var b []byte
	for _, at := range by {
		b = strconv.AppendBool(b, at.told)
		b = strconv.AppendQuote(b, at.held)
	}
	return string(b)
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
