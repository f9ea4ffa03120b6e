package audit

import (
	"context"
	"errors"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// due says whether it is time to look for what is past its rule.
func (s *Sequencer) due() bool {
	now := s.cfg.Log.cfg.Now()
	// A clock that was set back must not put it off.
	if s.ending > 0 && s.cfg.Log.Sequence() >= s.ending {
		return true
	}
	return s.kept.IsZero() || now.Sub(s.kept) >= keepEvery || now.Before(s.kept)
}

// keep records the end of trees that are past their rule, removes those whose
// end is in a tree, and takes out of the stream what has been in a tree for
// long.
func (s *Sequencer) keep(ctx context.Context) error {
	s.kept, s.ending = s.cfg.Log.cfg.Now(), 0
	return errors.Join(s.endTrees(ctx), s.cfg.Log.sweepRemoved(), s.purge(ctx))
}

func (s *Sequencer) endTrees(ctx context.Context) error {
	for _, t := range s.cfg.Log.Expired() {
		if s.cfg.Log.ending(t.Year) {
			if err := s.cfg.Log.Remove(ctx, t.Year); err != nil {
				return err
			}
			continue
		}
		t.Ended, t.Previous = true, ""
		seq, err := s.cfg.Recorder.RecordSeq(ctx, KindTree, t)
		if err != nil {
			return err
		}
		s.ending = seq
	}
	return nil
}

// purge removes the messages that have been in the stream for [streamKept], by
// the clock that dated them there, but never the one that the trees end with,
// by which the stream is known.
func (s *Sequencer) purge(ctx context.Context) error {
	state, err := s.cfg.Stream.Info(ctx, eventlog.AuditStream)
	if err != nil {
		return err
	}
	cut := time.Now().Add(-s.streamKept)
	below := min(s.cfg.Log.Sequence(), state.Last)
	if state.Messages == 0 || !state.FirstAt.Before(cut) || below <= state.First {
		return nil
	}
	// The first sequence in (First, below] that is not older than cut: those
	// of a stream were taken in the order of their dates.
	low, high := state.First+1, below
	for low < high {
		mid := low + (high-low)/2
		r, err := s.cfg.Stream.Next(ctx, eventlog.AuditStream, mid)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return err
		}
		if err == nil && r.At.Before(cut) && r.Seq < high {
			low = r.Seq + 1
		} else {
			high = mid
		}
	}
	n, err := s.cfg.Stream.Purge(ctx, eventlog.AuditStream, eventlog.AuditTopics, low)
	if n > 0 {
		s.cfg.Logger.Info("audit stream shortened", "messages", n, "below_seq", low)
	}
	return err
}
