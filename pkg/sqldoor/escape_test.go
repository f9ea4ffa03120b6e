package sqldoor_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// An escape is a statement that would show more than published cells of one's
// own tenant, or do more than read them.
type escape struct {
	statement string
	// control is what works as root: the statement itself where it is empty.
	// With anyError it is enough that root is not refused: what it asks for is
	// nowhere.
	control string
	// door says that the engine lets it through, and the door does not.
	door bool
}

const anyError = "another error"

// Where a statement names a file, it is the marked one.
const marked = "{marked}"

var escapes = []struct {
	name string
	all  []escape
}{
	{"tables", []escape{
		{statement: "SELECT * FROM lethe.cell"},
		{statement: "SELECT count() FROM lethe.cell"},
		{statement: "SELECT tenant FROM lethe.cell LIMIT 1"},
		{statement: "SELECT * FROM lethe.http_access"},
		{statement: "SELECT visitor FROM lethe.http_access"},
		{statement: "SELECT * FROM lethe.activation"},
		{statement: "SELECT * FROM lethe.clock"},
		{statement: "SELECT * FROM lethe_hold.http_access"},
		{statement: "SELECT 1 FROM stats.cells WHERE 1 IN (SELECT 1 FROM lethe.cell)"},
		{statement: "SELECT (SELECT max(value) FROM lethe.cell)"},
		{statement: "SELECT * FROM stats.cells AS a JOIN lethe.cell AS b ON a.metric = b.metric"},
		{statement: "SELECT * FROM stats.cells UNION ALL SELECT service, metric, bucket, toDate(toString(first_day)), toDate(toString(last_day)), map('', ''), value FROM lethe.cell"},
		{statement: "WITH x AS (SELECT * FROM lethe.cell) SELECT * FROM x"},
		{statement: "SELECT * FROM (SELECT * FROM (SELECT * FROM lethe.cell))"},
		{statement: "SELECT arrayJoin((SELECT groupArray(tenant) FROM lethe.cell))"},
		{statement: "SELECT * FROM stats.cells EXCEPT SELECT service, metric, bucket, toDate(toString(first_day)), toDate(toString(last_day)), map('', ''), value FROM lethe.cell"},
		{statement: "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x WHERE n < (SELECT count() FROM lethe.cell)) SELECT max(n) FROM x"},
		{statement: "SELECT tenant FROM stats.cells", control: "SELECT tenant FROM lethe.cell"},
		{statement: "SELECT through FROM stats.cells", control: "SELECT through FROM lethe.cell"},
		{statement: "SELECT event_id FROM stats.requests", control: "SELECT event_id FROM lethe.cell"},
		{statement: "SELECT _part FROM stats.cells", control: "SELECT _part FROM lethe.cell"},
		{statement: "SELECT _partition_id FROM stats.cells", control: "SELECT _partition_id FROM lethe.cell"},
		{statement: "SELECT _part_offset FROM stats.cells", control: "SELECT _part_offset FROM lethe.cell"},
		{statement: "DESCRIBE lethe.cell"},
		{statement: "DESCRIBE (SELECT * FROM lethe.cell)"},
		{statement: "SHOW CREATE TABLE lethe.cell"},
		{statement: "SHOW CREATE DATABASE lethe"},
		{statement: "EXISTS lethe.cell"},
		{statement: "EXISTS DATABASE lethe"},
		{statement: "SELECT hasColumnInTable('lethe', 'cell', 'tenant')"},
		{statement: "CHECK TABLE lethe.cell"},
	}},
	{"system tables", []escape{
		{statement: "SELECT * FROM system.users"},
		{statement: "SELECT * FROM system.grants"},
		{statement: "SELECT * FROM system.row_policies"},
		{statement: "SELECT * FROM system.parts"},
		{statement: "SELECT * FROM system.parts_columns"},
		{statement: "SELECT * FROM system.processes"},
		{statement: "SELECT * FROM system.mutations"},
		{statement: "SELECT * FROM system.merges"},
		{statement: "SELECT * FROM system.disks"},
		{statement: "SELECT * FROM system.errors"},
		{statement: "SELECT * FROM system.events"},
		{statement: "SELECT * FROM system.metrics"},
		{statement: "SELECT * FROM system.asynchronous_inserts"},
		{statement: "SELECT * FROM system.clusters"},
		{statement: "SELECT * FROM system.dictionaries"},
		{statement: "SELECT * FROM system.detached_parts"},
		{statement: "SELECT * FROM system.dropped_tables"},
		{statement: "SELECT * FROM system.server_settings"},
		{statement: "SELECT * FROM system.settings_profiles"},
		{statement: "SELECT * FROM system.settings_profile_elements"},
		{statement: "SELECT * FROM system.named_collections"},
		{statement: "SELECT * FROM system.query_cache"},
		{statement: "SELECT * FROM system.query_condition_cache"},
		{statement: "SELECT * FROM system.quotas_usage"},
		{statement: "SELECT * FROM system.quota_usage", door: true},
		{statement: "SELECT * FROM system.stack_trace", control: "CHECK GRANT SELECT ON system.stack_trace"},
		{statement: "SELECT * FROM system.warnings"},
		{statement: "SELECT * FROM system.macros"},
		{statement: "SELECT * FROM system.data_skipping_indices"},
		{statement: "SELECT * FROM system.projections"},
		{statement: "SELECT * FROM system.backups"},
		{statement: "SELECT * FROM information_schema.tables"},
		{statement: "SELECT * FROM INFORMATION_SCHEMA.COLUMNS"},
		{statement: "SHOW PROCESSLIST"},
		{statement: "SHOW USERS"},
		{statement: "SHOW QUOTA", door: true},
		{statement: "SHOW ROW POLICIES"},
		{statement: "SHOW CREATE USER view"},
		{statement: "SHOW GRANTS FOR view"},
		{statement: "SHOW MERGES"},
		{statement: "SHOW CLUSTERS"},
		{statement: "SHOW INDEX FROM lethe.cell"},
		{statement: "SELECT * FROM merge('system', 'quota_us.*')"},
		{statement: "SELECT * FROM merge('lethe', '.*')"},
	}},
	{"table functions", []escape{
		{statement: "SELECT * FROM file('" + marked + "', 'LineAsString')"},
		{statement: "DESCRIBE TABLE file('" + marked + "', 'LineAsString')"},
		{statement: "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'x Int8')", control: "CHECK GRANT READ ON URL"},
		{statement: "DESCRIBE TABLE url('http://127.0.0.1:1/x.csv')", control: "CHECK GRANT READ ON URL"},
		{statement: "SELECT * FROM s3('http://127.0.0.1:1/b/x.csv', 'NOSIGN', 'CSV', 'x Int8')", control: "CHECK GRANT READ ON S3"},
		{statement: "SELECT * FROM remote('127.0.0.1:1', lethe.cell)", control: "CHECK GRANT READ ON REMOTE"},
		{statement: "SELECT * FROM remoteSecure('127.0.0.1:1', lethe.cell)", control: "CHECK GRANT READ ON REMOTE"},
		{statement: "SELECT * FROM cluster('default', lethe.cell)", control: anyError},
		{statement: "SELECT * FROM clusterAllReplicas('default', lethe.cell)", control: anyError},
		{statement: "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')", control: anyError},
		{statement: "SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')", control: anyError},
		{statement: "SELECT * FROM sqlite('" + marked + "', 't')", control: anyError},
		{statement: "SELECT * FROM executable('x', 'TSV', 'a Int8')", control: anyError},
		{statement: "DESCRIBE TABLE executable('x', 'TSV', 'a Int8')", door: true},
		{statement: "SELECT * FROM filesystem('" + marked + "')", control: anyError},
		{statement: "SELECT * FROM mergeTreeIndex('lethe', 'cell')"},
		{statement: "DESCRIBE TABLE mergeTreeIndex('lethe', 'cell')", door: true},
		{statement: "SELECT * FROM mergeTreeProjection('lethe', 'cell', 'p')", control: anyError},
		{statement: "SELECT * FROM mergeTreeAnalyzeIndexes('lethe', 'cell', tenant = 'umbra')"},
		{statement: "SELECT * FROM loop(lethe.cell) LIMIT 1"},
		{statement: "SELECT * FROM loop(stats.cells) LIMIT 1"},
		{statement: "SELECT * FROM dictionary('d')", control: anyError},
		{statement: "SELECT * FROM input('a Int8')", control: anyError},
		{statement: "SELECT * FROM format(CSV, 'x Int8', '1')"},
		{statement: "SELECT * FROM view(SELECT * FROM lethe.cell)"},
		{statement: "SELECT * FROM viewIfPermitted(SELECT CAST(tenant, 'String') AS x FROM lethe.cell ELSE null('x String'))", door: true},
		{statement: "SELECT * FROM zeros(1)"},
		{statement: "SELECT * FROM deltaLakeLocal('/')", control: anyError},
		{statement: "SELECT * FROM icebergLocal('/')", control: anyError},
		{statement: "SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'CSV', 'x Int8')", control: "CHECK GRANT READ ON HDFS"},
		{statement: "SELECT * FROM jdbc('a', 'b')", control: "CHECK GRANT READ ON JDBC"},
		{statement: "SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')", control: anyError},
		{statement: "SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'x Int8')", control: anyError},
		{statement: "SELECT * FROM eval('SELECT 1')", control: anyError},
		{statement: "SELECT * FROM fuzzQuery('SELECT 1') LIMIT 1", door: true},
	}},
	{"functions", []escape{
		{statement: "SELECT file('" + marked + "')", door: true},
		{statement: "SELECT `file`('" + marked + "')", door: true},
		{statement: `SELECT "f\x69le"('` + marked + `')`, door: true},
		{statement: "SELECT /* x */ file /* y */ ('" + marked + "')", door: true},
		{statement: "SELECT arrayMap(file, ['" + marked + "'])", door: true},
		{statement: "SELECT arrayMap(x -> file(x), ['" + marked + "'])", door: true},
		{statement: "SELECT * APPLY(file) FROM (SELECT '" + marked + "')", door: true},
		{statement: "SELECT * APPLY(x -> file(x)) FROM (SELECT '" + marked + "')", door: true},
		{statement: "WITH (x -> file(x)) AS f SELECT f('" + marked + "')", door: true},
		{statement: "SELECT x FROM (SELECT file('" + marked + "') AS x)", door: true},
		{statement: "SELECT service FROM stats.cells WHERE file('" + marked + "') != ''", door: true},
		{statement: "SELECT joinGet('lethe.cell', 'value', 1)", control: anyError},
		{statement: "SELECT dictGet('d', 'y', 1)", control: anyError},
		{statement: "SELECT getServerSetting('path')", door: true},
		{statement: "SELECT getServerPort('tcp_port')", door: true},
		{statement: "SELECT tcpPort()", door: true},
		{statement: "SELECT hostName()", door: true},
		{statement: "SELECT FQDN()", door: true},
		{statement: "SELECT filesystemAvailable()", door: true},
		{statement: "SELECT uptime()", door: true},
		{statement: "SELECT serverUUID()", door: true},
		{statement: "SELECT getOSKernelVersion()", door: true},
		{statement: "SELECT max(blockNumber()) FROM stats.cells", door: true},
		{statement: "SELECT getClientHTTPHeader('Lethe-Scope-Tenant')", door: true},
		{statement: "SELECT sleep(1)", control: "SELECT sleep(0.001)"},
		{statement: "SELECT sleepEachRow(1)", control: "SELECT sleepEachRow(0.001)"},
		{statement: "SELECT catboostEvaluate('" + marked + "', 1)", control: anyError},
		{statement: "SELECT addressToSymbol(1)", control: "SELECT 1 SETTINGS allow_introspection_functions = 0"},
		{statement: "SELECT aiGenerate('x')", control: anyError},
		{statement: "SELECT getMergeTreeSetting('index_granularity')", door: true},
	}},
	{"explain", []escape{
		{statement: "EXPLAIN SELECT * FROM stats.cells", door: true},
		{statement: "EXPLAIN ESTIMATE SELECT * FROM stats.cells", door: true},
		{statement: "EXPLAIN PLAN indexes = 1 SELECT * FROM stats.cells", door: true},
		{statement: "EXPLAIN PIPELINE SELECT * FROM stats.cells", door: true},
		{statement: "EXPLAIN AST SELECT * FROM lethe.cell", door: true},
		{statement: "EXPLAIN SYNTAX SELECT * FROM stats.cells", door: true},
		{statement: "EXPLAIN QUERY TREE SELECT * FROM stats.cells", door: true},
		{statement: "EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'a', 'b', 'c', 'd') PARTITION BY tuple()", control: anyError},
		{statement: "/* /* */ SELECT 1 */ EXPLAIN ESTIMATE SELECT * FROM stats.cells", door: true},
		{statement: "-- SELECT\nEXPLAIN ESTIMATE SELECT * FROM stats.cells", door: true},
		{statement: "SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM stats.cells)"},
		{statement: "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1))"},
		{statement: "WITH x AS (EXPLAIN ESTIMATE SELECT * FROM stats.cells) SELECT * FROM x"},
	}},
	{"settings", []escape{
		{statement: "SELECT * FROM stats.cells SETTINGS readonly = 0"},
		{statement: "SELECT * FROM stats.cells SETTINGS max_rows_to_read = 1", control: "SELECT 1 SETTINGS max_rows_to_read = 1"},
		{statement: "SELECT * FROM stats.cells SETTINGS max_execution_time = 600"},
		{statement: "SELECT * FROM stats.cells SETTINGS max_execution_time = 0"},
		{statement: "SELECT * FROM stats.cells SETTINGS max_memory_usage = 0"},
		{statement: "SELECT * FROM stats.cells SETTINGS max_result_rows = 0"},
		{statement: "SELECT * FROM stats.cells SETTINGS allow_get_client_http_header = 0", control: "SELECT 1 SETTINGS max_block_size = 1"},
		{statement: "SELECT * FROM stats.cells SETTINGS additional_table_filters = {'lethe.cell': '1'}"},
		{statement: "SELECT * FROM stats.cells SETTINGS enable_analyzer = 0", control: "SELECT 1 SETTINGS enable_analyzer = 0"},
		{statement: "SELECT * FROM stats.cells SETTINGS allow_introspection_functions = 1", control: "SELECT 1 SETTINGS max_block_size = 1"},
		{statement: "SELECT * FROM stats.cells SETTINGS log_queries = 1", control: "SELECT 1 SETTINGS log_comment = 'x'"},
		{statement: "SELECT * FROM stats.cells SETTINGS use_query_cache = 1", control: "SELECT 1 SETTINGS use_query_cache = 1"},
		{statement: "SELECT * FROM stats.cells SETTINGS output_format_write_statistics = 1 FORMAT JSON", control: "SELECT 1 SETTINGS output_format_write_statistics = 1"},
		{statement: "SELECT * FROM (SELECT * FROM stats.cells SETTINGS max_rows_to_read = 1)", control: "SELECT * FROM (SELECT 1 SETTINGS max_rows_to_read = 1)"},
		{statement: "SELECT * FROM stats.cells SETTINGS send_logs_level = 'trace'"},
		{statement: "SELECT 1 SETTINGS format_schema = '" + marked + ":x'"},
		{statement: "SELECT 1 FORMAT Template SETTINGS format_template_row = '" + marked + "'", control: anyError},
		{statement: "SET readonly = 0"},
		{statement: "SET ROLE ALL", door: true},
	}},
	{"writing", []escape{
		{statement: "SELECT 1 INTO OUTFILE '" + marked + ".out'", control: anyError},
		{statement: "INSERT INTO stats.cells (value) VALUES (1)", control: anyError},
		{statement: "INSERT INTO lethe.cell (value) VALUES (1)"},
		{statement: "INSERT INTO FUNCTION file('" + marked + ".csv', 'CSV', 'x Int8') VALUES (1)"},
		{statement: "CREATE TABLE stats.x (a Int8) ENGINE = Memory"},
		{statement: "CREATE TEMPORARY TABLE x (a Int8)", control: anyError},
		{statement: "CREATE VIEW stats.x AS SELECT 1", control: "CREATE VIEW stats.y AS SELECT 1"},
		{statement: "CREATE DATABASE x ENGINE = Memory"},
		{statement: "CREATE FUNCTION getClientHTTPHeader AS (x) -> 'umbra'", control: "CREATE FUNCTION another AS (x) -> x"},
		{statement: "CREATE USER x", control: anyError},
		{statement: "CREATE ROW POLICY x ON lethe.cell USING 1 TO sql", control: anyError},
		{statement: "CREATE DICTIONARY stats.d (k UInt64) PRIMARY KEY k SOURCE(CLICKHOUSE(TABLE 'cell' DB 'lethe')) LAYOUT(FLAT()) LIFETIME(1)"},
		{statement: "CREATE NAMED COLLECTION x AS a = 1", control: anyError},
		{statement: "ALTER TABLE lethe.cell DELETE WHERE 0"},
		{statement: "DELETE FROM lethe.cell WHERE 0"},
		{statement: "DROP VIEW stats.y"},
		{statement: "TRUNCATE TABLE lethe.clock"},
		{statement: "RENAME TABLE lethe.cell TO lethe.x", control: "RENAME TABLE lethe.app_log TO lethe.x"},
		{statement: "EXCHANGE TABLES lethe.cell AND lethe.login", control: "EXCHANGE TABLES lethe.login AND lethe.page_view"},
		{statement: "OPTIMIZE TABLE lethe.cell"},
		{statement: "DETACH TABLE lethe.cell", control: "DETACH TABLE lethe.user_action"},
		{statement: "GRANT SELECT ON *.* TO sql", control: anyError},
		{statement: "KILL QUERY WHERE 1 SYNC", control: "KILL QUERY WHERE 0 SYNC"},
		{statement: "BACKUP TABLE lethe.cell TO File('x')"},
		{statement: "RESTORE TABLE lethe.cell FROM File('y')", control: anyError},
		{statement: "SYSTEM SHUTDOWN", control: "SYSTEM FLUSH LOGS"},
		{statement: "SYSTEM STOP LISTEN HTTP", control: "SYSTEM START LISTEN HTTP"},
		{statement: "SYSTEM STOP MERGES", door: true}, // the engine stops those it may, which are none
		{statement: "EXECUTE AS view SELECT * FROM lethe.cell", control: anyError},
		{statement: "SELECT 1; SELECT * FROM lethe.cell", control: anyError},
		{statement: "SELECT 1 PARALLEL WITH SELECT 2", control: anyError},
		{statement: "USE lethe", door: true, control: anyError},
	}},
	{"formats", []escape{
		{statement: "SELECT count() FROM stats.cells FORMAT JSONEachRowWithProgress", door: true},
		{statement: "SELECT count() FROM stats.cells FORMAT JSONStringsEachRowWithProgress", door: true},
		{statement: "SELECT count() FROM stats.cells FORMAT JSONCompactEachRowWithProgress", door: true},
		{statement: `SELECT count() FROM stats.cells FORMAT "JSONEachRowWith\x50rogress"`, door: true},
		{statement: "SELECT count() FROM stats.cells FORMAT jsoneachrowwithprogress", door: true, control: anyError},
	}},
}

