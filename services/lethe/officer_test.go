package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// codeAfter are the commands of the first code block after a heading of a
// document, as they stand there.
func codeAfter(t testing.TB, document, after string) []string {
	t.Helper()
	_, text, found := strings.Cut(builtIn(t, document), after)
	if !found {
		t.Fatalf("%s has no %q", document, after)
	}
	m := regexp.MustCompile("(?s)```\n(.*?)```").FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("%s has no commands after %q", document, after)
	}
	return strings.Split(strings.TrimSpace(m[1]), "\n")
}

// shell runs a line as somebody types it in a directory, with the program on
// the path and nothing else of Lethe's in sight.
func shell(t testing.TB, dir, program, line string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + filepath.Dir(program) + ":/usr/bin:/bin", "HOME=" + dir}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// P10: the three commands of docs/evidence.md, as they stand there, lead from
// the question to evidence that is checked on another machine.
func TestThreeCommandsLeadFromTheQuestionToEvidence(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Publish(accessesAt(t, 20, time.Now().Add(-aDay))).check(t, 20, 20, 0, nil)
	r.Settle()
	commands := codeAfter(t, "docs/evidence.md", "# From question to evidence")
	if len(commands) != 3 {
		t.Fatalf("there are %d commands, not three", len(commands))
	}
	here := filepath.Dir(r.Data) // where ./data is
	say := func(dir, program, line string) string {
		t.Helper()
		out, stderr, err := shell(t, dir, program, line)
		if err != nil || stderr != "" {
			t.Fatalf("%s: %v\n%s%s", line, err, stderr, out)
		}
		return out
	}
	// Before the first: what is kept elsewhere.
	keep := codeAfter(t, "docs/evidence.md", "## 3.")
	if len(keep) != 1 {
		t.Fatalf("a checkpoint is kept with %d commands", len(keep))
	}
	if out := say(here, binary(t), keep[0]); out != "" {
		t.Errorf("keeping a checkpoint says:\n%s", out)
	}
	if out := say(here, binary(t), commands[0]); !strings.Contains(out, "\nEvery enforced promise holds, at ") {
		t.Errorf("1 says:\n%s", out)
	}
	if out := say(here, binary(t), commands[1]); !strings.Contains(out, "\nEvery enforced promise holds, at ") {
		t.Errorf("2 says:\n%s", out)
	}

	// The auditor's machine: the program and two files. Lethe is gone.
	r.Stop()
	there := t.TempDir()
	if err := os.Rename(r.Data, filepath.Join(here, "away")); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(there, "bin", "lethe")
	for from, to := range map[string]string{binary(t): program, filepath.Join(here, "evidence.json"): filepath.Join(there, "evidence.json"), filepath.Join(here, "kept.txt"): filepath.Join(there, "kept.txt")} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Dir(to), filepath.Base(to), string(b))
	}
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	out := say(there, program, commands[2])
	for _, want := range []string{
		"This evidence is intact and shows no problem. It cannot show yet that the deletion rules are kept: it begins on ", "\nProved:\n", "\nNot proved:\n",
		"are the same as when the checkpoint was made that was kept elsewhere.\n", "That no copy exists where nobody looked.",
		"no key was given, so the one in the file was used",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("3 does not say %q:\n%s", want, out)
		}
	}
	third, _, _ := strings.Cut(commands[2], "#")
	out = say(there, program, third+" --key @kept.txt")
	if strings.Contains(out, "no key was given") {
		t.Errorf("with the key that was kept it says:\n%s", out)
	}
	// The control: the same file after somebody was at it.
	edited := func(b []byte) []byte { return bytes.Replace(b, []byte(`\"by\":`), []byte(`\"By\":`), 1) }
	within(t, filepath.Join(there, "evidence.json"), edited, func() {
		out, _, err := shell(t, there, program, commands[2])
		if status(t, err) != 3 || !strings.Contains(out, "This file is not what its checkpoint stands for.") {
			t.Errorf("edited evidence is taken with %d:\n%s", status(t, err), out)
		}
	})
	if left, err := os.ReadDir(there); err != nil || len(left) != 3 {
		t.Errorf("the check leaves %d entries in its directory, which had 3: %v", len(left), err)
	}
	reportNames(t, filepath.Join(here, "report.html"))
}

// reportNames holds the page to the rules of the built-in policy.
func reportNames(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := html.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		if n.Type == html.TextNode {
			b.WriteString(n.Data + " ")
		}
	}
	text := strings.Join(strings.Fields(b.String()), " ")
	pol := policyOf(t, "")
	for _, c := range pol.Classes() {
		if !strings.Contains(text, c.Cluster) || !c.Lasting && !strings.Contains(text, c.Period.String()) {
			t.Errorf("the report does not tell the rule of class %s", c.Name)
		}
	}
	for _, want := range []string{pol.Digest()[:12], "This evidence is intact", "P4", "P12", "not enforced"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
}

