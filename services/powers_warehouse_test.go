package services_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// statement runs a statement as a service's user of the warehouse.
func (s *site) statement(user, password string) func(sql string) error {
	s.t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{s.addresses["clickhouse:9000"]},
		Auth: clickhouse.Auth{Username: user, Password: password},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return func(sql string) error { return conn.Exec(s.t.Context(), sql) }
}

// warehouseUsers is what each service was given for the warehouse.
var warehouseUsers = map[string]struct{ service, variable string }{
	warehouse.UserAdmin:     {"apply", "LETHE_CLICKHOUSE_PASSWORD"},
	warehouse.UserLoader:    {"loader", "LETHE_CLICKHOUSE_PASSWORD"},
	warehouse.UserRebuild:   {"loader", "LETHE_CLICKHOUSE_REBUILD_PASSWORD"},
	warehouse.UserRetention: {"retention", "LETHE_CLICKHOUSE_PASSWORD"},
	warehouse.UserAnalyst:   {"analyst", "LETHE_CLICKHOUSE_PASSWORD"},
	warehouse.UserVerify:    {"compliance", "LETHE_CLICKHOUSE_PASSWORD"},
	warehouse.UserHold:      {"compliance", "LETHE_CLICKHOUSE_HOLD_PASSWORD"},
	warehouse.UserCells:     {"loader", "LETHE_CLICKHOUSE_CELLS_PASSWORD"},
}

func TestTakenOverServiceTouchesNoTableBeyondItsOwn(t *testing.T) {
	const events = 100
	s := withEvents(t, events)
	s.takeOver()
	all := []string{"admin", "loader", "rebuild", "retention", "analyst", "verify", "hold", "cells"}
	readers := []string{"rebuild", "hold"}
	overseers := []string{"admin", "verify"}
	for _, d := range []struct {
		sql string
		may []string
	}{
		// The loader knows which events there are, and when they occurred;
		// retention, verify and the admin only when they came, occurred or end;
		// who cuts cells what metrics ask for, and the analyst cells alone.
		{"SELECT event_id FROM lethe.http_access WHERE identified", append(readers, "loader")},
		{"SELECT max(log_seq), max(occurred_at) FROM lethe.http_access", append(readers, "loader", "retention", "verify", "cells")},
		{"SELECT max(expires_at) FROM lethe.http_access", append(readers, "admin", "verify")},
		{"SELECT max(at) FROM lethe.clock", []string{"admin", "loader", "rebuild", "retention", "verify", "hold", "cells"}},
		{"SELECT count() FROM lethe.cell WHERE value > 0", []string{"rebuild", "analyst", "cells"}},
		{"INSERT INTO lethe.cell (tenant) SELECT 'x' WHERE 0", []string{"loader", "rebuild"}},

		{"SELECT count() FROM lethe_hold.http_access", []string{"verify", "hold"}},
		{"SELECT any(client_net) FROM lethe_hold.http_access", []string{"hold"}},
		{"INSERT INTO lethe_hold.http_access (tenant) SELECT 'x' WHERE 0", []string{"hold"}},
		{"ALTER TABLE lethe_hold.http_access DROP PARTITION ('2001-01-01', 'x')", []string{"retention"}},
		{"SELECT visitor FROM lethe.http_access", append(readers, "cells")},
		{"SELECT client_net FROM lethe.http_access", readers},
		{"SELECT * FROM lethe.http_access", readers},
		{"SELECT event_id FROM lethe.http_access WHERE path = '/'", append(readers, "cells")},
		{"SELECT event_id FROM lethe.http_access PREWHERE visitor != ''", append(readers, "cells")},
		{"SELECT any(account) FROM lethe.login", append(readers, "cells")},

		{"INSERT INTO lethe.http_access (tenant) SELECT 'x' WHERE 0", []string{"loader", "rebuild"}},
		{"INSERT INTO lethe.clock SELECT now64(3) WHERE 0", []string{"retention"}},
		{"ALTER TABLE lethe.http_access UPDATE path = '' WHERE 0", nil},
		{"ALTER TABLE lethe.http_access FREEZE", nil},
		{"ALTER TABLE lethe.http_access DELETE WHERE 0", []string{"retention"}},
		{"ALTER TABLE lethe.http_access DROP PARTITION '2001-01-01'", []string{"retention"}},
		{"ALTER TABLE lethe.http_access MODIFY TTL expiry_day + INTERVAL 9 YEAR", []string{"admin"}},
		{"ALTER TABLE lethe.http_access REMOVE TTL", []string{"admin"}},
		{"CREATE TABLE IF NOT EXISTS lethe.http_access (a String) ENGINE = MergeTree ORDER BY a", []string{"admin", "rebuild"}},
		{"TRUNCATE TABLE lethe.http_access", nil},
		{"DROP DATABASE lethe", nil},

		{"SELECT count() FROM system.parts", append(overseers, "retention", "hold")},
		{"SELECT count() FROM system.processes", overseers},
		{"SELECT count() FROM system.mutations", append(overseers, "retention")},
		{"SELECT count() FROM system.errors", overseers},
		{"SELECT count() FROM system.users", overseers},
		{"SELECT count() FROM system.grants", overseers},
		{"SYSTEM STOP MERGES lethe.http_access", nil},
		{"CREATE USER spy", nil},
		{"GRANT SELECT ON lethe.* TO analyst", nil},

		// Ways around the tables.
		{"SELECT * FROM file('/etc/hostname', 'RawBLOB')", nil},
		{"SELECT * FROM url('http://127.0.0.1:1/', 'RawBLOB')", nil},
		// loop() is left out: over a table without visible rows it never ends
		// for users whose time is not bounded.
		{"BACKUP DATABASE lethe TO File('spy')", nil},
	} {
		for _, user := range all {
			given := warehouseUsers[user]
			err := s.statement(user, s.setting(given.service, given.variable))(d.sql)
			switch may := slices.Contains(d.may, user); {
			case may && err != nil:
				t.Errorf("%s may not: %s: %v", user, d.sql, err)
			case !may && err == nil:
				t.Errorf("%s may: %s", user, d.sql)
			case !may && !refused(err):
				t.Errorf("%s: %s: not refused but failed: %v", user, d.sql, err)
			}
		}
	}

	t.Run("expired rows", func(t *testing.T) {
		count := "SELECT count() FROM lethe.http_access"
		sees := func(user string) uint64 {
			given := warehouseUsers[user]
			return s.rows(s.warehouse(user, given.service, given.variable), count)[0][0].(uint64)
		}
		if n := sees("cells"); n != events {
			t.Errorf("who cuts cells sees %d rows of %d that have not expired", n, events)
		}
		given := warehouseUsers[warehouse.UserRetention]
		if _, err := s.warehouse(warehouse.UserRetention, given.service, given.variable).Advance(t.Context(), time.Now().AddDate(0, 0, 31)); err != nil {
			t.Fatal(err)
		}
		if n := sees("cells"); n != 0 {
			t.Errorf("who cuts cells sees %d rows that have expired", n)
		}
		if n := sees("verify"); n != events {
			t.Errorf("%d rows are there of %d", n, events)
		}
	})
}

