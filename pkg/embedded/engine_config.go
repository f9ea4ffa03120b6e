package embedded

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
)

// EngineChildCommand is the hidden command, the first argument of this
// program, that makes it the child that holds the engine.
const EngineChildCommand = "engine-child"

const (
	configFile = "config.xml"
	usersFile  = "users.xml"
	startFile  = "start.sql"
)

// startStatements open the ports, and are all that the user "default" may ever
// run: its quota counts them.
var startStatements = []string{
	"SYSTEM START LISTEN TCP;",
	"SYSTEM START LISTEN HTTP;",
}

// setting is a name and a value of ClickHouse's.
type setting struct{ name, value string }

// serverSettings are the flat ones of the server.
var serverSettings = []setting{
	// Two cores are the machine this is made for.
	{"background_pool_size", "2"},
	{"background_schedule_pool_size", "4"},
	{"mark_cache_size", "67108864"},
	// DROP TABLE keeps the data for 480 s by default.
	{"database_atomic_delay_before_drop_table_sec", "1"},
	{"enable_system_unfreeze", "1"},
}

// mergeTreeSettings hold for every table.
var mergeTreeSettings = []setting{
	// P18: an acknowledged insert, and what merging makes of it, is on disk.
	// By default a power cut takes what was acknowledged.
	{"fsync_after_insert", "1"},
	{"fsync_part_directory", "1"},
	{"min_rows_to_fsync_after_merge", "1"},
	{"min_compressed_bytes_to_fsync_after_merge", "1"},
	// P18: a batch that comes again with the same token is inserted once.
	{"non_replicated_deduplication_window", "10000"},
	// An engine with broken parts starts, and puts them aside; by default it
	// refuses to start above a hundred of them.
	{"max_suspicious_broken_parts", "1000000"},
	{"max_suspicious_broken_parts_bytes", "1125899906842624"},

	// P4 to P8: what has expired leaves the disk soon. The default between
	// two TTL merges is four hours, between two removals up to five minutes.
	{"merge_with_ttl_timeout", "60"},
	{"merge_selecting_sleep_ms", "500"},
	{"max_merge_selecting_sleep_ms", "1000"},
	{"cleanup_delay_period", "1"},
	{"max_cleanup_delay_period", "2"},
	{"cleanup_delay_period_random_add", "0"},
	{"old_parts_lifetime", "0"},
	// P12: the text of a deletion stays on disk with its record. 0 would keep
	// all of them.
	{"finished_mutations_to_keep", "1"},

	// A pool of two must not wait for more free places than it has.
	{"number_of_free_entries_in_pool_to_execute_mutation", "1"},
	{"number_of_free_entries_in_pool_to_lower_max_size_of_merge", "1"},
	{"number_of_free_entries_in_pool_to_execute_optimize_entire_partition", "1"},
}

// logLevel is that of crashes alone, which the supervisor looks for. An error
// is logged with the text of its statement and the value that it could not
// read. Whoever asked learns its code; that of a mutation or a detached part is
// in the engine's tables, where verify looks. A variable for the tests.
var logLevel = "fatal"

// accessSettings make a missing grant a refusal everywhere.
var accessSettings = []setting{
	{"select_from_system_db_requires_grant", "true"},
	{"select_from_information_schema_requires_grant", "true"},
	{"table_engines_require_grant", "false"}, // CREATE TABLE is granted by name
	{"settings_constraints_replace_previous", "true"},
	{"users_without_row_policies_can_read_rows", "true"},
}

// configXML renders config.xml for an engine in dir. memory is in bytes; 0
// leaves the engine its default.
func configXML(dir string, memory int64) []byte {
	x := newXML()
	x.open("user_directories", "users_xml")
	x.leaf("path", filepath.Join(dir, usersFile))
	x.close("users_xml", "user_directories")

	// P1: the library takes its level from log-level alone; without it, it logs
	// every step of every statement. The log of a crash may still name the
	// statement that it happened in, and so is as protected as the data and
	// kept small.
	x.leaf("log-level", logLevel)
	x.open("logger")
	x.leaf("level", logLevel)
	x.leaf("log", filepath.Join(dir, "log", "server.log"))
	x.leaf("size", "1M")
	x.leaf("count", "1")
	x.close("logger")
	x.open("send_crash_reports")
	x.leaf("enabled", "false")
	x.close("send_crash_reports")

	// Not the name of the machine.
	x.leaf("display_name", "lethe")
	if memory > 0 {
		x.leaf("max_server_memory_usage", fmt.Sprint(memory))
	}
	x.leaves(serverSettings)
	x.open("merge_tree")
	x.leaves(mergeTreeSettings)
	x.close("merge_tree")
	x.open("access_control_improvements")
	x.leaves(accessSettings)
	x.close("access_control_improvements")

	// What functions like file() may read, in a directory where nothing is.
	x.leaf("user_files_path", filepath.Join(dir, "data", "user_files")+"/")
	x.open("backups")
	x.leaf("allowed_path", filepath.Join(dir, "backups")+"/")
	x.close("backups")

	// There is no query_log, part_log or any other: each exists only where it
	// is configured, and holds text of statements.
	return x.bytes()
}

// makeDirs makes the directories that the engine needs, for nobody else to
// look into.
func (e *Engine) makeDirs() error {
	for _, dir := range []string{e.cfg.Dir, filepath.Join(e.cfg.Dir, "log"), e.BackupDir(), e.DataDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("making a directory of the engine: %w", err)
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return fmt.Errorf("closing a directory of the engine: %w", err)
		}
	}
	return nil
}

// writeFiles writes what the engine reads when it starts.
func (e *Engine) writeFiles(usersXML []byte) error {
	var start bytes.Buffer
	for _, s := range startStatements {
		fmt.Fprintln(&start, s)
	}
	for name, content := range map[string][]byte{
		configFile: configXML(e.cfg.Dir, e.cfg.MemoryLimit),
		usersFile:  usersXML,
		startFile:  start.Bytes(),
	} {
		path := filepath.Join(e.cfg.Dir, name)
		// A file that is there keeps its mode when it is written, so it goes.
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("replacing a file of the engine: %w", err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return fmt.Errorf("writing a file of the engine: %w", err)
		}
	}
	return nil
}

// xmlText writes elements; the names are ours, the texts are escaped.
type xmlText struct{ b bytes.Buffer }

func newXML() *xmlText {
	x := &xmlText{}
	x.b.WriteString("<clickhouse>\n")
	return x
}

func (x *xmlText) open(names ...string) {
	for _, n := range names {
		fmt.Fprintf(&x.b, "<%s>", n)
	}
	x.b.WriteByte('\n')
}

func (x *xmlText) close(names ...string) {
	for _, n := range names {
		fmt.Fprintf(&x.b, "</%s>", n)
	}
	x.b.WriteByte('\n')
}

func (x *xmlText) leaf(name, text string) {
	fmt.Fprintf(&x.b, "<%s>", name)
	_ = xml.EscapeText(&x.b, []byte(text)) // a bytes.Buffer takes everything
	fmt.Fprintf(&x.b, "</%s>\n", name)
}

func (x *xmlText) leaves(all []setting) {
	for _, s := range all {
		x.leaf(s.name, s.value)
	}
}

func (x *xmlText) bytes() []byte {
	x.b.WriteString("</clickhouse>\n")
	return x.b.Bytes()
}
