package verify_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// P5, P6, P12, P16, P21: whatever somebody puts beside what Lethe and its engine
// keep is found, and said without its name.
func TestFilesThatNobodyListedAreFound(t *testing.T) {
	s := start(t)
	now := s.clock()
	s.store("http_access", now.AddDate(0, 0, -5), 4)
	s.file(29*day, "backups", "daily-29")
	s.file(89*day, "reports", "usage.html")
	s.run()
	s.healthy("before anything is done")

	// inTable is a place in the directory of a table that has rows.
	inTable := func(parts ...string) []string {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(s.engineDir, "data/store/*/*/*_1_1_0"))
		must(t, err)
		rel, err := filepath.Rel(s.dir, filepath.Dir(paths[0]))
		must(t, err)
		return append([]string{rel}, parts...)
	}
	part := func() string {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(s.engineDir, "data/store/*/*/*_1_1_0"))
		must(t, err)
		return filepath.Base(paths[0])
	}
	of := func(parts ...string) func(*site) { return func(s *site) { s.remove(parts...) } }
	const engine = "files of the engine"
	undergo(t, s, []deed{
		{
			"a backup is 31 days old",
			func(s *site) { s.file(31*day, "backups", "daily-31") },
			"P12", "folder backups", "has 1 entry of 2 that should have been removed: the rule is 30 days, and the oldest, number 2 by name and of 7 bytes, was made on " + string(event.DayOf(now.Add(-31*day))),
			func(s *site) { s.remove("backups", "daily-31") },
		},
		{
			"the engine made a backup 31 days ago",
			func(s *site) { s.file(31*day, "clickhouse", "backups", "full") },
			"P12", "folder engine backups", "the oldest, number 1 by name and of 7 bytes, was made on",
			func(s *site) { s.remove("clickhouse", "backups", "full") },
		},
		{
			"a report file is 91 days old, by its manifest",
			func(s *site) {
				s.file(day, "reports", "old.csv")
				s.file(day, "reports", "old.csv.manifest.json")
				must(t, os.WriteFile(filepath.Join(s.dir, "reports", "old.csv.manifest.json"),
					fmt.Appendf(nil, `{"created":%q}`, now.Add(-91*day).Format(time.RFC3339)), 0o600))
			},
			"P6", "folder reports", "the rule is 90 days, and the oldest, number 1 by name and of 7 bytes, was made on",
			func(s *site) { s.remove("reports", "old.csv"); s.remove("reports", "old.csv.manifest.json") },
		},
		{
			"a report names a person",
			func(s *site) { s.file(91*day, "reports", "ada@example.org.csv") },
			"P6", "folder reports", "the oldest, number 1 by name and of 7 bytes, was made on",
			func(s *site) { s.remove("reports", "ada@example.org.csv") },
		},
		{
			"a part is copied by hand",
			func(s *site) {
				paths, err := filepath.Glob(filepath.Join(s.engineDir, "data/store/*/*/*_1_1_0"))
				must(t, err)
				must(t, os.CopyFS(filepath.Join(filepath.Dir(paths[0]), "keepsake"), os.DirFS(paths[0])))
			},
			"P5", "files of the engine", "have 1 entry of no table and no part that the engine knows",
			func(s *site) {
				paths, err := filepath.Glob(filepath.Join(s.engineDir, "data/store/*/*/keepsake"))
				must(t, err)
				must(t, os.RemoveAll(paths[0]))
			},
		},
		{
			"a query wrote a file",
			func(s *site) { s.file(0, "clickhouse", "data", "user_files", "export.csv") },
			"P21", "files of the engine", "number 1 in data/user_files (7 bytes, of",
			func(s *site) { s.remove("clickhouse", "data", "user_files", "export.csv") },
		},
		{
			"an old report lies in a folder that is young",
			func(s *site) { s.file(91*day, "reports", "2026", "old.csv") },
			"P6", "folder reports", "has 1 entry of 2 that should have been removed: the rule is 90 days, and the oldest, number 1 by name and of 7 bytes",
			of("reports", "2026"),
		},
		{
			"an old file is put into a set that is young",
			func(s *site) {
				s.file(0, "backups", "full", "manifest.json")
				s.file(31*day, "backups", "full", "deep", "part")
			},
			"P12", "folder backups", "has 1 entry of 2 that should have been removed",
			of("backups", "full"),
		},
		{
			"a file lies beside the engine's",
			func(s *site) { s.file(0, "clickhouse", "dump") },
			"P5", engine, "number 4 in the directory itself (7 bytes, of ",
			of("clickhouse", "dump"),
		},
		{
			"a file lies where the engine would have its formats",
			func(s *site) { s.file(0, "clickhouse", "data", "format_schemas", "export.csv") },
			"P5", engine, "number 1 in data/format_schemas (7 bytes, of ",
			of("clickhouse", "data", "format_schemas"),
		},
		{
			"a file lies where the engine would have another disk",
			func(s *site) { s.file(0, "clickhouse", "data", "disks", "keepsake", "export.csv") },
			"P5", engine, "number 1 in data/disks",
			of("clickhouse", "data", "disks"),
		},
		{
			"a file lies among the engine's definitions",
			func(s *site) { s.file(0, "clickhouse", "data", "metadata", "export.csv") },
			"P5", engine, "in data/metadata (7 bytes, of ",
			of("clickhouse", "data", "metadata", "export.csv"),
		},
		{
			"a file lies with the engine's log",
			func(s *site) { s.file(0, "clickhouse", "log", "export.csv") },
			"P5", engine, "number 1 in log (7 bytes, of ",
			of("clickhouse", "log", "export.csv"),
		},
		{
			"a file lies with the audit log",
			func(s *site) { s.file(0, "audit", "export.csv") },
			"P5", "data directory", "in audit (7 bytes, of ",
			of("audit", "export.csv"),
		},
		{
			"a file lies among the tiles of the audit log",
			func(s *site) { s.file(0, "audit", fmt.Sprint(s.clock().Year()), "tile", "entries", "export.csv") },
			"P5", "data directory", fmt.Sprintf("in audit/%d/tile/entries (7 bytes, of ", now.Year()),
			of("audit", fmt.Sprint(now.Year()), "tile", "entries", "export.csv"),
		},
		{
			"a file lies among the engine's",
			func(s *site) { s.file(0, "clickhouse", "data", "dump") },
			"P5", engine, "in data (7 bytes, of ",
			of("clickhouse", "data", "dump"),
		},
		{
			"a file is kept among the engine's temporary ones",
			func(s *site) { s.file(2*time.Hour, "clickhouse", "data", "tmp", "dump") },
			"P5", engine, "number 1 in data/tmp (7 bytes, of ",
			of("clickhouse", "data", "tmp", "dump"),
		},
		{
			"the engine's memory is on disk",
			func(s *site) { s.file(0, "clickhouse", "data", "cores", "core.1") },
			"P5", engine, "number 1 in data/cores (7 bytes, of ",
			of("clickhouse", "data", "cores"),
		},
		{
			"a part is kept where parts move",
			func(s *site) {
				s.file(2*time.Hour, inTable("moving", "part", "data.bin")...)
				must(t, os.Chtimes(filepath.Join(append([]string{s.dir}, inTable("moving", "part")...)...), now, now.Add(-2*time.Hour)))
			},
			"P5", engine, "/moving (",
			func(s *site) { s.remove(inTable("moving")...) },
		},
		{
			"a file is kept where parts are set aside",
			func(s *site) { s.file(0, inTable("detached", "dump")...) },
			"P5", engine, "/detached (7 bytes, of ",
			func(s *site) { s.remove(inTable("detached", "dump")...) },
		},
		{
			"a file is put into a part that is read",
			func(s *site) { s.file(0, inTable(part(), "visitor.bin")...) },
			"P5", engine, "have a part with more files in it than the engine knows of",
			func(s *site) { s.remove(inTable(part(), "visitor.bin")...) },
		},
		{
			"the keys are copied beside themselves",
			func(s *site) {
				must(t, os.CopyFS(filepath.Join(s.dir, "keys-copy"), os.DirFS(filepath.Join(s.dir, "keys"))))
			},
			"P16", "data directory", "holds what looks like a keyring beside Lethe's own, number 6 in the directory itself (",
			of("keys-copy"),
		},
		{
			"the warehouse is copied beside itself",
			func(s *site) {
				s.file(0, "clickhouse-2", "data", "store", "abc", "data.bin")
			},
			"P5", "data directory", "holds what looks like a warehouse beside Lethe's own",
			of("clickhouse-2"),
		},
		{
			"the log is copied beside itself",
			func(s *site) { s.file(0, "nats-copy", "jetstream", "$G", "streams", "LETHE_RAW", "msgs", "1.blk") },
			"P5", "data directory", "holds what looks like a log beside Lethe's own",
			of("nats-copy"),
		},
		{
			"something is put into the data directory",
			func(s *site) { s.file(3*day, "export.csv") },
			"P21", "data directory", "has 1 entry that Lethe did not put there, copies perhaps, which no rule covers: number 4 in the directory itself (7 bytes, of " + string(event.DayOf(now.Add(-3*day))) + ")",
			of("export.csv"),
		},
	})
}

