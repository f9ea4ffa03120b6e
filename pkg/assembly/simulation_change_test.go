package assembly_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/loader"
	"github.com/lethe-pipeline/lethe/pkg/warehouse"
)

func mustRead(t testing.TB, name string) []byte {
	t.Helper()
	b, err := fs.ReadFile(pipelines.FS, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustReplace(t testing.TB, text, old, by string) string {
	t.Helper()
	if strings.Count(text, old) != 1 {
		t.Fatalf("the document does not say %q once", old)
	}
	return strings.Replace(text, old, by, 1)
}

// changePolicy is what an officer and a restart do: application logs are kept
// shorter, or accesses for twice as long.
func (s *simulation) changePolicy(day int) {
	s.t.Helper()
	text := string(mustRead(s.t, "retention.yaml"))
	if s.shortenAt > 0 && day >= s.shortenAt {
		text = mustReplace(s.t, text, "period: 90 days\n    starts: event", fmt.Sprintf("period: %d days\n    starts: event", s.shorter))
	}
	if s.lengthenAt > 0 && day >= s.lengthenAt {
		text = mustReplace(s.t, text, "Gone 30 days after they happened.\n    period: 30 days", "Gone 60 days after they happened.\n    period: 60 days")
	}
	pol := compile(s.t, fstest.MapFS{"retention.yaml": {Data: []byte(text)}})
	s.restart(pol)
	s.w.follow(pol, s.clock())
}

// checkRebuild makes the tables anew from the clean log: they are what they
// were.
func (s *site) checkRebuild() (problems []string) {
	s.t.Helper()
	ctx := s.t.Context()
	before, err := s.admin.Fingerprint(ctx, s.pol)
	s.must(err)
	s.must(loader.Rebuild(ctx, s.bucket, nil))
	after, err := s.admin.Fingerprint(ctx, s.pol)
	s.must(err)
	was := map[cell]warehouse.Fingerprint{}
	for _, f := range before {
		was[cell{table: f.Table, day: f.Day}] = f
	}
	for _, f := range after {
		c := cell{table: f.Table, day: f.Day}
		if was[c] != f {
			problems = append(problems, fmt.Sprintf("a rebuild makes %d rows of %s %s where there were %d, or others", f.Rows, f.Table, f.Day, was[c].Rows))
		}
		delete(was, c)
	}
	for _, f := range was {
		problems = append(problems, fmt.Sprintf("a rebuild loses %d rows of %s %s", f.Rows, f.Table, f.Day))
	}
	return problems
}
