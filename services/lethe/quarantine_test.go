package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// requestsOf is web accesses of different people as NDJSON: sound ones, and
// ones that the schema allows and no treatment takes, because their user's
// name holds a character that cannot be seen.
func requestsOf(sound, unsound int) string {
	var b strings.Builder
	for i := range sound + unsound {
		user := fmt.Sprintf("ada%d@example.org", i)
		if i >= sound {
			user = fmt.Sprintf("ada%d\u200b@example.org", i)
		}
		ev := map[string]any{"event": "http_access", "data": map[string]any{
			"client_ip": fmt.Sprintf("192.0.2.%d", i%256), "status": 200, "user": user, "bytes": i,
		}}
		line, err := json.Marshal(ev)
		if err != nil {
			panic(err)
		}
		b.Write(append(line, '\n'))
	}
	return b.String()
}

// withoutUsers is a policy that does not look at the users of web accesses.
func withoutUsers(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir, "web.yaml", change(t, builtIn(t, "pipelines/web.yaml"), "          user: {token: account}\n", "          user: drop\n"))
	return dir
}

// TestQuarantinedEventsCountOnceThePolicyHasLearned: P18. Lethe is killed at
// every step of a redrive, too.
func TestQuarantinedEventsCountOnceThePolicyHasLearned(t *testing.T) {
	t.Parallel()
	const sound, unsound = 30, 7
	r := up(t)
	r.Publish(requestsOf(sound, unsound)).check(t, sound+unsound, sound+unsound, 0, nil)
	r.Settle()
	r.Shows(sound, "requests")
	waiting := func() (events int) {
		t.Helper()
		var list struct {
			Items []struct {
				Event, Service, Reason string
				Count                  int
			}
		}
		decode(t, r.Run("quarantine", "list", "-o", "json"), &list)
		for _, i := range list.Items {
			events += i.Count
			if i.Event != "http_access" || i.Service != "shop" || !strings.Contains(i.Reason, "field user") {
				t.Errorf("what waits does not say why: %+v", i)
			}
		}
		return events
	}
	type redriven struct{ Read, Stored, Waiting, Expired int }
	redrive := func(want redriven) {
		t.Helper()
		var got redriven
		decode(t, r.Run("quarantine", "redrive", "-o", "json"), &got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("redriven (-want +got):\n%s", diff)
		}
	}
	if n := waiting(); n != unsound {
		t.Errorf("%d events wait, want %d", n, unsound)
	}
	if out := r.Run("quarantine", "list"); strings.Contains(out, "ada") || !strings.Contains(out, "field user") {
		t.Errorf("the list shows a value, or no reason:\n%s", out)
	}
	redrive(redriven{Read: unsound, Waiting: unsound})

	r.Stop()
	r.Policy = withoutUsers(t)
	for _, point := range redrivePoints {
		r.crash(point, func() {
			if _, _, err := r.Try("quarantine", "redrive"); err == nil {
				t.Errorf("%s: the redrive was answered by a process that died", point)
			}
		})
	}
	r.Start()
	// After R2 the events are on the clean log and their frame waits for R3.
	redrive(redriven{Read: unsound, Stored: unsound})
	redrive(redriven{})
	if n := waiting(); n != 0 {
		t.Errorf("%d events wait still", n)
	}
	// The column that the policy lost is gone from the table, by a rebuild.
	r.rebuilt()
	if out := r.Run("plan"); !strings.Contains(out, "as the policy says") {
		t.Errorf("lethe plan says: %s", out)
	}
	r.Settle()
	// So few wait until there are more.
	if n := r.Total("requests"); n != sound {
		t.Errorf("%d requests, want %d", n, sound)
	}
	r.Stop()
	r.Look(func(ctx context.Context, w *warehouse.Warehouse) {
		got := rows(t, ctx, w, "SELECT count(), uniqExact(bytes), uniqExact(event_id) FROM "+w.Table("http_access"))
		n := uint64(sound + unsound)
		if diff := cmp.Diff([][]any{{n, n, n}}, got); diff != "" {
			t.Errorf("rows, events and ids (-want +got):\n%s", diff)
		}
	})
}
