package sqldoor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func TestViewsTellCellsByTheNamesOfTheirDimensions(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{Services: []string{"shop"}})
	for query, want := range map[string]string{
		"SELECT day, first_day, last_day, status, path, host, value FROM requests ORDER BY value": `2026-03-01	2026-03-01	2026-03-01	200	/acme-shop	\N	100
2026-03-01	2026-03-01	2026-03-01	\N	\N	\N	101
\N	2026-02-01	2026-02-03	\N	\N	acme-shop.example.org	102
`,
		"SELECT bucket, first_day, split, status, path, value FROM visitors ORDER BY value": `day	2026-03-01		\N	\N	103
day	2026-03-01	status	200	\N	104
`,
		"SELECT day, split, product, value FROM active_machines": "2026-03-01\t\t\\N\t105\n",
		"SELECT metric, bucket, dimensions, value FROM cells ORDER BY value": `requests	day	{'status':'200','path':'/acme-shop'}	100
requests	day	{}	101
requests	day	{'host':'acme-shop.example.org'}	102
visitors	day	{}	103
visitors	day	{'status':'200'}	104
active_machines	now	{}	105
`,
		"SELECT sum(value) FROM requests WHERE service = {s:String}": "\\N\n",
	} {
		a := s.ask(credential, query, "param_s", "api")
		if strings.Contains(query, "sum(") {
			want = "0\n"
		}
		if a.status != http.StatusOK || a.text != want {
			t.Errorf("%s: %d\n%s", query, a.status, cmp.Diff(want, a.text))
		}
	}
}

