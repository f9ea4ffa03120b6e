package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/verify"
)

func TestEqualBundlesHaveEqualBytes(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(3)
	b := w.bundle(evidence.Request{})
	if !bytes.Equal(b, write(t, read(t, b))) {
		t.Error("a bundle that is read and written again has other bytes")
	}
	if !strings.HasPrefix(string(b), "{\n \"format\": \"lethe-evidence/1\",\n \"key\": ") {
		t.Errorf("a bundle begins with %q", b[:60])
	}
}

func TestABundleIsMadeAgainWhenAManifestComesInBetween(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(3)
	w.moving = 2
	if r, err := evidence.Check(w.bundle(evidence.Request{}), evidence.Options{}); err != nil || !r.OK {
		t.Errorf("%v %q", err, r.Problems)
	}
	w.moving = 3
	if _, err := w.maker().Bundle(t.Context(), evidence.Request{By: "officer-1"}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("a list that stays away: %v", err)
	}
}

func TestThereIsNoBundleWithoutAReport(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(1)
	c := w.config()
	c.Verify = func(context.Context) (verify.Report, error) {
		return verify.Report{}, fault.Unavailable.Errorf("the warehouse does not answer")
	}
	m, err := evidence.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Bundle(t.Context(), evidence.Request{By: "officer-1"}); !errors.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
	c.Verify = nil
	if _, err := evidence.New(c); !errors.Is(err, fault.Invalid) {
		t.Errorf("a maker without a part: %v", err)
	}
}

// TestABundleIsOnRecordBeforeItIsWritten: P10.
func TestABundleIsOnRecordBeforeItIsWritten(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(1)
	b := read(t, w.bundle(evidence.Request{}))
	e, ok := w.log.Last(audit.KindVerify)
	last := b.Trees[0].Entries[len(b.Trees[0].Entries)-1]
	if !ok || !strings.Contains(last, e.ID) {
		t.Error("the last entry of the bundle is not that of the bundle")
	}
}

func TestTheFirstBundleOfAnEmptyLog(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01")
	w.batch = nil // not even the policy
	for _, r := range []evidence.Request{{}, {All: true}} {
		got, err := evidence.Check(w.bundle(r), evidence.Options{})
		if err != nil || !got.OK {
			t.Errorf("%v %q", err, got.Problems)
		}
	}
}

func TestWhatWasKeptElsewhereIsFoundInItsFile(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(2)
	first := w.newest()
	w.days(1)
	text := "Kept by the officer on Monday:\r\n\r\n" + strings.ReplaceAll(first, "\n", "\r\n") + "\r\nkey " + w.log.VerifierKey() + "\r\n" +
		strings.ReplaceAll(w.newest(), "\n", "\r\n")
	all, err := evidence.ParseCheckpoints(text)
	if err != nil || len(all) != 2 || all[0] != first || all[1] != w.newest() {
		t.Errorf("%v, %q", err, all)
	}
	key, err := evidence.ParseKey(text)
	if err != nil || key != w.log.VerifierKey() {
		t.Errorf("%v, %q", err, key)
	}
	r, err := evidence.Check(w.bundle(evidence.Request{}), evidence.Options{Key: key, Earlier: all})
	if err != nil || !r.OK {
		t.Errorf("%v %q", err, r.Problems)
	}
	for _, none := range []string{"", "key", first[:20]} {
		if _, err := evidence.ParseCheckpoints(none); !errors.Is(err, fault.Invalid) {
			t.Errorf("a checkpoint in %q: %v", none, err)
		}
		if _, err := evidence.ParseKey(none); !errors.Is(err, fault.Invalid) {
			t.Errorf("a key in %q: %v", none, err)
		}
	}
}

func TestWhatIsNoEvidenceIsSaidToBeNone(t *testing.T) {
	for _, text := range []string{"", "null", "[]", `"x"`, `{}`, `{"format":"lethe-evidence/2"}`, `{"format":"lethe-evidence/1","format":"lethe-evidence/1"}`,
		`{"format":"lethe-evidence/1","key":"k","statement":{},"inventory":[],"trees":[],"more":1}`, "\xff"} {
		if _, err := evidence.Check([]byte(text), evidence.Options{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := evidence.HTML([]byte(text), evidence.Options{}); !errors.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
	w := newWorld(t, t.TempDir(), "2026-03-01").days(1)
	if _, err := evidence.Check(w.bundle(evidence.Request{}), evidence.Options{Key: "no key"}); !errors.Is(err, fault.Invalid) {
		t.Errorf("a key that is none: %v", err)
	}
}
