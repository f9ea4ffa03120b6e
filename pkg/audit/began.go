package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// Began says under which key a log is, and what of the one before it was lost.
// The first log has one with nothing lost.
type Began struct {
	Key string `json:"key"` // verifier key
	// Lost is what was not there any more: [LostLog] or [LostStream].
	Lost string `json:"lost,omitempty"`
	// Before is the verifier key of the log that was lost, where the stream
	// tells, and Through the sequence of the audit stream up to which that log
	// is known to have had everything.
	Before  string `json:"before,omitempty"`
	Through uint64 `json:"through,omitempty"`
	// From is the first sequence that the stream still had when the log was
	// found lost: from there on the log is made of it again.
	From uint64 `json:"from,omitempty"`
	// Checkpoint is the last one before the stream was lost.
	Checkpoint string `json:"checkpoint,omitempty"`
}

// What is lost of a log, in [Began].
const (
	// LostLog: the trees were gone, and perhaps the key that signed them. What
	// the audit stream still has is in the trees again.
	LostLog = "log"
	// LostStream: the audit stream was gone, or older than the trees. They go
	// on from their last checkpoint with the stream that is there; what was
	// recorded after that checkpoint and not in a tree is not known.
	LostStream = "stream"
)

// Lost is when a log, or the stream of one, was last found lost, as far as the
// trees that are kept say.
func (l *Log) Lost() (at time.Time, b Began, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.years) - 1; i >= 0; i-- {
		if x := l.years[i].index; x.lost.Lost != "" {
			return x.lostAt, x.lost, true
		}
	}
	return time.Time{}, Began{}, false
}

// Recover lets the log go on with another audit stream than the one that it was
// made of, because that one is gone: the last checkpoint and the loss go on
// record, in the log itself, and the log waits for sequences from 1 on. What
// the other stream has and the trees hold already is passed over when a
// [Sequencer] meets it. It returns the checkpoint that the log stood at.
//
// [fault.NotFound] in a log without entries: there is nothing to go on from.
// [fault.Conflict] if it waits for another stream already.
func (l *Log) Recover(ctx context.Context) (Checkpoint, error) {
	l.appending.Lock()
	defer l.appending.Unlock()
	if l.isClosed() {
		return Checkpoint{}, fault.Unavailable.Errorf("recovering the audit log: it is closed")
	}
	if err := errors.Join(l.settle(), ctx.Err()); err != nil {
		return Checkpoint{}, err
	}
	t := l.current()
	if t == nil {
		return Checkpoint{}, fault.NotFound.Errorf("the audit log holds nothing: it needs no recovery, and begins with the stream that is there")
	}
	if l.recovered() {
		return Checkpoint{}, fault.Conflict.Errorf("the audit log waits for another stream already: start Lethe")
	}
	c, err := ParseCheckpoint(t.checkpoint, l.verifierKey)
	if err != nil {
		return Checkpoint{}, err
	}
	now := l.cfg.Now()
	p, err := own(KindLog, rand.Text(), now, Began{Key: l.verifierKey, Lost: LostStream, Through: t.seq, Checkpoint: t.checkpoint})
	if err != nil {
		return Checkpoint{}, err
	}
	if err := l.commit(l.yearOf(now), []parsed{p}); err != nil { // its sequence is 0
		return Checkpoint{}, err
	}
	l.cfg.Log.Error("audit stream given up", "last_seq", t.seq)
	return c, nil
}

// recovered says that the log waits for another stream: it has entries, and
// none of them has a sequence of the stream.
func (l *Log) recovered() bool { return l.current() != nil && l.Sequence() == 0 }

