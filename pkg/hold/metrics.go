package hold

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

type metrics struct {
	active, lag prometheus.Gauge
	failures    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "lethe_hold_" + name, Help: help}))
	}
	return metrics{
		active: gauge("active_count", "Legal holds that are copied to."),
		lag:    gauge("lag_frames", "Frames of the clean log, loaded, that the hold furthest behind has not copied."),
		failures: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_hold_failures_total", Help: "Passes in which something could not be copied."})),
	}
}
