package stats

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The limits of a question.
const (
	MaxDimensions = 4
	MaxRows       = 100_000
	MaxValues     = 64 // values in all filters together
	MaxTop        = 1_000
)

// A Question is what an analyst asks: one metric, split by some of what its
// cells are told by, over the cells of a stretch of days that pass the filters.
type Question struct {
	Metric string
	// By are coordinates: service, a bucket of time, dimensions of the metric.
	// At most [MaxDimensions].
	By []string
	// From and To bound the days: from ≤ day < to. Each is where a day begins
	// in the metric's zone. Zero is open: everything that was published.
	From, To time.Time
	// Filters keep cells by coordinate: one of the values, each as an answer
	// shows it. An empty value stands for an absent one.
	Filters map[string][]string
	// Top, when not zero, keeps the largest values of the last coordinate in
	// By that is not time, the largest first. The others are added up where
	// they can be.
	Top int
	// Explain asks for the cells behind the answer, too.
	Explain bool
}

// plan is a question that was found to make sense, for one principal.
type plan struct {
	metric       *policy.Metric
	who          access.Principal
	by           []coordinate
	from, to     string    // days; "" is open
	fromAt, toAt time.Time // as they were asked
	filters      []filter
	top          int
	explain      bool

	cubes    []string // by which cells of the metric were cut
	cutUnder *int     // the smallest k of those that were added up
}

// filter keeps cells of which a coordinate is one of the values.
type filter struct {
	coordinate
	values  []string // as cells hold them
	windows []window // instead, of time
	scope   bool     // of the principal, not of the question
}

// plan holds a question to what the metric declares and the principal may see.
// Its errors name what the policy declares and repeat nothing of the question,
// in which anything may stand.
func (q Question) plan(m *policy.Metric, who access.Principal) (*plan, error) {
	p := &plan{metric: m, who: who, fromAt: q.From, toAt: q.To, top: q.Top, explain: q.Explain}
	for _, check := range []func(Question) error{p.split, p.days, p.filter, p.products, p.checkTop, p.checkExplain} {
		if err := check(q); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *plan) split(q Question) error {
	if len(q.By) > MaxDimensions {
		return fault.Invalid.Errorf("a question has at most %d dimensions", MaxDimensions)
	}
	for i, name := range q.By {
		c, err := p.coordinate(name)
		switch {
		case err != nil:
			return err
		case slices.Contains(q.By[:i], name):
			return fault.Invalid.Errorf("the dimension %s is named twice", name)
		case c.isTime() && slices.ContainsFunc(p.by, coordinate.isTime):
			return fault.Invalid.Errorf("a question is split by one bucket of time")
		}
		p.by = append(p.by, c)
	}
	return nil
}

// days checks the bounds: each is where a day begins.
func (p *plan) days(q Question) error {
	for _, b := range []struct {
		name string
		t    time.Time
		day  *string
	}{{"from", q.From, &p.from}, {"to", q.To, &p.to}} {
		if b.t.IsZero() {
			continue
		}
		if p.metric.Value == policy.Current {
			return fault.Invalid.Errorf("the metric %s is about the present: it takes no from and to", p.metric.Name)
		}
		if b.t.Before(earliest) || b.t.After(latest) {
			return fault.Invalid.Errorf("from and to must lie between %d and %d", earliest.Year(), latest.Year())
		}
		day, ok := dayBeginning(b.t, p.metric.Zone)
		if !ok {
			return fault.Invalid.Errorf("%s must be where a day begins in %s: numbers are published by day", b.name, p.metric.Zone)
		}
		*b.day = day
	}
	if p.from != "" && p.to != "" && p.from >= p.to {
		return fault.Invalid.Errorf("from must be before to")
	}
	return nil
}

func (p *plan) filter(q Question) error {
	values := 0
	for _, name := range slices.Sorted(maps.Keys(q.Filters)) {
		c, err := p.coordinate(name)
		if err != nil {
			return err
		}
		if c.masked {
			return fault.Denied.Errorf("the dimension %s is masked for this credential: it can be no filter", name)
		}
		if values += len(q.Filters[name]); values > MaxValues {
			return fault.Invalid.Errorf("a question has at most %d filter values", MaxValues)
		}
		f, err := newFilter(c, q.Filters[name])
		if err != nil {
			return err
		}
		p.filters = append(p.filters, f)
	}
	return nil
}

// newFilter checks values against what they are compared with.
func newFilter(c coordinate, values []string) (filter, error) {
	f := filter{coordinate: c}
	if len(values) == 0 {
		return f, fault.Invalid.Errorf("the filter %s has no value", c.name)
	}
	for _, v := range values {
		switch {
		case c.isTime():
			w, ok := parseBucket(c.bucket, v)
			if !ok {
				return f, fault.Invalid.Errorf("the filter %s must be written as answers show it: %s", c.name, bucketForm[c.bucket])
			}
			f.windows = append(f.windows, w)
			continue
		case v == "": // absent
		case c.dim.Hour:
			t, err := time.Parse(time.RFC3339, v)
			if err != nil || t.Truncate(time.Hour) != t {
				return f, fault.Invalid.Errorf("the filter %s must be when an hour begins, as answers show it", c.name)
			}
			v = t.UTC().Format(time.RFC3339)
		case c.column.Kind == event.Int:
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return f, fault.Invalid.Errorf("the filter %s must be an integer", c.name)
			}
			v = strconv.FormatInt(n, 10)
		case c.column.Kind == event.Bool:
			if v != "true" && v != "false" {
				return f, fault.Invalid.Errorf("the filter %s must be true or false", c.name)
			}
		}
		f.values = append(f.values, v)
	}
	return f, nil
}

