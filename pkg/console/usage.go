package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// usageBody is what the page shows: the boards, or one question.
type usageBody struct {
	No      *refusal
	Metrics []metric
	// Of the boards.
	Boards []shownBoard
	Empty  string // what to do where nothing of a board is published
	Tiles  []*panel
	Panels []*panel
	Ranges []choice
	// Of one question.
	One     *panel
	Asking  *asking
	CSV     string
	Share   string
	Explain string // the same question with its cells
	Cells   string // these as a file
}

// asking is what the controls of a question offer: what can be answered, and
// nothing else.
type asking struct {
	Times   []string
	Time    string
	First   []string // dimensions to split by, and by which it is
	By      string
	Second  []string
	Then    string
	Tops    []int
	Top     int
	Ranges  []choice
	Filters []shownFilter
	// Picks are dimensions to filter by, Pick is the one whose Values are
	// offered.
	Picks  []string
	Pick   string
	No     *refusal
	Values []shownFilter
	Cancel string
	Hidden []where // the filters, as the form has them
}

// shownFilter is one value of a filter, and where a link without it leads.
type shownFilter struct {
	where
	Shown named
	Link  string
}

// maxOffered is how many values of a dimension are offered to choose from: the
// largest.
const maxOffered = 500

func (o *Console) usage(v *visit) {
	if !v.enter("usage") {
		return
	}
	have := v.r.URL.Query()
	q := readQuestion(have)
	if q.Metric != "" && v.toCanonical(have, q) {
		return
	}
	list, no := v.metrics()
	b := usageBody{No: no, Metrics: list}
	title := "Usage"
	i := slices.IndexFunc(list, func(m metric) bool { return m.Name == q.Metric })
	switch {
	case no != nil:
	case i >= 0:
		q = q.fit(list[i], v.c.Now())
		if v.toCanonical(have, q) {
			return
		}
		v.one(&b, list[i], q, have.Get("pick"))
		title = b.One.Title
	default:
		v.board(&b, have.Get("board"), q)
	}
	v.render(http.StatusOK, "usage", title, b)
}

// toCanonical leads to the address of the question that the page would answer,
// where something else stands in the one that was asked for: of a form, or of
// another metric's question. So an address never says more than its page.
func (v *visit) toCanonical(have url.Values, q question) bool {
	want := q.Parameters()
	if pick := have.Get("pick"); namePattern.MatchString(pick) {
		want.Set("pick", pick)
	}
	for name := range have {
		if !slices.Equal(have[name], want[name]) {
			http.Redirect(v.w, v.r, prefix+"usage?"+want.Encode(), http.StatusSeeOther)
			return true
		}
	}
	return false
}

type metricList struct {
	Metrics []stats.Listed `json:"metrics"`
}

// metrics are those that whoever is signed in may ask for.
func (v *visit) metrics() ([]metric, *refusal) {
	list := get[metricList](v, "/v1/stats", nil)
	return newMetrics(list.V.Metrics), list.No
}

// one shows one question.
func (v *visit) one(b *usageBody, m metric, q question, pick string) {
	b.Asking = newAsking(m, q)
	b.Asking.Ranges = q.ranges(m, v.c.Now())
	asks := []func(){func() { b.One = v.answer("answer", m, q) }}
	if slices.Contains(b.Asking.Picks, pick) {
		b.Asking.Pick, b.Asking.Cancel = pick, q.Link("usage")
		asks = append(asks, func() { v.offer(b.Asking, m, q) })
	}
	together(asks...)
	plain := q
	plain.Explain = false
	b.CSV, b.Share = plain.Link("usage.csv"), q.Link("usage")
	if !m.masked {
		q.Explain = true
		b.Explain, b.Cells = q.Link("usage"), q.Link("usage.csv")
	}
}

// tops are how many of the largest values a page offers.
var tops = []int{5, 10, 20, 50, 100}

