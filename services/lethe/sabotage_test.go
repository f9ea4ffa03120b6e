package main_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
)

// What somebody does behind the back of a running Lethe, or of one that is
// stopped, is found by `lethe verify`, which names it and ends with 3, and is
// forgotten when it is undone. That every kind of deed is found is pkg/verify's
// to prove; here it is the program, on the directory that people have.

// P5, P6, P10, P12, P16, P21: the controls are that everything holds before the
// first deed, and again when each is undone.
func TestSabotageOfARunningLetheIsFoundByVerify(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Publish(accessesAt(t, 20, time.Now().Add(-aDay))).check(t, 20, 20, 0, nil)
	r.put("reports", 89*aDay, "usage.csv")
	r.put("backups", 29*aDay, "daily/part")
	r.Settle()
	r.healthy("before anything is done")

	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	for _, d := range []struct {
		name                  string
		promise, where, words string
		do                    func(found func())
	}{
		{"a report is 91 days old", "P6", "folder reports", "has 1 entry of 2 that should have been removed: the rule is 90 days, and the oldest, number 1 by name and of 7 bytes, was made on " + string(event.DayOf(time.Now().Add(-91*aDay))), func(found func()) {
			r.put("reports", 91*aDay, "old.csv")
			found()
			r.remove("reports", "old.csv")
		}},
		{"an old report lies in a young folder", "P6", "folder reports", "has 1 entry of 2 that should have been removed: the rule is 90 days, and the oldest, number 1 by name and of 7 bytes", func(found func()) {
			r.put("reports/2026", 91*aDay, "old.csv")
			found()
			r.remove("reports", "2026")
		}},
		{"the keys are copied beside themselves", "P16", "data directory", "holds what looks like a keyring beside Lethe's own", func(found func()) {
			if err := copyTree(filepath.Join(r.Data, "keys-copy"), filepath.Join(r.Data, "keys")); err != nil {
				t.Fatal(err)
			}
			found()
			r.remove("keys-copy")
		}},
		{"something is kept in the data directory", "P21", "data directory", "has 1 entry that Lethe did not put there, copies perhaps", func(found func()) {
			r.put(".", 0, "export.csv")
			found()
			r.remove("export.csv")
		}},
		{"a copy lies among the streams", "P21", "data directory", "in nats/jetstream", func(found func()) {
			r.put("nats/jetstream/$G/streams/LETHE_RAW/msgs", 0, "export.csv")
			found()
			r.remove("nats", "jetstream", "$G", "streams", "LETHE_RAW", "msgs", "export.csv")
		}},
		{"a backup is 31 days old", "P12", "folder backups", "the rule is 30 days, and the oldest, number 2 by name and of 7 bytes, was made on", func(found func()) {
			r.put("backups", 31*aDay, "monthly/part")
			found()
			r.remove("backups", "monthly")
		}},
		{"a copy of the keys is 31 days old", "P12", "folder key backups", "the rule is 30 days, and the oldest, number 1 by name and of 7 bytes, was made on", func(found func()) {
			r.put("key-backups", 31*aDay, "keys.tar")
			found()
			r.remove("key-backups")
		}},
		{"a table was frozen", "P5", "files of the engine", "shadow/keepsake is a copy that FREEZE made, of 1 file", func(found func()) {
			r.put("clickhouse/data/shadow", 0, "keepsake/store/part/data.bin")
			found()
			r.remove("clickhouse", "data", "shadow", "keepsake")
		}},
		{"a part was copied", "P5", "files of the engine", "have 1 entry of no table and no part that the engine knows, copies perhaps", func(found func()) {
			part := filepath.Dir(r.file("clickhouse/data/store/*/*/*/data.bin"))
			kept := filepath.Join(filepath.Dir(part), "keepsake")
			if err := copyTree(kept, part); err != nil {
				t.Fatal(err)
			}
			found()
			if err := os.RemoveAll(kept); err != nil {
				t.Fatal(err)
			}
		}},
		{"a query wrote a file", "P21", "files of the engine", "number 1 in data/user_files (7 bytes, of ", func(found func()) {
			r.put("clickhouse/data/user_files", 0, "export.csv")
			found()
			r.remove("clickhouse", "data", "user_files", "export.csv")
		}},
		{"a key was copied", "P16", "directory of the keyring", "holds 1 file in keys that no keyring has, copies of keys perhaps", func(found func()) {
			b, err := os.ReadFile(r.file("keys/keys/clean.*.key"))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, filepath.Join(r.Data, "keys", "keys"), "clean.keepsake", string(b))
			found()
			r.remove("keys", "keys", "clean.keepsake")
		}},
		{"a key was taken away", "P16", "directory of the keyring", "lacks the file of key clean/", func(found func()) {
			key := r.file("keys/keys/clean.access-30d.*.key")
			if err := os.Rename(key, key+".away"); err != nil {
				t.Fatal(err)
			}
			found()
			if err := os.Rename(key+".away", key); err != nil {
				t.Fatal(err)
			}
		}},
		{"a kept checkpoint was changed", "P10", "audit log", "somebody changed, cut short or removed files of it", func(found func()) {
			within(t, r.file("audit/*/checkpoints/*"), flip, found)
		}},
	} {
		t.Run(d.name, func(t *testing.T) {
			r.t = t
			d.do(func() { r.finds(d.promise, d.where, d.words) })
			r.healthy("when it is undone")
		})
		r.t = t
	}
}

