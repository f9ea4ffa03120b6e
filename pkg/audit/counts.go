package audit

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/metric"
)

// counts are what the sequencer tells about itself, by name for the status and
// as metrics.
type counts struct {
	mu     sync.Mutex // guards values
	values map[string]float64

	entries prometheus.Counter
	refuse  prometheus.Counter
	missing prometheus.Counter
	retries prometheus.Counter
	lag     prometheus.Gauge
	commit  prometheus.Gauge
	last    prometheus.Gauge
	loss    prometheus.Gauge
}

func newCounts(reg prometheus.Registerer) *counts {
	return &counts{
		values: map[string]float64{"entries": 0, "refused": 0, "missing": 0, "retries": 0, "lag_seconds": 0, "last_checkpoint": 0, "last_seq": 0, "last_lost": 0},
		entries: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_audit_entries_total", Help: "Entries of the audit stream that are in a tree.",
		})),
		refuse: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_audit_refused_total", Help: "Messages of the audit stream that are no entry, or not one of their topic.",
		})),
		missing: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_audit_missing_total", Help: "Sequences of the audit stream at which nothing was found when their turn came.",
		})),
		retries: metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lethe_audit_retries_total", Help: "Attempts that the stream or the disk failed.",
		})),
		lag: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_audit_lag_seconds", Help: "How far the trees are behind the audit stream.",
		})),
		commit: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_audit_checkpoint_timestamp_seconds", Help: "When the last checkpoint was written, in seconds since 1970.",
		})),
		loss: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_audit_lost_timestamp_seconds", Help: "When the audit log or its stream was last found lost, in seconds since 1970; 0 if that is not on record.",
		})),
		last: metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lethe_audit_last_sequence", Help: "Sequence of the audit stream through which everything is in a tree.",
		})),
	}
}

// state says where the log is.
func (c *counts) state(l *Log) {
	seq, at := float64(l.Sequence()), l.Committed()
	c.last.Set(seq)
	c.values["last_seq"] = seq
	if !at.IsZero() {
		unix := float64(at.UnixMilli()) / 1000
		c.commit.Set(unix)
		c.values["last_checkpoint"] = unix
	}
}

// lost says when something of the log was lost.
func (c *counts) lost(l *Log) {
	at, _, ok := l.Lost()
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	unix := float64(at.UnixMilli()) / 1000
	c.loss.Set(unix)
	c.values["last_lost"] = unix
}

func (c *counts) lags(d time.Duration) {
	c.lag.Set(max(d, 0).Seconds())
	c.values["lag_seconds"] = max(d, 0).Seconds()
}

func (c *counts) appended(l *Log, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Add(float64(n))
	c.values["entries"] += float64(n)
	c.state(l)
}

// idle says that nothing waits.
func (c *counts) idle(l *Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state(l)
	c.lags(0)
}

// behind says how much younger the newest message is than the last one that is
// in a tree.
func (c *counts) behind(l *Log, last eventlog.Received, info func() (eventlog.StreamState, error)) {
	lag := time.Duration(0)
	if last.Pending > 0 {
		state, err := info()
		if err != nil {
			return // reading will say so
		}
		lag = state.LastAt.Sub(last.At)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state(l)
	c.lags(lag)
}

// retried says that an attempt failed. What waits was recorded at since, if
// that is known.
func (c *counts) retried(since time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retries.Inc()
	c.values["retries"]++
	if !since.IsZero() {
		c.lags(time.Since(since))
	}
}

func (c *counts) refused() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse.Inc()
	c.values["refused"]++
}

func (c *counts) missed(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missing.Add(float64(n))
	c.values["missing"] += float64(n)
}

func (c *counts) numbers() map[string]float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make(map[string]float64, len(c.values))
	for k, v := range c.values {
		out[k] = v
	}
	return out
}
