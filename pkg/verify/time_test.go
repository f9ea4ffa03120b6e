package verify_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

// P4 to P8: with retention off, time alone breaks the promises, and a run of it
// makes them hold again. That is the control of every day on which they hold.
func TestWithRetentionOffTimeBreaksThePromises(t *testing.T) {
	s := start(t)
	now := s.clock()
	s.store("http_access", now.AddDate(0, 0, -28), 3)
	s.store("http_access", now.AddDate(0, 0, -1), 2)
	s.store("app_log", now.AddDate(0, 0, -88), 1)
	s.store("activation", now.AddDate(0, -24, 2), 1)
	s.run()
	s.healthy("at first")

	s.pass(3 * time.Hour)
	expect(t, s.verify(), "P6", "retention", "retention has not finished a run since "+now.Format("2006-01-02 15:04 UTC")+", 3 hours ago")
	expect(t, s.verify(), "P8", "clock", "3 hours behind the wall clock: retention has not moved it since")

	r := s.verifyWith(func(c *verify.Config) {
		c.Stages = func(context.Context) ([]eventlog.StageStatus, error) {
			return []eventlog.StageStatus{{Stage: "retention", Numbers: map[string]float64{"last_ok": float64(s.clock().Unix()), "clock_held": 1}}}, nil
		}
	})
	expect(t, r, "P4", "clock", "retention takes that for a wrong clock")
	r = s.verifyWith(func(c *verify.Config) {
		c.Stages = func(context.Context) ([]eventlog.StageStatus, error) { return nil, nil }
	})
	expect(t, r, "P4", "retention", "retention does not run: it does not answer")
	r = s.verifyWith(func(c *verify.Config) { c.Now = func() time.Time { return now.Add(-26 * time.Hour) } })
	if !r.Holds || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Sentence, "26 hours ahead of the wall clock") || !r.Clock.Equal(now.Truncate(time.Millisecond)) {
		t.Errorf("when the wall clock is set back: %v, %v, %v", sentences(r), r.Notes, r.Clock)
	}

	s.pass(3*day - 3*time.Hour)
	r = s.verify() // hidden, and within the grace
	if slices.ContainsFunc(sentences(r), func(f string) bool { return strings.Contains(f, "should be gone") }) {
		t.Errorf("rows within the grace are said to be overdue:\n%s", strings.Join(sentences(r), "\n"))
	}
	if h := rule(t, r, "access", "table http_access"); h.Hidden != 3 || h.Overdue != 0 || h.Found != 5 {
		t.Errorf("of 5 rows, 3 of them past their rule, verify saw %+v", h)
	}
	s.pass(2 * day)
	r = s.verify()
	expect(t, r, "P4", "table http_access", "has 3 rows that should be gone: the rule of 30 days ended for the first on "+string(event.DayOf(now.AddDate(0, 0, 2))))
	expect(t, r, "P4", "keys of clean frames", "has 1 key of class access that should have been destroyed")
	expect(t, r, "P6", "table app_log", "has 1 row that should be gone: the rule of 90 days")
	expect(t, r, "P7", "table activation", "has 1 row that should be gone: the rule of 24 months")
	if h := rule(t, r, "access", "table http_access"); h.Hidden != 3 || h.Overdue != 3 || !h.Oldest.Equal(now.AddDate(0, 0, -28).Truncate(time.Millisecond)) {
		t.Errorf("of 5 rows, 3 of them past rule and grace, verify saw %+v", h)
	}
	if p := slices.IndexFunc(r.Promises, func(p verify.Promise) bool { return p.ID == "P3" }); !r.Promises[p].Holds {
		t.Error("what retention has nothing to do with is said to be broken")
	}

	s.run()
	r = s.healthy("after a run that came late")
	if h := rule(t, r, "access", "table http_access"); h.Found != 2 || h.Hidden != 0 {
		t.Errorf("after the run, verify saw %+v", h)
	}
}

func rule(t *testing.T, r verify.Report, class, where string) verify.Rule {
	t.Helper()
	for _, found := range r.Rules {
		if found.Class == class && found.Where == where {
			return found
		}
	}
	t.Fatalf("there is no rule of class %s at %s", class, where)
	return verify.Rule{}
}

// P4, P12, P18: what was set aside comes back after its rule has ended, and a
// destroyed key comes back from a copy.
func TestWhatComesBackAfterItsRuleIsFound(t *testing.T) {
	s := start(t)
	soon := s.store("http_access", s.clock().AddDate(0, 0, -28), 3)
	s.store("login", s.clock(), 1)
	s.run()
	s.healthy("at first")

	keyFile := filepath.Join(s.dir, "keys", "keys", "clean.access-30d."+string(soon)+".key")
	copied, err := os.ReadFile(keyFile)
	must(t, err)
	s.sql("ALTER TABLE lethe.http_access DETACH PARTITION '" + string(soon) + "'")
	s.pass(5 * day)
	s.run() // finds nothing to drop, destroys the key, and counts what is missing
	s.sql("ALTER TABLE lethe.http_access ATTACH PARTITION '" + string(soon) + "'")
	r := s.verify()
	expect(t, r, "P4", "table http_access", "has 3 rows that should be gone")
	expect(t, r, "P18", "table http_access", "does not add up. Table http_access, expiry day "+string(soon)+": 3 rows were there, 0 came in and 0 were removed on record; that leaves 3, and 0 are there.")

	must(t, os.WriteFile(keyFile, copied, 0o600))
	expect(t, s.verify(), "P12", "directory of the keyring", "holds the file of key clean/access-30d/"+string(soon)+", which was destroyed")

	// The copy brings the tombstone's absence too, and the keyring starts on it.
	must(t, s.keys.Close())
	s.remove("keys", "destroyed", "clean.access-30d."+string(soon))
	keys, err := keyring.Open(t.Context(), keyring.Config{
		Dir: filepath.Join(s.dir, "keys"), KEKFile: filepath.Join(s.dir, "kek.txt"), Log: s.config.Log, Now: s.clock,
	})
	must(t, err)
	t.Cleanup(func() { _ = keys.Close() })
	r = s.verifyWith(func(c *verify.Config) { c.Keys, c.Strays = keys.Retention().List, keys.Strays })
	expect(t, r, "P12", "key clean/access-30d/"+string(soon), "was destroyed on "+s.clock().Format("2006-01-02 15:04 UTC")+", as is on record, and is there again")
	expect(t, r, "P5", "keys of clean frames", "has 1 key of class access that should have been destroyed")
}

