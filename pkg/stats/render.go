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
// line is the total. A hidden number is empty. Text that a spreadsheet would
// take for a formula gets a leading apostrophe.
func (a Answer) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	line := append(append([]string{}, a.By...), "value", "hidden")
	_ = out.Write(line)
	for _, l := range a.lines() {
		for i, v := range l.by {
			s, isText := v.(string)
			if !isText {
				s = plain(v)
			} else if s != "" && strings.ContainsRune("=+-@\t\r\n|%", rune(s[0])) {
				s = "'" + s
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
	if len(a.Cells) > 0 {
		fmt.Fprintln(w)
		if err := a.cellTable(w); err != nil {
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

// cellTable writes the cells behind an answer.
func (a Answer) cellTable(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "METRIC\tSERVICE\tBUCKET\tDAYS\tTELLS\tVALUE\tSUBJECTS\tCUT AT")
	for _, c := range a.Cells {
		days := c.First
		if c.Last != c.First {
			days += " to " + c.Last
		}
		var told []string
		for _, name := range sortedNames(c.Told) {
			told = append(told, name+"="+printable(c.Told[name]))
		}
		if len(told) == 0 {
			told = []string{"-"}
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", c.Metric, c.Service, c.Bucket, days, strings.Join(told, " "), c.Value, c.Subjects, c.Cut.Format(time.RFC3339))
	}
	return out.Flush()
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