// refused says whether the engine answered that something is not allowed.
func refused(err error) bool {
	var e *clickhouse.Exception
	// ACCESS_DENIED, READONLY, FUNCTION_NOT_ALLOWED: there is no right to it.
	return errors.As(err, &e) && slices.Contains([]int32{497, 164, 446}, e.Code)
}

// A password is one user's, and the services without a warehouse have none.
// The server knows the hashes of passwords, so that hashes tell.
func TestTakenOverServiceIsNobodyElseInTheWarehouse(t *testing.T) {
	dir := t.TempDir()
	writeSecrets(t, dir)
	p, err := load(t.Context(), dir, composeText(t))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for name := range givens {
		for variable, value := range p.Services[name].Environment {
			if !strings.HasSuffix(variable, "_PASSWORD") {
				continue
			}
			sum := sha256.Sum256([]byte(*value))
			for user, given := range warehouseUsers {
				hash := p.Services["clickhouse"].Environment[warehouse.PasswordVariable(user)]
				is, may := hash != nil && *hash == hex.EncodeToString(sum[:]), given.service == name && given.variable == variable
				if is != may {
					t.Errorf("%s of %s makes one %s in the warehouse: %t", variable, name, user, is)
				}
				if is {
					found++
				}
			}
		}
	}
	if found != len(warehouseUsers) {
		t.Errorf("%d of %d users have somebody who works as them", found, len(warehouseUsers))
	}
	text, err := os.ReadFile(filepath.Join(root, "pipelines", "derived", "clickhouse-users.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `<default remove="remove"/>`) || strings.Contains(string(text), "no_password") {
		t.Error("one may log in to the warehouse without a password")
	}
}
