package main_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// fingerprints is what every table holds for every expiry day: how many rows,
// and a hash of all their columns that their order does not change.
func (r *running) fingerprints() []warehouse.Fingerprint {
	r.t.Helper()
	var out []warehouse.Fingerprint
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		var err error
		if out, err = w.Fingerprint(ctx, policyOf(r.t, r.Policy)); err != nil {
			r.t.Fatal(err)
		}
	})
	return out
}

// rebuilt waits until the latest rebuild has come to its end.
func (r *running) rebuilt() {
	r.t.Helper()
	var state struct{ Phase string }
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		status, body := r.Do("operator", http.MethodGet, "/v1/rebuild", "", nil)
		if status != http.StatusOK {
			r.t.Fatalf("asking for the rebuild: status %d", status)
		}
		decode(r.t, string(body), &state)
		switch state.Phase {
		case "done":
			return
		case "failed", "none":
			r.t.Fatalf("the rebuild is in phase %s", state.Phase)
		}
	}
	r.t.Fatalf("the rebuild stays in phase %s", state.Phase)
}

// named is activations that bear ids, as NDJSON. They occurred some days ago.
func named(n, daysAgo int) string {
	var b strings.Builder
	for i := range n {
		at := time.Now().UTC().AddDate(0, 0, -daysAgo).Truncate(24 * time.Hour).Add(time.Duration(i) * time.Second)
		fmt.Fprintf(&b, `{"event":"activation","id":"a%d","occurred_at":"%s","data":{"action":"activate","product":"planner","license_key":"K%d","machine_code":"m%d"}}`+"\n",
			i, at.Format(time.RFC3339), i%31, i)
	}
	return b.String()
}

// TestRebuiltWarehouseIsTheOneItWas: P18. There are late events in it, such as
// came twice, and such as came out of quarantine; and the rebuild is killed at
// every step.
func TestRebuiltWarehouseIsTheOneItWas(t *testing.T) {
	t.Parallel()
	apache := testData(t, "http/elastic-examples/apache_logs")
	// A rebuild cuts its rounds elsewhere than the loader did.
	r := up(t, func(r *running) { r.Env = []string{"LETHE_LOADER_MAX_ROWS=700"} })
	r.Publish(requestsOf(30, 7)).check(t, 37, 37, 0, nil)
	r.Publish(named(400, 3)).check(t, 400, 400, 0, nil)
	r.Import("--format", "combined", "--service", "web", "--rebase", "now", apache).check(t, 10_000, 10_000, 0, nil)
	r.Settle()
	r.Publish(named(300, 20)) // late
	// The first again, in other requests.
	for _, line := range strings.SplitAfterN(named(400, 3), "\n", 4)[:4] {
		r.Publish(line)
	}
	r.Settle()
	r.Stop()
	r.Policy = withoutUsers(t)
	r.Start()
	var redriven struct{ Stored int }
	decode(t, r.Run("quarantine", "redrive", "-o", "json"), &redriven)
	if redriven.Stored != 7 {
		t.Errorf("%d events came out of quarantine, want 7", redriven.Stored)
	}
	r.Settle()
	answers := func() string {
		t.Helper()
		return r.Run("ask", "visitors", "--by", "day,service", "-o", "csv") + r.Run("ask", "activations", "--by", "day", "-o", "csv")
	}
	r.Shows(700, "activations")
	wantAnswers := answers()
	r.Stop()
	want := r.fingerprints()
	total := map[string]uint64{}
	for _, f := range want {
		total[f.Table] += f.Rows
	}
	cells := total[policy.CellTable]
	delete(total, policy.CellTable)
	if cells == 0 {
		t.Error("no cell is in the warehouse")
	}
	if diff := cmp.Diff(map[string]uint64{"http_access": 10_037, "activation": 700, "activation_lasting": 700}, total); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}

	r.Env = []string{"LETHE_LOADER_MAX_ROWS=1999"}
	r.Start()
	if out := r.Run("rebuild"); !strings.HasPrefix(out, fmt.Sprintf("rebuild done: %d rows", 11_437+cells)) {
		t.Errorf("the rebuild says: %s", out)
	}
	if diff := cmp.Diff(wantAnswers, answers()); diff != "" {
		t.Errorf("answers before and after a rebuild (-before +after):\n%s", diff)
	}
	r.Stop()
	if diff := cmp.Diff(want, r.fingerprints()); diff != "" {
		t.Errorf("the rebuilt warehouse is another (-before +after):\n%s", diff)
	}

	// One rebuild that is killed at each of its steps: the next process goes
	// on with it and comes to the next.
	for i, point := range rebuildPoints {
		r.crash(point, func() {
			if i > 0 {
				return
			}
			if _, _, err := r.Try("rebuild"); err == nil {
				t.Errorf("%s: the rebuild was done by a process that died", point)
			}
		})
	}
	r.Start()
	r.rebuilt()
	if diff := cmp.Diff(wantAnswers, answers()); diff != "" {
		t.Errorf("answers before and after a killed rebuild (-before +after):\n%s", diff)
	}
	r.Stop()
	if diff := cmp.Diff(want, r.fingerprints()); diff != "" {
		t.Errorf("the warehouse after a killed rebuild is another (-before +after):\n%s", diff)
	}

	// It takes what comes after, and the control: one event more is seen.
	r.Start()
	r.Publish(`{"event":"http_access","data":{"client_ip":"192.0.2.1","status":200}}`).check(t, 1, 1, 0, nil)
	r.Settle()
	r.Stop()
	if cmp.Equal(want, r.fingerprints()) {
		t.Error("another row makes no other fingerprint, so the test shows nothing")
	}
	if !long() {
		return
	}
	want = r.fingerprints()
	for _, point := range rebuildPoints {
		r.crash(point, func() { _, _, _ = r.Try("rebuild") })
		r.Start()
		r.rebuilt()
		r.Stop()
		if diff := cmp.Diff(want, r.fingerprints()); diff != "" {
			t.Errorf("the warehouse after a rebuild killed at %s is another (-before +after):\n%s", point, diff)
		}
	}
}

// Publish publishes a text as a file of the service shop.
func (r *running) Publish(text string) account {
	r.t.Helper()
	var a account
	decode(r.t, r.Run("publish", "-o", "json", "--service", "shop", writeFile(r.t, r.t.TempDir(), "events", text)), &a)
	return a
}
