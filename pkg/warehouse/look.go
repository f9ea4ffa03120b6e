package warehouse

import (
	"context"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// theirs are the databases that are the engine's own. What is in any other is
// looked at.
const theirs = "('system', 'INFORMATION_SCHEMA', 'information_schema')"

// A Sight is a table, view or dictionary that the server has, whoever made it.
type Sight struct {
	Database, Table string
	Engine          string
	// Rows and Bytes are zero for what holds none, such as a view. Uncounted
	// says that the engine does not know the rows of what holds some.
	Rows, Bytes uint64
	Uncounted   bool
	// Listed is whether Lethe made it for the policy.
	Listed bool
	// Projections hold copies of its rows, in another order.
	Projections []string
}

// Look lists everything that the server has in every database but its own, by
// asking the server and not by what the policy expects.
func (w *Warehouse) Look(ctx context.Context, pol *policy.Policy) ([]Sight, error) {
	r, err := w.Rows(ctx, `
SELECT t.database, t.name, t.engine, ifNull(t.total_rows, 0), ifNull(t.total_bytes, 0), p.names,
  t.total_rows IS NULL AND t.total_bytes > 0
FROM system.tables AS t
LEFT JOIN (SELECT database, table, groupArray(name) AS names FROM system.projections GROUP BY database, table) AS p
  ON p.database = t.database AND p.table = t.name
WHERE t.database NOT IN `+theirs+` AND NOT t.is_temporary
ORDER BY t.database, t.name`, nil)
	if err != nil {
		return nil, err
	}
	listed := w.listed(pol)
	var out []Sight
	for _, row := range r.Rows {
		s := Sight{
			Database: text(row[0]), Table: text(row[1]), Engine: text(row[2]), Rows: number(row[3]), Bytes: number(row[4]),
		}
		s.Projections, _ = row[5].([]string)
		s.Uncounted = number(row[6]) > 0
		s.Listed = listed[s.Database+"."+s.Table]
		out = append(out, s)
	}
	return out, nil
}

// listed is every table that Lethe makes for a policy, by its full name. A
// rebuild's tables come and go.
func (w *Warehouse) listed(pol *policy.Policy) map[string]bool {
	out := map[string]bool{w.database + "." + clockTable: true}
	for _, t := range pol.Tables() {
		out[w.database+"."+t.Name] = true
		out[w.staging()+"."+t.Name] = true // while a rebuild is under way
		out[HoldDatabase+"."+t.Name] = !t.Class.Lasting
	}
	for _, v := range views(pol) {
		out[StatsDatabase+"."+v.name] = true
	}
	return out
}

// Parts is what one partition of one table has on disk.
type Parts struct {
	Database, Table, Partition string
	// Active parts are read; inactive ones were replaced or dropped and wait
	// to be deleted. Frozen ones have a copy under shadow/.
	Active, Inactive, Frozen uint64
	Rows, InactiveRows       uint64
	// Masked parts are active and have rows that are in no answer and still on
	// disk: a lightweight DELETE hides rows, and removes them when it merges.
	Masked uint64
	// InactiveFor is how long ago the first of the inactive parts became so,
	// by the engine's clock.
	InactiveFor time.Duration
}

// LookParts lists the parts of every partition of every table but the
// engine's own.
func (w *Warehouse) LookParts(ctx context.Context) ([]Parts, error) {
	r, err := w.Rows(ctx, `
SELECT database, table, partition, countIf(active), countIf(NOT active), countIf(is_frozen),
  sumIf(rows, active), sumIf(rows, NOT active),
  toUInt64(greatest(0, maxIf(dateDiff('second', remove_time, now()), NOT active AND remove_time > 0))),
  countIf(active AND has_lightweight_delete)
FROM system.parts WHERE database NOT IN `+theirs+`
GROUP BY database, table, partition ORDER BY database, table, partition`, nil)
	if err != nil {
		return nil, err
	}
	var out []Parts
	for _, row := range r.Rows {
		out = append(out, Parts{
			Database: text(row[0]), Table: text(row[1]), Partition: text(row[2]),
			Active: number(row[3]), Inactive: number(row[4]), Frozen: number(row[5]),
			Rows: number(row[6]), InactiveRows: number(row[7]), InactiveFor: seconds(row[8]), Masked: number(row[9]),
		})
	}
	return out, nil
}

// PartFiles lists the directories of all parts that the engine knows, active
// or not and those of its own tables included, as "table's directory/part", and
// how many files of each its checksums name.
func (w *Warehouse) PartFiles(ctx context.Context) (map[string]uint64, error) {
	r, err := w.Rows(ctx, "SELECT arrayStringConcat(arraySlice(splitByChar('/', trimRight(path, '/')), -2), '/'), files FROM system.parts", nil)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for _, row := range r.Rows {
		out[text(row[0])] = number(row[1])
	}
	return out, nil
}

// Identifiers lists the directory names, below store/, of all tables,
// databases, and dropped tables that the engine knows, those of its own
// included.
func (w *Warehouse) Identifiers(ctx context.Context) (map[string]bool, error) {
	r, err := w.Rows(ctx, `
SELECT toString(uuid) FROM system.tables UNION ALL
SELECT toString(uuid) FROM system.databases UNION ALL
SELECT toString(uuid) FROM system.dropped_tables`, nil)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, row := range r.Rows {
		out[text(row[0])] = true
	}
	return out, nil
}

// Detached is a part that was set aside: it is in no answer, and no partition
// that is dropped takes it along.
type Detached struct {
	Database, Table string
	// Partition is the engine's id of it, 20261231 for an expiry day; empty
	// where the part's name does not say.
	Partition string
	// Reason is why the engine set it aside; empty when somebody did.
	Reason string
	Bytes  uint64
	Since  time.Time
}

// LookDetached lists the detached parts of every table.
func (w *Warehouse) LookDetached(ctx context.Context) ([]Detached, error) {
	r, err := w.Rows(ctx, `
SELECT database, table, ifNull(partition_id, ''), ifNull(reason, ''), bytes_on_disk, modification_time
FROM system.detached_parts ORDER BY database, table, partition_id, name`, nil)
	if err != nil {
		return nil, err
	}
	var out []Detached
	for _, row := range r.Rows {
		out = append(out, Detached{
			Database: text(row[0]), Table: text(row[1]), Partition: text(row[2]), Reason: text(row[3]),
			Bytes: number(row[4]), Since: instant(row[5]),
		})
	}
	return out, nil
}

// Unfinished is work of the engine on a table that was asked for and not
// done.
type Unfinished struct {
	Database, Table string
	// For is how long ago it was asked for, by the engine's clock.
	For time.Duration
	// Parts are left to do. Failed is whether the last try at one failed.
	Parts  uint64
	Failed bool
}

// LookMutations lists the mutations that are not done. It does not read what
// they do: their text may hold a value.
func (w *Warehouse) LookMutations(ctx context.Context) ([]Unfinished, error) {
	r, err := w.Rows(ctx, `
SELECT database, table, toUInt64(greatest(0, dateDiff('second', create_time, now()))), toUInt64(parts_to_do), latest_fail_reason != ''
FROM system.mutations WHERE NOT is_done AND database NOT IN `+theirs+` ORDER BY database, table, create_time`, nil)
	if err != nil {
		return nil, err
	}
	var out []Unfinished
	for _, row := range r.Rows {
		out = append(out, Unfinished{
			Database: text(row[0]), Table: text(row[1]), For: seconds(row[2]), Parts: number(row[3]), Failed: number(row[4]) > 0,
		})
	}
	return out, nil
}

// A Dropped is a table that was dropped and whose files are still there.
type Dropped struct {
	Database, Table string
	// Due is when the engine removes the files, by its clock, and Late for how
	// long it has not.
	Due  time.Time
	Late time.Duration
}

// LookDropped lists the tables that were dropped and whose files are still
// there.
func (w *Warehouse) LookDropped(ctx context.Context) ([]Dropped, error) {
	r, err := w.Rows(ctx, `
SELECT database, table, table_dropped_time, toUInt64(greatest(0, dateDiff('second', table_dropped_time, now())))
FROM system.dropped_tables ORDER BY database, table`, nil)
	if err != nil {
		return nil, err
	}
	var out []Dropped
	for _, row := range r.Rows {
		out = append(out, Dropped{Database: text(row[0]), Table: text(row[1]), Due: instant(row[2]), Late: seconds(row[3])})
	}
	return out, nil
}

// A Backup is one that the engine made since it started, wherever it went.
type Backup struct {
	Name  string
	Since time.Time
}

// LookBackups lists the backups that the engine remembers.
func (w *Warehouse) LookBackups(ctx context.Context) ([]Backup, error) {
	r, err := w.Rows(ctx, "SELECT name, start_time FROM system.backups WHERE status = 'BACKUP_CREATED' ORDER BY start_time", nil)
	if err != nil {
		return nil, err
	}
	var out []Backup
	for _, row := range r.Rows {
		out = append(out, Backup{text(row[0]), instant(row[1])})
	}
	return out, nil
}

// LookLogs lists the logs that the engine keeps of statements, and how many
// rows each has. A statement may hold a value.
func (w *Warehouse) LookLogs(ctx context.Context) ([]Sight, error) {
	r, err := w.Rows(ctx, `
SELECT name, engine, ifNull(total_rows, 0), ifNull(total_bytes, 0) FROM system.tables
WHERE database = 'system' AND engine LIKE '%MergeTree' AND match(name, '^(query|text|processors_profile|session|asynchronous_insert|opentelemetry_span|backup|crash)_')
ORDER BY name`, nil)
	if err != nil {
		return nil, err
	}
	var out []Sight
	for _, row := range r.Rows {
		out = append(out, Sight{Database: "system", Table: text(row[0]), Engine: text(row[1]), Rows: number(row[2]), Bytes: number(row[3])})
	}
	return out, nil
}

// text, number, seconds and instant take a value of [Result] that is of one type.
func text(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) uint64 {
	switch v := v.(type) {
	case uint64:
		return v
	case uint8:
		return uint64(v)
	case bool:
		if v {
			return 1
		}
	}
	return 0
}

func seconds(v any) time.Duration { return time.Duration(number(v)) * time.Second }

// instant is zero for the engine's 1970, which stands for no time.
func instant(v any) time.Time {
	t, _ := v.(time.Time)
	if t.Unix() == 0 {
		return time.Time{}
	}
	return t.UTC()
}