// P5, P12, P21: what is done while Lethe is stopped is found when it runs
// again, but for what its start puts right.
func TestSabotageOfAStoppedLetheIsFoundByVerify(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Publish(accessesAt(t, 20, time.Now().Add(-aDay))).check(t, 20, 20, 0, nil)
	r.Settle()
	hold := r.hold("case-3", 20)
	r.healthy("before anything is done")
	restart := func(do func()) {
		r.Stop()
		do()
		r.Start()
	}
	streams := func(do func(js jetstream.JetStream) error) {
		r.logAlone(t, func(t *testing.T, js jetstream.JetStream) {
			if err := do(js); err != nil {
				t.Fatal(err)
			}
		})
	}
	restart(func() {
		r.sql("CREATE TABLE lethe.keepsake ENGINE = MergeTree ORDER BY event_id AS SELECT event_id, expires_at FROM lethe.http_access",
			"ALTER TABLE lethe.http_access MODIFY TTL expiry_day + toIntervalDay(300)")
		streams(func(js jetstream.JetStream) error {
			live, err := js.Stream(t.Context(), eventlog.RawStream)
			if err != nil {
				return err
			}
			raised := live.CachedInfo().Config
			raised.MaxAge *= 12
			_, err = js.UpdateStream(t.Context(), raised)
			if err == nil {
				_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEEPSAKE", Mirror: &jetstream.StreamSource{Name: eventlog.RawStream}})
			}
			return err
		})
	})
	r.finds("P21", "table keepsake", "is not in the policy: a table of 20 rows")
	r.finds("P1", "stream KEEPSAKE", "is not in the policy: no rule covers it")
	text, _ := r.verified()
	for _, settled := range []string{"max_age", "TTL"} {
		if strings.Contains(text, settled) {
			t.Errorf("its start did not put the %s right:\n%s", settled, text)
		}
	}
	restart(func() {
		r.sql("DROP TABLE lethe.keepsake SYNC")
		streams(func(js jetstream.JetStream) error { return js.DeleteStream(t.Context(), "KEEPSAKE") })
	})
	r.healthy("when it is undone")

	// A key that is destroyed, and comes back from a copy.
	keys := filepath.Join(r.Data, "keys")
	old := filepath.Join(t.TempDir(), "keys")
	key := r.file("keys/keys/clean.hold-*.key")
	name := filepath.Base(key)
	restart(func() {
		if err := copyTree(old, keys); err != nil {
			t.Fatal(err)
		}
	})
	r.Run("hold", "release", hold.ID)
	restart(func() {})
	r.ended(hold.ID)
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("the key of a hold that has ended is there: %v", err)
	}
	r.healthy("when a key is destroyed")
	b, err := os.ReadFile(filepath.Join(old, "keys", name))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(keys, "keys"), name, string(b))
	r.finds("P12", "directory of the keyring", "which was destroyed: it was put back from a copy")
	restart(func() {})
	r.healthy("when the keyring has finished what it began")
	if _, err := os.Stat(key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a destroyed key survived the start of the keyring: %v", err)
	}
	// With the whole of an old keyring put back nothing but the record knows,
	// and the next run of retention.
	restart(func() { replace(t, keys, old) })
	r.until("the returned key is destroyed again", func() bool {
		_, err := os.Stat(key)
		return errors.Is(err, fs.ErrNotExist)
	})
	r.healthy("when the returned key is destroyed again")
	if n := strings.Count(r.Run("audit", "list", "--kind", "key", "--limit", "1000"), "destroy clean/hold-"); n != 2 {
		t.Errorf("%d destructions of the key are on record, want 2", n)
	}

	// Rows that somebody writes stay a finding when they are taken away again:
	// they are on record.
	restart(func() { r.sql("INSERT INTO lethe.http_access SELECT * FROM lethe.http_access LIMIT 3") })
	r.finds("P18", "table http_access", "that leaves 20, and 23 are there")
	evidence := filepath.Join(t.TempDir(), "evidence.json")
	if _, _, err := r.Try("verify", "--evidence", evidence); status(t, err) != 3 {
		t.Errorf("lethe verify --evidence ends with %d", status(t, err))
	}
	out, _, err := r.Try("audit", "verify", evidence)
	if status(t, err) != 3 || !strings.Contains(out, "This evidence is intact, and it shows") {
		t.Errorf("evidence of rows that do not add up is taken with %d:\n%s", status(t, err), out)
	}
}
