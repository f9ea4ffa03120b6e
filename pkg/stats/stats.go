package stats

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Timeout bounds one question in the warehouse.
const Timeout = 30 * time.Second

// Warehouse answers a statement with its rows. The connection behind it is the
// analyst's, who sees no row past its rule (the read barrier).
type Warehouse interface {
	Table(name string) string
	Rows(ctx context.Context, sql string, params map[string]any) (*warehouse.Result, error)
}

// Config is what a Stats is made of. All of it is required.
type Config struct {
	Policy    *policy.Policy
	Warehouse Warehouse
	Gate      *access.Gate
	Log       *slog.Logger
	Metrics   prometheus.Registerer
	Now       func() time.Time
}

// Stats answers questions about groups. It may be used from many goroutines.
type Stats struct {
	cfg     Config
	metrics []*policy.Metric // by name
	numbers numbers
}

// New makes a Stats. A metric of the policy that could not be answered without
// naming somebody is refused here, whatever let it through before.
func New(c Config) (*Stats, error) {
	return newStats(c, c.Policy.Metrics())
}

func newStats(c Config, metrics []*policy.Metric) (*Stats, error) {
	for _, m := range metrics {
		if err := checkMetric(m); err != nil {
			return nil, err
		}
	}
	n, err := newNumbers(c.Metrics)
	if err != nil {
		return nil, err
	}
	return &Stats{cfg: c, metrics: metrics, numbers: n}, nil
}

func checkMetric(m *policy.Metric) error {
	subject, ok := m.Table.Column(m.Subject)
	switch {
	case m.Subject != "" && (!ok || subject.Kind != event.Token):
		return fault.Invalid.Errorf("the subject of the metric %s is not a token", m.Name)
	case m.Subject == "" && (!m.Public || m.Value != policy.Count):
		return fault.Invalid.Errorf("the metric %s has no subject", m.Name)
	case !m.Public && m.K < 2:
		return fault.Invalid.Errorf("the metric %s shows numbers about one person", m.Name)
	}
	for _, d := range m.Dimensions {
		if _, err := declared(m, d.Name); err != nil {
			return err
		}
		if _, known := bucketExample[d.Bucket]; d.Bucket != "" && !known {
			return fault.Invalid.Errorf("the dimension %s of the metric %s is no bucket of time", d.Name, m.Name)
		}
	}
	_, err := conditions(m)
	return err
}

// Ask answers a question for a principal: about its tenant's events, and those
// of its services. What cannot be asked is [fault.Invalid], a metric that is
// not there [fault.NotFound], an answer beyond [MaxRows] [fault.Exhausted].
func (s *Stats) Ask(ctx context.Context, who access.Principal, q Question) (Answer, error) {
	m, err := s.metric(q.Metric)
	if err != nil {
		return Answer{}, err
	}
	start := s.cfg.Now()
	a, err := s.ask(ctx, who, m, q)
	s.numbers.count(m.Name, err, a.HiddenRows, s.cfg.Now().Sub(start))
	return a, err
}

func (s *Stats) ask(ctx context.Context, who access.Principal, m *policy.Metric, q Question) (Answer, error) {
	if !slices.Contains(askers, who.Role) || who.Tenant == "" {
		return Answer{}, fault.Denied.Errorf("this is not for the role %s", who.Role)
	}
	p, err := q.check(m)
	if err != nil {
		return Answer{}, err
	}
	stmt, err := newQuery(p, who, s.cfg.Warehouse.Table(m.Table.Name))
	if err != nil {
		return Answer{}, err
	}
	now := s.cfg.Now().UTC()
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	result, err := s.cfg.Warehouse.Rows(ctx, stmt.sql, stmt.params)
	if err != nil {
		return Answer{}, err
	}
	t, err := newTally(p, result.Rows)
	if err != nil {
		return Answer{}, err
	}
	a := Answer{
		Metric: m.Name, From: instant(q.From), To: instant(q.To),
		By: append([]string{}, q.By...), AsOf: now.Truncate(time.Millisecond),
	}
	a.Rows, a.Total = decide(p, t)
	if !m.Public {
		a.K = m.K
	}
	for _, r := range a.Rows {
		if r.Hidden {
			a.HiddenRows++
		}
	}
	a.Notes = notes(p, t, a)
	return a, nil
}

// metric finds a metric by name.
func (s *Stats) metric(name string) (*policy.Metric, error) {
	i, ok := slices.BinarySearchFunc(s.metrics, name, func(m *policy.Metric, n string) int {
		return strings.Compare(m.Name, n)
	})
	if !ok {
		// The name is not repeated: it may be somebody's.
		return nil, fault.NotFound.Errorf("there is no such metric; GET /v1/stats lists those that there are")
	}
	return s.metrics[i], nil
}

// notes says what a reader of the numbers has to know.
func notes(p *plan, t tally, a Answer) []string {
	out := []string{}
	if p.metric.Value != policy.Count && len(t.services) > 1 {
		out = append(out, "Each service counts its own subjects. Nobody can tell whether a subject of one service is a subject of another, so the sum may count a person once in each.")
	}
	if a.HiddenRows > 0 {
		out = append(out, fmt.Sprintf("Rows about fewer than %d subjects are hidden.", p.metric.K))
	}
	switch {
	case a.Total.Hidden && enough(t.all, p.metric):
		out = append(out, "The total is hidden, because with it what is hidden could be found by subtraction.")
	case a.Total.Hidden:
		out = append(out, fmt.Sprintf("The total is about fewer than %d subjects, and hidden.", p.metric.K))
	}
	if p.metric.Value == policy.Distinct && len(p.by) > 0 {
		out = append(out, "A subject may stand behind several rows, so the rows may add up to more than the total.")
	}
	return out
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
