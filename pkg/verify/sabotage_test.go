package verify_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// deed is one thing that somebody does behind Lethe's back.
type deed struct {
	name string
	do   func(*site)
	// promise, where and words are of a finding that has to be there.
	promise, where, words string
	undo                  func(*site)
}

const day = 24 * time.Hour

// P4 to P8, P12, P15, P18, P21: whatever is done to the system behind Lethe's
// back is found and named, and when it is undone everything holds again. The
// control is that before the first deed, and after each is undone, verify finds
// nothing at all.
func TestWhatIsDoneBehindLethesBackIsFoundAndNamed(t *testing.T) {
	s := start(t)
	now := s.clock()
	soon := s.store("http_access", now.AddDate(0, 0, -25), 3)
	s.store("http_access", now.AddDate(0, 0, -5), 4)
	s.store("activation", now.AddDate(0, -23, 0), 2)
	s.store("activation_lasting", now.AddDate(0, -23, 0).Truncate(time.Hour), 2)
	s.store("login", now.AddDate(0, -1, 0), 2)
	s.file(29*day, "backups", "daily-29")
	s.file(89*day, "reports", "usage.html")
	s.run()
	s.healthy("before anything is done")

	later := func(expires string) string {
		return "INSERT INTO lethe.http_access SELECT * REPLACE(" + expires + ") FROM lethe.http_access WHERE occurred_at < now() - INTERVAL 20 DAY"
	}
	dropped := func(s *site) { s.sql("ALTER TABLE lethe.http_access DROP PARTITION '2027-07-01'") }
	var stream jetstream.StreamConfig
	undergo(t, s, []deed{
		{
			"the TTL of a table is raised",
			func(s *site) { s.sql("ALTER TABLE lethe.http_access MODIFY TTL expiry_day + toIntervalDay(300)") },
			"P4", "table http_access", `its TTL is "expiry_day + toIntervalDay(300)" and should be "expiry_day + toIntervalDay(3)"`,
			func(s *site) { s.sql("ALTER TABLE lethe.http_access MODIFY TTL expiry_day + toIntervalDay(3)") },
		},
		{
			"the TTL of a table is removed",
			func(s *site) { s.sql("ALTER TABLE lethe.login REMOVE TTL") },
			"P8", "table login", `it has no TTL and should have "expiry_day + toIntervalDay(3)"`,
			func(s *site) { s.sql("ALTER TABLE lethe.login MODIFY TTL expiry_day + toIntervalDay(3)") },
		},
		{
			"a partition is detached",
			func(s *site) {
				s.sql(fmt.Sprintf("ALTER TABLE lethe.http_access DETACH PARTITION '%s'", soon))
			},
			"P4", "table http_access", fmt.Sprintf("somebody set aside 1 part of the days %s to %[1]s", soon),
			func(s *site) {
				s.sql(fmt.Sprintf("ALTER TABLE lethe.http_access ATTACH PARTITION '%s'", soon))
			},
		},
		{
			"a table is frozen",
			func(s *site) { s.sql("ALTER TABLE lethe.activation FREEZE WITH NAME 'keepsake'") },
			"P5", "files of the engine", "shadow/keepsake is a copy that FREEZE made",
			func(s *site) { s.sql("ALTER TABLE lethe.activation UNFREEZE WITH NAME 'keepsake'") },
		},
		{
			"a table is copied beside the others",
			func(s *site) {
				s.sql("CREATE TABLE lethe.keepsake AS lethe.http_access", "INSERT INTO lethe.keepsake SELECT * FROM lethe.http_access")
			},
			"P21", "table keepsake", "is not in the policy: a table of 7 rows",
			func(s *site) { s.sql("DROP TABLE lethe.keepsake SYNC") },
		},
		{
			"a table is copied to a database of its own",
			func(s *site) {
				s.sql("CREATE DATABASE elsewhere", "CREATE TABLE elsewhere.mine ENGINE = Memory AS SELECT event_id FROM lethe.login")
			},
			"P5", "table elsewhere.mine", "is not in the policy: a table of 2 rows",
			func(s *site) { s.sql("DROP DATABASE elsewhere SYNC") },
		},
		{
			"a view keeps a copy of what comes",
			func(s *site) {
				s.sql("CREATE MATERIALIZED VIEW lethe.mirror ENGINE = MergeTree ORDER BY event_id AS SELECT event_id FROM lethe.login")
			},
			"P21", "table mirror", "a view that keeps a copy",
			func(s *site) { s.sql("DROP VIEW lethe.mirror SYNC") },
		},
		{
			"a table gets a projection",
			func(s *site) {
				s.sql("ALTER TABLE lethe.login ADD PROJECTION again (SELECT event_id ORDER BY occurred_at)")
			},
			"P8", "table login", "has 1 projection",
			func(s *site) { s.sql("ALTER TABLE lethe.login DROP PROJECTION again") },
		},
		{
			"rows are moved to the partition of a later day",
			func(s *site) { s.sql(later("toDate('2027-07-01') AS expiry_day")) },
			"P4", "table http_access", "has 3 rows in the partition of another day",
			dropped,
		},
		{
			"rows are moved to a later partition with their deadline",
			func(s *site) {
				s.sql(later("toDate('2027-07-01') AS expiry_day, toDateTime64('2027-07-01 01:00:00', 3, 'UTC') AS expires_at"))
			},
			"P4", "table http_access", "has 3 rows that expire later than any rule they can have come under (30 days after they happened)",
			dropped,
		},
		{
			"rows are added by hand",
			func(s *site) { s.sql(strings.Replace(later(""), " REPLACE()", "", 1)) },
			"P18", "table http_access", "has 3 rows of the days " + string(soon) + " that the last manifest did not count",
			func(s *site) {
				// The copies are equal to the rows, and only one of each stays.
				s.sql(fmt.Sprintf("OPTIMIZE TABLE lethe.http_access PARTITION '%s' FINAL DEDUPLICATE", soon))
			},
		},
		{
			"rows are added that came in no frame",
			func(s *site) { s.sql(later("toUInt64(999999) AS log_seq")) },
			"P18", "table http_access", "has 3 rows of frames up to sequence 999999, and the clean log ends at ",
			func(s *site) {
				s.sql("ALTER TABLE lethe.http_access DELETE WHERE log_seq = 999999 SETTINGS mutations_sync = 2")
			},
		},
		{
			"rows are dated in the future",
			func(s *site) {
				s.sql("INSERT INTO lethe.http_access SELECT * REPLACE(now64(3) + INTERVAL 10 MINUTE AS occurred_at) FROM (SELECT * FROM lethe.http_access WHERE occurred_at < now() - INTERVAL 20 DAY)")
			},
			"P4", "table http_access", "has 3 rows that happened in the future",
			func(s *site) {
				s.sql("ALTER TABLE lethe.http_access DELETE WHERE occurred_at > now() SETTINGS mutations_sync = 2")
			},
		},
		{
			"a copy is kept where a rebuild would make one",
			func(s *site) {
				s.sql("CREATE DATABASE lethe_rebuild", "CREATE TABLE lethe_rebuild.http_access AS lethe.http_access",
					"INSERT INTO lethe_rebuild.http_access SELECT * FROM lethe.http_access")
			},
			"P21", "database lethe_rebuild", "holds a copy of tables, with 7 rows",
			func(s *site) { s.sql("DROP DATABASE lethe_rebuild SYNC") },
		},
		{
			"a copy is kept in a table whose engine does not count",
			func(s *site) { s.sql("CREATE TABLE lethe.tiny ENGINE = TinyLog AS SELECT event_id FROM lethe.login") },
			"P5", "table tiny", "is not in the policy: a table of rows that the engine has not counted (",
			func(s *site) { s.sql("DROP TABLE lethe.tiny SYNC") },
		},
		{
			"the max_age of a stream is raised",
			func(s *site) {
				live, err := s.js.Stream(t.Context(), eventlog.RawStream)
				must(t, err)
				stream = live.CachedInfo().Config
				raised := stream
				raised.MaxAge *= 12
				_, err = s.js.UpdateStream(t.Context(), raised)
				must(t, err)
			},
			"P1", "stream LETHE_RAW", "max_age is 8640h0m0s and should be 720h0m0s",
			func(s *site) {
				_, err := s.js.UpdateStream(t.Context(), stream)
				must(t, err)
			},
		},
		{
			"a stream of nobody's copies the raw log",
			func(s *site) {
				_, err := s.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEEPSAKE", Mirror: &jetstream.StreamSource{Name: eventlog.RawStream}})
				must(t, err)
			},
			"P1", "stream KEEPSAKE", "it copies LETHE_RAW, and what expires there stays here",
			func(s *site) { must(t, s.js.DeleteStream(t.Context(), "KEEPSAKE")) },
		},
		{
			"somebody reads the clean log along",
			func(s *site) {
				_, err := s.js.CreateConsumer(t.Context(), eventlog.CleanStream, jetstream.ConsumerConfig{Durable: "along"})
				must(t, err)
			},
			"P21", "stream LETHE_CLEAN", "consumer along of stream LETHE_CLEAN is none of Lethe's",
			func(s *site) { must(t, s.js.DeleteConsumer(t.Context(), eventlog.CleanStream, "along")) },
		},
		{
			"a deletion cannot be done",
			func(s *site) {
				s.sql("ALTER TABLE lethe.login DELETE WHERE throwIf(length(service) > 0) = 1 SETTINGS mutations_sync = 0")
				for deadline := time.Now().Add(20 * time.Second); ; {
					all, err := s.config.Warehouse.LookMutations(t.Context())
					must(t, err)
					if len(all) == 1 && all[0].Failed {
						break
					}
					if time.Now().After(deadline) {
						t.Fatalf("the deletion does not fail: %+v", all)
					}
				}
			},
			"P8", "table login", "a deletion that was asked for 0 minutes ago fails: 1 part still to do",
			func(s *site) { s.sql("KILL MUTATION WHERE table = 'login' SYNC") },
		},
		{
			"a key is copied within the keyring",
			func(s *site) { s.copyKey(soon, "clean.copy") },
			"P16", "directory of the keyring", "holds 1 file in keys that no keyring has, copies of keys perhaps",
			func(s *site) { s.remove("keys", "keys", "clean.copy") },
		},
	})
}

