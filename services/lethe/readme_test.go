package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestCommandsOfTheReadmeRun: what the README invites to try works as it stands
// there, beside what `make run` starts.
func TestCommandsOfTheReadmeRun(t *testing.T) {
	t.Parallel()
	r := up(t, func(r *running) { r.Args = []string{"--demo"} })
	here := filepath.Dir(r.Data) // where ./data is
	if err := os.Mkdir(filepath.Join(here, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary(t), filepath.Join(here, "bin", "lethe")); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	for i := range 30 {
		fmt.Fprintf(&log, "192.0.2.%d - - [%s] \"GET /pricing HTTP/1.1\" 200 512 \"-\" \"-\"\n", i, time.Now().UTC().Format("02/Jan/2006:15:04:05 +0000"))
	}
	access := writeFile(t, here, "access.log", log.String())
	r.until("the demo has shown its answers", func() bool { return strings.Contains(r.out.String(), "Ctrl-C") })
	if said := r.out.String(); strings.Count(said, "lethe verify") != 2 {
		t.Errorf("what `lethe up --demo` says does not lead to lethe verify:\n%s", said)
	}

	commands := codeAfter(t, "README.md", "## Try it")
	for _, m := range regexp.MustCompile("`(lethe (?:verify|audit) [^`]+)`").FindAllStringSubmatch(builtIn(t, "README.md"), -1) {
		commands = append(commands, "bin/"+m[1])
	}
	says := map[string]string{
		"bin/lethe ask viewers":  "(total)",
		"bin/lethe import":       "30",
		"bin/lethe ask visitors": "30",
		"bin/lethe status":       "UPKEEP",
		"bin/lethe verify":       "Every enforced promise holds, at ",
		"bin/lethe audit verify": "This evidence is intact and shows no problem.",
	}
	tried := map[string]bool{}
	for _, command := range commands {
		if strings.Contains(command, "visitors") {
			// The demo goes on publishing, so the flow never rests.
			r.until("the imported visitors can be asked for", func() bool { return r.Total("visitors") == 30 })
		}
		out, stderr, err := shell(t, here, binary(t), strings.ReplaceAll(command, "/var/log/nginx/access.log", access))
		if err != nil {
			t.Errorf("%s: %v\n%s%s", command, err, stderr, out)
			continue
		}
		for begins, want := range says {
			if strings.HasPrefix(command, begins) {
				tried[begins] = true
				if !strings.Contains(out, want) {
					t.Errorf("%s does not say %q:\n%s", command, want, out)
				}
			}
		}
	}
	if len(tried) != len(says) {
		t.Errorf("the README has %d commands, and not all that it should: %v", len(commands), tried)
	}
}
