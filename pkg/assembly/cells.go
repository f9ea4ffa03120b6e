package assembly

import (
	"context"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/cell"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Cells publishes numbers about groups. It counts rows in the warehouse, behind
// the read barrier, and appends what it counted to the clean log. It opens no
// frame and seals no other. It runs beside the loader, with users and a power
// of its own.
var Cells = Part{"cells", func(ctx context.Context, site *Site) (process.Service, error) {
	log := site.Log.With("service", "cells")
	nc, err := site.Connection("cells")
	if err != nil {
		return nil, err
	}
	w, err := site.Warehouse(ctx, warehouse.UserCells)
	if err != nil {
		return nil, err
	}
	keys, err := powerAs(site, site.Config.Keyring.CellsCertificates, (*keyring.Keyring).Cells, (*keyring.Remote).Cells)
	if err != nil {
		return nil, err
	}
	frames := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.CleanStream, Linger: -1, Metrics: site.Registry, Log: log})
	p, err := cell.New(cell.Config{
		Policy:    site.Policy,
		Log:       eventlog.NewLog(nc),
		Appender:  frames,
		Keys:      keys,
		Warehouse: w,
		Bucket:    eventlog.OpenBucket(nc, eventlog.CellBucket),
		Logger:    log,
		Metrics:   site.Registry,
		Now:       time.Now,
		Settle:    site.Config.Cells.Settle,
		Owner:     site.owner(),
	})
	if err != nil {
		return nil, err
	}
	run := process.Func(func(ctx context.Context, ready func()) error {
		err := p.Run(ctx, ready)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		return errors.Join(err, frames.Close(stop))
	})
	return reporting(site, nc, "cells", p.Numbers, run), nil
}}
