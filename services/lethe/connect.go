package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// globals are the flags every command understands.
type globals struct {
	config, data, policy, server, as, purpose string
}

// settings loads the configuration of a process that runs services.
func (g *globals) settings(extra map[string]any) (config.Config, error) {
	over := map[string]any{}
	if g.data != "" {
		over["data"] = g.data
	}
	if g.policy != "" {
		over["policy"] = g.policy
	}
	for k, v := range extra {
		over[k] = v
	}
	return config.Load(g.config, config.Environ(), over)
}

// dataDir is where a local Lethe keeps its files.
func (g *globals) dataDir() string {
	switch {
	case g.data != "":
		return g.data
	case os.Getenv("LETHE_DATA") != "":
		return os.Getenv("LETHE_DATA")
	default:
		return config.Default().Data
	}
}

// connect makes a client of a running Lethe for a role. The server is --server,
// $LETHE_SERVER, or the one that runs on the data directory; the credential is
// $LETHE_CREDENTIAL or the one `lethe up` wrote for the role.
func (g *globals) connect(role string) (*client.Client, error) { return g.connectAs(role, "") }

// connectAs is connect for a publisher whose events come from a service.
func (g *globals) connectAs(role, service string) (*client.Client, error) {
	if g.as != "" {
		role = g.as
	}
	server := g.server
	if server == "" {
		server = os.Getenv("LETHE_SERVER")
	}
	if server == "" {
		addresses, err := readAddresses(g.dataDir())
		if err != nil {
			return nil, err
		}
		server = addresses.HTTP
	}
	if !strings.Contains(server, "://") {
		server = "http://" + server
	}
	credential := os.Getenv("LETHE_CREDENTIAL")
	if credential == "" || g.as != "" {
		file := filepath.Join(g.dataDir(), "credentials", role)
		text, err := os.ReadFile(file)
		switch {
		case err == nil:
			credential = strings.TrimSpace(string(text))
		case credential == "":
			return nil, fault.Denied.Errorf("no credential: set LETHE_CREDENTIAL, or name the data directory of a local Lethe with --data (%s is not readable)", file)
		}
	}
	return client.New(client.Config{
		Server: server, Credential: credential, Service: service,
		Purpose: cmp.Or(g.purpose, os.Getenv("LETHE_PURPOSE")),
		// Requests are cut by their size and not by the clock, so that a file
		// imported again is the same requests again, which the door knows.
		Linger: 10 * time.Second,
		Log:    slog.New(slog.DiscardHandler),
	})
}

func readAddresses(data string) (assembly.Addresses, error) {
	var a assembly.Addresses
	b, err := os.ReadFile(filepath.Join(data, assembly.AddressesFile))
	if err != nil {
		return a, fault.Unavailable.Errorf("no Lethe runs on the data directory %s: start one with 'lethe up', or name another with --server or --data", data)
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("reading the addresses of the running Lethe: %w", err)
	}
	return a, nil
}
