package evidence_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/audit"
	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// recorded is what a world's stream has of a year: the entries without the one
// that begins the tree.
func (w *world) recorded() (out []audit.Sequenced) {
	w.t.Helper()
	tree := w.log.Trees()[0]
	for data, err := range w.log.Entries(w.t.Context(), tree.Year, 1, tree.Size) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, audit.Sequenced{Seq: uint64(len(out) + 1), Data: slices.Clone(data)})
	}
	return out
}

// beginAnew puts a log under another key where the world's was, and makes it of
// what the stream has.
func (w *world) beginAnew(stream []audit.Sequenced) {
	w.t.Helper()
	c := audit.Config{Dir: w.t.TempDir(), Origin: origin, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return w.now }}
	if err := audit.Create(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	l, err := audit.Open(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = l.Close() })
	before := w.log.VerifierKey()
	if w.log = l; len(stream) > 0 {
		w.batch = append(stream, w.batch...)
		w.seq = stream[len(stream)-1].Seq
	}
	w.record(audit.KindLog, "audit", audit.Began{Key: l.VerifierKey(), Lost: audit.LostLog, Before: before, Through: w.seq, From: 1})
	w.flush()
}

func says(t *testing.T, what string, sentences []string, want string) {
	t.Helper()
	if !slices.ContainsFunc(sentences, func(s string) bool { return strings.Contains(s, want) }) {
		t.Errorf("%s: %q is not among %q", what, want, sentences)
	}
}

// P10: what was kept of a log that was removed still tells about evidence of
// that time, and about the log that is made anew.
func TestACheckpointOfALogThatWasRemovedStillTells(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(8)
	kept, key := w.newest(), w.log.VerifierKey()
	old := w.days(2).bundle(evidence.Request{})
	whole := w.recorded()
	w.beginAnew(whole)
	anew := w.bundle(evidence.Request{})

	r, err := evidence.Check(old, evidence.Options{Key: key, Earlier: []string{kept}})
	if err != nil || !r.OK {
		t.Errorf("evidence of the old log does not hold: %v %q", err, r.Problems)
	}
	r, err = evidence.Check(anew, evidence.Options{Key: w.log.VerifierKey(), Earlier: []string{kept}})
	if err != nil || !r.Intact || r.OK {
		t.Errorf("evidence of the log made anew: %v, intact %t, ok %t", err, r.Intact, r.OK)
	}
	says(t, "the log made anew", r.Problems, "The log begins anew: on 2026-03-11")
	says(t, "the log made anew", r.Proved, "kept elsewhere, under the key ")
	if r, err := evidence.Check(anew, evidence.Options{Key: key}); err != nil || r.Intact {
		t.Errorf("the old key is taken for the new one: %v", err)
	}

	// The control: a stream that lacks one entry of that time makes another
	// log, and the checkpoint tells.
	w.beginAnew(slices.Delete(slices.Clone(whole), 20, 21))
	r, err = evidence.Check(w.bundle(evidence.Request{}), evidence.Options{Earlier: []string{kept}})
	if err != nil || r.Intact {
		t.Errorf("a log that lacks an entry agrees with the checkpoint: %v", err)
	}
	says(t, "a log that lacks an entry", r.Problems, "stands for other entries than this bundle")
}

func TestAnAcceptedJumpOfTheClockIsNoFinding(t *testing.T) {
	for _, c := range []struct {
		name     string
		accepted bool
		after    time.Duration
	}{{"nobody accepted it", false, 0}, {"accepted", true, 0}, {"a later run", true, 6 * 24 * time.Hour}, {"a further jump", true, 8 * 24 * time.Hour}} {
		w := newWorld(t, t.TempDir(), "2026-03-01").days(2)
		to := w.now.AddDate(1, 0, 0)
		w.record(audit.KindClock, "retention", audit.Clock{From: w.now, To: to, Accepted: c.accepted})
		w.record(audit.KindRun, "retention", audit.Run{Clock: to.Add(c.after), Policy: w.pol.Digest()})
		w.flush()
		r, err := evidence.Check(w.bundle(evidence.Request{}), evidence.Options{})
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(r.Problems, func(s string) bool { return strings.Contains(s, "ahead of the time at which the run was recorded") })
		if want := !c.accepted || c.after > audit.MaxJump; found != want {
			t.Errorf("%s: found %t, want %t: %q", c.name, found, want, r.Problems)
		}
	}
}

// P10: what a shortened removal is held to cannot be edited into place.
func TestAnEditOfAPolicyOrOfACutoffIsFound(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01")
	w.apply(strings.Repeat("ab", 32), audit.Kept{Table: "login", Months: 24})
	w.apply("", audit.Kept{})
	w.days(4).shorten("2027-03-02", w.loginCutoff())
	w.flush()
	original := read(t, w.bundle(evidence.Request{}))
	if r, err := evidence.Check(write(t, original), evidence.Options{}); err != nil || !r.OK {
		t.Fatalf("the control is not OK: %v %q", err, r.Problems)
	}
	for name, edit := range map[string][2]string{
		"a longer period before": {`"table":"login","months":24`, `"table":"login","months":36`},
		"a shorter period after": {`"table":"login","months":12`, `"table":"login","months":10`},
		"another cut-off":        {`"cutoff":"2025-`, `"cutoff":"2024-`},
		"another reason":         {`"reason":"shortened"`, `"reason":"expired"`},
		"a policy left out":      {`"table":"login","months":24`, ""},
	} {
		b := clone(original)
		i := slices.IndexFunc(b.Trees[0].Entries, func(e string) bool { return strings.Contains(e, edit[0]) })
		if i < 0 {
			t.Fatalf("%s: no entry to edit", name)
		}
		if edit[1] == "" {
			b.Trees[0].Entries = slices.Delete(b.Trees[0].Entries, i, i+1)
		} else {
			b.Trees[0].Entries[i] = strings.Replace(b.Trees[0].Entries[i], edit[0], edit[1], 1)
		}
		if r, err := evidence.Check(write(t, b), evidence.Options{}); err != nil || r.Intact || r.OK {
			t.Errorf("%s: it is not found: %v", name, err)
		}
	}
}

func TestEvidenceOfAYoungLetheDoesNotClaimWhatItCannotShow(t *testing.T) {
	for _, c := range []struct {
		name string
		days int
		due  bool
		says string
	}{
		{"an hour", 0, false, "It cannot show yet that the deletion rules are kept: it begins on 2026-03-01 00:00 UTC, and nothing had to be gone by its end."},
		{"forty days", 40, true, "it shows that the deletion rules were kept: "},
	} {
		w := newWorld(t, t.TempDir(), "2026-03-01").days(c.days)
		bundle := w.bundle(evidence.Request{})
		r, err := evidence.Check(bundle, evidence.Options{})
		if err != nil || !r.OK || (r.Due != evidence.Due{}) != c.due || !strings.Contains(r.Verdict(), c.says) {
			t.Errorf("%s: %v, due %+v, %q", c.name, err, r.Due, r.Verdict())
		}
		page, err := evidence.HTML(bundle, evidence.Options{})
		if err != nil || !strings.Contains(text(checkPage(t, page)), r.Verdict()) || strings.Contains(string(page), `verdict good`) != c.due {
			t.Errorf("%s: the report says otherwise: %v", c.name, err)
		}
	}
}
