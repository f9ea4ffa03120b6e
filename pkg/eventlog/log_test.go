package eventlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestARangeLeavesOutWhatWasDeletedAndNothingElse(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(300)
	l := s.log()
	gone := map[uint64]bool{1: true, 64: true, 65: true, 300: true}
	for seq := uint64(100); seq < 280; seq++ {
		gone[seq] = true
	}
	for seq := range gone {
		if err := l.Delete(t.Context(), eventlog.RawStream, seq); err != nil {
			t.Fatal(err)
		}
	}
	for _, span := range [][2]uint64{{0, 300}, {1, 1}, {50, 70}, {100, 279}, {101, 285}, {290, 1000}, {5, 4}} {
		var want, got []uint64
		for seq := max(span[0], 1); seq <= min(span[1], 300); seq++ {
			if !gone[seq] {
				want = append(want, seq)
			}
		}
		for r, err := range l.Range(t.Context(), eventlog.RawStream, span[0], span[1]) {
			if err != nil {
				t.Fatal(err)
			}
			if name(r.Data) != fmt.Sprint(r.Seq) {
				t.Fatalf("sequence %d is another message", r.Seq)
			}
			got = append(got, r.Seq)
		}
		if !slices.Equal(got, want) {
			t.Errorf("range %v: got %v", span, got)
		}
	}
	if _, err := l.Get(t.Context(), eventlog.RawStream, 64); !errors.Is(err, fault.NotFound) {
		t.Errorf("getting what was deleted: %v", err)
	}
	if err := l.Delete(t.Context(), eventlog.RawStream, 64); !errors.Is(err, fault.NotFound) {
		t.Errorf("deleting what was deleted: %v", err)
	}
	if r, err := l.Next(t.Context(), eventlog.RawStream, 100); err != nil || r.Seq != 280 {
		t.Errorf("next is %d, err %v", r.Seq, err)
	}
	info, err := l.Info(t.Context(), eventlog.RawStream)
	if err != nil || info.Messages != uint64(300-len(gone)) || info.First != 2 || info.Last != 300 || info.Bytes == 0 {
		t.Errorf("info %+v, err %v", info, err)
	}
}

func TestNet2ResumesBehindTheLastCleanFrame(t *testing.T) {
	s := open(t, eventlog.Limits{})
	l := s.log()
	own := eventlog.NewLog(s.connect("pseudonymizer"))
	last := func() uint64 {
		t.Helper()
		seq, err := own.LastRawSeq(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return seq
	}
	if got := last(); got != 0 {
		t.Errorf("an empty log: %d", got)
	}
	w := s.writer("pseudonymizer", eventlog.CleanStream)
	frame := func(day event.Day, raw uint64) eventlog.Message {
		h := event.CleanHeader{Tenant: "acme", Service: "web", Table: "t", Day: day, RawSeq: raw}
		if raw == 0 {
			h.QuarantineSeq = 1
		}
		return eventlog.Message{Topic: event.CleanTopic("acme", "web", "t", day, 0), Data: event.Pack(event.Header(h), []byte("sealed"))}
	}
	var msgs []eventlog.Message
	for raw := uint64(1); raw <= 40; raw++ {
		msgs = append(msgs, frame("2026-01-01", raw), frame("2026-01-02", raw))
	}
	if _, err := w.AppendAtomic(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	if got := last(); got != 40 {
		t.Errorf("after raw 40: %d", got)
	}
	msgs = nil
	for range 200 { // redriven from quarantine
		msgs = append(msgs, frame("2026-01-01", 0))
	}
	if _, err := w.AppendAtomic(t.Context(), msgs); err != nil {
		t.Fatal(err)
	}
	if got := last(); got != 40 {
		t.Errorf("behind redriven frames: %d", got)
	}
	// The first day expires.
	if n, err := l.Purge(t.Context(), eventlog.CleanStream, event.CleanTopic("acme", "web", "t", "2026-01-01", 0), 0); err != nil || n != 240 {
		t.Fatalf("purged %d, err %v", n, err)
	}
	if got := last(); got != 40 {
		t.Errorf("after a day was purged: %d", got)
	}
	topics, err := l.Topics(t.Context(), eventlog.CleanStream, event.CleanTopics)
	if err != nil || len(topics) != 1 || topics[event.CleanTopic("acme", "web", "t", "2026-01-02", 0)] != 40 {
		t.Errorf("topics %v, err %v", topics, err)
	}
}

func TestADeletedMessageLeavesTheDisk(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(3)
	mark := []byte("a mark that stands nowhere else")
	w := s.writer("gateway", eventlog.RawStream)
	acks, err := w.Append(t.Context(), []eventlog.Message{{Topic: rawTopic, Data: mark}})
	if err != nil {
		t.Fatal(err)
	}
	if !onDisk(t, s.dir, mark) {
		t.Fatal("control: the mark is not found where it was written")
	}
	if err := s.log().Delete(t.Context(), eventlog.RawStream, acks[0].Seq); err != nil {
		t.Fatal(err)
	}
	if onDisk(t, s.dir, mark) {
		t.Error("the message was deleted and is on disk")
	}
}

func onDisk(t *testing.T, dir string, mark []byte) bool {
	t.Helper()
	found := false
	root := os.DirFS(dir)
	err := fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(root, path)
		found = found || bytes.Contains(b, mark)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestABucketKeepsWhatWasPutLast(t *testing.T) {
	s := open(t, eventlog.Limits{})
	b := eventlog.OpenBucket(s.connect("loader"), eventlog.LoaderBucket)
	if _, err := b.Get(t.Context(), "m.1"); !errors.Is(err, fault.NotFound) {
		t.Errorf("what was never put: %v", err)
	}
	first, err := b.Update(t.Context(), "m.1", []byte("one"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Update(t.Context(), "m.1", []byte("two"), 0); !errors.Is(err, fault.Conflict) {
		t.Errorf("making what exists: %v", err)
	}
	second, err := b.Update(t.Context(), "m.1", []byte("two"), first)
	if err != nil || second <= first {
		t.Fatalf("revision %d, err %v", second, err)
	}
	if _, err := b.Update(t.Context(), "m.1", []byte("three"), first); !errors.Is(err, fault.Conflict) {
		t.Errorf("an old revision: %v", err)
	}
	for _, n := range []string{"m.2", "other"} {
		if _, err := b.Put(t.Context(), n, []byte(n)); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	s.start()
	b = eventlog.OpenBucket(s.connect("loader"), eventlog.LoaderBucket)
	if e, err := b.Get(t.Context(), "m.1"); err != nil || string(e.Value) != "two" || e.Revision != second || e.At.IsZero() {
		t.Errorf("entry %+v, err %v", e, err)
	}
	if names, err := b.Names(t.Context()); err != nil || fmt.Sprint(names) != "[m.1 m.2 other]" {
		t.Errorf("names %v, err %v", names, err)
	}
	for range 2 {
		if err := b.Delete(t.Context(), "m.1"); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := b.Names(t.Context()); err != nil || fmt.Sprint(names) != "[m.2 other]" {
		t.Errorf("names %v, err %v", names, err)
	}
	if _, err := b.Update(t.Context(), "m.1", []byte("anew"), 0); err != nil {
		t.Errorf("making what was deleted: %v", err)
	}
	for _, bad := range []string{"", ".", "a..b", "*", "a.>", "a b", "ö"} {
		if _, err := b.Put(t.Context(), bad, nil); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q is taken for a name: %v", bad, err)
		}
	}
}
