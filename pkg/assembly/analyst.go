package assembly

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/stats"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Analyst answers questions about groups, its own and SQL. It reads published
// cells, and how far their publisher is, and nothing else; it holds no key and
// touches neither log of events. Whoever asks goes on record first.
var Analyst = Part{"analyst", func(ctx context.Context, site *Site) (process.Service, error) {
	w, err := site.Warehouse(ctx, warehouse.UserAnalyst)
	if err != nil {
		return nil, err
	}
	nc, err := site.Connection("analyst")
	if err != nil {
		return nil, err
	}
	site.recordAccess(site.recorder(nc, "analyst"))
	looked := eventlog.OpenBucket(nc, eventlog.CellBucket)
	s, err := stats.New(stats.Config{
		Policy:    site.Policy,
		Warehouse: w,
		Gate:      site.gate,
		Log:       site.Log.With("service", "analyst"),
		Metrics:   site.Registry,
		Now:       time.Now,
		AsOf:      func(ctx context.Context) (time.Time, error) { return cell.AsOf(ctx, looked, time.Now()) },
	})
	if err != nil {
		return nil, err
	}
	s.Routes(site.mux)
	return site.sqlDoor()
}}
