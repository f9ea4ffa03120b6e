package warehouse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The users of the warehouse.
const (
	// UserAdmin makes and changes tables: lethe apply.
	UserAdmin = "admin"
	// UserLoader inserts rows and recognizes those that are there.
	UserLoader = "loader"
	// UserRebuild fills a second set of tables and exchanges it for the first.
	UserRebuild = "rebuild"
	// UserRetention drops what has expired and moves Lethe's clock.
	UserRetention = "retention"
	// UserAnalyst reads published cells and nothing else.
	UserAnalyst = "analyst"
	// UserVerify reads everything and changes nothing.
	UserVerify = "verify"
	// UserHold copies rows that a legal hold covers.
	UserHold = "hold"
	// UserCells cuts cells: it reads event tables behind the read barrier, as
	// far as metrics need them.
	UserCells = "cells"
)

// A User is who may do what. The zero grants allow nothing.
type User struct {
	Name string
	// Grants are whole statements.
	Grants []string
	// Filters hide rows, by "database.table": only rows that meet the
	// condition exist for this user. Users without one see every row.
	Filters map[string]string
	// Settings hold for every query of the user. It may lower those that
	// begin with max_, and change no other.
	Settings map[string]string
	// Changeable settings are for a query to choose all the same.
	Changeable []string
	// ReadOnly is the engine's own level: 1 reads, 2 reads and may set
	// settings.
	ReadOnly int
}

// maxQuerySeconds bounds one question of an analyst.
const maxQuerySeconds = 60

// Users derives the users from the policy: each with the least it needs. Who
// cuts cells stands behind the read barrier on every event table (P4, P5, P6,
// P7, P8), and the analyst sees no event table at all (P19).
//
// The loader sees expired rows, as it must to recognize a late duplicate, but
// of each row only which event it is.
func Users(pol *policy.Policy) []User {
	db := DefaultDatabase
	clock := db + "." + clockTable
	loader := User{Name: UserLoader, Grants: []string{"GRANT SELECT ON " + clock}}
	analyst := User{
		Name:     UserAnalyst,
		ReadOnly: 2,
		Settings: map[string]string{
			"max_execution_time": fmt.Sprint(maxQuerySeconds),
			"max_memory_usage":   "1000000000", // bytes
			"max_result_rows":    "1000000",
		},
	}
	cells := User{
		Name:     UserCells,
		Grants:   []string{"GRANT SELECT ON " + clock},
		Filters:  map[string]string{},
		ReadOnly: 2,
		Settings: map[string]string{
			// Others ask too; a round can take its time.
			"max_threads":      "2",
			"max_memory_usage": "1500000000", // bytes; what does not fit is cut coarser
		},
	}
	hold := User{Name: UserHold, Grants: []string{
		"GRANT SELECT ON " + clock,
		"GRANT SELECT, INSERT ON " + HoldDatabase + ".*",
		"GRANT SELECT ON system.parts",
	}}
	for _, t := range HoldTables(pol) {
		// No filter: what it copies says so itself (P4), and is no more than
		// an analyst sees.
		hold.Grants = append(hold.Grants, "GRANT SELECT ON "+db+"."+t.Name)
	}
	// Retention counts rows, and sees of each when it came and when it ends.
	var counted []string
	for _, t := range pol.Tables() {
		name := db + "." + t.Name
		counted = append(counted, "GRANT SELECT("+strings.Join(countedColumns, ", ")+") ON "+name)
		loader.Grants = append(loader.Grants,
			"GRANT INSERT ON "+name,
			"GRANT SELECT("+strings.Join(knownColumns, ", ")+") ON "+name)
		if t.Name == policy.CellTable {
			analyst.Grants = append(analyst.Grants, "GRANT SELECT ON "+name)
			cells.Grants = append(cells.Grants, "GRANT SELECT ON "+name)
		} else if columns := cutColumns(pol, t); len(columns) > 0 {
			cells.Grants = append(cells.Grants, "GRANT SELECT("+strings.Join(columns, ", ")+") ON "+name)
			cells.Filters[name] = barrier(t)
		}
	}
	return append([]User{
		{Name: UserAdmin, Grants: []string{
			"GRANT SELECT, INSERT, CREATE DATABASE, CREATE TABLE, ALTER TABLE ON " + db + ".*",
			// It makes the tables of holds and reads none of their rows.
			"GRANT SHOW, CREATE DATABASE, CREATE TABLE, ALTER COLUMN, ALTER TTL, ALTER SETTINGS, ALTER MODIFY COMMENT ON " + HoldDatabase + ".*",
			"GRANT TABLE ENGINE ON *",
			"GRANT SELECT ON system.*",
			"GRANT SHOW, CREATE DATABASE, CREATE VIEW, DROP VIEW ON " + StatsDatabase + ".*",
			"GRANT SET DEFINER ON " + UserView,
		}},
		loader,
		{Name: UserRebuild, Grants: []string{
			// An exchange drops and creates on both sides, as the engine
			// sees it.
			"GRANT SELECT, INSERT, CREATE TABLE, DROP TABLE ON " + db + ".*",
			"GRANT SELECT, INSERT, CREATE DATABASE, CREATE TABLE, DROP DATABASE, DROP TABLE ON " + db + rebuildSuffix + ".*",
			"GRANT TABLE ENGINE ON *",
		}},
		{Name: UserRetention, Grants: append([]string{
			// Dropping a partition is ALTER DELETE.
			"GRANT ALTER DELETE ON " + db + ".*",
			"GRANT ALTER DELETE ON " + db + rebuildSuffix + ".*",
			"GRANT ALTER DELETE ON " + HoldDatabase + ".*",
			"GRANT SELECT, INSERT ON " + clock,
			"GRANT SELECT ON system.parts",
		}, counted...)},
		analyst,
		{Name: UserVerify, ReadOnly: 2, Grants: []string{
			"GRANT SELECT ON " + db + ".*",
			"GRANT SELECT ON " + HoldDatabase + ".*",
			"GRANT SELECT ON system.*",
			// It sees that there is something, wherever it is.
			"GRANT SHOW ON *.*",
		}},
		hold,
		cells,
	}, sqlUsers()...)
}

// cutColumns are the columns of a table that cutting the cells of its metrics
// takes; none where it has no metric.
func cutColumns(pol *policy.Policy, t *policy.Table) []string {
	used := map[string]bool{}
	for _, m := range pol.Metrics() {
		if m.Table != t {
			continue
		}
		for _, c := range t.Columns {
			if c.Name == m.Subject || c.Name == m.Of || m.Subject != "" && c.Bridges == m.Subject {
				used[c.Name] = true
			}
		}
		for _, w := range m.Where {
			used[w.Column] = true
		}
		for _, d := range m.Dimensions {
			used[d.Column] = true
		}
	}
	if len(used) == 0 && !slices.ContainsFunc(pol.Metrics(), func(m *policy.Metric) bool { return m.Table == t }) {
		return nil
	}
	columns := []string{"tenant", "service", "event_id", "occurred_at", "epoch", "log_seq"}
	for _, c := range t.Columns {
		if used[c.Name] {
			columns = append(columns, c.Name)
		}
	}
	return columns
}
