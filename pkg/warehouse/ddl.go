package warehouse

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// A layout is where and as what tables are made. A cluster needs another
// engine and nothing else of it.
type layout struct {
	database string
	engine   string // MergeTree
	clock    string // ReplacingMergeTree
	epoch    int64
}

func single(database string, epoch int64) layout {
	return layout{database: database, engine: "MergeTree", clock: "ReplacingMergeTree", epoch: epoch}
}

// FirstEpoch is the warehouse epoch of tables that were never rebuilt.
const FirstEpoch int64 = 1

// DDL returns the statements that make an empty warehouse for a policy, for
// people to read.
func DDL(pol *policy.Policy) string {
	l := single(DefaultDatabase, FirstEpoch)
	var b strings.Builder
	b.WriteString("-- Derived from schemas/ and pipelines/ by `make derive`. Not to be edited.\n\n")
	b.WriteString(l.createDatabase() + ";\n\n")
	b.WriteString(l.createClock() + ";\n")
	for _, t := range pol.Tables() {
		fmt.Fprintf(&b, "\n%s;\n", l.createTable(t))
	}
	h := l.holds()
	b.WriteString("\n" + h.createDatabase() + ";\n")
	for _, t := range HoldTables(pol) {
		fmt.Fprintf(&b, "\n%s;\n", h.createHoldTable(t))
	}
	b.WriteString("\n" + layout{database: StatsDatabase}.createDatabase() + ";\n")
	for _, v := range views(pol) {
		fmt.Fprintf(&b, "\n%s;\n", v.create(l))
	}
	return b.String()
}

func (l layout) createDatabase() string {
	return "CREATE DATABASE IF NOT EXISTS " + quote(l.database) + " ENGINE = Atomic"
}

// createClock makes the one-row table that says what time it is for Lethe.
// Merges keep its latest row alone; max(at) is right at any moment.
func (l layout) createClock() string {
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s.%s\n(\n    `at` %s COMMENT 'Lethe''s clock never goes back'\n)\n"+
		"ENGINE = %s(at)\nORDER BY tuple()\nSETTINGS %s\nCOMMENT 'lethe clock'",
		quote(l.database), quote(clockTable), typeTime, l.clock, settingsText(clockSettings))
}

func (l layout) createTable(t *policy.Table) string {
	return l.create(t.Name, shape{columnsOf(t), partitionBy, orderBy, ttlOf(t), tableComment(t, l.epoch)})
}

// shape is what tells one table of rows from another.
type shape struct {
	columns          []column
	partition, order string
	ttl, comment     string // a table without a TTL has ""
}

func (l layout) create(name string, s shape) string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE IF NOT EXISTS %s.%s\n(\n", quote(l.database), quote(name))
	for i, c := range s.columns {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "    %s", c.definition())
	}
	fmt.Fprintf(&b, "\n)\nENGINE = %s\nPARTITION BY %s\nORDER BY (%s)\n", l.engine, s.partition, s.order)
	if s.ttl != "" {
		fmt.Fprintf(&b, "TTL %s\n", s.ttl)
	}
	fmt.Fprintf(&b, "SETTINGS %s\nCOMMENT %s", settingsText(tableSettings), literal(s.comment))
	return b.String()
}

func (c column) definition() string {
	return quote(c.name) + " " + c.kind + " COMMENT " + literal(c.comment)
}

func ttlOf(t *policy.Table) string {
	if t.Class.Lasting {
		return ""
	}
	return backstop
}

func settingsText(all []setting) string {
	parts := make([]string, len(all))
	for i, s := range all {
		parts[i] = s.name + " = " + s.value
	}
	return strings.Join(parts, ", ")
}

// tableComment carries the table's name in the policy and the warehouse epoch:
// how often the warehouse was rebuilt. It moves with the table when tables are
// exchanged, which is how an interrupted exchange knows what is left to do.
func tableComment(t *policy.Table, epoch int64) string {
	return fmt.Sprintf("lethe table=%s epoch=%d", t.Name, epoch)
}

var commentEpoch = regexp.MustCompile(`^lethe table=\S+ epoch=(\d+)$`)

// epochOf reads a table's comment; 0 when it is not one of ours.
func epochOf(comment string) int64 {
	m := commentEpoch.FindStringSubmatch(comment)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// literal quotes a string for SQL. Only names and descriptions from the policy
// pass through here; values travel as parameters.
func literal(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}
