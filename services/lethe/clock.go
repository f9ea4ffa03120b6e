package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

func clockCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Confirm a jump of Lethe's clock that is held back",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "confirm",
		Short: "Say that the machine's clock is right, so that what it says has expired is removed",
		Long: `Say that the machine's clock is right. Lethe's clock, from which every cut-off
comes, moves by at most seven days at once: after a longer downtime it waits for
24 hours, or for this. Look at the machine's time first, because what is
destroyed by a clock that is ahead stays destroyed.

Where it is Lethe's clock that somebody set ahead by hand, and the machine's is
right, this takes what was set for what was meant: all that ends before it is
destroyed. lethe verify says which of the two it is, and how the second is
undone.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.connect("operator")
			if err != nil {
				return err
			}
			if err := c.Do(cmd.Context(), http.MethodPost, "/v1/clock/confirm", nil, nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "Lethe's clock follows the machine's. The next run removes what has expired.")
			return err
		},
	})
	return cmd
}
