package stats_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// BenchmarkAsk asks about a million visits of 100,000 people in 30 days.
func BenchmarkAsk(b *testing.B) {
	l := newLab(b)
	tenant := newTenant()
	r := rand.New(rand.NewPCG(1, 2))
	day := event.DayOf(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	batch := warehouse.NewBatch(l.table, day)
	for range 20 {
		batch.Reset(day)
		for i := range 50 {
			rows := make([]event.Row, 0, 1000)
			for range 1000 {
				rows = append(rows, l.row(visit{
					service: "web", person: 1 + r.IntN(100_000), action: []string{"come", "go"}[r.IntN(2)],
					at:     edge.Add(time.Duration(r.Int64N(30*24*3600*1000)-15*24*3600*1000) * time.Millisecond),
					status: int64(200 + r.IntN(5)), path: fmt.Sprintf("/%d", r.IntN(1000)), expires: day.Start(),
				}))
			}
			l.seq++
			batch.Append(warehouse.Source{
				Tenant: tenant, Service: []string{"web", "shop"}[i%2], Seq: l.seq, Columns: l.table.ColumnNames(),
			}, rows)
		}
		if err := l.admin.Insert(b.Context(), batch, ""); err != nil {
			b.Fatal(err)
		}
	}
	for _, metric := range []string{"visits", "visitors", "present", "load"} {
		for _, by := range [][]string{nil, {"day", "status"}} {
			b.Run(metric+"/"+strings.Join(by, "+"), func(b *testing.B) {
				for b.Loop() {
					if _, err := l.stats.Ask(b.Context(), principal(tenant), stats.Question{Metric: metric, By: by}); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
