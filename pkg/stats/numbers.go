package stats

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// numbers is what Stats tells the operator about itself. Labels come from the
// policy alone.
type numbers struct {
	questions *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	hidden    *prometheus.CounterVec
}

func newNumbers(reg prometheus.Registerer) (numbers, error) {
	n := numbers{
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_analyst_questions_total",
			Help: "Questions asked, by metric and by what became of them: answered, refused or failed.",
		}, []string{"metric", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lethe_analyst_question_seconds",
			Help:    "How long answering took, by metric.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"metric"}),
		hidden: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_analyst_hidden_rows_total",
			Help: "Rows of answers without a number: ratios of which a part is not published.",
		}, []string{"metric"}),
	}
	for _, c := range []prometheus.Collector{n.questions, n.seconds, n.hidden} {
		if err := reg.Register(c); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (n numbers) count(metric string, err error, hidden int, took time.Duration) {
	outcome := "answered"
	switch {
	case errors.Is(err, fault.Invalid), errors.Is(err, fault.Denied):
		outcome = "refused"
	case err != nil:
		outcome = "failed"
	}
	n.questions.WithLabelValues(metric, outcome).Inc()
	n.hidden.WithLabelValues(metric).Add(float64(hidden))
	if err == nil {
		n.seconds.WithLabelValues(metric).Observe(took.Seconds())
	}
}
