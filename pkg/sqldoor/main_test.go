package sqldoor_test

import (
	"os"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/lethetest"
)

func TestMain(m *testing.M) { os.Exit(lethetest.Main(m)) }
