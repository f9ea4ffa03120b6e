package assembly

import (
	"context"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/gateway"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// Gateway accepts events. It can append to the raw log and cannot read it; it
// can seal and name events and can open none.
var Gateway = Part{"gateway", func(_ context.Context, site *Site) (process.Service, error) {
	log := site.Log.With("service", "gateway")
	nc, err := site.Connection("gateway")
	if err != nil {
		return nil, err
	}
	keys, err := power(site, (*keyring.Keyring).Gateway, (*keyring.Remote).Gateway)
	if err != nil {
		return nil, err
	}
	raw := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.RawStream, Metrics: site.Registry, Log: log})
	g := gateway.New(gateway.Config{
		Policy: site.Policy,
		Raw:    raw,
		Keys:   keys,
		Gate:   site.gate,
		Requests: func(answer func(context.Context, eventlog.Request) []byte) (func(context.Context) error, error) {
			return eventlog.Serve(nc, event.PublishTopics, "gateway", log, answer)
		},
		Free:        site.free(),
		Reserve:     site.Config.Gateway.Reserve,
		Concurrency: site.Config.Gateway.Concurrency,
		Metrics:     site.Registry,
		Log:         log,
		Now:         time.Now,
	})
	g.Routes(site.mux)
	return reporting(site, nc, "gateway", g.Numbers, process.Func(func(ctx context.Context, ready func()) error {
		err := g.Run(ctx, ready)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if closed := raw.Close(stop); err == nil {
			err = closed
		}
		return err
	})), nil
}}

// free looks at the disk that the logs are on, where it is this machine's.
func (s *Site) free() func() (uint64, error) {
	if s.Config.NATS.URL != "" {
		return nil
	}
	return func() (uint64, error) {
		var st syscall.Statfs_t
		if err := syscall.Statfs(s.Config.Data, &st); err != nil {
			return 0, err
		}
		return st.Bavail * uint64(st.Bsize), nil
	}
}

// reporting lets a service's numbers be asked for while it runs.
func reporting(site *Site, nc *nats.Conn, stage string, numbers func() map[string]float64, s process.Service) process.Service {
	return process.Func(func(ctx context.Context, ready func()) error {
		stop, err := eventlog.ServeStatus(nc, stage, site.Log, numbers)
		if err != nil {
			return err
		}
		defer stop()
		return s.Run(ctx, ready)
	})
}
