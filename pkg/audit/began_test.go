package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// follow sequences with a recorder, as compliance does, until everything that
// the stream holds is in a tree.
func (s *site) follow(l *audit.Log) (*audit.Sequencer, error) {
	s.Helper()
	cfg := s.config(l)
	cfg.Recorder = s.recorder(func() time.Time { return today }).As("audit")
	sq, err := audit.NewSequencer(cfg)
	if err != nil {
		s.Fatal(err)
	}
	stream, ready := eventlog.NewLog(s.connect("operator")), make(chan struct{})
	err = runReady(s, sq, func() { close(ready) }, func(ctx context.Context) error {
		select {
		case <-ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		state, err := stream.Info(ctx, eventlog.AuditStream)
		if err != nil {
			return err
		}
		return l.Wait(ctx, state.Last)
	})
	return sq, err
}

// begun are the entries that say under which key the log is.
func begun(t testing.TB, l *audit.Log) (out []audit.Began) {
	t.Helper()
	for _, e := range kinds(t, l, today.Year()) {
		if e.Kind == audit.KindLog {
			out = append(out, detail[audit.Began](t, e))
		}
	}
	return out
}

// again makes a log anew where the directory of another was.
func again(t testing.TB, cfg audit.Config) *audit.Log {
	t.Helper()
	if err := audit.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return open(t, cfg)
}

// P10: whoever removes the log cannot have it made anew unseen: that is on
// record, in the stream too, and what the stream has is in the trees again.
func TestLogThatWasRemovedIsBegunAnewOnRecord(t *testing.T) {
	s := served(t)
	cfg := created(t)
	rec := s.recorder(func() time.Time { return today })
	record(t, rec, 7) // before there is a log, as at a first start
	l := open(t, cfg)
	sq, err := s.follow(l)
	if err != nil {
		t.Fatal(err)
	}
	key := l.VerifierKey()
	if _, err := s.follow(l); err != nil { // a restart
		t.Fatal(err)
	}
	record(t, rec, 5)
	if _, err := s.follow(l); err != nil {
		t.Fatal(err)
	}
	// The controls: neither a first start nor another is a loss.
	if got := begun(t, l); len(got) != 1 || got[0].Lost != "" || got[0].Key != key {
		t.Errorf("control: the log says of itself %+v", got)
	}
	if _, _, lost := l.Lost(); lost || sq.Numbers()["last_lost"] != 0 {
		t.Error("control: something is said to be lost")
	}
	kept := parse(t, l, l.Trees()[0].Checkpoint)
	shut(t, l)

	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	l = again(t, cfg)
	if l.VerifierKey() == key {
		t.Fatal("the key is the same")
	}
	if _, err = s.follow(l); err != nil {
		t.Fatal(err)
	}
	if sq, err = s.follow(l); err != nil { // a restart says no more
		t.Fatal(err)
	}
	checkWorld(t, l, s.held())
	got := begun(t, l)
	want := audit.Began{Key: l.VerifierKey(), Lost: audit.LostLog, Before: key, Through: kept.Seq, From: 1}
	if len(got) != 2 || got[1] != want {
		t.Errorf("the log says of itself %+v, want at the end %+v", got, want)
	}
	if at, b, lost := l.Lost(); !lost || b != want || !at.Equal(today) || sq.Numbers()["last_lost"] == 0 {
		t.Errorf("lost: %t %+v, since %v", lost, b, at)
	}
	// What was kept of the old log stands for the same entries.
	if root, err := l.Root(today.Year(), kept.Size); err != nil || root != kept.Root {
		t.Errorf("the log made anew begins otherwise: %v", err)
	}

	// A second time, under the same key.
	shut(t, l)
	if err := os.RemoveAll(filepath.Join(cfg.Dir, "2026")); err != nil {
		t.Fatal(err)
	}
	l = open(t, cfg)
	if _, err := s.follow(l); err != nil {
		t.Fatal(err)
	}
	if got := begun(t, l); len(got) != 3 || got[2].Lost != audit.LostLog || got[2].Before != l.VerifierKey() || got[2].Through <= kept.Seq {
		t.Errorf("after the trees alone were removed the log says of itself %+v", got)
	}
	checkWorld(t, l, s.held())
}

func TestLossIsOnRecordOnceWhereverTheSequencerDied(t *testing.T) {
	s := served(t)
	cfg := created(t)
	rec := s.recorder(func() time.Time { return today })
	record(t, rec, 3)
	l := open(t, cfg)
	if _, err := s.follow(l); err != nil {
		t.Fatal(err)
	}
	shut(t, l)
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	if err := audit.Create(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		die, where := dies(n)
		l, err := audit.OpenWithSteps(t.Context(), cfg, die)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.follow(l)
		if *where == "" {
			if err != nil {
				t.Fatal(err)
			}
			shut(t, l)
			break
		}
		if err != nil && !errors.Is(err, errDied) {
			t.Fatalf("after dying at %s: %v", *where, err)
		}
		shut(t, l)
	}
	l = open(t, cfg)
	lost := 0
	for _, b := range begun(t, l) {
		if b.Lost != "" {
			lost++
		}
	}
	if lost != 1 {
		t.Errorf("the loss is on record %d times", lost)
	}
	checkWorld(t, l, s.held())
}

// P10: a stream that is gone stops Lethe, and says how to go on. The log goes on
// under its key, and every checkpoint that was kept holds.
func TestLogGoesOnWithoutItsStreamAndSaysSo(t *testing.T) {
	for name, kept := range map[string]int{"lost": 0, "an older copy": 6} {
		t.Run(name, func(t *testing.T) {
			s := served(t)
			cfg := created(t)
			l := open(t, cfg)
			rec := s.recorder(func() time.Time { return today })
			record(t, rec, 12)
			if _, err := s.follow(l); err != nil {
				t.Fatal(err)
			}
			before, held := parse(t, l, l.Trees()[0].Checkpoint), s.held()
			if err := s.operator().DeleteStream(t.Context(), eventlog.AuditStream); err != nil {
				t.Fatal(err)
			}
			s.apply()
			for _, m := range held[:kept] {
				e, err := audit.ParseEntry(m.Data)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.operator().Publish(t.Context(), eventlog.AuditTopic(string(e.Kind)), m.Data); err != nil {
					t.Fatal(err)
				}
			}
			record(t, rec, 4) // what was recorded while Lethe would not run
			_, err := s.follow(l)
			wantKind(t, err, fault.Corrupt, map[bool]string{true: "was lost and made anew", false: "was put back from an older copy"}[kept == 0])
			wantKind(t, err, fault.Corrupt, "lethe audit recover")

			at, err := l.Recover(t.Context())
			if err != nil || at != before {
				t.Fatalf("Recover = %+v, %v", at, err)
			}
			if _, err := l.Recover(t.Context()); !errors.Is(err, fault.Conflict) {
				t.Errorf("a second time: %v", err)
			}
			shut(t, l)
			l = open(t, cfg)
			if _, err := s.follow(l); err != nil {
				t.Fatal(err)
			}
			if _, b, lost := l.Lost(); !lost || b.Lost != audit.LostStream || b.Through != before.Seq || !strings.Contains(b.Checkpoint, before.Root.String()) {
				t.Errorf("the loss on record is %+v", b)
			}
			if root, err := l.Root(today.Year(), before.Size); err != nil || root != before.Root {
				t.Errorf("the checkpoint from before does not hold: %v", err)
			}
			// Each entry once, from either stream.
			seen := map[string]int{}
			for _, e := range kinds(t, l, today.Year()) {
				seen[e.ID]++
				if e.Kind == audit.KindGap {
					t.Error("a gap is on record")
				}
			}
			for _, m := range append(held, s.held()...) {
				e, err := audit.ParseEntry(m.Data)
				if err != nil || seen[e.ID] != 1 {
					t.Errorf("an entry is in the tree %d times: %v", seen[e.ID], err)
				}
			}
			if last := s.held()[len(s.held())-1].Seq; l.Sequence() != last {
				t.Errorf("the log is at %d, and the stream at %d", l.Sequence(), last)
			}
		})
	}
}

func TestNothingIsRecoveredOfALogWithoutEntries(t *testing.T) {
	l := open(t, created(t))
	_, err := l.Recover(t.Context())
	wantKind(t, err, fault.NotFound, "holds nothing")
}

func TestLossOfTheStreamIsForTheLogToSay(t *testing.T) {
	s := served(t)
	l := open(t, created(t))
	data := entry("a", today, audit.KindLog, audit.Began{Key: "x", Lost: audit.LostStream})
	if _, err := s.operator().Publish(t.Context(), eventlog.AuditTopic("log"), data); err != nil {
		t.Fatal(err)
	}
	if _, err := s.follow(l); err != nil {
		t.Fatal(err)
	}
	if _, _, lost := l.Lost(); lost || kinds(t, l, today.Year())[0].Kind != audit.KindRefused {
		t.Error("a message says that the stream was lost")
	}
}

func TestTreesWithoutTheirKeySayWhatToDo(t *testing.T) {
	cfg := created(t)
	l := open(t, cfg)
	appended(t, l, made(1, 3, today))
	shut(t, l)
	if err := os.Remove(filepath.Join(cfg.Dir, "key")); err != nil {
		t.Fatal(err)
	}
	_, err := audit.Open(t.Context(), cfg)
	wantKind(t, err, fault.NotFound, "no audit log")
	wantKind(t, audit.Create(t.Context(), cfg), fault.Conflict, "the key that signs them is missing: put the key back")
}
