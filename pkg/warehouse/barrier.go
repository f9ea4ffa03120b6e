package warehouse

import (
	"context"
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// present is what time it is: by the wall clock or by Lethe's, which never goes
// back, whichever is later.
const present = "greatest(now64(3), (SELECT max(at) FROM " + DefaultDatabase + "." + clockTable + "))"

// unexpired says of a row that the date it came with has not passed.
const unexpired = "expires_at > " + present

// barrier is the condition under which a row may be selected: it has expired
// neither by the rule of the day it came nor by its table's rule of today. A
// shorter period so acts at once, and a longer one on later rows only (P4).
func barrier(t *policy.Table) string {
	if t.Class.Lasting {
		return unexpired
	}
	return unexpired + " AND " + unruled(t)
}

// unruled says of a row that its table's rule of today has not passed.
func unruled(t *policy.Table) string { return ruleOf(t) + " > " + present }

// ruleOf is when a row expires by its table's rule of today.
func ruleOf(t *policy.Table) string { return endOf(t.Class.Period) }

// endOf is when a row's period ends. The engine clamps months to their last day
// as policy.Period does.
func endOf(p policy.Period) string {
	if p.Months > 0 {
		return fmt.Sprintf("addMonths(occurred_at, %d)", p.Months)
	}
	return fmt.Sprintf("addDays(occurred_at, %d)", p.Days)
}

// Cut is what a rule hides of one expiry day before its time: Rows of the All
// that are there.
type Cut struct {
	Day       event.Day
	Rows, All uint64
}

// Cuts counts the rows that a table's rule hides although the date they came
// with has not passed, by expiry day: those that came under a longer rule. The
// table may be that of a policy which is not in force, and then it is what
// would be hidden if it were. A table that the warehouse does not have is
// [fault.NotFound].
func (w *Warehouse) Cuts(ctx context.Context, t *policy.Table) ([]Cut, error) {
	if t.Class.Lasting {
		return nil, nil
	}
	cut := "countIf(" + unexpired + " AND NOT " + unruled(t) + ")"
	r, err := w.Rows(ctx, "SELECT toString(expiry_day) AS day, "+cut+" AS cut, count() FROM "+w.Table(t.Name)+
		" GROUP BY day HAVING cut > 0 ORDER BY day", nil)
	if err != nil {
		return nil, fmt.Errorf("counting what a rule hides of table %s: %w", t.Name, err)
	}
	out := make([]Cut, 0, len(r.Rows))
	for _, row := range r.Rows {
		out = append(out, Cut{Day: event.Day(text(row[0])), Rows: number(row[1]), All: number(row[2])})
	}
	return out, nil
}

// outlastingColumns is all that Outlasting reads.
var outlastingColumns = []string{"occurred_at", "expires_at"}

// Outlasting counts the rows that can still be selected and came with a date
// later than the table's rule gives: those of a longer rule that was in force
// before. While there are any, a rule that is longer again would let them live
// on. A table that the warehouse does not have is [fault.NotFound].
func (w *Warehouse) Outlasting(ctx context.Context, t *policy.Table) (uint64, error) {
	if t.Class.Lasting {
		return 0, nil
	}
	r, err := w.Rows(ctx, "SELECT count() FROM "+w.Table(t.Name)+" WHERE "+unexpired+" AND expires_at > "+ruleOf(t), nil)
	if err != nil {
		return 0, fmt.Errorf("counting what outlasts the rule of table %s: %w", t.Name, err)
	}
	return number(r.Rows[0][0]), nil
}
