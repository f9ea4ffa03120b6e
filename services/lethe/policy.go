package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/config"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/operation"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

func planCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show where the running system differs from its policy, or what another policy would change",
		Long: `Show where the running system differs from the policy in force. With --policy,
show what that policy would change: what people must be told of first, what
would go at once because a period is shorter, and what changes in tables,
streams and users. Nothing is changed.`,
		Example: "  lethe plan\n  lethe plan --policy ./policy",
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var plan operation.Plan
		if g.policy == "" {
			err = c.Do(cmd.Context(), http.MethodGet, "/v1/plan", nil, nil, &plan)
		} else {
			var documents []byte
			if documents, err = archived(g.policy); err == nil {
				err = c.Do(cmd.Context(), http.MethodPost, "/v1/plan", nil, documents, &plan)
			}
		}
		if err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), plan)
		}
		return printPlan(cmd.OutOrStdout(), plan)
	}
	return cmd
}

// archived compiles the documents of a directory over the built-in ones, and
// writes them all as one text.
func archived(dir string) ([]byte, error) {
	pol, err := assembly.LoadPolicy(dir)
	if err != nil {
		return nil, err
	}
	return pol.Documents().Archive()
}

func printPlan(w io.Writer, plan operation.Plan) error {
	another := plan.Digest != plan.Running
	if plan.Next != "" {
		fmt.Fprintf(w, "A policy was applied and begins with the next start: %s\n\n", plan.Next)
	}
	if another {
		fmt.Fprintf(w, "policy   %s\ninstead of %s\n", plan.Digest, plan.Running)
	}
	if len(plan.Policy) > 0 {
		rows := make([][]string, len(plan.Policy))
		for i, c := range plan.Policy {
			rows[i] = []string{string(c.Weight), c.Where, c.Sentence}
		}
		fmt.Fprintln(w)
		if err := table(w, []string{"WEIGHT", "WHERE", "CHANGE"}, rows); err != nil {
			return err
		}
	}
	if len(plan.Goes) > 0 {
		rows := make([][]string, len(plan.Goes))
		for i, n := range plan.Goes {
			rows[i] = []string{n.Class, strconv.FormatUint(n.Rows, 10), strconv.Itoa(n.Partitions), strconv.Itoa(n.Keys)}
		}
		fmt.Fprintln(w, "\nWhat goes at once, because its period is shorter:")
		if err := table(w, []string{"CLASS", "ROWS", "IN PARTITIONS", "KEYS"}, rows); err != nil {
			return err
		}
	}
	for _, sentence := range plan.Waits {
		fmt.Fprintf(w, "\nNot yet: %s.\n", sentence)
	}
	switch {
	case len(plan.Changes) > 0:
		rows := make([][]string, len(plan.Changes))
		for i, c := range plan.Changes {
			rows[i] = []string{c.Where, c.Sentence}
		}
		if another {
			fmt.Fprintln(w)
		}
		return table(w, []string{"WHERE", "DIFFERENCE"}, rows)
	case !another:
		_, err := fmt.Fprintln(w, "The running system is as the policy says.")
		return err
	}
	return nil
}

func applyCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make a policy the one in force",
		Long: `Make a policy the one in force. What is different goes on record first. What
people must be told of, and what something does not survive, takes --yes.

With nats.url and clickhouse.addr set, create and change streams, consumers and
tables on those servers as the policy says, with the operator's credentials;
the services follow when they are started with the policy.

Otherwise give the documents of --policy to a running 'lethe up', which keeps
them: the policy is enacted when it is started again, without --policy.`,
		Example: "  lethe plan --policy ./policy\n  lethe apply --policy ./policy",
	}
	yes := cmd.Flags().Bool("yes", false, "people have been told of what they must be told of")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.settings(nil)
		if err != nil {
			return badUsage(cmd, err)
		}
		if c.NATS.URL != "" && c.ClickHouse.Addr != "" {
			return applyServers(cmd, c, *yes)
		}
		if g.policy == "" {
			return badUsage(cmd, fault.Invalid.Errorf("name the documents with --policy, or set nats.url and clickhouse.addr; a Lethe of its own applies its policy when it starts"))
		}
		return applyNext(cmd, g, *yes)
	}
	return cmd
}

// applyServers applies the policy of the settings to servers that Lethe does
// not run.
func applyServers(cmd *cobra.Command, c config.Config, yes bool) error {
	log, err := assembly.NewLogger(os.Stderr, c.Log)
	if err != nil {
		return badUsage(cmd, err)
	}
	return assembly.Apply(cmd.Context(), c, log, func(changes []policy.Change) error {
		grave := operation.Grave(changes)
		if len(grave) == 0 || yes {
			return nil
		}
		rows := make([][]string, len(grave))
		for i, ch := range grave {
			rows[i] = []string{string(ch.Weight), ch.Where, ch.Sentence}
		}
		if err := table(cmd.OutOrStdout(), []string{"WEIGHT", "WHERE", "CHANGE"}, rows); err != nil {
			return err
		}
		return errUntold
	})
}

// applyNext gives a policy to a running Lethe, for its next start.
func applyNext(cmd *cobra.Command, g *globals, yes bool) error {
	documents, err := archived(g.policy)
	if err != nil {
		return err
	}
	c, err := g.connect("operator")
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	var plan operation.Plan
	if err := c.Do(cmd.Context(), http.MethodPost, "/v1/plan", nil, documents, &plan); err != nil {
		return err
	}
	if err := printPlan(out, plan); err != nil {
		return err
	}
	for _, ch := range plan.Policy {
		if ch.Weight != policy.Note && !yes {
			return errUntold
		}
	}
	query := url.Values{operation.ToldParameter: {strconv.FormatBool(yes)}}
	if err := c.Do(cmd.Context(), http.MethodPost, "/v1/apply", query, documents, &plan); err != nil {
		return err
	}
	if plan.Next == "" {
		_, err = fmt.Fprintln(out, "\nThe policy is on record. It is the one in force.")
	} else {
		_, err = fmt.Fprintln(out, "\nThe policy is on record and kept. Start Lethe again, without --policy, to enact it.")
	}
	return err
}

var errUntold = fault.Conflict.Errorf("nothing was changed: people must be told of some of this first, or something breaks; say --yes when they have been and it may")

func ropaCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ropa",
		Short: "Print the record of processing activities (GDPR Art. 30) that follows from the policy",
	}
	out := outputFlag(cmd, "markdown", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		pol, err := assembly.LoadPolicy(g.policy)
		if err != nil {
			return err
		}
		cat := catalog.New(pol)
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), cat)
		}
		_, err = cmd.OutOrStdout().Write(cat.ROPA())
		return err
	}
	return cmd
}
