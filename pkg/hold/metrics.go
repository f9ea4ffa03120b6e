package hold

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

type metrics struct {
	active, lag        prometheus.Gauge
	failures, restored prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	gauge := func(o prometheus.GaugeOpts) prometheus.Gauge { return metric.Register(reg, prometheus.NewGauge(o)) }
	counter := func(o prometheus.CounterOpts) prometheus.Counter {
		return metric.Register(reg, prometheus.NewCounter(o))
	}
	return metrics{
		active: gauge(prometheus.GaugeOpts{Name: "lethe_hold_active_count", Help: "Legal holds that are copied to."}),
		lag: gauge(prometheus.GaugeOpts{
			Name: "lethe_hold_lag_frames", Help: "Frames of the clean log, loaded, that the hold furthest behind has not copied."}),
		failures: counter(prometheus.CounterOpts{
			Name: "lethe_hold_failures_total", Help: "Passes in which something could not be copied."}),
		restored: counter(prometheus.CounterOpts{
			Name: "lethe_hold_restored_rows_total", Help: "Held rows that were in no table any more, or never, and were made of their frames."}),
	}
}
