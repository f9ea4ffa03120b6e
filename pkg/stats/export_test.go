package stats

import "github.com/lethe-pipeline/lethe/pkg/access"

// SQL returns the statement and the parameters that answer a question.
func (s *Stats) SQL(q Question, who access.Principal) (string, map[string]any, error) {
	m, err := s.metric(q.Metric)
	if err != nil {
		return "", nil, err
	}
	p, err := q.check(m)
	if err != nil {
		return "", nil, err
	}
	out, err := newQuery(p, who, s.cfg.Warehouse.Table(m.Table.Name))
	return out.sql, out.params, err
}

// ShowBucket and ParseBucket are showBucket and parseBucket.
var (
	ShowBucket  = showBucket
	ParseBucket = parseBucket
)

// CheckMetric is checkMetric.
var CheckMetric = checkMetric
