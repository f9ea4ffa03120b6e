package warehouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// mutationColumns are all that retention reads of the list of mutations. Why
// one fails is not among them: the engine's text may quote a value.
var mutationColumns = []string{"database", "table", "mutation_id", "command", "is_done", "parts_to_do", "latest_failed_part"}

// These bound one call of Removing. Variables for the tests.
var (
	// removingWait is for how long it waits at most.
	removingWait = 10 * time.Second
	// removingPoll is the longest pause between two looks.
	removingPoll = time.Second
)

// Early is Count of the rows that occurred before an instant, for the days
// that have any. It opens the parts of a table once, and not again: a part is
// never changed, so when its oldest row occurred is remembered. Where no part
// is that old nothing is counted.
func (w *Warehouse) Early(ctx context.Context, table string, before time.Time, days Days, since, floor uint64) ([]Tally, error) {
	old, err := w.oldDays(ctx, table, before, days)
	if err != nil || len(old) == 0 {
		return nil, err
	}
	return w.tally(ctx, table, early(before), Days{From: slices.Min(old), To: slices.Max(old)}, since, floor)
}

// early is the condition that a row occurred before an instant.
func early(before time.Time) string {
	return fmt.Sprintf("occurred_at < fromUnixTimestamp64Milli(toInt64(%d), 'UTC')", before.UnixMilli())
}

// A partID names one content of one part. Names alone come again: the engine
// counts them from those that are there when it starts.
type partID struct{ name, hash string }

// ages remembers, by table, when the oldest row of each part occurred.
type ages struct {
	mu     sync.Mutex // guards oldest
	oldest map[string]map[partID]time.Time
}

// oldDays lists the expiry days with a part whose oldest row occurred before an
// instant, or is not known: the part was merged while it was looked at.
func (w *Warehouse) oldDays(ctx context.Context, table string, before time.Time, days Days) ([]event.Day, error) {
	if !event.CheckSymbol(table) {
		return nil, fault.Invalid.Errorf("that is not a table's name")
	}
	r, err := w.Rows(ctx, `
SELECT name, hash_of_all_files, partition FROM system.parts
WHERE database = {database:String} AND table = {table:String} AND active AND rows > 0`,
		map[string]any{"database": w.database, "table": table})
	if err != nil {
		return nil, err
	}
	within := map[partID]event.Day{}
	there := map[partID]bool{}
	for _, row := range r.Rows {
		id, day := partID{text(row[0]), text(row[1])}, event.Day(text(row[2]))
		there[id] = true
		if (days.From == "" || day >= days.From) && (days.To == "" || day <= days.To) {
			within[id] = day
		}
	}
	oldest := w.ages.of(w.Table(table), there)
	var unknown []string
	for id := range within {
		if _, ok := oldest[id]; !ok {
			unknown = append(unknown, id.name)
		}
	}
	if len(unknown) > 0 {
		r, err := w.Rows(ctx, "SELECT _part, min(occurred_at) FROM "+w.Table(table)+
			" WHERE _part IN {parts:Array(String)} GROUP BY _part", map[string]any{"parts": unknown})
		if err != nil {
			return nil, fmt.Errorf("looking for old rows of table %s: %w", table, err)
		}
		at := map[string]time.Time{}
		for _, row := range r.Rows {
			at[text(row[0])] = instant(row[1])
		}
		for id := range within {
			if first, ok := at[id.name]; ok {
				oldest[id] = first
			}
		}
		w.ages.put(w.Table(table), oldest)
	}
	var old []event.Day
	for id, day := range within {
		if first, ok := oldest[id]; !ok || first.Before(before) {
			old = append(old, day)
		}
	}
	return old, nil
}

// of is what is remembered of the parts that are there. Others are forgotten
// when it is put back.
func (a *ages) of(table string, there map[partID]bool) map[partID]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := map[partID]time.Time{}
	for id, at := range a.oldest[table] {
		if there[id] {
			out[id] = at
		}
	}
	return out
}

func (a *ages) put(table string, oldest map[partID]time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.oldest == nil {
		a.oldest = map[string]map[partID]time.Time{}
	}
	a.oldest[table] = oldest
}

