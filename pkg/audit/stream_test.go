package audit_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// kinds are the kinds of the entries of a year, but for the first, and their
// details.
func kinds(t testing.TB, l *audit.Log, year int) (out []audit.Entry) {
	t.Helper()
	for _, data := range entries(t, l, year)[1:] {
		e, err := audit.ParseEntry([]byte(data))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func detail[T any](t testing.TB, e audit.Entry) (d T) {
	t.Helper()
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestEntryTakenOutOfTheStreamLeavesAGapOnRecord(t *testing.T) {
	s := served(t)
	cfg := created(t)
	l := open(t, cfg)
	rec := s.recorder(func() time.Time { return today })
	record(t, rec, 6)
	stream := eventlog.NewLog(s.connect("operator"))
	for _, seq := range []uint64{2, 3, 6} {
		if err := stream.Delete(t.Context(), eventlog.AuditStream, seq); err != nil {
			t.Fatal(err)
		}
	}
	sc := s.config(l)
	sq, err := audit.NewSequencer(sc)
	if err != nil {
		t.Fatal(err)
	}
	last := record(t, rec, 1)
	if err := runUntil(t, sq, func(ctx context.Context) error { return l.Wait(ctx, last) }); err != nil {
		t.Fatal(err)
	}
	all := kinds(t, l, today.Year())
	want := []audit.Kind{audit.KindClock, audit.KindGap, audit.KindClock, audit.KindClock, audit.KindGap, audit.KindClock}
	if len(all) != len(want) {
		t.Fatalf("%d entries, want %d", len(all), len(want))
	}
	for i, e := range all {
		if e.Kind != want[i] {
			t.Errorf("entry %d is of kind %s, want %s", i, e.Kind, want[i])
		}
	}
	if g := detail[audit.Gap](t, all[1]); g != (audit.Gap{From: 2, To: 3}) {
		t.Errorf("the first gap is %v", g)
	}
	if g := detail[audit.Gap](t, all[4]); g != (audit.Gap{From: 6, To: 6}) {
		t.Errorf("the second gap is %v", g)
	}
	if n := sq.Numbers()["missing"]; n != 3 {
		t.Errorf("missing = %v", n)
	}
}

func TestMessageThatIsNoEntryIsRefusedOnRecord(t *testing.T) {
	s := served(t)
	cfg := created(t)
	l := open(t, cfg)
	js := s.operator()
	bad := []struct {
		topic string
		data  []byte
		words string
	}{
		{"lethe.audit.key", []byte("hello"), "not the JSON of one"},
		{"lethe.audit.key", entry("a", today, audit.KindRemoved, audit.Removed{}), "not that of its topic"},
		{"lethe.audit.gap", entry("b", today, audit.KindGap, audit.Gap{From: 1, To: 9}), "only the sequencer"},
		{"lethe.audit.refused", entry("c", today, audit.KindRefused, audit.Refused{}), "only the sequencer"},
		{"lethe.audit.tree", entry("d", today, audit.KindTree, audit.Tree{Year: 2026}), "only the log"},
		{"lethe.audit.key", entry("e", today, audit.KindKey, 7), "no detail"},
	}
	for i, b := range bad {
		if _, err := js.Publish(t.Context(), b.topic, b.data); err != nil {
			t.Fatal(err)
		}
		// Each time another process, which meets a refusal as the last entry.
		if err := run(t, s.config(l), uint64(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for i, e := range kinds(t, l, today.Year()) {
		d := detail[audit.Refused](t, e)
		if e.Kind != audit.KindRefused || d.Seq != uint64(i+1) || d.Bytes != len(bad[i].data) {
			t.Errorf("entry %d is of kind %s: %+v", i, e.Kind, d)
		}
		wantKind(t, fault.Invalid.Errorf("%s", d.Reason), fault.Invalid, bad[i].words)
	}
	if n := len(kinds(t, l, today.Year())); n != len(bad) {
		t.Errorf("%d entries", n)
	}
}

// TestOldCopyPutBackBecomesTheSameTreeAgain: the stream has what it lacks.
func TestOldCopyPutBackBecomesTheSameTreeAgain(t *testing.T) {
	s := served(t)
	cfg := later(created(t))
	now := today
	rec := s.recorder(func() time.Time { return now })
	l := open(t, cfg)
	if err := run(t, s.config(l), record(t, rec, 10)); err != nil {
		t.Fatal(err)
	}
	old := copyDir(t, cfg.Dir)
	older := copyDir(t, cfg.Dir)
	if err := run(t, s.config(l), record(t, rec, 10)); err != nil {
		t.Fatal(err)
	}
	now = today.AddDate(1, 0, 0)
	if err := run(t, s.config(l), record(t, rec, 290)); err != nil {
		t.Fatal(err)
	}
	want := l.Trees()
	shut(t, l)

	cfg.Dir = old
	l = open(t, cfg)
	if err := run(t, s.config(l), want310); err != nil {
		t.Fatal(err)
	}
	checkWorld(t, l, s.held())
	for i, tree := range l.Trees() {
		if tree != want[i] {
			t.Errorf("the tree of %d is another", tree.Year)
		}
	}
	shut(t, l)

	// Control: the stream has lost some of it, and what was signed is missed.
	stream := eventlog.NewLog(s.connect("operator"))
	if _, err := stream.Purge(t.Context(), eventlog.AuditStream, eventlog.AuditTopics, 16); err != nil {
		t.Fatal(err)
	}
	cfg.Dir = older
	l = open(t, cfg)
	if err := run(t, s.config(l), want310); err != nil {
		t.Fatal(err)
	}
	if e := kinds(t, l, today.Year())[10]; e.Kind != audit.KindGap || detail[audit.Gap](t, e) != (audit.Gap{From: 11, To: 15}) {
		t.Errorf("after the copy comes an entry of kind %s", e.Kind)
	}
	before := parse(t, l, want[0].Checkpoint)
	tree := l.Trees()[0]
	p, err := l.Consistency(tree.Year, min(before.Size, tree.Size), tree.Size)
	if err == nil && tlog.CheckTree(p, tree.Size, parse(t, l, tree.Checkpoint).Root, before.Size, before.Root) == nil {
		t.Error("a tree that lacks entries holds an earlier checkpoint")
	}
}

const want310 = 310

func TestAnotherStreamIsNotTakenForTheOneOfTheTrees(t *testing.T) {
	for name, entries := range map[string]int{"shorter": 3, "as long": 12, "longer": 20} {
		t.Run(name, func(t *testing.T) {
			s := served(t)
			l := open(t, created(t))
			rec := s.recorder(func() time.Time { return today })
			if err := run(t, s.config(l), record(t, rec, 12)); err != nil {
				t.Fatal(err)
			}
			before := l.Trees()[0]
			if err := s.operator().DeleteStream(t.Context(), eventlog.AuditStream); err != nil {
				t.Fatal(err)
			}
			s.apply()
			record(t, rec, entries)
			wantKind(t, run(t, s.config(l), 99), fault.Corrupt, "not the one")
			if l.Trees()[0] != before {
				t.Error("entries of another stream are in the tree")
			}
		})
	}
}
