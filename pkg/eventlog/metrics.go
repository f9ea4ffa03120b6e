package eventlog

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

// writerMetrics counts what a writer commits, and how: labels are the stream
// and the way, batch or single.
type writerMetrics struct {
	stream   string
	messages *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newWriterMetrics(reg prometheus.Registerer, stream string) writerMetrics {
	return writerMetrics{
		stream: stream,
		messages: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_eventlog_messages_total",
			Help: "Messages whose append ended, by stream and by the way they were committed.",
		}, []string{"stream", "way"})),
		seconds: metric.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "lethe_eventlog_commit_seconds",
			Help:    "How long a commit took until it was on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"stream", "way"})),
	}
}

func (m writerMetrics) committed(way string, n int, began time.Time) {
	m.messages.WithLabelValues(m.stream, way).Add(float64(n))
	m.seconds.WithLabelValues(m.stream, way).Observe(time.Since(began).Seconds())
}
