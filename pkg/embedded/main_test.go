package embedded_test

import (
	"os"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestMain(m *testing.M) {
	if play := os.Getenv(roleEnv); play != "" && len(os.Args) == 2 && os.Args[1] == "role" {
		os.Exit(roles[play]())
	}
	os.Exit(lethetest.Main(m))
}

// roleEnv names the part that this test binary plays when a test starts it
// again with the argument "role".
const roleEnv = "EMBEDDED_TEST_ROLE"

// roles play parts that need a process of their own.
var roles = map[string]func() int{
	"parent of an engine": parentOfEngine,
	"full disk":           natsOnFullDisk,
}
