package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/audit"
)

func clockCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clock",
		Short: "Say whether Lethe's clock is right where Lethe cannot know",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(g.clockAnswer("confirm", "Say that the machine's clock is right, so that what it says has expired is removed",
		`Say that the machine's clock is right. Lethe's clock, from which every cut-off
comes, moves by at most seven days at once: after a longer downtime it waits for
24 hours, or for this. Look at the machine's time first, because what is
destroyed by a clock that is ahead stays destroyed.

Where it is Lethe's clock that somebody set ahead by hand, and the machine's is
right, this takes what was set for what was meant: all that ends before it is
destroyed. lethe verify says which of the two it is; lethe clock reject undoes
the second.`,
		"Lethe's clock follows the machine's. The next run removes what has expired."))
	cmd.AddCommand(g.clockAnswer("reject", "Say that whoever set Lethe's clock by hand was wrong, and take it back",
		`Say that whoever set Lethe's clock ahead by hand was wrong. It goes back to where
Lethe itself had moved it, and no further: what was hidden by its own time stays
hidden. Nothing was removed by what somebody set, and what it hid can be asked
for again. It is on record before it is done.

Look at the machine's time first, and find out who may write to the table
lethe.clock: lethe verify says when it happens again.`,
		"Lethe's clock is its own again."))
	return cmd
}

// clockAnswer is a command that says one of the two.
func (g *globals) clockAnswer(verb, short, long, done string) *cobra.Command {
	return &cobra.Command{
		Use: verb, Short: short, Long: long, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := g.connect("operator")
			if err != nil {
				return err
			}
			if err := c.Do(cmd.Context(), http.MethodPost, "/v1/clock/"+verb, nil, nil, nil); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), done)
			return err
		},
	}
}

// becameOf is what became of a jump of the clock that is on record.
func becameOf(c audit.Clock) string {
	switch {
	case c.Rejected:
		return "set by hand, and taken back"
	case c.Back:
		return "taken back by hand, and set right"
	case c.Accepted && c.ByHand:
		return "set by hand, and accepted"
	case c.Accepted:
		return "accepted"
	case c.ByHand:
		return "set by hand, and not gone by"
	}
	return "held back"
}
