package eventlog

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
		messages: register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_eventlog_messages_total",
			Help: "Messages whose append ended, by stream and by the way they were committed.",
		}, []string{"stream", "way"})),
		seconds: register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
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

// register registers a collector. Writers of several streams share one
// registry and so one collector.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic("eventlog: " + err.Error())
	}
	return c
}
