package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// A run is a retention run and the index of its entry.
type run struct {
	audit.Run
	at int
}

// clock reads Lethe's clock off the runs.
func (c *checker) clock() {
	back := 0
	details(c, audit.KindRun, func(at int, _ entry, r audit.Run) {
		if n := len(c.runs); n > 0 && r.Clock.Before(c.runs[n-1].Clock) {
			back++
		}
		c.runs = append(c.runs, run{r, at})
	})
	c.final = c.s.Report.Clock
	if n := len(c.runs); n > 0 && c.runs[n-1].Clock.After(c.final) {
		c.final = c.runs[n-1].Clock
	}
	if back > 0 {
		c.problem("Lethe's clock went back %s, which it never does.", count(back, "time", "times"))
	}
	c.ahead()
}

// ahead holds the clock of each run to the time of its own entry, which is that
// of the wall clock: it is behind that, or as far ahead as a jump that was
// accepted on record, but for a wall clock that was set back since.
func (c *checker) ahead() {
	var runs []string
	var accepted time.Time
	runAt := 0
	details(c, audit.KindClock, func(at int, _ entry, k audit.Clock) {
		c.facts.Clocks = append(c.facts.Clocks, k)
		runs = append(runs, c.unaccepted(&runAt, at, accepted)...)
		if k.Accepted && k.To.After(accepted) {
			accepted = k.To
		}
	})
	runs = append(runs, c.unaccepted(&runAt, len(c.entries), accepted)...)
	if n := len(runs); n > 0 {
		c.problem("In %s of retention Lethe's clock was more than %s ahead of the time at which the run was recorded, and no jump of the clock was accepted on record that says why: what was destroyed then may have been destroyed early. %s.",
			count(n, "run", "runs"), count(int(audit.MaxJump/aDay), "day", "days"), capital(verify.Some(runs)))
	}
}

// unaccepted are the runs before an entry, from the next on, whose clock was
// ahead by more than accepted explains.
func (c *checker) unaccepted(next *int, before int, accepted time.Time) (out []string) {
	for ; *next < len(c.runs) && c.runs[*next].at < before; *next++ {
		r := c.runs[*next]
		if r.Clock.After(c.entries[r.at].At.Add(audit.MaxJump)) && r.Clock.After(accepted.Add(audit.MaxJump)) {
			out = append(out, fmt.Sprintf("%s, recorded on %s, has the clock at %s", c.entries[r.at], minute(c.entries[r.at].At), minute(r.Clock)))
		}
	}
	return out
}

// clockAt is Lethe's clock when an entry was recorded, or a little later: that
// of the first run that ended after it.
func (c *checker) clockAt(at int) time.Time {
	i, _ := slices.BinarySearchFunc(c.runs, at, func(r run, at int) int { return r.at - at })
	if i == len(c.runs) {
		return c.final
	}
	return c.runs[i].Clock
}

// due says whether what expires on a day must be gone at the end, and late
// whether an entry comes after it had to be.
func (c *checker) due(day event.Day) bool { return !deadline(day).After(c.final) }

func (c *checker) late(day event.Day, at int) bool { return c.clockAt(at).After(deadline(day)) }

func deadline(day event.Day) time.Time { return day.End().Add(policy.Grace) }

// rules holds the rules in the bundle to those that were applied.
func (c *checker) rules() {
	applied, at := "", -1
	details(c, audit.KindPolicy, func(i int, _ entry, p audit.Policy) {
		applied, at = p.Digest, i
		c.facts.Policies = append(c.facts.Policies, Applied{c.entries[i].At, p, i})
	})
	if at >= 0 && applied != c.s.Policy.Digest {
		c.problem("The policy that was applied last, on %s, is another than the rules in this bundle.", minute(c.entries[at].At))
	}
	if c.s.Report.Policy != c.s.Policy.Digest {
		c.problem("The report was made under another policy than the rules in this bundle.")
	}
	if n := len(c.runs); n > 0 && c.runs[n-1].at > at && c.runs[n-1].Policy != c.s.Policy.Digest {
		c.problem("The last retention run obeyed another policy than the rules in this bundle.")
	} else if n > 0 && c.runs[n-1].at > at {
		c.proved("The last retention run obeyed the policy %s, whose rules this bundle names.", short(c.s.Policy.Digest))
	}
	c.not("That the rules in words are what the documents with the digest %s say: 'lethe check' prints the digest of documents.", short(c.s.Policy.Digest))
}

// ran holds the runs to one a day.
func (c *checker) ran() {
	days := map[event.Day]bool{}
	for _, r := range c.runs {
		days[event.DayOf(r.Clock)] = true
	}
	// What came before the first entry is not known, and the last day is not
	// over.
	first := event.DayOf(c.entries[0].At.AddDate(0, 0, 1))
	if len(c.runs) > 0 {
		first = min(first, event.DayOf(c.runs[0].Clock))
	}
	last := event.DayOf(c.final)
	var gaps []string
	n := 0
	for day := first; day < last; day = event.DayOf(day.End()) {
		if n++; n > maxDays {
			c.problem("The record claims to be about more than %s days.", number(maxDays))
			return
		}
		if !days[day] {
			gaps = append(gaps, string(day))
		}
	}
	c.facts.Days = n
	switch {
	case len(gaps) > 0 && len(c.runs) == 0:
		c.problem("No retention run is on record from %s to %s.", first, event.DayOf(last.Start().AddDate(0, 0, -1)))
	case len(gaps) > 0:
		c.problem("On %d of %s no retention run is on record: %s.", len(gaps), count(n, "day", "days"), verify.Some(spans(gaps)))
	case n > 0:
		c.proved("Retention ran on %s, from %s to %s.", each(n), first, event.DayOf(last.Start().AddDate(0, 0, -1)))
	default:
		c.not("That retention runs every day: the record is not a whole day long.")
	}
	lost, broken := 0, 0
	details(c, audit.KindGap, func(_ int, _ entry, g audit.Gap) { lost++ })
	details(c, audit.KindRefused, func(_ int, _ entry, _ audit.Refused) { broken++ })
	if lost > 0 {
		c.problem("%s something that had been recorded was gone before it was in the log.", capital(count(lost, "time", "times")))
	}
	if broken > 0 {
		c.not("What %s on the audit stream said: not being entries, they are on record by their hash only.", count(broken, "message", "messages"))
	}
}

