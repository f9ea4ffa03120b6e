package warehouse

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A Change is one difference between the policy and the live warehouse.
type Change struct {
	// Table is empty for the database itself.
	Table string
	// Sentence says what differs, for people.
	Sentence string
	// SQL enacts the change. It is empty where only a rebuild can, or where a
	// table outlived its policy and has to wait for its rows to expire.
	SQL string
	// Rebuild says that the tables have to be made anew from the clean log.
	Rebuild bool
}

// Plan compares the live warehouse with what the policy asks for. No changes
// means no drift.
func (w *Warehouse) Plan(ctx context.Context, pol *policy.Policy) ([]Change, error) {
	have, err := w.inspect(ctx)
	if err != nil {
		return nil, err
	}
	held, err := w.in(w.database + holdSuffix).inspect(ctx)
	if err != nil {
		return nil, err
	}
	l := single(w.database, FirstEpoch)
	seen, err := w.viewChanges(ctx, l, pol)
	if err != nil {
		return nil, err
	}
	return slices.Concat(have.changes(l, pol), held.holdChanges(l.holds(), pol), seen), nil
}

// Apply makes the warehouse what the policy asks for, as far as that loses
// nothing: it makes what is missing and adds columns, and it may be repeated.
// Differences that take a rebuild, such as a column of another type, are
// fault.Conflict, after everything else has been done.
func Apply(ctx context.Context, w *Warehouse, pol *policy.Policy) error {
	changes, err := w.Plan(ctx, pol)
	if err != nil {
		return err
	}
	var left []string
	for _, c := range changes {
		switch {
		case c.SQL != "":
			if err := w.exec(ctx, "changing the warehouse ("+c.Sentence+")", c.SQL); err != nil {
				return err
			}
			w.log.Info("warehouse changed", "table", c.Table, "change", c.Sentence)
		case c.Rebuild:
			left = append(left, c.Sentence)
		}
	}
	if len(left) > 0 {
		return fault.Conflict.Errorf("the warehouse has to be rebuilt: %s", strings.Join(left, "; "))
	}
	return nil
}

// state is the live warehouse as the engine describes it.
type state struct {
	database bool
	tables   map[string]*liveTable
}

type liveTable struct {
	full      string // engine and everything after it
	partition string
	order     string
	comment   string
	rows      uint64
	columns   map[string]column
}

func (w *Warehouse) inspect(ctx context.Context) (*state, error) {
	s := &state{}
	database := clickhouse.Named("database", w.database)
	err := w.ask(ctx, "inspecting the warehouse", func(ctx context.Context) error {
		*s = state{tables: map[string]*liveTable{}}
		var n uint64
		if err := w.conn.QueryRow(ctx, "SELECT count() FROM system.databases WHERE name = {database:String}", database).Scan(&n); err != nil {
			return err
		}
		s.database = n > 0
		rows, err := w.conn.Query(ctx, "SELECT name, engine_full, partition_key, sorting_key, comment, ifNull(total_rows, 0) FROM system.tables WHERE database = {database:String}", database)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			t := &liveTable{columns: map[string]column{}}
			var name string
			if err := rows.Scan(&name, &t.full, &t.partition, &t.order, &t.comment, &t.rows); err != nil {
				return err
			}
			s.tables[name] = t
		}
		if err := rows.Err(); err != nil {
			return err
		}
		return w.inspectColumns(ctx, s)
	})
	return s, err
}

func (w *Warehouse) inspectColumns(ctx context.Context, s *state) error {
	rows, err := w.conn.Query(ctx, "SELECT table, name, type, comment FROM system.columns WHERE database = {database:String}",
		clickhouse.Named("database", w.database))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.kind, &c.comment); err != nil {
			return err
		}
		if t := s.tables[table]; t != nil {
			t.columns[c.name] = c
		}
	}
	return rows.Err()
}

// changes lists what to do, in an order in which it can be done.
func (s *state) changes(l layout, pol *policy.Policy) []Change {
	var out []Change
	if !s.database {
		out = append(out, Change{Sentence: "database " + l.database + " is missing", SQL: l.createDatabase()})
	}
	if s.tables[clockTable] == nil {
		out = append(out, Change{Table: clockTable, Sentence: "table " + clockTable + " is missing", SQL: l.createClock()})
	} else {
		out = append(out, s.tables[clockTable].settings(l, clockTable, clockSettings)...)
	}
	wanted := map[string]bool{clockTable: true}
	for _, t := range pol.Tables() {
		wanted[t.Name] = true
		if have := s.tables[t.Name]; have == nil {
			out = append(out, Change{Table: t.Name, Sentence: "table " + t.Name + " is missing", SQL: l.createTable(t)})
		} else {
			out = append(out, have.changes(l, t)...)
		}
	}
	var extra []Change
	for name := range s.tables {
		if !wanted[name] {
			extra = append(extra, Change{Table: name, Sentence: "table " + name + " is not in the policy; its rows stay until they expire"})
		}
	}
	slices.SortFunc(extra, func(a, b Change) int { return cmp.Compare(a.Table, b.Table) })
	return append(out, extra...)
}