// common is the last sequence of the audit stream whose message is in the
// trees already. 0 says that the stream has nothing of them.
func (s *Sequencer) common(ctx context.Context) (last uint64, err error) {
	state, err := s.cfg.Stream.Info(ctx, eventlog.AuditStream)
	if err != nil || state.Messages == 0 {
		return 0, err
	}
	have := map[tlog.Hash]bool{}
	for _, t := range s.cfg.Log.Trees() {
		for data, err := range s.cfg.Log.Entries(ctx, t.Year, 0, t.Size) {
			if err != nil {
				return 0, err
			}
			have[tlog.RecordHash(data)] = true
		}
	}
	for r, err := range s.cfg.Stream.Range(ctx, eventlog.AuditStream, state.First, state.Last) {
		if err != nil {
			return 0, err
		}
		if have[tlog.RecordHash(r.Data)] {
			last = r.Seq
		}
	}
	return last, nil
}

// other says why the stream is not the one that the trees were made of, and
// what to do.
func (s *Sequencer) other(ctx context.Context, at uint64, state eventlog.StreamState) error {
	same, err := s.common(ctx)
	if err != nil {
		return err
	}
	if same == 0 {
		return fault.Corrupt.Errorf("the audit stream is not the one that the audit log was made of: %s was lost and made anew. "+
			"The log holds it through sequence %d, and the one that is there ends at %d and has nothing of that. "+
			"Put back the stream; where it is lost for good, 'lethe audit recover' lets the log go on without it (docs/operations.md, Recovery)",
			eventlog.AuditStream, at, state.Last)
	}
	return fault.Corrupt.Errorf("the audit stream is not the one that the audit log was made of: %s was put back from an older copy. "+
		"The log holds it through sequence %d, and the one that is there has the same through %d only. "+
		"Put back a copy of the log that is as old as the stream's, or older; where there is none, 'lethe audit recover' lets the log go on with this stream (docs/operations.md, Recovery)",
		eventlog.AuditStream, at, same)
}

// announce puts on record under which key the log is, and that the one before
// it is lost where it is: a log without entries, of whose stream a log has
// confirmed some before. It reads that from the stream, which nobody who
// removes the log's directory has touched. P10.
func (s *Sequencer) announce(ctx context.Context) error {
	l := s.cfg.Log
	b := Began{Key: l.VerifierKey()}
	said, told, err := s.said(ctx)
	if err != nil {
		return err
	}
	if l.current() == nil {
		floor, err := s.cfg.Reader.Floor(ctx)
		if err != nil {
			return err
		}
		if floor > 0 || told.Key != "" && told.Key != b.Key {
			b.Lost, b.Before, b.Through = LostLog, told.Key, floor
		}
	}
	again := told.Key == b.Key
	if b.Lost != "" {
		again = again && told.Lost == b.Lost && said > b.Through // this loss, not one before it
	}
	// A log that goes on with another stream takes its place in that with the
	// first entry, at the latest.
	if again && !l.recovered() {
		return nil
	}
	if b.Lost != "" {
		state, err := s.cfg.Stream.Info(ctx, eventlog.AuditStream)
		if err != nil {
			return err
		}
		b.From = state.First
		s.cfg.Logger.Error("audit log lost and begun anew", "through_seq", b.Through, "from_seq", b.From, "key", b.Key)
	}
	if s.cfg.Recorder == nil {
		return nil
	}
	_, err = s.cfg.Recorder.RecordSeq(ctx, KindLog, b)
	return err
}

// said is the last that the stream has about the key of a log, and where.
func (s *Sequencer) said(ctx context.Context) (seq uint64, b Began, err error) {
	r, err := s.cfg.Stream.Last(ctx, eventlog.AuditStream, eventlog.AuditTopic(string(KindLog)))
	if errors.Is(err, fault.NotFound) {
		return 0, Began{}, nil
	}
	if err != nil {
		return 0, Began{}, err
	}
	if refusal(r) != "" {
		return 0, Began{}, nil // it will be refused on record
	}
	e, err := ParseEntry(r.Data)
	if err == nil {
		err = jsonv2.Unmarshal(e.Detail, &b)
	}
	return r.Seq, b, err
}