// TestNothingEscapesTheViews: P1, P14, P19. Each is refused at the door; each
// that the engine's grants and settings hold is refused by them alone; and each
// works, or fails for another reason, where nothing holds it.
func TestNothingEscapesTheViews(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	file := filepath.Join(t.TempDir(), "marked.txt")
	const secret = "what the marked file holds"
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, group := range escapes {
		for _, e := range group.all {
			total++
			statement := strings.ReplaceAll(e.statement, marked, file)
			if a := s.ask(credential, statement); a.status == http.StatusOK || strings.Contains(a.text, secret) || strings.Contains(a.text, "umbra-") {
				t.Errorf("%s: the door let through: %s (status %d)", group.name, e.statement, a.status)
			}
			if a := s.direct(warehouse.UserSQL, lethetest.Password(warehouse.UserSQL), statement); a.status == http.StatusOK && !e.door {
				t.Errorf("%s: the engine lets through: %s", group.name, e.statement)
			} else if a.status != http.StatusOK && e.door && e.control != anyError {
				t.Errorf("%s: the engine holds what the door is said to: %s: %.200s", group.name, e.statement, a.text)
			}
			control := statement
			if e.control != "" && e.control != anyError {
				control = e.control
			}
			a := s.asRoot(control)
			if strings.HasPrefix(control, "CHECK GRANT") && strings.TrimSpace(a.text) != "1" {
				t.Errorf("%s: root has not what is refused: %s", group.name, control)
			}
			if refused := strings.Contains(a.text, "(ACCESS_DENIED)") || strings.Contains(a.text, "(READONLY)"); a.status != http.StatusOK && (refused || e.control != anyError) {
				t.Errorf("%s: the control does not work: %s: %.300s", group.name, control, a.text)
			}
		}
	}
	if total < 150 {
		t.Errorf("only %d escapes were tried", total)
	}
	if a := s.ask(credential, "SELECT count() FROM cells"); a.status != http.StatusOK || strings.TrimSpace(a.text) != "12" {
		t.Errorf("after all of it, the door answers %d: %s", a.status, a.text)
	}
}
