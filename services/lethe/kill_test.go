package main_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/client"
	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// TestKilledLetheLosesAndDoublesNothing: P18. Lethe is killed in the middle of
// a publish, and so is its engine, again and again; the publisher sends what
// was not answered again.
func TestKilledLetheLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	events, kills := 20_000, 3 // of each
	if long() {
		events, kills = 200_000, 6
	}
	// Small rounds, so that a kill meets the loader in its work.
	r := up(t, func(r *running) { r.Env = []string{"LETHE_LOADER_MAX_ROWS=500"} })
	f := r.flood("shop", events)
	for i := range 2 * kills {
		f.Until(t, (i+1)*events/(2*kills+1))
		if i%2 == 0 {
			r.EnginePID = 0 // the next begins while its engine still ends
			r.Kill()
			r.Start()
			continue
		}
		engine := r.engineOf(0)
		if err := syscall.Kill(engine, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		r.EnginePID = r.engineOf(engine)
	}
	f.Wait(t)
	r.Settle()
	if err := syscall.Kill(r.PID, 0); err != nil {
		t.Error("Lethe did not outlive its engine")
	}
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) { f.check(t, ctx, w) })
}

// engineOf waits for an engine other than the one before.
func (r *running) engineOf(before int) int {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, pid := range r.engines() {
			if pid != before {
				return pid
			}
		}
	}
	r.t.Fatal("Lethe has no engine")
	return 0
}

