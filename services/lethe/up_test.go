package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// lethe runs the program without any Lethe that it could mean.
func lethe(t testing.TB, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(t), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(clean(os.Environ()), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestStopLosesNothing: SIGTERM in the middle of a publish ends the process
// in order, and the next takes everything up.
func TestStopLosesNothing(t *testing.T) {
	t.Parallel()
	r := up(t)
	before := r.Credential("analyst")
	f := r.flood("shop", 3_000)
	for _, n := range []int{500, 1_500} {
		f.Until(t, n)
		r.Stop()
		if left := r.engines(); len(left) > 0 {
			t.Errorf("%d engines outlive the Lethe that was stopped", len(left))
		}
		r.Start()
	}
	f.Wait(t)
	r.Settle()
	if r.Credential("analyst") != before {
		t.Error("a restart made other credentials")
	}
	log := r.log.String()
	for _, bad := range []string{`"level":"ERROR"`, "panic", "goroutine "} {
		if strings.Contains(log, bad) {
			t.Errorf("the log holds %s", bad)
		}
	}
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) { f.check(t, ctx, w) })
}

func TestTwoLethesDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	a, b := up(t), up(t)
	fa, fb := a.flood("a", 1_000), b.flood("b", 1_000)
	fb.Until(t, 300)
	a.Kill()
	fb.Wait(t)
	b.Settle()
	b.until("the one that lives shows what came", func() bool { return b.Total("requests") > 0 })
	// Who may ask the one may not ask the other.
	a.Start()
	answered, _ := a.Do("", "GET", "/v1/stats", "", nil, "Authorization", "Bearer "+b.Credential("analyst"))
	if answered != 401 {
		t.Errorf("a credential of the other Lethe: status %d, want 401", answered)
	}
	// A second one on the same data is refused and harms nobody.
	_, stderr, err := lethe(t, nil, "up", "--data", b.Data, "--listen", "127.0.0.1:0")
	if status(t, err) != 1 || strings.Contains(stderr, "goroutine ") {
		t.Errorf("a second Lethe on the same data: status %d\n%s", status(t, err), stderr)
	}
	fa.Wait(t)
	for _, r := range []*running{a, b} {
		r.Settle()
		r.Stop()
	}
	for r, f := range map[*running]*flood{a: fa, b: fb} {
		r.Look(func(ctx context.Context, w *warehouse.Warehouse) { f.check(t, ctx, w) })
	}
}

// TestNothingListensButTheDoor: the log has no port, and the engine has its two
// on the loopback address.
func TestNothingListensButTheDoor(t *testing.T) {
	t.Parallel()
	r := up(t)
	if got := listeners(t, r.PID); len(got) != 1 || "http://"+got[0].String() != r.HTTP {
		t.Errorf("Lethe listens on %v, and its door is %s", got, r.HTTP)
	}
	engine := listeners(t, r.EnginePID)
	if len(engine) != 2 {
		t.Errorf("the engine listens on %v, want two addresses", engine)
	}
	for _, a := range engine {
		if !a.Addr().IsLoopback() {
			t.Errorf("the engine listens on %v", a)
		}
	}
	r.Stop()

	// The control: a port that is asked for is seen.
	r.Args = []string{"--nats-listen", "127.0.0.1:0"}
	r.Start()
	var at struct{ NATS string }
	b, err := os.ReadFile(filepath.Join(r.Data, "run.json"))
	if err != nil || json.Unmarshal(b, &at) != nil || at.NATS == "" {
		t.Fatalf("the addresses do not name the NATS port: %s", b)
	}
	if got := listeners(t, r.PID); len(got) != 2 {
		t.Errorf("with a NATS port Lethe listens on %v", got)
	}
}

// listeners lists the TCP addresses that a process listens on.
func listeners(t testing.TB, pid int) []netip.AddrPort {
	t.Helper()
	own := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(fds) == 0 {
		t.Fatal("the files of the process cannot be listed")
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:[") {
			own[strings.Trim(target, "socket:[]")] = true
		}
	}
	var out []netip.AddrPort
	for _, file := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			// sl local_address rem_address st … uid timeout inode
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != "0A" || !own[f[9]] {
				continue
			}
			out = append(out, parseListener(t, f[1]))
		}
	}
	return out
}

