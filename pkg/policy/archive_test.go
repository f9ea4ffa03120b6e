package policy_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/lethe-pipeline/lethe/pipelines"
	"github.com/lethe-pipeline/lethe/pkg/fault"
	"github.com/lethe-pipeline/lethe/pkg/policy"
	"github.com/lethe-pipeline/lethe/schemas"
)

func TestAnArchiveIsTheDocumentsAgain(t *testing.T) {
	docs, err := policy.Load(schemas.FS, pipelines.FS)
	if err != nil {
		t.Fatal(err)
	}
	text, err := docs.Archive()
	if err != nil {
		t.Fatal(err)
	}
	back, err := policy.ParseArchive(text)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(back)
	if err != nil {
		t.Fatal(err)
	}
	if pol.Digest() != builtin(t).Digest() {
		t.Error("the policy in the archive is another")
	}
	if again, err := pol.Documents().Archive(); err != nil || !bytes.Equal(text, again) {
		t.Errorf("the archive of the same documents is another: %v", err)
	}
}

func TestAnArchiveIsReadStrictly(t *testing.T) {
	for what, text := range map[string]string{
		"nothing":           ``,
		"no JSON":           `lethe`,
		"another format":    `{"format":"lethe-policy-2","documents":{}}`,
		"an unknown member": `{"format":"lethe-policy-1","documents":{},"more":1}`,
		"a member twice":    `{"format":"lethe-policy-1","documents":{"a.yaml":"a","a.yaml":"b"}}`,
		"more behind it":    `{"format":"lethe-policy-1","documents":{}} {}`,
		"an upward path":    `{"format":"lethe-policy-1","documents":{"../a.yaml":""}}`,
		"an absolute path":  `{"format":"lethe-policy-1","documents":{"/a.yaml":""}}`,
		"another kind":      `{"format":"lethe-policy-1","documents":{"a.sh":""}}`,
		"a hidden file":     `{"format":"lethe-policy-1","documents":{"a/.b.yaml":""}}`,
		"two of one name":   `{"format":"lethe-policy-1","documents":{"a/b.yaml":"","c/b.yaml":""}}`,
		"no UTF-8":          "{\"format\":\"lethe-policy-1\",\"documents\":{\"a.yaml\":\"\xff\"}}",
		"too much":          `{"format":"lethe-policy-1","documents":{"a.yaml":"` + strings.Repeat("x", policy.MaxArchive) + `"}}`,
		"too large a file":  `{"format":"lethe-policy-1","documents":{"a.yaml":"` + strings.Repeat("x", 4<<20+1) + `"}}`,
	} {
		if _, err := policy.ParseArchive([]byte(text)); !errors.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	docs, err := policy.Load(fstest.MapFS{"a.yaml": {Data: []byte("\xff")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := docs.Archive(); !errors.Is(err, fault.Invalid) {
		t.Errorf("documents that are not UTF-8 are archived: %v", err)
	}
}
