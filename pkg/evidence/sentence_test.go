package evidence_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

var update = flag.Bool("update", false, "write what is found as what is expected")

// A wrong is a Lethe that breaks its word, or an officer's question that cannot
// be answered, and what the check must say of it.
type wrong struct {
	name string
	days int
	do   func(w *world) // before the first day
	then func(w *world) // after the last
	ask  evidence.Request
	want string // in a problem; empty where there must be none
}

var wrongs = []wrong{
	{name: "all is well", days: 40},
	{name: "a Lethe of an hour", days: 0},
	{name: "days without a run", days: 40, want: "no retention run is on record",
		do: func(w *world) {
			w.skip = func(day event.Day) bool {
				return day == "2026-03-20" || day == "2026-03-21" || day == "2026-04-01"
			}
		}},
	{name: "retention never ran", days: 3, want: "No retention run is on record",
		do: func(w *world) { w.skip = func(event.Day) bool { return true } }},
	{name: "retention stopped", days: 40, want: "past rule and grace, and not on record as confirmed gone",
		do: func(w *world) { w.skip = func(day event.Day) bool { return day > "2026-03-30" } }},
	{name: "a partition is left", days: 40, want: "http_access 2026-04-02",
		do: func(w *world) { w.keep = func(p cell) bool { return p == cell{"http_access", "2026-04-02"} } }},
	{name: "a partition goes late", days: 40, want: "confirmed gone only later than 24 hours",
		do: func(w *world) {
			w.keep = func(p cell) bool {
				return p == cell{"http_access", "2026-04-02"} && w.now.Before(time.Date(2026, 4, 6, 0, 0, 0, 0, time.UTC))
			}
		}},
	{name: "a key is left", days: 40, want: "No destruction is on record of 1 key", ask: evidence.Request{All: true},
		do: func(w *world) { w.forget = func(key string) bool { return key == "clean/access-30d/2026-04-02" } }},
	{name: "a raw key is left", days: 40, want: "raw/acme/2026-03-02T08", ask: evidence.Request{All: true},
		do: func(w *world) { w.forget = func(key string) bool { return key == "raw/acme/2026-03-02T08" } }},
	{name: "a destroyed key is made again", days: 10, want: "made again after a destruction",
		then: func(w *world) {
			w.record(audit.KindKey, "pseudonymizer", audit.Key{Verb: "create", Key: "raw/acme/2026-03-02T08"})
		}},
	{name: "a destroyed key is asked for", days: 10,
		then: func(w *world) {
			w.record(audit.KindKey, "rights", audit.Key{Verb: "open-raw", Key: "raw/acme/2026-03-02T08", Power: "rights"})
		}},
	{name: "rows appear out of nowhere", days: 10, want: "does not add up",
		do: func(w *world) {
			w.skip = func(day event.Day) bool {
				if day == "2026-03-05" {
					w.rows[cell{"http_access", "2026-04-02"}] += 7
				}
				return false
			}
		}},
	{name: "rows vanish", days: 10, want: "does not add up",
		do: func(w *world) {
			w.skip = func(day event.Day) bool {
				if c := (cell{"login", "2027-03-02"}); day == "2026-03-05" && w.rows[c] > 0 {
					w.rows[c]--
				}
				return false
			}
		}},
	{name: "rows move to a later partition", days: 10, want: "do not add up",
		do: func(w *world) {
			w.skip = func(day event.Day) bool {
				if day == "2026-03-05" {
					from, to := cell{"http_access", "2026-04-02"}, cell{"http_access", "2026-05-02"}
					w.rows[to] += w.rows[from]
					delete(w.rows, from)
				}
				return false
			}
		}},
	{name: "the list of partitions was lost", days: 10, want: "begin anew 1 time",
		do: func(w *world) {
			w.skip = func(day event.Day) bool {
				if day == "2026-03-05" {
					w.digest, w.before = "", nil
				}
				return false
			}
		}},
	{name: "a partition is removed unannounced", days: 10, want: "without having been announced",
		then: func(w *world) {
			w.record(audit.KindRemoved, "retention", audit.Removed{Removal: "nowhere", Partitions: []audit.Partition{{Table: "login", Day: "2027-03-02", Rows: 1}}})
		}},
	{name: "a partition is removed early", days: 10, want: "before the expiry day had ended",
		then: func(w *world) {
			p := []audit.Partition{{Table: "login", Day: "2027-03-02", Rows: 1}}
			w.record(audit.KindRemoval, "retention", audit.Removal{ID: "early", Reason: audit.ReasonExpired, Cutoff: w.now, Partitions: p})
			w.record(audit.KindRemoved, "retention", audit.Removed{Removal: "early", Partitions: p})
		}},
	{name: "a rule was made shorter", days: 10,
		do: func(w *world) {
			w.apply(strings.Repeat("ab", 32), audit.Kept{Table: "login", Months: 24})
			w.apply("", audit.Kept{})
		},
		then: func(w *world) { w.shorten("2027-03-02", w.loginCutoff()) }},
	{name: "a rule is said to have been made shorter", days: 10,
		then: func(w *world) { w.shorten("2027-03-02", w.loginCutoff()) }},
	{name: "a rule was made longer, and is said to have been made shorter", days: 10,
		do: func(w *world) {
			w.apply(strings.Repeat("ab", 32), audit.Kept{Table: "login", Months: 6})
			w.apply("", audit.Kept{})
		},
		then: func(w *world) { w.shorten("2027-03-02", w.loginCutoff()) }},
	{name: "a rule was made shorter, and a removal goes further", days: 10, want: "lost rows that the rule still kept",
		do: func(w *world) {
			w.apply(strings.Repeat("ab", 32), audit.Kept{Table: "login", Months: 24})
			w.apply("", audit.Kept{})
		},
		then: func(w *world) { w.shorten("2027-03-02", w.loginCutoff().Add(48*time.Hour)) }},
	{name: "a longer rule was applied and waits for its start", days: 10, want: "is another than the rules in this bundle",
		do: func(w *world) {
			w.apply(strings.Repeat("ab", 32), audit.Kept{Table: "login", Months: 24})
			w.apply("", audit.Kept{})
		},
		then: func(w *world) {
			w.apply(strings.Repeat("cd", 32), audit.Kept{Table: "login", Months: 36})
			w.shorten("2027-03-02", w.loginCutoff())
		}},
	{name: "a key of tokens is left", days: 130, want: "No destruction is on record of 1 key past rule and grace: epoch/web/access@64d/",
		ask: evidence.Request{All: true},
		do: func(w *world) {
			w.forget = func(key string) bool { return strings.HasPrefix(key, "epoch/web/access@64d/") }
		}},
	{name: "a key of tokens of a domain that is gone is left", days: 3, want: "1 key past rule and grace: epoch/old/access@20d/20400.",
		then: func(w *world) {
			for _, key := range []string{"epoch/old/access@20d/20400", "epoch/old/access@20d/20510", "epoch/old/access@20d/9223372036854775807", "epoch/old/access@20d/-1", "epoch/none/1"} {
				w.record(audit.KindKey, "pseudonymizer", audit.Key{Verb: "create", Key: key})
			}
		}},
	{name: "a run by a clock that nobody accepted", days: 3, want: "more than 7 days ahead of the time at which the run was recorded",
		then: func(w *world) {
			w.record(audit.KindClock, "retention", audit.Clock{From: w.now, To: w.now.AddDate(0, 0, 9)})
			w.record(audit.KindRun, "retention", audit.Run{Clock: w.now.AddDate(0, 0, 9), Policy: w.pol.Digest()})
		}},
	{name: "the log was removed", days: 3, want: "The log begins anew: on 2026-03-04 00:00 UTC",
		then: func(w *world) {
			w.record(audit.KindLog, "audit", audit.Began{Key: w.log.VerifierKey(), Lost: audit.LostLog, Through: 7, From: 1})
		}},
	{name: "the stream was lost", days: 3, want: "what was recorded after that, and was not in the log yet, nobody knows",
		then: func(w *world) {
			w.record(audit.KindLog, "sequencer", audit.Began{Key: w.log.VerifierKey(), Lost: audit.LostStream, Through: 7})
		}},
	{name: "the log was removed before the bundle begins", days: 3, ask: evidence.Request{Since: "2026-03-03"},
		do: func(w *world) {
			w.record(audit.KindLog, "audit", audit.Began{Key: w.log.VerifierKey(), Lost: audit.LostLog, Through: 7, From: 4})
		}},
	{name: "another policy was applied", days: 3, want: "is another than the rules in this bundle",
		then: func(w *world) {
			w.record(audit.KindPolicy, "operator-1", audit.Policy{Digest: strings.Repeat("ab", 32), Replaces: w.pol.Digest(), Tell: []string{"class access keeps data longer"}})
		}},
	{name: "retention obeys another policy", days: 3, want: "obeyed another policy",
		then: func(w *world) {
			w.record(audit.KindRun, "retention", audit.Run{Clock: w.now, Policy: strings.Repeat("ab", 32)})
		}},
	{name: "Lethe's clock went back", days: 3, want: "went back 1 time",
		then: func(w *world) {
			w.record(audit.KindRun, "retention", audit.Run{Clock: w.now.AddDate(0, 0, -2), Policy: w.pol.Digest()})
		}},
	{name: "a hold outlives its deadline", days: 10, want: "past deadline and grace",
		do: func(w *world) {
			w.record(audit.KindHold, "officer-1", audit.Hold{Verb: "add", ID: "h1", Reason: "A dispute about invoices", Deadline: "2026-03-05"})
			w.record(audit.KindHold, "hold", audit.Hold{Verb: "copied", ID: "h1", Rows: 12, Frames: 2})
		}},
	{name: "a hold that ended", days: 10,
		do: func(w *world) {
			w.record(audit.KindHold, "officer-1", audit.Hold{Verb: "add", ID: "h1", Reason: "A dispute about invoices", Deadline: "2026-03-20"})
			w.record(audit.KindHold, "officer-1", audit.Hold{Verb: "release", ID: "h1"})
			w.record(audit.KindHold, "retention", audit.Hold{Verb: "ended", ID: "h1"})
		}},
	{name: "the report found something", days: 3, want: "does not hold: table http_access",
		do: func(w *world) {
			w.report = func(r *verify.Report) {
				r.Holds, r.Promises[3].Holds = false, false
				r.Promises[3].Findings = []verify.Finding{{Where: "table http_access", Sentence: "A part is detached."}}
			}
		}},
	{name: "what was recorded was taken away", days: 3, want: "gone before it was in the log",
		then: func(w *world) { w.record(audit.KindGap, "sequencer", audit.Gap{From: 3, To: 4}) }},
	{name: "an entry twice", days: 3, want: "a second time",
		then: func(w *world) {
			w.ids--
			w.record(audit.KindRun, "retention", audit.Run{Clock: w.now, Policy: w.pol.Digest()})
		}},
	{name: "times go back", days: 3, want: "dated more than 10 minutes before",
		then: func(w *world) {
			now := w.now
			w.now = now.Add(-24 * time.Hour)
			w.record(audit.KindKey, "pseudonymizer", audit.Key{Verb: "create", Key: "epoch/web/1"})
			w.now = now
		}},
	{name: "the clock was held back", days: 3,
		then: func(w *world) {
			w.record(audit.KindClock, "retention", audit.Clock{From: w.now, To: w.now.AddDate(10, 0, 0)})
		}},
	{name: "a question about everything", days: 40, ask: evidence.Request{All: true}},
	{name: "a question about a week", days: 40, ask: evidence.Request{Since: "2026-04-04"}},
	{name: "a question about today", days: 40, ask: evidence.Request{Since: "2026-04-10"}},
}

