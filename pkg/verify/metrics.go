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
	m.findings.Set(float64(r.findings()))
	m.lastRun.Set(float64(at.Unix()))
}
