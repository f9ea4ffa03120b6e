package warehouse_test

import (
	"os"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/policy"
)

// testPolicy has a table with a column of every kind, and a lasting one.
func testPolicy(t testing.TB) *policy.Policy {
	t.Helper()
	docs, err := policy.Load(os.DirFS("testdata/policy"))
	if err != nil {
		t.Fatal(err)
	}
	pol, err := policy.Compile(docs)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}
