package evidence_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/evidence"
)

// TestEvidenceThatWasMadeLongAgoCanStillBeChecked holds the format to its name:
// the file in testdata is never made again. A change that this test stops needs
// another format beside this one.
func TestEvidenceThatWasMadeLongAgoCanStillBeChecked(t *testing.T) {
	file, elsewhere := filepath.Join("testdata", "kept.json"), filepath.Join("testdata", "kept.txt")
	if _, err := os.Stat(file); *update && errors.Is(err, fs.ErrNotExist) {
		w := newWorld(t, t.TempDir(), "2026-12-28").days(4)
		kept := "Checkpoint of Friday, kept by the officer\n\n" + w.newest() + "\nkey " + w.log.VerifierKey() + "\n"
		bundle := w.days(3).bundle(evidence.Request{})
		for name, text := range map[string][]byte{file: bundle, elsewhere: []byte(kept)} {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	bundle, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	var o evidence.Options
	if o.Key, err = evidence.ParseKey(string(kept)); err != nil {
		t.Fatal(err)
	}
	if o.Earlier, err = evidence.ParseCheckpoints(string(kept)); err != nil {
		t.Fatal(err)
	}
	r, err := evidence.Check(bundle, o)
	if err != nil || !r.OK || r.Entries < 100 || len(r.Proved) < 5 {
		t.Errorf("%v %+v", err, r)
	}
	page, err := evidence.HTML(bundle, o)
	if err != nil {
		t.Fatal(err)
	}
	checkPage(t, page)
}
