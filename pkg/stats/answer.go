package stats

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// An Answer is the numbers of one question, in the form that JSON, CSV and
// tables are renderings of: what is hidden in one is hidden in all.
type Answer struct {
	Metric string `json:"metric"`
	// From and To are as they were asked; nil is open.
	From *time.Time `json:"from"`
	To   *time.Time `json:"to"`
	By   []string   `json:"by"`
	// Rows are the combinations of dimensions that have events, by time,
	// then by column. Without dimensions there are none.
	Rows  []Row  `json:"rows"`
	Total Number `json:"total"`
	// K subjects at least stand behind every number shown; 0 when the metric
	// is public.
	K          int       `json:"k"`
	HiddenRows int       `json:"hidden_rows"`
	AsOf       time.Time `json:"as_of"`
	Notes      []string  `json:"notes"`
}

// A Row is one combination of dimensions.
type Row struct {
	// By holds a string, an int64, a boolean, or nil for an absent value. In
	// a hidden row, dimensions that might say something about one person are
	// nil too, and rows that then look the same are one.
	By map[string]any `json:"by"`
	Number
}

// A Number is shown or hidden. A hidden one has no value.
type Number struct {
	Value  *int64 `json:"value"`
	Hidden bool   `json:"hidden"`
}

func shown(n int64) Number { return Number{Value: &n} }

var hidden = Number{Hidden: true}

// cell is one combination of dimensions before it is decided what to show of
// it. Its numbers leave this package only through decide.
type cell struct {
	by     []any // in the order of the plan's dimensions
	value  int64
	hidden bool
}

// union is what stands behind several cells together, as distinct subjects.
type union struct {
	rows        int64
	people      int64 // summed over services
	most        int64 // the largest count in any one service
	counted     int64 // that the metric counts, summed over services
	mostCounted int64
}

// tally is everything the statement returned.
type tally struct {
	cells    []cell
	all      union
	hidden   union
	shown    union
	services map[string]bool // that have subjects
}

// decide makes an answer of a tally: it merges hidden rows that must not be
// told apart, sorts, and hides the total where it would give a hidden row
// away. P19.
func decide(p *plan, t tally) (rows []Row, total Number) {
	rows, sum, hiddenRows := p.show(t.cells)
	k, value := int64(p.metric.K), t.all.value(p.metric)
	total = shown(value)
	switch {
	case p.metric.Public, t.all.rows == 0:
	case !enough(t.all, p.metric):
		total = hidden
	case hiddenRows == 0:
	case hiddenRows == 1:
		// Total minus shown is the hidden row.
		total = hidden
	case !enough(t.hidden, p.metric):
		// Total minus shown is a number about too few.
		total = hidden
	case p.metric.Value != policy.Count && (few(value-t.shown.value(p.metric), k) || few(value-sum, k)):
		// The hidden rows hold enough subjects, but most of them are in
		// shown rows too: those who are not are too few.
		total = hidden
	}
	return rows, total
}

// value is the metric's number over a union.
func (u union) value(m *policy.Metric) int64 {
	switch m.Value {
	case policy.Count:
		return u.rows
	case policy.Current:
		return u.counted
	}
	return u.people
}

// enough says whether a number about a union is a number about at least k
// subjects of one service. Rows without any subject are of nobody knows how
// few, and so not enough.
func enough(u union, m *policy.Metric) bool {
	k := int64(m.K)
	if m.Value == policy.Current && u.counted > 0 && u.mostCounted < k {
		return false
	}
	return u.most >= k
}

func few(n, k int64) bool { return 0 < n && n < k }

// show turns cells into sorted rows.
func (p *plan) show(cells []cell) (rows []Row, sum int64, hiddenRows int) {
	rows = []Row{}
	if len(p.by) == 0 {
		return rows, 0, 0
	}
	cells = slices.Clone(cells)
	for i, c := range cells {
		if c.hidden {
			cells[i].by = p.mask(c.by)
		}
	}
	order := p.order()
	slices.SortFunc(cells, func(a, b cell) int {
		for _, i := range order {
			if c := compare(a.by[i], b.by[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(truth(a.hidden), truth(b.hidden))
	})
	for i, c := range cells {
		if c.hidden && i > 0 && cells[i-1].hidden && slices.Equal(cells[i-1].by, c.by) {
			continue // told apart by a masked dimension alone
		}
		row := Row{By: map[string]any{}, Number: hidden}
		for j, d := range p.by {
			row.By[d.Name] = c.by[j]
		}
		if c.hidden {
			hiddenRows++
		} else {
			row.Number = shown(c.value)
			sum += c.value
		}
		rows = append(rows, row)
	}
	return rows, sum, hiddenRows
}

// mask takes away the values that might say something about one person.
func (p *plan) mask(by []any) []any {
	out := slices.Clone(by)
	for i, d := range p.by {
		if d.telling {
			out[i] = nil
		}
	}
	return out
}

// order is which dimensions rows are sorted by: time first.
func (p *plan) order() []int {
	var time, columns []int
	for i, d := range p.by {
		if d.Bucket != "" {
			time = append(time, i)
		} else {
			columns = append(columns, i)
		}
	}
	return append(time, columns...)
}

// compare sorts values of one dimension; absent comes first.
func compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(truth(a != nil), truth(b != nil))
	}
	switch a := a.(type) {
	case int64:
		return cmp.Compare(a, b.(int64))
	case bool:
		return cmp.Compare(truth(a), truth(b.(bool)))
	}
	return cmp.Compare(a.(string), b.(string))
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

// value reads a dimension's value as the statement writes it.
func (d dimension) value(cell any) (any, error) {
	if cell == nil {
		return nil, nil
	}
	text, ok := cell.(string)
	if !ok {
		return nil, errShape
	}
	var v any = text
	var err error
	switch {
	case d.Bucket != "":
		var sec int64
		sec, err = strconv.ParseInt(text, 10, 64)
		v = showBucket(d.Bucket, time.Unix(sec, 0).UTC())
	case d.column.Kind == event.Int:
		v, err = strconv.ParseInt(text, 10, 64)
	case d.column.Kind == event.Bool:
		v, err = strconv.ParseBool(text)
	}
	if err != nil {
		return nil, fault.Corrupt.Errorf("the dimension %s holds what is not a value of it", d.Name)
	}
	return v, nil
}
