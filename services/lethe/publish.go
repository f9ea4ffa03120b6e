package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// maxPublish is how much of a JSON document is read at once: the server takes
// no larger request.
const maxPublish = 10 << 20

func publishCommand(g *globals) *cobra.Command {
	var service string
	cmd := &cobra.Command{
		Use:   "publish FILE|-",
		Short: "Publish events from a file: JSON, NDJSON or CloudEvents",
		Args:  cobra.ExactArgs(1),
		Example: `  echo '{"event":"user_action","data":{"user":"u1","action":"export"}}' | lethe publish --service app -
  lethe publish --service app events.ndjson`,
	}
	cmd.Flags().StringVar(&service, "service", "", "service that the events come from, where they do not say")
	out := outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.connectAs("publisher", service)
		if err != nil {
			return err
		}
		in := io.Reader(os.Stdin)
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer f.Close()
			in = f
		}
		var account client.Account
		var problems []problem
		err = documents(in, func(kind string, body []byte) error {
			receipts, err := c.PublishBody(cmd.Context(), kind, body)
			if err != nil {
				return err
			}
			for _, r := range receipts {
				if r.Status == client.Refused {
					problems = append(problems, problem{place{number: account.Read + r.Index}, r.Problem})
				}
			}
			account.Tally(receipts)
			return nil
		})
		if err != nil && account.Read > 0 {
			return fmt.Errorf("%w (until then: %d read, %d stored)", err, account.Read, account.Stored)
		}
		if err != nil {
			return err
		}
		return printAccount(cmd, *out, account, problems)
	}
	return cmd
}

// documents cuts the input into request bodies: an NDJSON stream into chunks of
// whole lines, anything else as it is.
func documents(in io.Reader, send func(kind string, body []byte) error) error {
	r := bufio.NewReaderSize(in, 1<<20)
	head, err := r.Peek(64 << 10)
	if err != nil && err != io.EOF {
		return err
	}
	if !looksLikeLines(head) {
		body, err := io.ReadAll(io.LimitReader(r, maxPublish+1))
		if err != nil {
			return err
		}
		if len(body) > maxPublish {
			return fault.Invalid.Errorf("the document is larger than %d bytes; write it as NDJSON, one event a line", maxPublish)
		}
		return send("application/json", body) // the server knows a CloudEvent when it sees one
	}
	// The server takes larger requests, of at most 10,000 events.
	const chunk, most = 1 << 20, 5_000
	var body []byte
	lines := 0
	for {
		line, err := r.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if (len(body)+len(line) > chunk || lines == most) && len(body) > 0 {
			if err := send("application/x-ndjson", body); err != nil {
				return err
			}
			body, lines = nil, 0
		}
		lines++
		body = append(body, line...)
		if err == io.EOF {
			break
		}
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	return send("application/x-ndjson", body)
}

// looksLikeLines says whether the input is one JSON object a line: the first
// line is a whole object and another follows.
func looksLikeLines(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	first, rest, found := bytes.Cut(head, []byte("\n"))
	first = bytes.TrimSpace(first)
	return found && bytes.HasPrefix(first, []byte("{")) && bytes.HasSuffix(first, []byte("}")) &&
		bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte("{"))
}

// place is where an event stands in the input: a line of a file, or, without a
// file, its number from 0.
type place struct {
	file   string
	number int
}

func (p place) String() string {
	if p.file == "" {
		return fmt.Sprintf("event %d", p.number)
	}
	return fmt.Sprintf("%s:%d", p.file, p.number)
}

// problem is an event that was refused, and why.
type problem struct {
	place
	reason string
}

func printAccount(cmd *cobra.Command, form string, a client.Account, problems []problem) error {
	if form == "json" {
		if err := printJSON(cmd.OutOrStdout(), a); err != nil {
			return err
		}
		return outcome(a)
	}
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "read       %d\nstored     %d\nduplicate  %d\nexpired    %d\n", a.Read, a.Stored, a.Duplicate, a.Expired)
	refused := 0
	for _, n := range a.Refused {
		refused += n
	}
	fmt.Fprintf(w, "refused    %d\n", refused)
	reasons := make([]string, 0, len(a.Refused))
	for reason := range a.Refused {
		reasons = append(reasons, reason)
	}
	slices.Sort(reasons)
	for _, reason := range reasons {
		fmt.Fprintf(w, "  %d × %s\n", a.Refused[reason], reason)
	}
	slices.SortFunc(problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.number, b.number))
	})
	const shown = 20
	for i, p := range problems {
		if i == shown {
			fmt.Fprintf(w, "  … and %d more\n", len(problems)-shown)
			break
		}
		fmt.Fprintf(w, "  %s: %s\n", p.place, p.reason)
	}
	return outcome(a)
}

// outcome is a failure when something was refused and nothing is stored: a
// script that sent the wrong file must learn of it.
func outcome(a client.Account) error {
	if len(a.Refused) > 0 && a.Stored+a.Duplicate+a.Expired == 0 {
		return errReported
	}
	return nil
}
