package stats

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Timeout bounds one question in the warehouse.
const Timeout = 30 * time.Second

// Warehouse answers a statement with its rows. The connection behind it is the
// analyst's, who sees published cells and nothing else.
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
	// AsOf is a moment of which published cells leave nothing out; zero where
	// there is none. It depends on nothing that came.
	AsOf func(ctx context.Context) (time.Time, error)
}

// Stats answers questions about groups. It may be used from many goroutines.
type Stats struct {
	cfg     Config
	metrics []*policy.Metric // by name
	numbers numbers
}

// New makes a Stats.
func New(c Config) (*Stats, error) {
	n, err := newNumbers(c.Metrics)
	if err != nil {
		return nil, err
	}
	return &Stats{cfg: c, metrics: c.Policy.Metrics(), numbers: n}, nil
}

// Ask answers a question for a principal: from the cells of its tenant and its
// services, within its products, with what is masked for it left out. What
// cannot be asked is [fault.Invalid], what the principal may not ask
// [fault.Denied], a metric that is not there [fault.NotFound], an answer beyond
// [MaxRows] [fault.Exhausted].
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
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	p, err := q.plan(m, who)
	if err != nil {
		return Answer{}, err
	}
	if m.Value == policy.Ratio {
		return s.ratio(ctx, p, q)
	}
	return s.answer(ctx, p)
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
