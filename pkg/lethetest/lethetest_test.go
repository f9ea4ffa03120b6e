package lethetest

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"testing"

	"github.com/lethe-pipeline/lethe/pkg/process"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestLoggerFallsSilentWhenItsTestEnds(t *testing.T) {
	var log *slog.Logger
	t.Run("inside", func(t *testing.T) {
		log = Logger(t)
		log.Debug("test running")
	})
	log.Info("test over") // would panic
}

func TestOutputIsWrittenUntilItIsClosed(t *testing.T) {
	var b bytes.Buffer
	o := &output{w: &b}
	for range 2 {
		if n, err := o.Write([]byte("line\n")); n != 5 || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
		o.close()
	}
	if b.String() != "line\n" {
		t.Errorf("written = %q, want one line", b.String())
	}
}

func TestStartedServiceStopsWithItsTest(t *testing.T) {
	stopped := false
	t.Run("inside", func(t *testing.T) {
		Start(t, "service", process.Func(func(ctx context.Context, ready func()) error {
			ready()
			<-ctx.Done()
			stopped = true
			return nil
		}))
		if stopped {
			t.Error("it stopped before its test")
		}
	})
	if !stopped {
		t.Error("it outlived its test")
	}
}

func TestStoresAreThereForTests(t *testing.T) {
	nc, err := NATS(t).Connect("test", "test")
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if err := Engine(t).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRequiredReadsAList(t *testing.T) {
	for list, want := range map[string]bool{
		"": false, "clickhouse": true, "docker,clickhouse": true, "docker clickhouse": true, "clickhouses": false,
	} {
		t.Setenv("LETHE_TEST_REQUIRE", list)
		if got := required("clickhouse"); got != want {
			t.Errorf("LETHE_TEST_REQUIRE=%q: required = %t", list, got)
		}
	}
}