// TestTenantsNeverMeet: P14, P15. Two tenants with the same metrics, each by
// every way that could lead to the other, and each service by itself.
func TestTenantsNeverMeet(t *testing.T) {
	s := newSite(t)
	all := map[string]string{}
	for _, tenant := range tenants {
		all[tenant] = s.credential(access.Principal{Tenant: tenant})
	}
	queries := []string{
		"SELECT * FROM cells FORMAT JSON",
		"SELECT * FROM requests",
		"SELECT * FROM visitors FORMAT Vertical",
		"SELECT * FROM active_machines FORMAT XML",
		"SELECT * FROM cells FORMAT Native",
		"SELECT * FROM cells WHERE value > 0 OR 1 OR service IN ('shop', 'api')",
		"SELECT * FROM cells AS a CROSS JOIN cells AS b",
		"SELECT * FROM cells AS a LEFT JOIN requests AS b ON a.value = b.value",
		"SELECT * FROM (SELECT * FROM cells) UNION ALL SELECT * FROM cells",
		"WITH 'umbra' AS tenant SELECT *, tenant = '' FROM cells",
		"WITH (x) -> 'umbra' AS getClientHTTPHeadr SELECT * FROM cells",
		"WITH cells AS (SELECT * FROM stats.cells) SELECT * FROM cells",
		"SELECT * FROM merge_cells SETTINGS max_threads = 1",
		"SELECT * FROM view(SELECT * FROM stats.cells)",
		"SELECT * FROM cells FINAL",
		"SELECT * FROM cells LIMIT 1 BY service",
		"SELECT * FROM cells ORDER BY value DESC LIMIT 3 WITH TIES",
		"SELECT groupArray(tuple(*)) FROM cells",
		"SELECT max(value), min(value), topK(10)(metric) FROM cells",
		"SELECT * FROM {t:Identifier}",
		"SELECT count() FROM cells WHERE throwIf(value > 9000, 'a large one') = 0",
		"SELECT count() FROM cells WHERE toUInt8(toString(dimensions)) > 0",
		"SELECT count() FROM cells WHERE intDiv(1, value - 10100) >= 0",
		"SELECT count() FROM requests WHERE throwIf(path = '/umbra-shop') = 0",
		"SELECT accurateCast(path, 'UInt8') FROM requests",
		"SELECT CAST(host, 'Enum8(\\'a\\' = 1)') FROM requests",
		"SELECT sum(value) FROM cells GROUP BY ALL WITH TOTALS FORMAT JSONCompact",
		"SELECT rowNumberInAllBlocks(), * FROM cells",
		"DESCRIBE cells", "SHOW CREATE VIEW cells", "SHOW TABLES", "SELECT * FROM system.tables", "SELECT * FROM system.columns",
	}
	for tenant, credential := range all {
		other := map[string]string{"acme": "umbra-", "umbra": "acme-"}[tenant]
		for _, q := range queries {
			for _, forge := range []func(*http.Request){
				func(*http.Request) {},
				func(r *http.Request) {
					o := strings.TrimSuffix(other, "-")
					r.Header.Set(warehouse.ScopeTenant, o)
					r.Header.Set(warehouse.ScopeServices, "*")
					r.Header.Set("lethe-scope-tenant", o)
					r.Header["lethe_scope_tenant"] = []string{o}
					r.Header.Set("X-ClickHouse-User", "view")
					r.Header.Set("X-ClickHouse-Database", "lethe")
					r.Header.Set("X-ClickHouse-Quota", o)
					r.Header.Set("X-ClickHouse-Setting-Readonly", "0")
					q := r.URL.Query()
					for name, value := range map[string]string{
						"user": "view", "password": "x", "database": "lethe", "session_id": "s", "session_check": "0", "role": "view", "quota_key": o,
						"readonly": "0", "additional_table_filters": "{'lethe.cell':'1'}", "allow_get_client_http_header": "0",
						"Lethe-Scope-Tenant": o, "http_headers": o, "stacktrace": "1", "enable_analyzer": "0", "output_format_write_statistics": "1",
						"send_progress_in_http_headers": "1", "close_session": "1", "query_id": "a'b", "hint": "x",
					} {
						q.Set(name, value)
					}
					r.URL.RawQuery = q.Encode()
				},
			} {
				r := s.request(http.MethodPost, credential, q, "param_t", "cells")
				forge(r)
				a := s.do(r)
				if strings.Contains(a.text, other) || tenant == "acme" && strings.Contains(a.text, "10101") || strings.Contains(fmt.Sprint(a.header), other) {
					t.Errorf("%s sees of the other: %s", tenant, q)
				}
				if strings.Contains(q, "throwIf") && (a.status != http.StatusOK) != (tenant == "umbra") {
					t.Errorf("%s: a predicate ran on rows of the other, or not on its own: %s: %d %s", tenant, q, a.status, a.text)
				}
			}
		}
		if a := s.ask(credential, "SELECT count(), uniqExact(service) FROM cells"); a.text != "12\t2\n" {
			t.Errorf("%s sees %q", tenant, a.text)
		}
		one := s.credential(access.Principal{Tenant: tenant, Services: []string{"api"}})
		if a := s.ask(one, "SELECT count(), groupUniqArray(service) FROM cells"); a.text != "6\t['api']\n" {
			t.Errorf("limited to a service, %s sees %q", tenant, a.text)
		}
	}
	none := s.credential(access.Principal{Tenant: "nobody"})
	if a := s.ask(none, "SELECT count() FROM cells"); a.text != "0\n" {
		t.Errorf("a tenant without cells sees %q", a.text)
	}
	// The control: without the headers nobody sees anything, and they decide.
	if a := s.asRoot("SELECT uniqExact(tenant) FROM lethe.cell"); a.text != "2\n" {
		t.Errorf("there are %q tenants", a.text)
	}
}

// TestNoAnswerTellsHowMuchWasRead: P14. Rows of other tenants are read too.
func TestNoAnswerTellsHowMuchWasRead(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	for _, format := range []string{"JSON", "JSONCompact", "XML", "JSONColumnsWithMetadata", "TSV", "Pretty"} {
		a := s.ask(credential, "SELECT count() FROM cells FORMAT "+format, "send_progress_in_http_headers", "1", "wait_end_of_query", "1")
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", format, a.status, a.text)
		}
		var summary map[string]string
		if err := json.Unmarshal([]byte(a.header.Get("X-ClickHouse-Summary")), &summary); err != nil || summary["read_rows"] != "0" {
			t.Errorf("%s: the summary is %v, %v", format, summary, err)
		}
		for _, word := range []string{"rows_read", "read_rows", "bytes_read", "progress"} {
			if strings.Contains(a.text, word) || a.header.Get("X-ClickHouse-Progress") != "" {
				t.Errorf("%s: the answer has %s", format, word)
			}
		}
	}
	// The control.
	if a := s.asRoot("SELECT count() FROM cells FORMAT JSON"); !strings.Contains(a.text, "rows_read") || strings.Contains(a.text, `"rows_read": 12,`) {
		t.Errorf("the engine does not tell on its own: %s", a.text)
	}
}

