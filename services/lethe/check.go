package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/assembly"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

func checkCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Lint schemas and pipelines; every problem as file:line with a sentence",
		Example: "  lethe check\n  lethe check --policy ./policy",
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		pol, err := assembly.LoadPolicy(g.policy)
		var problems policy.Problems
		switch {
		case errors.As(err, &problems):
			if *out == "json" {
				if err := printJSON(cmd.OutOrStdout(), map[string]any{"problems": problems}); err != nil {
					return err
				}
			} else {
				fmt.Fprintln(cmd.OutOrStdout(), problems.Error())
			}
			return errReported
		case err != nil:
			return err
		case *out == "json":
			return printJSON(cmd.OutOrStdout(), map[string]any{"problems": []policy.Problem{}, "digest": pol.Digest()})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "The policy is sound: %d schemas, %d tables, %d metrics, %d deletion classes.\ndigest %s\n",
			len(pol.Schemas()), len(pol.Tables()), len(pol.Metrics()), len(pol.Classes()), pol.Digest())
		return nil
	}
	return cmd
}
