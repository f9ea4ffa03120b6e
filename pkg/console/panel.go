package console

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// panel is a question and its answer as a page shows it.
type panel struct {
	ID       string
	Title    string
	Metric   metric
	Question question
	No       *refusal
	Answer   stats.Answer
	// Time is the dimension of time, and Series are the columns of the table
	// then: one for each combination of the other dimensions. Without, Bars
	// are the rows.
	Time   string
	Label  string // of the combinations
	Series []series
	Points []point
	Bars   []bar
	// Latest is the newest number, where all of them have no total, or one of
	// other days.
	Latest *point
	// Gaps says that numbers are missing among others.
	Gaps bool
	// Drawn and Lines are how many series the chart and the table show.
	Drawn, Lines int
	// Chart is bars, line or none.
	Chart string
}

// named is a place in one dimension in words. Mark says that the words are the
// page's: for what is not told, absent or empty.
type named struct {
	Text string
	Mark bool
	// Value is what a filter compares it with.
	Value string
	// Link asks about this value alone; empty where it cannot be asked for.
	Link string
}

// series is a combination of dimensions. Other says that it tells none of them,
// and Drawn that it is in the chart.
type series struct {
	Names []named
	Other bool
	Drawn bool
	told  int // how many dimensions it tells
	sum   float64
}

// point is a moment and a number for each series. A point without a moment
// holds what does not tell it.
type point struct {
	Label named
	At    int64 // Unix seconds
	Timed bool
	Cells []cell
}

// cell is one number; absent where nothing is published.
type cell struct {
	stats.Number
	Absent bool
}

// bar is a combination of dimensions without time. Width is in percent of the
// largest.
type bar struct {
	series
	Width float64
	stats.Number
}

const (
	// maxLines is how many series one chart draws: as many as there are
	// colors, and the one that holds what the others do not tell.
	maxLines = 7
	// maxColumns and maxBars are how much of an answer a page shows. A file
	// holds all of it.
	maxColumns = 40
	maxBars    = 250
	// maxDays is how many moments a page adds for which there is no number.
	maxDays = 800
)

// lay puts an answer into the form that a page shows.
func (p *panel) lay() {
	var others, labels []string
	for _, d := range p.Answer.By {
		if p.Metric.isTime(d) && p.Time == "" {
			p.Time = d
		} else {
			others = append(others, d)
			labels = append(labels, words(d))
		}
	}
	p.Label = strings.Join(labels, " · ")
	if p.Time == "" {
		p.layBars(others)
		return
	}
	p.layPoints(others)
}

func (p *panel) layBars(names []string) {
	most := 0.0
	for _, r := range p.Answer.Rows {
		b := bar{series: p.newSeries(r, names), Number: r.Number}
		b.sum = approximately(r.Number)
		p.Gaps = p.Gaps || r.Hidden
		most = max(most, b.sum)
		p.Bars = append(p.Bars, b)
	}
	for i, b := range p.Bars {
		if most > 0 {
			p.Bars[i].Width = max(0, 100*b.sum/most)
		}
	}
	slices.SortStableFunc(p.Bars, func(a, b bar) int { return a.compare(b.series) })
	p.Lines = min(len(p.Bars), maxBars)
	if last := len(p.Bars) - 1; last >= p.Lines && p.Bars[last].Other {
		p.Bars = moveLast(p.Bars, p.Lines-1)
	}
}

// newSeries is where a row lies in some dimensions.
func (p *panel) newSeries(r stats.Row, names []string) series {
	s := series{Other: len(names) > 0}
	for _, name := range names {
		n := p.nameOf(r, name)
		s.Names = append(s.Names, n)
		if !slices.Contains(r.Other, name) {
			s.told++
			s.Other = false
		}
	}
	return s
}

// compare sorts series: those that tell more first, then the larger.
func (s series) compare(t series) int {
	return cmp.Or(cmp.Compare(t.told, s.told), cmp.Compare(t.sum, s.sum))
}

// nameOf writes where a row lies in a dimension.
func (p *panel) nameOf(r stats.Row, name string) named {
	if slices.Contains(r.Other, name) {
		return named{Text: "(other)", Mark: true}
	}
	n := named{}
	switch v := r.By[name].(type) {
	case nil:
		n.Text, n.Mark = "(absent)", true
	case string:
		if n.Text, n.Value = v, v; v == "" {
			n.Text, n.Mark = "(empty)", true
		}
	default: // a number or a boolean
		n.Value = fmt.Sprint(v)
		n.Text = n.Value
	}
	w := where{name, n.Value}
	if _, ok := readWhere(w.String()); ok && slices.Contains(p.Metric.splits(), name) {
		n.Link = p.Question.of(p.Metric, w).Link("usage")
	}
	return n
}

// approximately is a number as charts draw it.
func approximately(n stats.Number) float64 {
	if n.Value == nil {
		return 0
	}
	f, _ := n.Value.Float64()
	return f
}