// TestEveryStatementIsOnRecordFirst: P10.
func TestEveryStatementIsOnRecordFirst(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	const statement = "SELECT 'ada@example.org'"
	first := s.ask(credential, statement)
	again := s.do(s.request(http.MethodGet, credential, "", "query", statement))
	other := s.ask(credential, "SELECT 'bob@example.org'")
	refused := s.ask(credential, "EXPLAIN "+statement)
	wrong := s.ask(credential, "SELEC 1")
	if first.status != http.StatusOK || again.text != first.text || other.status != http.StatusOK || refused.status == http.StatusOK || wrong.status == http.StatusOK {
		t.Fatalf("statuses %d %d %d %d %d", first.status, again.status, other.status, refused.status, wrong.status)
	}
	seen := s.seen()
	if len(seen) != 5 {
		t.Fatalf("%d decisions are on record, want 5", len(seen))
	}
	for i, d := range seen {
		if d.Role != access.Analyst || d.Tenant != "acme" || d.Purpose != "usage statistics" || !d.Allowed || len(d.Statement.Hash) != 32 || d.Statement.Length == 0 {
			t.Errorf("decision %d: %+v", i, d)
		}
		if strings.Contains(fmt.Sprintf("%+v", d), "ada@") {
			t.Errorf("decision %d holds the text", i)
		}
	}
	if seen[0].Statement != seen[1].Statement || seen[0].Statement.Hash == seen[2].Statement.Hash || seen[0].Statement.Length != len(statement) {
		t.Errorf("the hashes are %v, %v, %v", seen[0].Statement, seen[1].Statement, seen[2].Statement)
	}
	if first.header.Get("Lethe-Statement") != seen[0].Statement.Hash {
		t.Error("the answer does not say under which hash it is on record")
	}

	s.record(errors.New("the log is full"))
	if a := s.ask(credential, statement); a.status != http.StatusServiceUnavailable || strings.Contains(a.text, "ada") {
		t.Errorf("unrecorded: %d %s", a.status, a.text)
	}
	s.record(nil)
	if a := s.ask(credential, statement); a.status != http.StatusOK {
		t.Errorf("recorded again: %d", a.status)
	}
}

