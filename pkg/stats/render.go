package stats

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// totalCell stands in every dimension of the line that holds the total.
const totalCell = "(total)"

// otherCell stands where a row does not tell a dimension.
const otherCell = "(other)"

// CSV writes the answer as RFC 4180: the dimensions, value, hidden; the last
// line is the total. A hidden number is empty. An explained answer is written
// as its cells: one table is what programs read. Text that a spreadsheet would
// take for a formula gets a leading apostrophe.
func (a Answer) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if a.Cells != nil {
		a.cellLines(func(line []string) {
			for i := range line {
				line[i] = unformula(line[i])
			}
			_ = out.Write(line)
		})
		out.Flush()
		return out.Error()
	}
	line := append(append([]string{}, a.By...), "value", "hidden")
	_ = out.Write(line)
	for _, l := range a.lines() {
		for i, v := range l.by {
			s, isText := v.(string)
			if !isText {
				s = plain(v)
			} else {
				s = unformula(s)
			}
			line[i] = s
		}
		line[len(a.By)], line[len(a.By)+1] = "", strconv.FormatBool(l.Hidden)
		if l.Value != nil {
			line[len(a.By)] = string(*l.Value)
		}
		_ = out.Write(line)
	}
	out.Flush()
	return out.Error()
}

// Table writes the answer as aligned text for people to read, notes included.
func (a Answer) Table(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, name := range a.By {
		fmt.Fprintf(out, "%s\t", strings.ToUpper(name))
	}
	fmt.Fprintln(out, strings.ToUpper(a.Metric))
	for _, l := range a.lines() {
		for _, v := range l.by {
			s := plain(v)
			if s == "" {
				s = "-"
			}
			fmt.Fprintf(out, "%s\t", printable(s))
		}
		if l.Value == nil {
			fmt.Fprintln(out, "hidden")
		} else {
			fmt.Fprintln(out, string(*l.Value))
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if a.Cells != nil {
		fmt.Fprintln(w)
		a.cellLines(func(line []string) {
			for i := range line {
				line[i] = printable(line[i])
				if line[i] == "" {
					line[i] = "-"
				}
			}
			fmt.Fprintln(out, strings.Join(line, "\t"))
		})
		if err := out.Flush(); err != nil {
			return err
		}
	}
	for _, n := range a.Notes {
		if _, err := fmt.Fprintf(w, "# %s\n", n); err != nil {
			return err
		}
	}
	return nil
}

// cellLines writes the cells behind an answer: a line of names, and one of each
// cell. Dimensions that a cell was not cut by are empty.
func (a Answer) cellLines(write func(line []string)) {
	dims := map[string]bool{}
	for _, c := range a.Cells {
		for _, name := range append(sortedNames(c.Told), c.Other...) {
			dims[name] = true
		}
	}
	names := sortedNames(dims)
	write(slices.Concat([]string{"metric", "service", "bucket", "first_day", "last_day"}, names, []string{"value", "subjects", "cut_at"}))
	for _, c := range a.Cells {
		line := []string{c.Metric, c.Service, c.Bucket, c.First, c.Last}
		for _, name := range names {
			if slices.Contains(c.Other, name) {
				line = append(line, otherCell)
			} else {
				line = append(line, c.Told[name])
			}
		}
		write(append(line, strconv.FormatInt(c.Value, 10), c.Subjects, c.Cut.Format(time.RFC3339)))
	}
}

// unformula keeps a spreadsheet from running text.
func unformula(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(s[0])) {
		return "'" + s
	}
	return s
}

// line is a row with its dimensions in order, or the total.
type line struct {
	by []any
	Number
}

func (a Answer) lines() []line {
	out := make([]line, 0, len(a.Rows)+1)
	for _, r := range a.Rows {
		l := line{Number: r.Number}
		for _, name := range a.By {
			if slices.Contains(r.Other, name) {
				l.by = append(l.by, otherCell)
			} else {
				l.by = append(l.by, r.By[name])
			}
		}
		out = append(out, l)
	}
	total := line{Number: a.Total}
	for range a.By {
		total.by = append(total.by, totalCell)
	}
	return append(out, total)
}

// plain writes a dimension's value. An answer that came through JSON has
// numbers as float64.
func plain(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// printable keeps a value on its line and away from the terminal's controls.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
