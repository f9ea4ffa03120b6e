package stats_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// BenchmarkAsk asks what a console asks of a month: of cells, as Lethe answers,
// and in turn of the rows that they were cut from. The statements on rows count
// the people behind each number once, which is the least that a guard on rows
// would have to do. There are a million rows, or as many as LETHE_BENCH_EVENTS
// says, of a tenth as many people. It begins with publishing them: reported is
// what a day of it took, of 30, and what its cells measure on the clean log.
func BenchmarkAsk(b *testing.B) {
	const days = 30
	rows := lethetest.BenchEvents(b, 1_000_000)
	f := newFlow(b, 40)
	f.fill(b, rows)
	cpu, err := lethetest.ProcessCPU(f.engine.PID())
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	f.publish(b)
	took := time.Since(began)
	used, err := lethetest.ProcessCPU(f.engine.PID())
	if err != nil {
		b.Fatal(err)
	}
	size := 0
	for _, m := range f.frames {
		size += len(m.Data)
	}
	b.Logf("%d rows of %d days became cells: a day takes %.2f s, %.2f s of the engine's processor time, and %d KiB",
		rows, days, took.Seconds()/days, (used-cpu).Seconds()/days, size/days>>10)
	byRows := f.open(warehouse.UserCells)

	first, last := f.today.AddDate(0, 0, -days), f.today
	month := func(metric string, by ...string) stats.Question {
		return stats.Question{Metric: metric, By: by, From: first, To: last}
	}
	top := month("visits", "path")
	top.Top = 10
	filtered := month("visits", "day")
	filtered.Filters = filters("status", "404")
	day := "toDate(occurred_at) AS _day"
	for _, c := range []struct {
		name           string
		q              stats.Question
		columns, group string
	}{
		{"total", month("visits"), "count(), uniqExact(visitor)", ""},
		{"by-day", month("visits", "day"), day + ", count(), uniqExact(visitor)", "_day"},
		{"by-day-and-status", month("visits", "day", "status"), day + ", status, count(), uniqExact(visitor)", "_day, status"},
		{"top-paths", top, "path, count(), uniqExact(visitor)", "path ORDER BY count() DESC LIMIT 10"},
		{"filtered-by-day", filtered, day + ", countIf(status = 404), uniqExactIf(visitor, status = 404)", "_day"},
		{"sum-by-product", month("income", "product"), "product, sum(spent), uniqExact(visitor)", "product"},
		{"people", month("visitors"), "service, uniqExact(visitor)", "service"},
		{"people-by-day", month("visitors", "day"), "service, " + day + ", uniqExact(visitor)", "service, _day"},
		{"people-by-path", month("visitors", "path"), "service, path, uniqExact(visitor)", "service, path"},
		{"current", stats.Question{Metric: "present", By: []string{"product"}}, "product, countIf(_last = 'come') FROM (SELECT argMax(product, (occurred_at, log_seq)) AS product, argMax(action, (occurred_at, log_seq)) AS _last", "product"},
		{"ratio-by-day", month("visits_per_visitor", "day"), day + ", count() / uniqExact(visitor)", "_day"},
	} {
		sql := "SELECT " + c.columns + " FROM " + byRows.Table("visit") + " WHERE tenant = 'bench' AND occurred_at >= fromUnixTimestamp(" +
			fmt.Sprint(first.Unix()) + ") AND occurred_at < fromUnixTimestamp(" + fmt.Sprint(last.Unix()) + ")"
		if c.name == "current" {
			sql += " GROUP BY service, visitor)"
		}
		if c.group != "" {
			sql += " GROUP BY " + c.group
		}
		b.Run(c.name, func(b *testing.B) {
			var ofCells, ofRows []time.Duration
			for b.Loop() {
				began := time.Now()
				if a, err := f.stats.Ask(b.Context(), principal("bench"), c.q); err != nil || len(a.Rows) == 0 && a.Total.Hidden {
					b.Fatalf("there is no answer: %v", err)
				}
				ofCells = append(ofCells, time.Since(began))
				b.StopTimer()
				began = time.Now()
				if _, err := byRows.Rows(b.Context(), sql, nil); err != nil {
					b.Fatal(err)
				}
				ofRows = append(ofRows, time.Since(began))
				b.StartTimer()
			}
			for _, p := range []int{50, 95} {
				cells, rows := percentile(ofCells, p), percentile(ofRows, p)
				b.ReportMetric(float64(cells.Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
				b.ReportMetric(float64(rows)/float64(cells), fmt.Sprintf("p%d-rows/cells", p))
			}
		})
	}
}

func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[min(len(all)-1, len(all)*p/100)]
}

// fill makes rows of the last 30 days, in the engine.
func (f *flow) fill(b *testing.B, rows int) {
	b.Helper()
	table, _ := f.pol.Table("visit")
	first := f.today.AddDate(0, 0, -30)
	mark := table.Domain.Mark(table.Domain.Epoch(first))
	f.seq = 1
	people := max(rows/10, 1)
	columns := "tenant, service, event_id, occurred_at, expires_at, expiry_day, epoch, log_seq, identified, visitor, action, product, status, spent, secure, path"
	// A few people come often, a few paths are taken often.
	sql := fmt.Sprintf(`INSERT INTO %s (%s)
SELECT 'bench', _service, toFixedString(concat(reverse(reinterpretAsFixedString(toUInt32(toUnixTimestamp(_at) - 1400000000))),
	reinterpretAsFixedString(_h), reinterpretAsFixedString(cityHash64(_h))), 20), _at, _at + toIntervalDay(31), toDate(_at + toIntervalDay(31)), %d, 1, 0,
	toFixedString(concat(reinterpretAsFixedString(cityHash64(_person, _service)), reinterpretAsFixedString(cityHash64(_person, _service, 1)), 'abcd'), 20),
	if(_h %% 3 = 0, 'go', 'come'), ['pen', 'ink', 'nib'][1 + _h %% 7 %% 3], [200, 200, 200, 200, 404, 301, 500][1 + intDiv(_h, 8) %% 7], _h %% 100, _h %% 2 = 0,
	concat('/', toString(toUInt32(pow(intDiv(_h, 16) %% 1000 / 1000., 3) * 300)))
FROM (SELECT cityHash64(number) AS _h, if(_h %% 4 = 0, 'app', 'web') AS _service,
	fromUnixTimestamp64Milli(toInt64(%d + cityHash64(number, 2) %% 2592000000)) AS _at, toUInt32(pow(cityHash64(number, 3) %% 100000 / 100000., 2) * %d) AS _person
	FROM numbers(%d))`, f.admin.Table("visit"), columns, mark, first.UnixMilli(), people, rows)
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{"engine"}, DialContext: f.engine.Dial, ReadTimeout: time.Hour,
		Auth: clickhouse.Auth{Username: lethetest.Overseer, Password: lethetest.Password(lethetest.Overseer)},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Exec(b.Context(), sql); err != nil {
		b.Fatal(err)
	}
}
