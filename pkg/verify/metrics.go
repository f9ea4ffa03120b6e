package verify

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

// metrics are what alerts go by; docs/alerts.yml has rules for them. Labels are
// promises, classes and the places that the policy names.
type metrics struct {
	holds    *prometheus.GaugeVec // by promise
	overdue  *prometheus.GaugeVec // by place
	lag      *prometheus.GaugeVec // by rule
	uncopied *prometheus.GaugeVec // by hold
	backstop *prometheus.GaugeVec // by hold
	findings prometheus.Gauge
	lastRun  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauges := func(name, help, label string) *prometheus.GaugeVec {
		return metric.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "lethe_verify_" + name, Help: help}, []string{label}))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "lethe_verify_" + name, Help: help}))
	}
	return &metrics{
		holds:    gauges("promise_holds", "1 while an enforced promise holds, 0 while it does not.", "promise"),
		overdue:  gauges("overdue", "Rows, frames, keys and files that are past their rule and the grace.", "place"),
		lag:      gauges("lag_seconds", "How far the oldest thing is past the end of its rule.", "rule"),
		uncopied: gauges("hold_uncopied_rows", "Rows that have expired, that only a legal hold keeps, and that are not copied.", "hold"),
		backstop: gauges("hold_backstop_seconds", "From when on the engine's back-stop removes the first of them, in Unix seconds.", "hold"),
		findings: gauge("findings", "What the last verification found wrong."),
		lastRun:  gauge("last_run_seconds", "When the last verification ended, in Unix seconds."),
	}
}

func (m *metrics) observe(r Report, at time.Time) {
	for _, p := range r.Promises {
		if !p.Enforced {
			continue
		}
		holds := 0.0
		if p.Holds {
			holds = 1
		}
		m.holds.WithLabelValues(p.ID).Set(holds)
	}
	// What is not there any more has no number.
	m.overdue.Reset()
	m.lag.Reset()
	worst := map[string]float64{}
	for _, rule := range r.Rules {
		m.overdue.WithLabelValues(rule.Where).Add(float64(rule.Overdue))
		// The name of a hold is a person's words, and a metric is for all to
		// read. The hold that is latest counts.
		class := rule.Class
		if strings.HasPrefix(class, holdClass) {
			class = "hold"
		}
		name := class + " " + rule.Where
		worst[name] = max(worst[name], float64(rule.Late))
		m.lag.WithLabelValues(name).Set(worst[name])
	}
	m.uncopied.Reset()
	m.backstop.Reset()
	first := map[string]time.Time{}
	for _, u := range r.Uncopied {
		m.uncopied.WithLabelValues(u.Hold).Add(float64(u.Rows))
		if at := first[u.Hold]; at.IsZero() || u.Removed.Before(at) {
			first[u.Hold] = u.Removed
			m.backstop.WithLabelValues(u.Hold).Set(float64(u.Removed.Unix()))
		}
	}
	m.findings.Set(float64(r.findings()))
	m.lastRun.Set(float64(at.Unix()))
}
