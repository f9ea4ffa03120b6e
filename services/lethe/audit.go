package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func auditCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Read the audit log, take evidence of it, and check evidence anywhere",
	}
	cmd.AddCommand(auditListCommand(g), auditCheckpointCommand(g), auditExportCommand(g), auditVerifyCommand(), auditRecoverCommand(g))
	return cmd
}

func auditListCommand(g *globals) *cobra.Command {
	var kind string
	var limit int
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the latest entries of the audit log, newest first",
		Example: "  lethe audit list --kind removed --limit 20",
	}
	cmd.Flags().StringVar(&kind, "kind", "", "only entries of this kind: key, removal, removed, manifest, run, clock, hold, policy, verify, access, log, …")
	cmd.Flags().IntVar(&limit, "limit", 50, "how many, at most 1000")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		query := url.Values{"limit": {strconv.Itoa(limit)}}
		if kind != "" {
			query.Set("kind", kind)
		}
		var listed evidence.Listed
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/audit", query, nil, &listed); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), listed)
		}
		rows := make([][]string, len(listed.Entries))
		for i, e := range listed.Entries {
			rows[i] = []string{e.At.UTC().Format(time.RFC3339), fmt.Sprintf("%d/%d", e.Year, e.Place.Entry), string(e.Kind), e.By, what(e.Entry)}
		}
		if err := table(cmd.OutOrStdout(), []string{"AT", "ENTRY", "KIND", "BY", "WHAT"}, rows); err != nil {
			return err
		}
		if listed.More {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "… and older ones")
		}
		return err
	}
	return cmd
}

// what says in one line what an entry is about.
func what(e audit.Entry) string {
	say := func(into any, sentence func() string) string {
		if json.Unmarshal(e.Detail, into) != nil {
			return ""
		}
		return sentence()
	}
	var (
		key      audit.Key
		removal  audit.Removal
		removed  audit.Removed
		manifest audit.Manifest
		run      audit.Run
		clock    audit.Clock
		held     audit.Hold
		pol      audit.Policy
		verified audit.Verify
		tree     audit.Tree
		asked    audit.Access
		gap      audit.Gap
		refused  audit.Refused
		began    audit.Began
	)
	switch e.Kind {
	case audit.KindKey:
		return say(&key, func() string { return key.Verb + " " + key.Key })
	case audit.KindRemoval:
		return say(&removal, func() string { return fmt.Sprintf("to remove, %s: %s", removal.Reason, partitions(removal.Partitions)) })
	case audit.KindRemoved:
		return say(&removed, func() string { return "gone: " + partitions(removed.Partitions) })
	case audit.KindManifest:
		return say(&manifest, func() string {
			wrong := 0
			for _, l := range manifest.Lines {
				if !l.AddsUp() {
					wrong++
				}
			}
			s := fmt.Sprintf("%d rows in %d partitions", manifest.Rows, manifest.Partitions)
			if wrong > 0 {
				s += fmt.Sprintf("; %d partitions do not add up", wrong)
			}
			return s
		})
	case audit.KindRun:
		return say(&run, func() string {
			return fmt.Sprintf("%d partitions, %d keys, %d frames, %d files removed; %d failures", run.Partitions, run.Keys, run.Frames, run.Files, run.Failures)
		})
	case audit.KindAccess:
		return say(&asked, func() string {
			s := asked.Route + ", as " + asked.Role + " for " + asked.Purpose
			if asked.Credential != "" {
				s += ", on " + asked.Credential
			}
			if !asked.Allowed {
				s += "; denied: " + asked.Reason
			}
			return s
		})
	case audit.KindClock:
		return say(&clock, func() string {
			return fmt.Sprintf("from %s to %s, %s", clock.From.UTC().Format(time.RFC3339), clock.To.UTC().Format(time.RFC3339), becameOf(clock))
		})
	case audit.KindHold:
		return say(&held, func() string { return held.Verb + " " + held.ID })
	case audit.KindPolicy:
		return say(&pol, func() string {
			return fmt.Sprintf("%.12s, %d changes, %d to be told", pol.Digest, len(pol.Changes), len(pol.Tell))
		})
	case audit.KindVerify:
		return say(&verified, func() string {
			if verified.Holds {
				return "every enforced promise holds"
			}
			return "does not hold: " + strings.Join(verified.Broken, ", ")
		})
	case audit.KindTree:
		return say(&tree, func() string {
			if tree.Ended {
				return fmt.Sprintf("the tree of %d is past its rule and to be removed", tree.Year)
			}
			return fmt.Sprintf("the tree of %d begins", tree.Year)
		})
	case audit.KindGap:
		return say(&gap, func() string { return fmt.Sprintf("missing: %d to %d of the stream", gap.From, gap.To) })
	case audit.KindRefused:
		return say(&refused, func() string { return fmt.Sprintf("%d of the stream is no entry: %s", refused.Seq, refused.Reason) })
	case audit.KindLog:
		return say(&began, func() string {
			switch began.Lost {
			case audit.LostLog:
				return fmt.Sprintf("the log was lost and is begun anew; it stood at %d of the stream", began.Through)
			case audit.LostStream:
				return fmt.Sprintf("the stream was lost and the log goes on without it; it stood at %d", began.Through)
			}
			return "signed by the key " + began.Key
		})
	}
	return ""
}

// partitions names one partition, or counts several.
func partitions(all []audit.Partition) string {
	if len(all) == 1 {
		return fmt.Sprintf("%s %s, %d rows", all[0].Table, all[0].Day, all[0].Rows)
	}
	rows := uint64(0)
	for _, p := range all {
		rows += p.Rows
	}
	return fmt.Sprintf("%d partitions, %d rows", len(all), rows)
}

func auditCheckpointCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest checkpoint and its key, to be kept elsewhere",
		Long: `Print the newest signed checkpoint of the audit log, and the key that it can be
checked with. Keep both where nobody who runs this Lethe can change them: given
to 'lethe audit verify', they show any change of what was on record until then.`,
		Example: "  lethe audit checkpoint > checkpoint-2026-11.txt\n  lethe audit verify evidence.json --key @checkpoint-2026-11.txt --checkpoint checkpoint-2026-11.txt",
	}
	out := outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		var head evidence.Head
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/audit/checkpoint", url.Values{"format": {"json"}}, nil, &head); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), head)
		}
		if head.Checkpoint == "" {
			return fault.NotFound.Errorf("nothing is on record yet")
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\nkey %s\nfingerprint %s\n", head.Checkpoint, head.Key, head.Fingerprint)
		return err
	}
	return cmd
}

func auditExportCommand(g *globals) *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "export FILE|-",
		Short: "Verify, and write evidence of everything on record to a file",
		Long: `Verify, put the outcome on record, and write one file of evidence: the report,
the rules, and the audit log with its signed checkpoint. 'lethe audit verify'
checks it on any machine, with nothing else.`,
		Example: "  lethe audit export evidence.json\n  lethe audit export evidence.json --since 2026-10-01",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&since, "since", "all", "first day, YYYY-MM-DD, or all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		query := url.Values{"since": {since}}
		if args[0] == "-" {
			return c.Do(cmd.Context(), http.MethodGet, "/v1/evidence", query, nil, cmd.OutOrStdout())
		}
		return writeFile(args[0], func(w io.Writer) error {
			return c.Do(cmd.Context(), http.MethodGet, "/v1/evidence", query, nil, w)
		})
	}
	return cmd
}

// writeFile makes a file whole or not at all. One that is there is replaced.
func writeFile(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".lethe-*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name()) // what is left of it is of no use
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}
