package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/logformat"
)

func importCommand(g *globals) *cobra.Command {
	var format, service, rebase string
	cmd := &cobra.Command{
		Use:   "import --format F --service S FILE...",
		Short: "Publish the lines of access logs",
		Long: `Publish the lines of access logs (formats: ` + strings.Join(logformat.Formats(), ", ") + `).

Each line gets an id from its own bytes and its ordinal among identical lines,
so the same file imported again adds nothing, and identical lines all count.
With --rebase now every line is moved by the same number of whole days, so that
the newest falls within the last 24 hours.`,
		Example: "  lethe import --format combined --service web /var/log/nginx/access.log\n  zcat access.log.2.gz | lethe import --format combined --service web -",
		Args:    cobra.MinimumNArgs(1),
	}
	cmd.Flags().StringVar(&format, "format", "", "format of the lines: "+strings.Join(logformat.Formats(), ", "))
	cmd.Flags().StringVar(&service, "service", "", "service that the lines come from")
	cmd.Flags().StringVar(&rebase, "rebase", "", `"now" moves all lines by whole days to the present`)
	_ = cmd.MarkFlagRequired("format")
	_ = cmd.MarkFlagRequired("service")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		known := false
		for _, f := range logformat.Formats() {
			known = known || f == format
		}
		switch {
		case !known:
			return badUsage(cmd, fault.Invalid.Errorf("--format is one of %s", strings.Join(logformat.Formats(), ", ")))
		case rebase != "" && rebase != "now":
			return badUsage(cmd, fault.Invalid.Errorf(`--rebase is "now" or not given`))
		}
		c, err := g.connectAs("publisher", service)
		if err != nil {
			return err
		}
		im := importer{format: format, progress: cmd.ErrOrStderr()}
		account, problems, err := im.run(cmd.Context(), c, args, rebase == "now")
		if err != nil && account.Read > 0 {
			return fmt.Errorf("%w (until then: %d read, %d stored; importing again goes on, what is stored is not stored twice)", err, account.Read, account.Stored)
		}
		if err != nil {
			return err
		}
		return printAccount(cmd, *out, account, problems)
	}
	return cmd
}

type importer struct {
	format   string
	progress io.Writer
}

// input is one file of an import, readable twice.
type input struct {
	name string
	io.ReadSeeker
	start   int64
	release func() error
}

func (im importer) run(ctx context.Context, c *client.Client, names []string, rebase bool) (client.Account, []problem, error) {
	var account client.Account
	inputs, err := open(names)
	defer func() {
		for _, in := range inputs {
			_ = in.release()
		}
	}()
	if err != nil {
		return account, nil, err
	}
	opt := logformat.Options{Ordinals: logformat.NewOrdinals()}
	if rebase {
		var newest time.Time
		for _, in := range inputs {
			at, err := logformat.Newest(im.format, in)
			if err != nil {
				return account, nil, err
			}
			if at.After(newest) {
				newest = at
			}
			if _, err := in.Seek(in.start, io.SeekStart); err != nil {
				return account, nil, err
			}
		}
		opt.Shift = logformat.ShiftFor(newest, time.Now())
	}

	// mu guards account, problems and failed: results come from other
	// goroutines.
	var mu sync.Mutex
	var problems []problem
	var failed error
	lines := map[string]place{} // client id → where it stands, while on its way
	bar := im.bar()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	publisher := c.Publisher(client.PublisherConfig{Results: func(r client.Result) {
		mu.Lock()
		defer mu.Unlock()
		if r.Err != nil {
			if failed == nil {
				failed = r.Err
				cancel(r.Err)
			}
			return
		}
		account.Tally(r.Receipts)
		for i, receipt := range r.Receipts {
			at := lines[r.Events[i].ID]
			delete(lines, r.Events[i].ID)
			if receipt.Status == client.Refused {
				problems = append(problems, problem{at, receipt.Problem})
			}
		}
		_ = bar.Add(len(r.Receipts))
	}})
	var readErr error
	for _, in := range inputs {
		if readErr = im.publish(ctx, publisher, in, opt, func(id string, at place) {
			mu.Lock()
			lines[id] = at
			mu.Unlock()
		}, func(p problem) {
			mu.Lock()
			defer mu.Unlock()
			account.Refuse(p.reason)
			problems = append(problems, p)
			_ = bar.Add(1)
		}); readErr != nil {
			break
		}
	}
	// A publisher whose context has ended still says what became of each event.
	closeErr := publisher.Close(ctx)
	_ = bar.Finish()
	mu.Lock()
	defer mu.Unlock()
	return account, problems, firstOf(failed, readErr, closeErr)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (im importer) publish(ctx context.Context, p *client.Publisher, in input, opt logformat.Options, sent func(string, place), refused func(problem)) error {
	for line, bad := range logformat.Read(im.format, in, opt) {
		switch {
		case bad != nil && bad.Err != nil:
			return bad.Err
		case bad != nil:
			refused(problem{place{in.name, bad.Number}, bad.Reason})
			continue
		}
		sent(line.ID, place{in.name, line.Number})
		err := p.Add(ctx, client.Event{Event: line.Event, ID: line.ID, OccurredAt: line.OccurredAt, Data: line.Data})
		if errors.Is(err, fault.Invalid) {
			refused(problem{place{in.name, line.Number}, err.Error()})
		} else if err != nil {
			return err
		}
	}
	return nil
}

func open(names []string) ([]input, error) {
	var inputs []input
	for _, name := range names {
		r := io.Reader(os.Stdin)
		shut := func() error { return nil }
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return inputs, err
			}
			r, shut = f, f.Close
		}
		rewindable, release, err := logformat.Rewindable(r)
		if err != nil {
			return inputs, errors.Join(err, shut())
		}
		in := input{name: name, ReadSeeker: rewindable, release: func() error { return errors.Join(release(), shut()) }}
		inputs = append(inputs, in)
		// Standard input may be a file that somebody has read part of.
		if inputs[len(inputs)-1].start, err = in.Seek(0, io.SeekCurrent); err != nil {
			return inputs, err
		}
	}
	return inputs, nil
}

// bar shows progress and rate on a terminal and nothing in a pipe.
func (im importer) bar() *progressbar.ProgressBar {
	w := im.progress
	if f, ok := w.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		w = io.Discard
	}
	return progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("importing"),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("lines"),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
}
