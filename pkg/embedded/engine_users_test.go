package embedded_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// refused checks that a statement is refused with a code of ClickHouse's.
func refused(t *testing.T, e *embedded.Engine, user embedded.EngineUser, code int, query string) {
	t.Helper()
	_, err := ask(t.Context(), e, user.Name, user.Password, query)
	if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("code %d:", code)) {
		t.Errorf("%s, %s: %v, want code %d", user.Name, query, err, code)
	}
}

func allowed(t *testing.T, e *embedded.Engine, user embedded.EngineUser, want, query string) {
	t.Helper()
	if got, err := ask(t.Context(), e, user.Name, user.Password, query); err != nil || got != want {
		t.Errorf("%s, %s: %q, %v, want %q", user.Name, query, got, err, want)
	}
}

const (
	codeReadonly   = 164
	codeQuota      = 201
	codeConstraint = 452
	codeDenied     = 497
)

func TestUserDefaultCanDoNothingMore(t *testing.T) {
	e := lethetest.Engine(t, admin)
	do(t, e, "CREATE DATABASE d ENGINE = Atomic")
	def := embedded.EngineUser{Name: "default"}
	refused(t, e, def, codeQuota, "SYSTEM STOP LISTEN HTTP")
	refused(t, e, def, codeQuota, "SELECT sum(number) FROM numbers(10)")
	refused(t, e, def, codeQuota, "SHOW DATABASES")
	refused(t, e, def, codeQuota, "CREATE TABLE d.t (n UInt8) ENGINE = Memory")
	do(t, e, "SELECT 1")

	// The control: with the quota of everybody else, it could close the door.
	probe, prober := embedded.NewProbe()
	users := string(embedded.UsersXML([]embedded.EngineUser{prober}))
	unlocked := strings.Replace(users, "<quota>boot</quota>", "<quota>default</quota>", 1)
	if unlocked == users {
		t.Fatal("the lock is not where this test takes it away")
	}
	open, err := embedded.NewEngine(embedded.EngineConfig{
		Dir: t.TempDir(), Log: lethetest.Logger(t), Probe: probe, UsersXML: []byte(unlocked),
	})
	if err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "engine", open)
	allowed(t, open, def, "", "SYSTEM STOP LISTEN TCP")
}

func TestUserDoesWhatItsGrantsSayAndNoMore(t *testing.T) {
	var (
		nobody = embedded.EngineUser{Name: "nobody", Password: "n"}
		writer = embedded.EngineUser{Name: "writer", Password: "w", Grants: []string{"GRANT INSERT ON d.t"}}
		reader = embedded.EngineUser{
			Name: "reader", Password: `r<&>"'`, ReadOnly: 2,
			Grants:  []string{"GRANT SELECT(service, n) ON d.t", "GRANT SELECT ON d.u"},
			Filters: map[string]string{"d.t": "service = 'a' AND n < 3", "d.u": "n > 0", "e.t": "0"},
		}
	)
	e := lethetest.Engine(t, admin, nobody, writer, reader)
	do(t, e, "CREATE DATABASE d ENGINE = Atomic")
	do(t, e, "CREATE TABLE d.t (service String, n UInt8, token String) ENGINE = MergeTree ORDER BY n")
	do(t, e, "CREATE TABLE d.u (n UInt8) ENGINE = MergeTree ORDER BY n")
	do(t, e, "INSERT INTO d.u VALUES (0), (1)")

	allowed(t, e, writer, "", "INSERT INTO d.t VALUES ('a', 1, 'x'), ('a', 2, 'x'), ('a', 3, 'x'), ('b', 1, 'x')")
	refused(t, e, writer, codeDenied, "SELECT n FROM d.t")
	refused(t, e, writer, codeDenied, "ALTER TABLE d.t DELETE WHERE 1")
	refused(t, e, writer, codeDenied, "DROP TABLE d.t")

	allowed(t, e, reader, "2", "SELECT count() FROM d.t")
	allowed(t, e, reader, "1", "SELECT count() FROM d.u")
	allowed(t, e, admin, "4", "SELECT count() FROM d.t")
	refused(t, e, reader, codeDenied, "SELECT token FROM d.t")
	refused(t, e, reader, codeDenied, "SELECT * FROM d.t")
	refused(t, e, reader, codeDenied, "INSERT INTO d.t VALUES ('a', 1, 'x')")
	refused(t, e, reader, codeDenied, "CREATE DATABASE f")

	for _, q := range []string{
		"SELECT n FROM d.t",
		"SELECT query FROM system.processes",
		"SELECT name FROM system.parts",
		"SELECT last_error_message FROM system.errors",
		"SELECT name FROM system.users",
		"SELECT * FROM information_schema.tables",
		"SELECT * FROM file('/etc/hostname', 'LineAsString')",
		"SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
		"SELECT * FROM remote('127.0.0.1:1', 'd.t')",
		"SELECT * FROM executable('id', 'LineAsString', 's String')",
		"SYSTEM STOP LISTEN HTTP",
		"SYSTEM SHUTDOWN",
		"CREATE DATABASE f",
		"CREATE TABLE d.x (n UInt8) ENGINE = Memory",
		"KILL QUERY WHERE 1",
		"BACKUP TABLE d.t TO File('x')",
	} {
		if got, err := ask(t.Context(), e, nobody.Name, nobody.Password, q); err == nil {
			t.Errorf("a user without grants may %s: %q", q, got)
		}
	}
}

