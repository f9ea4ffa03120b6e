package stats

import (
	"fmt"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// notes says what a reader of the numbers has to know. What it says follows
// from the question and from published cells alone, never from what waits.
func (p *plan) notes(a Answer) []string {
	m := p.metric
	out := []string{}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !m.Public {
		add("Every number is made of cells of at least %d subjects each; what fewer did is not in it until more did the same.", m.K)
	}
	if a.Total.Hidden && len(a.Rows) == 0 {
		add("Nothing is published for this question.")
	}
	if slices.ContainsFunc(a.Rows, func(r Row) bool { return len(r.Other) > 0 }) {
		add("Rows marked \"other\" hold what was too rare to be told apart.")
	}
	if a.Beside != nil {
		add("%s more lie in cells that do not tell what the filters ask for.", *a.Beside)
	}
	if m.Value == policy.Distinct || m.Value == policy.Current {
		add("Each service counts its own subjects. Nobody can tell whether a subject of one service is a subject of another, so a person may be counted once in each.")
	}
	if m.Value == policy.Distinct {
		switch {
		case a.Total.Hidden && len(a.Rows) > 0:
			add("The rows cannot be added up, because a subject may stand behind several: ask for a day, a week, a month or the last 7 or 30 days to have one number.")
		case len(a.Rows) > 0:
			add("A subject may stand behind several rows, so the rows may add up to more than the total.")
		}
		if a.First != "" {
			add("The total counts each subject once between %s and %s.", a.First, a.Last)
		}
	}
	if m.Zone != time.UTC {
		add("Days begin at midnight in %s.", m.Zone)
	}
	return out
}

// nextDay is the day after one that is written YYYY-MM-DD.
func nextDay(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return day
	}
	return t.AddDate(0, 0, 1).Format(time.DateOnly)
}
