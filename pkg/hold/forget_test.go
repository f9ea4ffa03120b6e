package hold_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// TestNameAndReasonGoWithTheHold: when a hold has ended, no byte of either is
// left in the files of the log, however often its record was changed. Its id,
// its dates and its counts stay. The control finds them before.
func TestNameAndReasonGoWithTheHold(t *testing.T) {
	dir := t.TempDir()
	n, err := embedded.NewNATS(embedded.NATSConfig{Dir: dir, Users: lethetest.NATSUsers(), Log: lethetest.Logger(t)})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(err)
	lethetest.Start(t, "nats", n)
	connect := func(user string) *nats.Conn {
		t.Helper()
		nc, err := n.Connect(user, lethetest.Password(user), eventlog.ConnectOptions(user)...)
		must(err)
		t.Cleanup(nc.Close)
		return nc
	}
	applyStreams(t, connect("operator"))
	store := hold.NewStore(eventlog.OpenBucket(connect("compliance"), eventlog.HoldBucket))
	retention := hold.NewStore(eventlog.OpenBucket(connect("retention"), eventlog.HoldBucket))
	now := time.Now()

	gone, kept := valid(), valid()
	gone.Name, gone.Reason = "marked-name-1", "A marked reason, file 1"
	kept.Name, kept.Reason = "marked-name-2", "A marked reason, file 2"
	for _, h := range []hold.Hold{gone, kept} {
		must(store.Add(t.Context(), h))
		for floor := range uint64(5) { // ranges that were copied
			must(store.SetFloor(t.Context(), h.ID, floor+1, 2*floor))
		}
	}
	found := func(h hold.Hold) (name, reason int) {
		t.Helper()
		must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			name, reason = name+bytes.Count(b, []byte(h.Name)), reason+bytes.Count(b, []byte(h.Reason))
			return err
		}))
		return name, reason
	}
	look := func(when string, h hold.Hold, want int) {
		t.Helper()
		if name, reason := found(h); name != want || reason != want {
			t.Errorf("%s: the files hold the name %d times and the reason %d times, want %d", when, name, reason, want)
		}
	}
	_, err = store.Release(t.Context(), gone.ID)
	must(err)
	must(store.Forget(t.Context(), now))
	for _, h := range []hold.Hold{gone, kept} {
		got, err := store.Get(t.Context(), h.ID)
		if err != nil || got.Name != h.Name || got.Reason != h.Reason {
			t.Errorf("a hold that has not ended has lost its name or its reason: %v", err)
		}
		look("before the end", h, 1) // the control
	}

	must(retention.End(t.Context(), gone.ID))
	want := gone
	want.Name, want.Reason, want.State, want.Floor, want.Upto, want.Rows = "", "", hold.Ended, 5, 5, 8
	ended := func() {
		t.Helper()
		all, err := store.List(t.Context())
		must(err)
		for _, got := range all {
			if got.ID != gone.ID {
				continue
			}
			if diff := cmp.Diff(want, got); diff != "" || got.Called() != gone.ID {
				t.Errorf("of the hold that ended there is (-want +got):\n%s", diff)
			}
			return
		}
		t.Error("the hold that ended is not listed")
	}
	ended()
	for range 2 {
		must(store.Forget(t.Context(), now))
	}
	ended()
	look("after the end", gone, 0)
	look("after the end of another", kept, 1)
	must(store.Add(t.Context(), func() hold.Hold { h := valid(); h.Name = gone.Name; return h }()))
}