// DropEarly drops the parts of one expiry day in which every row occurred
// before an instant and has a sequence up to the floor. No other part is
// written anew, and rows that come meanwhile are in parts of their own. Rows
// that share a part with others stay, for [Warehouse.RemoveEarly].
func (w *Warehouse) DropEarly(ctx context.Context, table string, day event.Day, before time.Time, floor uint64) error {
	if !event.CheckSymbol(table) {
		return fault.Invalid.Errorf("that is not a table's name")
	}
	r, err := w.Rows(ctx, "SELECT _part FROM "+w.Table(table)+" WHERE expiry_day = {day:Date} GROUP BY _part"+
		" HAVING countIf(NOT ("+early(before)+" AND log_seq <= {floor:UInt64})) = 0 ORDER BY _part",
		map[string]any{"day": string(day), "floor": floor})
	if err != nil {
		return fmt.Errorf("looking for old parts of table %s: %w", table, err)
	}
	if len(r.Rows) == 0 {
		return nil
	}
	drops := make([]string, 0, len(r.Rows))
	for _, row := range r.Rows {
		drops = append(drops, "DROP PART "+literal(text(row[0])))
	}
	err = w.exec(ctx, "dropping parts of table "+table, "ALTER TABLE "+w.Table(table)+" "+strings.Join(drops, ", "))
	if fault.KindOf(err) == fault.NotFound {
		return nil // one of them was merged, and is another part
	}
	return err
}

// RemoveEarly asks the engine to remove the rows of some expiry days that
// occurred before an instant and have a sequence up to the floor, and returns
// at once. [Warehouse.Removing] says when it is done. The engine gives every
// part of the table another name for it, so it is for what DropEarly leaves,
// and is asked once for all days.
//
// The statement stays in the engine's list of mutations. It says days, an
// instant and a sequence, and nothing of a person.
func (w *Warehouse) RemoveEarly(ctx context.Context, table string, days []event.Day, before time.Time, floor uint64) error {
	if !event.CheckSymbol(table) || len(days) == 0 {
		return fault.Invalid.Errorf("that is not a table's name, or no day is named")
	}
	names := make([]string, 0, len(days))
	for _, day := range days {
		if _, err := event.ParseDay(string(day)); err != nil {
			return err
		}
		names = append(names, literal(string(day)))
	}
	// 0: it would wait on a connection that gives up after a minute.
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"mutations_sync": 0}))
	return w.exec(ctx, "asking for the removal of rows of table "+table, fmt.Sprintf("ALTER TABLE %s DELETE WHERE expiry_day IN (%s) AND %s AND log_seq <= %d",
		w.Table(table), strings.Join(names, ", "), early(before), floor))
}

// ours matches the statement of RemoveEarly as the engine writes it down.
const ours = `(DELETE WHERE (expiry\\_day IN (%)) AND (occurred\\_at < fromUnixTimestamp64Milli(toInt64(%), \'UTC\')) AND (log\\_seq <= %))`

// A Removal is what the engine is at in a table.
type Removal struct {
	// Parts are left to look at; zero when nothing is under way.
	Parts uint64
	// Failing says that the last try at one of them failed.
	Failing bool
}

// Removing waits a while for the mutations of a table to end, whoever asked for
// them, and says how far they are. It is called again as long as there are
// fewer parts each time.
func (w *Warehouse) Removing(ctx context.Context, table string) (Removal, error) {
	end := time.Now().Add(removingWait)
	for delay := 5 * time.Millisecond; ; delay = min(2*delay, removingPoll) {
		r, err := w.Rows(ctx, "SELECT count(), sum(parts_to_do), countIf(latest_failed_part != '') FROM system.mutations"+
			" WHERE database = {database:String} AND table = {table:String} AND NOT is_done",
			map[string]any{"database": w.database, "table": table})
		if err != nil {
			return Removal{}, fmt.Errorf("looking at removals of table %s: %w", table, err)
		}
		if number(r.Rows[0][0]) == 0 {
			return Removal{}, nil
		}
		// One that has just been asked for, or is just done, may have no parts.
		left := Removal{Parts: max(number(r.Rows[0][1]), 1), Failing: number(r.Rows[0][2]) > 0}
		if time.Now().Add(delay).After(end) {
			return left, nil
		}
		select {
		case <-ctx.Done():
			return left, fmt.Errorf("waiting for removals of table %s: %w", table, clean(ctx.Err()))
		case <-time.After(delay):
		}
	}
}

// GiveUp ends what [Warehouse.RemoveEarly] asked for and the engine does not
// do, so that it does not happen at some other time. What it has done stays
// done. Mutations that somebody else asked for stay.
func (w *Warehouse) GiveUp(ctx context.Context, table string) error {
	if !event.CheckSymbol(table) {
		return fault.Invalid.Errorf("that is not a table's name")
	}
	return w.exec(ctx, "giving up a removal of rows of table "+table, "KILL MUTATION WHERE database = "+literal(w.database)+
		" AND table = "+literal(table)+" AND NOT is_done AND command LIKE '"+ours+"'")
}