func newAsking(m metric, q question) *asking {
	a := &asking{Times: m.times(), Time: q.time(m), Top: q.Top, Hidden: q.Where}
	timed := []string{}
	for _, name := range q.By {
		switch {
		case m.isTime(name):
			timed = append(timed, name)
		case a.By == "":
			a.By = name
		default:
			a.Then = name
		}
	}
	// keeps says whether a question keeps all of itself when it is asked.
	keeps := func(q question) bool {
		fitted := q.fit(m, time.Time{})
		return slices.Equal(fitted.By, q.By) && slices.Equal(fitted.Where, q.Where)
	}
	for _, name := range m.splits() {
		first, second, picked := q, q, q
		if first.By = append(slices.Clone(timed), name); keeps(first) {
			a.First = append(a.First, name)
		}
		if second.By = append(slices.Clone(timed), a.By, name); a.By != "" && a.By != name && keeps(second) {
			a.Second = append(a.Second, name)
		}
		if picked.Where = append(slices.Clone(q.Where), where{name, "any"}); keeps(picked) {
			a.Picks = append(a.Picks, name)
		}
	}
	p := panelOf(m, q)
	for _, w := range q.Where {
		n := p.nameOf(stats.Row{By: map[string]any{w.Name: w.Value}}, w.Name)
		a.Filters = append(a.Filters, shownFilter{w, n, q.without(w).Link("usage")})
	}
	if a.By != "" && !m.isRatio() {
		a.Tops = slices.Clone(tops)
		if q.Top > 0 && !slices.Contains(a.Tops, q.Top) {
			a.Tops = append(a.Tops, q.Top)
			slices.Sort(a.Tops)
		}
	}
	return a
}

// offer asks which values of a dimension there are.
func (v *visit) offer(a *asking, m metric, q question) {
	values := question{Metric: m.Name, By: []string{a.Pick}}
	if !m.isRatio() {
		values.Top = maxOffered
	}
	p := v.answer("values", m, values)
	a.No = p.No
	for _, r := range p.Answer.Rows {
		n := p.nameOf(r, a.Pick)
		if w := (where{a.Pick, n.Value}); n.Link != "" && !slices.Contains(q.Where, w) {
			a.Values = append(a.Values, shownFilter{where: w, Shown: n})
		}
	}
}

func panelOf(m metric, q question) *panel {
	p := &panel{Metric: m, Question: q, Title: m.Title + byWords(q.By)}
	if q.Top > 0 {
		p.Title += ", top " + strconv.Itoa(q.Top)
	}
	return p
}

// panels asks several questions at once, each within the range where it has
// one.
func (v *visit) panels(metrics []metric, id string, questions []question, within question) []*panel {
	out := make([]*panel, len(questions))
	var asks []func()
	for i, q := range questions {
		j := slices.IndexFunc(metrics, func(m metric) bool { return m.Name == q.Metric })
		if j < 0 {
			continue
		}
		q.split = true
		q = q.fit(metrics[j], v.c.Now())
		if within.dated && q.From != "" {
			q.From, q.To = within.From, within.To
		}
		asks = append(asks, func() { out[i] = v.answer(id+strconv.Itoa(i+1), metrics[j], q) })
	}
	together(asks...)
	return slices.DeleteFunc(out, func(p *panel) bool { return p == nil })
}

// answer asks one question.
func (v *visit) answer(id string, m metric, q question) *panel {
	p := panelOf(m, q)
	p.ID = id
	a := get[stats.Answer](v, "/v1/stats/"+m.Name, q.values())
	if p.No, p.Answer = a.No, a.V; a.No == nil {
		p.lay()
	}
	return p
}

// usageCSV hands on the answer to a question as a file. Of the question nothing
// is left out: what cannot be answered is refused.
func (o *Console) usageCSV(v *visit) {
	q := readQuestion(v.r.URL.Query())
	if q.Metric == "" {
		v.fail(http.StatusNotFound, "There is no such metric.")
		return
	}
	values := q.values()
	values.Set("format", "csv")
	v.pass("/v1/stats/"+url.PathEscape(q.Metric), values, "text/csv; charset=utf-8; header=present", "lethe-"+q.Metric+".csv")
}
