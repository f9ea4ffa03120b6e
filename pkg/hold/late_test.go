package hold_test

import (
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/hold"
)

// pass lets time go by, for the copier and for the warehouse.
func (s *site) pass(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	_, err := s.retention.Advance(s.t.Context(), s.now)
	s.must(err)
}

// TestALateCopierLosesNothingThatAHoldCovers: what was inside its rule when the
// hold was added is held, whenever the copier comes. What was past it is not
// brought back. The control is a hold that is added when the copier comes.
func TestALateCopierLosesNothingThatAHoldCovers(t *testing.T) {
	s := start(t)
	oldest := s.now.AddDate(0, 0, -30)
	s.publish("shop", oldest.Add(-time.Minute), 3)
	partly := s.publish("shop", oldest.Add(-10*time.Millisecond), 13) // 11 of them past it, and the last two not
	expiring := s.publish("shop", oldest.Add(time.Minute), 5)
	young := s.publish("shop", s.now.Add(-time.Hour), 7)
	s.load()
	h := s.add(nil)
	late := s.publish("shop", oldest.Add(2*time.Minute), 11) // inside its rule when the hold was added, and loaded later
	s.pass(time.Hour)
	s.load()
	control := s.add(nil)
	s.copy()
	s.CheckWorld(h, map[uint64]int{partly: 2, expiring: 5, young: 7, late: 11})
	s.CheckWorld(control, map[uint64]int{young: 7})
}

// TestARuleThatChangesTakesNothingFromAHold: a shorter rule that comes after the
// hold lets nothing go that it covers, and one that came before brings nothing
// back. A longer one covers what came under it.
func TestARuleThatChangesTakesNothingFromAHold(t *testing.T) {
	s := start(t)
	age := func(days int) time.Time { return s.now.AddDate(0, 0, -days) }
	young, middle := s.publish("shop", age(5), 3), s.publish("shop", age(20), 5)
	s.load()
	before := s.add(nil)
	s.pol = compileWith(t, "10 days")
	after := s.add(nil)
	s.copy()
	s.CheckWorld(before, map[uint64]int{young: 3, middle: 5})
	s.CheckWorld(after, map[uint64]int{young: 3})

	s.pol = compileWith(t, "60 days")
	old := s.publish("shop", age(40), 7)
	s.load()
	s.copy()
	s.CheckWorld(before, map[uint64]int{young: 3, middle: 5, old: 7})
	s.CheckWorld(after, map[uint64]int{young: 3, old: 7})
}

// A hold of which nothing is known but when it was added has today's rules.
func TestAHoldWithoutRulesHasThoseOfToday(t *testing.T) {
	s := start(t)
	young := s.publish("shop", s.now.AddDate(0, 0, -5), 3)
	s.publish("shop", s.now.AddDate(0, 0, -20), 5)
	s.load()
	h := s.add(func(h *hold.Hold) { h.Rules = nil })
	s.pol = compileWith(t, "10 days")
	s.copy()
	s.CheckWorld(h, map[uint64]int{young: 3})
}
