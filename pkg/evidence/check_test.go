package evidence_test

import (
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

func TestEvidenceOfALetheThatKeepsItsPromisesHasNoProblem(t *testing.T) {
	l := months(t)
	for name, b := range map[string][]byte{"all": l.all, "recent": l.recent} {
		start := time.Now()
		r, err := evidence.Check(b, evidence.Options{Key: l.key, Earlier: l.earlier})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, %d entries, %v", name, len(b), r.Entries, time.Since(start))
		for _, s := range r.Proved {
			t.Log("proved: " + s)
		}
		for _, s := range r.NotProved {
			t.Log("not proved: " + s)
		}
		for _, s := range r.Problems {
			t.Error("problem: " + s)
		}
		if !r.OK || !r.Intact {
			t.Errorf("%s is not OK", name)
		}
	}
}