// P4, P5, P10: two days pass on Lethe's clock. What expired is gone, its key is
// destroyed, the record says both and adds up, and it goes on from a checkpoint
// that was kept before. A hold keeps its copies until it is released.
func TestWhatExpiresAndWhatIsHeldIsProvedByTheRecord(t *testing.T) {
	t.Parallel()
	const old, young = 20, 15
	r := up(t)
	// Half a day before the rule ends.
	r.Publish(accessesAt(t, old, time.Now().Add(-30*aDay+aDay/2))).check(t, old, old, 0, nil)
	r.Publish(accessesAt(t, young, time.Now())).check(t, young, young, 0, nil)
	r.Settle()
	h := r.hold("case-9", old+young)
	r.healthy("before it expires")
	dir := t.TempDir()
	kept := writeFile(t, dir, "kept.txt", r.Run("audit", "checkpoint"))
	for range 2 {
		r.Stop()
		r.pass(aDay)
		r.Start()
		r.until("retention has run", func() bool {
			return strings.Contains(r.Run("audit", "list", "--kind", "manifest", "--limit", "1"), fmt.Sprintf("%d rows in 1 partitions", young))
		})
		r.healthy("a day later")
	}
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		if n := one(t, ctx, w, "SELECT count() FROM lethe.http_access"); n != young {
			t.Errorf("%d rows are there, want %d", n, young)
		}
		if n := one(t, ctx, w, "SELECT count() FROM lethe_hold.http_access WHERE hold = '"+h.ID+"'"); n != old+young {
			t.Errorf("the hold keeps %d rows, want %d", n, old+young)
		}
	})
	r.Start()
	if text := r.Run("verify"); !strings.Contains(text, "case-9") {
		t.Errorf("the hold is not shown:\n%s", text)
	}
	prove := func(want ...string) {
		t.Helper()
		file := filepath.Join(dir, "evidence.json")
		r.Run("verify", "--evidence", file)
		out, stderr, err := lethe(t, nil, "audit", "verify", file, "--key", "@"+kept, "--checkpoint", kept)
		if err != nil {
			t.Fatalf("%v\n%s%s", err, stderr, out)
		}
		for _, w := range want {
			if !strings.Contains(out, w) {
				t.Errorf("it does not say %q:\n%s", w, out)
			}
		}
	}
	prove("are the same as when the checkpoint was made that was kept elsewhere.", "Of 1 legal hold on record, none outlived its deadline.")
	if out := r.Run("audit", "list", "--kind", "key"); !strings.Contains(out, "destroy clean/access-30d/") {
		t.Errorf("no destruction is on record:\n%s", out)
	}

	r.Run("hold", "release", "case-9")
	r.Stop()
	r.Start() // a run of retention
	r.ended(h.ID)
	if name := r.heldCase(h.ID).Name; name != "" {
		t.Error("a hold that has ended has a name")
	}
	r.healthy("when the hold is released")
	prove("Of 1 legal hold on record, none outlived its deadline.")
	if files, err := filepath.Glob(filepath.Join(r.Data, "keys/keys/clean.hold-*")); err != nil || len(files) != 0 {
		t.Errorf("%d keys of holds are left, %v", len(files), err)
	}
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		if n := one(t, ctx, w, "SELECT count() FROM lethe_hold.http_access"); n != 0 {
			t.Errorf("%d held rows outlive their release", n)
		}
		if n := one(t, ctx, w, "SELECT count() FROM lethe.http_access"); n != young {
			t.Errorf("%d rows are there, want %d", n, young)
		}
	})
}

// bundle is evidence as far as these tests change it.
type bundle struct {
	Format    string          `json:"format"`
	Key       string          `json:"key"`
	Statement json.RawMessage `json:"statement"`
	Inventory json.RawMessage `json:"inventory"`
	Trees     []struct {
		Year        int             `json:"year"`
		Checkpoint  string          `json:"checkpoint"`
		From        int64           `json:"from"`
		Range       json.RawMessage `json:"range"`
		Entries     []string        `json:"entries"`
		Checkpoints json.RawMessage `json:"checkpoints"`
	} `json:"trees"`
}

