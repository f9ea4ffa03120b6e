package hold_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// CheckWorld holds the copies of a hold against what they should be: rows of
// each frame, and as many in the tables as in the stream, the same.
func (s *site) CheckWorld(h hold.Hold, want map[uint64]int) {
	s.t.Helper()
	rows, frames := s.heldFrames(h)
	inTables := s.heldRows(h)
	slices.Sort(inTables)
	if diff := cmp.Diff(rows, inTables); diff != "" {
		s.t.Errorf("the stream and the tables hold other rows (-stream +tables):\n%s", diff)
	}
	got := map[uint64]int{}
	total := 0
	for seq, n := range want {
		total += n
		for _, r := range rows {
			if strings.HasPrefix(r, fmt.Sprint(seq, " ")) {
				got[seq]++
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(rows) != total || frames != len(want) {
		s.t.Errorf("%d rows in %d frames are held, want %d in %d (-want +got):\n%s", len(rows), frames, total, len(want), diff)
	}
	if record := s.get(h); record.Rows != uint64(total) || record.Frames != uint64(len(want)) || record.Upto > record.Floor {
		s.t.Errorf("the record says %d rows, %d frames, floor %d, up to %d", record.Rows, record.Frames, record.Floor, record.Upto)
	}
}

func TestHoldKeepsWhatItCoversAndItsCopiesAgree(t *testing.T) {
	s := start(t)
	first := s.publish("shop", s.now.Add(-time.Hour), 5)
	s.publish("blog", s.now.Add(-time.Hour), 7)
	s.publishAs("other", "shop", s.now.Add(-time.Hour), 11, "")
	s.publish("shop", s.now.AddDate(0, 0, -30).Add(-time.Minute), 13) // past its rule, and not yet removed
	partly := s.publish("shop", s.now.AddDate(0, 0, -2), 17)          // from the 10th millisecond on
	s.publish("shop", s.now.AddDate(0, 0, -10), 19)                   // before
	s.load()
	h := s.add(func(h *hold.Hold) {
		h.Services, h.Tables = []string{"shop"}, []string{"visit"}
		h.From = s.now.AddDate(0, 0, -2).Add(9 * time.Millisecond)
	})
	s.copy()
	want := map[uint64]int{first: 5, partly: 8}
	s.CheckWorld(h, want)

	// What comes later is copied too, once.
	later := s.publish("shop", s.now.Add(-time.Minute), 23)
	s.copy() // not loaded: nothing to copy yet
	s.CheckWorld(h, want)
	s.load()
	s.copy()
	s.copy()
	want[later] = 23
	s.CheckWorld(h, want)
	if record := s.get(h); record.Floor != later {
		t.Errorf("the floor is %d, want %d", record.Floor, later)
	}
	if diff := cmp.Diff([]audit.Hold{
		{Verb: "copied", ID: h.ID, Deadline: h.Deadline, Floor: later - 1, Rows: 13, Frames: 2},
		{Verb: "copied", ID: h.ID, Deadline: h.Deadline, Floor: later, Rows: 36, Frames: 3},
	}, s.recorded()); diff != "" {
		t.Errorf("on record (-want +got):\n%s", diff)
	}
}

// TestHeldCopiesOutliveTheOriginals: P12 for the end. Without the hold nothing
// is left (control).
func TestHeldCopiesOutliveTheOriginalsAndEndWithTheHold(t *testing.T) {
	s := start(t)
	held := s.publish("shop", s.now.Add(-time.Hour), 5)
	s.publish("blog", s.now.Add(-time.Hour), 7)
	s.load()
	h := s.add(func(h *hold.Hold) { h.Services = []string{"shop"} })
	s.copy()

	// The originals expire.
	table, _ := s.pol.Table("visit")
	day := event.DayOf(table.Class.ExpiresAt(s.now))
	originals, err := s.retention.Partitions(t.Context())
	s.must(err)
	for _, p := range originals {
		s.must(s.retention.DropIn(t.Context(), warehouse.DefaultDatabase, p.Table, p.Day))
	}
	frame, err := s.log.Get(t.Context(), eventlog.CleanStream, held)
	s.must(err)
	header, sealed, err := event.Unpack(frame.Data)
	s.must(err)
	open := func() error {
		_, err := s.keys.Loader().OpenClean(t.Context(), "acme", table.Class.KeyName(), string(day), header, sealed)
		return err
	}
	s.must(open())
	s.must(s.keys.Retention().DestroyClean(t.Context(), table.Class.KeyName(), string(day)))
	if err := open(); !errors.Is(err, keyring.ErrDestroyed) {
		t.Fatalf("the original opens: %v", err)
	}
	s.CheckWorld(h, map[uint64]int{held: 5})
	s.copy()
	s.CheckWorld(h, map[uint64]int{held: 5})

	// The hold ends: what retention does, as retention.
	frames, err := s.log.Last(t.Context(), eventlog.HoldStream, h.Topics())
	s.must(err)
	_, err = s.store.Release(t.Context(), h.ID)
	s.must(err)
	if !s.get(h).Due(s.now) {
		t.Fatal("a released hold is not due")
	}
	later := s.publish("shop", s.now.AddDate(0, 0, -1), 3)
	s.load()
	s.copy() // copies no more
	nc := s.connect("retention")
	log := eventlog.NewLog(nc)
	s.must(s.retention.DropHeld(t.Context(), h.ID))
	_, err = log.Purge(t.Context(), eventlog.HoldStream, h.Topics(), 0)
	s.must(err)
	class, until := h.Key()
	s.must(s.keys.Retention().DestroyClean(t.Context(), class, until))
	s.must(hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket)).End(t.Context(), h.ID))
	if _, _, _, err := hold.Open(t.Context(), s.keys.Loader(), frames.Data); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("a copy of a frame opens: %v", err)
	}
	if rows := s.heldRows(h); len(rows) != 0 {
		t.Errorf("%d rows are left", len(rows))
	}
	if n, err := s.retention.CountHeld(t.Context(), h.ID); n != 0 || err != nil {
		t.Errorf("%d rows are left: %v", n, err)
	}
	if topics, err := s.log.Topics(t.Context(), eventlog.HoldStream, h.Topics()); len(topics) != 0 || err != nil {
		t.Errorf("frames are left: %v", err)
	}
	s.copy()
	if got := s.get(h); got.State != hold.Ended || got.Due(s.now.AddDate(9, 0, 0)) || got.Floor >= later {
		t.Errorf("the hold is %s with floor %d", got.State, got.Floor)
	}
}