// P1: a name that somebody gave a file is in no sentence, whatever it looks
// like.
func TestNoNameOfAFileIsSaid(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock(), 1)
	s.run()
	names := []string{"192.0.2.17.log", "ada-lovelace.csv", "ada@example.org", "Ada Lovelace", "2026-05-01.csv"}
	for _, name := range names {
		for _, dir := range []string{"reports", "clickhouse", "clickhouse/data", "clickhouse/data/user_files", "clickhouse/data/tmp", "keys", "keys/keys", "."} {
			s.file(100*day, dir, name)
		}
		s.file(100*day, "backups", name, name)
		s.file(100*day, name+"-copy", "keys", "clean.key")
		s.file(100*day, "clickhouse/data/shadow", name, "data.bin")
		s.sql("CREATE DATABASE `"+name+"`", "CREATE TABLE `"+name+"`.`"+name+"` (a String) ENGINE = Memory")
	}
	r := s.verify()
	for _, where := range []string{"folder reports", "folder backups", "files of the engine", "directory of the keyring", "data directory"} {
		if !strings.Contains(strings.Join(sentences(r), "\n"), where+" | ") {
			t.Errorf("nothing is found at %s", where)
		}
	}
	text, err := json.Marshal(r)
	must(t, err)
	for _, name := range append(names, "lovelace", "192.0.2") {
		if strings.Contains(string(text), name) {
			t.Errorf("the report names %s", name)
		}
	}
}

