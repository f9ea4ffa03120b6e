package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// errEvidence ends a command with exit code 3 whose output has said why.
var errEvidence = errors.New("the evidence does not hold")

func auditVerifyCommand() *cobra.Command {
	var key, report string
	var checkpoints []string
	cmd := &cobra.Command{
		Use:   "verify FILE|-",
		Short: "Check a file of evidence, with no server and no data directory",
		Long: `Check a file of evidence and say in plain sentences what it proves, what it does
not, and what is wrong. It needs the file alone, and can be done on any machine.

With the key and a checkpoint that were kept elsewhere it also shows whether
what was on record then is still there, unchanged. 'lethe audit checkpoint'
prints both; keep what it prints.

The exit code is 3 when something does not hold, which another key than the
bundle's is too, 2 when what --key is given is no key, and 1 when a file cannot be
read.`,
		Example: "  lethe audit verify evidence.json\n  lethe audit verify evidence.json --key @kept.txt --checkpoint kept.txt --report report.html",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&key, "key", "", "verifier key that was kept elsewhere, or @FILE that holds it, such as what 'lethe audit checkpoint' printed")
	cmd.Flags().StringArrayVar(&checkpoints, "checkpoint", nil, "file with a checkpoint that was kept elsewhere; can be repeated")
	cmd.Flags().StringVar(&report, "report", "", "also write a readable report (HTML, fit to print) to this file")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o, err := kept(cmd, key, checkpoints)
		if err != nil {
			return err
		}
		bundle, err := readInput(cmd, args[0])
		if err != nil {
			return err
		}
		result, err := evidence.Check(bundle, o)
		if err != nil {
			return fmt.Errorf("checking %s: %w", args[0], err)
		}
		if report != "" {
			page, err := evidence.HTML(bundle, o)
			if err != nil {
				return err
			}
			if err := writeFile(report, func(w io.Writer) error { _, err := w.Write(page); return err }); err != nil {
				return err
			}
		}
		if *out == "json" {
			err = printJSON(cmd.OutOrStdout(), result)
		} else {
			err = printResult(cmd.OutOrStdout(), result)
		}
		if err == nil && !result.OK {
			return errEvidence
		}
		return err
	}
	return cmd
}

func auditRecoverCommand(g *globals) *cobra.Command {
	var lost bool
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Let the audit log go on without its stream, which was lost",
		Long: `Say where the audit log of a Lethe that does not run stands, and, with
--stream-lost, let it go on without the stream that it was made of.

Lethe does not start when the stream LETHE_AUDIT was lost, or put back from a
copy that is older than the audit log: what was recorded and was in the stream
alone may be missing, and nobody could tell. Put back the right copy, if there is
one. Where there is none, this goes on record as an entry of its own: the log
keeps its key and everything in it, so that every checkpoint that was kept still
holds, and evidence and 'lethe verify' say what happened.`,
		Example: "  lethe audit recover --data /var/lib/lethe\n  lethe audit recover --data /var/lib/lethe --stream-lost",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&lost, "stream-lost", false, "the stream LETHE_AUDIT is lost for good, or there is only an older copy of it")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.settings(nil)
		if err != nil {
			return err
		}
		at, err := assembly.RecoverAudit(cmd.Context(), c, lost, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		outcome := "Nothing was changed. Where the stream is lost for good, say so with --stream-lost.\n"
		if lost {
			outcome = "The loss is on record. Start Lethe: the log goes on with the stream that is there.\n"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "The audit log stands at sequence %d of its stream, signed by the key\n%s\n\n%s\n%s", at.Sequence, at.Key, at.Checkpoint, outcome)
		return err
	}
	return cmd
}

func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	if name == "-" {
		b, err := io.ReadAll(cmd.InOrStdin())
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return b, nil
	}
	return os.ReadFile(name)
}

// kept reads what a reader has from elsewhere: the key and the checkpoints may
// stand in one file, as `lethe audit checkpoint` prints them.
func kept(cmd *cobra.Command, key string, checkpoints []string) (o evidence.Options, err error) {
	switch file, ok := strings.CutPrefix(key, "@"); {
	case ok:
		text, err := os.ReadFile(file)
		if err != nil {
			return o, err
		}
		if o.Key, err = evidence.ParseKey(string(text)); err != nil {
			return o, fmt.Errorf("reading the key in %s: %w", file, err)
		}
	case key != "":
		if o.Key, err = evidence.ParseKey(key); err != nil {
			return o, badUsage(cmd, fmt.Errorf("--key takes a verifier key, as 'lethe audit checkpoint' prints it, or @FILE for a file that holds one: %w", err))
		}
	}
	for _, file := range checkpoints {
		text, err := os.ReadFile(file)
		if err != nil {
			return o, err
		}
		found, err := evidence.ParseCheckpoints(string(text))
		if err != nil {
			return o, fmt.Errorf("reading the checkpoint in %s: %w", file, err)
		}
		o.Earlier = append(o.Earlier, found...)
	}
	return o, nil
}

func printResult(w io.Writer, r evidence.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.Verdict())
	fmt.Fprintf(&b, "of      %s, made %s by Lethe %s\n", r.Origin, r.Made.UTC().Format(time.RFC3339), r.Version)
	if r.Intact {
		fmt.Fprintf(&b, "entries %d, from %s to %s\n", r.Entries, r.From.UTC().Format(time.RFC3339), r.To.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "policy  %s\nkey     SHA-256 %s\n", r.Policy, r.Fingerprint)
	for _, part := range []struct {
		title     string
		sentences []string
	}{{"Wrong", r.Problems}, {"Proved", r.Proved}, {"Not proved", r.NotProved}} {
		if len(part.sentences) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n%s:\n", part.title)
		for _, s := range part.sentences {
			fmt.Fprintf(&b, "  - %s\n", s)
		}
	}
	if r.Checkpoint != "" {
		fmt.Fprintf(&b, "\nThe checkpoint, to be kept elsewhere:\n\n%s", r.Checkpoint)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
