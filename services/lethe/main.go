// Command lethe is the whole product in one program: `lethe up` runs every
// service with an embedded log and warehouse, and the other commands talk to a
// running one.
//
// Exit codes: 0 done, 1 failed, 2 bad usage, 3 a promise does not hold.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitBroken = 3
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == embedded.EngineChildCommand {
		embedded.EngineChildMain()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "lethe: %v\nRun '%s --help' for usage.\n", err, usage.command)
		return exitUsage
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "lethe: interrupted")
		return exitFailed
	case errors.Is(err, errReported):
		return exitFailed
	case errors.Is(err, errBroken), errors.Is(err, errEvidence):
		return exitBroken
	default:
		fmt.Fprintf(os.Stderr, "lethe: %v\n", err)
		return exitFailed
	}
}

// errReported ends a command with exit code 1 whose output has said why.
var errReported = errors.New("reported")

// usageError is a command line that cannot be run.
type usageError struct {
	command string
	err     error
}

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

func badUsage(cmd *cobra.Command, err error) error {
	return &usageError{command: cmd.CommandPath(), err: err}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "lethe",
		Short:         "An event pipeline that forgets on schedule, and proves it",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(badUsage)
	g := &globals{}
	root.PersistentFlags().StringVar(&g.config, "config", "", "configuration file (YAML)")
	root.PersistentFlags().StringVar(&g.data, "data", "", "data directory, of this Lethe or of a running one (default \"data\")")
	root.PersistentFlags().StringVar(&g.policy, "policy", "", "directory of further schemas and pipelines")
	root.PersistentFlags().StringVar(&g.server, "server", "", "address of a running Lethe, http://HOST:PORT (default from --data or $LETHE_SERVER)")
	root.PersistentFlags().StringVar(&g.as, "as", "", "role to ask as: publisher, analyst, officer, operator (with --data)")

	root.PersistentFlags().StringVar(&g.purpose, "purpose", "", "what you ask for, where your credential is for several purposes (default $LETHE_PURPOSE)")

	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "policy", Title: "Policy:"},
		&cobra.Group{ID: "publish", Title: "Publish:"},
		&cobra.Group{ID: "ask", Title: "Ask:"},
		&cobra.Group{ID: "evidence", Title: "Verify and prove:"},
		&cobra.Group{ID: "operate", Title: "Operate:"},
	)
	root.SetHelpCommandGroupID("run")
	root.SetCompletionCommandGroupID("run")
	root.AddCommand(
		grouped("run", upCommand(g), doctorCommand(g), secretsCommand(g), versionCommand())...,
	)
	root.AddCommand(grouped("policy", checkCommand(g), planCommand(g), applyCommand(g), ropaCommand(g))...)
	root.AddCommand(grouped("publish", publishCommand(g), importCommand(g))...)
	root.AddCommand(grouped("ask", askCommand(g))...)
	root.AddCommand(grouped("evidence", verifyCommand(g), auditCommand(g), holdCommand(g))...)
	root.AddCommand(grouped("operate", statusCommand(g), quarantineCommand(g), rebuildCommand(g), keysCommand(g), credentialsCommand(g), clockCommand(g))...)
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	requireKnownArguments(root)
	return root
}

func grouped(id string, commands ...*cobra.Command) []*cobra.Command {
	for _, c := range commands {
		c.GroupID = id
	}
	return commands
}

// requireKnownArguments makes a wrong number of arguments, a missing flag, or
// a subcommand that does not exist, bad usage (exit code 2).
func requireKnownArguments(c *cobra.Command) {
	check := c.Args
	if check == nil {
		check = cobra.NoArgs
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		if err := cmp.Or(check(cmd, args), cmd.ValidateRequiredFlags()); err != nil {
			return badUsage(cmd, err)
		}
		return nil
	}
	if c.HasSubCommands() && c.Run == nil && c.RunE == nil {
		c.RunE = func(cmd *cobra.Command, _ []string) error {
			return badUsage(cmd, fault.Invalid.Errorf("%s needs a subcommand", cmd.CommandPath()))
		}
	}
	for _, sub := range c.Commands() {
		requireKnownArguments(sub)
	}
}
