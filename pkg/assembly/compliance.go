package assembly

import (
	"context"
	"encoding/json"
	"sync"
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
	// commandWait bounds what is passed on; a redrive may take a while. It is
	// shorter than the door waits, so that the asker learns of it.
	commandWait = 90 * time.Second
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
		Drift: func(ctx context.Context) error {
			if err := eventlog.Check(ctx, js, site.streams()); err != nil {
				return err
			}
			if err := eventlog.CheckConsumers(ctx, js, eventlog.RawStream); err != nil {
				return err
			}
			return eventlog.CheckConsumers(ctx, js, eventlog.CleanStream)
		},
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

// A served command can be stopped: it takes no more requests, and answers those
// it has as long as the context lets it.
type served func() (stop func(context.Context) error, err error)

// maxReply leaves a message room for its headers.
const maxReply = 900 << 10

// onCommand answers a command with what do returns.
func onCommand[Q, A any](site *Site, nc *nats.Conn, name string, do func(context.Context, Q) (A, error)) served {
	log := site.Log.With("command", name)
	return func() (func(context.Context) error, error) {
		return eventlog.Serve(nc, eventlog.CommandTopic(name), "lethe", log, func(ctx context.Context, r eventlog.Request) []byte {
			var q Q
			if err := json.Unmarshal(r.Data, &q); err != nil {
				return operation.NewReply(nil, fault.Invalid.Errorf("the request is not readable"))
			}
			a, err := do(ctx, q)
			if err != nil {
				log.Warn("command failed", "err", err)
			}
			reply := operation.NewReply(a, err)
			if len(reply) > maxReply {
				reply = operation.NewReply(nil, fault.Exhausted.Errorf("the answer is too long"))
			}
			return reply
		})
	}
}

// withCommands serves commands while a service runs. They stop first, so that
// none finds the service gone.
func withCommands(service process.Service, commands ...served) process.Service {
	return process.Func(func(ctx context.Context, ready func()) error {
		var stops []func(context.Context) error
		stop := sync.OnceFunc(func() {
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			for _, s := range stops {
				_ = s(grace) // what is left unanswered is asked again
			}
		})
		for _, c := range commands {
			s, err := c()
			if err != nil {
				stop()
				return err
			}
			stops = append(stops, s)
		}
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		context.AfterFunc(ctx, func() { stop(); cancel() })
		err := service.Run(own, ready)
		stop()
		return err
	})
}