// parseListener reads an address of /proc/net/tcp: words of four bytes in the
// machine's order, and a port.
func parseListener(t testing.TB, s string) netip.AddrPort {
	t.Helper()
	host, port, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		t.Fatal(err)
	}
	var raw []byte
	for ; len(host) >= 8; host = host[8:] {
		w, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, byte(w), byte(w>>8), byte(w>>16), byte(w>>24))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n))
}

func TestWithoutItsEngineLetheSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env  []string
		says []string
	}{
		"named and not there": {[]string{"LETHE_ENGINE_LIB=/nonexistent"}, []string{"LETHE_ENGINE_LIB", "make engine"}},
		"nowhere": {[]string{"LETHE_ENGINE_LIB=", "XDG_CACHE_HOME=" + t.TempDir(), "HOME=" + t.TempDir()},
			[]string{"make engine", "docker compose up"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, err := lethe(t, c.env, "up", "--data", t.TempDir(), "--listen", "127.0.0.1:0")
			if status(t, err) != 1 {
				t.Errorf("status %d, want 1", status(t, err))
			}
			lines := strings.Split(strings.TrimSpace(stderr), "\n")
			last := lines[len(lines)-1]
			for _, want := range c.says {
				if !strings.Contains(last, want) {
					t.Errorf("the last line does not name %s: %s", want, last)
				}
			}
			if strings.Contains(stderr, "goroutine ") || strings.Contains(stderr, "panic") {
				t.Errorf("it ends with a stack trace:\n%s", stderr)
			}
		})
	}
}

func TestBadUsageEndsWithTwo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		env  []string
	}{
		{args: []string{"fly"}},
		{args: []string{"up", "--fly"}},
		{args: []string{"up", "there"}},
		{args: []string{"ask", "requests", "visitors"}},
		{args: []string{"ask", "requests", "-o", "xml"}},
		{args: []string{"import", "--format", "combined", "access.log"}},
		{args: []string{"import", "--service", "web", "--format", "xml", "access.log"}},
		{args: []string{"import", "--service", "web", "--format", "combined", "--rebase", "then", "access.log"}},
		{args: []string{"publish"}},
		{args: []string{"quarantine"}},
		{args: []string{"quarantine", "open"}},
		{args: []string{"up", "--data", "d", "--listen", "127.0.0.1:0"}, env: []string{"LETHE_LOADER_MAX_ROSW=1"}},
		{args: []string{"up", "--data", "d", "--config", "nonexistent.yaml"}},
	} {
		t.Run(strings.Join(append(c.env, c.args...), " "), func(t *testing.T) {
			out, stderr, err := lethe(t, c.env, c.args...)
			if status(t, err) != 2 {
				t.Errorf("status %d, want 2\n%s", status(t, err), stderr)
			}
			if out != "" || !strings.HasPrefix(stderr, "lethe: ") || strings.Contains(stderr, "goroutine ") {
				t.Errorf("it says:\n%s%s", out, stderr)
			}
		})
	}
	// What is well said and cannot be done ends with 1.
	for _, args := range [][]string{{"ask", "requests"}, {"status", "--data", "nothing-here"}, {"publish", "nothing-here"}} {
		_, stderr, err := lethe(t, nil, args...)
		if status(t, err) != 1 || !strings.HasPrefix(stderr, "lethe: ") {
			t.Errorf("%v: status %d\n%s", args, status(t, err), stderr)
		}
	}
}

// TestReadyFileNamesEveryAddress: it is written when Lethe can serve, as one
// JSON object.
func TestReadyFileNamesEveryAddress(t *testing.T) {
	t.Parallel()
	r := up(t) // reads r.HTTP, r.PID and r.EnginePID from it
	if err := syscall.Kill(r.EnginePID, 0); err != nil || len(r.engines()) != 1 || r.engines()[0] != r.EnginePID {
		t.Errorf("the engine's process is %d, and there are %v", r.EnginePID, r.engines())
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/nothing": 404, "/v1/stats": 401} {
		if got, _ := r.Do("", "GET", path, "", nil); got != want {
			t.Errorf("GET %s: status %d, want %d", path, got, want)
		}
	}
	for _, role := range []string{"publisher", "analyst", "officer", "operator"} {
		info, err := os.Stat(filepath.Join(r.Data, "credentials", role))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the credential of the %s: %v, mode %v", role, err, info.Mode())
		}
	}
	if out := r.out.String(); !strings.Contains(out, r.HTTP) {
		t.Errorf("what it says on the terminal does not name %s:\n%s", r.HTTP, out)
	}
}
