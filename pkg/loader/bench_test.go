package loader_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

// BenchmarkLoad loads access events from the clean log into the warehouse, in
// frames of 100 and of 500, named (net 3 looks at each) and not. An operation
// is one row. CPU is of the whole test process (the log server included) and
// of the engine, each in microseconds a row.
func BenchmarkLoad(b *testing.B) {
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		b.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{100, 500} {
		for _, named := range []bool{false, true} {
			b.Run(fmt.Sprintf("frames of %d, named %v", size, named), func(b *testing.B) {
				s := startWith(b, pol)
				s.publishAccess(b.N, size, named)
				cfg := s.config()
				cfg.MaxRows, cfg.MaxWait = 0, 0
				l, err := loader.New(cfg)
				s.must(err)
				ctx, cancel := context.WithCancel(b.Context())
				done := make(chan error, 1)
				b.ResetTimer()
				ownBefore, engineBefore := cpu(b, os.Getpid()), cpu(b, s.engine.PID())
				go func() { done <- l.Run(ctx, func() {}) }()
				for l.Numbers()["rows"] < float64(b.N) {
					time.Sleep(time.Millisecond)
				}
				b.StopTimer()
				perRow := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 / float64(b.N) }
				b.ReportMetric(perRow(cpu(b, os.Getpid())-ownBefore), "own-µs/row")
				b.ReportMetric(perRow(cpu(b, s.engine.PID())-engineBefore), "engine-µs/row")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				cancel()
				s.must(<-done)
			})
		}
	}
}

// cpu is what a process has used so far.
func cpu(b *testing.B, pid int) time.Duration {
	b.Helper()
	if pid == os.Getpid() {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0 // no such file on this system
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a tick is 1/100 s
}

// publishAccess fills the clean log with rows of the table http_access.
func (s *site) publishAccess(n, size int, named bool) {
	s.t.Helper()
	table := s.table("http_access")
	columns := table.ColumnNames()
	var msgs []eventlog.Message
	for from := 0; from < n; from += size {
		rows := make([]event.Clean, min(size, n-from))
		for i := range rows {
			k := from + i
			at := noon.Add(-time.Minute + time.Duration(k)*5*time.Microsecond)
			row := event.Row{
				ID: event.NewID(at, event.RandomPayload()), OccurredAt: at,
				ExpiresAt: table.Class.ExpiresAt(at), Epoch: 40, Identified: named,
			}
			for j, c := range table.Columns {
				row.Values = append(row.Values, accessValue(c, k, j))
			}
			rows[i] = event.NewClean(row)
		}
		h := event.CleanHeader{
			Tenant: "acme", Service: fmt.Sprintf("service-%d", from/size%8), Table: table.Name, Class: table.Class.Name,
			Day: rows[0].ExpiryDay(), Event: table.Event, Version: 1, Count: len(rows), RawSeq: uint64(from + 1),
		}
		header := event.Header(h)
		sealed, err := s.keys.Pseudonymizer().SealClean(s.t.Context(), h.Tenant, h.Class, string(h.Day), header, event.CleanBody(columns, rows))
		s.must(err)
		msgs = append(msgs, eventlog.Message{
			Topic: event.CleanTopic(h.Tenant, h.Service, h.Table, h.Day, 0), Data: event.Pack(header, sealed),
		})
		if len(msgs) == 200 || from+size >= n {
			_, err := s.writer.AppendAtomic(s.t.Context(), msgs)
			s.must(err)
			msgs = msgs[:0]
		}
	}
}

func accessValue(c policy.Column, k, j int) event.Value {
	switch c.Kind {
	case event.Token:
		return event.TokenValue([20]byte{byte(k * 7), byte(k >> 3), byte(k >> 11), byte(j), 1})
	case event.Int:
		return event.IntValue(int64(200 + k%5))
	case event.Float:
		return event.FloatValue(float64(k%100) / 8)
	case event.Bool:
		return event.BoolValue(k%50 == 0)
	case event.Time:
		return event.TimeValue(noon)
	}
	if c.LowCardinality {
		return event.StringValue(fmt.Sprintf("%s-%d", c.Name, k%12))
	}
	return event.StringValue(fmt.Sprintf("/shop/%s/%d/item-%d", c.Name, k%40, k%3000))
}
