package warehouse

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// StatsDatabase is where the views of published cells are: all that SQL from
// outside can see.
const StatsDatabase = "stats"

// CellsView is the view of all cells. Every metric that has cells has a view
// of its own name beside it.
const CellsView = "cells"

// A view of published cells. It reads as [UserView], who sees of the cells
// what the request's headers say: P14, P15.
type view struct {
	name    string
	columns []viewColumn
	where   string // empty is every cell
	comment string
}

// viewColumn is a column and the expression that makes it.
type viewColumn struct{ name, kind, of, comment string }

// views lists the views of a policy.
func views(pol *policy.Policy) []view {
	cells, ok := pol.Table(policy.CellTable)
	if !ok {
		return nil
	}
	values := coordinates(cells)
	told := "arraySlice(" + names(policy.ColumnCube) + ", 1, " + policy.ColumnLevel + ")"
	out := []view{{
		name: CellsView,
		columns: []viewColumn{
			serviceColumn,
			{"metric", "LowCardinality(String)", policy.ColumnMetric, "the metric"},
			{"bucket", "LowCardinality(String)", policy.ColumnBucket, "the stretch of time that it counts in; now for what is current"},
			firstDay, lastDay,
			{"dimensions", "Map(String, String)", "mapFromArrays(" + told + ", arraySlice(" + values + ", 1, length(" + told + ")))",
				"the dimensions that are told, and their values; others are folded"},
			valueColumn,
		},
		comment: "Published cells of every metric: numbers about groups. Values of the same metric and bucket add up.",
	}}
	for _, m := range pol.Metrics() {
		if m.Value != policy.Ratio && m.Name != CellsView {
			out = append(out, viewOf(m, values))
		}
	}
	return out
}

var (
	serviceColumn = viewColumn{"service", "LowCardinality(String)", "service", "the service that published the events"}
	firstDay      = viewColumn{policy.ColumnFirst, "Date", day(policy.ColumnFirst), "first day, in the zone of the metric"}
	lastDay       = viewColumn{policy.ColumnLast, "Date", day(policy.ColumnLast), "last day"}
	valueColumn   = viewColumn{"value", "Int64", policy.ColumnValue, "the number"}
)

// viewOf is the view of one metric, its dimensions by name. values are the
// coordinates of a cell.
func viewOf(m *policy.Metric, values string) view {
	v := view{name: m.Name, where: policy.ColumnMetric + " = " + literal(m.Name)}
	add := func(c ...viewColumn) { v.columns = append(v.columns, c...) }
	split := viewColumn{"split", "LowCardinality(String)", policy.ColumnCube, "the dimension that the number is split by; empty for all together"}
	add(serviceColumn)
	switch m.Value {
	case policy.Distinct:
		add(viewColumn{"bucket", "LowCardinality(String)", policy.ColumnBucket, "the stretch of time in which subjects count once"}, firstDay, lastDay, split)
		v.comment = "Values of the same service, bucket, days and split add up; those of different ones count people twice."
	case policy.Current:
		add(viewColumn{"day", "Date", day(policy.ColumnFirst), "the day of the change"}, split)
		v.comment = "Values are changes: all of the same service and split up to a day add up to how many there were."
	default:
		add(viewColumn{"day", "Nullable(Date)", "if(" + policy.ColumnFirst + " = " + policy.ColumnLast + ", " + day(policy.ColumnFirst) + ", NULL)",
			"the day; NULL for days that are told together"}, firstDay, lastDay)
		v.comment = "Values add up. A dimension is NULL where it is folded: fewer than the least number of people had its value."
	}
	v.comment = strings.TrimSpace(strings.Join([]string{m.Title + ".", m.Description, v.comment}, " "))
	for _, d := range m.Dimensions {
		name := d.Name
		if slices.ContainsFunc(append(v.columns, valueColumn), func(c viewColumn) bool { return c.name == name }) {
			name = "dimension_" + name
		}
		add(viewColumn{name, "Nullable(String)", toldBy(m, d.Name, values), "dimension " + d.Name + "; NULL where it is not told"})
	}
	add(valueColumn)
	return v
}