// productName is the dimension that a credential may be limited by.
const productName = "product"

// products keeps to the cells that tell one of the principal's products. P15.
func (p *plan) products(Question) error {
	if len(p.who.Products) == 0 {
		return nil
	}
	c, err := p.coordinate(productName)
	if err != nil {
		return fault.Denied.Errorf("this credential is limited to products, which the metric %s does not tell", p.metric.Name)
	}
	c.masked = false // who sees none of its values is limited by them all the same
	p.filters = append(p.filters, filter{coordinate: c, values: p.who.Products, scope: true})
	return nil
}

func (p *plan) checkTop(Question) error {
	if p.top == 0 {
		return nil
	}
	if p.top < 0 || p.top > MaxTop {
		return fault.Invalid.Errorf("top must be between 1 and %d", MaxTop)
	}
	if p.metric.Value == policy.Ratio {
		return fault.Invalid.Errorf("the metric %s is a ratio: it has no top, because ratios do not add up", p.metric.Name)
	}
	i := p.topAt()
	if i < 0 {
		return fault.Invalid.Errorf("top needs a dimension to split by")
	}
	if p.by[i].masked {
		return fault.Denied.Errorf("the dimension %s is masked for this credential: it has no order", p.by[i].name)
	}
	return nil
}

// topAt is which coordinate top is about: the last that is not time.
func (p *plan) topAt() int {
	for i := len(p.by) - 1; i >= 0; i-- {
		if !p.by[i].isTime() {
			return i
		}
	}
	return -1
}

// checkExplain keeps cells, which are listed one by one, from who may not see
// all that they tell.
func (p *plan) checkExplain(Question) error {
	if !p.explain {
		return nil
	}
	for _, name := range Coordinates(p.metric) {
		if c, err := p.coordinate(name); err == nil && c.masked {
			return fault.Denied.Errorf("the dimension %s is masked for this credential: it cannot list cells", name)
		}
	}
	return nil
}

// time is the bucket that an answer is split by.
func (p *plan) time() (coordinate, bool) {
	for _, c := range p.by {
		if c.isTime() {
			return c, true
		}
	}
	return coordinate{}, false
}

// times are the filters of the question that are about time.
func (p *plan) times() []filter {
	return slices.DeleteFunc(slices.Clone(p.filters), func(f filter) bool { return !f.isTime() })
}

// open says whether a question names no days at all.
func (p *plan) open() bool { return p.from == "" && p.to == "" && len(p.times()) == 0 }

// coordinate finds what cells of the metric are told by.
func (p *plan) coordinate(name string) (coordinate, error) {
	m := p.metric
	c := coordinate{name: name, masked: p.who.IsMasked(name)}
	if name == serviceName {
		return c, nil
	}
	if b := policy.Bucket(name); slices.Contains(bucketsOf(m), b) {
		c.bucket = b
		return c, nil
	}
	d, ok := m.Dimension(name)
	if !ok {
		return c, fault.Invalid.Errorf("the metric %s has no such dimension; it has %s", m.Name, strings.Join(Coordinates(m), ", "))
	}
	c.dim = d
	c.column, _ = columnOf(m, d)
	for _, alternative := range c.column.From {
		for _, f := range alternative {
			c.masked = c.masked || p.who.IsMasked(f.Name)
		}
	}
	return c, nil
}
