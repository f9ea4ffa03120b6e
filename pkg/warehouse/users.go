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
	// UserVerify reads what the engine says of itself, and the dates of every
	// row.
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
	// condition exist for this user. Users without one see every row, as far
	// as their grants name its columns.
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

// Users derives the users from the policy: each with the least it needs. A row
// past its rule is selectable by nobody, but for what is listed here (P4, P5,
// P6, P7, P8), and the analyst sees no event table at all (P19):
//
//   - Whoever cuts cells and whoever rebuilds are behind the read barrier on
//     every event table.
//   - The loader sees of every row which event it is and when that was: it has
//     to recognize a late duplicate, and to tell a rebuild what is left.
//   - Retention, verify and the admin see dates, which say what is to be
//     removed, whether it was, and what a policy would change.
//   - Whoever rebuilds sees its copy, in the database [RebuildDatabase], which
//     it fills.
//   - Hold sees every row that can be held. A row that a legal hold covers may
//     expire before it is copied, and what it copies says so itself.
func Users(pol *policy.Policy) []User {
	db := DefaultDatabase
	const every = ".*"
	readClock := "GRANT SELECT ON " + db + "." + clockTable
	admin := User{Name: UserAdmin, Grants: []string{
		readClock, "GRANT TABLE ENGINE ON *", "GRANT SELECT ON system.*",
	}}
	for _, database := range []string{db, HoldDatabase} {
		admin.Grants = append(admin.Grants,
			"GRANT SHOW, CREATE DATABASE, CREATE TABLE, ALTER COLUMN, ALTER TTL, ALTER SETTINGS, ALTER MODIFY COMMENT ON "+database+every)
	}
	admin.Grants = append(admin.Grants,
		"GRANT SHOW, CREATE DATABASE, CREATE VIEW, DROP VIEW ON "+StatsDatabase+every, "GRANT SET DEFINER ON "+UserView)
	loader := User{Name: UserLoader, Grants: []string{readClock}}
	rebuild := User{Name: UserRebuild, Filters: map[string]string{}, Grants: []string{
		readClock,
		"GRANT SELECT, INSERT, CREATE DATABASE, CREATE TABLE, DROP DATABASE, DROP TABLE ON " + RebuildDatabase + every,
		"GRANT TABLE ENGINE ON *",
	}}
	retention := User{Name: UserRetention, Grants: []string{
		// Dropping a partition is ALTER DELETE.
		"GRANT ALTER DELETE ON " + db + every,
		"GRANT ALTER DELETE ON " + RebuildDatabase + every,
		"GRANT ALTER DELETE ON " + HoldDatabase + every,
		"GRANT SELECT, INSERT ON " + db + "." + clockTable,
		"GRANT SELECT ON system.parts",
		grantColumns("system.mutations", mutationColumns),
	}}
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
		Grants:   []string{readClock},
		Filters:  map[string]string{},
		ReadOnly: 2,
		Settings: map[string]string{
			// Others ask too; a round can take its time.
			"max_threads":      "2",
			"max_memory_usage": "1500000000", // bytes; what does not fit is cut coarser
		},
	}
	verify := User{Name: UserVerify, ReadOnly: 2, Grants: []string{
		readClock,
		"GRANT SELECT ON system.*",
		// It sees that there is something, wherever it is.
		"GRANT SHOW ON *.*",
	}}
	hold := User{Name: UserHold, Grants: []string{
		readClock,
		"GRANT SELECT, INSERT ON " + HoldDatabase + every,
		"GRANT SELECT ON system.parts",
	}}
	for _, t := range HoldTables(pol) {
		hold.Grants = append(hold.Grants, "GRANT SELECT ON "+db+"."+t.Name)
		verify.Grants = append(verify.Grants, grantColumns(HoldDatabase+"."+t.Name, heldColumns))
	}
	for _, t := range pol.Tables() {
		name := db + "." + t.Name
		admin.Grants = append(admin.Grants, grantColumns(name, outlastingColumns))
		loader.Grants = append(loader.Grants, "GRANT INSERT ON "+name, grantColumns(name, knownColumns))
		// An exchange drops and creates on both sides, as the engine sees it.
		rebuild.Grants = append(rebuild.Grants, "GRANT SELECT, INSERT, CREATE TABLE, DROP TABLE ON "+name)
		rebuild.Filters[name] = barrier(t)
		retention.Grants = append(retention.Grants, grantColumns(name, countedColumns))
		verify.Grants = append(verify.Grants, grantColumns(name, datedColumns))
		if t.Name == policy.CellTable {
			analyst.Grants = append(analyst.Grants, "GRANT SELECT ON "+name)
			cells.Grants = append(cells.Grants, "GRANT SELECT ON "+name)
		} else if columns := cutColumns(pol, t); len(columns) > 0 {
			cells.Grants = append(cells.Grants, grantColumns(name, columns))
			cells.Filters[name] = barrier(t)
		}
	}
	return append([]User{admin, loader, rebuild, retention, analyst, verify, hold, cells}, sqlUsers()...)
}

func grantColumns(table string, columns []string) string {
	return "GRANT SELECT(" + strings.Join(columns, ", ") + ") ON " + table
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
