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
	switch {
	case a.K > 0:
		add("Every number is made of cells of at least %d subjects each; what fewer did is not in it until more did the same.", a.K)
	case !m.Public:
		add("Some cells are of a time in which the metric was public, and may be about anybody.")
	}
	if today := m.K; !m.Public && a.K < today {
		add("The policy asks for at least %d today. What was published before stays.", today)
	}
	switch {
	case a.found.noBucket:
		add("The metric %s counts subjects once in each of: %s. The days asked for are none of them: ask for one, or split by it.", m.Name, bucketWords(m))
	case a.Total.Hidden && len(a.Rows) == 0:
		add("Nothing is published for this question.")
	}
	other := slices.ContainsFunc(a.Rows, func(r Row) bool { return len(r.Other) > 0 })
	switch {
	case p.top > 0 && !m.Value.Additive():
		add("What is not among the %d largest is left out, because subjects do not add up.", p.top)
	case p.top > 0 && other:
		add("Rows marked \"other\" hold what is not among the %d largest, or was too rare to be told apart.", p.top)
	case other:
		add("Rows marked \"other\" hold what was too rare to be told apart.")
	}
	if a.Beside != nil {
		add("%s more lie in cells that do not tell whether they are what was asked for.", *a.Beside)
	}
	if m.Value == policy.Distinct || m.Value == policy.Current {
		add("Each service counts its own subjects. Nobody can tell whether a subject of one service is a subject of another, so a person may be counted once in each.")
	}
	if m.Value == policy.Distinct {
		switch {
		case len(a.Rows) == 0:
		case a.Total.Hidden:
			add("The rows cannot be added up, because a subject may stand behind several. One number is there for each of: %s.", bucketWords(m))
		default:
			add("A subject may stand behind several rows, so the rows may add up to more than the total.")
		}
		if a.First != "" {
			add("A subject counts once between %s and %s.", a.First, a.Last)
		}
	}
	if m.Zone != time.UTC {
		add("Days are those of %s.", m.Zone)
	}
	return out
}
