package assembly

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/process"
)

// Version is that of this build: -ldflags "-X …/pkg/assembly.Version=…".
var Version = "development"

// A Part is one service of Lethe: a name, and how to make it from a site. It is
// made when it starts, after the parts before it are ready.
type Part struct {
	Name string
	Make func(ctx context.Context, site *Site) (process.Service, error)
}

// named is the part as something process.Run can start. A service with a
// Check of its own is asked by /readyz.
func (p Part) named(site *Site) process.Named {
	var made atomic.Value
	run := process.Func(func(ctx context.Context, ready func()) error {
		service, err := p.Make(ctx, site)
		if err != nil {
			return err
		}
		if c, ok := service.(checker); ok {
			made.Store(c)
		}
		return service.Run(ctx, ready)
	})
	return site.Health.Watch(process.Named{Name: p.Name, Service: run}, func(ctx context.Context) error {
		if c, ok := made.Load().(checker); ok {
			return c.Check(ctx)
		}
		return nil
	})
}

type checker interface {
	Check(ctx context.Context) error
}

// Addresses is where a running process is reached. It is what --ready-file
// receives, and what a CLI on the same machine reads from the data directory.
type Addresses struct {
	HTTP    string `json:"http"`
	NATS    string `json:"nats,omitempty"`
	Keyring string `json:"keyring,omitempty"`
	SQL     string `json:"sql,omitempty"`        // the SQL door's own listener
	Engine  int    `json:"engine_pid,omitempty"` // process ID of the embedded engine
	PID     int    `json:"pid"`
}

// AddressesFile is the name in the data directory under which `lethe up`
// leaves its addresses.
const AddressesFile = "run.json"

// Run runs parts with the given settings until ctx ends, then the door they
// serve HTTP through. onReady may be nil.
func Run(ctx context.Context, c config.Config, log *slog.Logger, onReady func(Addresses), parts ...Part) error {
	site, err := NewSite(c, log)
	if err != nil {
		return err
	}
	defer site.close()
	var services []process.Named
	for _, p := range append(parts, Door) {
		services = append(services, p.named(site))
	}
	return process.Run(ctx, log, func() {
		a := site.addresses()
		if err := announce(c, a); err != nil {
			log.Error("ready file not written", "err", err)
		}
		if onReady != nil {
			onReady(a)
		}
	}, services...)
}

func announce(c config.Config, a Addresses) error {
	if c.ReadyFile == "" {
		return nil
	}
	return writeJSON(c.ReadyFile, a)
}

// writeJSON replaces a file as a whole, so that a reader never sees half of it.
func writeJSON(file string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temp := file + ".new"
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temp, file)
}

// Main is the body of a program that runs parts as a process of its own. It
// takes --config FILE; everything else comes from the file and from LETHE_
// variables.
func Main(parts ...Part) {
	os.Exit(serve(os.Args, os.Stderr, parts...))
}

func serve(args []string, stderr io.Writer, parts ...Part) int {
	name := filepath.Base(args[0])
	file := ""
	switch {
	case len(args) == 3 && args[1] == "--config":
		file = args[2]
	case len(args) != 1:
		fmt.Fprintf(stderr, "usage: %s [--config FILE]\n", name)
		return 2
	}
	c, err := config.Load(file, config.Environ(), nil)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 2
	}
	log, err := NewLogger(stderr, c.Log)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := Run(ctx, c, log, nil, parts...); err != nil {
		log.Error("process failed", "err", err)
		return 1
	}
	return 0
}

// NewLogger makes the process's logger.
func NewLogger(w io.Writer, c config.Log) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		return nil, fault.Invalid.Errorf("log.level is debug, info, warn or error")
	}
	opts := &slog.HandlerOptions{Level: level}
	switch c.Format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	}
	return nil, fault.Invalid.Errorf("log.format is json or text")
}
