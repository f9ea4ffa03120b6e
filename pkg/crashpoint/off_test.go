//go:build !crashpoints

package crashpoint_test

import (
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/crashpoint"
)

func TestReleaseBuildCannotBeMadeToCrash(t *testing.T) {
	t.Setenv("LETHE_CRASH_AT", "test.point")
	crashpoint.Reach("test.point") // reaching the next line is the test
	if crashpoint.Enabled {
		t.Error("Enabled = true in a build without the tag")
	}
}