// P10: whatever is done to evidence, or to the log that it is made of, shows.
func TestEvidenceAndALogThatWereTouchedAreRefused(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Publish(accessesAt(t, 20, time.Now().Add(-aDay))).check(t, 20, 20, 0, nil)
	r.Settle()
	dir := t.TempDir()
	evidence := func(name string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		r.Run("audit", "export", file)
		return file
	}
	check := func(file string, code int, says string, args ...string) {
		t.Helper()
		out, stderr, err := lethe(t, nil, append([]string{"audit", "verify", file}, args...)...)
		if status(t, err) != code || !strings.Contains(out+stderr, says) {
			t.Errorf("%s is taken with %d and without %q:\n%s%s", filepath.Base(file), status(t, err), says, stderr, out)
		}
	}
	early := evidence("early.json")
	r.Stop()
	rolledBack := filepath.Join(dir, "rolled-back")
	if err := copyTree(rolledBack, r.Data); err != nil {
		t.Fatal(err)
	}
	r.Start()
	for range 12 { // more than what a start puts on record
		r.Run("audit", "export", filepath.Join(dir, "some.json"))
	}
	late := evidence("late.json")
	kept := writeFile(t, dir, "kept.txt", r.Run("audit", "checkpoint"))
	check(late, 0, "This evidence is intact", "--checkpoint", kept, "--key", "@"+kept)

	text, err := os.ReadFile(late)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		says string
		edit func(*bundle)
	}{
		"edited":           {"do not give the root that their checkpoint names", func(b *bundle) { e := b.Trees[0].Entries; e[1] = strings.Replace(e[1], `"by":"`, `"by":"x`, 1) }},
		"without an entry": {"something was left out, added or cut off", func(b *bundle) { b.Trees[0].Entries = slices.Delete(b.Trees[0].Entries, 3, 4) }},
		"reordered":        {"do not give the root that their checkpoint names", func(b *bundle) { e := b.Trees[0].Entries; e[1], e[2] = e[2], e[1] }},
		"cut off":          {"something was left out, added or cut off", func(b *bundle) { e := b.Trees[0].Entries; b.Trees[0].Entries = e[:len(e)-2] }},
		"another report":   {"", func(b *bundle) { b.Statement = bytes.Replace(b.Statement, []byte("P4"), []byte("P5"), 1) }},
	} {
		var b bundle
		decode(t, string(text), &b)
		c.edit(&b)
		changed, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		file := writeFile(t, dir, name+".json", string(changed))
		check(file, 3, "This file is not what its checkpoint stands for.")
		check(file, 3, c.says)
	}
	// The control: written anew without a change, it is still evidence.
	var same bundle
	decode(t, string(text), &same)
	again, err := json.Marshal(same)
	if err != nil {
		t.Fatal(err)
	}
	check(writeFile(t, dir, "same.json", string(again)), 0, "This evidence is intact")
	check(writeFile(t, dir, "half.json", string(text[:len(text)/2])), 1, "not a bundle of evidence")
	// An older truth in place of the present one is seen by who kept a
	// checkpoint, and by nobody else.
	check(early, 0, "This evidence is intact")
	check(early, 3, "its end was cut off, or the log was rolled back", "--checkpoint", kept)

	// A log that was cut short on disk is none that Lethe goes on with. While it
	// runs it holds the end in memory, and writes it anew with what comes.
	r.Stop()
	audit := filepath.Join(r.Data, "audit")
	entries := r.file("audit/*/tile/entries/*.p/*")
	within(t, entries, func(b []byte) []byte { return b[:len(b)-len(b)/4] }, func() {
		if err := r.TryStart(); err == nil {
			t.Error("Lethe runs on an audit log that was cut short")
		}
		if !strings.Contains(r.log.String(), "is not what was signed: entries are torn") {
			t.Errorf("it does not say why:\n%s", r.log.Tail(5))
		}
	})

	// The directory of the log from before catches up from the stream.
	replace(t, audit, filepath.Join(rolledBack, "audit"))
	r.Start()
	r.healthy("with an older copy of the log")
	check(evidence("caught-up.json"), 0, "are the same as when the checkpoint was made", "--checkpoint", kept)

	// A warehouse from before lacks rows, and is made anew from the clean log.
	r.Publish(accessesAt(t, 15, time.Now())).check(t, 15, 15, 0, nil)
	r.Settle()
	r.Stop()
	r.Start() // what came is counted
	r.forgotten("35 rows in 2 partitions")
	r.Stop()
	replace(t, filepath.Join(r.Data, "clickhouse"), filepath.Join(rolledBack, "clickhouse"))
	r.Start()
	r.finds("P18", "table http_access", "15 rows")
	r.Run("rebuild")
	r.Rows("http_access", 35)

	// With the stream from before, too, it is another history.
	r.Stop()
	replace(t, r.Data, rolledBack)
	r.Start()
	r.healthy("rolled back as a whole, where nothing on this machine can tell")
	rolled := evidence("rolled.json")
	check(rolled, 0, "This evidence is intact")
	check(rolled, 3, "its end was cut off, or the log was rolled back", "--checkpoint", kept)

	// A log with the stream of before alone is no Lethe that starts.
	r.Stop()
	replace(t, filepath.Join(dir, "newer"), audit)
	replace(t, r.Data, rolledBack)
	replace(t, audit, filepath.Join(dir, "newer"))
	if err := r.TryStart(); err == nil {
		t.Error("Lethe runs on an audit log that is ahead of its stream")
	}
	if !strings.Contains(r.log.String(), "the audit stream is not the one that the audit log was made of") {
		t.Errorf("it does not say why:\n%s", r.log.Tail(5))
	}
}
