package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

const (
	// maxBatch and maxBatchBytes bound what one checkpoint adds.
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
	fetchWait     = 2 * time.Second
	// streamKept is how long entries stay in the stream after they are in a
	// tree: long enough to make a tree again that was restored from an older
	// copy.
	streamKept = 400 * 24 * time.Hour
	// keepEvery is how often the sequencer looks for what is past its rule.
	keepEvery = time.Hour
	// stopGrace is how long a confirmation may take after the sequencer was
	// told to stop.
	stopGrace = 3 * time.Second
	lastPause = 5 * time.Second
)

// The audit stream, as far as the sequencer uses it.
type (
	// Reader takes it in order: [eventlog.Reader] of
	// [eventlog.AuditConsumer].
	Reader interface {
		Fetch(ctx context.Context, maxMessages, maxBytes int, wait time.Duration) ([]eventlog.Received, error)
		AckThrough(ctx context.Context, seq uint64) error
		Floor(ctx context.Context) (uint64, error)
	}
	// Stream looks it up: [eventlog.Log].
	Stream interface {
		Info(ctx context.Context, stream string) (eventlog.StreamState, error)
		Get(ctx context.Context, stream string, seq uint64) (eventlog.Received, error)
		Next(ctx context.Context, stream string, seq uint64) (eventlog.Received, error)
		Last(ctx context.Context, stream, filter string) (eventlog.Received, error)
		Range(ctx context.Context, stream string, first, last uint64) iter.Seq2[eventlog.Received, error]
		Purge(ctx context.Context, stream, filter string, below uint64) (uint64, error)
	}
)

// SequencerConfig is what a Sequencer needs.
type SequencerConfig struct {
	Reader Reader
	Log    *Log
	Stream Stream
	// Recorder puts on record that a tree is past its rule, before it is
	// removed. It must be there if the log does not keep every tree.
	Recorder *Writer
	Logger   *slog.Logger
	Metrics  prometheus.Registerer // may be nil
}

// A Sequencer moves entries from the audit stream into the trees:
//
//	S1  read the next entries of the stream, in order
//	S2  append them: they are in a tree, and a checkpoint says so
//	S3  confirm them to the stream
//
// A crash anywhere repeats S1, and what is in a tree already is passed over.
type Sequencer struct {
	cfg    SequencerConfig
	counts *counts

	// The fields below belong to the goroutine of Run.

	kept   time.Time // when the sequencer last looked for what is past its rule
	ending uint64    // sequence of an end that is on its way into a tree
	// skip is the last sequence of which the trees have everything already,
	// where they go on with a stream that they were not made of.
	skip uint64
	// streamKept is the constant, but in tests.
	streamKept time.Duration
}

// NewSequencer makes a sequencer. It reads and writes nothing.
func NewSequencer(cfg SequencerConfig) (*Sequencer, error) {
	if cfg.Reader == nil || cfg.Log == nil || cfg.Stream == nil || cfg.Logger == nil ||
		cfg.Log.cfg.Kept != nil && cfg.Recorder == nil {
		return nil, fault.Invalid.Errorf("making the sequencer of the audit log: a part is missing")
	}
	return &Sequencer{cfg: cfg, counts: newCounts(cfg.Metrics), streamKept: streamKept}, nil
}

// Numbers are counters since the start, and gauges, by name.
func (s *Sequencer) Numbers() map[string]float64 { return s.counts.numbers() }

// Run sequences until ctx ends. It calls ready when the stream is known to be
// the one that the trees were made of, and what an older copy of the trees
// lacks is in them again.
func (s *Sequencer) Run(ctx context.Context, ready func()) error {
	err := s.run(ctx, ready)
	if ctx.Err() != nil && fault.KindOf(err) != fault.Corrupt {
		return nil // what is not confirmed comes again
	}
	return err
}

func (s *Sequencer) run(ctx context.Context, ready func()) error {
	if err := s.retry(ctx, "meeting the stream", time.Time{}, s.meet); err != nil {
		return err
	}
	s.counts.lost(s.cfg.Log)
	ready()
	s.cfg.Logger.Info("sequencer ready", "last_seq", s.at())
	for ctx.Err() == nil {
		if s.due() {
			if err := s.keep(ctx); err != nil && ctx.Err() == nil {
				s.cfg.Logger.Warn("audit log not tidied", "err", err) // it is tried again
			}
		}
		if err := s.step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// at is the sequence through which everything is in the trees.
func (s *Sequencer) at() uint64 { return max(s.cfg.Log.Sequence(), s.skip) }

// step moves what waits, one batch of it.
func (s *Sequencer) step(ctx context.Context) error {
	var got []eventlog.Received
	err := s.retry(ctx, "reading the stream", time.Time{}, func(ctx context.Context) (err error) { // S1
		got, err = s.cfg.Reader.Fetch(ctx, maxBatch, maxBatchBytes, fetchWait)
		return err
	})
	if err != nil {
		return err
	}
	if len(got) == 0 {
		s.counts.idle(s.cfg.Log)
		return nil
	}
	last := got[len(got)-1]
	if got[0].Seq <= s.cfg.Log.Sequence() {
		// It came again, or it is another stream.
		if err := s.retry(ctx, "meeting the stream", got[0].At, s.recognize); err != nil {
			return err
		}
	}
	// What is read is finished though ctx ends; the disk alone decides.
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopGrace, cancel) })()
	err = s.retry(work, "appending", got[0].At, func(ctx context.Context) error { return s.take(ctx, got) }) // S2
	if err != nil {
		return err
	}
	if err := s.cfg.Log.cfg.step("sequenced"); err != nil {
		return err
	}
	if err := s.cfg.Reader.AckThrough(work, last.Seq); err != nil { // S3
		// The checkpoint says how far the trees are; the confirmation only
		// saves reading again.
		s.cfg.Logger.Warn("confirmation delayed", "seq", last.Seq, "err", err)
	}
	if err := s.cfg.Log.cfg.step("acknowledged"); err != nil {
		return err
	}
	s.counts.behind(s.cfg.Log, last, func() (eventlog.StreamState, error) { return s.cfg.Stream.Info(work, eventlog.AuditStream) })
	return nil
}