func (p *panel) layPoints(others []string) {
	index := map[string]int{} // of a series, by its names
	type at struct {
		when   string
		series int
	}
	cells := map[at]stats.Number{}
	whens := map[string]bool{}
	const untold = "" // a moment is never empty
	for _, r := range p.Answer.Rows {
		s := p.newSeries(r, others)
		id := fmt.Sprintf("%#v", s.Names)
		i, ok := index[id]
		if !ok {
			i = len(p.Series)
			index[id] = i
			p.Series = append(p.Series, s)
		}
		when := untold
		if !slices.Contains(r.Other, p.Time) {
			when, _ = r.By[p.Time].(string)
		}
		cells[at{when, i}] = r.Number
		p.Series[i].sum += approximately(r.Number)
		whens[when] = true
	}
	order := make([]int, len(p.Series))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return p.Series[a].compare(p.Series[b]) })
	sorted := make([]series, 0, len(order))
	for _, i := range order {
		sorted = append(sorted, p.Series[i])
	}
	p.Series = sorted
	moments := allMoments(p.Time, whens)
	if whens[untold] {
		moments = append(moments, untold)
	}
	for _, w := range moments {
		pt := point{Label: named{Text: timeLabel(p.Time, w)}, Timed: w != untold}
		if pt.At = instantOf(p.Time, w); !pt.Timed {
			pt.Label = named{Text: "(other)", Mark: true}
		}
		for _, i := range order {
			n, ok := cells[at{w, i}]
			pt.Cells = append(pt.Cells, cell{n, !ok})
			p.Gaps = p.Gaps || n.Hidden || !ok && pt.Timed
		}
		p.Points = append(p.Points, pt)
	}
	p.chooseChart()
}

// moveLast moves the last of some to a place before it.
func moveLast[T any](all []T, to int) []T {
	last := len(all) - 1
	moved := all[last]
	return slices.Insert(all[:last], to, moved)
}

// chooseChart says how points are drawn, and which number stands before them.
func (p *panel) chooseChart() {
	timed := 0
	for i, pt := range p.Points {
		if pt.Timed {
			timed++
		}
		if latest := p.Answer.Total.Hidden || trailing[p.Time] != ""; latest && pt.Timed && len(p.Series) == 1 && pt.Cells[0].Value != nil {
			p.Latest = &p.Points[i]
		}
	}
	p.Lines = min(len(p.Series), maxColumns)
	if last := len(p.Series) - 1; last >= p.Lines && p.Series[last].Other {
		p.Series = moveLast(p.Series, p.Lines-1)
		for i, pt := range p.Points {
			p.Points[i].Cells = moveLast(pt.Cells, p.Lines-1)
		}
	}
	for i, s := range p.Series[:p.Lines] {
		if i < maxLines || s.Other {
			p.Series[i].Drawn = true
			p.Drawn++
		}
	}
	switch {
	case timed < 2:
	case len(p.Series) == 1 && timed <= 62:
		p.Chart = "bars"
	default:
		p.Chart = "line"
	}
}

// Between says what the total is at least and at most, where cells do not tell
// whether they are what was asked for.
func (p *panel) Between() string {
	if p.Answer.Beside == nil {
		return ""
	}
	beside, err := p.Answer.Beside.Int64()
	if err != nil || beside <= 0 {
		return ""
	}
	if p.Answer.Total.Value == nil {
		return "At most " + num(beside) + "."
	}
	least, err := p.Answer.Total.Value.Int64()
	if err != nil {
		return ""
	}
	return "At least " + num(least) + " and at most " + num(least+beside) + "."
}

// stretch says which days a number is of: words, and the day that they end with.
type stretch struct{ Words, Day string }

// Number stands before the answer: the total, or the newest where there is none.
// The total of other days than the title speaks of is not it.
func (p *panel) Number() stats.Number {
	switch {
	case p.Latest != nil:
		return p.Latest.Cells[0].Number
	case trailing[p.Time] != "":
		return stats.Number{Hidden: true}
	}
	return p.Answer.Total
}

// Of says which days that number is of, where it is of a stretch of time.
func (p *panel) Of() stretch {
	bucket, first, last := p.Answer.Bucket, p.Answer.First, p.Answer.Last
	switch {
	case p.Latest != nil:
		bucket, first, last = p.Time, p.Latest.Label.Text, p.Latest.Label.Text
	case trailing[p.Time] != "":
		return stretch{}
	}
	switch days := trailing[bucket]; {
	case first == "":
		return stretch{}
	case days != "":
		return stretch{"in the " + days + " up to", last}
	case bucket == string(policy.Day):
		return stretch{"on", first}
	case p.Latest != nil:
		return stretch{"in", first}
	}
	return stretch{"in the " + words(bucket) + " from", first}
}

// Missing says what it means that numbers are missing among others.
func (p *panel) Missing() string {
	if !p.Gaps {
		return ""
	}
	sign := "“–” and “hidden” mean"
	if p.Chart != "" {
		sign = "A gap in the chart, “–” and “hidden” mean"
	}
	return sign + " that nothing is published: not zero, and the same for nobody and for a few."
}

// Digits is how many decimals a chart shows.
func (p *panel) Digits() string {
	if p.Metric.isRatio() {
		return "4"
	}
	return "1"
}

// shown writes a number; hidden ones are empty.
func shown(n stats.Number) string {
	if n.Value == nil {
		return ""
	}
	return num(*n.Value)
}

// raw is a number as a program reads it.
func raw(n stats.Number) string {
	if n.Value == nil {
		return ""
	}
	return string(*n.Value)
}

// percent writes a width.
func percent(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) }
