package stats

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// An Answer is the numbers of one question, in the form that JSON, CSV and
// tables are renderings of: what one shows, all show.
type Answer struct {
	Metric string `json:"metric"`
	// From and To are as they were asked; nil is open.
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	By   []string   `json:"by"`
	// Rows are sorted by time, then by what else the answer is split by.
	Rows  []Row  `json:"rows"`
	Total Number `json:"total"`
	// K subjects at least stand behind every cell; 0 when the metric is public.
	K    int    `json:"k"`
	Zone string `json:"zone"`
	// Bucket is in which stretch of time subjects are counted once, and First
	// and Last are its days, where the total is of one bucket.
	Bucket string `json:"bucket,omitempty"`
	First  string `json:"first_day,omitempty"`
	Last   string `json:"last_day,omitempty"`
	// Beside is what lies in cells that do not tell what the filters ask for.
	Beside *json.Number `json:"beside,omitempty"`
	// HiddenRows counts rows without a number.
	HiddenRows int `json:"hidden_rows"`
	// AsOf is when the newest cell of the metric was cut; nil when there is
	// none.
	AsOf  *time.Time `json:"as_of"`
	Notes []string   `json:"notes"`
	Cells []Cell     `json:"cells,omitempty"`
}

// A Row is one combination of what an answer is split by.
type Row struct {
	// By holds a string, an int64, a boolean, or nil for an absent value and
	// for what the row does not tell.
	By map[string]any `json:"by"`
	// Other names what the row does not tell: its cells were too small to.
	Other []string `json:"other,omitempty"`
	Number
}

// A Number is shown or hidden. A hidden one has no value.
type Number struct {
	// Value is whole, but of a ratio it has four decimals.
	Value  *json.Number `json:"value"`
	Hidden bool         `json:"hidden"`
}

func shown(n int64) Number {
	v := json.Number(strconv.FormatInt(n, 10))
	return Number{Value: &v}
}

var hidden = Number{Hidden: true}

// entry is a row before it is written: what it is split by as cells hold it.
type entry struct {
	by []place
	n  int64
}

// place is where an entry lies in one coordinate.
type place struct {
	told bool
	held string
}

var errShape = fault.Corrupt.Errorf("the warehouse answered in another shape than was asked")

// entries reads what [query.numbers] returned.
func entries(by []coordinate, rows [][]any) ([]entry, error) {
	if len(rows) > MaxRows {
		return nil, fault.Exhausted.Errorf("the answer has more than %d rows: ask for fewer dimensions or days", MaxRows)
	}
	out := make([]entry, 0, len(rows))
	for _, row := range rows {
		if len(row) != 2*len(by)+2 {
			return nil, errShape
		}
		e := entry{by: make([]place, len(by))}
		for i := range by {
			is, ok := row[2*i].(uint8)
			held, ok2 := row[2*i+1].(string)
			if !ok || !ok2 {
				return nil, errShape
			}
			e.by[i] = place{is == 1, held}
		}
		n, ok := row[2*len(by)].(int64)
		if !ok {
			return nil, errShape
		}
		e.n = n
		out = append(out, e)
	}
	return out, nil
}

// rows writes entries, sorted.
func (p *plan) rows(all []entry) ([]Row, error) {
	order := p.order()
	slices.SortFunc(all, func(a, b entry) int {
		for _, i := range order {
			if c := p.by[i].compare(a.by[i], b.by[i]); c != 0 {
				return c
			}
		}
		return 0
	})
	out := make([]Row, 0, len(all))
	for _, e := range all {
		r := Row{By: map[string]any{}, Number: shown(e.n)}
		for i, c := range p.by {
			v, err := c.show(e.by[i])
			if err != nil {
				return nil, err
			}
			r.By[c.name] = v
			if !e.by[i].told {
				r.Other = append(r.Other, c.name)
			}
		}
		out = append(out, r)
	}
	return out, nil
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

// compare sorts places of one coordinate: what is not told comes last.
func (c coordinate) compare(a, b place) int {
	if a.told != b.told {
		if a.told {
			return -1
		}
		return 1
	}
	if c.column.Kind == event.Int {
		x, errX := strconv.ParseInt(a.held, 10, 64)
		y, errY := strconv.ParseInt(b.held, 10, 64)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(a.held, b.held)
}

// maskedValue stands for every value of a dimension that a credential may not
// see.
const maskedValue = "masked"

// show writes a place as answers do.
func (c coordinate) show(at place) (any, error) {
	var v any = at.held
	var err error
	switch {
	case !at.told:
		return nil, nil
	case c.masked:
		return maskedValue, nil
	case c.isTime():
		return showBucket(c.bucket, at.held), nil
	case !c.isDimension() || c.dim.Hour || c.column.Kind == event.String:
	case at.held == "":
		return nil, nil
	case c.column.Kind == event.Int:
		v, err = strconv.ParseInt(at.held, 10, 64)
	case c.column.Kind == event.Bool:
		v, err = strconv.ParseBool(at.held)
	}
	if err != nil {
		return nil, fault.Corrupt.Errorf("the dimension %s holds what is not a value of it", c.name)
	}
	return v, nil
}

// keepTop keeps the p.top largest values of one coordinate, over all rows, and
// adds up the rest of each row's kind where numbers add up.
func (p *plan) keepTop(all []entry) []entry {
	at := p.topAt()
	sums := map[string]int64{}
	for _, e := range all {
		if e.by[at].told {
			sums[e.by[at].held] += e.n
		}
	}
	names := sortedNames(sums)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(sums[b], sums[a]) })
	if len(names) > p.top {
		names = names[:p.top]
	}
	keep := map[string]bool{}
	for _, n := range names {
		keep[n] = true
	}
	merged := map[string]*entry{}
	var out []*entry
	for _, e := range all {
		if !e.by[at].told || !keep[e.by[at].held] {
			if !p.metric.Value.Additive() {
				continue
			}
			e.by = slices.Clone(e.by)
			e.by[at] = place{}
		}
		id := id(e.by)
		if same := merged[id]; same != nil {
			same.n += e.n
			continue
		}
		merged[id] = &e
		out = append(out, &e)
	}
	all = all[:0]
	for _, e := range out {
		all = append(all, *e)
	}
	return all
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
	return a
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