func TestSettingsOfAUserCannotBeChangedByAQuery(t *testing.T) {
	limited := embedded.EngineUser{
		Name: "limited", Password: "l", ReadOnly: 2,
		Settings: map[string]string{"max_execution_time": "30", "max_result_rows": "10", "final": "1"},
	}
	strict := embedded.EngineUser{Name: "strict", Password: "s", ReadOnly: 1}
	e := lethetest.Engine(t, limited, strict)
	const value = "SELECT toString(getSetting('%s'))"
	allowed(t, e, limited, "30", fmt.Sprintf(value, "max_execution_time"))
	allowed(t, e, limited, "true", fmt.Sprintf(value, "final"))
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS max_execution_time = 31")
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS max_execution_time = 0")
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS max_result_rows = 11")
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS final = 0")
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS async_insert = 1")
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS log_queries = 1")
	refused(t, e, limited, codeConstraint, "SELECT 1 SETTINGS allow_introspection_functions = 1")
	allowed(t, e, limited, "1", "SELECT 1 SETTINGS max_execution_time = 5")
	refused(t, e, strict, codeReadonly, "SELECT 1 SETTINGS max_threads = 1")

	// The driver sets what a deadline implies, and may ask for what holds.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}))
	if err := open(t, e, limited).Exec(ctx, "SELECT 1"); err != nil {
		t.Errorf("the driver with a deadline: %v", err)
	}
}

// Each of these keeps a promise; the engine's own default of most would not.
func TestEngineWorksByTheSettingsThatPromisesLeanOn(t *testing.T) {
	e := lethetest.Engine(t, admin)
	for _, s := range embedded.MergeTreeSettings {
		got := do(t, e, fmt.Sprintf("SELECT value FROM system.merge_tree_settings WHERE name = '%s'", s.Name()))
		if got != s.Value() {
			t.Errorf("merge_tree setting %s = %q, want %q", s.Name(), got, s.Value())
		}
	}
	for _, s := range embedded.UserSettings {
		got := do(t, e, fmt.Sprintf("SELECT value FROM system.settings WHERE name = '%s'", s.Name()))
		if got != s.Value() {
			t.Errorf("setting %s = %q, want %q", s.Name(), got, s.Value())
		}
	}
	for _, s := range append(embedded.ServerSettings[:len(embedded.ServerSettings):len(embedded.ServerSettings)],
		embedded.Setting("max_server_memory_usage", "2147483648")) {
		if s.Name() == "enable_system_unfreeze" {
			continue // no table shows it; below it is used
		}
		got := do(t, e, fmt.Sprintf("SELECT value FROM system.server_settings WHERE name = '%s'", s.Name()))
		if got != s.Value() {
			t.Errorf("server setting %s = %q, want %q", s.Name(), got, s.Value())
		}
	}
	do(t, e, "CREATE DATABASE d ENGINE = Atomic")
	do(t, e, "CREATE TABLE d.t (n UInt8) ENGINE = MergeTree ORDER BY n")
	do(t, e, "SYSTEM UNFREEZE WITH NAME 'none'")
	for range 2 {
		do(t, e, "INSERT INTO d.t SETTINGS insert_deduplication_token = 'same' VALUES (1)")
	}
	if got := do(t, e, "SELECT count() FROM d.t"); got != "1" {
		t.Errorf("the same batch twice = %s rows, want 1", got)
	}
	// P1: no table of the engine's keeps the text of statements.
	if got := do(t, e, "SELECT count() FROM system.tables WHERE database = 'system' AND name LIKE '%\\\\_log'"); got != "0" {
		t.Errorf("there are %s logs of the engine in tables, want none", got)
	}
}

