package console

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/catalog"
	"github.com/lethe-pipeline/lethe/pkg/event"
)

// functions are how pages write numbers, times and names.
var functions = template.FuncMap{
	"address":     address,
	"chartScript": func() string { return chartScript },
	"chartStyle":  func() string { return chartStyle },
	"num":         num,
	"size":        size,
	"day":         day,
	"when":        when,
	"iso":         func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	"lasts":       lasts,
	"short":       short,
	"plural":      plural,
	"list":        func(names []string) string { return strings.Join(names, ", ") },
	"dict":        dict,
	"list2":       func(names ...string) []string { return names },
	"rate":        rate,
	"unit":        unit,
	"stays":       func(day string) bool { return day == string(event.Never) },
	"starts":      catalog.StartingPoint,
	"has":         slices.Contains[[]string],
	"words":       words,
	"timeWords":   timeWords,
	"shown":       shown,
	"raw":         raw,
	"percent":     percent,
	"lines":       func(p *panel) []series { return p.Series[:p.Lines] },
}

// num writes a number with its thousands apart.
func num(n any) string {
	s := fmt.Sprint(n)
	if f, ok := n.(float64); ok {
		s = strconv.FormatFloat(f, 'f', 0, 64)
	}
	s, decimals, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if decimals != "" {
		s += "." + decimals
	}
	return sign + s
}

// size writes a number of bytes.
func size(n uint64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// rate writes how much grew in a second.
func rate(f float64) string {
	if f < 0.05 {
		return "0"
	}
	if f < 10 {
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return num(f)
}

// day and when are in UTC: Lethe's rules are.
func day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format(time.DateOnly)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04")
}

// lasts writes a length of time.
func lasts(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return plural(int(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return plural(int(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return plural(int(d/time.Minute), "minute")
	}
	return plural(int(d/time.Second), "second")
}

// short is the beginning of a digest.
func short(s string) string {
	if len(s) > 12 {
		return s[:12] + "…"
	}
	return s
}

// plural is a number of things.
func plural(n any, what string) string {
	switch s := num(n); {
	case s == "1":
		return "1 " + what
	case strings.HasSuffix(what, "y") && !strings.HasSuffix(what, "ay") && !strings.HasSuffix(what, "ey"):
		return s + " " + strings.TrimSuffix(what, "y") + "ies"
	default:
		return s + " " + what + "s"
	}
}

// unit is the word for a number of things, of the one for many.
func unit(n uint64, many string) string {
	switch one, ok := strings.CutSuffix(many, "ies"); {
	case n != 1:
		return many
	case ok:
		return one + "y"
	default:
		return strings.TrimSuffix(many, "s")
	}
}

// dict gives a template several things under names.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("a name has no value")
	}
	out := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("a name is not text")
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}
