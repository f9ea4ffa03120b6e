package console

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// metric is what the API says of one that may be asked for.
type metric struct {
	Name        string      `json:"name"`
	Title       string      `json:"title"`
	Description string      `json:"description"`
	K           int         `json:"k"`
	Public      bool        `json:"public"`
	Dimensions  []dimension `json:"dimensions"`
}

type dimension struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
}

// answer is what the API answers to a question.
type answer struct {
	By         []string  `json:"by"`
	Rows       []row     `json:"rows"`
	Total      number    `json:"total"`
	K          int       `json:"k"`
	HiddenRows int       `json:"hidden_rows"`
	AsOf       time.Time `json:"as_of"`
	Notes      []string  `json:"notes"`
}

type row struct {
	By map[string]any `json:"by"`
	number
}

// number is shown or hidden.
type number struct {
	Value  *float64 `json:"value"`
	Hidden bool     `json:"hidden"`
}

// N is the value of one that is shown.
func (n number) N() float64 {
	if n.Value == nil {
		return 0
	}
	return *n.Value
}

// question is what the address of a page asks: names that the policy declares,
// and days. From and To are the first and the last day.
type question struct {
	Metric   string
	By       []string
	From, To string
}

// timed are the dimensions of time, the finest first.
var timed = []string{"hour", "day", "week", "month"}

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	dayPattern  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

// ofDays is how many days a question is about when it does not say.
const ofDays = 30

// readQuestion reads a question out of an address. What is not a name or a day
// is left out.
func readQuestion(q url.Values, now time.Time) question {
	out := question{}
	if m := q.Get("metric"); namePattern.MatchString(m) {
		out.Metric = m
	}
	for _, list := range q["by"] {
		for _, name := range strings.Split(list, ",") {
			if namePattern.MatchString(name) && !slices.Contains(out.By, name) {
				out.By = append(out.By, name)
			}
		}
	}
	if from := q.Get("from"); dayPattern.MatchString(from) {
		out.From = from
	} else if !q.Has("from") {
		out.From = now.UTC().AddDate(0, 0, 1-ofDays).Format(time.DateOnly)
	}
	if to := q.Get("to"); dayPattern.MatchString(to) {
		out.To = to
	}
	return out
}

// values are the question as the API takes it, to which the end is not
// included.
func (q question) values() url.Values {
	v := url.Values{}
	if len(q.By) > 0 {
		v.Set("by", strings.Join(q.By, ","))
	}
	if q.From != "" {
		v.Set("from", q.From)
	}
	if to, err := time.Parse(time.DateOnly, q.To); err == nil {
		v.Set("to", to.AddDate(0, 0, 1).Format(time.DateOnly))
	}
	return v
}

// Link is the question as an address, which asks the same again.
func (q question) Link(page string) string {
	v := url.Values{"metric": {q.Metric}, "from": {q.From}}
	if len(q.By) > 0 {
		v.Set("by", strings.Join(q.By, ","))
	}
	if q.To != "" {
		v.Set("to", q.To)
	}
	return prefix + page + "?" + v.Encode()
}

// panel is a question and its answer as a page shows it.
type panel struct {
	ID       string
	Title    string
	Metric   metric
	Question question
	No       *refusal
	Answer   answer
	// Time is the dimension of time, and Series are the columns of the table
	// then: one for each combination of the other dimensions. Without, Bars
	// are the rows.
	Time   string
	Label  string // of the combinations
	Series []string
	Points []point
	Bars   []bar
	Hidden int
	// Chart is bars, line or none.
	Chart string
}

// point is a moment and a number for each series.
type point struct {
	Label string
	At    int64 // Unix seconds
	Cells []cell
}

// cell is one number; absent where there was none.
type cell struct {
	number
	Absent bool
}

// bar is a combination of dimensions without time. Width is in percent of the
// largest.
type bar struct {
	Names []string
	Width float64
	number
}