func TestBackupGoesToItsDirectoryAndComesBack(t *testing.T) {
	e := lethetest.Engine(t, admin)
	do(t, e, "CREATE DATABASE d ENGINE = Atomic")
	do(t, e, "CREATE TABLE d.t (n UInt64) ENGINE = MergeTree ORDER BY n")
	do(t, e, "INSERT INTO d.t SELECT number FROM numbers(1000)")
	full := filepath.Join(e.BackupDir(), "full")
	do(t, e, fmt.Sprintf("BACKUP DATABASE d TO File('%s')", full))
	do(t, e, "INSERT INTO d.t VALUES (7)")
	more := filepath.Join(e.BackupDir(), "more")
	do(t, e, fmt.Sprintf("BACKUP DATABASE d TO File('%s') SETTINGS base_backup = File('%s')", more, full))
	do(t, e, "DROP DATABASE d SYNC")
	do(t, e, fmt.Sprintf("RESTORE DATABASE d FROM File('%s')", more))
	if got := do(t, e, "SELECT count(), sum(n) FROM d.t"); got != "1001\t499507" {
		t.Errorf("restored = %q", got)
	}
	if _, err := ask(t.Context(), e, admin.Name, admin.Password,
		fmt.Sprintf("BACKUP DATABASE d TO File('%s')", filepath.Join(t.TempDir(), "out"))); err == nil {
		t.Error("a backup was written outside the directory for backups")
	}
}

// TestLogOfTheEngineHoldsNoStatement: P1. An error quotes the statement and the
// value that it could not read.
func TestLogOfTheEngineHoldsNoStatement(t *testing.T) {
	for _, level := range []string{"", "error"} {
		t.Run(cmp.Or(level, "as it is"), func(t *testing.T) {
			if level != "" { // the control
				defer embedded.SetLogLevel(level)()
			}
			e := lethetest.Engine(t, admin)
			for _, query := range []string{"SELECT 'mark-1' FROM nothing", "SELECT toInt64('mark-2')", "not a statement mark-3"} {
				if _, err := ask(t.Context(), e, admin.Name, admin.Password, query); err == nil {
					t.Fatalf("%s: no error", query)
				}
			}
			// What was logged before the engine went to sleep is on disk.
			pid := e.PID()
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			restarted(t, e, pid)
			log, err := os.ReadFile(e.LogPath())
			if err != nil {
				t.Fatal(err)
			}
			if marks := strings.Count(string(log), "mark-"); (marks > 0) != (level != "") {
				t.Errorf("the log holds %d marks", marks)
			}
		})
	}
}

func TestNobodyElseCanReadTheFilesOfTheEngine(t *testing.T) {
	dir := t.TempDir()
	e := lethetest.NewEngine(t, dir, admin)
	// A file that was there, and open to all, must not stay so.
	if err := os.WriteFile(filepath.Join(dir, "users.xml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	lethetest.Start(t, "engine", e)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", entry.Name(), info.Mode())
		}
	}
	users, err := os.ReadFile(filepath.Join(dir, "users.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(users), admin.Password) {
		t.Error("users.xml holds a password")
	}
}

func TestChangeableSettingsAreAQuerysToChooseWithinTheirLimits(t *testing.T) {
	reader := embedded.EngineUser{Name: "reader", Password: "test-reader", ReadOnly: 1,
		Settings:   map[string]string{"max_execution_time": "60", "max_threads": "2", "join_use_nulls": "0"},
		Changeable: []string{"max_execution_time", "output_format_json_quote_64bit_integers"}}
	e := lethetest.Engine(t, reader)
	for setting, may := range map[string]bool{
		"max_execution_time = 6": true, "max_execution_time = 61": false, "max_execution_time = 0": false, "max_threads = 1": false,
		"output_format_json_quote_64bit_integers = 1": true, "join_use_nulls = 1": false, "max_block_size = 1": false,
	} {
		if _, err := ask(t.Context(), e, reader.Name, reader.Password, "SELECT 1 SETTINGS "+setting); (err == nil) != may {
			t.Errorf("%s: %v, may be chosen: %t", setting, err, may)
		}
	}
}

func TestUsersThatWouldBeOpenToAllAreNotRendered(t *testing.T) {
	for name, users := range map[string][]embedded.EngineUser{
		"no password":    {{Name: "a"}},
		"no name":        {{Password: "x"}},
		"default":        {{Name: "default", Password: "x"}},
		"twice":          {admin, admin},
		"not a name":     {{Name: "a><b", Password: "x"}},
		"not a table":    {{Name: "a", Password: "x", Filters: map[string]string{"t": "1"}}},
		"not a setting":  {{Name: "a", Password: "x", Settings: map[string]string{"a b": "1"}}},
		"changeable":     {{Name: "a", Password: "x", Changeable: []string{"a b"}}},
		"a table's name": {{Name: "a", Password: "x", Filters: map[string]string{"d.t><u": "1"}}},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: rendered", name)
				}
			}()
			embedded.UsersXML(users)
		}()
	}
}
