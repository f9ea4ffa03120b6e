//go:build crashpoints

package crashpoint_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
)

// TestMain is also the process that crashes.
func TestMain(m *testing.M) {
	if os.Getenv("CRASHPOINT_CHILD") == "" {
		os.Exit(m.Run())
	}
	defer os.Stdout.WriteString("deferred\n")
	for range 3 {
		crashpoint.Reach("test.other")
		os.Stdout.WriteString("before\n")
		crashpoint.Reach("test.point")
		os.Stdout.WriteString("after\n")
	}
}

func TestProcessDiesAtTheNamedPointAndNowhereElse(t *testing.T) {
	for _, c := range []struct {
		at, out string
		dies    bool
	}{
		{"test.point", "before", true},
		{"test.point:1", "before", true},
		{"test.point:3", "before after before after before", true},
		{"test.point:4", "before after before after before after deferred", false},
		{"", "before after before after before after deferred", false},
		{"test", "before after before after before after deferred", false},
	} {
		t.Run(c.at, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), "CRASHPOINT_CHILD=1", "LETHE_CRASH_AT="+c.at)
			out, err := cmd.Output()
			if got := strings.Join(strings.Fields(string(out)), " "); got != c.out {
				t.Errorf("it said %q, want %q", got, c.out)
			}
			var exit *exec.ExitError
			killed := errors.As(err, &exit) &&
				exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
			if killed != c.dies {
				t.Errorf("it ended with %v; killed = %t, want %t", err, killed, c.dies)
			}
		})
	}
}

func TestCountThatIsNoneIsRefused(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "CRASHPOINT_CHILD=1", "LETHE_CRASH_AT=test.point:x")
	if err := cmd.Run(); err == nil {
		t.Error("a crash test that never crashes would have passed")
	}
}
