package assembly

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/audit"
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
	nc, err := site.Connection("pseudonymizer") // the keyring lives beside it
	if err != nil {
		return nil, err
	}
	record := site.recorder(nc, "keyring")
	c := keyring.Config{
		Dir: dir, KEKFile: kek, Log: site.Log.With("service", "keyring"),
		// P10: what is not on record is not done.
		Record: func(ctx context.Context, u keyring.Use) error {
			return record.Record(ctx, audit.KindKey, audit.Key{Verb: u.Verb, Key: u.Key, Power: string(u.Power), Caller: u.Caller})
		},
	}
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
	return withCommands(run,
		onCommand(site, nc, operation.CommandKeys, func(ctx context.Context, _ any) (operation.KeyList, error) {
			return listKeys(ctx, ring)
		}),
		onCommand(site, nc, commandInventory, func(ctx context.Context, q keyPageRequest) (keyPage, error) {
			return pageOfKeys(ctx, ring, q.After)
		}),
		onCommand(site, nc, commandStrays, func(ctx context.Context, _ any) ([]keyring.Stray, error) {
			return ring.Strays(ctx)
		}),
	), nil
}}

// What verify asks the keyring, which may be in another process: every live
// key, a page at a time, and what else is in its directory.
const (
	commandInventory = "key-inventory"
	commandStrays    = "key-strays"
)

type keyPageRequest struct {
	After string `json:"after"`
}

type keyPage struct {
	Keys []keyring.KeyInfo `json:"keys"`
	More bool              `json:"more"`
}

// keysOnPage keeps a page well below what one message may hold.
const keysOnPage = 2000

// pageOfKeys returns live keys in the order of their names.
func pageOfKeys(ctx context.Context, ring *keyring.Keyring, after string) (keyPage, error) {
	all, err := ring.Retention().Live(ctx)
	if err != nil {
		return keyPage{}, err
	}
	from, _ := slices.BinarySearchFunc(all, after, func(k keyring.KeyInfo, id string) int { return strings.Compare(k.ID, id) })
	if from < len(all) && all[from].ID == after {
		from++
	}
	to := min(from+keysOnPage, len(all))
	return keyPage{Keys: all[from:to], More: to < len(all)}, nil
}

// liveKeys asks for every page.
func liveKeys(ctx context.Context, nc *nats.Conn) ([]keyring.KeyInfo, error) {
	var all []keyring.KeyInfo
	for q := (keyPageRequest{}); ; q.After = all[len(all)-1].ID {
		var page keyPage
		if err := ask(ctx, nc, commandInventory, q, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Keys...)
		if !page.More || len(page.Keys) == 0 {
			return all, nil
		}
	}
}

// ask passes a request on and reads the answer.
func ask(ctx context.Context, nc *nats.Conn, name string, request, answer any) error {
	b, err := command(ctx, nc, name, request)
	if err != nil {
		return err
	}
	return operation.ParseReply(b, answer)
}

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
	"gateway":    keyring.PowerGateway,
	"loader":     keyring.PowerLoader,
	"cells":      keyring.PowerCells, // in the loader's process
	"retention":  keyring.PowerRetention,
	"compliance": keyring.PowerHold,
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
