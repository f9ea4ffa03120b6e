package cell_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// BenchmarkPublish publishes access events of one service, by the built-in
// policy with its seven dimensions: a day of a million, and where
// LETHE_BENCH_EVENTS is set as many as it says of thirty days. Reported are the time until
// nothing is left to publish, the statements and the engine's processor time
// that took, and what there is then: cells, and bytes on the clean log.
func BenchmarkPublish(b *testing.B) {
	sizes := []struct{ rows, days int }{{1_000_000, 1}}
	if n := lethetest.BenchEvents(b, 0); n > 0 {
		sizes = append(sizes, struct{ rows, days int }{n, 30})
	}
	for _, size := range sizes {
		b.Run(fmt.Sprintf("rows=%d/days=%d", size.rows, size.days), func(b *testing.B) {
			for range b.N {
				b.StopTimer()
				benchmarkPublish(b, size.rows, size.days)
			}
		})
	}
}

func benchmarkPublish(b *testing.B, rows, days int) {
	s := startWith(b, lethetest.BuiltIn(b))
	// The rows come with the sequence of a frame that is there.
	table, _ := s.pol.Table("http_access")
	at := noon.AddDate(0, 0, -1)
	row := event.NewClean(event.Row{Table: table.Name, ID: event.NewID(at, event.RandomPayload()), OccurredAt: at, ExpiresAt: table.Class.ExpiresAt(at)})
	seq := s.frameOf(table.Name, "acme", "one", event.DayOf(table.Class.ExpiresAt(at)), nil, []event.Clean{row})
	s.loaded()
	s.exec(accessRows(rows, days, seq))
	before, err := s.log.Info(b.Context(), eventlog.CleanStream)
	s.must(err)

	c := s.config()
	counter := &counted{Warehouse: c.Warehouse}
	c.Warehouse = counter
	s.p = publisher(b, c)
	s.p.Hurry()
	cpu, err := lethetest.ProcessCPU(s.engine.PID())
	s.must(err)
	began := time.Now()
	b.StartTimer()
	cells := s.cut()
	b.StopTimer()
	took := time.Since(began)
	used, err := lethetest.ProcessCPU(s.engine.PID())
	s.must(err)
	after, err := s.log.Info(b.Context(), eventlog.CleanStream)
	s.must(err)
	b.ReportMetric(took.Seconds(), "s")
	b.ReportMetric((used - cpu).Seconds(), "engine-cpu-s")
	b.ReportMetric(float64(counter.n), "statements")
	b.ReportMetric(float64(cells), "cells")
	b.ReportMetric(float64(after.Bytes-before.Bytes)/1e6, "log-MB")
	b.ReportMetric(float64(rows)/took.Seconds(), "rows/s")
}

type counted struct {
	cell.Warehouse
	n int
}

func (c *counted) Rows(ctx context.Context, sql string, params map[string]any) (*warehouse.Result, error) {
	c.n++
	return c.Warehouse.Rows(ctx, sql, params)
}

// accessRows makes rows as a shop would have them: one visitor in 20 requests,
// few pages that many look at and many that few do.
func accessRows(rows, days int, seq uint64) string {
	mark := "toInt64(89158877827146)"
	return fmt.Sprintf(`INSERT INTO lethe.http_access (tenant, service, event_id, occurred_at, expires_at, expiry_day, epoch, log_seq, identified,
visitor, method, path, protocol, status, bytes, referrer_host, browser, host)
SELECT 'acme', 'shop', toFixedString(concat(reinterpret(byteSwap(toUInt32(toUnixTimestamp(at) - 1400000000)), 'FixedString(4)'), substring(MD5(toString(number)), 1, 16)), 20),
at, at + INTERVAL 30 DAY AS ends, toDate(ends), %s, %d, true,
toFixedString(substring(SHA256(toString(cityHash64(number, 1) %% %d)), 1, 20), 20),
['GET', 'GET', 'GET', 'POST', 'HEAD'][1 + cityHash64(number, 2) %% 5],
concat('/articles/', toString(toUInt32(pow(cityHash64(number, 3) %% 1000000 / 1000000, 4) * 5000))),
['HTTP/1.1', 'HTTP/2.0'][1 + cityHash64(number, 4) %% 2],
[200, 200, 200, 200, 200, 304, 301, 404, 500][1 + cityHash64(number, 5) %% 9],
cityHash64(number, 6) %% 100000,
if(cityHash64(number, 7) %% 3 = 0, concat('site', toString(toUInt32(pow(cityHash64(number, 8) %% 1000 / 1000, 3) * 300)), '.example'), ''),
['Chrome', 'Chrome', 'Chrome', 'Safari', 'Firefox', 'Edge', ''][1 + cityHash64(number, 9) %% 7],
['shop.example.org', 'www.example.org'][1 + cityHash64(number, 10) %% 2]
FROM (SELECT number, toDateTime64('%s', 3, 'UTC') + toIntervalMillisecond(cityHash64(number, 11) %% %d) AS at FROM numbers(%d))`,
		mark, seq, rows/20, noon.AddDate(0, 0, -days).Truncate(24*time.Hour).Format("2006-01-02 15:04:05"), int64(days)*86_400_000, rows)
}
