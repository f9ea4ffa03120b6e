package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// holdSuffix follows the name of the database of what legal holds keep.
const holdSuffix = "_hold"

// HoldDatabase is where legal holds keep copies of rows.
const HoldDatabase = DefaultDatabase + holdSuffix

// holdColumns come last in every hold table.
var holdColumns = []column{
	{"hold", "LowCardinality(String)", "the legal hold that keeps the row"},
	{"hold_until", "Date", "the last UTC day on which it does"},
}

const (
	// A hold's rows of one table are one partition, so that its end is that
	// partition dropped.
	holdPartitionBy = "(hold_until, hold)"
	holdOrderBy     = "hold, tenant, service, event_id"
	holdBackstop    = "hold_until + toIntervalDay(3)"
)

// HoldTables are the tables of which a legal hold can keep rows: those whose
// rows expire. A copy goes to the table of the same name in [HoldDatabase].
func HoldTables(pol *policy.Policy) []*policy.Table {
	return slices.DeleteFunc(pol.Tables(), func(t *policy.Table) bool { return t.Class.Lasting })
}

func (l layout) holds() layout {
	l.database += holdSuffix
	return l
}

func (l layout) createHoldTable(t *policy.Table) string { return l.create(t.Name, holdShape(t)) }

func holdShape(t *policy.Table) shape {
	return shape{append(columnsOf(t), holdColumns...), holdPartitionBy, holdOrderBy, holdBackstop, "lethe hold table=" + t.Name}
}

// holdChanges compares the hold tables with what the policy asks for. Nothing
// is asked of a table that holds rows but what adds to it: they are kept as
// they were copied.
func (s *state) holdChanges(l layout, pol *policy.Policy) []Change {
	var out []Change
	if !s.database {
		out = append(out, Change{Sentence: "database " + l.database + " is missing", SQL: l.createDatabase()})
	}
	wanted := map[string]bool{}
	for _, t := range HoldTables(pol) {
		wanted[t.Name] = true
		if have := s.tables[t.Name]; have == nil {
			name := l.database + "." + t.Name
			out = append(out, Change{Table: name, Sentence: "table " + name + " is missing", SQL: l.createHoldTable(t)})
		} else {
			out = append(out, have.holdChanges(l, t)...)
		}
	}
	var extra []Change
	for table := range s.tables {
		if !wanted[table] {
			name := l.database + "." + table
			extra = append(extra, Change{Table: name, Sentence: "table " + name + " is not in the policy; its rows stay until their holds end"})
		}
	}
	slices.SortFunc(extra, func(a, b Change) int { return cmp.Compare(a.Table, b.Table) })
	return append(out, extra...)
}

func (have *liveTable) holdChanges(l layout, t *policy.Table) []Change {
	var out []Change
	want := holdShape(t)
	label, name := l.database+"."+t.Name, quote(l.database)+"."+quote(t.Name)
	add := func(sql, format string, args ...any) {
		out = append(out, Change{Table: label, Sentence: "table " + label + ": " + fmt.Sprintf(format, args...), SQL: sql})
	}
	// whenEmpty is a statement that would touch rows under hold.
	whenEmpty := func(sql string) string {
		if have.rows > 0 {
			return ""
		}
		return sql
	}
	after := "FIRST"
	known := map[string]bool{}
	for _, c := range want.columns {
		known[c.name] = true
		old, ok := have.columns[c.name]
		switch {
		case !ok:
			add("ALTER TABLE "+name+" ADD COLUMN IF NOT EXISTS "+c.definition()+" "+after, "column %s is missing", c.name)
		case old.kind != c.kind:
			add(whenEmpty("ALTER TABLE "+name+" MODIFY COLUMN "+c.definition()), "column %s is %s and should be %s", c.name, old.kind, c.kind)
		case old.comment != c.comment:
			add("ALTER TABLE "+name+" COMMENT COLUMN "+quote(c.name)+" "+literal(c.comment), "column %s is described otherwise", c.name)
		}
		after = "AFTER " + quote(c.name)
	}
	var extra []string
	for c := range have.columns {
		if !known[c] {
			extra = append(extra, c)
		}
	}
	slices.Sort(extra)
	for _, c := range extra {
		add(whenEmpty("ALTER TABLE "+name+" DROP COLUMN "+quote(c)), "column %s is not in the policy", c)
	}
	if bare(have.partition) != bare(want.partition) || have.order != want.order {
		add("", "it is partitioned by (%s) and ordered by (%s)", bare(have.partition), have.order)
	}
	if got := have.ttl(); got != want.ttl {
		add("ALTER TABLE "+name+" MODIFY TTL "+want.ttl, "its TTL is %q and should be %q", got, want.ttl)
	}
	for _, c := range have.settings(l, t.Name, tableSettings) {
		add(c.SQL, "%s", strings.TrimPrefix(c.Sentence, "table "+t.Name+": "))
	}
	if have.comment != want.comment {
		add("ALTER TABLE "+name+" MODIFY COMMENT "+literal(want.comment), "it does not say what it is")
	}
	return out
}

// bare is a key without the parentheses of a tuple.
func bare(key string) string { return strings.TrimSuffix(strings.TrimPrefix(key, "("), ")") }

// Held says which rows a legal hold covers, of a range of the clean log.
type Held struct {
	Hold  string    // its id: lower-case letters and digits
	Until event.Day // the last UTC day on which it keeps them
	// No services are all of the tenant's. From and To bound occurred_at, in
	// milliseconds, From included; zero is open.
	Tenant   string
	Services []string
	From, To time.Time
	// Rows of sequences after Since and up to Through.
	Since, Through uint64
}

var holdPattern = regexp.MustCompile(`^[a-z0-9]{1,40}$`)

