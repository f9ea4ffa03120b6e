package cell_test

import (
	"flag"
	"os"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestMain(m *testing.M) {
	// Each history takes a second or two on a real engine.
	checks := "4"
	if long() {
		checks = "400"
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	os.Exit(lethetest.Main(m))
}

func long() bool { return os.Getenv("LETHE_TEST_LONG") != "" }
