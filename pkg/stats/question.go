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
	// From and To bound the days: from ≤ day < to. Each is the start of a day
	// in the metric's zone. Zero is open: everything that was published.
	From, To time.Time
	// Filters keep cells by coordinate: one of the values, each as an answer
	// shows it. An empty value stands for an absent one.
	Filters map[string][]string
	// Top, when not zero, keeps the largest values of the last dimension in
	// By, and adds the others up.
	Top int
	// Explain asks for the cells behind the answer, too.
	Explain bool
}

// The days that a question may name. Outside of them there are no events.
var (
	earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// plan is a question that was found to make sense, for one principal.
type plan struct {
	metric       *policy.Metric
	tenant       string
	services     []string // empty: all
	by           []coordinate
	from, to     string    // days; "" is open
	fromAt, toAt time.Time // as they were asked
	masked       []string
	filters      []filter
	top          int
	explain      bool
}

// coordinate is something that cells are told by.
type coordinate struct {
	name   string
	bucket policy.Bucket // of a stretch of time
	dim    policy.Dimension
	column policy.Column // of a dimension that stands on one
	masked bool
}

const serviceName = "service"

func (c coordinate) isTime() bool      { return c.bucket != "" }
func (c coordinate) isDimension() bool { return c.dim.Name != "" }

// filter keeps cells of which a coordinate is one of the values.
type filter struct {
	coordinate
	values []string // as cells hold them
	scope  bool     // of the principal, not of the question
}

// plan holds a question to what the metric declares and the principal may see.
// Its errors name what the policy declares and repeat nothing of the question,
// in which anything may stand.
func (q Question) plan(m *policy.Metric, who access.Principal) (*plan, error) {
	p := &plan{metric: m, tenant: who.Tenant, services: who.Services, masked: who.Masked,
		fromAt: q.From, toAt: q.To, top: q.Top, explain: q.Explain}
	if len(q.By) > MaxDimensions {
		return nil, fault.Invalid.Errorf("a question has at most %d dimensions", MaxDimensions)
	}
	for i, name := range q.By {
		c, err := p.coordinate(name)
		if err != nil {
			return nil, err
		}
		if slices.Contains(q.By[:i], name) {
			return nil, fault.Invalid.Errorf("the dimension %s is named twice", name)
		}
		if c.isTime() && slices.ContainsFunc(p.by, coordinate.isTime) {
			return nil, fault.Invalid.Errorf("a question is split by one bucket of time")
		}
		c.masked = who.IsMasked(name)
		p.by = append(p.by, c)
	}
	if err := p.days(q.From, q.To); err != nil {
		return nil, err
	}
	values := 0
	for _, name := range slices.Sorted(maps.Keys(q.Filters)) {
		c, err := p.coordinate(name)
		if err != nil {
			return nil, err
		}
		if who.IsMasked(name) {
			return nil, fault.Denied.Errorf("the dimension %s is masked for this credential: it can be no filter", name)
		}
		if values += len(q.Filters[name]); values > MaxValues {
			return nil, fault.Invalid.Errorf("a question has at most %d filter values", MaxValues)
		}
		f, err := newFilter(c, q.Filters[name])
		if err != nil {
			return nil, err
		}
		p.filters = append(p.filters, f)
	}
	if err := p.products(who); err != nil {
		return nil, err
	}
	return p, p.checkTop()
}

// productName is the dimension that a credential may be limited by.
const productName = "product"

// products keeps to the cells that tell one of the principal's products. P15.
func (p *plan) products(who access.Principal) error {
	if len(who.Products) == 0 {
		return nil
	}
	c, err := p.coordinate(productName)
	if err != nil {
		return fault.Denied.Errorf("this credential is limited to products, which the metric %s does not tell", p.metric.Name)
	}
	p.filters = append(p.filters, filter{coordinate: c, values: who.Products, scope: true})
	return nil
}

func (p *plan) masks(name string) bool { return slices.Contains(p.masked, name) }

func (p *plan) checkTop() error {
	if p.top == 0 {
		return nil
	}
	if p.top < 0 || p.top > MaxTop {
		return fault.Invalid.Errorf("top must be between 1 and %d", MaxTop)
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

// coordinate finds what cells of the metric are told by.
func (p *plan) coordinate(name string) (coordinate, error) {
	m := p.metric
	if name == serviceName {
		return coordinate{name: name}, nil
	}
	if b := policy.Bucket(name); slices.Contains(bucketsOf(m), b) {
		return coordinate{name: name, bucket: b}, nil
	}
	if d, ok := m.Dimension(name); ok {
		c := coordinate{name: name, dim: d}
		if !d.Hour {
			c.column, _ = m.Table.Column(d.Column)
		}
		return c, nil
	}
	return coordinate{}, fault.Invalid.Errorf("the metric %s has no such dimension; it has %s", m.Name, strings.Join(coordinatesOf(m), ", "))
}

// bucketsOf are the stretches of time that a question may be split by.
func bucketsOf(m *policy.Metric) []policy.Bucket {
	switch m.Value {
	case policy.Count, policy.Sum:
		return []policy.Bucket{policy.Day, policy.Week, policy.Month}
	case policy.Distinct:
		return m.Buckets
	case policy.Ratio:
		a, b := bucketsOf(m.Parts[0]), bucketsOf(m.Parts[1])
		return slices.DeleteFunc(slices.Clone(a), func(x policy.Bucket) bool { return !slices.Contains(b, x) })
	}
	return nil
}

// coordinatesOf names all that a metric may be split by.
func coordinatesOf(m *policy.Metric) []string {
	names := []string{serviceName}
	for _, b := range bucketsOf(m) {
		names = append(names, string(b))
	}
	for _, d := range m.Dimensions {
		names = append(names, d.Name)
	}
	return names
}

// days checks the bounds: each is where a day begins.
func (p *plan) days(from, to time.Time) error {
	for _, b := range []struct {
		name string
		t    time.Time
		day  *string
	}{{"from", from, &p.from}, {"to", to, &p.to}} {
		if b.t.IsZero() {
			continue
		}
		t := b.t.In(p.metric.Zone)
		switch {
		case p.metric.Value == policy.Current:
			return fault.Invalid.Errorf("the metric %s is about the present: it takes no from and to", p.metric.Name)
		case t.Before(earliest) || t.After(latest):
			return fault.Invalid.Errorf("from and to must lie between %d and %d", earliest.Year(), latest.Year())
		case !t.Equal(startOfDay(t)):
			return fault.Invalid.Errorf("%s must be where a day begins in %s: numbers are published by day", b.name, p.metric.Zone)
		}
		*b.day = t.Format(time.DateOnly)
	}
	if p.from != "" && p.to != "" && p.from >= p.to {
		return fault.Invalid.Errorf("from must be before to")
	}
	return nil
}

// startOfDay is the first instant of a day in its zone, which is not midnight
// where clocks are set at midnight.
func startOfDay(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, t.Location())
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
			held, ok := parseBucket(c.bucket, v)
			if !ok {
				return f, fault.Invalid.Errorf("the filter %s must be a %s as answers show it, %s", c.name, c.bucket, bucketExample[c.bucket])
			}
			v = held
		case v == "":
		case c.dim.Hour:
			t, err := time.Parse(time.RFC3339, v)
			if err != nil || t.Truncate(time.Hour) != t {
				return f, fault.Invalid.Errorf("the filter %s must be the start of an hour, as answers show it", c.name)
			}
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
