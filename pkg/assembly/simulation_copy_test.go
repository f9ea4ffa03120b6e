package assembly_test

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/event"
	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
)

// copied is a frame that somebody copied while it lived.
type copied struct {
	stream      string
	at          time.Time // when it was copied, on the day that it was sealed
	class       string    // and day: of a clean frame
	day         event.Day
	aad, sealed []byte
}

// through are the sequences, by stream, up to which frames were copied.
type through map[string]uint64

// copyFrames copies what came onto the logs since the last time.
func (s *site) copyFrames(from through) (out []copied) {
	s.t.Helper()
	at := s.clock()
	for _, stream := range []string{eventlog.RawStream, eventlog.CleanStream, eventlog.QuarantineStream} {
		info, err := s.all.Info(s.t.Context(), stream)
		s.must(err)
		for m, err := range s.all.Range(s.t.Context(), stream, from[stream]+1, info.Last) {
			s.must(err)
			header, sealed, err := event.Unpack(m.Data)
			s.must(err)
			c := copied{stream: stream, at: at, aad: header, sealed: sealed}
			if stream == eventlog.CleanStream {
				var h event.CleanHeader
				s.must(event.ParseHeader(header, &h))
				c.class, c.day = h.Class, h.Day
			}
			out = append(out, c)
		}
		from[stream] = info.Last
	}
	return out
}

// opens says whether a copied frame can be opened.
func (s *site) opens(c copied) bool {
	s.t.Helper()
	var err error
	switch c.stream {
	case eventlog.RawStream:
		_, err = s.keys.Pseudonymizer().OpenRaw(s.t.Context(), tenant, c.aad, c.sealed)
	case eventlog.QuarantineStream:
		_, err = s.keys.Pseudonymizer().OpenQuarantine(s.t.Context(), tenant, c.aad, c.sealed)
	default:
		_, err = s.keys.Loader().OpenClean(s.t.Context(), tenant, c.class, string(c.day), c.aad, c.sealed)
	}
	if err != nil && !errors.Is(err, keyring.ErrDestroyed) {
		s.t.Fatal(err)
	}
	return err == nil
}

// key describes the key of a copied frame.
func (c copied) key() keyring.KeyInfo {
	switch c.stream {
	case eventlog.RawStream:
		return keyring.KeyInfo{Kind: keyring.KindRaw, Tenant: tenant, Start: c.at.Truncate(time.Hour)}
	case eventlog.QuarantineStream:
		return keyring.KeyInfo{Kind: keyring.KindQuarantine, Tenant: tenant, Start: c.at.Truncate(24 * time.Hour)}
	}
	return keyring.KeyInfo{Kind: keyring.KindClean, Class: c.class, Start: c.day.Start()}
}

// takeCopies keeps one frame of each key.
func (s *simulation) takeCopies() {
	s.t.Helper()
	for _, c := range s.copyFrames(s.through) {
		if !slices.ContainsFunc(s.copies, func(o copied) bool { return o.key() == c.key() }) {
			s.copies = append(s.copies, c)
		}
	}
}

// checkCopies tries to open frames that were copied while they lived: those
// whose time has come do not open, and others do.
func (s *simulation) checkCopies() (problems []string) {
	s.t.Helper()
	s.copies = slices.DeleteFunc(s.copies, func(c copied) bool {
		end, early := s.keyEnd(c.key())
		switch {
		case s.w.over(end, early):
			if s.opens(c) {
				problems = append(problems, fmt.Sprintf("a copied frame of %+v opens, and should not since %v", c.key(), end))
			}
			s.ended[c.key().Kind]++
			return true
		case end.IsZero() || end.After(s.w.tried):
			// Of those that live, a few each day.
			if s.look.IntN(100) == 0 && !s.opens(c) {
				problems = append(problems, fmt.Sprintf("a copied frame of %+v does not open, and should until %v", c.key(), end))
			}
		}
		return false
	})
	return problems
}