// Retention removes the copies of a hold when it is released; what a copier
// adds after that would stay. So nothing is removed while a range is under way,
// and none begins afterwards.
func TestReleaseWaitsForTheCopierAndStopsIt(t *testing.T) {
	s := start(t)
	seq := s.publish("shop", s.now, 5)
	s.load()
	h := s.add(nil)
	c := s.config()
	c.Warehouse = released{c.Warehouse, func() {
		_, err := s.store.Release(t.Context(), h.ID)
		s.must(err)
		if s.get(h).Due(s.now) {
			t.Error("a hold is due while it is being copied")
		}
	}}
	s.must(copier(t, c).Copy(t.Context()))
	if got := s.get(h); !got.Due(s.now) || got.State != hold.Released {
		t.Errorf("the hold is %s, and due %v", got.State, got.Due(s.now))
	}
	s.CheckWorld(h, map[uint64]int{seq: 5})

	// A copier that died in a range is followed by one that lets go of it.
	h = s.add(nil)
	c = s.config()
	f := &faults{at: 6, dead: true}
	if err := copier(t, f.in(c)).Copy(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("a copier that died says %v", err)
	}
	if got := s.get(h); got.Upto == 0 {
		t.Fatal("the copier did not die in a range")
	}
	_, err := s.store.Release(t.Context(), h.ID)
	s.must(err)
	if s.get(h).Due(s.now) {
		t.Error("a hold is due while it may be being copied")
	}
	next := copier(t, s.config())
	next.DisrespectLeases()
	s.must(next.Copy(t.Context()))
	if !s.get(h).Due(s.now) {
		t.Error("nobody let go of the range")
	}
}

func TestNothingIsCopiedAfterTheDeadline(t *testing.T) {
	s := start(t)
	h := s.add(func(h *hold.Hold) { h.Deadline = event.DayOf(s.now.AddDate(0, 0, 1)) })
	seq := s.publish("shop", s.now, 5)
	s.load()
	s.copy()
	s.CheckWorld(h, map[uint64]int{seq: 5})
	// Lethe's clock decides, not the wall's.
	_, err := s.retention.Advance(t.Context(), h.Deadline.End())
	s.must(err)
	s.publish("shop", s.now, 5)
	s.load()
	s.copy()
	s.CheckWorld(h, map[uint64]int{seq: 5})
	if !s.get(h).Due(h.Deadline.End()) {
		t.Error("the hold is not due")
	}
}

func TestCopierThatIsWokenCopiesAtOnce(t *testing.T) {
	s := start(t)
	seq := s.publish("shop", s.now, 5)
	s.load()
	c := s.config()
	c.Every = 24 * time.Hour
	run := copier(t, c)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- run.Run(ctx, func() { close(ready) }) }()
	<-ready
	h := s.add(nil)
	run.Wake()
	for deadline := time.Now().Add(time.Minute); s.get(h).Floor < seq; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is copied")
		}
	}
	stop()
	s.must(<-done)
	s.CheckWorld(h, map[uint64]int{seq: 5})
}

// A frame may be as large as a message can be, and its copy says more.
func TestLargestFrameIsCopied(t *testing.T) {
	s := start(t)
	noise := func(n int) string {
		b := make([]byte, n)
		_, _ = rand.Read(b) // never fails
		return string(b)
	}
	size := func(seq uint64) int {
		msg, err := s.log.Get(t.Context(), eventlog.CleanStream, seq)
		s.must(err)
		return len(msg.Data)
	}
	const some = 800_000
	first := s.publishAs("acme", "shop", s.now, 1, noise(some))
	last := s.publishAs("acme", "shop", s.now, 1, noise(some+eventlog.LargestData-size(first)))
	if got := size(last); got != eventlog.LargestData {
		t.Fatalf("the frame measures %d bytes", got)
	}
	s.load()
	h := s.add(nil)
	s.copy()
	s.CheckWorld(h, map[uint64]int{first: 1, last: 1})
}
