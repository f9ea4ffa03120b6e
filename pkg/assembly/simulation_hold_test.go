package assembly_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/lethe-pipeline/lethe/pkg/access"
	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/hold"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

// heldTable and heldService are what the legal hold of a simulation covers.
const heldTable, heldService = "app_log", "shop"

// held is a legal hold and what it must keep.
type held struct {
	hold.Hold
	rows  uint64
	frame []byte // one of its copies
	kept  bool   // it was seen to open after its original's key was destroyed
	ended bool
}

// startHolds makes what keeps and copies legal holds.
func (s *site) startHolds() {
	s.t.Helper()
	nc := s.connect("compliance", &s.flow)
	w := s.as(warehouse.UserHold, &s.flow)
	recorder := s.recorder("compliance", &s.flow)
	s.holds = hold.NewStore(eventlog.OpenBucket(nc, eventlog.HoldBucket))
	var err error
	s.copier, err = hold.NewCopier(hold.CopierConfig{
		Policy: s.pol, Bucket: eventlog.OpenBucket(nc, eventlog.HoldBucket), Log: eventlog.NewLog(nc),
		Appender: s.writer(nc, eventlog.HoldStream), Keys: s.keys.Hold(), Warehouse: w,
		Recorder: recorder.As("hold"), Logger: s.log, Now: s.clock,
	})
	s.must(err)
	s.keeper, err = hold.NewKeeper(hold.KeeperConfig{
		Policy: s.pol, Store: s.holds, Gate: s.gate, Logger: s.log, Clock: w.Clock, Now: s.clock,
		As: func(credential string) audit.Recorder { return recorder.As(credential) },
	})
	s.must(err)
}

// addHold is an officer's act.
func (s *simulation) addHold() {
	s.t.Helper()
	until := event.DayOf(s.begin.AddDate(0, 0, s.holdUntil))
	h, err := s.keeper.Add(s.t.Context(), access.Principal{ID: "officer", Role: access.Officer, Tenant: tenant}, hold.Request{
		Name: "inquiry", Reason: "A regulator asks for the logs of the shop.", Until: until,
		Tables: []string{heldTable}, Services: []string{heldService},
	})
	s.must(err)
	s.held = &held{Hold: h}
	for c, n := range s.w.selectable(s.clock()) {
		if c.table == heldTable && c.service == heldService {
			s.held.rows += n
		}
	}
}

// holdToday adds the hold on its day, and has what came today copied. What came
// is stored is how many rows of the held table and service were.
func (s *simulation) holdToday(day int, stored uint64) {
	s.t.Helper()
	switch {
	case s.holdAt > 0 && day == s.holdAt:
		s.addHold()
	case s.held == nil || s.held.Over(s.clock()):
		return
	default:
		s.held.rows += stored
	}
	s.must(s.copier.Copy(s.t.Context()))
}

// checkHold looks for what the hold keeps: all of it until the deadline, and
// nothing after a run behind it.
func (s *simulation) checkHold() (problems []string) {
	s.t.Helper()
	h := s.held
	if h == nil || h.ended {
		return nil
	}
	ctx := s.t.Context()
	rows, err := s.verify.CountHeld(ctx, h.ID)
	s.must(err)
	topics, err := s.all.Topics(ctx, eventlog.HoldStream, h.Topics())
	s.must(err)
	opens := s.opensHeld(ctx)
	if !h.Deadline.End().After(s.w.ran) {
		h.ended = true
		if now, err := s.holds.Get(ctx, h.ID); err != nil || now.State != hold.Ended {
			problems = append(problems, "the hold has not ended after its deadline")
		}
		if rows > 0 || len(topics) > 0 || opens {
			problems = append(problems, fmt.Sprintf("of the hold %d rows and %d topics are left after its deadline, and its key is %v",
				rows, len(topics), opens))
		}
		return problems
	}
	if h.Over(s.w.tried) {
		return nil // its deadline has passed, and no run has ended since
	}
	if rows != h.rows || len(topics) == 0 || !opens {
		problems = append(problems, fmt.Sprintf("the hold keeps %d rows and should %d, on %d topics, and that its frames open is %v",
			rows, h.rows, len(topics), opens))
	}
	return problems
}

// opensHeld says whether a copied frame opens. It is the first that was copied,
// so its original has expired for most of the time.
func (s *simulation) opensHeld(ctx context.Context) bool {
	s.t.Helper()
	if s.held.frame == nil {
		m, err := s.all.Next(ctx, eventlog.HoldStream, 1)
		s.must(err)
		s.held.frame = m.Data
	}
	h, _, rows, err := hold.Open(ctx, s.keys.Loader(), s.held.frame)
	if errors.Is(err, keyring.ErrDestroyed) {
		return false
	}
	s.must(err)
	if len(rows) != h.Count || h.Count == 0 {
		s.t.Errorf("a frame of the hold has %d rows and says %d", len(rows), h.Count)
	}
	if s.w.over(s.keyEnd(keyring.KeyInfo{Kind: keyring.KindClean, Class: h.Class, Start: h.Day.Start()})) {
		s.held.kept = true
	}
	return true
}
