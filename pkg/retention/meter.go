package retention

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/metric"
)

// A meter is what retention tells about itself, by name for the status and as
// metrics.
type meter struct {
	mu     sync.Mutex // guards values
	values map[string]float64

	partitions, keys, frames, files, lost, lostHours prometheus.Counter

	lastRun, overdue, held, byHand, waiting, unexplained prometheus.Gauge
}

func newMeter(reg prometheus.Registerer) *meter {
	counter := func(name, help string) prometheus.Counter {
		return metric.Register(reg, prometheus.NewCounter(prometheus.CounterOpts{Name: "lethe_retention_" + name, Help: help}))
	}
	gauge := func(name, help string) prometheus.Gauge {
		return metric.Register(reg, prometheus.NewGauge(prometheus.GaugeOpts{Name: "lethe_retention_" + name, Help: help}))
	}
	return &meter{
		values: map[string]float64{"runs": 0, "last_run": 0, "last_ok": 0, "next_run": 0, "held_back": 0,
			"clock": 0, "clock_held": 0, "clock_lag": 0, "clock_by_hand": 0, "unexplained_rows": 0},
		partitions:  counter("partitions_dropped_total", "Partitions removed because their expiry day had ended, or a shorter rule had."),
		keys:        counter("keys_destroyed_total", "Keys destroyed because what they seal had expired."),
		frames:      counter("frames_purged_total", "Frames purged from the logs after their key was destroyed."),
		files:       counter("files_removed_total", "Entries of folders removed because they were past their rule."),
		lostHours:   counter("raw_hours_lost_total", "Raw hours whose key was destroyed at the cap while frames were untreated."),
		lost:        counter("frames_lost_total", "Frames whose key was destroyed at the end of its time before they were treated or loaded."),
		lastRun:     gauge("last_run_seconds", "When the last whole run ended, in Unix seconds."),
		overdue:     gauge("overdue_seconds", "For how long the oldest thing that is due is still there."),
		held:        gauge("clock_held", "1 while a jump of the wall clock is held back."),
		byHand:      gauge("clock_by_hand", "1 while Lethe's clock stands ahead where somebody else than retention set it."),
		waiting:     gauge("holds_waiting", "Partitions and keys that are due and wait until a legal hold is copied."),
		unexplained: gauge("unexplained_rows", "Rows of the last manifest that neither what came in nor what was removed explains."),
	}
}

func (m *meter) set(name string, v float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values[name] = v
}

// clock says whether a jump is held back, and by how much the wall clock is
// ahead then.
func (m *meter) clock(held bool, ahead time.Duration) {
	n := 0.0
	if held {
		n = 1
	}
	m.held.Set(n)
	m.set("clock_held", n)
	m.set("clock_lag", ahead.Seconds())
}

// foreign says whether Lethe's clock stands where somebody else set it.
func (m *meter) foreign(is bool) {
	n := 0.0
	if is {
		n = 1
	}
	m.byHand.Set(n)
	m.set("clock_by_hand", n)
}

// stands says where the clock stands that decides what is removed.
func (m *meter) stands(at time.Time) { m.set("clock", float64(at.UnixMilli())/1000) }

// ran notes the end of a run.
func (m *meter) ran(at time.Time, ok bool) {
	m.set("last_run", float64(at.Unix()))
	if !ok {
		return
	}
	m.set("last_ok", float64(at.Unix()))
	m.lastRun.Set(float64(at.Unix()))
	m.mu.Lock()
	defer m.mu.Unlock()
	m.values["runs"]++
}

func (m *meter) next(at time.Time) { m.set("next_run", float64(at.Unix())) }

func (m *meter) rows(unexplained uint64) {
	m.unexplained.Set(float64(unexplained))
	m.set("unexplained_rows", float64(unexplained))
}

// Numbers are what the service says of itself: runs that did all they had to,
// the Unix seconds of the last run, the last that did, and the next, how many
// things wait (held_back), the Unix seconds of the clock that decides what is
// removed (clock), whether a jump of it is held back (clock_held) and how many
// seconds that is (clock_lag), whether somebody set the one in the warehouse by
// hand (clock_by_hand), and the rows that the last manifest does not explain.
func (r *Retention) Numbers() map[string]float64 {
	m := r.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]float64, len(m.values))
	for name, v := range m.values {
		out[name] = v
	}
	return out
}

// tellMeter says what a run has left.
func (u *run) tellMeter() {
	overdue := 0.0
	if !u.oldest.IsZero() {
		overdue = max(u.now.Sub(u.oldest).Seconds(), 0)
	}
	u.meter.overdue.Set(overdue)
	u.meter.waiting.Set(float64(u.onHold))
	u.meter.set("held_back", float64(u.waiting))
}
