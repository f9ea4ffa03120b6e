package cell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lethe-pipeline/lethe/pkg/eventlog"
	"github.com/lethe-pipeline/lethe/pkg/keyring"
	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// TestAnotherPolicyCutsNoRowAgain: P19. Metrics may get other names, other
// dimensions and another zone; what is in cells stays where it is.
func TestAnotherPolicyCutsNoRowAgain(t *testing.T) {
	for name, change := range map[string][]string{
		"another name":       {"  visits:\n", "  looks:\n", "  volume:\n", "  weight:\n"},
		"another order":      {"dimensions: [page, code, bot]", "dimensions: [code, page]"},
		"another zone":       {"    k: 5\n", "    k: 5\n    zone: Pacific/Kiritimati\n"},
		"a zone behind":      {"    k: 5\n", "    k: 5\n    zone: Pacific/Honolulu\n"},
		"a metric more":      {"  visitors:\n", "  visits_again:\n    title: Visits\n    description: Visits.\n    table: visit\n    value: count\n    subject: visitor\n    k: 5\n    dimensions: [page, code, bot]\n  visitors:\n"},
		"a larger k":         {"    k: 5\n", "    k: 6\n"},
		"another condition":  {"    value: count\n    subject: visitor\n", "    value: count\n    subject: visitor\n    where: {state: [in]}\n", "    of: size\n", "    of: size\n    where: {state: [in]}\n"},
		"subjects by others": {"dimensions: [page, code]", "dimensions: [code]"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := start(t)
			at := noon.AddDate(0, 0, -2).Truncate(24 * time.Hour)
			for hour := range 8 { // on both sides of every midnight
				s.publish(people(1, 6, visit{at: at.Add(time.Duration(3*hour) * time.Hour), page: "/", code: 1, size: 1})...)
			}
			s.cut()
			total := func() (n int64) {
				for _, c := range s.cells() {
					if c.Bucket == "day" && (c.Metric == "visits" || c.Metric == "looks" || c.Metric == "visits_again") {
						n += c.Value
					}
				}
				return n
			}
			if n := total(); n != 48 {
				t.Fatalf("48 rows are counted as %d", n)
			}
			s.pol = compile(t, edited(t, change...))
			s.restart()
			s.cut()
			if n := total(); n != 48 {
				t.Errorf("by the other policy 48 rows are counted as %d", n)
			}
			for _, c := range s.cells() {
				if c.Metric == "visitors" && c.Value < k {
					t.Errorf("published: %v", c)
				}
			}
		})
	}
}

// TestTheLastRawSequenceIsFoundBehindManyCells: net 2 looks for it from the end
// of the log. P18.
func TestTheLastRawSequenceIsFoundBehindManyCells(t *testing.T) {
	s := start(t)
	s.publish(people(1, 7, visit{at: noon.AddDate(0, 0, -1), page: "/"})...)
	raw := uint64(s.n)
	s.cut()
	// As many frames as many publications have: they may be of anything.
	w := s.writer("cells")
	for range 10 {
		last, err := s.log.Last(t.Context(), eventlog.CleanStream, "lethe.clean.*.*.cell.>")
		s.must(err)
		msgs := make([]eventlog.Message, 100)
		for i := range msgs {
			msgs[i] = eventlog.Message{Topic: last.Topic, Data: last.Data}
		}
		_, err = w.AppendAtomic(t.Context(), msgs)
		s.must(err)
	}
	if got, err := s.log.LastRawSeq(t.Context()); err != nil || got != raw {
		t.Errorf("the last raw sequence is %d, %v, want %d", got, err, raw)
	}
	s.loaded() // net 3 drops what is there
	seen := map[string]bool{}
	for _, c := range s.cells() {
		if seen[c.id] {
			t.Fatalf("%v is there twice", c)
		}
		seen[c.id] = true
	}
}

// TestTheKeyringAndThePolicyMeanOneKey: what the publisher may seal under.
func TestTheKeyringAndThePolicyMeanOneKey(t *testing.T) {
	class, ok := compile(t).Class(policy.CellClass)
	if !ok || class.KeyName() != keyring.CellClass || class.ExpiresAt(noon).Format(time.DateOnly) != keyring.CellDay {
		t.Errorf("cells are of the class %v, and the keyring seals under %s of %s", class, keyring.CellClass, keyring.CellDay)
	}
}
