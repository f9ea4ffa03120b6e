package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// Held says which rows a legal hold covers, of a range of the clean log.
type Held struct {
	Hold  string    // its id: lower-case letters and digits
	Until event.Day // the last UTC day on which it keeps them
	// No services are all of the tenant's. From and To bound occurred_at, in
	// milliseconds, From included; zero is open.
	Tenant   string
	Services []string
	From, To time.Time
	// At is the instant, in milliseconds, at which a row must have been inside
	// its rule; zero is the present. By its rule of then, which Rules has by
	// table, or by that of today: a rule that became shorter since takes nothing
	// away, and one that became longer covers what came under it. The two are
	// never confused, because a rule does not become longer while there are rows
	// that it would bring back.
	At    time.Time
	Rules map[string]policy.Period
	// Rows of sequences after Since and up to Through.
	Since, Through uint64
}

// maxHeldRows bounds one insert into a hold table, which must be one block:
// only a block is inserted whole or not at all. A variable for the tests.
var maxHeldRows = 200_000

// HeldThrough is the end of a range that CopyHeld can take at once: h.Through,
// or an earlier sequence where a table has too many rows for one insert.
func (w *Warehouse) HeldThrough(ctx context.Context, tables []*policy.Table, h Held) (uint64, error) {
	through := h.Through
	for _, t := range tables {
		where, args := h.where(t)
		r, err := w.Rows(ctx, fmt.Sprintf("SELECT log_seq FROM %s WHERE %s ORDER BY log_seq LIMIT 1 OFFSET %d",
			w.Table(t.Name), where, maxHeldRows), args)
		if err != nil {
			return 0, err
		}
		if len(r.Rows) > 0 {
			// A frame has at most a few hundred rows.
			through = min(through, max(number(r.Rows[0][0])-1, h.Since+1))
		}
	}
	return through, nil
}

// CopyHeld copies the rows of a table that a hold covers into the hold table.
// It returns how many rows of the range are there when it is done. It may be
// repeated: a row is there once, whatever became of an insert whose outcome was
// unknown.
func (w *Warehouse) CopyHeld(ctx context.Context, t *policy.Table, h Held) (uint64, error) {
	if err := checkHold(h.Hold); err != nil {
		return 0, err
	}
	if _, err := event.ParseDay(string(h.Until)); err != nil {
		return 0, err
	}
	c := w.heldCopy(t, h)
	for attempt := 0; ; attempt++ {
		done, left, err := c.look(ctx)
		if err == nil && left > 0 && attempt > 0 {
			// A token may be there a moment before its rows are, so nothing is
			// found only when nothing is found twice.
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-time.After(time.Second):
				done, left, err = c.look(ctx)
			}
		}
		switch {
		case err != nil:
			return 0, err
		case left == 0:
			return done, nil
		case attempt == maxHeldAttempts:
			return 0, fault.Unavailable.Errorf("copying rows of table %s for a hold: %d are not there yet", t.Name, left)
		}
		if err := c.insert(ctx, done, attempt); err != nil {
			return 0, err
		}
	}
}

// maxHeldAttempts is how often one call inserts: each time but the first
// because a kill undid what was inserted before.
const maxHeldAttempts = 5

// heldCopy is the copying of one range of a table.
type heldCopy struct {
	w     *Warehouse
	t     *policy.Table
	h     Held
	to    string // the hold table
	there string // the condition that a row of it is of the range
	from  string // what of the range is not there
	args  map[string]any
}

func (w *Warehouse) heldCopy(t *policy.Table, h Held) *heldCopy {
	where, args := h.where(t)
	args["hold"], args["until"] = h.Hold, string(h.Until)
	c := &heldCopy{
		w: w, t: t, h: h, to: w.in(w.database + holdSuffix).Table(t.Name), args: args,
		there: "hold = {hold:String} AND log_seq > {since:UInt64} AND log_seq <= {through:UInt64}",
	}
	c.from = " FROM " + w.Table(t.Name) + " WHERE " + where +
		" AND (log_seq, event_id) NOT IN (SELECT log_seq, event_id FROM " + c.to + " WHERE " + c.there + ")"
	return c
}

// look counts what is there, and what is not.
func (c *heldCopy) look(ctx context.Context) (done, left uint64, err error) {
	r, err := c.w.Rows(ctx, "SELECT (SELECT count() FROM "+c.to+" WHERE "+c.there+"), count()"+c.from, c.args)
	if err != nil {
		return 0, 0, err
	}
	return number(r.Rows[0][0]), number(r.Rows[0][1]), nil
}

// insert inserts one block. An insert of an earlier attempt may be under way,
// and see as little of this one as this one sees of it: the engine takes one
// block of a token. But it writes down a token before the part is in its place
// (see [Warehouse.Landed]), and then drops every repetition of an insert that a
// kill undid. So each attempt of a call, made only where the one before it left
// nothing, has a token of its own.
func (c *heldCopy) insert(ctx context.Context, done uint64, attempt int) error {
	columns := strings.Join(quoteAll(columnNames(c.t)), ", ")
	named := make([]any, 0, len(c.args))
	for _, name := range slices.Sorted(maps.Keys(c.args)) {
		named = append(named, clickhouse.Named(name, c.args[name]))
	}
	token := fmt.Sprintf("lethe/hold/v1 %s %s %d-%d after %d", c.h.Hold, c.t.Name, c.h.Since, c.h.Through, done)
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token": token + strings.Repeat("/again", attempt),
		"deduplicate_insert_select":  "force_enable",
		// The engine tells blocks of one token by what they were squashed
		// from. So the source is one block too, whatever parts it lies in: it
		// is sorted, and not merely read in the order of the table.
		"optimize_read_in_order": 0,
		"max_block_size":         4 * maxHeldRows,
		"max_insert_threads":     1,
		// The sink's block is as large.
		"min_insert_block_size_rows": 4 * maxHeldRows, "min_insert_block_size_bytes": 0,
	}))
	return c.w.exec(ctx, "copying rows of table "+c.t.Name+" for a hold", "INSERT INTO "+c.to+" ("+columns+", hold, hold_until) SELECT "+columns+
		", {hold:String}, {until:Date}"+c.from+" ORDER BY log_seq, event_id", named...)
}

// where is the condition that a row is covered.
func (h Held) where(t *policy.Table) (string, map[string]any) {
	conditions := []string{"log_seq > {since:UInt64}", "log_seq <= {through:UInt64}", "tenant = {tenant:String}"}
	args := map[string]any{"since": h.Since, "through": h.Through, "tenant": h.Tenant}
	if h.At.IsZero() {
		conditions = append(conditions, barrier(t))
	} else {
		const at = "fromUnixTimestamp64Milli({at:Int64}, 'UTC')"
		args["at"] = h.At.UnixMilli()
		rule := ruleOf(t) + " > " + at
		if then, ok := h.Rules[t.Name]; ok {
			rule = "(" + rule + " OR " + endOf(then) + " > " + at + ")"
		}
		conditions = append(conditions, "expires_at > "+at, rule)
	}
	if len(h.Services) > 0 {
		conditions = append(conditions, "has({services:Array(String)}, service)")
		args["services"] = h.Services
	}
	if !h.From.IsZero() {
		conditions = append(conditions, "occurred_at >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')")
		args["from"] = h.From.UnixMilli()
	}
	if !h.To.IsZero() {
		conditions = append(conditions, "occurred_at < fromUnixTimestamp64Milli({to:Int64}, 'UTC')")
		args["to"] = h.To.UnixMilli()
	}
	return strings.Join(conditions, " AND "), args
}