// P10: the record itself is held to what was signed, and to the stream.
func TestAChangedRecordIsFound(t *testing.T) {
	s := start(t)
	s.run()
	s.healthy("at first")
	for range 300 {
		must(t, s.record.Record(t.Context(), audit.KindKey, audit.Key{Verb: "create", Key: "raw/acme/2026-11-21T22"}))
	}
	s.settle()
	s.healthy("with a longer record")

	change := func(pattern string, to func([]byte) []byte, words string) {
		t.Helper()
		paths, err := filepath.Glob(filepath.Join(s.dir, "audit", "*", pattern))
		must(t, err)
		if len(paths) == 0 {
			t.Fatalf("there is no %s", pattern)
		}
		was, err := os.ReadFile(paths[0])
		must(t, err)
		must(t, os.WriteFile(paths[0], to(slices.Clone(was)), 0o600))
		expect(t, s.verify(), "P10", "audit log", words)
		must(t, os.WriteFile(paths[0], was, 0o600))
		s.healthy("when the record is put back")
	}
	change("tile/entries/000", func(b []byte) []byte { b[100] ^= 1; return b }, "somebody changed, cut short or removed files of it")
	change("tile/entries/001.p/*", func(b []byte) []byte { return b[:len(b)/2] }, "entries are torn")
	change("checkpoint", func(b []byte) []byte { return nil }, "is not what was signed")

	// Somebody empties the stream of what is in the tree already.
	stream, err := s.js.Stream(t.Context(), eventlog.AuditStream)
	must(t, err)
	must(t, stream.Purge(t.Context()))
	s.healthy("with a stream whose entries are all in the tree")

	state := func(change func(*eventlog.StreamState)) verify.Report {
		return s.verifyWith(func(c *verify.Config) {
			look := c.Streams
			c.Streams = func(ctx context.Context) ([]eventlog.Sight, error) {
				all, err := look(ctx)
				for i := range all {
					if all[i].Name == eventlog.AuditStream {
						change(&all[i].State)
					}
				}
				return all, err
			}
		})
	}
	r := state(func(st *eventlog.StreamState) { st.Last = 5 })
	expect(t, r, "P10", "audit log", "and the stream ends at 5: it was emptied or made anew")
	r = state(func(st *eventlog.StreamState) { st.Last += 5; st.LastAt = s.clock().Add(-time.Hour) })
	expect(t, r, "P10", "audit log", "has 5 entries not in the tree yet")

	must(t, s.record.Record(t.Context(), audit.KindPolicy, audit.Policy{Digest: "another"}))
	s.settle()
	expect(t, s.verify(), "P21", "policy", "is another, and this process works by")
}

// P21: what cannot be looked at is said, and the rest is looked at all the same.
func TestWhatCannotBeLookedAtIsAFinding(t *testing.T) {
	s := start(t)
	s.run()
	refused := errors.New("nobody knows why")
	r := s.verifyWith(func(c *verify.Config) {
		c.Keys = func(context.Context) ([]keyring.KeyInfo, error) { return nil, refused }
		c.Streams = func(context.Context) ([]eventlog.Sight, error) { return nil, refused }
		c.Holds = brokenHolds{}
	})
	for where, promise := range map[string]string{"keyring": "P1", "streams": "P18", "legal holds": "P21"} {
		expect(t, r, promise, where, "could not be looked at: the log of this process says why")
	}
	if strings.Contains(strings.Join(sentences(r), "\n"), refused.Error()) {
		t.Error("an error from below is in the report")
	}
	rule(t, r, "access", "table http_access")

	r = s.verifyWith(func(c *verify.Config) { c.EngineDir, c.Strays = "", nil })
	if !r.Holds {
		t.Errorf("what is out of reach broke a promise:\n%s", strings.Join(sentences(r), "\n"))
	}
	for _, where := range []string{"files of the engine", "directory of the keyring"} {
		if !slices.ContainsFunc(r.Looked, func(l verify.Look) bool { return l.Where == where && l.Not != "" }) {
			t.Errorf("the report does not say that it did not look at the %s", where)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := verify.New(s.config).Verify(ended); err == nil {
		t.Errorf("a verification that could not finish answers %+v", r)
	}
}

type brokenHolds struct{}

func (brokenHolds) List(context.Context) ([]hold.Hold, error) { return nil, errors.New("broken") }

// P4: without the engine's files, the engine's own word on FREEZE counts.
func TestAFreezeIsFoundWithoutTheFilesToo(t *testing.T) {
	s := start(t)
	s.store("http_access", s.clock(), 1)
	s.run()
	s.healthy("at first")
	s.sql("ALTER TABLE lethe.http_access FREEZE WITH NAME 'keepsake'")
	r := s.verifyWith(func(c *verify.Config) { c.EngineDir = "" })
	expect(t, r, "P4", "table http_access", "FREEZE made a copy of 1 part")
}
