package pseudonymizer

import (
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

// counts are what the pseudonymizer tells about itself, by name for the status
// and as metrics. Labels are names from the policy, never anything of an event.
type counts struct {
	mu     sync.Mutex // guards values
	values map[string]float64

	events  *prometheus.CounterVec // by event and outcome
	frames  prometheus.Counter
	rows    prometheus.Counter
	retries prometheus.Counter
	lag     prometheus.Gauge
	lagAge  prometheus.Gauge
}

func newCounts(reg prometheus.Registerer) *counts {
	return &counts{
		values: map[string]float64{
			"events": 0, "frames": 0, "rows": 0, "quarantined": 0, "expired": 0, "lost": 0,
			"duplicates": 0, "redriven": 0, "retries": 0, "last_seq": 0, "lag_seq": 0,
		},
		events: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_pseudonymizer_events_total", Help: "Events by what became of them: treated, quarantined, expired, lost or redriven.",
		}, []string{"event", "outcome"})),
		frames: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_pseudonymizer_frames_total", Help: "Raw frames that were treated.",
		})),
		rows: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_pseudonymizer_rows_total", Help: "Rows that were appended to the clean log.",
		})),
		retries: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_pseudonymizer_retries_total", Help: "Attempts that a log or the keyring failed.",
		})),
		lag: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_pseudonymizer_waiting_frames", Help: "Raw frames that are not treated yet.",
		})),
		lagAge: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_pseudonymizer_lag_seconds", Help: "Age of the oldest raw frame when it was read.",
		})),
	}
}

func (c *counts) numbers() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.values)
}

func (c *counts) add(name string, n int) {
	c.mu.Lock()
	c.values[name] += float64(n)
	c.mu.Unlock()
}

// frame counts a raw frame whose outcome is on disk.
func (c *counts) frame(o *outcome) {
	c.add("frames", 1)
	c.add("events", o.events)
	c.frames.Inc()
	c.outcome(o)
	c.mu.Lock()
	c.values["last_seq"] = max(c.values["last_seq"], float64(o.seq))
	c.mu.Unlock()
}

// outcome counts what became of events.
func (c *counts) outcome(o *outcome) {
	c.add("rows", o.rows)
	c.rows.Add(float64(o.rows))
	for name, n := range map[string]int{"quarantined": o.quarantined, "expired": o.expired, "lost": o.lost} {
		c.add(name, n)
		c.events.WithLabelValues(o.event, name).Add(float64(n))
	}
	c.events.WithLabelValues(o.event, "treated").Add(float64(max(0, o.events-o.quarantined-o.expired-o.lost)))
}

// redriven counts events that left quarantine. Those that stay were counted
// when they were set aside.
func (c *counts) redriven(o *outcome, waiting int) {
	c.add("redriven", o.events-waiting)
	c.add("rows", o.rows)
	c.add("expired", o.expired)
	c.rows.Add(float64(o.rows))
	c.events.WithLabelValues(o.event, "redriven").Add(float64(o.events - waiting))
}

// repeated counts a raw frame that the clean log had already.
func (c *counts) repeated(o *outcome) { c.add("duplicates", o.events) }

func (c *counts) retried() {
	c.add("retries", 1)
	c.retries.Inc()
}

func (c *counts) waiting(frames uint64) {
	c.mu.Lock()
	c.values["lag_seq"] = float64(frames)
	c.mu.Unlock()
	c.lag.Set(float64(frames))
}

func (c *counts) age(d time.Duration) { c.lagAge.Set(max(0, d.Seconds())) }
