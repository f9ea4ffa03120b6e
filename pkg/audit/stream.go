package audit

import (
	"bytes"
	"context"
	"errors"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// refusal says why a message is not taken as an entry; empty if it is. A
// service may publish on some topics only, so an entry must be of the kind
// that its topic says.
func refusal(r eventlog.Received) string {
	e, err := ParseEntry(r.Data)
	if err != nil {
		return err.Error() // names no value
	}
	if r.Topic != eventlog.AuditTopic(string(e.Kind)) {
		return "its kind is not that of its topic"
	}
	switch e.Kind {
	case KindGap, KindRefused:
		return "only the sequencer records entries of its kind"
	case KindTree:
		var t Tree
		if jsonv2.Unmarshal(e.Detail, &t) != nil || !t.Ended {
			return "only the log begins a tree"
		}
	case KindLog:
		var b Began
		if jsonv2.Unmarshal(e.Detail, &b) != nil || b.Lost == LostStream {
			return "only the log goes on without its stream"
		}
	}
	return ""
}

// meet holds the stream to the trees before anything is read, says under which
// key they are, and brings them to where the stream's reader is: a copy of the
// trees that is older than the stream catches up.
func (s *Sequencer) meet(ctx context.Context) (err error) {
	if err := s.recognize(ctx); err != nil {
		return err
	}
	if s.cfg.Log.recovered() {
		if s.skip, err = s.common(ctx); err != nil {
			return err
		}
	}
	if err := s.announce(ctx); err != nil {
		return err
	}
	floor, err := s.cfg.Reader.Floor(ctx)
	if err != nil {
		return err
	}
	at := s.at()
	if floor <= at {
		return nil
	}
	s.cfg.Logger.Warn("audit log behind its stream", "last_seq", at, "confirmed_seq", floor)
	return s.fill(ctx, at+1, floor, nil)
}

// recognize makes sure that the stream is the one that the trees were made of:
// it goes on from where they are. Otherwise entries with the sequences of
// others would be passed over.
func (s *Sequencer) recognize(ctx context.Context) error {
	at := s.cfg.Log.Sequence()
	if at == 0 {
		return nil
	}
	state, err := s.cfg.Stream.Info(ctx, eventlog.AuditStream)
	if err != nil {
		return err
	}
	if state.Last < at {
		return s.other(ctx, at, state)
	}
	r, err := s.cfg.Stream.Get(ctx, eventlog.AuditStream, at)
	if errors.Is(err, fault.NotFound) {
		return nil // removed since
	}
	if err != nil {
		return err
	}
	have, err := s.cfg.Log.latest()
	if err != nil {
		return err
	}
	if !bytes.Equal(have, r.Data) && !refuses(have, r) {
		return s.other(ctx, at, state)
	}
	return nil
}

// refuses says whether an entry is the refusal of a message.
func refuses(entry []byte, r eventlog.Received) bool {
	e, err := ParseEntry(entry)
	var d Refused
	return err == nil && e.Kind == KindRefused && jsonv2.Unmarshal(e.Detail, &d) == nil &&
		d.Seq == r.Seq && d.SHA256 == digest(r.Data)
}
