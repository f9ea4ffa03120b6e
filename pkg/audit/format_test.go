package audit_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/fault"
)

func TestCheckpointIsReadOneWayOnly(t *testing.T) {
	l := open(t, created(t))
	appended(t, l, made(1, 5, today))
	signed := l.Trees()[0].Checkpoint
	c := parse(t, l, signed)
	if c.Origin != origin || c.Year != 2026 || c.Size != 6 || c.Seq != 5 {
		t.Errorf("checkpoint %+v", c)
	}
	if !strings.HasPrefix(signed, origin+"/2026\n6\n") || !strings.Contains(signed, "\nseq 5\n\n— "+origin+" ") {
		t.Errorf("the note is not a C2SP checkpoint:\n%s", signed)
	}
	other := open(t, created(t))
	_, err := audit.ParseCheckpoint(signed, other.VerifierKey())
	wantKind(t, err, fault.Invalid, "not signed")
	_, err = audit.ParseCheckpoint(signed, "x")
	wantKind(t, err, fault.Invalid, "verifier key")
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(signed)-1).Draw(rt, "at")
		changed := []byte(signed)
		changed[at] = rapid.Byte().Filter(func(b byte) bool { return b != signed[at] }).Draw(rt, "byte")
		if have, err := audit.ParseCheckpoint(string(changed), l.VerifierKey()); err == nil && have != c {
			rt.Errorf("a changed checkpoint is read as another")
		}
		cut := signed[:at]
		if _, err := audit.ParseCheckpoint(cut, l.VerifierKey()); err == nil {
			rt.Errorf("a checkpoint without its last %d bytes is read", len(signed)-at)
		}
	})
}

func TestBundleIsReadAsItWasWrittenOrNotAtAll(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		entries := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 40), 1, 256).Draw(rt, "entries")
		data := audit.EncodeBundle(entries)
		have, ok := audit.DecodeBundle(data, len(entries))
		if !ok || !slices.EqualFunc(have, entries, bytes.Equal) {
			rt.Error("what was written is not what is read")
		}
		for _, bad := range [][]byte{data[:len(data)-1], append(bytes.Clone(data), 0), data[1:]} {
			if have, ok := audit.DecodeBundle(bad, len(entries)); ok && slices.EqualFunc(have, entries, bytes.Equal) {
				rt.Error("a torn bundle is read")
			}
		}
		if _, ok := audit.DecodeBundle(data, len(entries)+1); ok {
			rt.Error("a bundle of fewer entries is read")
		}
		if _, ok := audit.DecodeBundle(data, len(entries)-1); ok {
			rt.Error("a bundle of more entries is read")
		}
	})
}

func FuzzParseEntry(f *testing.F) {
	f.Add(entry("a", today, audit.KindKey, audit.Key{Verb: "destroy", Key: "clean/a/access-30d/2026-01-01"}))
	f.Add(entry("b", today, audit.KindManifest, audit.Manifest{Lines: []audit.Line{{Table: "http_access", Found: 3}}}))
	f.Add([]byte(`{"id":"a","at":"2026-01-01T00:00:00Z","kind":"clock","by":"x","detail":{"from":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := audit.ParseEntry(data)
		if err == nil && (e.ID == "" || e.Kind == "" || e.By == "" || e.At.IsZero() || len(e.Detail) < 2) {
			t.Errorf("an entry without one of its parts is read: %q", data)
		}
	})
}
