package sqldoor_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/sqldoor"
)

// TestClickHousesClientForNodeWorksUnmodified, and gets what is allowed.
func TestClickHousesClientForNodeWorksUnmodified(t *testing.T) {
	installed, err := exec.CommandContext(t.Context(), "client/install").Output()
	if err != nil {
		if os.Getenv("CI") != "" || strings.Contains(os.Getenv("LETHE_TEST_REQUIRE"), "node") {
			t.Fatal(err)
		}
		t.Skip("not tested with the client for Node.js: client/install cannot get it")
	}
	s := newSite(t)
	asked, err := json.Marshal(map[string]string{
		"url": s.url, "pathname": sqldoor.Path, "credential": s.credential(access.Principal{}), "modules": strings.TrimSpace(string(installed)),
	})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(t.Context(), "node", "client/client.mjs")
	node.Stdin = strings.NewReader(string(asked))
	var problems strings.Builder
	node.Stderr = &problems
	text, err := node.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, problems.String())
	}
	var said map[string]any
	if err := json.Unmarshal(text, &said); err != nil {
		t.Fatal(err)
	}
	denied := map[string]any{"code": "497", "type": "ACCESS_DENIED"}
	want := map[string]any{
		"ping": true, "ping with a query": true,
		"rows": []any{
			map[string]any{"status": "200", "path": "/acme-shop", "value": float64(100)},
			map[string]any{"status": nil, "path": nil, "value": float64(101)},
			map[string]any{"status": nil, "path": nil, "value": float64(102)},
		},
		"settings": []any{map[string]any{"n": float64(906)}},
		"json":     map[string]any{"rows": float64(12), "statistics": nil},
		"stream":   float64(100000),
		"schema": []any{
			map[string]any{"name": "service", "type": "LowCardinality(String)"},
			map[string]any{"name": "day", "type": "Nullable(Date)"},
		},
		"tenants": denied, "file": denied, "explain": denied, "insert": denied, "command": denied,
		"session": float64(1), "bearer": float64(1),
		"wrong": map[string]any{"code": "", "type": ""},
	}
	if d := cmp.Diff(want, said); d != "" {
		t.Error(d)
	}
}

// TestClickHousesClientForGoWorksUnmodified over HTTP, compressed or not.
func TestClickHousesClientForGoWorksUnmodified(t *testing.T) {
	s := newSite(t)
	credential := s.credential(access.Principal{})
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP, clickhouse.CompressionBrotli,
	} {
		conn, err := clickhouse.Open(&clickhouse.Options{
			Protocol: clickhouse.HTTP, Addr: []string{at.Host}, HttpUrlPath: sqldoor.Path,
			Auth:        clickhouse.Auth{Database: "stats", Username: "lethe", Password: credential},
			Compression: &clickhouse.Compression{Method: method},
			Settings:    clickhouse.Settings{"max_execution_time": 30},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := conn.Ping(ctx); err != nil {
			t.Errorf("%s: ping: %v", method, err)
		}
		var got []struct {
			Day    *time.Time `ch:"day"`
			Status *string    `ch:"status"`
			Value  int64      `ch:"value"`
		}
		err = conn.Select(ctx, &got, "SELECT day, status, value FROM requests WHERE service = {service:String} ORDER BY value",
			clickhouse.Named("service", "api"))
		if err != nil || len(got) != 3 || got[0].Value != 200 || *got[0].Status != "200" || got[1].Status != nil || got[2].Day != nil {
			t.Errorf("%s: %v, %d rows", method, err, len(got))
		}
		var n uint64
		if err := conn.QueryRow(ctx, "SELECT count() FROM numbers(200000) WHERE number != ?", 7).Scan(&n); err != nil || n != 199_999 {
			t.Errorf("%s: %d, %v", method, n, err)
		}
		for _, statement := range []string{"SELECT tenant FROM lethe.cell", "SELECT file('/etc/hostname')", "EXPLAIN ESTIMATE SELECT * FROM cells"} {
			var e *clickhouse.Exception
			err := conn.QueryRow(ctx, statement).Err()
			if err == nil || errors.As(err, &e) && e.Code != 497 || !strings.Contains(err.Error(), "ACCESS_DENIED") {
				t.Errorf("%s: %s: %v", method, statement, err)
			}
		}
		for _, statement := range []string{"DROP VIEW stats.requests", "INSERT INTO stats.requests (value) VALUES (1)"} {
			if err := conn.Exec(ctx, statement); err == nil {
				t.Errorf("%s: %s was done", method, statement)
			}
		}
	}
}
