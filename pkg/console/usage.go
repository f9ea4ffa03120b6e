package console

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// usageBody is what the page shows: the boards, or one question.
type usageBody struct {
	No      *refusal
	Metrics []metric
	Boards  []board
	Panels  []*panel
	// Of one question.
	One        *panel
	Times      []string // the dimensions of time that the metric has
	Time       string
	Splits     []dimension // its others
	Chosen     []string
	Ranges     []choice
	CSV, Share string
}

// board is a page of panels to begin with.
type board struct {
	Name, Title string
	Here        bool
	asks        []question
}

// choice is a link to the same question with another range.
type choice struct {
	Name, Link string
	Here       bool
}

// boards are shown as far as the policy has their metrics.
var boards = []board{
	{Name: "activations", Title: "Activations", asks: []question{
		{Metric: "activations", By: []string{"day"}},
		{Metric: "activations", By: []string{"day", "product"}},
		{Metric: "active_machines", By: []string{"product"}},
		{Metric: "active_machines", By: []string{"version"}},
	}},
	{Name: "access", Title: "Access", asks: []question{
		{Metric: "viewers", By: []string{"day"}},
		{Metric: "views", By: []string{"path"}},
		{Metric: "visitors", By: []string{"day"}},
		{Metric: "requests", By: []string{"day", "status"}},
	}},
}

func (o *Console) usage(v *visit) {
	if !v.enter("usage") {
		return
	}
	list := v.metrics()
	b := usageBody{No: list.No, Metrics: list.V.Metrics}
	q := readQuestion(v.r.URL.Query(), v.c.Now())
	i := slices.IndexFunc(b.Metrics, func(m metric) bool { return m.Name == q.Metric })
	switch {
	case b.No != nil:
	case i >= 0:
		o.one(v, &b, b.Metrics[i], q)
	default:
		v.board(&b, v.r.URL.Query().Get("board"), q)
	}
	v.render(http.StatusOK, "usage", "Usage", b)
}

type metricList struct {
	Metrics []metric `json:"metrics"`
}

func (v *visit) metrics() asked[metricList] { return get[metricList](v, "/v1/stats", nil) }

// one shows one question.
func (o *Console) one(v *visit, b *usageBody, m metric, q question) {
	for _, d := range m.Dimensions {
		switch {
		case slices.Contains(timed, d.Name):
			b.Times = append(b.Times, d.Name)
		default:
			b.Splits = append(b.Splits, d)
		}
	}
	has := func(name string) bool {
		return slices.ContainsFunc(m.Dimensions, func(d dimension) bool { return d.Name == name })
	}
	// What another metric had is left out, and so is a second time.
	q.By = slices.DeleteFunc(q.By, func(name string) bool { return !has(name) })
	if !v.r.URL.Query().Has("by") && has("day") {
		q.By = []string{"day"}
	}
	for _, name := range q.By {
		if slices.Contains(timed, name) {
			b.Time = name
		} else {
			b.Chosen = append(b.Chosen, name)
		}
	}
	b.One = v.answer("answer", m, q)
	for _, days := range []int{7, 30, 90, 365} {
		r := q
		r.From, r.To = v.c.Now().UTC().AddDate(0, 0, 1-days).Format("2006-01-02"), ""
		b.Ranges = append(b.Ranges, choice{plural(days, "day"), r.Link("usage"), q.To == "" && q.From == r.From})
	}
	r := q
	r.From, r.To = "", ""
	b.Ranges = append(b.Ranges, choice{"everything", r.Link("usage"), q.From == "" && q.To == ""})
	b.CSV, b.Share = q.Link("usage.csv"), q.Link("usage")
}

// board shows a page of panels.
func (v *visit) board(b *usageBody, name string, q question) {
	for _, board := range boards {
		board.asks = slices.DeleteFunc(slices.Clone(board.asks), func(a question) bool {
			return !slices.ContainsFunc(b.Metrics, func(m metric) bool { return m.Name == a.Metric })
		})
		if len(board.asks) > 0 {
			b.Boards = append(b.Boards, board)
		}
	}
	if len(b.Boards) == 0 {
		return
	}
	here := max(0, slices.IndexFunc(b.Boards, func(x board) bool { return x.Name == name }))
	b.Boards[here].Here = true
	b.Panels = v.panels(b.Metrics, b.Boards[here].asks, q.From)
}

// panels asks several questions at once.
func (v *visit) panels(metrics []metric, questions []question, from string) []*panel {
	out := make([]*panel, len(questions))
	var asks []func()
	for i, q := range questions {
		j := slices.IndexFunc(metrics, func(m metric) bool { return m.Name == q.Metric })
		if j < 0 {
			continue
		}
		q.From = from
		asks = append(asks, func() { out[i] = v.answer(fmt.Sprintf("panel-%d", i+1), metrics[j], q) })
	}
	together(asks...)
	return slices.DeleteFunc(out, func(p *panel) bool { return p == nil })
}

// answer asks one question.
func (v *visit) answer(id string, m metric, q question) *panel {
	p := &panel{ID: id, Metric: m, Question: q, Title: m.Title}
	if len(q.By) > 0 {
		p.Title += " by " + strings.ReplaceAll(strings.Join(q.By, " and "), "_", " ")
	}
	a := get[answer](v, "/v1/stats/"+m.Name, q.values())
	if p.No, p.Answer = a.No, a.V; a.No == nil {
		p.lay()
	}
	return p
}

// usageCSV hands on the answer to a question as a file.
func (o *Console) usageCSV(v *visit) {
	q := readQuestion(v.r.URL.Query(), v.c.Now())
	if q.Metric == "" {
		v.fail(http.StatusNotFound, "There is no such metric.")
		return
	}
	values := q.values()
	values.Set("format", "csv")
	v.pass("/v1/stats/"+url.PathEscape(q.Metric), values, "text/csv; charset=utf-8; header=present", "lethe-"+q.Metric+".csv")
}