// TestCredentialsArriveInEveryWayAClientSendsThem: P15.
func TestCredentialsArriveInEveryWayAClientSendsThem(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	two := s.credential(access.Principal{Scope: access.Scope{Purposes: []string{"billing", "planning"}}})
	for name, c := range map[string]struct {
		set    func(*http.Request)
		status int
	}{
		"none":              {func(*http.Request) {}, http.StatusUnauthorized},
		"basic":             {func(r *http.Request) { r.SetBasicAuth("default", credential) }, http.StatusOK},
		"bearer":            {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+credential) }, http.StatusOK},
		"headers":           {func(r *http.Request) { r.Header.Set("X-ClickHouse-Key", credential) }, http.StatusOK},
		"twice":             {func(r *http.Request) { r.SetBasicAuth("x", credential); r.Header.Set("X-ClickHouse-Key", credential) }, http.StatusOK},
		"two":               {func(r *http.Request) { r.SetBasicAuth("x", credential); r.Header.Set("X-ClickHouse-Key", two) }, http.StatusUnauthorized},
		"address":           {func(r *http.Request) { r.URL.RawQuery = "user=default&password=" + credential }, http.StatusUnauthorized},
		"wrong":             {func(r *http.Request) { r.SetBasicAuth("default", credential+"x") }, http.StatusUnauthorized},
		"engine user":       {func(r *http.Request) { r.SetBasicAuth(warehouse.UserSQL, "test-sql") }, http.StatusUnauthorized},
		"no purpose":        {func(r *http.Request) { r.SetBasicAuth("x", two) }, http.StatusForbidden},
		"purpose":           {func(r *http.Request) { r.SetBasicAuth("x", two); r.URL.RawQuery = "lethe_purpose=billing" }, http.StatusOK},
		"purpose in header": {func(r *http.Request) { r.SetBasicAuth("x", two); r.Header.Set(access.PurposeHeader, "planning") }, http.StatusOK},
		"another purpose":   {func(r *http.Request) { r.SetBasicAuth("x", two); r.URL.RawQuery = "lethe_purpose=fun" }, http.StatusForbidden},
		"two purposes": {func(r *http.Request) {
			r.SetBasicAuth("x", two)
			r.URL.RawQuery = "lethe_purpose=billing&lethe_purpose=planning"
		}, http.StatusForbidden},
		"publisher":          {func(r *http.Request) { r.SetBasicAuth("x", s.credential(access.Principal{Role: access.Publisher})) }, http.StatusForbidden},
		"officer":            {func(r *http.Request) { r.SetBasicAuth("x", s.credential(access.Principal{Role: access.Officer})) }, http.StatusOK},
		"limited to product": {func(r *http.Request) { r.SetBasicAuth("x", s.limited(access.Scope{Products: []string{"p"}})) }, http.StatusForbidden},
		"masked":             {func(r *http.Request) { r.SetBasicAuth("x", s.limited(access.Scope{Masked: []string{"path"}})) }, http.StatusForbidden},
		"other routes":       {func(r *http.Request) { r.SetBasicAuth("x", s.limited(access.Scope{Routes: []string{"GET /v1/stats"}})) }, http.StatusForbidden},
		"this route": {func(r *http.Request) {
			r.SetBasicAuth("x", s.limited(access.Scope{Routes: []string{"POST " + sqldoor.Path}}))
		}, http.StatusOK},
		"another network": {func(r *http.Request) {
			r.SetBasicAuth("x", s.limited(access.Scope{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}))
		}, http.StatusForbidden},
	} {
		r := s.request(http.MethodPost, "", "SELECT 1")
		c.set(r)
		if a := s.do(r); a.status != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.status, c.status, a.text)
		}
	}
	for _, d := range s.seen() {
		if d.Allowed && d.Statement.Hash == "" || !d.Allowed && d.Statement.Hash != "" {
			t.Errorf("on record: %+v", d)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+sqldoor.PingPath, nil)
	if a := s.do(r); a.text != "Ok.\n" {
		t.Errorf("a ping is answered %q", a.text)
	}
}

func (s *site) limited(scope access.Scope) string {
	return s.credential(access.Principal{Scope: scope})
}