func (have *liveTable) changes(l layout, t *policy.Table) []Change {
	var out []Change
	name := quote(l.database) + "." + quote(t.Name)
	add := func(sql, format string, args ...any) {
		out = append(out, Change{Table: t.Name, Sentence: fmt.Sprintf("table %s: ", t.Name) + fmt.Sprintf(format, args...), SQL: sql, Rebuild: sql == ""})
	}
	have.columnChanges(name, columnsOf(t), add, func(string) string { return "" })
	if have.partition != partitionBy || have.order != orderBy {
		add("", "it is partitioned by (%s) and ordered by (%s)", have.partition, have.order)
	}
	if got, want := have.ttl(), ttlOf(t); got != want {
		sql := "ALTER TABLE " + name + " REMOVE TTL"
		if want != "" {
			sql = "ALTER TABLE " + name + " MODIFY TTL " + want
		}
		add(sql, "%s", ttlDiffers(got, want))
	}
	out = append(out, have.settings(l, t.Name, tableSettings)...)
	if epochOf(have.comment) == 0 {
		add("ALTER TABLE "+name+" MODIFY COMMENT "+literal(tableComment(t, l.epoch)), "it does not say what it is")
	}
	return out
}

// columnChanges adds what makes the columns of the table called name those that
// are wanted. What would touch the values of rows is what careful makes of it.
func (have *liveTable) columnChanges(name string, want []column, add func(sql, format string, args ...any), careful func(sql string) string) {
	after := "FIRST"
	wanted := map[string]bool{}
	for _, c := range want {
		wanted[c.name] = true
		old, ok := have.columns[c.name]
		switch {
		case !ok:
			add("ALTER TABLE "+name+" ADD COLUMN IF NOT EXISTS "+c.definition()+" "+after, "column %s is missing", c.name)
		case old.kind != c.kind:
			add(careful("ALTER TABLE "+name+" MODIFY COLUMN "+c.definition()), "column %s is %s and should be %s", c.name, old.kind, c.kind)
		case old.comment != c.comment:
			add("ALTER TABLE "+name+" COMMENT COLUMN "+quote(c.name)+" "+literal(c.comment), "column %s is described otherwise", c.name)
		}
		after = "AFTER " + quote(c.name)
	}
	for _, c := range slices.Sorted(maps.Keys(have.columns)) {
		if !wanted[c] {
			add(careful("ALTER TABLE "+name+" DROP COLUMN "+quote(c)), "column %s is not in the policy", c)
		}
	}
}

// settings lists what to set. Settings beyond ours are the operator's.
func (have *liveTable) settings(l layout, table string, want []setting) []Change {
	got := have.settingsNow()
	var wrong []setting
	var names []string
	for _, s := range want {
		if got[s.name] != s.value {
			wrong = append(wrong, s)
			names = append(names, s.name)
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	return []Change{{
		Table:    table,
		Sentence: fmt.Sprintf("table %s: settings %s are not as they should be", table, strings.Join(names, ", ")),
		SQL:      "ALTER TABLE " + quote(l.database) + "." + quote(table) + " MODIFY SETTING " + settingsText(wrong),
	}}
}

// ttlDiffers says how a TTL is not what it should be.
func ttlDiffers(got, want string) string {
	switch {
	case got == "":
		return fmt.Sprintf("it has no TTL and should have %q", want)
	case want == "":
		return fmt.Sprintf("it has the TTL %q and should have none", got)
	}
	return fmt.Sprintf("its TTL is %q and should be %q", got, want)
}

var (
	ttlClause      = regexp.MustCompile(` TTL (.*?)(?: SETTINGS |$)`)
	settingsClause = regexp.MustCompile(` SETTINGS (.*)$`)
)

func (have *liveTable) ttl() string {
	if m := ttlClause.FindStringSubmatch(have.full); m != nil {
		return m[1]
	}
	return ""
}

func (have *liveTable) settingsNow() map[string]string {
	out := map[string]string{}
	if m := settingsClause.FindStringSubmatch(have.full); m != nil {
		for part := range strings.SplitSeq(m[1], ", ") {
			if name, value, ok := strings.Cut(part, " = "); ok {
				out[name] = value
			}
		}
	}
	return out
}
