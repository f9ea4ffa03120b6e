package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/client"
)

func askCommand(g *globals) *cobra.Command {
	var by []string
	var from, to string
	var where []string
	var top int
	var explain bool
	cmd := &cobra.Command{
		Use:   "ask [METRIC]",
		Short: "Ask for a number about a group; without a metric, list what can be asked",
		Long: `Ask for a number about a group.

Every number is a sum of published cells, each about at least the metric's k
people. What was too rare to be told apart stands in rows marked (other).`,
		Example: "  lethe ask requests --by day\n  lethe ask visitors --by day --from 2026-11-01 --where status=200 -o csv\n  lethe ask",
		Args:    cobra.MaximumNArgs(1),
	}
	cmd.Flags().StringSliceVar(&by, "by", nil, "dimensions to split by, in order")
	cmd.Flags().StringVar(&from, "from", "", "first day, YYYY-MM-DD")
	cmd.Flags().StringVar(&to, "to", "", "first day not included")
	cmd.Flags().IntVar(&top, "top", 0, "only so many of the largest values of the last dimension")
	cmd.Flags().BoolVar(&explain, "explain", false, "show the cells behind the answer")
	cmd.Flags().StringArrayVar(&where, "where", nil, "DIMENSION=VALUE, repeatable")
	out := outputFlag(cmd, "table", "json", "csv")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.connect("analyst")
		if err != nil {
			return err
		}
		if len(args) == 0 {
			return listMetrics(cmd, c, *out)
		}
		q := url.Values{"format": {*out}}
		if len(by) > 0 {
			q.Set("by", strings.Join(by, ","))
		}
		if from != "" {
			q.Set("from", from)
		}
		if to != "" {
			q.Set("to", to)
		}
		if cmd.Flags().Changed("top") {
			q.Set("top", strconv.Itoa(top))
		}
		if explain {
			q.Set("explain", "1")
		}
		for _, w := range where {
			name, value, ok := strings.Cut(w, "=")
			if !ok {
				return badUsage(cmd, fmt.Errorf("--where is DIMENSION=VALUE"))
			}
			q.Add("filter."+name, value)
		}
		return c.Do(cmd.Context(), http.MethodGet, "/v1/stats/"+args[0], q, nil, cmd.OutOrStdout())
	}
	return cmd
}

func listMetrics(cmd *cobra.Command, c *client.Client, out string) error {
	var answer struct {
		Metrics []struct {
			Name       string `json:"name"`
			Title      string `json:"title"`
			K          int    `json:"k"`
			Public     bool   `json:"public"`
			Dimensions []struct {
				Name string `json:"name"`
			} `json:"dimensions"`
		} `json:"metrics"`
	}
	if err := c.Do(cmd.Context(), http.MethodGet, "/v1/stats", nil, nil, &answer); err != nil {
		return err
	}
	if out == "json" {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	var rows [][]string
	for _, m := range answer.Metrics {
		k := fmt.Sprint(m.K)
		if m.Public {
			k = "public"
		}
		var by []string
		for _, d := range m.Dimensions {
			by = append(by, d.Name)
		}
		rows = append(rows, []string{m.Name, m.Title, k, strings.Join(by, ",")})
	}
	return table(cmd.OutOrStdout(), []string{"METRIC", "WHAT IT IS", "K", "BY"}, rows)
}
