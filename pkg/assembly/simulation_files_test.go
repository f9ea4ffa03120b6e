package assembly_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// folders are where files have a deletion rule, and for how many days.
var folders = []struct {
	name, governs string
	days          int
}{{"reports", "reports", 90}, {"backups", "backups", 30}, {"key-backups", "key_backups", 30}}

// file is one that somebody made on the way.
type file struct {
	path string
	ends time.Time
}

// makeFiles writes a file into every folder once a week.
func (s *simulation) makeFiles(day int) {
	s.t.Helper()
	if day%7 != 0 {
		return
	}
	for _, f := range folders {
		path := filepath.Join(s.dir, f.name, fmt.Sprintf("day-%d", day))
		s.must(os.MkdirAll(filepath.Dir(path), 0o700))
		s.must(os.WriteFile(path, []byte("made on the way"), 0o600))
		s.must(os.Chtimes(path, s.clock(), s.clock()))
		s.files = append(s.files, file{path, s.clock().AddDate(0, 0, f.days)})
	}
}

// checkFiles looks for them: those past their rule are gone with the run, and
// no younger one is missing.
func (s *simulation) checkFiles() (problems []string) {
	s.t.Helper()
	kept := s.files[:0]
	for _, f := range s.files {
		_, err := os.Stat(f.path)
		name, _ := filepath.Rel(s.dir, f.path)
		switch over := !f.ends.After(s.w.ran); {
		case over && err == nil:
			problems = append(problems, fmt.Sprintf("file %s is there, and ended at %v", name, f.ends))
		case !over && err != nil && f.ends.After(s.w.tried):
			problems = append(problems, fmt.Sprintf("file %s is gone, and ends at %v", name, f.ends))
		case over:
			s.filesGone++
			continue
		}
		kept = append(kept, f)
	}
	s.files = kept
	return problems
}