// TestGoClientRidesOutAKill: the client repeats what was not answered under
// the key of the first attempt, and its events need no ids.
func TestGoClientRidesOutAKill(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r := up(t, func(r *running) { r.Args = []string{"--listen", address} })
	c, err := client.New(client.Config{
		Server: "http://" + address, Credential: r.Credential("publisher"), Service: "shop", BatchSize: 20, Log: lethetest.Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	const events = 2_000
	var acknowledged atomic.Int64
	p := c.Publisher(client.PublisherConfig{Results: func(result client.Result) {
		if result.Err != nil {
			t.Errorf("the client gave up: %v", result.Err)
		}
		acknowledged.Add(int64(len(result.Receipts)))
	}})
	for i := range events {
		if i == events/2 {
			r.EnginePID = 0
			r.Kill()
			r.killEngine()
			r.Start()
		}
		if err := p.Add(t.Context(), client.Event{Event: "user_action", Data: map[string]any{"user": fmt.Sprint("u", i%60), "action": "export"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := acknowledged.Load(); n != events {
		t.Errorf("%d events were acknowledged, want %d", n, events)
	}
	r.Settle()
	r.Rows("user_action", events)
}

// publishPoints are the crash points that a publish passes, in the order in
// which it does.
var publishPoints = []string{
	"gateway.received", "gateway.sealed", "gateway.appended",
	"pseudonymizer.treated", "pseudonymizer.quarantined", "pseudonymizer.appended", "pseudonymizer.acknowledged",
	"loader.manifest_written", "loader.inserted", "loader.acked",
}

// redrivePoints are those that `lethe quarantine redrive` passes, and
// rebuildPoints those that `lethe rebuild` does.
var (
	redrivePoints = []string{"pseudonymizer.rest", "pseudonymizer.redriven"}
	rebuildPoints = []string{
		"loader.rebuild_loading", "loader.rebuild_staged", "loader.rebuild_round", "loader.rebuild_loaded",
		"loader.rebuild_swapping", "loader.rebuild_swapped", "loader.rebuild_discarded",
	}
)

// TestEveryCrashPointIsTried keeps the lists above whole.
func TestEveryCrashPointIsTried(t *testing.T) {
	reach := regexp.MustCompile(`crashpoint\.Reach\("([a-z_.]+)"\)`)
	var want []string
	files, err := filepath.Glob("../../pkg/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range reach.FindAllStringSubmatch(string(b), -1) {
			if !strings.HasSuffix(file, "_test.go") {
				want = append(want, m[1])
			}
		}
	}
	got := slices.Concat(publishPoints, redrivePoints, rebuildPoints, cellPoints)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(slices.Compact(want), got); diff != "" {
		t.Errorf("crash points (-in the code +tried):\n%s", diff)
	}
}

// crash starts a Lethe that dies at a point, and returns when it has, and its
// engine with it.
func (r *running) crash(point string, provoke func()) {
	r.t.Helper()
	env := r.Env
	r.Env = append(slices.Clone(env), "LETHE_CRASH_AT="+point)
	defer func() { r.Env = env }()
	r.EnginePID = 0 // do not wait for it
	if err := r.TryStart(); err == nil {
		r.EnginePID = 0
		provoke()
		r.Died()
	} else if !strings.Contains(err.Error(), "killed") {
		// Else it came to the point while it took up what was left.
		r.t.Fatalf("%s: %v", point, err)
	}
	r.killEngine()
}

// killEngine ends the engine of a Lethe that was killed. By itself it would
// end in order, some seconds later.
func (r *running) killEngine() {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		left := r.engines()
		if len(left) == 0 {
			return
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have gone
		}
	}
	r.t.Fatal("the engine cannot be killed")
}

// engines lists the processes that hold an engine on the data of a Lethe.
func (r *running) engines() []int {
	var out []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		b, err := os.ReadFile(file)
		args := strings.Split(string(b), "\x00")
		if err != nil || len(args) < 2 || args[1] != embedded.EngineChildCommand || !slices.Contains(args, filepath.Join(r.Data, "clickhouse")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// TestCrashAtAnyPointLosesAndDoublesNothing: P18. One Lethe after the other
// dies on the same data, each at its own point, the first time it comes there
// and in the middle of its work. What it was sent bears the point's name.
func TestCrashAtAnyPointLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	events, counts := 600, []int{1, 2}
	if long() {
		events, counts = 4_000, []int{1, 2, 3, 5, 8}
	}
	r := up(t, func(r *running) { r.Env = []string{"LETHE_LOADER_MAX_ROWS=100"} })
	r.Stop()
	var floods []*flood
	for _, count := range counts {
		for _, point := range publishPoints {
			f := r.flood(strings.ReplaceAll(point, ".", "_")+"_"+strconv.Itoa(count), events)
			floods = append(floods, f)
			r.crash(fmt.Sprintf("%s:%d", point, count), func() {})
		}
	}
	r.Env = nil // the last one closes its rounds elsewhere
	r.Start()
	for _, f := range floods {
		f.Wait(t)
	}
	r.Settle()
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		for _, f := range floods {
			f.check(t, ctx, w)
		}
	})
}

// TestWithoutKeyOrIDACrashDoubles is the control of the tests above: they see
// what net 1 does not catch, because it is given nothing to know requests by,
// and what is missing.
func TestWithoutKeyOrIDACrashDoubles(t *testing.T) {
	t.Parallel()
	r := up(t)
	r.Stop()
	f := r.floodOf("unknown", 600, false)
	r.crash("gateway.appended:2", func() {})
	r.Start()
	f.Wait(t)
	r.Settle()
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		faults := f.diff(t, ctx, w)
		if len(faults) == 0 {
			t.Error("nothing is stored twice, so the tests above show nothing")
		}
		for _, fault := range faults {
			if strings.Contains(fault, "does not have") || strings.Contains(fault, "none of its own") {
				t.Errorf("another fault than the one made: %s", fault)
			}
		}
		// What was never sent counts as acknowledged, as far as the check knows.
		f.requests = append(f.requests, &floodRequest{from: 10_000, count: floodBatch})
		if n := len(f.diff(t, ctx, w)); n != len(faults)+floodBatch {
			t.Errorf("%d faults with %d events missing and %d without: the tests above do not see what is lost", n, floodBatch, len(faults))
		}
	})
}
