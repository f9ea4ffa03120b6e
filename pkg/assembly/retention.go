package assembly

import (
	"context"
	"path/filepath"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/retention"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// dropPause comes between two partitions that are dropped, so that catching up
// after a downtime leaves the engine to others.
const dropPause = 50 * time.Millisecond

// Retention drops partitions, destroys keys, purges the logs and prunes files.
// It opens no frame, and reads three columns of the tables: when a row occurred
// and ends, and the sequence it came in.
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
	var folders []retention.Folder
	for _, f := range site.folders() {
		folders = append(folders, retention.Folder{Name: f.name, Dir: f.dir, Governs: f.governs})
	}
	r := retention.New(retention.Config{
		Policy:    site.Policy,
		Warehouse: w,
		Arrived:   loader.OpenBooks(eventlog.OpenBucket(nc, eventlog.LoaderBucket)).Arrived,
		Log:       eventlog.NewLog(nc),
		Keys:      keys,
		Holds:     hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket)),
		Bucket:    eventlog.OpenBucket(nc, eventlog.RetentionBucket),
		Recorder:  site.recorder(nc, "retention"),
		Folders:   folders,
		Logger:    site.Log.With("service", "retention"),
		Metrics:   site.Registry,
		Now:       time.Now,
		Pause:     dropPause,
		Owner:     site.owner(),
	})
	confirm := onCommand(site, nc, operation.CommandClock, func(ctx context.Context, _ any) (any, error) {
		return nil, r.ConfirmClock(ctx)
	})
	reject := onCommand(site, nc, operation.CommandReject, func(ctx context.Context, _ any) (any, error) {
		return nil, r.RejectClock(ctx)
	})
	now := onCommand(site, nc, operation.CommandRetain, func(ctx context.Context, _ any) (any, error) {
		return nil, r.Once(ctx)
	})
	return reporting(site, nc, "retention", r.Numbers, withCommands(r, confirm, reject, now)), nil
}}

// owner names this process in leases; empty is a random name. A Lethe of its
// own has its data directory to itself: what a killed one left is taken over at
// once.
func (s *Site) owner() string {
	if s.Config.NATS.URL == "" {
		return "embedded"
	}
	return ""
}

// folder is a directory whose files have a deletion rule.
type folder struct{ name, dir, governs string }

func (s *Site) folders() []folder {
	f := s.Config.Files
	return []folder{
		{"reports", s.dir(f.Reports, "reports"), "reports"},
		{"backups", s.dir(f.Backups, "backups"), "backups"},
		{"key backups", s.dir(f.KeyBackups, "key-backups"), "key_backups"},
	}
}

// dir is a directory that may be set, and otherwise is one of the data
// directory.
func (s *Site) dir(set, name string) string {
	if set != "" {
		return set
	}
	return filepath.Join(s.Config.Data, name)
}
