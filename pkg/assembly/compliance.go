package assembly

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

const (
	// statusWait is how long stages have to say how they are.
	statusWait = 300 * time.Millisecond
	// commandWait bounds what is passed on; a redrive may take a while.
	commandWait = 2 * time.Minute
)

// Compliance shows operators and officers how the flow is. It may look at
// streams and tables, opens no frame, and passes on what takes more.
var Compliance = Part{"compliance", func(ctx context.Context, site *Site) (process.Service, error) {
	nc, err := site.Connection("compliance")
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	w, err := site.Warehouse(ctx, warehouse.UserVerify)
	if err != nil {
		return nil, err
	}
	operation.New(operation.Config{
		Policy:    site.Policy,
		Gate:      site.gate,
		Log:       site.Log.With("service", "compliance"),
		Streams:   eventlog.NewLog(nc),
		Warehouse: w,
		Stages: func(ctx context.Context) ([]eventlog.StageStatus, error) {
			return eventlog.GatherStatus(ctx, nc, statusWait)
		},
		Command: func(ctx context.Context, name string, request any) ([]byte, error) {
			return command(ctx, nc, name, request)
		},
		Drift: func(ctx context.Context) error { return eventlog.Check(ctx, js, site.streams()) },
	}).Routes(site.mux)
	return idle, nil
}}

// command asks the service that listens for it.
func command(ctx context.Context, nc *nats.Conn, name string, request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, commandWait)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, eventlog.CommandTopic(name), body)
	if err != nil {
		return nil, fault.Unavailable.Errorf("the service that does this does not answer: %w", err)
	}
	return msg.Data, nil
}

// serveCommand answers a command with what do returns.
func serveCommand[Q, A any](site *Site, nc *nats.Conn, name string, do func(context.Context, Q) (A, error)) error {
	log := site.Log.With("command", name)
	stop, err := eventlog.Serve(nc, eventlog.CommandTopic(name), "lethe", log, func(ctx context.Context, r eventlog.Request) []byte {
		var q Q
		if err := json.Unmarshal(r.Data, &q); err != nil {
			return operation.NewReply(nil, fault.Invalid.Errorf("the request is not readable"))
		}
		a, err := do(ctx, q)
		if err != nil {
			log.Warn("command failed", "err", err)
		}
		return operation.NewReply(a, err)
	})
	if err != nil {
		return err
	}
	site.onClose(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = stop(ctx)
	})
	return nil
}
