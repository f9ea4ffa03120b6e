package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// fill appends n raw messages named 1 to n, which are their sequences.
func (s *site) fill(n int) {
	s.t.Helper()
	w := s.writer("gateway", eventlog.RawStream)
	msgs := make([]eventlog.Message, n)
	for i := range msgs {
		msgs[i] = rawMessage(fmt.Sprint(i+1), "")
	}
	acks, err := w.AppendAtomic(s.t.Context(), msgs)
	if err != nil || acks[n-1].Seq != uint64(n) {
		s.t.Fatalf("acks %v, err %v", acks, err)
	}
}

// fetch returns the sequences that come next, at least one.
func fetch(t *testing.T, r *eventlog.Reader, most int) []uint64 {
	t.Helper()
	var seqs []uint64
	for range 50 {
		got, err := r.Fetch(t.Context(), most, 1<<20, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range got {
			if name(m.Data) != fmt.Sprint(m.Seq) || m.Topic != rawTopic || m.At.IsZero() {
				t.Fatalf("sequence %d is another message", m.Seq)
			}
			seqs = append(seqs, m.Seq)
		}
		if len(seqs) > 0 {
			return seqs
		}
	}
	t.Fatal("nothing came")
	return nil
}

func sequence(from, to uint64) (seqs []uint64) {
	for ; from <= to; from++ {
		seqs = append(seqs, from)
	}
	return seqs
}

func same(a, b []uint64) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func (s *site) rawReader() *eventlog.Reader {
	return s.reader("pseudonymizer", eventlog.RawStream, eventlog.RawConsumer)
}

func TestAReaderTakesTheLogInOrder(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(10)
	r := s.rawReader()
	if got := fetch(t, r, 4); !same(got, sequence(1, 4)) {
		t.Errorf("first came %v", got)
	}
	if got := fetch(t, r, 100); !same(got, sequence(5, 10)) {
		t.Errorf("then came %v", got)
	}
	if got, err := r.Fetch(t.Context(), 10, 1<<20, time.Millisecond); err != nil || len(got) != 0 {
		t.Errorf("then came %d, err %v", len(got), err)
	}
	if err := r.AckThrough(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor != 7 {
		t.Errorf("floor %d, err %v", floor, err)
	}
	if err := r.AckThrough(t.Context(), 3); err != nil {
		t.Errorf("confirming what is confirmed: %v", err)
	}
	if _, err := s.writer("gateway", eventlog.RawStream).Append(t.Context(), []eventlog.Message{rawMessage("11", "")}); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, r, 100); !same(got, sequence(11, 11)) {
		t.Errorf("what was appended meanwhile: %v", got)
	}
}

func TestWhatWasFetchedAndNotConfirmedComesAgain(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(10)
	r := s.rawReader()
	fetch(t, r, 5)
	if err := r.AckThrough(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil { // the process dies with 3, 4 and 5 in hand
		t.Fatal(err)
	}

	// The control: without starting over, 6 comes first. Confirming it would
	// confirm 3, 4 and 5, which nobody treated.
	js := s.js("operator")
	c, err := js.Consumer(t.Context(), eventlog.RawStream, eventlog.RawConsumer)
	if err != nil {
		t.Fatal(err)
	}
	next, err := c.Next()
	if err != nil {
		t.Fatal(err)
	}
	if meta, err := next.Metadata(); err != nil || meta.Sequence.Stream != 6 {
		t.Fatalf("control: %d came, err %v", meta.Sequence.Stream, err)
	}

	r = s.rawReader()
	if got := fetch(t, r, 100); !same(got, sequence(3, 10)) {
		t.Errorf("after opening again came %v", got)
	}
	if err := r.AckThrough(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor != 10 {
		t.Errorf("floor %d, err %v", floor, err)
	}
}

// lose makes the server deliver n messages to nobody.
func (s *site) lose(n int) {
	s.t.Helper()
	nc := s.connect("operator")
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		s.t.Fatal(err)
	}
	body := fmt.Sprintf(`{"batch":%d,"no_wait":true}`, n)
	if err := nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT.LETHE_RAW.pseudonymizer", sub.Subject, []byte(body)); err != nil {
		s.t.Fatal(err)
	}
	for range n {
		if _, err := sub.NextMsg(5 * time.Second); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := sub.Unsubscribe(); err != nil {
		s.t.Fatal(err)
	}
}

func TestALostDeliveryIsNotPassedOver(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(20)
	r := s.rawReader()
	fetch(t, r, 5)
	if err := r.AckThrough(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	s.lose(4) // 6 to 9
	var got []uint64
	for len(got) == 0 || got[len(got)-1] < 20 {
		got = append(got, fetch(t, r, 100)...)
	}
	if !same(got, sequence(4, 20)) {
		t.Errorf("after the loss came %v", got)
	}
	if err := r.AckThrough(t.Context(), 20); err != nil {
		t.Fatal(err)
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor != 20 {
		t.Errorf("floor %d, err %v", floor, err)
	}
}

func TestWhatWasTreatedBeforeALossCanBeConfirmedAfterIt(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(20)
	r := s.rawReader()
	fetch(t, r, 8)
	if err := r.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.AckThrough(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor != 6 {
		t.Errorf("floor %d, err %v", floor, err)
	}
	if got := fetch(t, r, 100); !same(got, sequence(1, 20)) {
		t.Errorf("then came %v", got)
	}
}

// A server that was killed forgets deliveries that it had not yet written down,
// and never answers a confirmation of one.
func TestWhatTheServerForgotItDeliveredCanBeConfirmed(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(10)
	r := s.rawReader()
	if got := fetch(t, r, 10); !same(got, sequence(1, 10)) {
		t.Fatalf("first came %v", got)
	}
	// It forgets, as by a crash.
	reset := "$JS.API.CONSUMER.RESET." + eventlog.RawStream + "." + eventlog.RawConsumer
	if _, err := s.connect("operator").Request(reset, []byte("{}"), 5*time.Second); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := r.AckThrough(ctx, 10); !errors.Is(err, fault.Unavailable) {
		t.Fatalf("the server confirmed what it does not remember: %v", err)
	}
	if err := r.AckThrough(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor != 10 {
		t.Errorf("floor %d, err %v", floor, err)
	}
}

func TestDeletedMessagesAreNoLoss(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(10)
	for _, seq := range []uint64{2, 5, 6} {
		if err := s.log().Delete(t.Context(), eventlog.RawStream, seq); err != nil {
			t.Fatal(err)
		}
	}
	r := s.rawReader()
	if got := fetch(t, r, 100); !same(got, []uint64{1, 3, 4, 7, 8, 9, 10}) {
		t.Errorf("came %v", got)
	}
	if err := r.AckThrough(t.Context(), 6); err != nil { // 4 is the last below
		t.Fatal(err)
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor < 4 || floor > 6 {
		t.Errorf("floor %d, err %v", floor, err)
	}
}

func TestAMessageLargerThanTheBoundComesByItself(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	if _, err := w.Append(t.Context(), rawMessages("big", 3, 10000)); err != nil {
		t.Fatal(err)
	}
	r := s.rawReader()
	for seq := uint64(1); seq <= 3; seq++ {
		got, err := r.Fetch(t.Context(), 10, 5000, 5*time.Second)
		if err != nil || len(got) != 1 || got[0].Seq != seq || got[0].Pending != 3-seq {
			t.Fatalf("%d came, err %v", len(got), err)
		}
	}
}

func TestAReaderRidesOutARestartOfTheServer(t *testing.T) {
	s := open(t, eventlog.Limits{})
	s.fill(30)
	r := s.rawReader()
	fetch(t, r, 10)
	if err := r.AckThrough(t.Context(), 8); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.start()
	var got []uint64
	for len(got) == 0 || got[len(got)-1] < 30 {
		more, err := r.Fetch(t.Context(), 100, 1<<20, 100*time.Millisecond)
		if err != nil && !errors.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		for _, m := range more {
			got = append(got, m.Seq)
		}
	}
	seen := map[uint64]bool{}
	for _, seq := range got {
		seen[seq] = true
	}
	for seq := uint64(11); seq <= 30; seq++ {
		if !seen[seq] {
			t.Errorf("%d never came", seq)
		}
	}
	for err := r.AckThrough(t.Context(), 30); err != nil; err = r.AckThrough(t.Context(), 30) {
		if !errors.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	if floor, err := r.Floor(t.Context()); err != nil || floor != 30 {
		t.Errorf("floor %d, err %v", floor, err)
	}
}

func TestAReaderOfNoConsumerSaysSo(t *testing.T) {
	s := open(t, eventlog.Limits{})
	nc := s.connect("operator")
	_, err := eventlog.OpenReader(t.Context(), nc, eventlog.ReaderConfig{Stream: eventlog.RawStream, Durable: "nobody", Log: quiet})
	if !errors.Is(err, fault.NotFound) {
		t.Errorf("err %v", err)
	}
}
