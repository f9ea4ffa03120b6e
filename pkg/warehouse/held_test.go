package warehouse_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// An insert whose outcome was unknown may still be under way when it is made
// again, and then neither sees the other's rows. What keeps them apart is the
// token alone.
func TestInsertUnderWayTwiceIsThereOnce(t *testing.T) {
	s := start(t)
	s.applied()
	loader, w := s.as(warehouse.UserLoader), s.as(warehouse.UserHold)
	for seq := range uint64(40) {
		// Many parts and blocks: the insert is one block all the same.
		s.visits(loader, "acme", "shop", seq+1, time.Now(), 400)
	}
	h := s.held(0, 40)
	held := func(want uint64) {
		t.Helper()
		if n, err := w.CountHeld(t.Context(), holdID); err != nil || n != want {
			t.Fatalf("%d rows are held, want %d: %v", n, want, err)
		}
	}
	if err := warehouse.InsertHeld(t.Context(), w, s.table("visit"), h, 0); err != nil {
		t.Fatal(err)
	}
	held(16_000)
	if n := one[uint64](t, s.as(warehouse.UserVerify), "SELECT count() FROM system.parts WHERE database = 'lethe_hold' AND table = 'visit' AND active"); n != 1 {
		t.Fatalf("the insert was %d blocks", n)
	}
	// The source lies in other parts than it did, and has lost some rows.
	if err := exec(t.Context(), s.as(warehouse.UserRetention), "ALTER TABLE lethe.visit DELETE WHERE log_seq = 7 SETTINGS mutations_sync = 2"); err != nil {
		t.Fatal(err)
	}
	s.visits(loader, "acme", "blog", 3, time.Now(), 400)
	if err := warehouse.InsertHeld(t.Context(), w, s.table("visit"), h, 0); err != nil {
		t.Fatal(err)
	}
	held(16_000)
	// The control: with another token they are there twice.
	if err := warehouse.InsertHeld(t.Context(), w, s.table("visit"), h, 1); err != nil {
		t.Fatal(err)
	}
	held(32_000)
}

// TestAHeldInsertThatAKillUndidIsMadeAgain: P18. The engine knows its token and
// has none of its rows. A mutation leaves the token, as the engine's rename that
// never came does. The control trusts the token.
func TestAHeldInsertThatAKillUndidIsMadeAgain(t *testing.T) {
	s := start(t)
	s.applied()
	loader, w := s.as(warehouse.UserLoader), s.as(warehouse.UserHold)
	s.visits(loader, "acme", "shop", 1, time.Now(), 7)
	h := s.held(0, 1)
	insert := func() {
		t.Helper()
		if err := warehouse.InsertHeld(t.Context(), w, s.table("visit"), h, 0); err != nil {
			t.Fatal(err)
		}
	}
	held := func(want uint64) {
		t.Helper()
		if n, err := w.CountHeld(t.Context(), holdID); err != nil || n != want {
			t.Fatalf("%d rows are held, want %d: %v", n, want, err)
		}
	}
	undo := func() {
		t.Helper()
		held(7)
		if err := exec(t.Context(), s.as(warehouse.UserRetention), "ALTER TABLE lethe_hold.visit DELETE WHERE 1 SETTINGS mutations_sync = 2"); err != nil {
			t.Fatal(err)
		}
	}
	insert()
	undo()
	insert() // the control
	held(0)
	for range 2 { // also when what was made again is undone
		if n := s.copy(w, h); n != 7 {
			t.Fatalf("%d rows are held, want 7", n)
		}
		undo()
	}
}

// TestWhatAHoldCoversIsJudgedAtItsInstant, by the rule of then and by today's.
// The control judges at present.
func TestWhatAHoldCoversIsJudgedAtItsInstant(t *testing.T) {
	s := start(t)
	s.applied()
	loader := s.as(warehouse.UserLoader)
	at := time.Now().UTC().Truncate(time.Millisecond).AddDate(0, 0, -1)
	ago := func(days int) time.Time { return at.AddDate(0, 0, -days) }
	s.visits(loader, "acme", "shop", 1, ago(30), 1)                       // past its rule at that instant
	s.visits(loader, "acme", "shop", 2, ago(30).Add(time.Millisecond), 2) // and inside it
	s.visits(loader, "acme", "shop", 3, ago(30).Add(12*time.Hour), 4)     // past it at present
	s.visits(loader, "acme", "shop", 4, ago(20), 8)
	s.visits(loader, "acme", "shop", 5, ago(5), 16)
	n := 0
	for what, c := range map[string]struct {
		change func(*warehouse.Held)
		want   uint64
	}{
		"at present":                       {func(h *warehouse.Held) { h.At = time.Time{} }, 8 + 16},
		"at the instant":                   {func(*warehouse.Held) {}, 2 + 4 + 8 + 16},
		"when the rule was longer":         {func(h *warehouse.Held) { h.Rules = rules(60, 0) }, 2 + 4 + 8 + 16},
		"when the rule was shorter":        {func(h *warehouse.Held) { h.Rules = rules(10, 0) }, 2 + 4 + 8 + 16},
		"when the rule was one of a month": {func(h *warehouse.Held) { h.Rules = rules(0, 1) }, 2 + 4 + 8 + 16},
		"by another table's rule":          {func(h *warehouse.Held) { h.Rules = map[string]policy.Period{"other": {Days: 1}} }, 2 + 4 + 8 + 16},
	} {
		h := s.held(0, 5)
		n++
		h.Hold, h.At = fmt.Sprint("case", n), at
		c.change(&h)
		if n := s.copy(s.as(warehouse.UserHold), h); n != c.want {
			t.Errorf("%s: %d rows are held, want %d", what, n, c.want)
		}
	}
	// Under a rule of today that is shorter, that of then decides.
	shorter, _ := policyWith(t, "7 days").Table("visit")
	for days, want := range map[int]uint64{7: 16, 25: 8 + 16, 30: 2 + 4 + 8 + 16} {
		h := s.held(0, 5)
		h.Hold, h.At, h.Rules = fmt.Sprint("shorter", days), at, rules(days, 0)
		n, err := s.as(warehouse.UserHold).CopyHeld(t.Context(), shorter, h)
		if err != nil || n != want {
			t.Errorf("when the rule was %d days, %d rows are held, want %d: %v", days, n, want, err)
		}
	}
}

func rules(days, months int) map[string]policy.Period {
	return map[string]policy.Period{"visit": {Days: days, Months: months}}
}

func TestRangeOfAHoldIsNoLargerThanOneInsert(t *testing.T) {
	s := start(t)
	s.applied()
	loader, w := s.as(warehouse.UserLoader), s.as(warehouse.UserHold)
	defer warehouse.SetMaxHeldRows(10)()
	for seq := range uint64(6) {
		s.visits(loader, "acme", "shop", 10*(seq+1), time.Now(), 4)
	}
	var ends []uint64
	for since := uint64(0); since < 65; {
		h := s.held(since, 65)
		through, err := w.HeldThrough(t.Context(), warehouse.HoldTables(s.pol), h)
		if err != nil {
			t.Fatal(err)
		}
		h.Through = through
		if n := s.copy(w, h); n > 10 {
			t.Errorf("%d rows through %d", n, through)
		}
		ends = append(ends, through)
		since = through
	}
	if diff := cmp.Diff([]uint64{29, 49, 65}, ends); diff != "" {
		t.Error(diff)
	}
	if n, err := w.CountHeld(t.Context(), holdID); err != nil || n != 24 {
		t.Errorf("%d rows are held: %v", n, err)
	}
}
