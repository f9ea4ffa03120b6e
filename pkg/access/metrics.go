package access

import "github.com/prometheus/client_golang/prometheus"

// metrics counts what was not let through. No label names a credential.
type metrics struct {
	failures *prometheus.CounterVec
	unusual  prometheus.Counter
}

// Why a request was not served.
const (
	failedMissing    = "no_credential"
	failedCredential = "bad_credential"
	failedLocked     = "locked"
	failedDenied     = "denied"
	failedUnrecorded = "unrecorded"
)

func newMetrics(reg prometheus.Registerer, locked func() (credentials, networks int)) metrics {
	m := metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_access_failures_total",
			Help: "Requests that were not let through, by kind.",
		}, []string{"kind"}),
		unusual: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_access_unusual_reads_total",
			Help: "Days on which an analyst read more than 5 times the median of the 30 days before.",
		}),
	}
	for _, kind := range []string{failedMissing, failedCredential, failedLocked, failedDenied, failedUnrecorded} {
		m.failures.WithLabelValues(kind)
	}
	if reg != nil {
		reg.MustRegister(m.failures, m.unusual)
		for kind, count := range map[string]func() int{
			"credential": func() int { n, _ := locked(); return n },
			"network":    func() int { _, n := locked(); return n },
		} {
			reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name:        "lethe_access_locked",
				Help:        "Locks that hold after too many failed attempts, by kind.",
				ConstLabels: prometheus.Labels{"kind": kind},
			}, func() float64 { return float64(count()) }))
		}
	}
	return m
}

func (m metrics) failed(kind string) { m.failures.WithLabelValues(kind).Inc() }
