package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestEveryCallerIsToldOfItsOwnMessages(t *testing.T) {
	s := open(t, eventlog.Limits{})
	reg := prometheus.NewRegistry()
	w := eventlog.NewWriter(s.connect("gateway"), eventlog.WriterConfig{Stream: eventlog.RawStream, Log: quiet, Metrics: reg})
	l := s.log()
	var wg sync.WaitGroup
	for caller := range 60 {
		wg.Go(func() {
			for round := range 5 {
				var msgs []eventlog.Message
				for i := range 1 + caller%3 {
					msgs = append(msgs, rawMessage(fmt.Sprintf("c%d-%d-%d", caller, round, i), ""))
				}
				acks, err := w.Append(t.Context(), msgs)
				if err != nil {
					t.Error(err)
					return
				}
				for i, a := range acks {
					r, err := l.Get(t.Context(), eventlog.RawStream, a.Seq)
					if err != nil || a.Duplicate || name(r.Data) != name(msgs[i].Data) {
						t.Errorf("caller %d was told of another's message (err %v)", caller, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for m, n := range s.stored(eventlog.RawStream) {
		if n != 1 {
			t.Errorf("%s is stored %d times", m, n)
		}
	}
	if got := testutil.CollectAndCount(reg, "lethe_eventlog_messages_total"); got != 2 {
		t.Errorf("%d ways of committing were used; this test is about both", got)
	}
}

func TestADuplicateIsToldApartInASharedCommit(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	first, err := w.Append(t.Context(), []eventlog.Message{rawMessage("one", "id-7")})
	if err != nil {
		t.Fatal(err)
	}
	var msgs []eventlog.Message
	for i := range 100 {
		msgs = append(msgs, rawMessage(fmt.Sprintf("m%d", i), fmt.Sprintf("id-%d", i)))
	}
	msgs = append(msgs, rawMessage("again", "id-50")) // twice in one call
	acks, err := w.Append(t.Context(), msgs)
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range acks {
		if want := i == 7 || i == 100; a.Duplicate != want {
			t.Errorf("message %d: duplicate is %t", i, a.Duplicate)
		}
	}
	if acks[7].Seq != first[0].Seq || acks[100].Seq != acks[50].Seq {
		t.Error("a duplicate's ack does not name the message it is the same as")
	}
	if n := len(s.stored(eventlog.RawStream)); n != 100 {
		t.Errorf("%d messages are stored, want 100", n)
	}
}

func TestWithoutAnIDTheSameMessageIsStoredTwice(t *testing.T) { // the control of the tests above
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	for range 2 {
		if acks, err := w.Append(t.Context(), []eventlog.Message{rawMessage("same", "")}); err != nil || acks[0].Duplicate {
			t.Fatalf("acks %v, err %v", acks, err)
		}
	}
	if n := s.stored(eventlog.RawStream)["same"]; n != 2 {
		t.Errorf("stored %d times", n)
	}
}

func TestAppendAtomicStoresAllOrNothing(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("pseudonymizer", eventlog.CleanStream)
	clean := func(from, to int) (msgs []eventlog.Message) {
		for i := from; i < to; i++ {
			msgs = append(msgs, eventlog.Message{Topic: "lethe.clean.a.b.t.2026-01-01.0", ID: strconv.Itoa(i), Data: []byte(strconv.Itoa(i))})
		}
		return msgs
	}
	acks, err := w.AppendAtomic(t.Context(), clean(0, 1000))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range acks {
		if a.Seq != uint64(i+1) || a.Duplicate {
			t.Fatalf("ack %d is %+v", i, a)
		}
	}
	if _, err := w.AppendAtomic(t.Context(), clean(995, 1100)); !errors.Is(err, fault.Conflict) {
		t.Errorf("a batch with messages that are there: %v", err)
	}
	if _, err := w.AppendAtomic(t.Context(), clean(999, 1000)); !errors.Is(err, fault.Conflict) {
		t.Errorf("one message that is there: %v", err)
	}
	if _, err := w.AppendAtomic(t.Context(), clean(2000, 3001)); !errors.Is(err, fault.Invalid) {
		t.Errorf("1001 messages: %v", err)
	}
	if n := len(s.stored(eventlog.CleanStream)); n != 1000 {
		t.Errorf("%d messages are stored, want 1000", n)
	}
	if acks, err := w.AppendAtomic(t.Context(), clean(1000, 1001)); err != nil || acks[0].Seq != 1001 {
		t.Errorf("one message: acks %v, err %v", acks, err)
	}
}

func TestALogWithoutRoomSaysSoAndKeepsWhatItHas(t *testing.T) {
	s := open(t, eventlog.Limits{Raw: 1 << 20})
	w := s.writer("gateway", eventlog.RawStream)
	kept := 0
	for i := range 100 {
		acks, err := w.Append(t.Context(), rawMessages(fmt.Sprint(i), 30, 5000))
		for _, a := range acks {
			if a.Seq > 0 {
				kept++
			}
		}
		if err != nil {
			if !errors.Is(err, fault.Exhausted) {
				t.Fatal(err)
			}
			break
		}
	}
	if kept == 0 || kept > 220 {
		t.Errorf("%d messages were acknowledged", kept)
	}
	if n := len(s.stored(eventlog.RawStream)); n != kept {
		t.Errorf("%d messages are stored and %d were acknowledged", n, kept)
	}
}

func TestAMessageThatIsTooLargeIsRefusedBeforeItIsSent(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	if _, err := w.Append(t.Context(), rawMessages("big", 1, eventlog.LargestData+1)); !errors.Is(err, fault.Invalid) {
		t.Errorf("err %v", err)
	}
	if _, err := w.Append(t.Context(), rawMessages("fits", 1, eventlog.LargestData)); err != nil {
		t.Errorf("control: %v", err)
	}
}

func TestATopicOfNoStreamIsNotAcknowledged(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("operator", eventlog.RawStream)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.Append(ctx, []eventlog.Message{{Topic: "elsewhere", Data: []byte("x")}}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("no stream: %v", err)
	}
	if _, err := w.Append(t.Context(), []eventlog.Message{{Topic: "lethe.clean.x", Data: []byte("x")}}); !errors.Is(err, fault.Corrupt) {
		t.Errorf("another stream: %v", err)
	}
}

func TestCloseAnswersEveryone(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	var mu sync.Mutex
	acked := map[string]bool{}
	var wg sync.WaitGroup
	begun := make(chan struct{}, 1000)
	for i := range 200 {
		wg.Go(func() {
			for round := 0; ; round++ {
				m := rawMessage(fmt.Sprintf("%d-%d", i, round), "")
				_, err := w.Append(t.Context(), []eventlog.Message{m})
				if errors.Is(err, fault.Unavailable) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acked[name(m.Data)] = true
				mu.Unlock()
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 400 {
		<-begun
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait() // hangs if a caller was forgotten
	stored := s.stored(eventlog.RawStream)
	for m := range acked {
		if stored[m] != 1 {
			t.Errorf("%s was acknowledged and is stored %d times", m, stored[m])
		}
	}
	if len(stored) != len(acked) {
		t.Errorf("%d are stored and %d were acknowledged", len(stored), len(acked))
	}
}

func TestCloseAnswersEveryoneWhenTheLogDoesNot(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	s.stop()
	answers := make(chan error, 300)
	for i := range 300 {
		go func() {
			_, err := w.Append(context.Background(), []eventlog.Message{rawMessage(strconv.Itoa(i), strconv.Itoa(i))})
			answers <- err
		}()
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Close(ended); !errors.Is(err, fault.Unavailable) {
		t.Errorf("Close: %v", err)
	}
	for range 300 {
		if err := <-answers; !errors.Is(err, fault.Unavailable) {
			t.Errorf("Append: %v", err)
		}
	}
}

func TestNothingAcknowledgedIsLostOrDoubledWhenTheServerRestarts(t *testing.T) {
	s := open(t, eventlog.Limits{})
	w := s.writer("gateway", eventlog.RawStream)
	var mu sync.Mutex
	acked := map[string]bool{}
	progress := make(chan struct{}, 10000)
	quit := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-quit:
					return
				default:
				}
				m := rawMessage(fmt.Sprintf("%d-%d", i, round), "")
				if i%2 == 0 {
					m.ID = name(m.Data)
				}
				acks, err := w.Append(t.Context(), []eventlog.Message{m})
				switch {
				case err == nil && acks[0].Duplicate:
					t.Errorf("%s is said to be a duplicate of what was never sent", name(m.Data))
				case err == nil:
					mu.Lock()
					acked[name(m.Data)] = true
					mu.Unlock()
					progress <- struct{}{}
				case m.ID != "" || !errors.Is(err, fault.Unavailable):
					t.Errorf("%v", err) // what has an ID rides a restart out
				}
			}
		})
	}
	for range 3 {
		for range 300 {
			<-progress
		}
		s.stop()
		s.start()
	}
	for range 300 {
		<-progress
	}
	close(quit)
	go func() {
		for range progress {
		}
	}()
	wg.Wait()
	close(progress)
	stored := s.stored(eventlog.RawStream)
	for m := range acked {
		if stored[m] != 1 {
			t.Errorf("%s was acknowledged and is stored %d times", m, stored[m])
		}
	}
}
