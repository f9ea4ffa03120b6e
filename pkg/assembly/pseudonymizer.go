package assembly

import (
	"context"
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
	if err := pseudonymizerCommands(site, p); err != nil {
		return nil, err
	}
	return reporting(site, nc, "pseudonymizer", p.Numbers, process.Func(func(ctx context.Context, ready func()) error {
		err := p.Run(ctx, ready)
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		for _, c := range []func() error{func() error { return clean.Close(stop) }, func() error { return quarantine.Close(stop) }, raw.Close} {
			if closed := c(); err == nil {
				err = closed
			}
		}
		return err
	})), nil
}}

// pseudonymizerCommands lets operators look at quarantine and at the keyring's
// inventory, and redrive. The commands have a connection of their own, so that
// a long redrive holds up nothing.
func pseudonymizerCommands(site *Site, p *pseudonymizer.Pseudonymizer) error {
	nc, err := site.Connection("pseudonymizer")
	if err != nil {
		return err
	}
	if err := serveCommand(site, nc, operation.CommandQuarantine, func(ctx context.Context, _ any) (operation.QuarantineList, error) {
		waiting, err := p.Waiting(ctx)
		list := operation.QuarantineList{Items: []operation.QuarantineItem{}}
		for _, w := range waiting {
			list.Items = append(list.Items, operation.QuarantineItem(w))
		}
		return list, err
	}); err != nil {
		return err
	}
	if err := serveCommand(site, nc, operation.CommandRedrive, func(ctx context.Context, _ any) (operation.RedriveAnswer, error) {
		r, err := p.Redrive(ctx)
		return operation.RedriveAnswer(r), err
	}); err != nil {
		return err
	}
	return serveCommand(site, nc, operation.CommandKeys, func(ctx context.Context, _ any) (operation.KeyList, error) {
		keys, err := site.localKeys().Retention().List(ctx)
		list := operation.KeyList{Keys: []operation.KeyInfo{}}
		for _, k := range keys {
			i := operation.KeyInfo{Name: k.ID, State: "live", At: k.Created}
			if !k.Live() {
				i.State, i.At = "destroyed", k.Destroyed
			}
			list.Keys = append(list.Keys, i)
		}
		return list, err
	})
}
