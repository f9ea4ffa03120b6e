package assembly

import (
	"context"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// Loader reads the clean log and writes the warehouse. It opens clean frames
// and nothing else, and is refused the raw log.
var Loader = Part{"loader", func(ctx context.Context, site *Site) (process.Service, error) {
	log := site.Log.With("service", "loader")
	nc, err := site.Connection("loader")
	if err != nil {
		return nil, err
	}
	clean, err := eventlog.OpenReader(ctx, nc, eventlog.ReaderConfig{Stream: eventlog.CleanStream, Durable: eventlog.CleanConsumer, Log: log})
	if err != nil {
		return nil, err
	}
	w, err := site.Warehouse(ctx, warehouse.UserLoader)
	if err != nil {
		return nil, err
	}
	staging, err := site.Warehouse(ctx, warehouse.UserRebuild)
	if err != nil {
		return nil, err
	}
	keys, err := power(site, (*keyring.Keyring).Loader, (*keyring.Remote).Loader)
	if err != nil {
		return nil, err
	}
	bucket := eventlog.OpenBucket(nc, eventlog.LoaderBucket)
	l, err := loader.New(loader.Config{
		Policy:    site.Policy,
		Clean:     clean,
		Frames:    eventlog.NewLog(nc),
		Bucket:    bucket,
		Keys:      keys,
		Warehouse: w,
		Staging:   staging,
		Metrics:   site.Registry,
		Log:       log,
		Now:       time.Now,
		MaxRows:   site.Config.Loader.MaxRows,
		MaxWait:   site.Config.Loader.MaxWait,
	})
	if err != nil {
		return nil, err
	}
	run := process.Func(func(ctx context.Context, ready func()) error {
		err := l.Run(ctx, ready)
		return errors.Join(err, clean.Close())
	})
	rebuilds := onCommand(site, nc, operation.CommandRebuild, func(ctx context.Context, q operation.RebuildRequest) (operation.RebuildState, error) {
		return rebuild(ctx, bucket, q.Start)
	})
	return reporting(site, nc, "loader", l.Numbers, withCommands(run, rebuilds)), nil
}}

func rebuild(ctx context.Context, bucket *eventlog.Bucket, start bool) (operation.RebuildState, error) {
	if start {
		// One that is under way is the one that was asked for.
		if err := loader.RequestRebuild(ctx, bucket); err != nil && !errors.Is(err, fault.Conflict) {
			return operation.RebuildState{}, err
		}
	}
	p, err := loader.RebuildProgress(ctx, bucket)
	if errors.Is(err, fault.NotFound) {
		return operation.RebuildState{Phase: "none"}, nil
	}
	return operation.RebuildState{Phase: string(p.Phase), Loaded: p.Loaded, Target: p.Target, Rows: p.Rows}, err
}
