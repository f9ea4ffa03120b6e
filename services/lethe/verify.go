package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// errBroken ends a command with exit code 3 whose output has said which promise
// does not hold.
var errBroken = errors.New("a promise does not hold")

func verifyCommand(g *globals) *cobra.Command {
	var file, report string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Look at everything that Lethe keeps, and say which promises hold",
		Long: `Look at every table, partition, stream, key, folder and file that Lethe has, and
at what it has not: a copy, a setting that somebody changed, a user that nobody
listed. Say which promises hold, and of those that do not, what was found, where,
and what to do.

The exit code is 3 when an enforced promise does not hold. With --evidence it
also writes one file that 'lethe audit verify' checks on any machine.`,
		Example: "  lethe verify\n  lethe verify -o json\n  lethe verify --evidence evidence.json --report report.html",
	}
	cmd.Flags().StringVar(&file, "evidence", "", "also write evidence (JSON) to this file")
	cmd.Flags().StringVar(&report, "report", "", "also write a readable report (HTML, fit to print) to this file")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.connect("officer")
		if err != nil {
			return err
		}
		var r verify.Report
		if file == "" && report == "" {
			err = c.Do(cmd.Context(), http.MethodGet, "/v1/verify", nil, nil, &r)
		} else {
			// The report within the evidence: one look, and one word of it.
			var bundle bytes.Buffer
			if err = c.Do(cmd.Context(), http.MethodGet, "/v1/evidence", nil, nil, &bundle); err == nil {
				r, err = keep(bundle.Bytes(), file, report)
			}
		}
		if err != nil {
			return err
		}
		if *out == "json" {
			err = printJSON(cmd.OutOrStdout(), r)
		} else {
			err = printReport(cmd.OutOrStdout(), r)
		}
		if err == nil && !r.Holds {
			return errBroken
		}
		return err
	}
	return cmd
}

// keep writes evidence to files and returns the report that is in it.
func keep(bundle []byte, file, report string) (verify.Report, error) {
	var said struct {
		Statement struct {
			Report verify.Report `json:"report"`
		} `json:"statement"`
	}
	if err := json.Unmarshal(bundle, &said); err != nil || said.Statement.Report.Promises == nil {
		return verify.Report{}, fault.Corrupt.Errorf("the evidence that came is not readable")
	}
	write := func(name string, content []byte) error {
		return writeFile(name, func(w io.Writer) error { _, err := w.Write(content); return err })
	}
	if file != "" {
		if err := write(file, bundle); err != nil {
			return verify.Report{}, err
		}
	}
	if report != "" {
		page, err := evidence.HTML(bundle, evidence.Options{})
		if err != nil {
			return verify.Report{}, err
		}
		if err := write(report, page); err != nil {
			return verify.Report{}, err
		}
	}
	return said.Statement.Report, nil
}

// marks say how a promise is: signs on a terminal, words elsewhere.
type marks struct{ holds, broken, off string }

func marksFor(w io.Writer) marks {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return marks{"✓", "✗", "–"}
	}
	return marks{"holds", "BROKEN", "not enforced"}
}

func printReport(w io.Writer, r verify.Report) error {
	var b strings.Builder
	mark := marksFor(w)
	rows := make([][]string, len(r.Promises))
	for i, p := range r.Promises {
		state := mark.holds
		switch {
		case !p.Enforced:
			state = mark.off
		case !p.Holds:
			state = mark.broken
		}
		rows[i] = []string{state, p.ID, p.Title}
	}
	if err := table(&b, []string{"", "PROMISE", ""}, rows); err != nil {
		return err
	}
	var unwatched []string
	for _, p := range r.Promises {
		switch {
		case !p.Enforced:
		case p.How == "":
			unwatched = append(unwatched, p.ID)
			fallthrough
		default:
			if p.Note != "" {
				fmt.Fprintf(&b, "\n%s, in part: %s", p.ID, p.Note)
			}
		}
	}
	if len(unwatched) > 0 {
		fmt.Fprintf(&b, "\n%s: kept by how Lethe is made and tested; a running system shows nothing of it.\n", strings.Join(unwatched, ", "))
	}
	printFindings(&b, r)
	rows = make([][]string, len(r.Rules))
	for i, rule := range r.Rules {
		oldest := ""
		if rule.Oldest != nil {
			oldest = rule.Oldest.UTC().Format(time.DateOnly)
		}
		rows[i] = []string{
			rule.Class, rule.Where, rule.Period, oldest, amount(rule.Found, rule.Unit),
			strconv.FormatUint(rule.Hidden, 10), strconv.FormatUint(rule.Overdue, 10), strings.Join(rule.Holds, ","),
		}
	}
	b.WriteByte('\n')
	if err := table(&b, []string{"RULE", "WHERE", "PERIOD", "OLDEST", "FOUND", "PAST RULE", "OVERDUE", "HELD FOR"}, rows); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "\nNote: %s: %s.", n.Where, strings.TrimSuffix(n.Sentence, "."))
	}
	for _, l := range r.Looked {
		if l.Not != "" {
			fmt.Fprintf(&b, "\nNot looked at: %s; %s.", l.Where, l.Not)
		}
	}
	fmt.Fprintf(&b, "\n%s, at %s, policy %.12s\n", verdict(r), r.At.UTC().Format(time.RFC3339), r.Policy)
	_, err := io.WriteString(w, b.String())
	return err
}

// amount is a number of things whose name is in the plural.
func amount(n uint64, unit string) string {
	if n == 1 {
		if many, ok := strings.CutSuffix(unit, "ies"); ok {
			unit = many + "y"
		} else {
			unit = strings.TrimSuffix(unit, "s")
		}
	}
	return strconv.FormatUint(n, 10) + " " + unit
}

// verdict is the report in one sentence.
func verdict(r verify.Report) string {
	broken := r.Broken()
	switch {
	case len(broken) == 1:
		return broken[0] + " does not hold"
	case len(broken) > 1:
		return strings.Join(broken, ", ") + " do not hold"
	}
	return "Every enforced promise holds"
}

// printFindings prints each finding once, under the first promise that it
// breaks.
func printFindings(b *strings.Builder, r verify.Report) {
	first := map[verify.Finding]string{}
	for _, p := range r.Promises {
		if len(p.Findings) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n%s\n", p.ID)
		said := map[string]bool{}
		for _, f := range p.Findings {
			before, told := first[f]
			switch {
			case !told:
				first[f] = p.ID
				fmt.Fprintf(b, "  %s: %s.\n", f.Where, strings.TrimSuffix(f.Sentence, "."))
			case !said[before]:
				said[before] = true
				fmt.Fprintf(b, "  (as under %s)\n", before)
			}
		}
	}
}
