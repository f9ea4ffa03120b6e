package evidence_test

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// TestEveryEditOfEvidenceIsFound: P10. The control is the bundle that nobody
// edited, which has no problem.
func TestEveryEditOfEvidenceIsFound(t *testing.T) {
	l := months(t)
	rng := rand.New(rand.NewPCG(3, 4))
	o := evidence.Options{Key: l.key, Earlier: l.earlier[len(l.earlier)-1:]}
	for _, c := range []struct {
		name   string
		bundle []byte
		edits  int
	}{{"of the last days", l.recent, 600}, {"of everything", l.all, len(edits)}} {
		t.Run(c.name, func(t *testing.T) {
			if c.edits /= less; testing.Short() {
				c.edits /= 10
			}
			original := read(t, c.bundle)
			untouched, err := evidence.Check(write(t, clone(original)), o)
			if err != nil || !untouched.OK {
				t.Fatalf("the control is not OK: %v, %q", err, untouched.Problems)
			}
			done := map[string]int{}
			for n := 0; n < c.edits; {
				e := edits[(n+rng.IntN(2))%len(edits)]
				b := clone(original)
				if !e.do(rng, b) {
					e = edits[rng.IntN(len(edits))]
					if b = clone(original); !e.do(rng, b) {
						continue
					}
				}
				n++
				done[e.name]++
				r, err := evidence.Check(write(t, b), o)
				if err == nil && (r.OK || len(r.Problems) == 0) {
					t.Errorf("edit %d, %s: not found", n, e.name)
				}
				if err == nil && r.Intact {
					t.Errorf("edit %d, %s: the bundle is said to be intact", n, e.name)
				}
			}
			t.Log(done)
		})
	}
}

// TestNoByteOfEvidenceIsIdle: a byte of the file that can be another without a
// problem says the same as before.
func TestNoByteOfEvidenceIsIdle(t *testing.T) {
	l := months(t)
	rng := rand.New(rand.NewPCG(5, 6))
	o := evidence.Options{Key: l.key, Earlier: l.earlier[len(l.earlier)-1:]}
	before := read(t, l.recent)
	rounds := 200 / less
	for range rounds {
		text := slices.Clone(l.recent)
		i := rng.IntN(len(text))
		text[i] ^= 1 << rng.IntN(8)
		r, err := evidence.Check(text, o)
		if err != nil || !r.OK {
			continue
		}
		if !reflect.DeepEqual(compacted(t, read(t, text)), compacted(t, before)) {
			t.Errorf("byte %d can be changed unseen, from %q to %q", i, l.recent[i], text[i])
		}
	}
}

// compacted is a bundle without the white space of its statement.
func compacted(t *testing.T, b *evidence.Bundle) *evidence.Bundle {
	t.Helper()
	var s bytes.Buffer
	if err := json.Compact(&s, b.Statement); err != nil {
		t.Fatal(err)
	}
	b.Statement = s.Bytes()
	return b
}

// TestARolledBackLogIsFound: P10. Older evidence is as good as it was, and the
// newer checkpoint shows that it is not the newest.
func TestARolledBackLogIsFound(t *testing.T) {
	w := newWorld(t, t.TempDir(), "2026-03-01").days(10)
	old := w.bundle(evidence.Request{})
	key := w.log.VerifierKey()
	w.days(2)
	newer := w.newest()
	if r, err := evidence.Check(old, evidence.Options{Key: key}); err != nil || !r.OK {
		t.Errorf("control: the older bundle is not OK by itself: %v %q", err, r.Problems)
	}
	r, err := evidence.Check(old, evidence.Options{Key: key, Earlier: []string{newer}})
	if err != nil || r.OK || r.Intact {
		t.Errorf("the older bundle passes with a newer checkpoint: %v %+v", err, r)
	}
	// Another history under the same key, as its holder could write it.
	fork := newWorld(t, t.TempDir(), "2026-03-01").days(12)
	r, err = evidence.Check(fork.bundle(evidence.Request{}), evidence.Options{Key: fork.log.VerifierKey(), Earlier: []string{newer}})
	if err != nil || r.OK || r.Intact {
		t.Errorf("another history passes: %v %+v", err, r)
	}
}

// FuzzCheck: whatever is read, nothing panics, and nothing is OK that was not
// made.
func FuzzCheck(f *testing.F) {
	w := newWorld(f, f.TempDir(), "2026-12-29").days(4)
	good := w.bundle(evidence.Request{})
	f.Add(good)
	f.Add([]byte(`{"format":"lethe-evidence/1"}`))
	f.Add([]byte(`{"format":"lethe-evidence/1","key":"","statement":{},"inventory":null,"trees":[{"year":2026,"checkpoint":"","from":1099511627775,"range":[],"entries":[],"checkpoints":[]}]}`))
	o := evidence.Options{Key: w.log.VerifierKey(), Earlier: []string{w.newest()}}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, o := range []evidence.Options{{}, o} {
			r, err := evidence.Check(text, o)
			if err == nil && r.OK && o.Key != "" && !reflect.DeepEqual(compacted(t, read(t, text)), compacted(t, read(t, good))) {
				t.Error("something else is OK")
			}
			_, _ = evidence.HTML(text, o) // it must not panic
		}
	})
}
