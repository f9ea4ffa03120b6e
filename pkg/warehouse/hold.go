package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

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
	have.columnChanges(name, want.columns, add, whenEmpty)
	if bare(have.partition) != bare(want.partition) || have.order != want.order {
		add("", "it is partitioned by (%s) and ordered by (%s)", bare(have.partition), have.order)
	}
	if got := have.ttl(); got != want.ttl {
		add("ALTER TABLE "+name+" MODIFY TTL "+want.ttl, "%s", ttlDiffers(got, want.ttl))
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

var holdPattern = regexp.MustCompile(`^[a-z0-9]{1,40}$`)

func checkHold(id string) error {
	if !holdPattern.MatchString(id) {
		return fault.Invalid.Errorf("that is not the id of a hold")
	}
	return nil
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