// P6, P12: whoever touches a file does not make its life longer, once retention
// has seen it. The control is a verification that does not know what retention
// has seen.
func TestATouchedFileIsAsOldAsItWas(t *testing.T) {
	s := start(t)
	s.file(89*day, "reports", "usage.html")
	s.run()
	s.healthy("before it is touched")
	path := filepath.Join(s.dir, "reports", "usage.html")
	must(t, os.Chtimes(path, s.clock(), s.clock()))
	s.pass(2 * day)
	const words = "has 1 entry of 1 that should have been removed"
	expect(t, s.verify(), "P6", "folder reports", words)
	r := s.verifyWith(func(c *verify.Config) { c.Seen = nil })
	if all := strings.Join(sentences(r), "\n"); strings.Contains(all, words) {
		t.Errorf("the control: nobody knows how old it is, and verify says:\n%s", all)
	}
	s.run()
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("retention let a touched file be: %v", err)
	}
}

// P6: more files than one run of retention removes have the grace that rows
// have.
func TestThousandsOfFilesHaveTheGrace(t *testing.T) {
	s := start(t)
	s.run()
	const files = 1001
	for i := range files {
		s.file(91*day, "reports", fmt.Sprintf("usage-%d.html", i))
	}
	r := s.healthy("with more files due than one run removes")
	if f := rule(t, r, "report", "folder reports"); f.Hidden != files || f.Overdue != 0 {
		t.Errorf("of %d files, verify saw %+v", files, f)
	}
	// The control: one less is what a run should have removed.
	s.remove("reports", "usage-0.html")
	expect(t, s.verify(), "P6", "folder reports", "has 1000 entries of 1000 that should have been removed")
	s.file(91*day, "reports", "usage-0.html")
	s.pass(2 * day)
	expect(t, s.verify(), "P6", "folder reports", "has 1001 entries of 1001 that should have been removed")
}
