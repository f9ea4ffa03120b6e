package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
)

func upCommand(g *globals) *cobra.Command {
	var listen, readyFile, natsListen string
	var demo bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run all of Lethe in one process, with an embedded log and warehouse",
		Example: `  lethe up --demo
  lethe up --data /var/lib/lethe --listen 127.0.0.1:7480`,
	}
	cmd.Flags().StringVar(&listen, "listen", "", "HTTP address; port 0 picks a free one (default 127.0.0.1:7480)")
	cmd.Flags().StringVar(&readyFile, "ready-file", "", "file that receives every address as JSON once it can serve")
	cmd.Flags().StringVar(&natsListen, "nats-listen", "", "open a NATS port for publishers (default: none)")
	cmd.Flags().BoolVar(&demo, "demo", false, "publish made-up activations and page views all the time")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		extra := map[string]any{}
		for key, value := range map[string]string{"listen": listen, "ready_file": readyFile, "nats.listen": natsListen} {
			if value != "" {
				extra[key] = value
			}
		}
		if demo && os.Getenv("LETHE_LOG_LEVEL") == "" && g.config == "" {
			extra["log.level"] = "warn"
		}
		c, err := g.settings(extra)
		if err != nil {
			return badUsage(cmd, err)
		}
		log, err := assembly.NewLogger(cmd.ErrOrStderr(), c.Log)
		if err != nil {
			return badUsage(cmd, err)
		}
		// Looked at first, so that its absence is one sentence and not the end
		// of a start.
		if c.ClickHouse.Addr == "" {
			if _, err := embedded.FindLibrary(c.ClickHouse.Library); err != nil {
				return err
			}
		}
		// A failing demo ends the program; a stopping program ends the demo.
		ctx, cancel := context.WithCancelCause(cmd.Context())
		defer cancel(nil)
		shown := make(chan struct{})
		close(shown)
		err = assembly.Run(ctx, c, log, func(a assembly.Addresses) {
			welcome(cmd.OutOrStdout(), a, c.Data, g.data != "")
			if demo {
				shown = make(chan struct{})
				go func() {
					defer close(shown)
					if err := runDemo(ctx, cmd.OutOrStdout(), a.HTTP, c.Data, log); err != nil && ctx.Err() == nil {
						cancel(fmt.Errorf("running the demo: %w", err))
					}
				}()
			}
		}, assembly.Everything()...)
		cancel(nil)
		<-shown
		if cause := context.Cause(ctx); err == nil && cause != nil && cmd.Context().Err() == nil && cause != context.Canceled {
			return cause
		}
		return err
	}
	return cmd
}

func welcome(w io.Writer, a assembly.Addresses, data string, named bool) {
	program := "lethe"
	if path, err := os.Executable(); err == nil {
		if wd, err := os.Getwd(); err == nil {
			if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
				program = rel
			}
		}
	}
	flag := ""
	if named {
		flag = " --data " + data
	}
	fmt.Fprintf(w, `
Lethe is running.

  console      %[1]s/console/
  API          %[1]s
  credentials  %[2]s
  data         %[3]s

To try, in another terminal:

  %[4]s ask activations --by product%[5]s
  %[4]s ask viewers --by day%[5]s
  %[4]s status%[5]s
  %[4]s verify%[5]s

`, a.HTTP, filepath.Join(data, "credentials"), data, program, flag)
}
