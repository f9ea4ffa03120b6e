package assembly

import (
	"context"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/process"
	"github.com/lethe-pipeline/lethe/pkg/pseudonymizer"
)

// Pseudonymizer reads the raw log and appends to the clean log and to
// quarantine. It is the only part of the flow that opens raw events and makes
// tokens, and runs where the keyring is.
var Pseudonymizer = Part{"pseudonymizer", func(ctx context.Context, site *Site) (process.Service, error) {
	log := site.Log.With("service", "pseudonymizer")
	keys := site.localKeys()
	if keys == nil {
		return nil, fault.Invalid.Errorf("the pseudonymizer runs where the keyring is")
	}
	nc, err := site.Connection("pseudonymizer")
	if err != nil {
		return nil, err
	}
	raw, err := eventlog.OpenReader(ctx, nc, eventlog.ReaderConfig{Stream: eventlog.RawStream, Durable: eventlog.RawConsumer, Log: log})
	if err != nil {
		return nil, err
	}
	clean := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.CleanStream, Linger: -1, Metrics: site.Registry, Log: log})
	quarantine := eventlog.NewWriter(nc, eventlog.WriterConfig{Stream: eventlog.QuarantineStream, Linger: -1, Metrics: site.Registry, Log: log})
	p, err := pseudonymizer.New(pseudonymizer.Config{
		Policy:     site.Policy,
		Raw:        raw,
		Clean:      clean,
		Quarantine: quarantine,
		Frames:     eventlog.NewLog(nc),
		Keys:       keys.Pseudonymizer(),
		Metrics:    site.Registry,
		Log:        log,
		Now:        time.Now,
	})
	if err != nil {
		return nil, err
	}
	// A connection of their own, so that a long redrive holds up nothing.
	asked, err := site.Connection("pseudonymizer")
	if err != nil {
		return nil, err
	}
	run := process.Func(func(ctx context.Context, ready func()) error {
		err := p.Run(ctx, ready)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		return errors.Join(err, clean.Close(stop), quarantine.Close(stop), raw.Close())
	})
	return reporting(site, nc, "pseudonymizer", p.Numbers, withCommands(run,
		onCommand(site, asked, operation.CommandQuarantine, func(ctx context.Context, _ any) (operation.QuarantineList, error) {
			return listQuarantine(ctx, p)
		}),
		onCommand(site, asked, operation.CommandRedrive, func(ctx context.Context, _ any) (operation.RedriveAnswer, error) {
			r, err := p.Redrive(ctx)
			return operation.RedriveAnswer(r), err
		}),
	)), nil
}}

func listQuarantine(ctx context.Context, p *pseudonymizer.Pseudonymizer) (operation.QuarantineList, error) {
	list := operation.QuarantineList{Items: []operation.QuarantineItem{}}
	waiting, err := p.Waiting(ctx)
	for _, w := range waiting {
		list.Frames++
		list.Events += w.Count
		if len(list.Items) < operation.MaxListed {
			list.Items = append(list.Items, operation.QuarantineItem(w))
		}
	}
	return list, err
}
