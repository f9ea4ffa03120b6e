package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// outputFlag adds -o/--output with the given forms, the first the default.
func outputFlag(cmd *cobra.Command, forms ...string) *string {
	out := new(string)
	cmd.Flags().StringVarP(out, "output", "o", forms[0], "output: "+strings.Join(forms, ", "))
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(forms, *out) {
			return badUsage(cmd, fault.Invalid.Errorf("--output is one of %s", strings.Join(forms, ", ")))
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
	return out
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// table prints rows under headings in aligned columns.
func table(w io.Writer, headings []string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(headings, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}
