package services_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// P1, P4, P5, P6, P12, P18, P21: what is done behind the services' back is
// found, and is no finding any more when it is undone.
func TestSabotageOfTheServicesIsFoundByVerify(t *testing.T) {
	s := withEvents(t, 100)
	s.healthy("before anything is done")
	js, err := jetstream.New(s.connect("operator"))
	if err != nil {
		t.Fatal(err)
	}
	var day string
	var raw jetstream.StreamConfig
	const table = "lethe.http_access"
	for _, d := range []struct {
		name         string
		do           func(t *testing.T)
		where, words string
		undo         func(t *testing.T)
	}{
		{"the TTL is raised",
			func(*testing.T) {
				s.as("admin", "ALTER TABLE "+table+" MODIFY TTL expiry_day + toIntervalDay(300)")
			},
			"table http_access", `its TTL is "expiry_day + toIntervalDay(300)" and should be`,
			func(*testing.T) { s.apply() }},
		{"the TTL is removed",
			func(*testing.T) { s.as("admin", "ALTER TABLE "+table+" REMOVE TTL") },
			"table http_access", `it has no TTL and should have "expiry_day + toIntervalDay(3)"`,
			func(*testing.T) { s.apply() }},
		{"a partition is detached, and attached again",
			func(*testing.T) {
				day = s.rows(s.reader(), "SELECT toString(any(expiry_day)) FROM "+table)[0][0].(string)
				s.as("retention", "ALTER TABLE "+table+" DETACH PARTITION '"+day+"'")
			},
			"table http_access", "somebody set aside",
			func(*testing.T) { s.as("loader", "ALTER TABLE "+table+" ATTACH PARTITION '"+day+"'") }},
		{"a table is copied",
			func(*testing.T) {
				// Nowhere else can one of Lethe's users do so.
				s.as("rebuild", "CREATE DATABASE lethe_rebuild")
				s.as("rebuild", "CREATE TABLE lethe_rebuild.keepsake AS "+table)
				s.as("rebuild", "INSERT INTO lethe_rebuild.keepsake SELECT * FROM "+table)
			},
			"table lethe_rebuild.keepsake", "is not in the policy: a table of 100 rows",
			func(*testing.T) { s.as("rebuild", "DROP DATABASE lethe_rebuild SYNC") }},
		{"rows are moved to a later partition",
			func(*testing.T) {
				s.as("rebuild", "INSERT INTO "+table+" SELECT * REPLACE(toDate('2031-01-01') AS expiry_day) FROM "+table)
			},
			"table http_access", "has 100 rows in the partition of another day",
			func(*testing.T) { s.as("retention", "ALTER TABLE "+table+" DROP PARTITION '2031-01-01'") }},
		{"the max_age of a stream is raised",
			func(t *testing.T) {
				live, err := js.Stream(t.Context(), eventlog.RawStream)
				if err != nil {
					t.Fatal(err)
				}
				raw = live.CachedInfo().Config
				raised := raw
				raised.MaxAge *= 12
				if _, err := js.UpdateStream(t.Context(), raised); err != nil {
					t.Fatal(err)
				}
			},
			"stream LETHE_RAW", "max_age is 8640h0m0s and should be 720h0m0s",
			func(t *testing.T) {
				if _, err := js.UpdateStream(t.Context(), raw); err != nil {
					t.Fatal(err)
				}
			}},
		{"a stream of nobody's copies the raw log",
			func(t *testing.T) {
				if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEEPSAKE", Mirror: &jetstream.StreamSource{Name: eventlog.RawStream}}); err != nil {
					t.Fatal(err)
				}
			},
			"stream KEEPSAKE", "it copies LETHE_RAW, and what expires there stays here",
			func(t *testing.T) {
				if err := js.DeleteStream(t.Context(), "KEEPSAKE"); err != nil {
					t.Fatal(err)
				}
			}},
		{"retention is stopped",
			func(*testing.T) { s.processes["retention"].stop() },
			"retention", "retention does not run: it does not answer. What expires stays until it does",
			func(*testing.T) { s.start("retention") }},
	} {
		t.Run(d.name, func(t *testing.T) {
			s.t = t
			d.do(t)
			s.finds(d.where, d.words)
			d.undo(t)
			s.healthy("when it is undone")
		})
		s.t = t
	}
	for name, c := range map[string]struct {
		days   int
		folder string
		where  string
		rule   string
	}{
		"a report of day 91": {91, "reports", "folder reports", "the rule is 90 days"},
		"a backup of day 31": {31, "backups", "folder backups", "the rule is 30 days"},
		"keys of day 31":     {31, "key-backups", "folder key backups", "the rule is 30 days"},
	} {
		remove := s.old(c.days, "files", c.folder, "kept")
		s.finds(c.where, c.rule)
		remove()
		s.healthy(name + " is gone")
	}
	// None of Lethe's users may freeze a table: it takes another, who is found
	// too. The engine tells of a frozen part until it starts again.
	freeze := s.saboteur()
	s.finds("user saboteur", "is none of Lethe's and has 1 grant")
	if err := freeze("ALTER TABLE " + table + " FREEZE WITH NAME 'keepsake'"); err != nil {
		t.Fatal(err)
	}
	s.finds("table http_access", "FREEZE made a copy of")
	shadow, err := filepath.Glob(filepath.Join(s.dir, "clickhouse", "data", "shadow", "keepsake"))
	if err != nil || len(shadow) != 1 {
		t.Errorf("there is no copy that could be found: %v", err)
	}
	if _, err := os.Stat(s.volume("audit", "log", "key")); err != nil {
		t.Error("the audit log is not where the compose file puts it")
	}
}

// saboteur makes a user of the warehouse who may do everything, as whoever can
// write the server's files may, and runs statements as that user.
func (s *site) saboteur() func(sql string) error {
	s.t.Helper()
	const password = "may do everything"
	sum := sha256.Sum256([]byte(password))
	text := fmt.Sprintf(`<clickhouse><users><saboteur><password_sha256_hex>%x</password_sha256_hex>
<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants><query>GRANT ALL ON *.*</query></grants></saboteur></users></clickhouse>`, sum)
	if err := os.WriteFile(filepath.Join(s.dir, "clickhouse", "users.d", "saboteur.xml"), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	do := s.statement("saboteur", password)
	s.until("the server knows the user", func() bool { return do("SELECT 1") == nil })
	return do
}
