package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/operation"
)

func statusCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show each stage's lag, rates, duplicates and quarantine, and how the upkeep is",
	}
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var s operation.Status
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/status", nil, nil, &s); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), s)
		}
		var held hold.List
		// A credential may be for the status alone.
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/holds", nil, nil, &held); err != nil && !errors.Is(err, fault.Denied) {
			return err
		}
		return printStatus(cmd.OutOrStdout(), s, held.Holds)
	}
	return cmd
}

// inFlow are the stages in the order in which events pass them.
var inFlow = []string{"gateway", "pseudonymizer", "loader", "cells"}

func printStatus(w io.Writer, s operation.Status, holds []hold.Hold) error {
	var flow, upkeep [][]string
	slices.SortStableFunc(s.Stages, func(a, b operation.StageStatus) int {
		return cmp.Compare(slices.Index(inFlow, a.Stage), slices.Index(inFlow, b.Stage))
	})
	for _, st := range s.Stages {
		switch st.Stage {
		case "retention", "audit":
			upkeep = append(upkeep, upkeepOf(st))
			continue
		}
		// A loader counts rows: an event with two deletion rules is two.
		unit := "events"
		switch st.Stage {
		case "loader":
			unit = "rows"
		case "cells":
			unit = "cells"
		}
		flow = append(flow, []string{st.Stage, fmt.Sprint(st.Lag), number(st.Numbers[unit]),
			fmt.Sprintf("%.1f", st.Rates[unit]), number(st.Numbers["duplicates"]), number(st.Numbers["quarantined"] + st.Numbers["refused"])})
	}
	var logs, tables [][]string
	for _, l := range s.Logs {
		logs = append(logs, []string{l.Name, strconv.FormatUint(l.Messages, 10), strconv.FormatUint(l.Bytes, 10), l.Oldest})
	}
	for _, t := range s.Tables {
		var names []string
		for _, h := range holds {
			if !h.Over(s.At) && (len(h.Tables) == 0 || slices.Contains(h.Tables, t.Name)) {
				names = append(names, h.Name)
			}
		}
		from := t.Oldest
		if from == string(event.Never) {
			from = "stays"
		}
		tables = append(tables, []string{t.Name, strconv.FormatUint(t.Rows, 10), from, strings.Join(names, ",")})
	}
	for i, part := range []struct {
		headings []string
		rows     [][]string
	}{
		{[]string{"STAGE", "LAG", "DONE", "PER SECOND", "DUPLICATE", "SET ASIDE"}, flow},
		{[]string{"UPKEEP", "LAST", "NEXT", "WAITING", "TROUBLE"}, upkeep},
		{[]string{"LOG", "FRAMES", "BYTES", "OLDEST"}, logs},
		{[]string{"TABLE", "ROWS", "EXPIRES FROM", "HELD FOR"}, tables},
	} {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := table(w, part.headings, part.rows); err != nil {
			return err
		}
	}
	return nil
}

// upkeepOf is a stage that no event passes through: when it did its work last and
// does it next, what waits for it, and what an operator should look at.
func upkeepOf(st operation.StageStatus) []string {
	n := st.Numbers
	last, waits := n["last_ok"], number(n["held_back"])
	troubles := []struct{ name, words string }{
		{"clock_held", "clock held back"}, {"clock_by_hand", "clock set by hand"}, {"unexplained_rows", "rows unexplained"},
	}
	if st.Stage == "audit" {
		last, waits = n["last_checkpoint"], time.Duration(n["lag_seconds"]*float64(time.Second)).Round(time.Second).String()
		troubles = []struct{ name, words string }{
			{"missing", "entries missing"}, {"refused", "messages refused"}, {"retries", "attempts failed"},
		}
	}
	var trouble []string
	for _, t := range troubles {
		switch v := n[t.name]; {
		case v == 0:
		case t.name == "clock_held", t.name == "clock_by_hand":
			trouble = append(trouble, t.words)
		default:
			trouble = append(trouble, number(v)+" "+t.words)
		}
	}
	return []string{st.Stage, unixTime(last), unixTime(n["next_run"]), waits, strings.Join(trouble, ", ")}
}

