package console

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/stats"
)

// question is what the address of a page asks: names that the policy declares,
// days, and values that were published. From and To are the first and the last
// day, in the metric's zone.
type question struct {
	Metric   string
	By       []string
	From, To string
	Where    []where
	Top      int
	Explain  bool

	split, dated bool // whether the address says by, and from or to
}

// where keeps what has a value of a dimension. Several of one dimension are
// alternatives.
type where struct{ Name, Value string }

func (w where) String() string { return w.Name + "=" + w.Value }

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)
	dayPattern  = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)
)

const (
	// ofDays is how many days a question is about when it does not say.
	ofDays = 30
	// maxValue bounds one value of a filter, in bytes.
	maxValue = 512
	// maxSplits is how many dimensions besides time a page splits by.
	maxSplits = 2
)

// readQuestion reads a question out of an address. What cannot be part of one
// is left out.
func readQuestion(q url.Values) question {
	out := question{split: q.Has("by"), dated: q.Has("from") || q.Has("to"), Explain: q.Get("explain") == "1"}
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
	for _, s := range q["where"] {
		if w, ok := readWhere(s); ok && !slices.Contains(out.Where, w) && len(out.Where) < stats.MaxValues {
			out.Where = append(out.Where, w)
		}
	}
	if n, err := strconv.Atoi(q.Get("top")); err == nil && n > 0 && n <= stats.MaxTop {
		out.Top = n
	}
	if from := q.Get("from"); dayPattern.MatchString(from) {
		out.From = from
	}
	if to := q.Get("to"); dayPattern.MatchString(to) {
		out.To = to
	}
	return out
}

// readWhere reads NAME=VALUE, as where writes it.
func readWhere(s string) (where, bool) {
	name, value, ok := strings.Cut(s, "=")
	printable := utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) })
	return where{name, value}, ok && namePattern.MatchString(name) && len(value) <= maxValue && printable
}

// fit makes a question one that the metric can answer: what another metric had
// is left out, and what is not said is what most people want.
func (q question) fit(m metric, now time.Time) question {
	q.Metric = m.Name
	if _, ok := m.dimension(string(policy.Day)); ok && !q.split {
		q.By = []string{string(policy.Day)}
	}
	q.By = m.fitBy(q.By)
	q.Where = m.fitWhere(q.Where, q.By)
	if m.isRatio() || !slices.ContainsFunc(q.By, func(name string) bool { return !m.isTime(name) }) {
		q.Top = 0
	}
	switch {
	case m.IsCurrent():
		q.From, q.To = "", ""
	case !q.dated && (len(m.counted) == 0 || q.time(m) != ""):
		today := today(m, now)
		q.From, q.To = dayOf(today.AddDate(0, 0, 1-ofDays)), dayOf(today)
	}
	q.split, q.dated = true, !m.IsCurrent()
	q.Explain = q.Explain && !m.masked // the API lists no cells then
	return q
}

// fitBy keeps one dimension of time and as many others as can be together, of
// those that are told.
func (m metric) fitBy(by []string) []string {
	var out []string
	timed, dims, others := false, 0, 0
	for _, name := range by {
		d, ok := m.dimension(name)
		switch {
		case !ok || d.Masked:
		case m.isTime(name):
			if !timed {
				out = append(out, name)
			}
			timed = true
		case others == maxSplits, m.alone && name != serviceName && dims > 0:
		default:
			others++
			if name != serviceName {
				dims++
			}
			out = append(out, name)
		}
	}
	return out
}

// fitWhere keeps filters on dimensions that are told. Where cells tell one
// dimension at a time, it is the one that the answer is split by, or one value
// of another.
func (m metric) fitWhere(all []where, by []string) []where {
	split := slices.IndexFunc(by, func(name string) bool { return !m.isTime(name) && name != serviceName })
	var out []where
	single := false
	for _, w := range all {
		switch {
		case !slices.Contains(m.splits(), w.Name):
			continue
		case !m.alone || w.Name == serviceName:
		case split >= 0 && w.Name != by[split], split < 0 && single:
			continue
		default:
			single = true
		}
		out = append(out, w)
	}
	return out
}

// time is the dimension of time that the question is split by.
func (q question) time(m metric) string {
	if i := slices.IndexFunc(q.By, m.isTime); i >= 0 {
		return q.By[i]
	}
	return ""
}

// today is the day in the metric's zone, as a date without one.
func today(m metric, now time.Time) time.Time {
	y, month, d := now.In(m.zone()).Date()
	return time.Date(y, month, d, 0, 0, 0, 0, time.UTC)
}