// take appends messages that follow each other in the stream.
func (s *Sequencer) take(ctx context.Context, got []eventlog.Received) error {
	at := s.at()
	var batch []Sequenced
	for _, r := range got {
		if r.Seq <= at {
			continue
		}
		if r.Seq > at+1 {
			if err := s.append(ctx, batch); err != nil {
				return err
			}
			batch = nil
			if err := s.between(ctx, at+1, r); err != nil {
				return err
			}
		}
		e, err := s.entry(r)
		if err != nil {
			return err
		}
		batch, at = append(batch, e), r.Seq
	}
	return s.append(ctx, batch)
}

func (s *Sequencer) append(ctx context.Context, batch []Sequenced) error {
	if len(batch) == 0 {
		return nil
	}
	if err := s.cfg.Log.Append(ctx, batch); err != nil {
		return err
	}
	s.counts.appended(s.cfg.Log, len(batch))
	s.counts.lost(s.cfg.Log)
	return nil
}

// between takes what the consumer passed over before a message: what is in the
// stream is appended, because an older copy of the trees may have been put
// back, and what is not is on record as a gap.
func (s *Sequencer) between(ctx context.Context, first uint64, next eventlog.Received) error {
	return s.fill(ctx, first, next.Seq-1, &next)
}

// fill appends the stream from first to last, both included. A gap at the end
// is for whoever has the message after it, next.
func (s *Sequencer) fill(ctx context.Context, first, last uint64, next *eventlog.Received) error {
	at, size := first-1, 0
	var batch []Sequenced
	add := func(r eventlog.Received) error {
		if r.Seq > at+1 {
			g, err := s.gap(Gap{at + 1, r.Seq - 1}, r)
			if err != nil {
				return err
			}
			batch, at = append(batch, g), r.Seq-1
		}
		return nil
	}
	for r, err := range s.cfg.Stream.Range(ctx, eventlog.AuditStream, first, last) {
		if err != nil {
			return err
		}
		if err := add(r); err != nil {
			return err
		}
		e, err := s.entry(r)
		if err != nil {
			return err
		}
		batch, at, size = append(batch, e), r.Seq, size+len(r.Data)
		if len(batch) >= maxBatch || size >= maxBatchBytes {
			if err := s.append(ctx, batch); err != nil {
				return err
			}
			batch, size = nil, 0
		}
	}
	if next != nil {
		if err := add(*next); err != nil {
			return err
		}
	}
	return s.append(ctx, batch)
}

// gap records that nothing was found before a message.
func (s *Sequencer) gap(g Gap, next eventlog.Received) (Sequenced, error) {
	s.cfg.Logger.Error("audit entries missing", "from_seq", g.From, "to_seq", g.To)
	s.counts.missed(g.To - g.From + 1)
	p, err := own(KindGap, fmt.Sprintf("gap-%d", g.From), next.At, g)
	p.Seq = g.To
	return p.Sequenced, err
}

// entry is what a message of the stream is in the tree: its bytes, or an entry
// that says why not.
func (s *Sequencer) entry(r eventlog.Received) (Sequenced, error) {
	reason := refusal(r)
	if reason == "" {
		return Sequenced{r.Seq, r.Data}, nil
	}
	s.cfg.Logger.Error("audit entry refused", "seq", r.Seq, "reason", reason)
	s.counts.refused()
	p, err := own(KindRefused, fmt.Sprintf("refused-%d", r.Seq), r.At,
		Refused{Seq: r.Seq, Bytes: len(r.Data), SHA256: digest(r.Data), Reason: reason})
	p.Seq = r.Seq
	return p.Sequenced, err
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// retry does f until it succeeds, and gives up only on failures that do not
// pass. since is when what waits for it was recorded.
func (s *Sequencer) retry(ctx context.Context, doing string, since time.Time, f func(context.Context) error) error {
	for delay := 20 * time.Millisecond; ; delay = min(2*delay, lastPause) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if kind := fault.KindOf(err); ctx.Err() != nil || kind != fault.Unavailable && kind != fault.Exhausted {
			return fmt.Errorf("%s: %w", doing, err)
		}
		s.counts.retried(since)
		s.cfg.Logger.Warn("audit log waits", "doing", doing, "err", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", doing, err)
		case <-time.After(delay):
		}
	}
}