// unixTime writes seconds since 1970; 0 is never.
func unixTime(seconds float64) string {
	if seconds <= 0 {
		return ""
	}
	return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339)
}

// more says how many a list left out.
func more(cmd *cobra.Command, n int) error {
	if n <= 0 {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "… and %d more\n", n)
	return err
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', 0, 64) }

func quarantineCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "quarantine", Short: "Look at events that could not be treated, and try them again"}
	list := &cobra.Command{
		Use:   "list",
		Short: "List waiting events by reason; reasons hold no values",
	}
	out := outputFlag(list, "table", "json")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var answer operation.QuarantineList
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/quarantine", nil, nil, &answer); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		rows := [][]string{}
		for _, i := range answer.Items {
			rows = append(rows, []string{strconv.FormatUint(i.Seq, 10), i.At.Format(time.RFC3339), i.Tenant, i.Service, i.Event, strconv.Itoa(i.Count), i.Reason})
		}
		if err := table(cmd.OutOrStdout(), []string{"SEQ", "AT", "TENANT", "SERVICE", "EVENT", "EVENTS", "REASON"}, rows); err != nil {
			return err
		}
		return more(cmd, answer.Frames-len(answer.Items))
	}
	redrive := &cobra.Command{
		Use:   "redrive",
		Short: "Treat waiting events again under the present policy",
	}
	rout := outputFlag(redrive, "table", "json")
	redrive.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var answer operation.RedriveAnswer
		if err := c.Do(cmd.Context(), http.MethodPost, "/v1/quarantine/redrive", nil, nil, &answer); err != nil {
			return err
		}
		if *rout == "json" {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "read     %d\nstored   %d\nwaiting  %d\nexpired  %d\n", answer.Read, answer.Stored, answer.Waiting, answer.Expired)
		return err
	}
	cmd.AddCommand(list, redrive)
	return cmd
}

func rebuildCommand(g *globals) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:   "rebuild",
		Short: "Recreate the warehouse from the clean log; answers come from the old one meanwhile",
	}
	cmd.Flags().BoolVar(&wait, "wait", true, "wait until it is done")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var state operation.RebuildState
		if err := c.Do(cmd.Context(), http.MethodPost, "/v1/rebuild", nil, nil, &state); err != nil {
			return err
		}
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for wait && state.Phase != "done" && state.Phase != "failed" {
			select {
			case <-cmd.Context().Done():
				return cmd.Context().Err()
			case <-tick.C:
			}
			if err := c.Do(cmd.Context(), http.MethodGet, "/v1/rebuild", nil, nil, &state); err != nil {
				return err
			}
		}
		if *out == "json" {
			if err := printJSON(cmd.OutOrStdout(), state); err != nil {
				return err
			}
		} else {
			fmt.Fprintf(cmd.OutOrStdout(), "rebuild %s: %d rows from %d of %d frames\n", state.Phase, state.Rows, state.Loaded, state.Target)
		}
		if state.Phase == "failed" {
			return errReported
		}
		return nil
	}
	return cmd
}

func keysCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Look at the keyring: which keys exist and which are destroyed"}
	list := &cobra.Command{Use: "list", Short: "List keys; no key is ever shown"}
	out := outputFlag(list, "table", "json")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("operator")
		if err != nil {
			return err
		}
		var answer operation.KeyList
		if err := c.Do(cmd.Context(), http.MethodGet, "/v1/keys", nil, nil, &answer); err != nil {
			return err
		}
		if *out == "json" {
			return printJSON(cmd.OutOrStdout(), answer)
		}
		slices.SortFunc(answer.Keys, func(a, b operation.KeyInfo) int { return cmp.Compare(a.Name, b.Name) })
		rows := [][]string{}
		for _, k := range answer.Keys {
			rows = append(rows, []string{k.Name, k.State, k.At.Format(time.RFC3339)})
		}
		if err := table(cmd.OutOrStdout(), []string{"KEY", "STATE", "SINCE"}, rows); err != nil {
			return err
		}
		return more(cmd, answer.Live+answer.Destroyed-len(answer.Keys))
	}
	cmd.AddCommand(list)
	return cmd
}
