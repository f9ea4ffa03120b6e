package retention_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/lethetest"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// held puts the record of a hold into its bucket, as the copier does.
func (s *site) held(h hold.Hold) *hold.Store {
	s.t.Helper()
	bucket := eventlog.OpenBucket(s.all, eventlog.HoldBucket)
	store := hold.NewStore(bucket)
	value, err := json.Marshal(h)
	must(s.t, err)
	_, err = bucket.Put(s.t.Context(), "hold/"+h.ID, value)
	must(s.t, err)
	if got, err := store.Get(s.t.Context(), h.ID); err != nil || got.Floor != h.Floor {
		s.t.Fatalf("the hold is %+v, %v", got, err)
	}
	return store
}

func (s *site) aHold() hold.Hold {
	return hold.Hold{
		ID: hold.NewID(), Name: "case-1", Reason: "a case before a court", By: "officer", Added: s.now,
		Deadline: event.DayOf(s.now.AddDate(0, 0, 90)), Tenant: "acme", Tables: []string{s.table.Name}, State: hold.Active,
	}
}

func TestWhatAHoldHasNotCopiedStays(t *testing.T) {
	s := start(t)
	f := s.store(s.in(-1), 3)
	h := s.aHold()
	s.held(h) // nothing is copied
	r := s.retention()
	s.now = s.in(5).Start() // long past the grace
	must(t, r.Once(t.Context()))
	if s.there(f.day) != 3 || !s.opens(f) || s.frames(f.day) != 1 {
		t.Fatal("something went that a hold covers and has not copied")
	}
	if n := r.Numbers()["held_back"]; n != 2 {
		t.Errorf("%v things wait, want the partition and the key", n)
	}
	h.Floor = f.seq
	s.held(h)
	must(t, r.Once(t.Context()))
	if s.there(f.day) != 0 || s.opens(f) || s.frames(f.day) != 0 {
		t.Error("after it was copied, it stays")
	}
	s.addsUp()
}

func TestAHoldOfAnotherTableKeepsNothing(t *testing.T) {
	s := start(t)
	f := s.store(s.in(-1), 3)
	h := s.aHold()
	h.Tables = []string{"app_log"}
	s.held(h)
	s.run()
	if s.there(f.day) != 0 || s.opens(f) {
		t.Error("it keeps a table that it does not cover")
	}
}

func TestWhoeverCannotSeeTheHoldsRemovesNothing(t *testing.T) {
	s := start(t)
	f := s.store(s.in(-1), 3)
	store := s.config.Holds
	s.config.Holds = memoryHolds{&world{fail: func(string) error { return fault.Unavailable.Errorf("the bucket is away") }}}
	if err := s.retention().Once(t.Context()); !errors.Is(err, fault.Unavailable) {
		t.Errorf("the run ended with %v", err)
	}
	if s.there(f.day) != 3 || !s.opens(f) || s.frames(f.day) != 1 {
		t.Error("something went that a hold may cover")
	}
	s.config.Holds = store
	s.run()
	if s.there(f.day) != 0 || s.opens(f) {
		t.Error("with the holds in sight it stays")
	}
}

// What a hold kept goes when it is released, whatever a crash leaves of that.
func TestWhatAHoldKeptGoesWhenItIsReleased(t *testing.T) {
	s := start(t)
	keeper := s.as(warehouse.UserHold)
	for _, point := range []string{"", "hold_announced", "hold_rows", "hold_key", "hold_frames"} {
		t.Run("crash at "+point, func(t *testing.T) {
			s.t = t
			ctx := t.Context()
			h := s.aHold()
			f := s.store(s.in(3), 3)
			if n, err := keeper.CopyHeld(ctx, s.table, warehouse.Held{Hold: h.ID, Until: h.Deadline, Tenant: h.Tenant, Since: f.seq - 1, Through: f.seq}); err != nil || n != 3 {
				t.Fatalf("%d rows were copied: %v", n, err)
			}
			h.Floor, h.Rows, h.Frames = f.seq, 3, 1
			store := s.held(h)
			class, day := h.Key()
			sealed, err := s.keys.Hold().SealClean(ctx, "acme", class, day, nil, []byte("body"))
			must(t, err)
			w := eventlog.NewWriter(s.all, eventlog.WriterConfig{Stream: eventlog.HoldStream, Log: lethetest.Logger(t)})
			t.Cleanup(func() { _ = w.Close(ctx) })
			_, err = w.Append(ctx, []eventlog.Message{{Topic: event.HoldTopic(h.ID, s.table.Name), Data: sealed}})
			must(t, err)
			left := func() (rows, frames uint64, opens bool, state hold.State) {
				t.Helper()
				rows, err := keeper.CountHeld(ctx, h.ID)
				must(t, err)
				info, err := s.log.Info(ctx, eventlog.HoldStream)
				must(t, err)
				_, err = s.keys.Hold().OpenClean(ctx, "acme", class, day, nil, sealed)
				if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
					t.Fatal(err)
				}
				now, getErr := store.Get(ctx, h.ID)
				must(t, getErr)
				return rows, info.Messages, err == nil, now.State
			}
			s.run() // the control: an active hold keeps what it has
			if rows, frames, opens, state := left(); rows != 3 || frames != 1 || !opens || state != hold.Active {
				t.Fatalf("an active hold has %d rows, %d frames, opens %v, %s", rows, frames, opens, state)
			}
			_, err = store.Release(ctx, h.ID)
			must(t, err)
			if point != "" {
				s.crash(point)
			}
			s.run()
			if rows, frames, opens, state := left(); rows != 0 || frames != 0 || opens || state != hold.Ended {
				t.Errorf("a released hold has %d rows, %d frames, opens %v, %s", rows, frames, opens, state)
			}
			ended := 0
			for _, e := range s.recorded(audit.KindHold) {
				var d audit.Hold
				must(t, json.Unmarshal(e.Detail, &d))
				if d.Verb == "ended" && d.ID == h.ID {
					ended++
				}
			}
			if ended == 0 || point == "" && ended > 1 {
				t.Errorf("its end is on record %d times", ended)
			}
			if s.there(f.day) == 0 || !s.opens(f) {
				t.Error("the originals went with the copies")
			}
		})
	}
}

func TestAHoldEndsAtItsDeadline(t *testing.T) {
	s := start(t)
	h := s.aHold()
	store := s.held(h)
	s.now = h.Deadline.End().Add(-1)
	s.run()
	if now, err := store.Get(t.Context(), h.ID); err != nil || now.State != hold.Active {
		t.Errorf("before its deadline it is %s, %v", now.State, err)
	}
	s.now = h.Deadline.End()
	s.run()
	if now, err := store.Get(t.Context(), h.ID); err != nil || now.State != hold.Ended {
		t.Errorf("after its deadline it is %s, %v", now.State, err)
	}
}
