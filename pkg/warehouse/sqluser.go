package warehouse

import (
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// The users behind the SQL door.
const (
	// UserSQL runs what an analyst's own tools send. It sees the views of
	// [StatsDatabase] and nothing else.
	UserSQL = "sql"
	// UserView is as whom these views read the cells. Nobody logs in as it.
	UserView = "view"
)

// The headers of a request to the engine by which [UserView] knows whose cells
// to show. Without them it sees none.
const (
	ScopeTenant = "Lethe-Scope-Tenant"
	// ScopeServices is the services, with commas in between, or [AllServices].
	ScopeServices = "Lethe-Scope-Services"
	AllServices   = "*"
)

// What one statement of [UserSQL] may take.
const (
	sqlMemory      = 512 << 20 // bytes
	sqlResultBytes = 256 << 20
	sqlDisk        = 1 << 30 // bytes of intermediate results
)

// SQLConcurrent is how many statements of [UserSQL] the engine runs at once, of
// all tenants; it refuses more. The SQL door lets tenants wait before that.
const SQLConcurrent = 16

// SQLSeconds is how long one statement of [UserSQL] may take.
const SQLSeconds = maxQuerySeconds

// SQLLimits are what one statement of [UserSQL] may take at most, and may
// choose less of: seconds, rows, threads.
func SQLLimits() map[string]int {
	return map[string]int{"max_execution_time": SQLSeconds, "max_result_rows": 1_000_000, "max_threads": 2}
}

// SQLChangeable are the settings that a statement of [UserSQL] may choose: how
// values are written, and limits, within its own.
//
// There is no limit of rows read among them, and none at all: how much is left
// of one would tell how many cells other tenants have.
func SQLChangeable() []string {
	return []string{
		"max_execution_time", "max_result_rows", "max_threads", "result_overflow_mode",
		"network_compression_method", "network_zstd_compression_level",
		"enable_http_compression", "http_zlib_compression_level",
		"session_timezone", "date_time_output_format", "join_use_nulls", "group_by_use_nulls", "extremes",
		"output_format_json_quote_64bit_integers", "output_format_json_quote_64bit_floats",
		"output_format_json_quote_denormals", "output_format_json_quote_decimals",
		"output_format_json_named_tuples_as_objects", "output_format_json_array_of_rows",
		"output_format_json_escape_forward_slashes", "output_format_json_validate_utf8",
		"output_format_csv_crlf_end_of_line", "output_format_tsv_crlf_end_of_line",
		"output_format_decimal_trailing_zeros", "output_format_pretty_color", "output_format_pretty_max_rows",
		"output_format_native_encode_types_in_binary_format", "output_format_native_write_json_as_string",
		"output_format_binary_encode_types_in_binary_format", "output_format_binary_write_json_as_string",
		"output_format_arrow_string_as_string", "output_format_arrow_low_cardinality_as_dictionary",
		"output_format_parquet_string_as_string",
	}
}

// sqlUsers are the users behind the SQL door. The tenant and the services stand
// in the row filter of [UserView], which the engine applies before anything of
// a statement: not even an error can tell of a row that is filtered out. P14.
func sqlUsers() []User {
	header := func(name string) string { return "getClientHTTPHeader(" + literal(name) + ")" }
	cells := DefaultDatabase + "." + policy.CellTable
	return []User{
		{
			Name: UserSQL, ReadOnly: 1,
			Grants: []string{"GRANT SELECT ON " + StatsDatabase + ".*"},
			Settings: sqlSettings(map[string]string{
				"max_memory_usage":                          fmt.Sprint(sqlMemory),
				"max_result_bytes":                          fmt.Sprint(sqlResultBytes),
				"max_temporary_data_on_disk_size_for_query": fmt.Sprint(sqlDisk),
				"max_concurrent_queries_for_user":           fmt.Sprint(SQLConcurrent),
				// Of how much was read, nothing is told: it holds rows of
				// other tenants.
				"output_format_write_statistics": "0",
				"send_progress_in_http_headers":  "0",
				// Who has gone waits for nothing.
				"cancel_http_readonly_queries_on_client_close": "1",
				// What a function that waits would show, time shows too.
				"function_sleep_max_microseconds_per_block": "1",
			}),
			Changeable: SQLChangeable(),
		},
		{
			Name: UserView, ReadOnly: 1,
			Grants: []string{"GRANT SELECT ON " + cells},
			Filters: map[string]string{cells: "tenant != '' AND tenant = " + header(ScopeTenant) +
				" AND (" + header(ScopeServices) + " = " + literal(AllServices) + " OR has(splitByChar(',', " + header(ScopeServices) + "), service))"},
			Settings: sqlSettings(map[string]string{}),
		},
	}
}

// sqlSettings adds what holds on both sides of a view.
func sqlSettings(s map[string]string) map[string]string {
	s["allow_get_client_http_header"] = "1"
	for name, most := range SQLLimits() {
		s[name] = fmt.Sprint(most)
	}
	// No answer of one tenant is kept for another.
	s["use_query_cache"] = "0"
	s["use_query_condition_cache"] = "0"
	s["enable_analyzer"] = "1"
	return s
}
