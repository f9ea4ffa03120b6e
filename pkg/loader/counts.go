package loader

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

// counts are what the loader tells about itself, by name for the status and as
// metrics. Labels are tables and reasons, never anything of an event.
type counts struct {
	mu     sync.Mutex // guards values
	values map[string]float64

	rows    prometheus.Counter
	frames  *prometheus.CounterVec
	dropped prometheus.Counter
	retries prometheus.Counter
	last    prometheus.Gauge
	waiting prometheus.Gauge
	rounds  prometheus.Histogram
}

func newCounts(reg prometheus.Registerer) *counts {
	return &counts{
		values: map[string]float64{"rows": 0, "frames": 0, "rounds": 0, "duplicates": 0, "expired_frames": 0,
			"unknown_frames": 0, "retries": 0, "replays": 0, "rebuilds": 0, "rebuilding": 0, "last_seq": 0, "waiting_frames": 0},
		rows: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_loader_rows_total", Help: "Rows that are in the warehouse.",
		})),
		frames: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lethe_loader_frames_total", Help: "Clean frames by what became of them: loaded, expired or unknown.",
		}, []string{"outcome"})),
		dropped: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_loader_duplicates_total", Help: "Rows that were recognized as events already stored.",
		})),
		retries: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_loader_retries_total", Help: "Attempts that a store failed.",
		})),
		last: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_loader_last_sequence", Help: "Sequence of the clean log through which everything is loaded.",
		})),
		waiting: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_loader_waiting_frames", Help: "Frames of the clean log that are not read yet.",
		})),
		rounds: metric.Register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lethe_loader_round_seconds", Help: "How long a round took from its manifest until it was stored.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		})),
	}
}

func (c *counts) add(name string, n float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[name] += n
}

func (c *counts) loaded(r *round, took time.Duration) {
	rows := float64(r.rows - r.dropped)
	c.add("rows", rows)
	c.add("frames", float64(len(r.frames)))
	c.add("rounds", 1)
	c.add("duplicates", float64(r.dropped))
	c.add("expired_frames", float64(r.expired))
	c.add("unknown_frames", float64(r.unknown))
	c.reached(r.last)
	c.rows.Add(rows)
	c.frames.WithLabelValues("loaded").Add(float64(len(r.frames)))
	c.frames.WithLabelValues("expired").Add(float64(r.expired))
	c.frames.WithLabelValues("unknown").Add(float64(r.unknown))
	c.dropped.Add(float64(r.dropped))
	c.rounds.Observe(took.Seconds())
}

// reached says how far the loader is.
func (c *counts) reached(last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values["last_seq"] = float64(last)
	c.last.Set(float64(last))
}

// behind says how many frames wait on the log.
func (c *counts) behind(frames uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values["waiting_frames"] = float64(frames)
	c.waiting.Set(float64(frames))
}

func (c *counts) retried() {
	c.add("retries", 1)
	c.retries.Inc()
}

func (c *counts) replayed() { c.add("replays", 1) }
func (c *counts) rebuilt()  { c.add("rebuilds", 1) }

// rebuilding says that a rebuild begins (1) or ends (-1): its copy of the tables
// is nobody else's.
func (c *counts) rebuilding(n float64) { c.add("rebuilding", n) }

func (c *counts) numbers() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]float64, len(c.values))
	for k, v := range c.values {
		out[k] = v
	}
	return out
}
