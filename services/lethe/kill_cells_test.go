package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// cellPoints are the crash points that the publishing of numbers passes.
var cellPoints = []string{"cell.chosen", "cell.cut", "cell.sealed", "cell.appended"}

// TestCrashWhilePublishingCountsEachRowOnce: P18, P19. One Lethe after the other
// dies on the same data while it publishes numbers about what comes in. In the
// end each row is in one cell, or waits.
func TestCrashWhilePublishingCountsEachRowOnce(t *testing.T) {
	t.Parallel()
	events, rounds := 400, 2
	if long() {
		events, rounds = 4_000, 8
	}
	r := up(t, func(r *running) { r.Env = []string{"LETHE_CELLS_SETTLE=20ms"} })
	r.Stop()
	var floods []*flood
	for n := range rounds {
		for _, point := range cellPoints {
			floods = append(floods, r.flood(strings.ReplaceAll(point, ".", "_")+fmt.Sprint("_", n), events))
			r.crash(point, func() {})
		}
	}
	r.Start()
	for _, f := range floods {
		f.Wait(t)
	}
	r.Settle()
	// What has enough people of its own is published, of every service.
	r.until("every service has numbers", func() bool { return len(r.Ask("requests", "--by", "service").Rows) == len(floods) })
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		got, err := w.Rows(ctx, `
SELECT c.service, c.day, c.n, toInt64(countIf(h.log_seq <= c.w)) AS rows FROM
  (SELECT toString(service) AS service, toString(first_day) AS day, toInt64(sum(value)) AS n, toUInt64(max(through)) AS w
   FROM lethe.cell WHERE metric = 'requests' AND first_day = last_day GROUP BY service, day) AS c
INNER JOIN (SELECT toString(service) AS service, toString(toDate(occurred_at)) AS day, log_seq FROM lethe.http_access) AS h
ON h.service = c.service AND h.day = c.day
GROUP BY c.service, c.day, c.n ORDER BY c.service, c.day`, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Rows) < len(floods) {
			t.Errorf("numbers of %d services and days", len(got.Rows))
		}
		for _, row := range got.Rows {
			if row[2] != row[3] {
				t.Errorf("service %v, %v: the cells add up to %v, and %v rows are in them", row[0], row[1], row[2], row[3])
			}
		}
	})
}