func TestStatementsArriveInEveryWayAClientSendsThem(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	squeezed := func(encoding string) string {
		var b bytes.Buffer
		switch encoding {
		case "gzip":
			w := gzip.NewWriter(&b)
			_, _ = w.Write([]byte("SELECT 41 + 1"))
			_ = w.Close()
		case "zstd":
			w, _ := zstd.NewWriter(&b)
			_, _ = w.Write([]byte("SELECT 41 + 1"))
			_ = w.Close()
		}
		return b.String()
	}
	bomb := func() string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(bytes.Repeat([]byte(" "), 8<<20))
		_ = w.Close()
		return b.String()
	}()
	get, post := http.MethodGet, http.MethodPost
	for name, c := range map[string]struct {
		method, body string
		parameters   []string
		header       [2]string
		status       int
		text         string
	}{
		"body":               {post, "SELECT 41 + 1", nil, [2]string{}, 200, "42\n"},
		"address":            {get, "", []string{"query", "SELECT 41 + 1"}, [2]string{}, 200, "42\n"},
		"both":               {post, "+ 1", []string{"query", "SELECT 41"}, [2]string{}, 200, "42\n"},
		"gzip":               {post, squeezed("gzip"), nil, [2]string{"Content-Encoding", "gzip"}, 200, "42\n"},
		"zstd":               {post, squeezed("zstd"), nil, [2]string{"Content-Encoding", "zstd"}, 200, "42\n"},
		"bomb":               {post, bomb, nil, [2]string{"Content-Encoding", "gzip"}, 422, ""},
		"not gzip":           {post, "SELECT 1", nil, [2]string{"Content-Encoding", "gzip"}, 422, ""},
		"unknown":            {post, "SELECT 1", nil, [2]string{"Content-Encoding", "br"}, 422, ""},
		"empty":              {post, "", nil, [2]string{}, 422, ""},
		"long":               {post, "SELECT '" + strings.Repeat("x", 70<<10) + "'", nil, [2]string{}, 422, ""},
		"parts":              {post, "SELECT 1", nil, [2]string{"Content-Type", "multipart/form-data; boundary=x"}, 422, ""},
		"native compression": {post, "SELECT 1", []string{"decompress", "1"}, [2]string{}, 422, ""},
		"not UTF-8":          {post, "SELECT '\xff'", nil, [2]string{}, 422, ""},
		"parameter":          {post, "SELECT {n:UInt8} + 1", []string{"param_n", "41"}, [2]string{}, 200, "42\n"},
		"name":               {post, "SELECT count() FROM {t:Identifier}", []string{"param_t", "cells"}, [2]string{}, 200, "12\n"},
		"refused name":       {post, "SELECT arrayMap({f:Identifier}, ['x'])", []string{"param_f", "file"}, [2]string{}, 403, ""},
		"odd name":           {post, "SELECT arrayMap({f:Identifier}, ['x'])", []string{"param_f", `f\x69le`}, [2]string{}, 422, ""},
		"name left out":      {post, "SELECT * FROM {t:Identifier}", nil, [2]string{}, 422, ""},
		"format":             {post, "SELECT 42 AS x", []string{"default_format", "JSONEachRow"}, [2]string{}, 200, "{\"x\":42}\n"},
		"setting":            {post, "SELECT toInt64(42) AS x", []string{"default_format", "JSONEachRow", "output_format_json_quote_64bit_integers", "1"}, [2]string{}, 200, "{\"x\":\"42\"}\n"},
		"too much":           {post, "SELECT getSetting('max_execution_time')", []string{"max_execution_time", "600"}, [2]string{}, 200, "60\n"},
		"less":               {post, "SELECT getSetting('max_execution_time')", []string{"max_execution_time", "6"}, [2]string{}, 200, "6\n"},
		"syntax":             {post, "SELECT (", nil, [2]string{}, 400, "Code: 62. DB::Exception: Syntax error: failed at position 8"},
		"semicolon":          {post, "SELECT 42; -- done", nil, [2]string{}, 200, "42\n"},
		"quoted words":       {post, "SELECT 'it''s a file', 'EXPLAIN', $$sleep$$", nil, [2]string{}, 200, "it\\'s a file\tEXPLAIN\tsleep\n"},
	} {
		r := s.request(c.method, credential, c.body, c.parameters...)
		if c.header[0] != "" {
			r.Header.Set(c.header[0], c.header[1])
		}
		a := s.do(r)
		if a.status != c.status || !strings.HasPrefix(a.text, c.text) || strings.Contains(a.text, "formatQuery") {
			t.Errorf("%s: %d %.300q, want %d %q", name, a.status, a.text, c.status, c.text)
		}
		if a.status == http.StatusForbidden && a.header.Get("X-ClickHouse-Exception-Code") == "" {
			t.Errorf("%s: a client cannot tell what it is", name)
		}
	}
	r := s.request(post, credential, "SELECT 1", "query_id", "mine-1")
	if a := s.do(r); a.header.Get("X-ClickHouse-Query-Id") != "mine-1" {
		t.Errorf("the client's name of the query is %q", a.header.Get("X-ClickHouse-Query-Id"))
	}
	r = s.request(post, credential, "SELECT 1", "enable_http_compression", "1")
	r.Header.Set("Accept-Encoding", "zstd")
	if a := s.do(r); a.header.Get("Content-Encoding") != "zstd" {
		t.Errorf("the answer is compressed by %q", a.header.Get("Content-Encoding"))
	}
}

// TestTheTextOfAStatementIsWrittenNowhere: P1. The engine would log it when it
// fails.
func TestTheTextOfAStatementIsWrittenNowhere(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	const mark = "grace@example.org"
	for _, q := range []string{
		"SELECT throwIf(1, '" + mark + "')", "SELEC '" + mark + "'", "SELECT toUInt8('" + mark + "')", "SELECT * FROM `" + mark + "`",
		"EXPLAIN SELECT '" + mark + "'", "SELECT '" + mark + "' SETTINGS readonly = 0",
	} {
		if a := s.ask(credential, q); a.status == http.StatusOK {
			t.Errorf("%s ran", q)
		}
	}
	s.noFileHolds(mark)
}