func dayOf(t time.Time) string { return t.Format(time.DateOnly) }

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
		v.Set("to", dayOf(to.AddDate(0, 0, 1)))
	} else if q.To != "" {
		v.Set("to", q.To) // no day of the calendar; the API says so
	}
	for _, w := range q.Where {
		v.Add("filter."+w.Name, w.Value)
	}
	if q.Top > 0 {
		v.Set("top", strconv.Itoa(q.Top))
	}
	if q.Explain {
		v.Set("explain", "1")
	}
	return v
}

// Parameters are the question as an address has it.
func (q question) Parameters() url.Values {
	v := url.Values{"metric": {q.Metric}}
	if q.split {
		v.Set("by", strings.Join(q.By, ","))
	}
	if q.dated {
		v.Set("from", q.From)
		if q.To != "" {
			v.Set("to", q.To)
		}
	}
	for _, w := range q.Where {
		v.Add("where", w.String())
	}
	if q.Top > 0 {
		v.Set("top", strconv.Itoa(q.Top))
	}
	if q.Explain {
		v.Set("explain", "1")
	}
	return v
}

// Link is the question as an address, which asks the same again.
func (q question) Link(page string) string { return prefix + page + "?" + q.Parameters().Encode() }

// without is the question without one of its filters.
func (q question) without(w where) question {
	q.Where = slices.DeleteFunc(slices.Clone(q.Where), func(x where) bool { return x == w })
	return q
}

// of is the question about one value of what it is split by: over time where
// nothing else is left to split by.
func (q question) of(m metric, w where) question {
	q.By = slices.DeleteFunc(slices.Clone(q.By), func(name string) bool { return name == w.Name })
	q.Where = append(slices.DeleteFunc(slices.Clone(q.Where), func(x where) bool { return x.Name == w.Name }), w)
	q.Top, q.Explain = 0, false
	if _, ok := m.dimension(string(policy.Day)); ok && len(q.By) == 0 {
		q.By = []string{string(policy.Day)}
		if len(m.counted) > 0 && q.From == "" && q.To == "" {
			q.dated = false // the latest stretch, and its days
		}
	}
	return q
}

// choice is a link to the same question with another range.
type choice struct {
	Name, Link string
	Here       bool
}

// span is a range of days; open when it has none. Bucket is the stretch of time
// that it is, where subjects may be counted in it.
type span struct {
	name, from, to, bucket string
}

// spans are the ranges that a page offers.
func spans(today time.Time) []span {
	last := func(days int) string { return dayOf(today.AddDate(0, 0, 1-days)) }
	to, monday := dayOf(today), today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	first := today.AddDate(0, 0, 1-today.Day())
	return []span{
		{"today", to, to, string(policy.Day)},
		{"yesterday", last(2), last(2), string(policy.Day)},
		{"this week", dayOf(monday), dayOf(monday.AddDate(0, 0, 6)), string(policy.Week)},
		{"last week", dayOf(monday.AddDate(0, 0, -7)), dayOf(monday.AddDate(0, 0, -1)), string(policy.Week)},
		{"7 days", last(7), to, string(policy.Trailing7)},
		{"30 days", last(30), to, string(policy.Trailing30)},
		{"90 days", last(90), to, ""},
		{"365 days", last(365), to, ""},
		{"this month", dayOf(first), dayOf(first.AddDate(0, 1, -1)), string(policy.Month)},
		{"last month", dayOf(first.AddDate(0, -1, 0)), dayOf(first.AddDate(0, 0, -1)), string(policy.Month)},
		{"everything", "", "", ""},
	}
}

// ranges are the ranges that the question can be asked for: any, where numbers
// add up or stand over time, and those that subjects are counted in otherwise.
func (q question) ranges(m metric, now time.Time) []choice {
	if m.IsCurrent() {
		return nil
	}
	var out []choice
	counted := len(m.counted) > 0 && q.time(m) == ""
	for _, s := range spans(today(m, now)) {
		switch open := s.from == ""; {
		case counted && open:
			s.name = "latest"
		case counted && !slices.Contains(m.counted, s.bucket):
			continue
		case !counted && (s.bucket == string(policy.Day) || s.bucket == string(policy.Week)):
			continue
		}
		r := q
		r.From, r.To = s.from, s.to
		out = append(out, choice{s.name, r.Link("usage"), q.From == s.from && q.To == s.to})
	}
	return out
}