// toldBy is the value of a dimension where a cell tells it, else NULL. Cells of
// an older policy tell theirs in another order, and say so.
func toldBy(m *policy.Metric, dimension, values string) string {
	if !m.Value.Additive() {
		return "if(" + policy.ColumnCube + " = " + literal(dimension) + ", toString(" + policy.ColumnTold(0) + "), NULL)"
	}
	at := "indexOf(" + names(policy.ColumnCube) + ", " + literal(dimension) + ")"
	return "if((" + at + " > 0) AND (" + at + " <= " + policy.ColumnLevel + "), " + values + "[greatest(" + at + ", 1)], NULL)"
}

func names(column string) string { return "splitByChar(',', toString(" + column + "))" }

func day(column string) string { return "toDate(toString(" + column + "))" }

// coordinates are d1, d2, … of cells as one array.
func coordinates(cells *policy.Table) string {
	var all []string
	for _, ok := cells.Column(policy.ColumnTold(0)); ok; _, ok = cells.Column(policy.ColumnTold(len(all))) {
		all = append(all, "toString("+policy.ColumnTold(len(all))+")")
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// create is the statement that makes a view over the cells of a layout.
func (v view) create(l layout) string { return "CREATE VIEW IF NOT EXISTS " + v.definition(l) }

func (v view) definition(l layout) string {
	columns, selected := make([]string, len(v.columns)), make([]string, len(v.columns))
	for i, c := range v.columns {
		columns[i] = column{c.name, c.kind, c.comment}.definition()
		selected[i] = c.of + " AS " + quote(c.name)
	}
	sql := quote(StatsDatabase) + "." + quote(v.name) + " (" + strings.Join(columns, ", ") + ")" +
		" DEFINER = " + quote(UserView) + " SQL SECURITY DEFINER COMMENT " + literal(v.comment) +
		" AS SELECT " + strings.Join(selected, ", ") + " FROM " + quote(l.database) + "." + quote(policy.CellTable)
	if v.where != "" {
		sql += " WHERE " + v.where
	}
	return sql
}

// viewChanges compares the views with what the policy asks for. The engine
// tells statements apart: it keeps none as it was written.
func (w *Warehouse) viewChanges(ctx context.Context, l layout, pol *policy.Policy) ([]Change, error) {
	want := views(pol)
	live, err := w.in(StatsDatabase).inspect(ctx)
	if err != nil {
		return nil, err
	}
	var out []Change
	if !live.database && len(want) > 0 {
		out = append(out, Change{Sentence: "database " + StatsDatabase + " is missing", SQL: layout{database: StatsDatabase}.createDatabase()})
	}
	wanted := map[string]bool{}
	for _, v := range want {
		wanted[v.name] = true
		missing := Change{Table: v.name, Sentence: "view " + v.name + " is missing", SQL: v.create(l)}
		if live.tables[v.name] != nil {
			same, err := w.sameView(ctx, v.name, "CREATE VIEW "+v.definition(l))
			if err != nil {
				return nil, err
			}
			if same {
				continue
			}
			// Replacing it in one statement takes the right to make tables.
			out = append(out, dropView(v.name, "is made otherwise"))
			missing.Sentence = "view " + v.name + " is made anew"
		}
		out = append(out, missing)
	}
	var extra []string
	for name := range live.tables {
		if !wanted[name] {
			extra = append(extra, name)
		}
	}
	slices.Sort(extra)
	for _, name := range extra {
		out = append(out, dropView(name, "is not in the policy"))
	}
	return out, nil
}

// dropView takes a view away. The cells that it showed stay where they are.
func dropView(name, why string) Change {
	return Change{Table: name, Sentence: "view " + plainName(name) + " " + why, SQL: "DROP VIEW IF EXISTS " + quote(StatsDatabase) + "." + quote(name)}
}

// sameView says whether a view was made by a statement.
func (w *Warehouse) sameView(ctx context.Context, name, statement string) (bool, error) {
	r, err := w.Rows(ctx, "SELECT create_table_query = formatQuerySingleLine(unhex({want:String})) FROM system.tables WHERE database = {database:String} AND name = {name:String}",
		map[string]any{"want": hex.EncodeToString([]byte(statement)), "database": StatsDatabase, "name": name})
	if err != nil {
		return false, err
	}
	if len(r.Rows) != 1 {
		return false, fault.Unavailable.Errorf("the view %s comes and goes", plainName(name))
	}
	return number(r.Rows[0][0]) > 0, nil
}