// undergo does deeds, one after the other, and undoes each. Between them verify
// finds nothing.
func undergo(t *testing.T, s *site, deeds []deed) {
	for _, d := range deeds {
		t.Run(d.name, func(t *testing.T) {
			defer func(outer testing.TB) { s.t = outer }(s.t)
			s.t = t
			d.do(s)
			r := s.verify()
			if r.Holds {
				t.Error("verify says that every promise holds")
			}
			expect(t, r, d.promise, d.where, d.words)
			d.undo(s)
			s.healthy("when it is undone")
		})
	}
}

// expect looks for a finding.
func expect(t *testing.T, r verify.Report, promise, where, words string) {
	t.Helper()
	for _, p := range r.Promises {
		for _, f := range p.Findings {
			if p.ID == promise && f.Where == where && strings.Contains(f.Sentence, words) {
				if p.Holds {
					t.Errorf("%s is broken and holds", p.ID)
				}
				return
			}
		}
	}
	t.Errorf("verify does not say %q of %s for %s, but:\n%s", words, where, promise, strings.Join(sentences(r), "\n"))
}

// copyKey copies the key file of an expiry day of the class access.
func (s *site) copyKey(of event.Day, to string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "keys", "keys", "clean.access-30d."+string(of)+".key"))
	must(s.t, err)
	must(s.t, os.WriteFile(filepath.Join(s.dir, "keys", "keys", to), b, 0o600))
}