// maxDays bounds the days that a check walks over: some 270 years.
const maxDays = 100_000

func each(days int) string {
	if days == 1 {
		return "the one whole day"
	}
	return fmt.Sprintf("each of %s days", number(days))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// spans joins days that follow each other.
func spans(days []string) []string {
	var out []string
	for i := 0; i < len(days); {
		j := i
		for j+1 < len(days) && event.DayOf(event.Day(days[j]).End()) == event.Day(days[j+1]) {
			j++
		}
		if j == i {
			out = append(out, days[i])
		} else {
			out = append(out, days[i]+" to "+days[j])
		}
		i = j + 1
	}
	return out
}

// short is the beginning of a digest, for sentences.
func short(digest string) string {
	if len(digest) > 12 {
		return digest[:12]
	}
	return digest
}

// holds holds every legal hold to its deadline.
func (c *checker) holds() {
	index := map[string]int{}
	details(c, audit.KindHold, func(at int, e entry, h audit.Hold) {
		i, known := index[h.ID]
		if !known {
			i = len(c.facts.Holds)
			index[h.ID] = i
			c.facts.Holds = append(c.facts.Holds, Held{ID: h.ID, Added: e.At})
		}
		held := &c.facts.Holds[i]
		if h.Deadline != "" {
			held.Deadline = h.Deadline
		}
		if h.Reason != "" {
			held.Reason = h.Reason
		}
		held.Rows, held.Frames = max(held.Rows, h.Rows), max(held.Frames, h.Frames)
		held.State = h.Verb
		if h.Verb == "ended" {
			held.late = held.Deadline != "" && c.late(held.Deadline, at)
		}
	})
	var open, late []string
	for _, h := range c.facts.Holds {
		switch {
		case h.State == "ended" && h.late:
			late = append(late, h.ID)
		case h.State != "ended" && h.Deadline != "" && c.due(h.Deadline):
			open = append(open, h.ID)
		}
	}
	if len(open) > 0 {
		c.problem("%s past deadline and grace and not on record as ended: %s.", capital(isAre(len(open), "legal hold")), verify.Some(open))
	}
	if len(late) > 0 {
		c.problem("%s ended after deadline and grace: %s.", capital(count(len(late), "legal hold", "legal holds")), verify.Some(late))
	}
	if n := len(c.facts.Holds); n > 0 && len(open)+len(late) == 0 {
		c.proved("Of %s on record, none outlived its deadline.", count(n, "legal hold", "legal holds"))
	}
}

func isAre(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return number(n) + " " + what + "s are"
}

// report repeats what verify found.
func (c *checker) report() {
	var hold, unseen, unkept []string
	first := map[verify.Finding]string{}
	for _, p := range c.s.Report.Promises {
		switch {
		case !p.Enforced:
			unkept = append(unkept, p.ID)
		case p.Holds && p.How == "":
			unseen = append(unseen, p.ID)
		case p.Holds && p.Note != "":
			hold = append(hold, p.ID+" in part") // of the rest it says that nothing keeps it
		case p.Holds:
			hold = append(hold, p.ID)
		default:
			c.problem("The report says that %s does not hold: %s", p.ID, findings(p.ID, p.Findings, first))
		}
	}
	if !c.s.Report.Holds && len(c.r.Problems) == 0 {
		c.problem("The report says that not every promise holds.")
	}
	if len(hold) > 0 {
		c.proved("When Lethe looked, on %s, these promises held: %s.", minute(c.s.Report.At), strings.Join(hold, ", "))
	}
	if len(unseen) > 0 {
		c.not("That these promises hold, of which a running system shows nothing, and which how Lethe is made and tested must keep: %s.", strings.Join(unseen, ", "))
	}
	if len(unkept) > 0 {
		c.not("That these promises hold, which this Lethe does not enforce: %s.", strings.Join(unkept, ", "))
	}
	var not []string
	for _, l := range c.s.Report.Looked {
		if l.Not != "" {
			not = append(not, fmt.Sprintf("%s (%s)", l.Where, l.Not))
		}
	}
	if len(not) > 0 {
		c.not("What is at places that were not looked at: %s.", verify.Some(not))
	}
}

// findings says what was found against a promise and where. What breaks several
// is said once.
func findings(promise string, all []verify.Finding, first map[verify.Finding]string) string {
	var out []string
	for _, f := range all {
		before, told := first[f]
		said := strings.TrimSuffix(f.Where+": "+f.Sentence, ".") + "."
		if !told {
			first[f] = promise
		} else if said = "As under " + before + "."; slices.Contains(out, said) {
			continue
		}
		out = append(out, said)
	}
	if len(out) == 0 {
		return "it does not say why."
	}
	return someSentences(out)
}