// maxLines is how many series one chart shows.
const maxLines = 8

// lay puts an answer into the form that a page shows.
func (p *panel) lay() {
	var others []string
	for _, d := range p.Answer.By {
		if slices.Contains(timed, d) && p.Time == "" {
			p.Time = d
		} else {
			others = append(others, d)
		}
	}
	p.Label = strings.ReplaceAll(strings.Join(others, " · "), "_", " ")
	p.Hidden = p.Answer.HiddenRows
	if p.Time == "" {
		p.layBars(others)
		return
	}
	p.layPoints(others)
}

func (p *panel) layBars(names []string) {
	most := 1.0
	for _, r := range p.Answer.Rows {
		b := bar{number: r.number}
		for _, n := range names {
			b.Names = append(b.Names, valueText(r.By[n]))
		}
		p.Bars = append(p.Bars, b)
		if r.Value != nil {
			most = max(most, *r.Value)
		}
	}
	for i, b := range p.Bars {
		if b.Value != nil {
			p.Bars[i].Width = 100 * *b.Value / most
		}
	}
	slices.SortStableFunc(p.Bars, func(a, b bar) int { return cmp.Compare(b.Width, a.Width) })
}

func (p *panel) layPoints(others []string) {
	sums := map[string]float64{}
	type at struct{ when, series string }
	cells := map[at]number{}
	var whens []string
	for _, r := range p.Answer.Rows {
		var names []string
		for _, o := range others {
			names = append(names, valueText(r.By[o]))
		}
		a := at{valueText(r.By[p.Time]), strings.Join(names, " · ")}
		if a.series == "" {
			a.series = p.Metric.Title
		}
		cells[a] = r.number
		if !slices.Contains(whens, a.when) {
			whens = append(whens, a.when)
		}
		if _, ok := sums[a.series]; !ok {
			p.Series = append(p.Series, a.series)
		}
		if r.Value != nil {
			sums[a.series] += *r.Value
		} else {
			sums[a.series] += 0
		}
	}
	slices.SortStableFunc(p.Series, func(a, b string) int { return cmp.Compare(sums[b], sums[a]) })
	slices.Sort(whens)
	for _, w := range whens {
		pt := point{Label: timeLabel(p.Time, w), At: instantOf(p.Time, w)}
		for _, s := range p.Series {
			n, ok := cells[at{w, s}]
			pt.Cells = append(pt.Cells, cell{n, !ok})
		}
		p.Points = append(p.Points, pt)
	}
	switch {
	case len(p.Series) > maxLines || len(p.Points) < 2:
	case len(p.Series) == 1 && len(p.Points) <= 62:
		p.Chart = "bars"
	default:
		p.Chart = "line"
	}
}

// valueText is a value of a dimension.
func valueText(v any) string {
	switch t := v.(type) {
	case nil:
		return "(not shown)"
	case string:
		if t == "" {
			return "(none)"
		}
		return t
	case float64:
		return fmt.Sprint(t)
	}
	return fmt.Sprint(v)
}

// instantOf is when a bucket begins, in Unix seconds; 0 where it is not one.
func instantOf(bucket, s string) int64 {
	var t time.Time
	var err error
	switch bucket {
	case "hour":
		t, err = time.Parse(time.RFC3339, s)
	case "day":
		t, err = time.Parse(time.DateOnly, s)
	case "month":
		t, err = time.Parse("2006-01", s)
	case "week":
		var year, week int
		if _, err = fmt.Sscanf(s, "%d-W%d", &year, &week); err == nil {
			// ISO 8601: the week of January 4 is the first.
			t = time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC)
			t = t.AddDate(0, 0, -(int(t.Weekday())+6)%7+7*(week-1))
		}
	}
	if err != nil || t.IsZero() {
		return 0
	}
	return t.Unix()
}

func timeLabel(bucket, s string) string {
	if bucket == "hour" {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t.UTC().Format("2006-01-02 15:04")
		}
	}
	return s
}
