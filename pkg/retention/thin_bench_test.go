package retention_test

import (
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// BenchmarkShorterRule is the run of retention after a rule became shorter, on a
// table with 400 expiry days that all reach beyond it: dropped, where each part
// holds rows of the longer rule alone, and mixed, the same with rows of both
// rules in the parts of one day, as it is on every day until the last row of the
// longer rule is gone.
//
// It reports the time and what the engine, the log server and the keyring
// wrote, as a share of what was there before.
func BenchmarkShorterRule(b *testing.B) {
	const each = 100 // rows of a day
	const old = "now64(3) - toIntervalDay(20)"
	for _, c := range []struct{ name, occurred string }{
		{"dropped", old},
		{"mixed", "if(number % 400 = 7 AND number > 400, now64(3) - toIntervalHour(1), " + old + ")"},
		{"one-day-mixed", "if(number % 400 = 7 AND number < 400, " + old + ", now64(3) - toIntervalHour(1))"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := &cost{site: start(b)}
			s.first = event.DayOf(s.now.AddDate(0, 0, 1)).Start()
			for range costDays * each / costFrame { // the frames that the rows say they came in
				s.frame(s.in(29), costFrame)
			}
			s.load()
			s.sql(fillSQL(s.table, s.first, c.occurred, each))
			s.run() // the first manifest
			kept := s.kept()
			s.pol = changed(b, "access", "period: 30 days", "period: 10 days")
			before, began := s.writes(), time.Now()
			must(b, s.site.retention().Once(b.Context()))
			took := time.Since(began)
			b.ReportMetric(100*float64(s.writes()-before)/float64(kept), "%-written")
			b.ReportMetric(float64(s.writes()-before)/(1<<10), "KiB-written")
			b.ReportMetric(float64(s.mutations()), "mutations")
			b.ReportMetric(float64(took), "ns/op")
			r, err := s.own.Early(b.Context(), s.table.Name, s.now.AddDate(0, 0, -11), warehouse.Days{}, 0, 1<<62)
			must(b, err)
			if len(r) > 0 {
				b.Errorf("rows past the shorter rule are left on %d days", len(r))
			}
		})
	}
}
