package gateway

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// metrics counts what came and what became of it. Labels come from the policy:
// an event that the policy does not know is counted as unknown.
type metrics struct {
	events   *prometheus.CounterVec
	requests *prometheus.CounterVec
	bytes    prometheus.Counter
	frames   prometheus.Counter
	commit   prometheus.Histogram
}

const unknownEvent = "unknown"

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_gateway_events_total",
			Help: "Events that were answered for, by event and status.",
		}, []string{"event", "status"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_gateway_requests_total",
			Help: "Requests that were answered, by HTTP status.",
		}, []string{"status"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_gateway_body_bytes_total",
			Help: "Bytes of request bodies, decompressed.",
		}),
		frames: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_gateway_frames_total",
			Help: "Frames that were appended to the raw log.",
		}),
		commit: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "lethe_gateway_commit_seconds",
			Help:    "How long a request's frames took to be on disk.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}),
	}
	if reg != nil {
		reg.MustRegister(m.events, m.requests, m.bytes, m.frames, m.commit)
	}
	return m
}

func (m metrics) answered(status int) { m.requests.WithLabelValues(strconv.Itoa(status)).Inc() }

func (m metrics) committed(frames int, began time.Time) {
	m.frames.Add(float64(frames))
	m.commit.Observe(time.Since(began).Seconds())
}

func (m metrics) receipted(subs []submission, receipts []Receipt) {
	for i, r := range receipts {
		name := unknownEvent
		if subs[i].schema != nil {
			name = subs[i].schema.Event
		}
		m.events.WithLabelValues(name, r.Status).Inc()
	}
}

// numbers are the counters without their labels.
func (m metrics) numbers() map[string]float64 {
	out := map[string]float64{"events": 0, "duplicates": 0, "expired": 0, "refused": 0, "requests": 0}
	names := map[string]string{Stored: "events", Duplicate: "duplicates", Expired: "expired", Refused: "refused"}
	collect(m.events, func(labels map[string]string, n float64) { out[names[labels["status"]]] += n })
	collect(m.requests, func(_ map[string]string, n float64) { out["requests"] += n })
	collect(m.bytes, func(_ map[string]string, n float64) { out["bytes"] = n })
	collect(m.frames, func(_ map[string]string, n float64) { out["frames"] = n })
	return out
}

func collect(c prometheus.Collector, each func(labels map[string]string, n float64)) {
	found := make(chan prometheus.Metric)
	go func() {
		c.Collect(found)
		close(found)
	}()
	for one := range found {
		var m dto.Metric
		if err := one.Write(&m); err != nil {
			continue // a counter always writes
		}
		labels := map[string]string{}
		for _, l := range m.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		each(labels, m.GetCounter().GetValue())
	}
}
