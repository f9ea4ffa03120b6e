package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/operation"
)

func planCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show where the running streams and tables differ from the policy",
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var plan operation.Plan
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/plan", nil, nil, &plan); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), plan)
		}
		if len(plan.Changes) == 0 {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "The running system is as the policy says.")
			return err
		}
		rows := make([][]string, len(plan.Changes))
		for i, ch := range plan.Changes {
			rows[i] = []string{ch.Where, ch.Sentence}
		}
		return table(cmd.OutOrStdout(), []string{"WHERE", "DIFFERENCE"}, rows)
	}
	return cmd
}

func applyCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "apply",
		Short: "Create and change streams, consumers and tables on external servers as the policy says",
		Long: `Create and change streams, consumers and tables as the policy says, on the
servers that nats.url and clickhouse.addr name, with the operator's
credentials. 'lethe up' does this for its own servers each time it starts.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.settings(nil)
			if err != nil {
				return badUsage(cmd, err)
			}
			if c.NATS.URL == "" || c.ClickHouse.Addr == "" {
				return badUsage(cmd, fault.Invalid.Errorf("set nats.url and clickhouse.addr; an embedded Lethe applies its policy when it starts"))
			}
			log, err := assembly.NewLogger(os.Stderr, c.Log)
			if err != nil {
				return badUsage(cmd, err)
			}
			return assembly.Apply(cmd.Context(), c, log)
		},
	}
}

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
