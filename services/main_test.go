package services_test

import (
	"os"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

// The tests of this package run the services as docker-compose.yml does: each
// as a process of its own with the environment and the files that the compose
// file gives it, against a NATS server and an engine that are processes of
// their own.

func TestMain(m *testing.M) {
	code := lethetest.Main(m)
	if dir, err := built(); err == nil && dir != "" {
		_ = os.RemoveAll(dir) // left in the system's folder for such things
	}
	os.Exit(code)
}
