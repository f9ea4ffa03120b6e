// Command benchtable reads the output of go test -bench, passes it on, and
// ends with a table of it: first what was measured per event, then the rest.
// It fails when the tests did.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

func main() {
	ok, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchtable:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// A result is one line of a benchmark.
type result struct {
	name   string // package and benchmark, without the number of processors
	values map[string]float64
	units  []string // of values, as they came
}

var processors = regexp.MustCompile(`-\d+$`)

// run says whether every package passed.
func run(in io.Reader, out io.Writer) (ok bool, err error) {
	var results []result
	pkg, packages, failed := "", 0, false
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		fmt.Fprintln(out, line)
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "FAIL") || strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "panic:"):
			failed = true
		case strings.HasPrefix(line, "ok "):
			packages++
		case len(fields) == 2 && fields[0] == "pkg:":
			pkg = path.Base(fields[1])
		case len(fields) >= 4 && strings.HasPrefix(line, "Benchmark"):
			if r, ok := parse(pkg, fields); ok {
				results = append(results, r)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return false, err
	}
	print(out, results)
	return packages > 0 && !failed, nil
}

func parse(pkg string, fields []string) (result, bool) {
	r := result{values: map[string]float64{}}
	r.name = pkg + " " + processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
	if _, err := strconv.Atoi(fields[1]); err != nil {
		return r, false
	}
	for i := 2; i+1 < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return r, false
		}
		r.values[fields[i+1]] = v
		r.units = append(r.units, fields[i+1])
	}
	return r, true
}

func print(out io.Writer, results []result) {
	events := section{heads: []string{"PER EVENT", "events/s", "CPU µs", "engine's CPU µs", "further"}}
	times := section{heads: []string{"PER OPERATION", "µs", "MB/s", "allocations"}}
	rest := section{heads: []string{"FURTHER", ""}}
	for _, r := range results {
		switch {
		case r.values["events/s"] > 0:
			events.rows = append(events.rows, []string{r.name, strconv.FormatFloat(r.values["events/s"], 'f', 0, 64),
				micros(r, "cpu-ns/event"), micros(r, "child-ns/event"), further(r)})
		case r.values["ns/op"] > 0 && further(r) == "":
			times.rows = append(times.rows, []string{r.name, micros(r, "ns/op"), number(r, "MB/s"), number(r, "allocs/op")})
		default:
			rest.rows = append(rest.rows, []string{r.name, further(r)})
		}
	}
	for _, s := range []section{events, times, rest} {
		s.print(out)
	}
}

// section is one table: texts in its first and last column, numbers between.
type section struct {
	heads []string
	rows  [][]string
}

func (s section) print(out io.Writer) {
	if len(s.rows) == 0 {
		return
	}
	all := append([][]string{s.heads}, s.rows...)
	width := make([]int, len(s.heads))
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	fmt.Fprintln(out)
	for _, row := range all {
		line := fmt.Sprintf("%-*s", width[0], row[0])
		for i, cell := range row[1:] {
			line += fmt.Sprintf("  %*s", width[i+1], cell)
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}

func micros(r result, unit string) string {
	v, ok := r.values[unit]
	if !ok {
		return "-"
	}
	return strconv.FormatFloat(v/1000, 'f', 2, 64)
}

func number(r result, unit string) string {
	v, ok := r.values[unit]
	if !ok {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// further is what a benchmark reports beyond what has a column.
func further(r result) string {
	var all []string
	for _, u := range r.units {
		switch u {
		case "events/s", "cpu-ns/event", "child-ns/event", "ns/op", "B/op", "allocs/op", "MB/s":
		default:
			all = append(all, number(r, u)+" "+u)
		}
	}
	return strings.Join(all, ", ")
}
