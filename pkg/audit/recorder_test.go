package audit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestRecordReturnsWhenTheEntryIsInTheStream(t *testing.T) {
	s := served(t)
	rec := s.recorder(func() time.Time { return today })
	stream := eventlog.NewLog(s.connect("compliance"))
	ids := map[string]bool{}
	for i, by := range []string{"retention", "cred-1"} {
		r := rec
		if i > 0 {
			r = rec.As(by)
		}
		seq, err := r.RecordSeq(t.Context(), audit.KindHold, audit.Hold{Verb: "add", ID: "h1"})
		if err != nil {
			t.Fatal(err)
		}
		m, err := stream.Get(t.Context(), eventlog.AuditStream, seq)
		if err != nil {
			t.Fatal(err)
		}
		e, err := audit.ParseEntry(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		if m.Topic != "lethe.audit.hold" || m.ID != e.ID || len(e.ID) < 26 || ids[e.ID] {
			t.Errorf("topic %s, message %s of entry %s", m.Topic, m.ID, e.ID)
		}
		ids[e.ID] = true
		e.ID = ""
		want := audit.Entry{At: today, Kind: audit.KindHold, By: by, Detail: []byte(`{"verb":"add","id":"h1"}`)}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
	}
}

// answers is a stream that answers as it is told.
type answers struct {
	acks []eventlog.Ack
	err  error
	sent int
}

func (a *answers) Append(_ context.Context, msgs []eventlog.Message) ([]eventlog.Ack, error) {
	a.sent += len(msgs)
	return a.acks, a.err
}

// P10: not recorded means not done.
func TestWhatIsNotOnRecordIsAnError(t *testing.T) {
	const value = "ada@example.org"
	good := audit.Run{Policy: "p"}
	for name, c := range map[string]struct {
		stream answers
		kind   audit.Kind
		detail any
		want   fault.Kind
		sent   int
	}{
		"the stream does not answer":  {answers{err: fault.Unavailable.Errorf("no answer")}, audit.KindRun, good, fault.Unavailable, 1},
		"the stream is full":          {answers{err: fault.Exhausted.Errorf("full")}, audit.KindRun, good, fault.Exhausted, 1},
		"the stream confirms nothing": {answers{acks: []eventlog.Ack{{}}}, audit.KindRun, good, fault.Unavailable, 1},
		"the kind is unknown":         {answers{}, "other", good, fault.Invalid, 0},
		"the detail is of another":    {answers{}, audit.KindRun, map[string]any{"partitions": value}, fault.Invalid, 0},
		"the detail is no object":     {answers{}, audit.KindRun, value, fault.Invalid, 0},
		"the detail is no JSON":       {answers{}, audit.KindRun, make(chan int), fault.Invalid, 0},
		"the entry is too long":       {answers{}, audit.KindPolicy, audit.Policy{Digest: strings.Repeat(value, 70_000)}, fault.Invalid, 0},
	} {
		err := audit.NewRecorder(&c.stream, "retention", nil).Record(t.Context(), c.kind, c.detail)
		wantKind(t, err, c.want, string(c.kind))
		if c.stream.sent != c.sent {
			t.Errorf("%s: %d messages were sent", name, c.stream.sent)
		}
		if strings.Contains(err.Error(), value) {
			t.Errorf("%s: the error holds a value", name)
		}
	}
	nobody := audit.NewRecorder(&answers{}, "", nil)
	wantKind(t, nobody.Record(t.Context(), audit.KindRun, good), fault.Invalid, "who")
	control := &answers{acks: []eventlog.Ack{{Seq: 5}}}
	if seq, err := audit.NewRecorder(control, "retention", nil).RecordSeq(t.Context(), audit.KindRun, good); err != nil || seq != 5 {
		t.Errorf("control: %d, %v", seq, err)
	}
}