func checkHold(id string) error {
	if !holdPattern.MatchString(id) {
		return fault.Invalid.Errorf("that is not the id of a hold")
	}
	return nil
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
			past, _ := r.Rows[0][0].(uint64)
			through = min(through, max(past-1, h.Since+1))
		}
	}
	return through, nil
}

// CopyHeld copies the rows of a table that a hold covers, and that may still be
// selected, into the hold table. It returns how many rows of the range are
// there when it is done. It may be repeated: a row is there once, whatever
// became of an insert whose outcome was unknown.
//
// A row past its rule is never copied.
func (w *Warehouse) CopyHeld(ctx context.Context, t *policy.Table, h Held) (uint64, error) {
	if err := checkHold(h.Hold); err != nil {
		return 0, err
	}
	if _, err := event.ParseDay(string(h.Until)); err != nil {
		return 0, err
	}
	where, args := h.where(t)
	to := w.in(w.database + holdSuffix).Table(t.Name)
	const there = "hold = {hold:String} AND log_seq > {since:UInt64} AND log_seq <= {through:UInt64}"
	from := " FROM " + w.Table(t.Name) + " WHERE " + where +
		" AND (log_seq, event_id) NOT IN (SELECT log_seq, event_id FROM " + to + " WHERE " + there + ")"
	count := "SELECT (SELECT count() FROM " + to + " WHERE " + there + "), count()" + from
	args["hold"], args["until"] = h.Hold, string(h.Until)
	for inserted := false; ; inserted = true {
		r, err := w.Rows(ctx, count, args)
		if err != nil {
			return 0, err
		}
		done, _ := r.Rows[0][0].(uint64)
		left, _ := r.Rows[0][1].(uint64)
		switch {
		case left == 0:
			return done, nil
		case inserted:
			return 0, fault.Unavailable.Errorf("copying rows of table %s for a hold: %d are not there yet", t.Name, left)
		}
		if err := w.insertHeld(ctx, t, h, done, w.insertHeldSQL(t)+from, args); err != nil {
			return 0, err
		}
	}
}

func (w *Warehouse) insertHeldSQL(t *policy.Table) string {
	columns := strings.Join(quoteAll(columnNames(t)), ", ")
	return "INSERT INTO " + w.in(w.database+holdSuffix).Table(t.Name) + " (" + columns + ", hold, hold_until) SELECT " + columns +
		", {hold:String}, {until:Date}"
}

// insertHeld inserts one block. An insert of an earlier attempt may be under
// way, and see as little of this one as this one sees of it: the engine takes
// one block of a token.
func (w *Warehouse) insertHeld(ctx context.Context, t *policy.Table, h Held, done uint64, sql string, args map[string]any) error {
	named := make([]any, 0, len(args))
	for _, name := range slices.Sorted(maps.Keys(args)) {
		named = append(named, clickhouse.Named(name, args[name]))
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token": fmt.Sprintf("lethe/hold/v1 %s %s %d-%d after %d", h.Hold, t.Name, h.Since, h.Through, done),
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
	return w.exec(ctx, "copying rows of table "+t.Name+" for a hold", sql+" ORDER BY log_seq, event_id", named...)
}

// where is the condition that a row is covered and may be selected.
func (h Held) where(t *policy.Table) (string, map[string]any) {
	conditions := []string{
		"log_seq > {since:UInt64}", "log_seq <= {through:UInt64}", "tenant = {tenant:String}", barrier(t),
	}
	args := map[string]any{"since": h.Since, "through": h.Through, "tenant": h.Tenant}
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

// A heldPart is what one hold table holds for one hold, in the words of the
// engine.
type heldPart struct {
	table, partition string
	rows             uint64
}

// heldParts looks at the parts on disk: tables that the policy does not have
// count too.
func (w *Warehouse) heldParts(ctx context.Context, hold string) ([]heldPart, error) {
	if err := checkHold(hold); err != nil {
		return nil, err
	}
	r, err := w.Rows(ctx, `
SELECT table, partition_id, sum(rows) FROM system.parts
WHERE database = {database:String} AND active AND endsWith(partition, {ending:String})
GROUP BY table, partition_id ORDER BY table, partition_id`,
		map[string]any{"database": w.database + holdSuffix, "ending": ",'" + hold + "')"})
	if err != nil {
		return nil, err
	}
	var out []heldPart
	for _, row := range r.Rows {
		var p heldPart
		p.table, _ = row[0].(string)
		p.partition, _ = row[1].(string)
		p.rows, _ = row[2].(uint64)
		out = append(out, p)
	}
	return out, nil
}

// CountHeld counts the rows that a hold keeps, in whatever table of the hold
// database.
func (w *Warehouse) CountHeld(ctx context.Context, hold string) (uint64, error) {
	parts, err := w.heldParts(ctx, hold)
	var n uint64
	for _, p := range parts {
		n += p.rows
	}
	return n, err
}

var partitionPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// DropHeld removes the rows that a hold keeps with their bytes, from whatever
// table of the hold database. It may be repeated.
func (w *Warehouse) DropHeld(ctx context.Context, hold string) error {
	parts, err := w.heldParts(ctx, hold)
	if err != nil {
		return err
	}
	held := w.in(w.database + holdSuffix)
	for _, p := range parts {
		if !event.CheckSymbol(p.table) || !partitionPattern.MatchString(p.partition) {
			return fault.Conflict.Errorf("a table of the hold database is none of Lethe's")
		}
		if err := w.exec(ctx, "dropping what a hold keeps in table "+p.table,
			"ALTER TABLE "+held.Table(p.table)+" DROP PARTITION ID '"+p.partition+"'"); err != nil {
			return err
		}
	}
	return nil
}
