package lethetest

import (
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/embedded"
)

// Engine starts a ClickHouse engine with these users. It skips the test when
// the library of the engine is not on this machine; see the package comment.
func Engine(t testing.TB, users ...embedded.EngineUser) *embedded.Engine {
	t.Helper()
	e := NewEngine(t, t.TempDir(), users...)
	Start(t, "engine", e)
	return e
}

// NewEngine makes the engine that [Engine] starts, in a directory of the
// caller's choice, and leaves running it to the caller.
func NewEngine(t testing.TB, dir string, users ...embedded.EngineUser) *embedded.Engine {
	t.Helper()
	if !handedOver {
		t.Fatal("the tests of this package need: func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }")
	}
	lib, err := embedded.FindLibrary("")
	if err != nil {
		if required("clickhouse") {
			t.Fatal(err)
		}
		t.Skipf("not tested against ClickHouse: %v", err)
	}
	probe, prober := embedded.NewProbe()
	e, err := embedded.NewEngine(embedded.EngineConfig{
		Dir:         dir,
		Library:     lib,
		UsersXML:    embedded.UsersXML(append([]embedded.EngineUser{prober}, users...)),
		Probe:       probe,
		MemoryLimit: 2 << 30,
		Log:         Logger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
