package assembly

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Retention drops partitions, destroys keys and purges the logs. It opens no
// frame and reads no event.
var Retention = Part{"retention", func(ctx context.Context, site *Site) (process.Service, error) {
	nc, err := site.Connection("retention")
	if err != nil {
		return nil, err
	}
	w, err := site.Warehouse(ctx, warehouse.UserRetention)
	if err != nil {
		return nil, err
	}
	keys, err := power(site, (*keyring.Keyring).Retention, (*keyring.Remote).Retention)
	if err != nil {
		return nil, err
	}
	r := retention.New(retention.Config{
		Policy:    site.Policy,
		Warehouse: w,
		Log:       eventlog.NewLog(nc),
		Keys:      keys,
		Logger:    site.Log.With("service", "retention"),
		Metrics:   site.Registry,
		Now:       time.Now,
	})
	return reporting(site, nc, "retention", r.Numbers, r), nil
}}
