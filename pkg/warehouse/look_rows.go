package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A Rule is what rows are held to while they are looked at.
type Rule struct {
	// Lasting rows have no deadline.
	Lasting bool
	// Period is what the policy says; Longest the longest that any row may
	// have come under.
	Period, Longest policy.Period
	// Since is when Period became shorter than it was: what it ended before is
	// due from then. Zero is long ago.
	Since time.Time
	// Now is the later of the wall clock and Lethe's. Rows due before Removed
	// should be gone: it is the first instant of the day for which the grace
	// has not ended.
	Now, Removed time.Time
	// Ahead is how late a row can have occurred that a publisher sent.
	Ahead time.Time
}

// Day is what a table holds of one expiry day, counted from its rows: those
// behind the read barrier included.
type Day struct {
	Day  event.Day
	Rows uint64
	// First and Last are when the oldest and the newest of them occurred.
	First, Last time.Time
	// Due is the earliest deadline among them, by what the row says and by
	// the rule, whichever comes first, but no earlier by the rule than
	// Rule.Since. Zero for lasting rows.
	Due time.Time
	// Hidden rows cannot be selected any more, Overdue ones were due before
	// Rule.Removed.
	Hidden, Overdue uint64
	// Future rows say that they occurred after Rule.Ahead.
	Future uint64
	// Misplaced rows lie in a partition other than that of their own
	// deadline. Late ones have a deadline more than a day after the longest
	// rule they may have come under.
	Misplaced, Late uint64
	// Seq is the highest sequence of a clean frame among them.
	Seq uint64
}

// datedColumns is all that LookRows, Count, Cuts and Outlasting read.
var datedColumns = []string{"expiry_day", "occurred_at", "expires_at", "log_seq"}

// LookRows reads the dates of every row of a table, in one query, and counts
// them by expiry day. The table needs Lethe's own columns; one that has not is
// [fault.Invalid].
func (w *Warehouse) LookRows(ctx context.Context, database, table string, rule Rule) ([]Day, error) {
	own, err := w.Rows(ctx, `
SELECT toUInt64(count()) FROM system.columns WHERE database = {database:String} AND table = {table:String}
AND (name, type) IN (('expiry_day', 'Date'), ('occurred_at', '`+quoted(typeTime)+`'), ('expires_at', '`+quoted(typeTime)+`'), ('log_seq', 'UInt64'))`,
		map[string]any{"database": database, "table": table})
	if err != nil {
		return nil, err
	}
	if len(own.Rows) != 1 || number(own.Rows[0][0]) != 4 {
		return nil, fault.Invalid.Errorf("the table has not the columns of one of Lethe's")
	}
	const future = "countIf(occurred_at > {ahead:DateTime64(3, 'UTC')})"
	params := map[string]any{"ahead": rule.Ahead.UTC()}
	sql := fmt.Sprintf(`
SELECT toString(expiry_day) AS day, count(), min(occurred_at), max(occurred_at), toDateTime64(0, 3, 'UTC'),
  toUInt64(0), toUInt64(0), countIf(toString(expiry_day) != '%s'), toUInt64(0), max(log_seq), %s
FROM %s.%s GROUP BY day ORDER BY day`, event.Never, future, quote(database), quote(table))
	if !rule.Lasting {
		params["now"], params["removed"], params["since"] = rule.Now.UTC(), rule.Removed.UTC(), max(0, rule.Since.UnixMilli())
		sql = fmt.Sprintf(`
SELECT toString(expiry_day) AS day, count(), min(occurred_at), max(occurred_at), min(due),
  countIf(least(expires_at, ended) <= {now:DateTime64(3, 'UTC')}), countIf(due < {removed:DateTime64(3, 'UTC')}),
  countIf(expiry_day != toDate(expires_at, 'UTC')), countIf(expires_at > addDays(%s, 1)), max(log_seq), %s
FROM (SELECT expiry_day, occurred_at, expires_at, log_seq, %s AS ended,
  least(expires_at, greatest(ended, fromUnixTimestamp64Milli({since:Int64}, 'UTC'))) AS due FROM %s.%s)
GROUP BY day ORDER BY day`, endOf(rule.Longest), future, endOf(rule.Period), quote(database), quote(table))
	}
	r, err := w.Rows(ctx, sql, params)
	if err != nil {
		return nil, err
	}
	out := make([]Day, 0, len(r.Rows))
	for _, row := range r.Rows {
		out = append(out, Day{
			Day: event.Day(text(row[0])), Rows: number(row[1]), First: instant(row[2]), Last: instant(row[3]), Due: instant(row[4]),
			Hidden: number(row[5]), Overdue: number(row[6]), Misplaced: number(row[7]), Late: number(row[8]), Seq: number(row[9]), Future: number(row[10]),
		})
	}
	return out, nil
}

// quoted doubles the quotes of a text that stands in another.
func quoted(s string) string {
	l := literal(s)
	return l[1 : len(l)-1]
}

// HeldRows is what the hold tables keep for one hold until one day.
type HeldRows struct {
	Hold  string
	Until event.Day
	Rows  uint64
}

// heldColumns is all that LookHeld reads.
var heldColumns = []string{"hold", "hold_until"}

// LookHeld counts the rows of every hold table by hold and deadline.
func (w *Warehouse) LookHeld(ctx context.Context, pol *policy.Policy) ([]HeldRows, error) {
	total := map[HeldRows]uint64{}
	for _, t := range HoldTables(pol) {
		r, err := w.Rows(ctx, "SELECT hold, toString(hold_until) AS until, count() FROM "+
			w.in(HoldDatabase).Table(t.Name)+" GROUP BY hold, until", nil)
		if err != nil {
			return nil, err
		}
		for _, row := range r.Rows {
			total[HeldRows{Hold: text(row[0]), Until: event.Day(text(row[1]))}] += number(row[2])
		}
	}
	var out []HeldRows
	for h, n := range total {
		h.Rows = n
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b HeldRows) int {
		return cmp.Or(cmp.Compare(a.Hold, b.Hold), cmp.Compare(a.Until, b.Until))
	})
	return out, nil
}
