package cell

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// metrics say what was published and how far the publisher has looked, and
// nothing about what waits: that may be about few.
type metrics struct {
	mu     sync.Mutex // guards values
	values map[string]float64

	cells    *prometheus.CounterVec
	appends  prometheus.Counter
	failures prometheus.Counter
	seq, at  prometheus.Gauge
	took     prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer, pol *policy.Policy) *metrics {
	m := &metrics{
		values: map[string]float64{"cells": 0, "appends": 0, "failures": 0, "looked_seq": 0},
		cells: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_cells_published_total", Help: "Cells that were published, by metric.",
		}, []string{"metric"})),
		appends: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_cells_appends_total", Help: "Times that cells of a service were appended to the clean log.",
		})),
		failures: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_cells_failures_total", Help: "Looks in which something could not be published.",
		})),
		seq: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_cells_looked_sequence", Help: "Sequence of the clean log through which everything was looked at.",
		})),
		at: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_cells_looked_timestamp_seconds", Help: "When everything had been looked at last, by Lethe's clock.",
		})),
		took: metric.Register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lethe_cells_look_seconds", Help: "How long a look took that had something to do.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 14),
		})),
	}
	for _, pm := range pol.Metrics() {
		if pm.Value != policy.Ratio {
			m.cells.WithLabelValues(pm.Name)
		}
	}
	return m
}

func (m *metrics) add(name string, n float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] += n
}

func (m *metrics) published(pub *publication) {
	m.add("cells", float64(len(pub.cells)))
	m.add("appends", 1)
	m.appends.Inc()
	for _, c := range pub.cells {
		m.cells.WithLabelValues(c.metric).Inc()
	}
}

func (m *metrics) failed() {
	m.add("failures", 1)
	m.failures.Inc()
}

func (m *metrics) worked(took time.Duration) { m.took.Observe(took.Seconds()) }

// looked says that nothing is left to be looked at through a sequence.
func (m *metrics) looked(seq uint64, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if float64(seq) < m.values["looked_seq"] {
		return
	}
	m.values["looked_seq"] = float64(seq)
	m.seq.Set(float64(seq))
	m.at.Set(float64(at.Unix()))
}

func (m *metrics) numbers() map[string]float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]float64, len(m.values))
	for k, v := range m.values {
		out[k] = v
	}
	return out
}
