package assembly

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// hoursAhead is how many hours' raw keys exist before their hour comes, so
// that no event waits for a disk when an hour begins.
const hoursAhead = 3

// Keyring holds the keys. Every other part reaches them through a power: in
// this process as a value, in others over mutual TLS where keyring.listen is
// set.
var Keyring = Part{"keyring", func(ctx context.Context, site *Site) (process.Service, error) {
	dir := site.Config.Keyring.Dir
	if dir == "" {
		dir = filepath.Join(site.Config.Data, "keys")
	}
	kek := site.Config.Keyring.KEKFile
	if kek == "" {
		kek = filepath.Join(dir, "kek.txt")
	}
	c := keyring.Config{Dir: dir, KEKFile: kek, Log: site.Log.With("service", "keyring")}
	ring, err := keyring.Open(ctx, c)
	if errors.Is(err, fault.NotFound) {
		if err = keyring.Create(ctx, c); err == nil {
			ring, err = keyring.Open(ctx, c)
		}
	}
	if err != nil {
		return nil, err
	}
	site.onClose(func() { _ = ring.Close() })
	var server *keyring.Server
	if site.Config.Keyring.Listen != "" {
		if server, err = keyServer(site, ring); err != nil {
			return nil, err
		}
	}
	site.mu.Lock()
	site.keys = ring
	if server != nil {
		site.keyAddr = server.Addr()
	}
	site.mu.Unlock()
	nc, err := site.Connection("pseudonymizer") // the keyring lives beside it
	if err != nil {
		return nil, err
	}
	run := process.Func(func(ctx context.Context, ready func()) error {
		if err := ring.Prepare(ctx, DefaultTenant, time.Now(), hoursAhead); err != nil {
			return err
		}
		if server == nil {
			ready()
			return prepareKeys(ctx, site, ring)
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		prepared := make(chan error, 1)
		go func() { prepared <- prepareKeys(ctx, site, ring) }()
		err := server.Run(ctx, ready)
		cancel()
		return errors.Join(err, <-prepared)
	})
	return withCommands(run, onCommand(site, nc, operation.CommandKeys, func(ctx context.Context, _ any) (operation.KeyList, error) {
		return listKeys(ctx, ring)
	})), nil
}}

// listKeys describes the keys, the live ones first.
func listKeys(ctx context.Context, ring *keyring.Keyring) (operation.KeyList, error) {
	list := operation.KeyList{Keys: []operation.KeyInfo{}}
	keys, err := ring.Retention().List(ctx)
	var destroyed []operation.KeyInfo
	for _, k := range keys {
		if k.Live() {
			list.Live++
			list.Keys = append(list.Keys, operation.KeyInfo{Name: k.ID, State: "live", At: k.Created})
		} else {
			list.Destroyed++
			destroyed = append(destroyed, operation.KeyInfo{Name: k.ID, State: "destroyed", At: k.Destroyed})
		}
	}
	list.Keys = append(list.Keys, destroyed...)
	list.Keys = list.Keys[:min(len(list.Keys), operation.MaxListed)]
	return list, err
}

// keyCallers says which power the certificate of each service grants.
var keyCallers = map[string]keyring.Power{
	"gateway":   keyring.PowerGateway,
	"loader":    keyring.PowerLoader,
	"retention": keyring.PowerRetention,
}

func keyServer(site *Site, ring *keyring.Keyring) (*keyring.Server, error) {
	t, err := keyring.ServerTLS(site.Config.Keyring.Certificates)
	if err != nil {
		return nil, err
	}
	return keyring.NewServer(keyring.ServerConfig{
		Keyring: ring,
		Listen:  site.Config.Keyring.Listen,
		TLS:     t,
		Callers: keyCallers,
		Log:     site.Log.With("service", "keyring"),
	})
}

func prepareKeys(ctx context.Context, site *Site, ring *keyring.Keyring) error {
	tick := time.NewTicker(10 * time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := ring.Prepare(ctx, DefaultTenant, time.Now(), hoursAhead); err != nil && ctx.Err() == nil {
				// The gateway makes the key of its hour itself when it must.
				site.Log.Warn("raw keys not prepared", "err", err)
			}
		}
	}
}
