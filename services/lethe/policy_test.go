package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// documented is the event that docs/policy.md adds, as the two files that it
// says to write.
func documented(t testing.TB) (schema, pipeline string) {
	t.Helper()
	text := builtIn(t, "docs/policy.md")
	block := func(kind string) string {
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```\n").FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("docs/policy.md shows no %s", kind)
		}
		return m[1]
	}
	return block("json"), block("yaml")
}

// status is the exit code of a command, 0 when it is done.
func status(t testing.TB, err error) int {
	t.Helper()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode()
	}
	t.Fatalf("the command did not end by itself: %v", err)
	return -1
}

// TestEventIsAddedWithTwoFiles: from publish to ask, without any code.
func TestEventIsAddedWithTwoFiles(t *testing.T) {
	t.Parallel()
	schema, pipeline := documented(t)
	overlay := t.TempDir()
	writeFile(t, overlay, "shop/download.v1.json", schema)
	writeFile(t, overlay, "downloads.yaml", pipeline)
	r := up(t, func(r *running) { r.Policy = overlay })

	if out := r.Run("check", "--policy", overlay); !strings.HasPrefix(out, "The policy is sound: ") {
		t.Errorf("lethe check says: %s", out)
	}
	if out := r.Run("ropa", "--policy", overlay); !strings.Contains(out, "Count downloads and answer customers who ask about theirs.") {
		t.Error("the record of processing does not have the purpose of the pipeline")
	}
	if out := r.Run("plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("lethe plan says: %s", out)
	}

	// 40 customers download twice, 24 of them the pro edition.
	var b strings.Builder
	for i := range 80 {
		customer, edition := i%40, "free"
		if customer < 24 {
			edition = "pro"
		}
		at := time.Now().UTC().Add(-time.Duration(i) * time.Minute).Format(time.RFC3339)
		fmt.Fprintf(&b, `{"event":"download","id":"d%d","occurred_at":"%s","data":{"customer":"c%d@example.org","ip":"192.0.2.%d","product":"planner","edition":"%s","comment":"mail c%d@example.org"}}`+"\n",
			i, at, customer, i, edition, customer)
	}
	b.WriteString(`{"event":"download","data":{"product":"planner"}}` + "\n")
	r.Publish(b.String()).check(t, 81, 80, 0, map[string]int{"ip is missing": 1})
	r.Settle()
	r.Shows(80, "downloads")
	got := map[string]float64{}
	for _, row := range r.Ask("downloads", "--by", "edition").Rows {
		if row.Value != nil {
			got[fmt.Sprint(row.By["edition"])] = *row.Value
		}
	}
	if diff := cmp.Diff(map[string]float64{"free": 32, "pro": 48}, got); diff != "" {
		t.Errorf("downloads by edition (-want +got):\n%s", diff)
	}
	r.Shows(24, "pro_customers")
	if _, stderr, err := r.Try("ask", "installs"); status(t, err) != 1 || stderr == "" {
		t.Errorf("asking for what is no metric: status %d, %q", status(t, err), stderr)
	}
}

func TestProblemOfAPolicyIsASentenceAtItsLine(t *testing.T) {
	t.Parallel()
	schema, pipeline := documented(t)
	for _, c := range []struct {
		name             string
		schema, pipeline string
		file, at         string // the line that has the problem holds this
		problems         int
	}{
		{"free text that is kept", schema, change(t, pipeline, "comment: {redact: text}", "comment: keep"), "downloads.yaml", "comment: keep", 1},
		{"field without a treatment", schema, strings.Replace(pipeline, "          gpc: drop\n", "", 1), "downloads.yaml", "      download:\n", 1},
		{"unknown key", schema, change(t, pipeline, "    tables:\n", "    tabels:\n"), "downloads.yaml", "tabels", 0},
		{"field without a class", change(t, schema, `"category": "system.operations", "class": "plain"`, `"category": "system.operations"`), pipeline, "download.v1.json", `"category": "system.operations" }`, 1},
		{"not JSON", change(t, schema, `"title": "Download",`, `"title": "Download"`), pipeline, "download.v1.json", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			overlay := t.TempDir()
			writeFile(t, overlay, "download.v1.json", c.schema)
			writeFile(t, overlay, "downloads.yaml", c.pipeline)
			out, stderr, err := lethe(t, nil, "check", "--policy", overlay)
			if status(t, err) != 1 {
				t.Errorf("status %d, want 1", status(t, err))
			}
			lines := strings.Split(strings.TrimSpace(out), "\n")
			if c.problems > 0 && len(lines) != c.problems {
				t.Errorf("%d problems, want %d", len(lines), c.problems)
			}
			for _, line := range lines {
				if !regexp.MustCompile(`^[a-z0-9_./]+:\d+: .+$`).MatchString(line) {
					t.Errorf("a problem is not file:line: sentence: %s", line)
				}
			}
			text := c.pipeline
			if strings.HasSuffix(c.file, ".json") {
				text = c.schema
			}
			want := c.file + ":"
			if before, _, found := strings.Cut(text, c.at); c.at != "" && found {
				want += fmt.Sprint(strings.Count(before, "\n")+1) + ": "
			}
			if !strings.Contains(out, want) {
				t.Errorf("the problem is not at %s\n%s%s", want, out, stderr)
			}
			var report struct{ Problems []map[string]any }
			out, _, _ = lethe(t, nil, "check", "--policy", overlay, "-o", "json")
			if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Problems) != len(lines) {
				t.Errorf("as JSON it is %d problems, want %d", len(report.Problems), len(lines))
			}

			// Lethe does not run on it, and says why.
			_, stderr, err = lethe(t, nil, "up", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--policy", overlay)
			if status(t, err) != 1 || !strings.Contains(stderr, want) {
				t.Errorf("lethe up: status %d\n%s", status(t, err), stderr)
			}
		})
	}
	if _, _, err := lethe(t, nil, "check", "--policy", "/nonexistent"); status(t, err) != 1 {
		t.Errorf("a policy that is not there: status %d, want 1", status(t, err))
	}
	if out, _, err := lethe(t, nil, "check"); status(t, err) != 0 {
		t.Errorf("the built-in policy: status %d\n%s", status(t, err), out)
	}
}
