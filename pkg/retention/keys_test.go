package retention_test

import (
	"errors"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// rawFrame puts a frame of the present hour on the raw log and says whether it
// opens.
func (s *site) rawFrame() (opens func() bool) {
	s.t.Helper()
	ctx := s.t.Context()
	aad := []byte("header")
	frame, err := s.keys.Gateway().SealRaw(ctx, "acme", s.now, aad, []byte("body"))
	must(s.t, err)
	_, err = s.raw.Append(ctx, []eventlog.Message{{Topic: event.RawTopic("acme", "web", "http_access", 0), Data: event.Pack(aad, frame)}})
	must(s.t, err)
	return func() bool {
		s.t.Helper()
		_, err := s.keys.Pseudonymizer().OpenRaw(ctx, "acme", aad, frame)
		if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
			s.t.Fatal(err)
		}
		return err == nil
	}
}

func TestARawHourIsDestroyedWhenItIsTreatedAndThreeDaysOld(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	opens := s.rawFrame()
	begin := s.now
	s.now = begin.Add(80 * time.Hour)
	s.run()
	if !opens() {
		t.Fatal("an hour that was not treated was destroyed after three days")
	}
	r, err := eventlog.OpenReader(ctx, s.all, eventlog.ReaderConfig{Stream: eventlog.RawStream, Durable: eventlog.RawConsumer, Log: s.config.Logger})
	must(t, err)
	t.Cleanup(func() { _ = r.Close() })
	msgs, err := r.Fetch(ctx, 10, 1<<20, time.Second)
	must(t, err)
	must(t, r.AckThrough(ctx, msgs[len(msgs)-1].Seq))
	s.now = begin.Add(70 * time.Hour)
	s.run()
	if opens() {
		// 80 hours have been seen, and the clock does not go back.
		t.Error("a treated hour of 80 hours outlived its rule")
	}
	info, err := s.log.Info(ctx, eventlog.RawStream)
	must(t, err)
	if info.Messages != 0 || s.lost() != 0 {
		t.Errorf("%d frames that nobody can open are still on the raw log, %d are lost", info.Messages, s.lost())
	}
}

func TestAnUntreatedRawHourIsDestroyedAtTheCapAndItsFramesAreCounted(t *testing.T) {
	s := start(t)
	opens := s.rawFrame()
	s.rawFrame()
	s.now = s.now.AddDate(0, 0, 29)
	s.run()
	if !opens() || s.lost() != 0 {
		t.Fatal("it did not live until the cap")
	}
	s.now = s.now.AddDate(0, 0, 2)
	s.run()
	if opens() {
		t.Error("a raw hour of 31 days still opens")
	}
	if n := s.lost(); n != 2 {
		t.Errorf("%d frames are on record as lost, want 2", n)
	}
	info, err := s.log.Info(t.Context(), eventlog.RawStream)
	must(t, err)
	if info.Messages != 0 {
		t.Errorf("%d frames that nobody can open are still on the raw log", info.Messages)
	}
}

// TestAnEpochIsDestroyedWhenItsLastTokenHasExpired: P5.
func TestAnEpochIsDestroyedWhenItsLastTokenHasExpired(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	d := s.table.Domain
	epoch := d.Epoch(s.now)
	key := keyring.TokenKey{Domain: d.Name, Tenant: "acme", Service: "web", Kind: "ip", Epoch: epoch}
	if _, err := s.keys.Pseudonymizer().Tokenizer(ctx, key); err != nil {
		t.Fatal(err)
	}
	last := s.table.Class.Period.After(d.EpochEnd(epoch).Add(d.Bridge)) // the last row with a token of the epoch expires
	s.now = last.Add(-time.Hour)
	s.run()
	if _, err := s.keys.Pseudonymizer().Tokenizer(ctx, key); err != nil {
		t.Fatalf("the epoch was destroyed while a row still bore its token: %v", err)
	}
	s.now = last.AddDate(0, 0, 2)
	s.run()
	if _, err := s.keys.Pseudonymizer().Tokenizer(ctx, key); !errors.Is(err, keyring.ErrDestroyed) {
		t.Errorf("the epoch outlived its last token (%v)", err)
	}
}

func TestAQuarantineDayIsDestroyedAfterItsRuleAndItsFramesArePurged(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	frame, err := s.keys.Pseudonymizer().SealQuarantine(ctx, "acme", s.now, nil, []byte("body"))
	must(t, err)
	for range 3 {
		_, err = s.bad.Append(ctx, []eventlog.Message{{Topic: event.QuarantineTopic("acme", "web", "http_access"), Data: event.Pack(nil, frame)}})
		must(t, err)
	}
	left := func() uint64 {
		t.Helper()
		info, err := s.log.Info(ctx, eventlog.QuarantineStream)
		must(t, err)
		return info.Messages
	}
	s.now = s.now.AddDate(0, 0, 29)
	s.run()
	if _, err := s.keys.Pseudonymizer().OpenQuarantine(ctx, "acme", nil, frame); err != nil || left() != 3 {
		t.Fatalf("of quarantine frames of 29 days %d are left, and one does not open: %v", left(), err)
	}
	s.now = s.now.AddDate(0, 0, 3)
	s.run()
	if _, err := s.keys.Pseudonymizer().OpenQuarantine(ctx, "acme", nil, frame); !errors.Is(err, keyring.ErrDestroyed) || left() != 0 {
		t.Errorf("of quarantine frames of 32 days %d are left, and one still opens (%v)", left(), err)
	}
}
