package lethetest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// A Meter measures what a benchmark's events cost: the time that passes, and
// the processor time, user and system, of this process and of the children it
// is told of. Unlike the time that passes, processor time changes little when
// others use the machine too.
//
// A benchmark that makes its input between iterations stops the meter for it,
// and the benchmark's own timer with it.
type Meter struct {
	b        *testing.B
	children []int // process IDs

	running     bool
	began       time.Time
	cpu, below  time.Duration // at Start
	passed      time.Duration
	used, lower time.Duration
}

// NewMeter makes a meter that stands still, and sets the benchmark's timer back
// and stops it.
// Children are the IDs of processes whose cost is part of an event's.
func NewMeter(b *testing.B, children ...int) *Meter {
	b.Helper()
	b.StopTimer()
	b.ResetTimer()
	return &Meter{b: b, children: children}
}

// Start goes on measuring.
func (m *Meter) Start() {
	m.b.Helper()
	if m.running {
		m.b.Fatal("the meter runs already")
	}
	m.running = true
	m.cpu, m.below = m.read()
	m.began = time.Now()
	m.b.StartTimer()
}

// Stop ends what Start began. A meter that stands still it leaves alone.
func (m *Meter) Stop() {
	m.b.Helper()
	if !m.running {
		return
	}
	m.b.StopTimer()
	m.running = false
	m.passed += time.Since(m.began)
	cpu, below := m.read()
	m.used += cpu - m.cpu
	m.lower += below - m.below
}

func (m *Meter) read() (own, children time.Duration) {
	m.b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		m.b.Fatal(err)
	}
	own = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	for _, pid := range m.children {
		cpu, err := ProcessCPU(pid)
		if err != nil {
			m.b.Fatal(err)
		}
		children += cpu
	}
	return own, children
}

// Report stops the meter and reports, for the events of all iterations
// together, events/s, cpu-ns/event of this process and, when there are any,
// child-ns/event of the children.
func (m *Meter) Report(events int) {
	m.b.Helper()
	m.Stop()
	n := float64(events)
	m.b.ReportMetric(n/m.passed.Seconds(), "events/s")
	m.b.ReportMetric(float64(m.used.Nanoseconds())/n, "cpu-ns/event")
	if len(m.children) > 0 {
		m.b.ReportMetric(float64(m.lower.Nanoseconds())/n, "child-ns/event")
	}
}

// clockTick is the unit of times in /proc, on every architecture that Go runs
// on under Linux: USER_HZ is 100 there.
const clockTick = 10 * time.Millisecond

// ProcessCPU is the processor time, user and system, that a process has used,
// to a hundredth of a second: fields 14 and 15 of /proc/PID/stat, proc(5).
func ProcessCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, field 2, stands in parentheses and may hold anything.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is not readable", pid)
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// ProcessMemory is a line of /proc/PID/status, proc(5), in bytes: VmRSS,
// RssAnon, VmHWM (the peak) or another that is given in kB.
func ProcessMemory(pid int, line string) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for l := range bytes.Lines(b) {
		if f := bytes.Fields(l); len(f) == 3 && string(f[0]) == line+":" {
			kb, err := strconv.ParseInt(string(f[1]), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, line)
}