// TestTheSentencesSayWhatIsWrong holds the sentences of every case to a golden
// file, and each problem to its case.
func TestTheSentencesSayWhatIsWrong(t *testing.T) {
	var out bytes.Buffer
	for _, c := range wrongs {
		w := newWorld(t, t.TempDir(), "2026-03-01")
		w.now = w.now.Add(time.Minute)
		if c.do != nil {
			c.do(w)
		}
		w.days(c.days)
		if c.then != nil {
			c.then(w)
			w.flush()
		}
		bundle := w.bundle(c.ask)
		r, err := evidence.Check(bundle, evidence.Options{Key: w.log.VerifierKey()})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !r.Intact {
			t.Errorf("%s: the bundle is not intact: %q", c.name, r.Problems)
		}
		found := slices.ContainsFunc(r.Problems, func(p string) bool { return strings.Contains(p, c.want) })
		if c.want == "" && !r.OK || c.want != "" && !found {
			t.Errorf("%s: got the problems %q, want %q", c.name, r.Problems, c.want)
		}
		fmt.Fprintf(&out, "== %s\n= %s\n", c.name, r.Verdict())
		for _, part := range []struct {
			mark string
			all  []string
		}{{"-", r.Problems}, {"+", r.Proved}, {"?", r.NotProved}} {
			if part.mark != "-" && c.want != "" {
				continue // as in the first case, but for what is wrong
			}
			for _, s := range part.all {
				fmt.Fprintf(&out, "%s %s\n", part.mark, s)
			}
		}
		fmt.Fprintln(&out)
	}
	got := plain(out.String(), lethetest.BuiltIn(t).Digest()[:12])
	file := filepath.Join("testdata", "sentences.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(got, "\n== ") + 1; n != len(wrongs) {
		t.Errorf("%d cases of %d", n, len(wrongs))
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("sentences (-want +got); -update writes them:\n%s", diff)
	}
}

var (
	rootPattern = regexp.MustCompile(`[A-Za-z0-9+/]{43}=`)
	keyPattern  = regexp.MustCompile(`the key [0-9a-f]{12}`)
	hexPattern  = regexp.MustCompile(`[0-9a-f]{64}`)
)

// plain puts names for what is random.
func plain(s, policy string) string {
	s = rootPattern.ReplaceAllString(s, "ROOT")
	s = keyPattern.ReplaceAllString(s, "the key KEY")
	s = hexPattern.ReplaceAllString(s, "FINGERPRINT")
	return strings.ReplaceAll(s, policy, "POLICY")
}
