package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
)

func holdCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Keep copies beyond their deletion rule for a legal hold, and let go of them",
	}
	cmd.AddCommand(holdAddCommand(g), holdListCommand(g), holdReleaseCommand(g))
	return cmd
}

func holdAddCommand(g *globals) *cobra.Command {
	var reason, until, from, to string
	var tables, services []string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Copy what is and what comes under a hold until a day",
		Long: `Copy the rows and frames that a hold covers into tables and a stream of its
own, sealed under its own key, until the end of a day (UTC). The originals
expire on time. Without --table the hold covers every table that expires,
without --service every service, without --from and --to all times, the future
included.

What is inside its rule when the hold is added is covered, however late it is
copied; what is past it is not brought back.

The reason is kept on record for years and cannot be erased: give a file number
or a matter, and never the name, the address or another sign of a person. The
list of holds forgets it, and the name, when the hold has ended.`,
		Example: "  lethe hold add case-2026-17 --reason 'Regulator, file 2026/17' --until 2027-06-30 --table http_access --service shop --from 2026-11-01",
		Args:    cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, in 10 to 500 characters; it must name no person")
	cmd.Flags().StringVar(&until, "until", "", "the last day on which copies are kept, YYYY-MM-DD")
	cmd.Flags().StringSliceVar(&tables, "table", nil, "tables, separated by commas (default all that expire)")
	cmd.Flags().StringSliceVar(&services, "service", nil, "services, separated by commas (default all)")
	cmd.Flags().StringVar(&from, "from", "", "first instant of occurrence, YYYY-MM-DD or RFC 3339")
	cmd.Flags().StringVar(&to, "to", "", "first instant of occurrence that is not covered, YYYY-MM-DD or RFC 3339")
	_ = cmd.MarkFlagRequired("reason") // both flags are there
	_ = cmd.MarkFlagRequired("until")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		request := hold.Request{Name: args[0], Reason: reason, Until: event.Day(until), Tables: tables, Services: services}
		for _, bound := range []struct {
			flag, text string
			at         *time.Time
		}{{"from", from, &request.From}, {"to", to, &request.To}} {
			at, err := instant(bound.text)
			if err != nil {
				return badUsage(cmd, fault.Invalid.Errorf("--%s is written YYYY-MM-DD or as in RFC 3339", bound.flag))
			}
			*bound.at = at
		}
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		var h hold.Hold
		if err := c.Do(cmd.Context(), http.MethodPost, "/v1/holds", nil, request, &h); err != nil {
			return err
		}
		return printHold(cmd.OutOrStdout(), *out, h)
	}
	return cmd
}

// instant reads a day or an instant; nothing is the zero time.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if day, err := event.ParseDay(s); err == nil {
		return day.Start(), nil
	}
	return time.Parse(time.RFC3339Nano, s)
}

func holdListCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List holds, with what they cover, keep, and until when"}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		var answer hold.List
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/holds", nil, nil, &answer); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		return printHolds(cmd.OutOrStdout(), answer.Holds...)
	}
	return cmd
}

func holdReleaseCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "release NAME|ID",
		Short: "Let go of a hold: its copies and its key are removed by the next run of retention",
		Args:  cobra.ExactArgs(1),
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		id, err := findHold(cmd, c, args[0])
		if err != nil {
			return err
		}
		var h hold.Hold
		if err := c.Do(cmd.Context(), http.MethodPost, "/v1/holds/"+url.PathEscape(id)+"/release", nil, nil, &h); err != nil {
			return err
		}
		return printHold(cmd.OutOrStdout(), *out, h)
	}
	return cmd
}

// findHold is the id of a hold by its name or id. A name is that of at most one
// hold that has not ended.
func findHold(cmd *cobra.Command, c *client.Client, name string) (string, error) {
	var all hold.List
	if err := c.Do(cmd.Context(), http.MethodGet, "/v1/holds", nil, nil, &all); err != nil {
		return "", err
	}
	found := ""
	for _, h := range all.Holds {
		switch {
		case h.ID == name:
			return h.ID, nil
		case h.Name == name && h.State != hold.Ended:
			if found != "" {
				return "", fault.Conflict.Errorf("two holds have that name: give the id")
			}
			found = h.ID
		}
	}
	if found == "" {
		return "", fault.NotFound.Errorf("there is no hold of that name or id that has not ended")
	}
	return found, nil
}

func printHold(w io.Writer, form string, h hold.Hold) error {
	if form == "json" {
		return printJSON(w, h)
	}
	return printHolds(w, h)
}

func printHolds(w io.Writer, holds ...hold.Hold) error {
	rows := [][]string{}
	for _, h := range holds {
		rows = append(rows, []string{cmp.Or(h.Name, "-"), string(h.State), string(h.Deadline),
			cmp.Or(strings.Join(h.Tables, ","), "all"), cmp.Or(strings.Join(h.Services, ","), "all"), stretch(h.From, h.To),
			strconv.FormatUint(h.Rows, 10), strconv.FormatUint(h.Frames, 10), h.ID, cmp.Or(h.Reason, "-")})
	}
	return table(w, []string{"NAME", "STATE", "UNTIL", "TABLES", "SERVICES", "OCCURRED", "ROWS", "FRAMES", "ID", "REASON"}, rows)
}

// stretch writes the bounds of a stretch of time, of which both may be open.
func stretch(from, to time.Time) string {
	if from.IsZero() && to.IsZero() {
		return "any time"
	}
	write := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s..%s", write(from), write(to))
}
